/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* For this folder's tests: Worlds from manifests. Whatever is wrong with a fixture ends the test.
 */

#include "base/mem.h"
#include "model/manifest.h"
#include "translate/snapshot.h"

#define FIXTURE_GATEWAY                                                                        \
        "---\n{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: gw, " \
        "namespace: demo}, spec: {gatewayClassName: eg, listeners: [{name: http, protocol: "   \
        "HTTP, port: 10080}]}}\n"
#define FIXTURE_TAILNET                                                                        \
        "---\n{apiVersion: gateway.tailscale.com/v1alpha1, kind: TailscaleTailnet, metadata: " \
        "{name: corp, namespace: demo}, spec: {file: {path: d.json}, magicDNSSuffix: "         \
        "corp.ts.net, proxyAddresses: [\"127.0.0.1:1055\"]}}\n"
/* A TailscaleGateway `name` with one entry "corp" and these egress rules. */
#define FIXTURE_OURS(name, more, egress)                                                       \
        "---\n{apiVersion: gateway.tailscale.com/v1alpha1, kind: TailscaleGateway, metadata: " \
        "{name: " name ", namespace: demo}, spec: {gatewayRef: {name: gw}, " more "tailnets: " \
        "[{name: corp, tailscaleTailnetRef: {name: corp}, routeGeneration: {egress: {" egress  \
        "}}}]}}\n"
#define FIXTURE_HOST "hostPattern: \"{service}.ts.local\", pathPrefix: /, protocol: HTTP"
#define FIXTURE_ENDPOINTS(list)                                                                  \
        "---\n{apiVersion: gateway.tailscale.com/v1alpha1, kind: TailscaleEndpoints, metadata: " \
        "{name: e, namespace: demo}, spec: {tailnet: corp, endpoints: [" list "]}}\n"
#define FIXTURE_API                                                                         \
        "{name: api, tailscaleIP: 100.64.0.1, tailscaleFQDN: api.corp.ts.net, port: 8080, " \
        "protocol: HTTP}"

static inline Str fixture_suffix(const ManifestSet *set, const GatewaySpec *spec, Str tailnet)
{
        for (size_t i = 0; i < spec->n_tailnets; i++) {
                for (size_t j = 0; j < set->kinds[MANIFEST_TAILNET].n; j++) {
                        const TailnetSpec *t = set->kinds[MANIFEST_TAILNET].at[j];
                        if (str_eq(spec->tailnets[i].name, tailnet) &&
                            str_eq(spec->tailnets[i].tailnet_name, t->meta.key.name) &&
                            str_eq(spec->meta.key.namespace, t->meta.key.namespace))
                                return t->magic_dns_suffix;
                }
        }
        return (Str){0};
}

/* Every endpoint of the manifests whose tailnet and namespace are those of an entry. */
static inline const EntryView *fixture_view(const ManifestSet *set, const GatewaySpec *spec,
                                            Str tailnet)
{
        EntryView *v = leaf_new(sizeof(*v), 0, entry_view_drop);
        v->gateway = (ObjectKey){leaf_str(&v->leaf, spec->meta.key.namespace),
                                 leaf_str(&v->leaf, spec->meta.key.name)};
        v->tailnet = leaf_str(&v->leaf, tailnet);
        v->suffix = leaf_str(&v->leaf, fixture_suffix(set, spec, tailnet));
        v->known = true;
        const void *at[256];
        size_t n = 0;
        for (size_t i = 0; i < set->kinds[MANIFEST_ENDPOINTS].n; i++) {
                const EndpointsSpec *e = set->kinds[MANIFEST_ENDPOINTS].at[i];
                if (e->ingress || !str_eq(e->tailnet, tailnet) ||
                    !str_eq(e->meta.key.namespace, spec->meta.key.namespace))
                        continue;
                for (size_t j = 0; j < e->n && n < LENGTH_OF(at); j++)
                        at[n++] = leaf_ref(e->endpoints[j]);
        }
        v->endpoints = table_new(at, n, endpoint_order);
        return v;
}

static inline const Table *fixture_views(const ManifestSet *set)
{
        const void *at[64];
        size_t n = 0;
        for (size_t i = 0; i < set->kinds[MANIFEST_GATEWAY].n; i++) {
                const GatewaySpec *spec = set->kinds[MANIFEST_GATEWAY].at[i];
                for (size_t j = 0; j < spec->n_tailnets && n < LENGTH_OF(at); j++)
                        at[n++] = fixture_view(set, spec, spec->tailnets[j].name);
        }
        return table_new(at, n, entry_view_order);
}

static inline const Table *fixture_states(const ManifestSet *set)
{
        const void *at[64];
        size_t n = 0;
        for (size_t i = 0; i < set->kinds[MANIFEST_TAILNET].n && n < LENGTH_OF(at); i++) {
                const TailnetSpec *spec = set->kinds[MANIFEST_TAILNET].at[i];
                TailnetState *s = leaf_new(sizeof(*s), 0, tailnet_state_drop);
                s->key = (ObjectKey){leaf_str(&s->leaf, spec->meta.key.namespace),
                                     leaf_str(&s->leaf, spec->meta.key.name)};
                s->sync = SYNC_DONE;
                s->suffix = leaf_str(&s->leaf, spec->magic_dns_suffix);
                at[n++] = s;
        }
        return table_new(at, n, tailnet_state_order);
}

/* A complete World; one reference. */
static inline World *fixture_world(const char *manifests)
{
        ManifestSet set;
        Faults faults;
        manifest_set_init(&set);
        faults_init(&faults);
        bool good = manifest_read(&set, STR("fixture.yaml"), str_of(manifests), &faults);
        if (!good) {
                Buf text;
                buf_init(&text, 1 << 16);
                faults_print(&faults, &text);
                print_error("%.*s", STR_FMT(buf_str(&text)));
                buf_done(&text);
        }
        assert_true(good);
        World *w = leaf_new(sizeof(*w), 0, world_drop);
        w->complete = true;
        w->tailnets = manifest_table(&set, MANIFEST_TAILNET, NULL);
        w->gateways = manifest_table(&set, MANIFEST_GATEWAY, NULL);
        w->eg_gateways = manifest_table(&set, MANIFEST_EG_GATEWAY, NULL);
        w->eg_routes = manifest_table(&set, MANIFEST_EG_ROUTE, NULL);
        w->namespaces = manifest_table(&set, MANIFEST_NAMESPACE, NULL);
        w->services = manifest_table(&set, MANIFEST_SERVICE, NULL);
        w->grants = manifest_table(&set, MANIFEST_GRANT, NULL);
        w->statics = manifest_table(&set, MANIFEST_ENDPOINTS, NULL);
        w->bindings = manifest_table(&set, MANIFEST_BINDING, NULL);
        Table *secrets = manifest_table(&set, MANIFEST_SECRET, NULL);
        w->trust = trust_bundles(w->gateways, secrets, NULL);
        table_unref(secrets);
        w->tailnet_states = fixture_states(&set);
        w->entries = fixture_views(&set);
        faults_done(&faults);
        manifest_set_done(&set);
        return w;
}

/* A Snapshot and its Report, of manifests. */
typedef struct Fixture {
        Snapshot *snapshot;
        Report *report;
} Fixture;

static inline Fixture fixture_open(const char *manifests, const Snapshot *before)
{
        World *w = fixture_world(manifests);
        Fixture f = {0};
        f.snapshot = snapshot_new(w, before, &f.report);
        leaf_unref(w);
        return f;
}

static inline void fixture_done(Fixture *f)
{
        f->snapshot = snapshot_unref(f->snapshot);
        f->report = leaf_unref(f->report);
}

/* The row of a service's host (`path` NULL) or path; fails the test where there is none. */
static inline const RouteReport *fixture_row(const Fixture *f, const char *gateway,
                                             const char *service, const char *path)
{
        TABLE_FOREACH (RouteReport, r, f->report->routes) {
                if (str_eq(r->gateway.name, str_of(gateway)) &&
                    str_eq(r->service, str_of(service)) && str_eq(r->path, str_of(path)))
                        return r;
        }
        fail_msg("no row of %s %s %s", gateway, service, path != NULL ? path : "");
        return NULL;
}
