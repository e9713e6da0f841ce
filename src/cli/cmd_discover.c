/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hub of a running gateway, with nothing behind it: it reads the manifests, asks each tailnet
 * once and makes a World, which is shown and forgotten. So what is told is what would be applied.
 */
#include "cli/cmd_discover.h"

#include "cli/admin_get.h"
#include "cli/cli_options.h"
#include "cli/columns.h"
#include "cli/discover_page.h"
#include "cli/printable.h"
#include "cli/tree_print.h"
#include "net/http_client.h"
#include "source/hub.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
        OUTPUT_MAX = 256 << 20,
        LOOK_MS = 100, /* how often it is looked whether all have answered; above the hub's hold-off
                          for one more look than changes */
        LOOKS_CALM = 4,
        NAMES_TOLD = 8, /* of one rule, in a table */
};

typedef struct Discovery {
        CliOptions options;
        const char *resources;
        bool explain;
        Loop *loop;
        Hub *hub;
        Facts facts;
        Timer look, deadline;
        unsigned calm; /* looks in a row at which all had answered */
} Discovery;

/* --- asking --- */

static bool has_answered(const TailnetFact *f)
{
        if (f == NULL)
                return false;
        for (size_t i = 0; i < SOURCE_ROLES; i++)
                if (f->sources[i].name != NULL && f->sources[i].polls == 0)
                        return false;
        return true;
}

static bool all_answered(const Discovery *d)
{
        const World *w = hub_world(d->hub);

        if (!w->resources_read)
                return d->facts.resources.error[0] != '\0';
        TABLE_FOREACH (TailnetSpec, t, w->tailnets) {
                if (!has_answered(facts_find_tailnet(&d->facts, t->meta.key)))
                        return false;
        }
        return true;
}

static void on_look(Timer *t)
{
        Discovery *d = CONTAINER_OF(t, Discovery, look);

        d->calm = all_answered(d) ? d->calm + 1 : 0;
        if (d->calm >= LOOKS_CALM)
                loop_stop(d->loop);
        else
                timer_set_in(t, SPAN_MS(LOOK_MS));
}

static void on_deadline(Timer *t)
{
        loop_stop(CONTAINER_OF(t, Discovery, deadline)->loop);
}

static void on_world(void *owner, const World *world)
{
        (void)owner, (void)world; /* looked at when all have answered */
}

static const World *ask(Discovery *d)
{
        HttpClient *http;
        const World *w;

        IGNORE(signal(SIGPIPE, SIG_IGN), "cannot fail for a signal that exists");
        d->loop = loop_new(NULL);
        http = http_client_new(d->loop, cli_trusted_file());
        facts_init(&d->facts);
        timer_init(&d->look, d->loop, on_look);
        timer_init(&d->deadline, d->loop, on_deadline);
        d->hub = hub_open(&(HubInput){.loop = d->loop,
                                      .http = http,
                                      .facts = &d->facts,
                                      .resources = d->resources,
                                      .seed = 1,
                                      .only_asks = true,
                                      .fn = on_world,
                                      .owner = d});
        timer_set_in(&d->look, SPAN_MS(LOOK_MS));
        timer_set_in(&d->deadline, SPAN_S(TAILNET_POLL_SECONDS + 1));
        loop_run(d->loop);
        w = leaf_ref(hub_world(d->hub));
        timer_clear(&d->look);
        timer_clear(&d->deadline);
        d->hub = hub_close(d->hub);
        http_client_free(http);
        loop_free(d->loop);
        return w;
}

/* --- showing --- */

static Str number(const Tree *t, Str key)
{
        const Tree *v = tree_get(t, key);

        return v != NULL ? v->text : (Str){0};
}

/* "a, b and 3 more" */
static Str join(Arena *arena, const Tree *list, size_t max)
{
        Str all = {0};
        size_t n = 0;

        TREE_FOREACH (item, list) {
                if (n++ == max)
                        return arena_printf(arena, "%.*s and %zu more", STR_FMT(all),
                                            list->n - max);
                all = arena_printf(arena, "%.*s%s%.*s", STR_FMT(all), n > 1 ? ", " : "",
                                   STR_FMT(tree_str(item)));
        }
        return all;
}

static bool put_tailnets(const Tree *root, Buf *out)
{
        CLEANUP(columns_done) Columns c;
        bool well = true;

        columns_init(&c, "TAILNET|SYNC|DEVICES|SERVICES|ERROR|WARNING");
        TREE_FOREACH (t, tree_get(root, STR("tailnets"))) {
                Str sync = tree_get_str(t, STR("sync"));

                well = well && str_eq(sync, STR("Synced"));
                columns_row(&c,
                            (Str[]){tree_get_str(t, STR("name")), sync, number(t, STR("devices")),
                                    number(t, STR("services")), tree_get_str(t, STR("error")),
                                    tree_get_str(t, STR("warning"))});
        }
        columns_print(&c, "Tailnets", out);
        return well;
}

/* "api:8080/HTTP by ports[0]" */
static Str endpoints_text(Arena *arena, const Tree *found)
{
        Str all = {0};

        TREE_FOREACH (e, tree_get(found, STR("endpoints")))
                all = arena_printf(arena, "%.*s%s%.*s:%.*s/%.*s by %.*s", STR_FMT(all),
                                   all.n > 0 ? ", " : "", STR_FMT(tree_get_str(e, STR("service"))),
                                   STR_FMT(number(e, STR("port"))),
                                   STR_FMT(tree_get_str(e, STR("protocol"))),
                                   STR_FMT(tree_get_str(e, STR("portSource"))));
        return all;
}

static Str why(Arena *arena, const Tree *found)
{
        Str rule = tree_get_str(found, STR("rule")), reason = tree_get_str(found, STR("reason"));

        if (reason.n == 0)
                return rule;
        return arena_printf(arena, "%.*s%s%.*s: %.*s", STR_FMT(rule), rule.n > 0 ? "; " : "",
                            STR_FMT(reason), STR_FMT(tree_get_str(found, STR("text"))));
}

static void put_found(Arena *arena, const Tree *entry, Buf *out)
{
        CLEANUP(columns_done) Columns c;

        columns_init(&c, "NAME|NODE ID|ADDRESS|OS|OWNER|TAGS|HEALTH|ENDPOINTS|WHY");
        TREE_FOREACH (f, tree_get(entry, STR("found")))
                columns_row(&c,
                            (Str[]){tree_get_str(f, STR("name")), tree_get_str(f, STR("nodeID")),
                                    tree_get_str(f, STR("address")), tree_get_str(f, STR("os")),
                                    tree_get_str(f, STR("owner")),
                                    join(arena, tree_get(f, STR("tags")), NAMES_TOLD),
                                    tree_get_str(f, STR("health")), endpoints_text(arena, f),
                                    why(arena, f)});
        columns_print(&c, "What was found", out);
}

static void put_rules(Arena *arena, const Tree *entry, Buf *out)
{
        CLEANUP(columns_done) Columns c;

        columns_init(&c, "RULE|VALUE|MATCHES|NAMES");
        TREE_FOREACH (r, tree_get(entry, STR("rules")))
                columns_row(&c, (Str[]){tree_get_str(r, STR("field")),
                                        tree_get_str(r, STR("value")), number(r, STR("matches")),
                                        join(arena, tree_get(r, STR("names")), NAMES_TOLD)});
        columns_print(&c, "Each rule by itself", out);
}

static bool put_tables(Arena *arena, const Tree *root, Buf *out)
{
        bool well = put_tailnets(root, out);

        TREE_FOREACH (e, tree_get(root, STR("entries"))) {
                buf_add_str(out, STR("TailscaleGateway "));
                printable_add(out, tree_get_str(e, STR("namespace")));
                buf_add_char(out, '/');
                printable_add(out, tree_get_str(e, STR("gateway")));
                buf_add_str(out, STR(", tailnet "));
                printable_add(out, tree_get_str(e, STR("tailnet")));
                buf_add_str(out, STR("\n\n"));
                put_found(arena, e, out);
                put_rules(arena, e, out);
        }
        return well;
}

/* False, and said so, where no TailscaleGateway has the tailnet that was asked about. */
static bool has_asked_one(const Discovery *d, const Tree *root)
{
        if (d->options.argument.n == 0 || tree_get(root, STR("entries"))->n > 0)
                return true;
        fprintf(stderr, "tailscale-gateway discover: no TailscaleGateway has a tailnet %.*s\n",
                STR_FMT(d->options.argument));
        return false;
}

static int show(const Discovery *d, const World *w)
{
        const DiscoverPage page = {w, d->options.argument, d->explain};
        CLEANUP(buf_done) Buf json, out;
        CLEANUP(arena_done) Arena arena;
        const Tree *root;
        Err err = {0};
        bool well;

        buf_init(&json, OUTPUT_MAX);
        buf_init(&out, OUTPUT_MAX);
        arena_init(&arena, ADMIN_GET_MEMORY_MAX);
        discover_page(&page, &json);
        root = admin_get_read(&arena, buf_str(&json), &err);
        if (root == NULL) {
                fprintf(stderr, "tailscale-gateway discover: %s\n", err.text);
                return 1;
        }
        well = put_tables(&arena, root, &out);
        if (d->options.output != CLI_TABLE)
                buf_reset(&out);
        if (d->options.output == CLI_JSON)
                tree_print_json(root, &out);
        else if (d->options.output == CLI_YAML)
                tree_print_yaml(root, &out);
        IGNORE(fwrite(out.p, 1, out.n, stdout), "nobody to tell");
        return has_asked_one(d, root) && well ? 0 : 1;
}

/* --- the command --- */

static void help(FILE *to)
{
        fputs("usage: tailscale-gateway discover --resources DIR [TAILNET] [options]\n\n"
              "Reads the manifests of DIR, asks each tailnet once, and shows what it holds and "
              "what "
              "the rules make\nof it: which endpoints, or why none. Nothing is applied, nothing "
              "is written.\n\n"
              "  TAILNET\n        of it alone: its name in tailnets[], or of the "
              "TailscaleTailnet\n"
              "  --resources DIR\n        TailscaleTailnets, TailscaleGateways, Secrets; also "
              "TSGW_RESOURCES\n"
              "  --explain\n        what each rule matches, by itself\n"
              "  -o FORMAT\n        table, json or yaml (default table)\n\n"
              "exit code: 0 every tailnet answered, 1 one did not or a manifest is wrong, 2 "
              "usage\n",
              to);
}

/* Returns -1 to go on, else the exit code. */
static int read_options(Discovery *d, int argc, char **argv)
{
        Str resources = str_of(getenv("TSGW_RESOURCES"));

        for (int i = 1; i < argc; i++) {
                Str arg = str_of(argv[i]), value;

                if (str_eq(arg, STR("--help")) || str_eq(arg, STR("-h"))) {
                        help(stdout);
                        return 0;
                }
                if (str_eq(arg, STR("--explain")))
                        d->explain = true;
                else if (cli_flag_value(STR("--resources"), &i, argc, argv, &value))
                        resources = value;
                else if (cli_flag_value(STR("-o"), &i, argc, argv, &value) &&
                         cli_output_parse(value, &d->options.output))
                        continue;
                else if (str_starts(arg, STR("-")) || d->options.argument.n > 0)
                        return cli_usage_fault(argv[0],
                                               "unexpected argument, or no such value: ", arg);
                else
                        d->options.argument = arg;
        }
        if (resources.n == 0)
                return cli_usage_fault(argv[0], "expected ", STR("--resources DIR"));
        d->resources = resources.p;
        return -1;
}

int cmd_discover(int argc, char **argv)
{
        Discovery d = {.options = {.output = CLI_TABLE}};
        int code = read_options(&d, argc, argv);
        const World *w;

        if (code >= 0)
                return code;
        w = ask(&d);
        if (d.facts.resources.error[0] != '\0') {
                fprintf(stderr, "tailscale-gateway discover: %s\n", d.facts.resources.error);
                code = 1;
        } else {
                code = show(&d, w);
        }
        facts_done(&d.facts);
        leaf_unref(w);
        return code;
}
