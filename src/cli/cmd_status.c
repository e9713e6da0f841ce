/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd_status.h"

#include "cli/admin_command.h"
#include "cli/columns.h"
#include "cli/printable.h"

typedef struct Page {
        Arena *arena;
        Buf *out;
        bool wrong; /* something is not as it should be */
} Page;

static Str slash(Page *p, Str a, Str b)
{
        return arena_printf(p->arena, "%.*s/%.*s", STR_FMT(a), STR_FMT(b));
}

static Str text_of(const Tree *t, Str key)
{
        const Tree *v = tree_get(t, key);
        return v != NULL && v->type == TREE_NULL ? (Str){0} : v != NULL ? v->text : (Str){0};
}

static void put_faults(Page *p, const Tree *root)
{
        static const Str dirs[] = {STR_INIT("resources"), STR_INIT("gatewayResources"),
                                   STR_INIT("generated")};
        for (size_t i = 0; i < LENGTH_OF(dirs); i++) {
                Str error = tree_get_str(tree_get(root, dirs[i]), STR("error"));
                if (error.n == 0)
                        continue;
                p->wrong = true;
                buf_printf(p->out, "FAULT in %.*s: ", STR_FMT(dirs[i]));
                printable_add(p->out, error);
                buf_add_char(p->out, '\n');
        }
        if (!tree_get_bool(root, STR("complete"), false)) {
                p->wrong = true;
                buf_add_str(p->out, STR("NOT READY: not everything has been read yet\n"));
        }
}

static void put_tailnets(Page *p, const Tree *root)
{
        CLEANUP(columns_done) Columns c;
        columns_init(&c, "TAILNET|SYNC|DEVICES|SERVICES|LAST SYNC|NEXT KEY EXPIRY|SUFFIX|SCOPES|"
                         "SOURCE|WARNING");
        TREE_FOREACH (t, tree_get(root, STR("tailnets"))) {
                Str sync = tree_get_str(t, STR("sync"));
                p->wrong |= !str_eq(sync, STR("Synced"));
                columns_row(&c,
                            (Str[]){slash(p, tree_get_str(t, STR("namespace")),
                                          tree_get_str(t, STR("name"))),
                                    sync, text_of(t, STR("devices")), text_of(t, STR("services")),
                                    text_of(t, STR("lastSync")), text_of(t, STR("nextKeyExpiry")),
                                    tree_get_str(t, STR("magicDNSSuffix")),
                                    tree_get_str(t, STR("scopes")), tree_get_str(t, STR("source")),
                                    tree_get_str(t, STR("warning"))});
        }
        columns_print(&c, "Tailnets", p->out);
}

/* Why the last poll failed, or what was strange about a good one. */
static Str fault_of(Page *p, const Tree *source)
{
        Str error = tree_get_str(source, STR("error"));
        Str text = tree_get_str(source, STR("invalidText"));
        if (error.n > 0 || text.n == 0)
                return error;
        return arena_printf(p->arena, "%.*s left out: %.*s",
                            STR_FMT(text_of(source, STR("invalidDevices"))), STR_FMT(text));
}

static void put_sources(Page *p, const Tree *root)
{
        CLEANUP(columns_done) Columns c;
        columns_init(&c, "TAILNET|SOURCE|SPEAKS|DEVICES|LAST SYNC|NEXT POLL|REASON|ERROR");
        TREE_FOREACH (t, tree_get(root, STR("tailnets"))) {
                Str tailnet =
                        slash(p, tree_get_str(t, STR("namespace")), tree_get_str(t, STR("name")));
                TREE_FOREACH (s, tree_get(t, STR("sources"))) {
                        Str reason = tree_get_str(s, STR("reason"));
                        p->wrong |= reason.n > 0;
                        columns_row(&c,
                                    (Str[]){tailnet, tree_get_str(s, STR("name")),
                                            tree_get_str(s, STR("via")), text_of(s, STR("devices")),
                                            text_of(s, STR("lastSync")),
                                            text_of(s, STR("nextPoll")), reason, fault_of(p, s)});
                }
        }
        columns_print(&c, "Sources of tailnets", p->out);
}

static Str held_text(Page *p, const Tree *entry)
{
        const Tree *held = tree_get(entry, STR("held"));
        if (str_eq(text_of(held, STR("endpoints")), STR("0")))
                return (Str){0};
        return arena_printf(p->arena, "%.*s (%.*s in %.*s polls, digest %.*s)",
                            STR_FMT(text_of(held, STR("endpoints"))),
                            STR_FMT(tree_get_str(held, STR("reason"))),
                            STR_FMT(text_of(held, STR("confirmations"))),
                            STR_FMT(tree_get_str(held, STR("digest"))));
}

/* Why an entry has nothing, or less than it could. */
static Str why_of(Page *p, const Tree *entry)
{
        Str reason = tree_get_str(entry, STR("reason"));
        if (reason.n > 0)
                return arena_printf(p->arena, "%.*s: %.*s", STR_FMT(reason),
                                    STR_FMT(tree_get_str(entry, STR("text"))));
        if (tree_get_bool(entry, STR("programmed"), false))
                return (Str){0};
        if (!tree_get_bool(entry, STR("known"), false))
                return STR("the tailnet has not answered yet");
        if (str_eq(text_of(entry, STR("selected")), STR("0")))
                return STR("no device is selected: see what was left out");
        return STR("all of it is left out: see hosts and paths");
}

static void put_entries(Page *p, const Tree *root)
{
        CLEANUP(columns_done) Columns c;
        columns_init(&c, "TAILSCALEGATEWAY|TAILNET|SELECTED|LEFT "
                         "OUT|HOSTS|PATHS|CONFLICTS|NOT IN ANSWER|PROGRAMMED|HELD|WHY");
        TREE_FOREACH (e, tree_get(root, STR("entries"))) {
                bool programmed = tree_get_bool(e, STR("programmed"), false);
                p->wrong |= !programmed;
                columns_row(&c,
                            (Str[]){slash(p, tree_get_str(e, STR("namespace")),
                                          tree_get_str(e, STR("gateway"))),
                                    tree_get_str(e, STR("tailnet")), text_of(e, STR("selected")),
                                    text_of(e, STR("leftOutTotal")), text_of(e, STR("hosts")),
                                    text_of(e, STR("paths")), text_of(e, STR("conflicts")),
                                    text_of(e, STR("leftOutOfAnswer")),
                                    programmed ? STR("True") : STR("False"), held_text(p, e),
                                    why_of(p, e)});
        }
        columns_print(&c, "TailscaleGateways", p->out);
}

/* Of a row that has neither host nor path: ":5432", the listener's port. */
static Str host_of(Page *p, const Tree *row)
{
        int64_t port = 0;
        IGNORE(tree_i64(tree_get(row, STR("listenerPort")), 1, 65535, false, &port),
               "0: it has none");
        return port > 0 ? arena_printf(p->arena, ":%u", (unsigned)port)
                        : tree_get_str(row, STR("host"));
}

static void put_routes(Page *p, const Tree *root)
{
        CLEANUP(columns_done) Columns c;
        columns_init(&c, "HOST|PATH|SERVICE|TAILNET|PORT|PROTOCOL|PROGRAMMED|WHY");
        TREE_FOREACH (r, tree_get(root, STR("routes"))) {
                Str reason = tree_get_str(r, STR("reason"));
                Str why = reason.n == 0 ? reason
                                        : arena_printf(p->arena, "%.*s: %.*s", STR_FMT(reason),
                                                       STR_FMT(tree_get_str(r, STR("text"))));
                columns_row(&c, (Str[]){host_of(p, r), tree_get_str(r, STR("path")),
                                        tree_get_str(r, STR("service")),
                                        tree_get_str(r, STR("tailnet")), text_of(r, STR("port")),
                                        tree_get_str(r, STR("protocol")),
                                        tree_get_bool(r, STR("programmed"), false) ? STR("True")
                                                                                   : STR("False"),
                                        why});
        }
        columns_print(&c, "Hosts and paths", p->out);
}

static void put_endpoints(Page *p, const Tree *root)
{
        CLEANUP(columns_done) Columns c;
        columns_init(&c, "TAILNET|SERVICE|ADDRESS|PORT|HEALTH|PROBE|SELECTED BY|PORT FROM|NOTE");
        TREE_FOREACH (e, tree_get(root, STR("entries"))) {
                TREE_FOREACH (x, tree_get(e, STR("endpoints")))
                        columns_row(&c,
                                    (Str[]){tree_get_str(e, STR("tailnet")),
                                            tree_get_str(x, STR("name")),
                                            tree_get_str(x, STR("tailscaleIP")),
                                            text_of(x, STR("port")), tree_get_str(x, STR("health")),
                                            tree_get_str(tree_get(x, STR("probe")), STR("verdict")),
                                            tree_get_str(x, STR("rule")),
                                            tree_get_str(x, STR("portSource")),
                                            tree_get_str(x, STR("healthText"))});
        }
        columns_print(&c, "Endpoints", p->out);
}

static void put_left_out(Page *p, const Tree *root)
{
        CLEANUP(columns_done) Columns c;
        columns_init(&c, "TAILNET|DEVICE|REASON|TEXT");
        TREE_FOREACH (e, tree_get(root, STR("entries"))) {
                TREE_FOREACH (l, tree_get(e, STR("leftOut")))
                        columns_row(&c, (Str[]){tree_get_str(e, STR("tailnet")),
                                                tree_get_str(l, STR("name")),
                                                tree_get_str(l, STR("reason")),
                                                tree_get_str(l, STR("text"))});
        }
        columns_print(&c, "Left out", p->out);
}

static void put_departures(Page *p, const Tree *root)
{
        CLEANUP(columns_done) Columns c;
        columns_init(&c, "AT|TAILNET|SERVICE|ADDRESS|PORT|REASON|TEXT");
        TREE_FOREACH (d, tree_get(root, STR("departures")))
                columns_row(&c,
                            (Str[]){text_of(d, STR("at")), tree_get_str(d, STR("tailnet")),
                                    tree_get_str(d, STR("name")),
                                    tree_get_str(d, STR("tailscaleIP")), text_of(d, STR("port")),
                                    tree_get_str(d, STR("reason")), tree_get_str(d, STR("text"))});
        columns_print(&c, "Left lately", p->out);
}

static void put_gateways(Page *p, const Tree *root)
{
        CLEANUP(columns_done) Columns c;
        columns_init(&c, "GATEWAY|FOUND|WANTED|SERVED|HOOKS|LAST HOOK|LEFT OUT|ERROR");
        TREE_FOREACH (g, tree_get(root, STR("gateways"))) {
                const Tree *hook = tree_get(g, STR("hook"));
                p->wrong |= !tree_get_bool(g, STR("programmed"), false);
                columns_row(
                        &c,
                        (Str[]){slash(p, tree_get_str(g, STR("namespace")),
                                      tree_get_str(g, STR("name"))),
                                tree_get_bool(g, STR("found"), false) ? STR("True") : STR("False"),
                                tree_get_str(g, STR("revisionWanted")),
                                tree_get_str(g, STR("revisionServed")), text_of(hook, STR("calls")),
                                text_of(hook, STR("last")), text_of(hook, STR("leftOut")),
                                tree_get_str(hook, STR("error"))});
        }
        columns_print(&c, "Envoy Gateway's Gateways", p->out);
}

static void put_answer_gaps(Page *p, const Tree *root)
{
        CLEANUP(columns_done) Columns c;
        columns_init(&c, "GATEWAY|HOST|PATH|IN HOST|CLUSTER|ROUTES|REASON|TEXT");
        TREE_FOREACH (g, tree_get(root, STR("gateways"))) {
                TREE_FOREACH (l, tree_get(tree_get(g, STR("hook")), STR("leftOutRoutes"))) {
                        bool paths = tree_get_bool(l, STR("paths"), false);
                        Str path = tree_get_str(l, STR("path"));
                        columns_row(&c, (Str[]){slash(p, tree_get_str(g, STR("namespace")),
                                                      tree_get_str(g, STR("name"))),
                                                tree_get_str(l, STR("host")),
                                                paths && path.n == 0 ? STR("all") : path,
                                                tree_get_str(l, STR("where")),
                                                tree_get_str(l, STR("cluster")),
                                                text_of(l, STR("routes")),
                                                tree_get_str(l, STR("reason")),
                                                tree_get_str(l, STR("text"))});
                }
        }
        columns_print(&c, "Left out of the answer to Envoy Gateway", p->out);
}

static void ask(const CliOptions *o, Buf *path)
{
        (void)o;
        buf_add_str(path, STR("/state"));
}

static bool show(Arena *arena, const Tree *answer, Buf *out)
{
        Page p = {arena, out, false};
        put_faults(&p, answer);
        put_tailnets(&p, answer);
        put_sources(&p, answer);
        put_entries(&p, answer);
        put_routes(&p, answer);
        put_endpoints(&p, answer);
        put_left_out(&p, answer);
        put_departures(&p, answer);
        put_gateways(&p, answer);
        put_answer_gaps(&p, answer);
        return !p.wrong;
}

int cmd_status(int argc, char **argv)
{
        static const AdminCommand command = {
                .help = "What a running gateway knows: tailnets, endpoints with the rule that "
                        "chose them, what was left out\n"
                        "and why, hosts and paths, and what Envoy Gateway was given.",
                .ask = ask,
                .show = show,
        };
        return admin_command(&command, argc, argv);
}
