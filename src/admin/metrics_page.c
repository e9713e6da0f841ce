/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /metrics. Each family is a row of a table: its name, help, and the function that gives the value
 * of one object, so that HELP and TYPE stand once and a new metric is one line.
 */
#include "admin/admin.h"
#include "admin/exposition.h"
#include "admin/process_info.h"
#include "admin/tailnet_pages.h"

#include <stdio.h>

/* ---- what discovery found ---- */

typedef struct ViewRow {
        const char *name, *help;
        uint64_t (*value)(const EntryView *e);
} ViewRow;

static uint64_t view_endpoints(const EntryView *e)
{
        return table_n(e->endpoints);
}
static uint64_t view_left_out(const EntryView *e)
{
        return e->n_left_out;
}

static const ViewRow view_rows[] = {
        {"tailscale_gateway_endpoints", "Endpoints in force.", view_endpoints},
        {"tailscale_gateway_left_out_devices", "Devices that no endpoint was made of.",
         view_left_out},
};

static void put_views(const AdminView *v, Buf *out)
{
        for (size_t r = 0; r < LENGTH_OF(view_rows); r++) {
                exposition_family(out, view_rows[r].name, "gauge", view_rows[r].help);
                TABLE_FOREACH (EntryView, e, v->world->entries) {
                        char buf[OBJECT_KEY_TEXT];
                        Label labels[] = {{"tailscale_gateway", object_key_text(e->gateway, buf)},
                                          {"tailnet", e->tailnet}};
                        if (e->known)
                                exposition_u64(out, view_rows[r].name, labels, 2,
                                               view_rows[r].value(e));
                }
        }
}

/* One sample of each entry, so that the reason of what is over leaves no series that stands. */
static void put_held(const AdminView *v, Buf *out)
{
        const char *name = "tailscale_gateway_held_endpoints";
        exposition_family(out, name, "gauge",
                          "Endpoints that the removal guard keeps although the list lacks them.");
        TABLE_FOREACH (EntryView, e, v->world->entries) {
                char buf[OBJECT_KEY_TEXT];
                Label labels[] = {{"tailscale_gateway", object_key_text(e->gateway, buf)},
                                  {"tailnet", e->tailnet},
                                  {"reason", e->held.n > 0 ? e->held.reason : (Str){0}}};
                if (e->known)
                        exposition_u64(out, name, labels, LENGTH_OF(labels), e->held.n);
        }
}

/* ---- what probes found ---- */

static void put_probes(const AdminView *v, Buf *out)
{
        static const char healthy[] = "tailscale_gateway_probe_healthy";
        static const char total[] = "tailscale_gateway_probes_total";
        exposition_family(out, healthy, "gauge",
                          "1 where our own probes say that the endpoint is healthy, 0 where not.");
        for (size_t i = 0; i < v->facts->n_probes; i++) {
                const ProbeFact *f = v->facts->probes[i];
                char buf[OBJECT_KEY_TEXT], port[8];
                IGNORE(snprintf(port, sizeof port, "%u", (unsigned)f->port), "a port fits");
                Label labels[] = {{"tailscale_gateway", object_key_text(f->gateway, buf)},
                                  {"tailnet", f->tailnet},
                                  {"service", f->service},
                                  {"address", f->ip},
                                  {"port", str_of(port)}};
                if (f->verdict != PROBE_UNKNOWN)
                        exposition_u64(out, healthy, labels, LENGTH_OF(labels),
                                       f->verdict == PROBE_HEALTHY);
        }
        exposition_family(out, total, "counter", "Probes of endpoints that ended, by result.");
        exposition_u64(out, total, &(Label){"result", STR("ok")}, 1, v->facts->probes_ok);
        exposition_u64(out, total, &(Label){"result", STR("failed")}, 1, v->facts->probes_failed);
}

/* ---- the way in from tailnets ---- */

static void put_serves(const AdminView *v, Buf *out)
{
        static const char ports[] = "tailscale_gateway_serve_ports";
        const ServeCounts *c = &v->facts->serve_counts;
        const struct {
                const char *name, *help;
                uint64_t value;
        } rows[] = {
                {"tailscale_gateway_serve_reads_total",
                 "Serve configurations of tailscaleds that were read.", c->reads},
                {"tailscale_gateway_serve_writes_total", "Serve configurations that were set.",
                 c->writes},
                {"tailscale_gateway_serve_conflicts_total",
                 "Writes that were refused because it was changed since it was read.",
                 c->conflicts},
                {"tailscale_gateway_serve_failures_total", "Reads and writes that failed.",
                 c->failures},
        };
        size_t serving = 0;
        for (size_t i = 0; i < v->facts->n_serves; i++)
                serving += v->facts->serves[i].is_serving;
        exposition_family(out, ports, "gauge", "Ports of tailnets that are to lead to Envoy.");
        exposition_u64(out, ports, &(Label){"state", STR("serving")}, 1, serving);
        exposition_u64(out, ports, &(Label){"state", STR("not-serving")}, 1,
                       v->facts->n_serves - serving);
        for (size_t i = 0; i < LENGTH_OF(rows); i++) {
                exposition_family(out, rows[i].name, "counter", rows[i].help);
                exposition_u64(out, rows[i].name, NULL, 0, rows[i].value);
        }
}

/* ---- what translate decided ---- */

typedef struct EntryRow {
        const char *name, *help;
        uint64_t (*value)(const EntryReport *e);
} EntryRow;

static uint64_t entry_hosts(const EntryReport *e)
{
        return e->hosts;
}
static uint64_t entry_paths(const EntryReport *e)
{
        return e->paths;
}
static uint64_t entry_ports(const EntryReport *e)
{
        return e->ports;
}
static uint64_t entry_conflicts(const EntryReport *e)
{
        return e->conflicts;
}

static const EntryRow entry_rows[] = {
        {"tailscale_gateway_hosts", "Hosts that are programmed.", entry_hosts},
        {"tailscale_gateway_paths", "Paths that are programmed.", entry_paths},
        {"tailscale_gateway_ports", "TCP and UDP listeners that lead to a service.", entry_ports},
        {"tailscale_gateway_conflicts", "Hosts, paths and ports that lost to another claimant.",
         entry_conflicts},
};

static void put_entries(const AdminView *v, Buf *out)
{
        for (size_t r = 0; r < LENGTH_OF(entry_rows); r++) {
                exposition_family(out, entry_rows[r].name, "gauge", entry_rows[r].help);
                TABLE_FOREACH (EntryReport, e, v->report != NULL ? v->report->entries : NULL) {
                        char buf[OBJECT_KEY_TEXT];
                        Label labels[] = {{"tailscale_gateway", object_key_text(e->gateway, buf)},
                                          {"tailnet", e->tailnet}};
                        exposition_u64(out, entry_rows[r].name, labels, 2, entry_rows[r].value(e));
                }
        }
}

static void put_programmed(const AdminView *v, Buf *out)
{
        const char *name = "tailscale_gateway_programmed";
        AnsweredInput input = admin_answered(v);
        Answered a CLEANUP(answered_done) = answered_make(&input);
        exposition_family(out, name, "gauge",
                          "1 where Envoy Gateway was last given the wanted revision, and something "
                          "of the tailnet in it.");
        TABLE_FOREACH (EntryReport, e, v->report != NULL ? v->report->entries : NULL) {
                char buf[OBJECT_KEY_TEXT];
                AnsweredEntry answered;
                Label labels[] = {{"tailscale_gateway", object_key_text(e->gateway, buf)},
                                  {"tailnet", e->tailnet}};
                answered_entry(&a, (EntryKey){e->gateway, e->tailnet}, &answered);
                exposition_u64(out, name, labels, 2, answered.programmed);
        }
}

/* ---- revisions and hooks ---- */

static void put_revisions(const AdminView *v, Buf *out, const char *name, const char *help,
                          bool served)
{
        exposition_family(out, name, "gauge", help);
        TABLE_FOREACH (GatewayReport, g, v->report != NULL ? v->report->gateways : NULL) {
                const HookFact *f = facts_find_hook(v->facts, g->eg_gateway);
                Str revision = str_of(!served ? g->revision : f != NULL ? f->served : "");
                if (revision.n == 0)
                        continue;
                char buf[OBJECT_KEY_TEXT];
                Label labels[] = {{"gateway", object_key_text(g->eg_gateway, buf)},
                                  {"revision", revision}};
                exposition_u64(out, name, labels, 2, 1);
        }
}

static void put_converged(const AdminView *v, Buf *out)
{
        const char *name = "tailscale_gateway_revision_served";
        AnsweredInput input = admin_answered(v);
        exposition_family(out, name, "gauge",
                          "1 where Envoy Gateway was last given the wanted revision.");
        TABLE_FOREACH (GatewayReport, g, v->report != NULL ? v->report->gateways : NULL) {
                char buf[OBJECT_KEY_TEXT];
                Label label = {"gateway", object_key_text(g->eg_gateway, buf)};
                exposition_u64(out, name, &label, 1, answered_is_served(&input, g));
        }
}

/* Reasons that the last answer had no use for have no row. */
static void put_gaps(const AdminView *v, Buf *out)
{
        const char *name = "tailscale_gateway_left_out_routes";
        exposition_family(out, name, "gauge",
                          "Hosts and paths that the last answer to Envoy Gateway was without.");
        for (size_t i = 0; i < v->facts->n_hooks; i++) {
                const HookFact *f = &v->facts->hooks[i];
                for (size_t r = 0; f->gaps != NULL && r < GAP_REASONS; r++) {
                        char buf[OBJECT_KEY_TEXT];
                        Label labels[] = {{"gateway", object_key_text(f->eg_gateway, buf)},
                                          {"reason", gap_reason_name((GapReason)r)}};
                        if (f->gaps->by_reason[r] > 0)
                                exposition_u64(out, name, labels, 2, f->gaps->by_reason[r]);
                }
        }
}

static void put_hooks(const AdminView *v, Buf *out)
{
        static const char *const methods[] = {"PostRouteModify",        "PostVirtualHostModify",
                                              "PostHTTPListenerModify", "PostClusterModify",
                                              "PostEndpointsModify",    "PostTranslateModify"};
        const HookCounters *n = &v->facts->counters;
        const char *calls = "tailscale_gateway_hook_calls_total";
        exposition_family(out, calls, "counter", "Hook calls of Envoy Gateway that were answered.");
        for (size_t i = 0; i < LENGTH_OF(methods); i++) {
                Label label = {"method", str_of(methods[i])};
                exposition_u64(out, calls, &label, 1, n->calls[i]);
        }
        const struct {
                const char *name, *help;
                uint64_t value;
        } rows[] = {
                {"tailscale_gateway_hook_unchanged_total", "Calls whose input was given back.",
                 n->unchanged},
                {"tailscale_gateway_hook_unavailable_total",
                 "Calls refused because something was not read yet.", n->unavailable},
                {"tailscale_gateway_hook_invalid_total", "Calls refused because of their content.",
                 n->invalid},
                {"tailscale_gateway_hook_parked_total", "Calls that waited for a revision.",
                 n->parked},
        };
        for (size_t i = 0; i < LENGTH_OF(rows); i++) {
                exposition_family(out, rows[i].name, "counter", rows[i].help);
                exposition_u64(out, rows[i].name, NULL, 0, rows[i].value);
        }
        exposition_histogram(out, "tailscale_gateway_hook_duration_seconds",
                             "Time to make one answer.", &n->seconds);
}

/* ---- webhooks ---- */

static void put_webhooks(const AdminView *v, Buf *out)
{
        static const char *const results[WEBHOOK_RESULTS] = {
                [WEBHOOK_TAKEN] = "taken",       [WEBHOOK_UNSIGNED] = "unsigned",
                [WEBHOOK_FORGED] = "forged",     [WEBHOOK_UNTIMELY] = "untimely",
                [WEBHOOK_REPLAYED] = "replayed", [WEBHOOK_CROWDED] = "crowded",
                [WEBHOOK_UNKNOWN] = "unknown",
        };
        const WebhookFact *f = &v->facts->webhooks;
        const char *received = "tailscale_gateway_webhooks_total";
        const char *events = "tailscale_gateway_webhook_events_total";

        exposition_family(out, received, "counter", "Messages to the webhook address.");
        for (size_t i = 0; i < WEBHOOK_RESULTS; i++) {
                Label label = {"result", str_of(results[i])};
                exposition_u64(out, received, &label, 1, f->received[i]);
        }
        exposition_family(out, events, "counter", "Events in the messages that were taken.");
        exposition_u64(out, events, NULL, 0, f->events);
}

/* ---- directories ---- */

static void put_dirs(const AdminView *v, Buf *out)
{
        const struct {
                const char *label;
                const DirFact *f;
        } dirs[] = {{"resources", &v->facts->resources},
                    {"gateway-resources", &v->facts->gateway_resources}};
        const char *broken = "tailscale_gateway_resources_broken";
        const char *failures = "tailscale_gateway_resources_failures_total";
        exposition_family(out, broken, "gauge",
                          "1 where the directory holds a fault and what was good is in force.");
        for (size_t i = 0; i < LENGTH_OF(dirs); i++) {
                Label label = {"directory", str_of(dirs[i].label)};
                exposition_u64(out, broken, &label, 1, dirs[i].f->error[0] != '\0');
        }
        exposition_family(out, failures, "counter", "Readings of the directory that were refused.");
        for (size_t i = 0; i < LENGTH_OF(dirs); i++) {
                Label label = {"directory", str_of(dirs[i].label)};
                exposition_u64(out, failures, &label, 1, dirs[i].f->failures);
        }
        exposition_family(out, "tailscale_gateway_generated_writes_total", "counter",
                          "Generated files written.");
        exposition_u64(out, "tailscale_gateway_generated_writes_total", NULL, 0,
                       v->facts->generated.writes);
        exposition_family(out, "tailscale_gateway_generated_failures_total", "counter",
                          "Writes that failed.");
        exposition_u64(out, "tailscale_gateway_generated_failures_total", NULL, 0,
                       v->facts->generated.failures);
}

/* ---- an API server ---- */

typedef struct KindRow {
        const char *name, *help;
        uint64_t (*value)(const KubeKindFact *k);
} KindRow;

static uint64_t kind_invalid(const KubeKindFact *k)
{
        return k->invalid;
}
static uint64_t kind_fails(const KubeKindFact *k)
{
        return k->err != ERR_NONE && !k->optional;
}

static const KindRow kind_rows[] = {
        {"tailscale_gateway_kube_invalid_objects",
         "Objects that are not valid; what was good of them is in force.", kind_invalid},
        {"tailscale_gateway_kube_kind_unreadable",
         "1 where objects of the kind cannot be read now; what was read is in force.", kind_fails},
};

static void put_kinds(const AdminView *v, Buf *out)
{
        const KubeFact *f = &v->facts->kube;
        for (size_t r = 0; r < LENGTH_OF(kind_rows); r++) {
                exposition_family(out, kind_rows[r].name, "gauge", kind_rows[r].help);
                for (size_t i = 0; i < f->n_kinds; i++) {
                        Label label = {"kind", str_of(f->kinds[i].kind)};
                        exposition_u64(out, kind_rows[r].name, &label, 1,
                                       kind_rows[r].value(&f->kinds[i]));
                }
        }
}

/* Objects of one table stand side by side. */
static void put_tables(const AdminView *v, Buf *out)
{
        MetricObject objects[ADMIN_METRICS_MAX];

        for (size_t i = 0, n; i < v->n_metrics; i += n) {
                const MetricTable *table = v->metrics[i].table;

                for (n = 0; i + n < v->n_metrics && v->metrics[i + n].table == table; n++)
                        objects[n] =
                                (MetricObject){v->metrics[i + n].object, v->metrics[i + n].labels};
                exposition_table(out, table, objects, n);
        }
}

void metrics_page(const AdminView *v, Buf *out)
{
        Label version = {"version", STR(TSGW_VERSION)};
        exposition_family(out, "tailscale_gateway_build_info", "gauge", "Always 1.");
        exposition_u64(out, "tailscale_gateway_build_info", &version, 1, 1);
        exposition_family(out, "tailscale_gateway_ready", "gauge",
                          "1 where all has been read and hooks are answered.");
        exposition_u64(out, "tailscale_gateway_ready", NULL, 0,
                       v->world->complete && v->snapshot != NULL);
        put_dirs(v, out);
        put_kinds(v, out);
        tailnet_pages_metrics(v, out);
        put_webhooks(v, out);
        put_views(v, out);
        put_held(v, out);
        put_probes(v, out);
        put_serves(v, out);
        put_entries(v, out);
        put_programmed(v, out);
        put_revisions(v, out, "tailscale_gateway_revision_wanted_info",
                      "The revision that is wanted.", false);
        put_revisions(v, out, "tailscale_gateway_revision_served_info",
                      "The revision that was last answered.", true);
        put_converged(v, out);
        put_gaps(v, out);
        put_hooks(v, out);
        put_tables(v, out);
        process_info_page(out, (double)v->facts->started.ms / 1000);
}
