/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole requests against a fixed Snapshot of two Gateways, which may be merged. The first byte
 * chooses the method and whether the call may wait. What is answered must be a message; what of it
 * is not ours must be what of the request is not ours, in the same order; and no domain of ours may
 * be there twice.
 */
#include "base/mem.h"
#include "model/manifest.h"
#include "proto/pb_reader.h"
#include "proto/pb_writer.h"
#include "translate/hook.h"
#include "translate/xds_view.h"

#include <stdlib.h>

#include "pb_tokens.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char manifests[] =
        "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: gw, namespace: "
        "demo}, spec: "
        "{gatewayClassName: eg, listeners: [{name: http, protocol: HTTP, port: 10080}]}}\n"
        "---\n"
        "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: second, "
        "namespace: demo}, spec: "
        "{gatewayClassName: eg, listeners: [{name: http, protocol: HTTP, port: 10080}]}}\n"
        "---\n"
        "{apiVersion: gateway.tailscale.com/v1alpha1, kind: TailscaleTailnet, metadata: {name: "
        "corp, namespace: "
        "demo}, spec: {file: {path: d.json}, proxyAddresses: [\"127.0.0.1:1055\"]}}\n"
        "---\n"
        "{apiVersion: gateway.tailscale.com/v1alpha1, kind: TailscaleGateway, metadata: {name: "
        "corp, namespace: "
        "demo}, spec: {gatewayRef: {name: gw}, tailnets: [{name: corp, tailscaleTailnetRef: {name: "
        "corp}, "
        "routeGeneration: {egress: {hostPattern: \"{service}.example.com\", pathPrefix: "
        "\"/t/{service}/\", "
        "protocol: HTTP, overrideHosts: true, pathHosts: [\"*\", \"*.example.com\", "
        "\"open.example.com\"]}}}]}}\n"
        "---\n"
        "{apiVersion: gateway.tailscale.com/v1alpha1, kind: TailscaleGateway, metadata: {name: "
        "two, namespace: demo}, spec: {gatewayRef: {name: second}, priority: 1, tailnets: [{name: "
        "more, tailscaleTailnetRef: {name: corp}, routeGeneration: {egress: {hostPattern: "
        "\"{service}.example.com\", pathPrefix: \"/t/{service}/\", protocol: HTTP}}}]}}\n"
        "---\n"
        "{apiVersion: gateway.tailscale.com/v1alpha1, kind: TailscaleEndpoints, metadata: {name: "
        "e, namespace: demo}, "
        "spec: {tailnet: corp, endpoints: [{name: www, tailscaleIP: 100.64.0.1, port: 80, "
        "protocol: HTTP}, {name: "
        "b, tailscaleIP: 100.64.0.2, port: 80, protocol: GRPC}]}}\n"
        "---\n"
        "{apiVersion: gateway.tailscale.com/v1alpha1, kind: TailscaleEndpoints, metadata: {name: "
        "f, namespace: demo}, "
        "spec: {tailnet: more, endpoints: [{name: www, tailscaleIP: 100.64.0.3, port: 80, "
        "protocol: HTTP}, {name: "
        "c, tailscaleIP: 100.64.0.4, port: 80, protocol: HTTP}]}}\n";

static void demand(bool is_true)
{
        if (!is_true)
                abort();
}

/* All endpoints of one object for the entry of its tailnet. */
static EntryView *make_view(const EndpointsSpec *spec, Str gateway)
{
        const void **leaves = mem_new_array(spec->n, sizeof(void *));
        for (size_t i = 0; i < spec->n; i++)
                leaves[i] = leaf_ref(spec->endpoints[i]);
        EntryView *v = leaf_new(sizeof(*v), 0, entry_view_drop);
        v->gateway = (ObjectKey){STR("demo"), gateway};
        v->tailnet = leaf_str(&v->leaf, spec->tailnet);
        v->known = true;
        v->endpoints = table_new(leaves, spec->n, endpoint_order);
        mem_free(leaves);
        return v;
}

static const Table *make_views(const ManifestSet *set)
{
        const void **at = set->kinds[MANIFEST_ENDPOINTS].at;
        const void *views[] = {make_view(at[0], STR("corp")), make_view(at[1], STR("two"))};
        return table_new(views, LENGTH_OF(views), entry_view_order);
}

static Snapshot *make_snapshot(void)
{
        ManifestSet set;
        Faults faults;
        manifest_set_init(&set);
        faults_init(&faults);
        demand(manifest_read(&set, STR("fuzz.yaml"), str_of(manifests), &faults));
        World *w = leaf_new(sizeof(*w), 0, world_drop);
        w->complete = true;
        w->tailnets = manifest_table(&set, MANIFEST_TAILNET, NULL);
        w->gateways = manifest_table(&set, MANIFEST_GATEWAY, NULL);
        w->eg_gateways = manifest_table(&set, MANIFEST_EG_GATEWAY, NULL);
        w->eg_routes = manifest_table(&set, MANIFEST_EG_ROUTE, NULL);
        w->namespaces = manifest_table(&set, MANIFEST_NAMESPACE, NULL);
        w->tailnet_states = table_new(NULL, 0, tailnet_state_order);
        w->entries = make_views(&set);
        w->bindings = manifest_table(&set, MANIFEST_BINDING, NULL);
        Report *r = NULL;
        Snapshot *s = snapshot_new(w, NULL, &r);
        leaf_unref(r);
        leaf_unref(w);
        faults_done(&faults);
        manifest_set_done(&set);
        return s;
}

static void add(Buf *out, uint32_t number, Str bytes)
{
        pb_put_len(out, number, bytes.n);
        buf_add_str(out, bytes);
}

/* Appends what of a virtual host is not ours. */
static void strip_vhost(Str vhost, Buf *out)
{
        Buf kept;
        buf_init(&kept, HOOK_ANSWER_MAX);
        PbReader r = pb_reader(vhost);
        for (PbField f; pb_next(&r, &f);) {
                if (f.number != PBN_VirtualHost_routes || f.wire != PB_LEN ||
                    !xds_view_is_our_route(f.body))
                        buf_add_str(&kept, f.span);
        }
        add(out, PBN_RouteConfiguration_virtual_hosts, buf_str(&kept));
        buf_done(&kept);
}

static void strip_routes(Str routes, Buf *out)
{
        PbReader r = pb_reader(routes);
        for (PbField f; pb_next(&r, &f);) {
                if (f.number != PBN_RouteConfiguration_virtual_hosts || f.wire != PB_LEN) {
                        buf_add_str(out, f.span);
                        continue;
                }
                bool ours = str_starts(pb_get(f.body, PBN_VirtualHost_name), STR("tailscale/")) &&
                            xds_view_is_ours(f.body, PBN_VirtualHost_metadata);
                if (!ours)
                        strip_vhost(f.body, out);
        }
        /* A Gateway that is not ours gets back what it sent, message or not. */
        if (r.bad) {
                buf_reset(out);
                buf_add_str(out, routes);
        }
}

/* What is not ours of one kind of resource, in order. `number` is its field. */
static void strip(Str message, uint32_t number, uint32_t kind, Buf *out)
{
        PbReader r = pb_reader(message);
        for (Str body; pb_next_len(&r, number, &body);) {
                if (kind == PBN_PostTranslateModifyResponse_clusters &&
                    str_starts(pb_get(body, PBN_Cluster_name), STR("tailscale/")) &&
                    xds_view_is_ours(body, PBN_Cluster_metadata))
                        continue;
                Buf kept;
                buf_init(&kept, HOOK_ANSWER_MAX);
                if (kind == PBN_PostTranslateModifyResponse_routes)
                        strip_routes(body, &kept);
                else
                        buf_add_str(&kept, body);
                add(out, kind, buf_str(&kept));
                buf_done(&kept);
        }
        demand(!r.bad);
}

/* No domain of ours is in a RouteConfiguration twice. */
static void check_domains(Str routes)
{
        static const Str ours[] = {STR_INIT("www.example.com"), STR_INIT("b.example.com"),
                                   STR_INIT("c.example.com"), STR_INIT("*")};
        size_t seen[LENGTH_OF(ours)] = {0}, by_us[LENGTH_OF(ours)] = {0};
        PbReader r = pb_reader(routes);
        for (Str vhost; pb_next_len(&r, PBN_RouteConfiguration_virtual_hosts, &vhost);) {
                bool is_ours = xds_view_is_ours(vhost, PBN_VirtualHost_metadata);
                PbReader d = pb_reader(vhost);
                for (Str domain; pb_next_len(&d, PBN_VirtualHost_domains, &domain);) {
                        for (size_t i = 0; i < LENGTH_OF(ours); i++) {
                                seen[i] += str_eq_fold(domain, ours[i]);
                                by_us[i] += is_ours && str_eq_fold(domain, ours[i]);
                        }
                }
        }
        for (size_t i = 0; i < LENGTH_OF(ours); i++)
                demand(by_us[i] == 0 || seen[i] == 1);
}

/* As many clusters are marked as ours as were said to be put in, and no name twice. */
static void check_clusters(Str answer, uint64_t want)
{
        Str names[8];
        uint64_t n = 0;
        PbReader r = pb_reader(answer);
        for (Str c; pb_next_len(&r, PBN_PostTranslateModifyResponse_clusters, &c);) {
                Str name = pb_get(c, PBN_Cluster_name);
                if (!str_starts(name, STR("tailscale/")) ||
                    !xds_view_is_ours(c, PBN_Cluster_metadata))
                        continue;
                demand(n < LENGTH_OF(names) && !strlist_has((StrList){names, n}, name));
                names[n++] = name;
        }
        demand(n == want);
}

static void check_translate(Str request, Str answer, const HookResult *result)
{
        /* A Gateway that is not ours gets back what it sent, also what looks like ours. */
        uint64_t hosts = 0, clusters = 0;
        for (size_t i = 0; i < result->n; i++) {
                hosts += result->gateways[i].tally.hosts;
                clusters += result->gateways[i].clusters;
        }
        if (hosts + clusters > 0)
                check_clusters(answer, clusters);
        for (uint32_t kind = 1; kind <= PBN_PostTranslateModifyResponse_routes; kind++) {
                Buf in, out;
                buf_init(&in, HOOK_ANSWER_MAX);
                buf_init(&out, HOOK_ANSWER_MAX);
                strip(request, kind + 1, kind, &in);
                strip(answer, kind, kind, &out);
                demand(str_eq(buf_str(&in), buf_str(&out)));
                buf_done(&in);
                buf_done(&out);
        }
        PbReader r = pb_reader(answer);
        for (Str routes; pb_next_len(&r, PBN_PostTranslateModifyResponse_routes, &routes);)
                check_domains(routes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const Snapshot *snapshot;
        if (snapshot == NULL)
                snapshot = make_snapshot();
        if (size == 0)
                return 0;
        HookMethod method = (HookMethod)(data[0] % HOOK_METHODS);
        Str request = str_make(data + 1, size - 1);
        Buf answer;
        buf_init(&answer, HOOK_ANSWER_MAX);
        HookResult result;
        HookVerdict v =
                hook_answer(snapshot, method, request, (data[0] & 0x80) != 0, &answer, &result);
        demand(v != HOOK_UNAVAILABLE || method == HOOK_TRANSLATE);
        if (v == HOOK_ANSWERED && method == HOOK_TRANSLATE) {
                check_translate(request, buf_str(&answer), &result);
        } else if (v == HOOK_ANSWERED) {
                PbReader r = pb_reader(buf_str(&answer));
                for (PbField f; pb_next(&r, &f);)
                        demand(f.number == 1);
                demand(!r.bad);
        }
        hook_result_done(&result);
        buf_done(&answer);
        return 0;
}
