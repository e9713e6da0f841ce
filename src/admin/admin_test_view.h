/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For the tests of the pages: what is shown of a gateway that has just started, of one that has not
 * read everything, of one that has something of each kind, and of one whose every name is hostile.
 * The test includes cmocka before this.
 */
#include <stdio.h>

#include "admin/admin.h"
#include "base/mem.h"
#include "model/manifest.h"
#include "net/grpc_server.h"

typedef enum ViewKind {
        VIEW_EMPTY,
        VIEW_INCOMPLETE,
        VIEW_FULL,
        VIEW_HOSTILE,
        VIEW_KINDS,
} ViewKind;

typedef struct TestView {
        World *world;
        Report *report;
        const Snapshot *snapshot;
        Facts facts;
        GrpcServerCounters grpc;
        AdminView view;
        ProbeFact probe;
        const ProbeFact *probes[1]; /* of the one endpoint */
} TestView;

/* Ends strings and lines, is no UTF-8, and looks like what is around it. */
#define HOSTILE "x\"} 1\n# TYPE y\\\x01\x7f\xff\xc3\xe2\x80\xa8</script>"

static const char view_manifests[] =
        "apiVersion: gateway.networking.k8s.io/v1\n"
        "kind: Gateway\n"
        "metadata: {name: gw, namespace: demo}\n"
        "spec: {gatewayClassName: eg, listeners: [{name: http, port: 80, protocol: HTTP}]}\n"
        "---\n"
        "apiVersion: gateway.tailscale.com/v1alpha1\n"
        "kind: TailscaleTailnet\n"
        "metadata: {name: corp, namespace: demo}\n"
        "spec: {file: {path: d.list}, proxyAddresses: ['127.0.0.1:1055']}\n"
        "---\n"
        "apiVersion: gateway.tailscale.com/v1alpha1\n"
        "kind: TailscaleGateway\n"
        "metadata: {name: tg, namespace: demo}\n"
        "spec:\n"
        "  gatewayRef: {name: gw}\n"
        "  tailnets:\n"
        "  - name: corp\n"
        "    tailscaleTailnetRef: {name: corp}\n"
        "    routeGeneration:\n"
        "      egress: {hostPattern: '{service}.tailscale.local', pathPrefix: '/t/{service}/'}\n";

static inline const Table *view_table(const void *leaf, TableOrder *order)
{
        return table_new(&leaf, 1, order);
}

static inline const Table *view_endpoints(Str name)
{
        Str tag = name;
        Endpoint e = {.service = name,
                      .ip = STR("100.64.0.1"),
                      .fqdn = name,
                      .node_id = name,
                      .short_name = name,
                      .port_source = name,
                      .rule = name,
                      .health = name,
                      .tags = {&tag, 1},
                      .port = 80,
                      .protocol = PROTOCOL_HTTP,
                      .weight = 1};
        return view_table(endpoint_new(&e), endpoint_order);
}

static inline const LeftOutList *view_left_out(Str name)
{
        LeftOut like = {name, name, name, name};
        LeftOutRow row = left_out_row(&like, NULL, 0, &(LeftOutRow){0});
        return left_out_list_new(&row, 1, NULL, 0);
}

/* `name` lives as long as the program; so do the strings of all that is made here. */
static inline const Table *view_entries(ObjectKey gateway, Str tailnet, Str name)
{
        EntryView *v = leaf_new(sizeof *v, 0, entry_view_drop);
        v->gateway = gateway;
        v->tailnet = tailnet;
        v->known = true;
        v->endpoints = view_endpoints(name);
        v->left_out = view_left_out(name);
        v->n_left_out = 1;
        v->held = (HeldRemoval){2, 1, name, name};
        return view_table(v, entry_view_order);
}

static inline void view_set(const Table **slot, const Table *fresh)
{
        table_unref(*slot);
        *slot = fresh;
}

static inline void view_read_manifests(World *w)
{
        CLEANUP(manifest_set_done) ManifestSet set;
        CLEANUP(faults_done) Faults faults;
        manifest_set_init(&set);
        faults_init(&faults);
        assert_true(manifest_read(&set, STR("/x/m.yaml"), str_of(view_manifests), &faults));
        view_set(&w->tailnets, manifest_table(&set, MANIFEST_TAILNET, NULL));
        view_set(&w->gateways, manifest_table(&set, MANIFEST_GATEWAY, NULL));
        view_set(&w->eg_gateways, manifest_table(&set, MANIFEST_EG_GATEWAY, NULL));
}

static inline void view_copy(char *to, size_t room, Str from)
{
        IGNORE(snprintf(to, room, "%.*s", STR_FMT(from)), "cut at its size");
}

static inline void view_facts(Facts *f, ObjectKey tailnet, ObjectKey eg_gateway, Str text)
{
        SourceFact *t = &facts_tailnet(f, tailnet)->sources[SOURCE_PRIMARY];
        t->name = "api";
        t->polls = 5;
        t->failures = t->failures_in_a_row = 1;
        t->last_sync = (Wall){INT64_C(1795384364321)};
        view_copy(t->reason, sizeof t->reason, text);
        view_copy(t->error, sizeof t->error, text);
        HookFact *h = facts_hook(f, eg_gateway);
        h->calls = 3;
        h->owes_attempt = true;
        view_copy(h->asked, sizeof h->asked, text);
        view_copy(h->served, sizeof h->served, text);
        GapNotes notes = {0};
        gap_notes_add(&notes, &(AnswerGap){.reason = GAP_AUTH,
                                           .host = text,
                                           .where = text,
                                           .listener = text,
                                           .cluster = text,
                                           .n = 2});
        h->gaps = answer_gaps_update(h->gaps, &notes);
        view_copy(h->error, sizeof h->error, text);
        facts_hook(f, (ObjectKey){text, text})->calls = 1;
        view_copy(f->resources.error, sizeof f->resources.error, text);
        view_copy(f->generated.error, sizeof f->generated.error, text);
        f->kube.used = true;
        f->kube.n_kinds = 1;
        f->kube.kinds[0] = (KubeKindFact){
                .kind = "TailscaleGateway", .objects = 2, .invalid = 1, .err = ERR_DENIED};
        view_copy(f->kube.kinds[0].error, sizeof f->kube.kinds[0].error, text);
        metric_observe(&f->counters.seconds, 0.002);
}

/* As translate would report it, were such names let in. */
static inline Report *view_hostile_report(ObjectKey key, Str name)
{
        Report *r = leaf_new(sizeof *r, 0, report_drop);
        RouteReport *route = leaf_new(sizeof *route, 0, NULL);
        route->gateway = route->eg_gateway = key;
        route->tailnet = route->service = route->listener = route->host = name;
        route->path = route->cluster = route->reason = route->text = name;
        EntryReport *entry = leaf_new(sizeof *entry, 0, NULL);
        entry->gateway = key;
        entry->tailnet = entry->reason = entry->text = name;
        GatewayReport *gateway = leaf_new(sizeof *gateway, 0, NULL);
        gateway->eg_gateway = key;
        view_copy(gateway->revision, sizeof gateway->revision, name);
        r->routes = view_table(route, route_report_order);
        r->entries = view_table(entry, entry_report_order);
        r->gateways = view_table(gateway, gateway_report_order);
        return r;
}

/* The one endpoint is probed. */
static inline void view_probe(TestView *t)
{
        const EntryView *v = t->world->entries->at[0];
        const Endpoint *e = v->endpoints->at[0];
        t->probe = (ProbeFact){.gateway = v->gateway,
                               .tailnet = v->tailnet,
                               .service = e->service,
                               .ip = e->ip,
                               .port = e->port,
                               .protocol = e->protocol,
                               .verdict = PROBE_UNHEALTHY,
                               .failed = 3,
                               .last = {INT64_C(1795384390000)},
                               .since = {INT64_C(1795384390000)}};
        snprintf(t->probe.error, sizeof t->probe.error, "%.*s", STR_FMT(e->service));
        t->probes[0] = &t->probe;
        t->facts.probes = t->probes;
        t->facts.n_probes = 1;
}

static inline void view_make_hostile(TestView *t)
{
        Str name = STR(HOSTILE);
        ObjectKey key = {name, name};
        TailnetSpec *spec = leaf_new(sizeof *spec, 0, NULL);
        spec->meta.key = key;
        spec->api_url = name;
        TailnetState *state = leaf_new(sizeof *state, 0, tailnet_state_drop);
        state->key = key;
        state->sync = SYNC_STALE;
        state->error_reason = state->error_text = state->suffix = name;
        view_set(&t->world->tailnets, view_table(spec, tailnet_spec_order));
        view_set(&t->world->tailnet_states, view_table(state, tailnet_state_order));
        view_set(&t->world->entries, view_entries(key, name, name));
        t->report = view_hostile_report(key, name);
        view_facts(&t->facts, key, key, name);
        view_probe(t);
}

static inline void view_make_full(TestView *t)
{
        ObjectKey tailnet = {STR("demo"), STR("corp")};
        view_read_manifests(t->world);
        view_set(&t->world->entries,
                 view_entries((ObjectKey){STR("demo"), STR("tg")}, STR("corp"), STR("api")));
        t->world->resources_read = t->world->complete = true;
        t->snapshot = snapshot_new(t->world, NULL, &t->report);
        view_facts(&t->facts, tailnet, (ObjectKey){STR("demo"), STR("gw")}, STR("r1"));
        view_probe(t);
}

static inline void test_view_open(TestView *t, ViewKind kind)
{
        *t = (TestView){.world = world_new_empty()};
        facts_init(&t->facts);
        t->facts.started = (Wall){INT64_C(1795384300000)};
        if (kind == VIEW_HOSTILE)
                view_make_hostile(t);
        if (kind == VIEW_FULL)
                view_make_full(t);
        if (kind == VIEW_INCOMPLETE) {
                view_read_manifests(t->world);
                t->world->resources_read = true;
                t->snapshot = snapshot_new(t->world, NULL, &t->report);
        }
        t->view = (AdminView){
                .world = t->world,
                .report = t->report,
                .snapshot = t->snapshot,
                .facts = &t->facts,
                .now = {INT64_C(1795384400000)},
                .metrics = {{&grpc_server_metrics, &t->grpc, ""}},
                .n_metrics = 1,
        };
}

/* Envoy Gateway has asked for what is wanted, and was given all of it. */
static inline void view_serve(TestView *t)
{
        TABLE_FOREACH (GatewayReport, g, t->report->gateways) {
                HookFact *h = facts_hook(&t->facts, g->eg_gateway);
                view_copy(h->asked, sizeof h->asked, str_of(g->revision));
                view_copy(h->served, sizeof h->served, str_of(g->revision));
                h->gaps = answer_gaps_update(h->gaps, &(GapNotes){0});
        }
}

static inline void test_view_close(TestView *t)
{
        snapshot_unref(t->snapshot);
        leaf_unref(t->report);
        leaf_unref(t->world);
        facts_done(&t->facts);
}
