/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of a request is told from the Report's rows, which name every host and path that was
 * asked for, won or lost. A URL that no row names is looked for among the devices that discovery
 * left out: what host or path would they have had?
 */
#include "translate/explain.h"

#include "model/made_route.h"
#include "proto/json_writer.h"
#include "translate/hostname.h"
#include "translate/pack.h"
#include "translate/request_path.h"
#include "translate/row_choice.h"

enum {
        STEP_TEXT_MAX = 1024,
        ENTRIES_TOLD = 16, /* of those that could have the URL: more would bury the verdict */
};

typedef struct Explain {
        const World *world;
        const Report *report;
        const Facts *facts; /* may be NULL */
        Arena arena;
        Str scheme, host, path; /* the scheme is empty where none was given */
        uint16_t port;          /* 0: none was given */
        RowDomain domain;       /* the virtual host of the request */
        JsonWriter json;
        bool stopped; /* a step was not ok: no more are told */
        bool doubted; /* something was left out of the answer to Envoy Gateway; maybe this */
        Str verdict;  /* of that step */
} Explain;

/* One step; the first that is not ok ends the way. */
static void step(Explain *x, const char *what, bool ok, Str text)
{
        if (x->stopped)
                return;
        json_object_begin(&x->json);
        json_key_str(&x->json, STR("what"), str_of(what));
        json_key_bool(&x->json, STR("ok"), ok);
        json_key_str(&x->json, STR("text"), text);
        json_object_end(&x->json);
        if (!ok) {
                x->stopped = true;
                x->verdict = arena_printf(&x->arena, "%s: %.*s", what, STR_FMT(text));
        }
}

/* "http://host:port/path?query" in parts; what is missing is empty. */
static void split_url(Explain *x, Str url)
{
        ptrdiff_t scheme = str_find_str(url, STR("://"));
        if (scheme >= 0) {
                x->scheme = str_sub(url, 0, (size_t)scheme);
                url = str_sub(url, (size_t)scheme + 3, url.n);
        }
        size_t end = 0;
        while (end < url.n && strchr("/?#", url.p[end]) == NULL)
                end++;
        Str host = str_sub(url, 0, end), path = str_sub(url, end, url.n);
        ptrdiff_t colon = str_find(host, ':');
        if (colon >= 0 && !str_starts(host, STR("["))) {
                uint64_t port = 0;
                IGNORE(str_to_u64(str_sub(host, (size_t)colon + 1, SIZE_MAX), UINT16_MAX, &port),
                       "0 where it is none");
                x->port = (uint16_t)port;
                host = str_sub(host, 0, (size_t)colon);
        }
        for (end = 0; end < path.n && path.p[end] != '?' && path.p[end] != '#';)
                end++;
        x->host = host;
        x->path = end > 0 ? request_path_normal(&x->arena, str_sub(path, 0, end)) : STR("/");
}

/* A path alone is fine: it may be asked for in any host. */
static bool is_url(const Explain *x, Str url)
{
        if (row_choice_is_of_port(x->scheme))
                return x->port > 0;
        bool scheme = x->scheme.n == 0 || str_eq_fold(x->scheme, STR("tls")) ||
                      str_eq_fold(x->scheme, STR("http")) || str_eq_fold(x->scheme, STR("https"));
        bool host = hostname_is_valid(x->host) || str_starts(x->host, STR("[")) ||
                    (x->scheme.n == 0 && str_starts(str_trim(url), STR("/")));
        return scheme && host;
}

/* A user's route with that host, on whatever listener. */
static const EgRoute *find_users_route(const Explain *x)
{
        TABLE_FOREACH (EgRoute, route, x->world->eg_routes) {
                for (size_t i = 0; i < route->hostnames.n; i++) {
                        Str host = route->hostnames.at[i];
                        if (str_starts(host, STR("*.")) ? hostname_within(host, x->host)
                                                        : str_eq_fold(host, x->host))
                                return route;
                }
        }
        return NULL;
}

static const TailnetEntry *find_entry(const GatewaySpec *spec, Str tailnet)
{
        for (size_t i = 0; spec != NULL && i < spec->n_tailnets; i++) {
                if (str_eq(spec->tailnets[i].name, tailnet))
                        return &spec->tailnets[i];
        }
        return NULL;
}

static void tell_tailnet(Explain *x, ObjectKey gateway, const TailnetEntry *entry)
{
        ObjectKey key = {gateway.namespace, entry->tailnet_name};
        const TailnetState *s = table_find(x->world->tailnet_states, &key, tailnet_state_find);
        EntryKey entry_key = {gateway, entry->name};
        const EntryView *v = table_find(x->world->entries, &entry_key, entry_view_find);
        bool known = v != NULL && v->known;
        Str name = arena_printf(&x->arena, "TailscaleTailnet %.*s/%.*s", STR_FMT(key.namespace),
                                STR_FMT(key.name));
        if (table_find(x->world->tailnets, &key, tailnet_spec_find) == NULL)
                step(x, "tailnet", false,
                     arena_printf(&x->arena, "%.*s is not there", STR_FMT(name)));
        else if (s == NULL)
                step(x, "tailnet", known,
                     arena_printf(&x->arena, "%.*s was not asked yet", STR_FMT(name)));
        else if (s->sync == SYNC_DONE)
                step(x, "tailnet", true,
                     arena_printf(&x->arena, "%.*s is synced, %llu devices%s%.*s", STR_FMT(name),
                                  (unsigned long long)s->n_devices, s->warning.n > 0 ? "; " : "",
                                  STR_FMT(s->warning)));
        else if (s->sync == SYNC_STALE && s->error_reason.n == 0)
                step(x, "tailnet", known,
                     arena_printf(&x->arena,
                                  "%.*s has not answered yet; what its tailscaled sees serves",
                                  STR_FMT(name)));
        else
                step(x, "tailnet", known,
                     arena_printf(&x->arena, "%.*s: %s: %.*s: %.*s%s", STR_FMT(name),
                                  s->sync == SYNC_NEVER ? "never synced" : "the last poll failed",
                                  STR_FMT(s->error_reason), STR_FMT(s->error_text),
                                  known ? " (what is known serves)" : ""));
}

/* What is said of its health besides that it is good; of a few, the rest is in the state. */
static void tell_health(Explain *x, const Endpoint *e, size_t *told)
{
        enum {
                TOLD_MAX = 4
        };
        if (e->health_text.n == 0 || *told >= TOLD_MAX)
                return;
        (*told)++;
        step(x, "health", true,
             arena_printf(&x->arena, "%.*s is %.*s: %.*s", STR_FMT(e->ip), STR_FMT(e->health),
                          STR_FMT(e->health_text)));
}

typedef struct Probed {
        size_t n, unhealthy;
        const ProbeFact *worst; /* one that is unhealthy, or the last */
} Probed;

static void count_probe(const Explain *x, const RouteReport *r, const Endpoint *e, Probed *probed)
{
        const ProbeFact *f =
                x->facts != NULL ? facts_find_probe(x->facts, r->gateway, r->tailnet, e) : NULL;
        if (f == NULL || f->verdict == PROBE_UNKNOWN)
                return;
        probed->n++;
        probed->unhealthy += f->verdict == PROBE_UNHEALTHY;
        if (probed->worst == NULL || f->verdict == PROBE_UNHEALTHY)
                probed->worst = f;
}

/* Envoy's own checks decide; where all of ours fail, they most likely do, too. */
static void tell_probes(Explain *x, const Probed *probed)
{
        if (probed->n == 0)
                return;
        const ProbeFact *f = probed->worst;
        step(x, "probe", probed->unhealthy < probed->n,
             arena_printf(
                     &x->arena, "%zu of %zu endpoints are healthy by our own probes%s%.*s%s%s",
                     probed->n - probed->unhealthy, probed->n, probed->unhealthy > 0 ? "; " : "",
                     STR_FMT(probed->unhealthy > 0 ? f->ip : (Str){0}),
                     probed->unhealthy > 0 ? ": " : "", probed->unhealthy > 0 ? f->error : ""));
}

static void tell_endpoints(Explain *x, const RouteReport *r, const EntryView *v)
{
        size_t n = 0, offline = 0, held = 0, told = 0;
        Probed probed = {0};
        TABLE_FOREACH (Endpoint, e, v != NULL ? v->endpoints : NULL) {
                if (!str_eq(e->service, r->service) || e->port != r->port ||
                    e->protocol != r->protocol)
                        continue;
                if (n++ == 0) {
                        bool of_service = str_starts(e->node_id, STR("svc:"));
                        Str name = e->short_name.n > 0 ? e->short_name : e->service;
                        step(x, "device", true,
                             arena_printf(&x->arena, "%s%.*s (%.*s) was taken by %.*s",
                                          of_service ? "Tailscale Service " : "",
                                          STR_FMT(of_service ? e->node_id : name), STR_FMT(e->ip),
                                          STR_FMT(e->rule)));
                        step(x, "port", true,
                             arena_printf(&x->arena, "%u %.*s, by %.*s", e->port,
                                          STR_FMT(protocol_name(e->protocol)),
                                          STR_FMT(e->port_source)));
                }
                tell_health(x, e, &told);
                count_probe(x, r, e, &probed);
                offline += str_eq(e->health, STR("Offline"));
                held += e->held;
        }
        if (n == 0)
                step(x, "device", false, STR("the service has no endpoint any more"));
        else
                step(x, "endpoint", true,
                     arena_printf(&x->arena, "%zu endpoint%s%s%s", n, n == 1 ? "" : "s",
                                  offline == 0   ? ""
                                  : offline == n ? ", all of which control has not seen lately"
                                                 : ", some of which control has not seen lately",
                                  held == 0 ? ""
                                            : ", kept by the removal guard though the tailnet's "
                                              "list lacks it"));
        tell_probes(x, &probed);
}

/* Whether a request with this URL can get to the listener at all. Its port is shown and not
 * compared: what maps another one to it (a Service, a load balancer) is not seen from here. */
static void tell_listener(Explain *x, const RouteReport *r)
{
        const EgListener *l = row_choice_listener(x->world, r);
        if (l == NULL)
                return;
        bool tls = l->protocol == PROTOCOL_HTTPS || l->protocol == PROTOCOL_TLS;
        bool has_tls = str_eq_fold(x->scheme, STR("https")) || str_eq_fold(x->scheme, STR("tls"));
        bool is_of_port = row_choice_is_of_port(x->scheme);
        bool scheme = x->scheme.n == 0 || is_of_port || has_tls == tls;
        bool host = x->host.n == 0 || is_of_port || hostname_within(l->hostname, x->host);
        step(x, "listener", scheme && host,
             arena_printf(&x->arena, "%.*s of Gateway %.*s/%.*s: %.*s, port %u%s%.*s%s%s",
                          STR_FMT(l->name), STR_FMT(r->eg_gateway.namespace),
                          STR_FMT(r->eg_gateway.name), STR_FMT(protocol_name(l->protocol)), l->port,
                          l->hostname.n > 0 ? ", hostname " : "", STR_FMT(l->hostname),
                          scheme ? ""
                          : tls  ? "; the URL says http"
                                 : "; the URL says https",
                          host ? "" : "; the URL's host is not within it"));
}

/* A virtual host that somebody's route names, or that we generate, does not fall back to another
 * one, which has the paths. */
static void tell_host(Explain *x, const RouteReport *r)
{
        const RowDomain *d = &x->domain;
        const EgRoute *user = d->route;
        const HookFact *h = x->facts != NULL ? facts_find_hook(x->facts, r->eg_gateway) : NULL;
        const AnswerGap *gap = h != NULL ? answer_gaps_find(h->gaps, r) : NULL;
        /* A gap that is everywhere says it better, and is told by tell_gap. */
        if (r->path.n == 0 || row_choice_is_in(r, d) || (gap != NULL && !gap->partly))
                return;
        if (user != NULL)
                step(x, "host", false,
                     arena_printf(&x->arena,
                                  "%.*s is a host of %.*s %.*s/%.*s, and pathHosts names %.*s%s",
                                  STR_FMT(x->host), STR_FMT(user->kind),
                                  STR_FMT(user->meta.key.namespace), STR_FMT(user->meta.key.name),
                                  STR_FMT(r->host),
                                  r->catch_all ? ", the catch-all host alone" : ""));
        else
                step(x, "host", false,
                     arena_printf(
                             &x->arena,
                             "%.*s is %s, and the path is in the hosts %.*s that Envoy Gateway "
                             "has%s",
                             STR_FMT(x->host),
                             d->is_ours ? "a host of its own" : "in the catch-all host",
                             STR_FMT(r->host), r->catch_all ? "" : " by a route"));
}

static void tell_route(Explain *x, const RouteReport *r)
{
        Str what = r->path.n > 0 ? arena_printf(&x->arena, "path %.*s in hosts %.*s",
                                                STR_FMT(r->path), STR_FMT(r->host))
                   : r->listener_port > 0
                           ? arena_printf(&x->arena, "port %u of %s", r->listener_port,
                                          r->protocol == PROTOCOL_UDP ? "UDP" : "TCP")
                           : arena_printf(&x->arena, "host %.*s", STR_FMT(r->host));
        tell_listener(x, r);
        tell_host(x, r);
        if (r->programmed)
                step(x, "route", true,
                     arena_printf(&x->arena, "%.*s is programmed", STR_FMT(what)));
        else
                step(x, str_eq(r->reason, STR("Conflicted")) ? "conflict" : "route", false,
                     arena_printf(&x->arena, "%.*s: %.*s: %.*s", STR_FMT(what), STR_FMT(r->reason),
                                  STR_FMT(r->text)));
}

/* Was the row left out of the last answer? */
static void tell_gap(Explain *x, const RouteReport *r, const AnswerGaps *gaps)
{
        for (size_t i = 0; gaps != NULL && r->programmed && i < gaps->n; i++) {
                const AnswerGap *gap = &gaps->at[i];
                if (!gap_covers(gap, r) || !row_choice_meets(gap, &x->domain, x->host))
                        continue;
                Buf text CLEANUP(buf_done);
                buf_init(&text, STEP_TEXT_MAX);
                gap_text(gap, &text);
                Str reason = gap_reason_name(gap->reason);
                step(x, "answer", false,
                     arena_printf(&x->arena, "left out: %.*s: %.*s", STR_FMT(reason),
                                  STR_FMT(buf_str(&text))));
                return;
        }
        x->doubted = gaps != NULL && gaps->n == ANSWER_GAPS_MAX;
        if (x->doubted)
                step(x, "answer", true,
                     arena_printf(&x->arena,
                                  "%llu hosts and paths were left out of it, not all of which are "
                                  "known by name",
                                  (unsigned long long)gaps->total));
}

/* Has Envoy Gateway been given what is wanted? */
static void tell_revision(Explain *x, const RouteReport *r)
{
        const GatewayReport *g =
                table_find(x->report->gateways, &r->eg_gateway, gateway_report_find);
        const HookFact *h = x->facts != NULL ? facts_find_hook(x->facts, r->eg_gateway) : NULL;
        if (g == NULL)
                return;
        if (h == NULL) {
                step(x, "revision", false,
                     STR("Envoy Gateway has not called for this Gateway: is its extensionManager "
                         "set up "
                         "and the Gateway accepted?"));
                return;
        }
        char last[WALL_TEXT];
        bool served = strcmp(h->served, g->revision) == 0;
        step(x, "revision", served,
             served ? arena_printf(&x->arena, "%s is wanted and served", g->revision)
                    : arena_printf(&x->arena,
                                   "%s is wanted, %s was served: %s (Envoy Gateway last called at "
                                   "%s)",
                                   g->revision, h->served[0] != '\0' ? h->served : "none",
                                   h->error[0] != '\0'
                                           ? h->error
                                           : "is Envoy Gateway up, and the directory of the "
                                             "Bindings one of its paths?",
                                   h->last.ms > 0 ? wall_format(h->last, last) : "no time"));
        tell_gap(x, r, h->gaps);
}

static void tell_proxy(Explain *x, ObjectKey gateway, const TailnetEntry *entry)
{
        if (entry->connectivity.mode == CONNECT_DIRECT) {
                step(x, "proxy", true, STR("none: Envoy's host has a route into the tailnet"));
                return;
        }
        ObjectKey key = {gateway.namespace, entry->tailnet_name};
        const TailnetSpec *t = table_find(x->world->tailnets, &key, tailnet_spec_find);
        StrList proxies = entry->connectivity.proxies;
        if (proxies.n == 0 && t != NULL)
                proxies = t->proxies;
        Buf text;
        buf_init(&text, STEP_TEXT_MAX);
        for (size_t i = 0; i < proxies.n; i++)
                buf_printf(&text, "%s%.*s", i > 0 ? ", " : "HTTP CONNECT through ",
                           STR_FMT(proxies.at[i]));
        step(x, "proxy", proxies.n > 0, arena_str(&x->arena, buf_str(&text)));
        buf_done(&text);
}

/* A Service of the cluster: its route is an object, and the rest is Envoy Gateway's. */
static void tell_object(Explain *x, const RouteReport *r)
{
        const RouteBackend *b = r->backend;
        char name[MADE_ROUTE_NAME_MAX + 1];
        step(x, "object", true,
             arena_printf(&x->arena, "%.*s %.*s/%.*s", STR_FMT(b->kind),
                          STR_FMT(r->gateway.namespace), STR_FMT(made_route_name(r, name))));
        step(x, "endpoint", true,
             arena_printf(&x->arena, "Service %.*s/%.*s, port %u, as Envoy Gateway resolves it",
                          STR_FMT(b->service.namespace), STR_FMT(b->service.name),
                          (unsigned)r->port));
}

static void tell_row(Explain *x, const RouteReport *r)
{
        const GatewaySpec *spec = table_find(x->world->gateways, &r->gateway, gateway_spec_find);
        const TailnetEntry *entry = find_entry(spec, r->tailnet);
        if (entry == NULL)
                return;
        EntryKey key = {r->gateway, r->tailnet};
        tell_tailnet(x, r->gateway, entry);
        step(x, "service", true,
             arena_printf(&x->arena, "%.*s of TailscaleGateway %.*s/%.*s, tailnet %.*s",
                          STR_FMT(r->service), STR_FMT(r->gateway.namespace),
                          STR_FMT(r->gateway.name), STR_FMT(r->tailnet)));
        if (r->backend != NULL) {
                tell_route(x, r);
                tell_object(x, r);
                return;
        }
        bool is_ingress = str_starts(r->cluster, STR(PACK_PREFIX "ingress/"));
        if (!is_ingress)
                tell_endpoints(x, r, table_find(x->world->entries, &key, entry_view_find));
        tell_route(x, r);
        tell_revision(x, r);
        step(x, "cluster", true, r->cluster);
        if (!is_ingress)
                tell_proxy(x, r->gateway, entry);
}

/* Would the device, had it been taken, answer this URL? */
static bool would_answer(Explain *x, const GatewaySpec *spec, const TailnetEntry *entry, Str device)
{
        Str rest = device, service = device;
        IGNORE(str_cut(&rest, '.', &service), "a name without dot is the short name");
        HostVars v = {.service = service,
                      .tailnet = entry->name,
                      .namespace = spec->meta.key.namespace,
                      .gateway = spec->meta.key.name};
        Str host = hostname_expand(&x->arena, entry->egress.host_pattern, &v);
        if (host.n > 0 && str_eq_fold(host, x->host))
                return true;
        if (str_find_str(entry->egress.path_prefix, STR("{service}")) < 0)
                return false;
        Str path = hostname_expand_path(&x->arena, entry->egress.path_prefix, &v);
        return path.n > 0 && row_choice_is_under(x->path, path);
}

/* Among the devices that discovery left out. */
static bool tell_left_out(Explain *x)
{
        TABLE_FOREACH (EntryView, v, x->world->entries) {
                const GatewaySpec *spec =
                        table_find(x->world->gateways, &v->gateway, gateway_spec_find);
                const TailnetEntry *entry = find_entry(spec, v->tailnet);
                if (entry == NULL)
                        continue;
                LEFT_OUT_FOREACH (l, v->left_out) {
                        if (!would_answer(x, spec, entry, l->name))
                                continue;
                        tell_tailnet(x, v->gateway, entry);
                        step(x, "device", false,
                             arena_printf(&x->arena, "%.*s was left out: %.*s: %.*s",
                                          STR_FMT(l->name), STR_FMT(l->reason), STR_FMT(l->text)));
                        return true;
                }
        }
        return false;
}

/* Among the endpoints that left; the last of those that would have had the URL. */
static bool tell_departed(Explain *x)
{
        const Departure *d;
        for (size_t i = 0;
             x->facts != NULL && (d = departures_newest(&x->facts->departures, i)) != NULL; i++) {
                const GatewaySpec *spec =
                        table_find(x->world->gateways, &d->gateway, gateway_spec_find);
                const TailnetEntry *entry = find_entry(spec, d->tailnet);
                if (entry == NULL || !would_answer(x, spec, entry, d->service))
                        continue;
                char at[WALL_TEXT];
                tell_tailnet(x, d->gateway, entry);
                step(x, "device", false,
                     arena_printf(&x->arena, "%.*s (%.*s) left at %s: %.*s: %.*s",
                                  STR_FMT(d->service), STR_FMT(d->address), wall_format(d->at, at),
                                  STR_FMT(d->reason), STR_FMT(d->text)));
                return true;
        }
        return false;
}

/* What could have had the URL: a host that is almost right shows beside the pattern, and a list
 * that is old or was never had may be why the device is not known. */
static void tell_entries(Explain *x)
{
        size_t n = 0;
        TABLE_FOREACH (EntryReport, e, x->report->entries) {
                const GatewaySpec *spec =
                        table_find(x->world->gateways, &e->gateway, gateway_spec_find);
                const TailnetEntry *entry = find_entry(spec, e->tailnet);
                if (entry == NULL || n++ >= ENTRIES_TOLD)
                        continue;
                Str path = entry->egress.path_prefix;
                step(x, "entry", true,
                     arena_printf(&x->arena,
                                  "TailscaleGateway %.*s/%.*s, tailnet %.*s: hosts %.*s%s%.*s%s%.*s"
                                  "%s%.*s",
                                  STR_FMT(e->gateway.namespace), STR_FMT(e->gateway.name),
                                  STR_FMT(e->tailnet), STR_FMT(entry->egress.host_pattern),
                                  path.n > 0 ? ", paths " : "", STR_FMT(path),
                                  e->reason.n > 0 ? ": " : "", STR_FMT(e->reason),
                                  e->reason.n > 0 ? ": " : "", STR_FMT(e->text)));
                tell_tailnet(x, e->gateway, entry);
        }
        const EgRoute *user = find_users_route(x);
        step(x, "route", false,
             user == NULL
                     ? STR("no service has this host or path, and no device that was left out "
                           "would")
                     : arena_printf(&x->arena,
                                    "no service has this host or path; the host is that of %.*s "
                                    "%.*s/%.*s",
                                    STR_FMT(user->kind), STR_FMT(user->meta.key.namespace),
                                    STR_FMT(user->meta.key.name)));
}

/* A directory with a fault: what was edited since is not in force. */
static void tell_directories(Explain *x)
{
        if (x->facts == NULL)
                return;
        const DirFact *dirs[] = {&x->facts->resources, &x->facts->gateway_resources};
        for (size_t i = 0; i < LENGTH_OF(dirs); i++) {
                if (dirs[i]->error[0] != '\0')
                        step(x, "resources", true,
                             arena_printf(&x->arena,
                                          "have a fault, so the last good reading is in force: %s",
                                          dirs[i]->error));
        }
}

/* As pack.c names it. */
static Str route_name(Explain *x, const RouteReport *r)
{
        bool is_bare = r->path.n > 1 && str_eq(x->path, str_sub(r->path, 0, r->path.n - 1));
        return arena_printf(&x->arena, "%.*s%s", STR_FMT(r->cluster),
                            r->path.n == 0 ? "/host"
                            : is_bare      ? "/path"
                                           : "/prefix");
}

void explain_url(const Snapshot *s, const Report *r, const Facts *f, Str url, Buf *json)
{
        Explain x = {.world = snapshot_world(s), .report = r, .facts = f};
        arena_init(&x.arena, 0);
        split_url(&x, str_trim(url));
        json_writer_init(&x.json, json);
        json_object_begin(&x.json);
        json_key_str(&x.json, STR("url"), url);
        json_key_array_begin(&x.json, STR("steps"));
        bool understood = is_url(&x, url);
        if (!understood)
                step(&x, "url", false,
                     STR("expected http://host/path, host/path, /path, "
                         "tls://host or tcp://host:port"));
        tell_directories(&x);
        if (!x.world->complete)
                step(&x, "world", false, STR("not everything that is needed has been read yet"));
        RowRequest request = {.world = x.world,
                              .report = r,
                              .facts = f,
                              .scheme = x.scheme,
                              .host = x.host,
                              .path = x.path,
                              .port = x.port};
        RowChoice choice = understood ? row_choose(&request) : (RowChoice){0};
        const RouteReport *row = choice.row;
        x.domain = choice.domain;
        if (row != NULL)
                tell_row(&x, row);
        else if (!tell_left_out(&x) && !tell_departed(&x))
                tell_entries(&x);
        json_array_end(&x.json);
        bool answers = row != NULL && !x.stopped;
        Str verdict = x.verdict;
        if (answers)
                verdict =
                        arena_printf(&x.arena, "answered by service %.*s%s", STR_FMT(row->service),
                                     x.doubted ? ", unless it is among what was left out" : "");
        json_key_bool(&x.json, STR("answers"), answers);
        json_key_str(&x.json, STR("verdict"), verdict);
        if (answers && row->cluster.n > 0)
                json_key_str(&x.json, STR("route"), route_name(&x, row));
        else {
                json_key(&x.json, STR("route"));
                json_null(&x.json);
        }
        json_object_end(&x.json);
        arena_done(&x.arena);
}
