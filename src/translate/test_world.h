/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* For this folder's tests: Worlds from manifests, requests from a few words. Included once by each
 * test; whatever is wrong with a fixture ends the test. */

#include "base/mem.h"
#include "model/manifest.h"
#include "proto/pb_reader.h"
#include "proto/pb_writer.h"
#include "translate/hook.h"

#include "pb_tokens.h"

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
#define FIXTURE_HOST "hostPattern: \"{service}.ts.local\", protocol: HTTP"
#define FIXTURE_ENDPOINTS(list)                                                                  \
        "---\n{apiVersion: gateway.tailscale.com/v1alpha1, kind: TailscaleEndpoints, metadata: " \
        "{name: e, namespace: demo}, spec: {tailnet: corp, endpoints: [" list "]}}\n"
#define FIXTURE_API                                                                         \
        "{name: api, tailscaleIP: 100.64.0.1, tailscaleFQDN: api.corp.ts.net, port: 8080, " \
        "protocol: HTTP}"

/* Every endpoint of the manifests whose tailnet and namespace are those of an entry. */
static inline const EntryView *fixture_view(const ManifestSet *set, const GatewaySpec *spec,
                                            Str tailnet)
{
        EntryView *v = leaf_new(sizeof(*v), 0, entry_view_drop);
        v->gateway = (ObjectKey){leaf_str(&v->leaf, spec->meta.key.namespace),
                                 leaf_str(&v->leaf, spec->meta.key.name)};
        v->tailnet = leaf_str(&v->leaf, tailnet);
        v->known = true;
        const void *at[256];
        size_t n = 0;
        for (size_t i = 0; i < set->kinds[MANIFEST_ENDPOINTS].n; i++) {
                const EndpointsSpec *e = set->kinds[MANIFEST_ENDPOINTS].at[i];
                if (!str_eq(e->tailnet, tailnet) ||
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
        w->bindings = manifest_table(&set, MANIFEST_BINDING, NULL);
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

/* -- Requests -------------------------------------------------------------------------------- */

typedef struct Request {
        Buf bytes;
        PbWriter w;
} Request;

static inline void request_open(Request *r)
{
        buf_init(&r->bytes, HOOK_ANSWER_MAX);
        pb_writer_init(&r->w, &r->bytes);
}

static inline void request_binding(Request *r, const char *json)
{
        pb_begin(&r->w, PB_PostTranslateModifyRequest_post_translate_context);
        pb_begin(&r->w, PB_PostTranslateExtensionContext_extension_resources);
        pb_bytes(&r->w, PB_ExtensionResource_unstructured_bytes, str_of(json));
        pb_end(&r->w);
        pb_end(&r->w);
}

static inline void request_struct_field(PbWriter *w, const char *key, const char *value)
{
        pb_begin(w, PB_Struct_fields);
        pb_str(w, PB_Struct_fields_key, str_of(key));
        pb_begin(w, PB_Struct_fields_value);
        pb_str(w, PB_Value_string_value, str_of(value));
        pb_end(w);
        pb_end(w);
}

/* Envoy Gateway's mark: metadata "kind/namespace/name/section". */
static inline void request_resource(PbWriter *w, PbMsg metadata, const char *kind,
                                    const char *namespace, const char *name)
{
        pb_begin(w, metadata);
        pb_begin(w, PB_Metadata_filter_metadata);
        pb_str(w, PB_Metadata_filter_metadata_key, STR("envoy-gateway"));
        pb_begin(w, PB_Metadata_filter_metadata_value);
        pb_begin(w, PB_Struct_fields);
        pb_str(w, PB_Struct_fields_key, STR("resources"));
        pb_begin(w, PB_Struct_fields_value);
        pb_begin(w, PB_Value_list_value);
        pb_begin(w, PB_ListValue_values);
        pb_begin(w, PB_Value_struct_value);
        request_struct_field(w, "kind", kind);
        request_struct_field(w, "name", name);
        request_struct_field(w, "namespace", namespace);
        request_struct_field(w, "sectionName", "http");
        for (int i = 0; i < 8; i++)
                pb_end(w);
}

/* One route of an HTTPRoute, with or without a JWT filter. */
static inline void request_route(PbWriter *w, const char *namespace, bool auth)
{
        pb_begin(w, PB_VirtualHost_routes);
        pb_begin(w, PB_Route_match);
        pb_str(w, PB_RouteMatch_prefix, STR("/"));
        pb_end(w);
        request_resource(w, PB_Route_metadata, "HTTPRoute", namespace, "web");
        if (auth) {
                pb_begin(w, PB_Route_typed_per_filter_config);
                pb_str(w, PB_Route_typed_per_filter_config_key,
                       STR("envoy.filters.http.jwt_authn"));
                pb_end(w);
        }
        pb_str(w, PB_Route_name, STR("httproute/x/web/rule/0/match/0/host"));
        pb_end(w);
}

/* A virtual host of Gateway demo/gw with one route. */
static inline void request_vhost_body(PbWriter *w, const char *domain, const char *namespace,
                                      bool auth)
{
        pb_str(w, PB_VirtualHost_name, str_of(domain));
        pb_str(w, PB_VirtualHost_domains, str_of(domain));
        request_route(w, namespace, auth);
        request_resource(w, PB_VirtualHost_metadata, "", "demo", "gw");
}

static inline void request_vhost(Request *r, const char *domain, const char *namespace, bool auth)
{
        pb_begin(&r->w, PB_RouteConfiguration_virtual_hosts);
        request_vhost_body(&r->w, domain, namespace, auth);
        pb_end(&r->w);
}

static inline void request_routes_begin(Request *r, const char *name)
{
        pb_begin(&r->w, PB_PostTranslateModifyRequest_routes);
        pb_str(&r->w, PB_RouteConfiguration_name, str_of(name));
}

static inline void request_routes_end(Request *r)
{
        pb_end(&r->w);
}

static inline void request_done(Request *r)
{
        pb_writer_done(&r->w);
        buf_done(&r->bytes);
}

/* -- Answers --------------------------------------------------------------------------------- */

typedef struct Answer {
        Buf bytes;
        HookResult result;
        HookVerdict verdict;
} Answer;

static inline Answer answer_bytes(const Snapshot *s, HookMethod method, Str request, bool may_wait)
{
        Answer a;
        buf_init(&a.bytes, HOOK_ANSWER_MAX);
        a.verdict = hook_answer(s, method, request, may_wait, &a.bytes, &a.result);
        return a;
}

static inline Answer answer_of(const Snapshot *s, const Request *r)
{
        return answer_bytes(s, HOOK_TRANSLATE, buf_str(&r->bytes), false);
}

static inline void answer_done(Answer *a)
{
        buf_done(&a->bytes);
}

/* The virtual host with that domain in any RouteConfiguration of the answer; how many there are. */
static inline size_t answer_vhost(const Answer *a, const char *domain, Str *ret)
{
        size_t n = 0;
        PbReader r = pb_reader(buf_str(&a->bytes));
        for (Str routes; pb_next_len(&r, PBN_PostTranslateModifyResponse_routes, &routes);) {
                PbReader v = pb_reader(routes);
                for (Str vhost; pb_next_len(&v, PBN_RouteConfiguration_virtual_hosts, &vhost);) {
                        PbReader d = pb_reader(vhost);
                        for (Str at; pb_next_len(&d, PBN_VirtualHost_domains, &at);) {
                                if (!str_eq(at, str_of(domain)))
                                        continue;
                                n++;
                                *ret = vhost;
                        }
                }
        }
        return n;
}

static inline size_t count_fields(Str message, uint32_t number)
{
        size_t n = 0;
        PbReader r = pb_reader(message);
        for (Str body; pb_next_len(&r, number, &body);)
                n++;
        return n;
}

/* The i-th route of a virtual host. */
static inline Str nth_route(Str vhost, size_t i)
{
        PbReader r = pb_reader(vhost);
        for (Str body; pb_next_len(&r, PBN_VirtualHost_routes, &body); i--) {
                if (i == 0)
                        return body;
        }
        return (Str){0};
}
