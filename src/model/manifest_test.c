/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "model/eg_spec.h"
#include "model/endpoints_spec.h"
#include "model/gateway_spec.h"
#include "model/manifest.h"
#include "model/manifest_kinds.h"
#include "model/secret_spec.h"
#include "model/tailnet_spec.h"
#include "proto/json.h"

#define TAILNET   "apiVersion: gateway.tailscale.com/v1alpha1\nkind: TailscaleTailnet\n"
#define GATEWAY   "apiVersion: gateway.tailscale.com/v1alpha1\nkind: TailscaleGateway\n"
#define ENDPOINTS "apiVersion: gateway.tailscale.com/v1alpha1\nkind: TailscaleEndpoints\n"

typedef struct Read {
        ManifestSet set;
        Faults faults;
        bool ok;
} Read;

static void read_done(Read *r)
{
        manifest_set_done(&r->set);
        faults_done(&r->faults);
}

static Read read_as(const char *file, Str text)
{
        Read r;

        manifest_set_init(&r.set);
        faults_init(&r.faults);
        r.ok = manifest_read(&r.set, str_of(file), text, &r.faults);
        assert_int_equal(r.ok, r.faults.n_total == 0);
        return r;
}

static Read read_text(const char *text)
{
        return read_as("dir/in.yaml", str_of(text));
}

static const void *only(const Read *r, ManifestKind kind)
{
        if (!r->ok)
                fail_msg("%.*s: %.*s", STR_FMT(r->faults.at[0].path),
                         STR_FMT(r->faults.at[0].text));
        assert_int_equal(r->set.kinds[kind].n, 1);
        return r->set.kinds[kind].at[0];
}

static void assert_str(Str got, const char *want)
{
        if (!str_eq(got, str_of(want)))
                fail_msg("\"%.*s\" is not \"%s\"", STR_FMT(got), want);
}

static void assert_secret(const Secret *got, const char *want)
{
        Secret *s = secret_new(str_of(want));

        assert_true(secret_eq(got, s));
        secret_free(s);
}

/* The least interval of the API holds where the API is asked. */
static void test_tailnet_of_a_daemon(void **state)
{
        static const struct {
                const char *more;
                bool is_local, is_fine;
        } cases[] = {
                {"", true, true},
                {", credentials: {env: KEY}", false, false},
                {", credentials: {secretRef: {name: k}}", false, false},
                {", file: {path: x.json}", false, true},
                {", apiURL: http://127.0.0.1:1, credentials: {env: KEY}", false, true},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                char text[400];

                snprintf(text, sizeof(text),
                         TAILNET "metadata: {name: t}\nspec: {localAPI: {socket: s.sock}, "
                                 "pollInterval: 1s%s}\n",
                         cases[i].more);
                CLEANUP(read_done) Read r = read_text(text);

                assert_int_equal(r.ok, cases[i].is_fine);
                if (!r.ok)
                        continue;
                const TailnetSpec *t = only(&r, MANIFEST_TAILNET);
                assert_str(t->local_socket, "dir/s.sock");
                assert_int_equal(tailnet_spec_is_local(t), cases[i].is_local);
        }
}

static void test_tailnet_defaults(void **state)
{
        CLEANUP(read_done)
        Read r = read_text(TAILNET "metadata: {name: t}\nspec: {credentials: {env: KEY}}\n");
        const TailnetSpec *t = only(&r, MANIFEST_TAILNET);

        (void)state;
        assert_str(t->meta.key.name, "t");
        assert_str(t->meta.key.namespace, "envoy-gateway-system");
        assert_str(t->meta.file, "dir/in.yaml");
        assert_int_equal(t->meta.line, 1);
        assert_str(t->api_url, "https://api.tailscale.com");
        assert_int_equal(t->type, TAILNET_AUTO);
        assert_str(t->tailnet, "-");
        assert_str(t->magic_dns_suffix, "");
        assert_str(t->secret_name, "");
        assert_str(t->credentials_env, "KEY");
        assert_int_equal(t->proxies.n, 0);
        assert_true(t->poll_interval.ns == SPAN_S(30).ns);
        assert_int_equal(t->guard.max_percent, 50);
        assert_int_equal(t->guard.from_endpoints, 5);
        assert_int_equal(t->guard.confirmations, 3);
        assert_str(t->file_path, "");
}

static void test_tailnet_values(void **state)
{
        CLEANUP(read_done)
        Read r = read_text(TAILNET
                           "metadata: {name: t, namespace: team-a, generation: 7,\n"
                           "  annotations: {gateway.tailscale.com/approve-removal: abc, x: 1}}\n"
                           "spec:\n"
                           "  apiURL: http://127.0.0.1:8080/hs//\n  type: Headscale\n"
                           "  tailnet: example.com\n  magicDNSSuffix: .Corp.TS.net.\n"
                           "  credentials: {secretRef: {name: s}}\n"
                           "  proxyAddresses: ['127.0.0.1:3128', '[::1]:1', 'proxy.x:80', /run/p]\n"
                           "  pollInterval: 1m30s\n"
                           "  removalGuard: {maxPercent: 0, fromEndpoints: 0, confirmations: 1}\n"
                           "  file: {path: sub/devices.json}\n");
        const TailnetSpec *t = only(&r, MANIFEST_TAILNET);

        (void)state;
        assert_str(t->meta.key.namespace, "team-a");
        assert_int_equal(t->meta.generation, 7);
        assert_str(t->meta.approve_removal, "abc");
        assert_str(t->api_url, "http://127.0.0.1:8080/hs");
        assert_int_equal(t->type, TAILNET_HEADSCALE);
        assert_str(t->tailnet, "example.com");
        assert_str(t->magic_dns_suffix, "corp.ts.net");
        assert_str(t->secret_name, "s");
        assert_int_equal(t->proxies.n, 4);
        assert_str(t->proxies.at[1], "[::1]:1");
        assert_true(t->poll_interval.ns == SPAN_S(90).ns);
        assert_int_equal(t->guard.max_percent, 0);
        assert_int_equal(t->guard.from_endpoints, 0);
        assert_int_equal(t->guard.confirmations, 1);
        assert_str(t->file_path, "dir/sub/devices.json");
        assert_int_equal(t->file_path.p[t->file_path.n], 0);
}

static void test_file_beside_the_manifest(void **state)
{
        static const struct {
                const char *manifest, *path, *want;
        } cases[] = {
                {"in.yaml", "devices.json", "devices.json"},
                {"/etc/x/in.yaml", "devices.json", "/etc/x/devices.json"},
                {"/in.yaml", "devices.json", "/devices.json"},
                {"a/b/in.yaml", "../d.json", "a/b/../d.json"},
                {"a/in.yaml", "/abs/d.json", "/abs/d.json"},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                char text[512];
                snprintf(text, sizeof(text),
                         TAILNET "metadata: {name: t}\nspec: {file: {path: %s}}\n", cases[i].path);
                CLEANUP(read_done) Read r = read_as(cases[i].manifest, str_of(text));
                const TailnetSpec *t = only(&r, MANIFEST_TAILNET);
                assert_str(t->file_path, cases[i].want);
        }
}

static void test_gateway_defaults(void **state)
{
        CLEANUP(read_done)
        Read r = read_text(GATEWAY "metadata: {name: g, namespace: team-a}\n"
                                   "spec: {gatewayRef: {name: eg}, tailnets: [{name: a, "
                                   "tailscaleTailnetRef: {name: t}}]}\n");
        const GatewaySpec *g = only(&r, MANIFEST_GATEWAY);
        const TailnetEntry *e = &g->tailnets[0];

        (void)state;
        assert_str(g->gateway.name, "eg");
        assert_str(g->gateway.namespace, "team-a");
        assert_str(g->section_name, "");
        assert_int_equal(g->priority, 0);
        assert_int_equal(g->n_tailnets, 1);
        assert_str(e->name, "a");
        assert_str(e->tailnet_name, "t");
        assert_true(e->discovery.enabled);
        assert_int_equal(e->discovery.patterns.n, 0);
        assert_int_equal(e->discovery.n_ports, 0);
        assert_int_equal(e->discovery.default_port, 0);
        /* routeGeneration absent: egress by host, nothing else. */
        assert_false(e->ingress.enabled);
        assert_true(e->egress.enabled);
        assert_str(e->egress.host_pattern, "{service}.{tailnet}.tailscale.local");
        assert_str(e->egress.path_prefix, "");
        assert_int_equal(e->egress.protocol, PROTOCOL_HTTP);
        assert_int_equal(e->egress.path_hosts.n, 1);
        assert_str(e->egress.path_hosts.at[0], "*");
        assert_int_equal(e->egress.host_header, HOST_HEADER_DEVICE);
        assert_false(e->egress.override_hosts);
        assert_int_equal(e->connectivity.mode, CONNECT_PROXY);
        assert_int_equal(e->connectivity.proxies.n, 0);
        assert_int_equal(e->connectivity.n_allowed, 0);
        assert_int_equal(e->connectivity.retry, RETRY_AT_MOST_ONCE);
}

static void test_gateway_values(void **state)
{
        CLEANUP(read_done)
        Read r = read_text(GATEWAY
                           "metadata: {name: g}\nspec:\n"
                           "  gatewayRef: {name: eg, namespace: infra, sectionName: internal}\n"
                           "  priority: -5\n  tailnets:\n  - name: a\n"
                           "    tailscaleTailnetRef: {name: t}\n    serviceDiscovery:\n"
                           "      enabled: false\n      patterns: [api-*]\n"
                           "      excludePatterns: [x, y]\n      tags: ['tag:a']\n"
                           "      excludeTags: ['tag:b']\n      os: [linux]\n      owners: [a@b]\n"
                           "      ports: [{pattern: a, port: 443}, {tag: 'tag:x', port: 53, "
                           "protocol: UDP}, {pattern: b, port: 1}]\n"
                           "      defaultPort: {port: 8443}\n"
                           "    routeGeneration:\n"
                           "      ingress: {}\n"
                           "    connectivity: {mode: Direct, proxyAddresses: ['10.0.0.1:1'], "
                           "allowedCIDRs: [10.0.0.0/8, 'fd00::/8', 1.2.3.4], retry: AtLeastOnce}\n"
                           "  - name: b\n    tailscaleTailnetRef: {name: t}\n"
                           "    routeGeneration:\n"
                           "      egress: {hostPattern: '{service}.X.Local', pathPrefix: "
                           "'/t/{service}/', protocol: TLS, pathHosts: [], hostHeader: Preserve, "
                           "overrideHosts: true, sectionName: tls}\n"
                           "  - name: c\n    tailscaleTailnetRef: {name: t}\n"
                           "    routeGeneration: {}\n"
                           "  - name: d\n    tailscaleTailnetRef: {name: t}\n"
                           "    routeGeneration: {egress: {}}\n");
        const GatewaySpec *g = only(&r, MANIFEST_GATEWAY);
        const TailnetEntry *a = &g->tailnets[0], *b = &g->tailnets[1], *c = &g->tailnets[2];
        const TailnetEntry *d = &g->tailnets[3];

        (void)state;
        assert_str(d->egress.host_pattern, "{service}.tailscale.local");
        assert_str(d->egress.path_prefix, "/tailscale/{service}/");
        assert_str(g->gateway.namespace, "infra");
        assert_str(g->section_name, "internal");
        assert_int_equal(g->priority, -5);
        assert_false(a->discovery.enabled);
        assert_int_equal(a->discovery.exclude_patterns.n, 2);
        assert_str(a->discovery.tags.at[0], "tag:a");
        assert_str(a->discovery.exclude_tags.at[0], "tag:b");
        assert_str(a->discovery.os.at[0], "linux");
        assert_str(a->discovery.owners.at[0], "a@b");
        assert_int_equal(a->discovery.n_ports, 3);
        assert_int_equal(a->discovery.ports[0].protocol, PROTOCOL_NONE);
        assert_int_equal(a->discovery.ports[1].protocol, PROTOCOL_UDP);
        assert_str(a->discovery.ports[1].tag, "tag:x");
        assert_int_equal(a->discovery.ports[2].protocol, PROTOCOL_NONE);
        assert_int_equal(a->discovery.default_port, 8443);
        assert_int_equal(a->discovery.default_protocol, PROTOCOL_HTTPS);
        assert_true(a->ingress.enabled);
        assert_str(a->ingress.host_pattern, "{service}.{tailnet}.gateway.local");
        assert_str(a->ingress.path_prefix, "/");
        assert_int_equal(a->ingress.protocol, PROTOCOL_HTTPS);
        assert_false(a->egress.enabled);
        assert_int_equal(a->connectivity.mode, CONNECT_DIRECT);
        assert_int_equal(a->connectivity.n_allowed, 3);
        assert_int_equal(a->connectivity.allowed[0].bits, 104);
        assert_int_equal(a->connectivity.allowed[2].bits, 128);
        assert_int_equal(a->connectivity.retry, RETRY_AT_LEAST_ONCE);
        assert_true(b->egress.enabled);
        assert_str(b->egress.host_pattern, "{service}.x.local");
        assert_str(b->egress.path_prefix, "/t/{service}/");
        assert_int_equal(b->egress.protocol, PROTOCOL_TLS);
        assert_int_equal(b->egress.path_hosts.n, 0);
        assert_int_equal(b->egress.host_header, HOST_HEADER_PRESERVE);
        assert_true(b->egress.override_hosts);
        assert_str(b->egress.section_name, "tls");
        /* Given, and naming none: nothing. */
        assert_false(c->egress.enabled);
        assert_false(c->ingress.enabled);
}

static void test_endpoints(void **state)
{
        CLEANUP(read_done)
        Read r = read_text(ENDPOINTS
                           "metadata: {name: e}\nspec:\n  tailnet: corp\n  endpoints:\n"
                           "  - {name: z, tailscaleIP: 100.64.0.2, port: 80}\n"
                           "  - {name: a, tailscaleIP: 'FD7A:115c:a1e0::0:1', port: 90, protocol: "
                           "TCP, tags: ['tag:x'], tailscaleFQDN: a.ts.net, nodeID: n, weight: 4}\n"
                           "status: {held: {digest: abc, confirmations: 2}}\n");
        const EndpointsSpec *s = only(&r, MANIFEST_ENDPOINTS);

        (void)state;
        assert_str(s->tailnet, "corp");
        assert_str(s->gateway, "");
        assert_int_equal(s->n, 2);
        assert_str(s->endpoints[0]->service, "a");
        assert_str(s->endpoints[0]->ip, "fd7a:115c:a1e0::1");
        assert_int_equal(s->endpoints[0]->protocol, PROTOCOL_TCP);
        assert_str(s->endpoints[0]->fqdn, "a.ts.net");
        assert_int_equal(s->endpoints[0]->weight, 4);
        assert_str(s->endpoints[1]->service, "z");
        assert_str(s->endpoints[1]->short_name, "z");
        assert_int_equal(s->endpoints[1]->protocol, PROTOCOL_HTTP);
        assert_int_equal(s->endpoints[1]->weight, 1);
        assert_int_equal(s->endpoints[1]->origin, ENDPOINT_STATIC);
        assert_str(s->endpoints[1]->port_source, "static");
        /* A status in a user's manifest is ignored. */
        assert_str(s->held_digest, "");
}

/* Of an object that was read again, what says the same is what was there. */
static void test_endpoints_are_shared(void **state)
{
#define THREE(ip)                                                                           \
        ENDPOINTS "metadata: {name: e}\nspec: {tailnet: corp, endpoints: ["                 \
                  "{name: a, tailscaleIP: 100.64.0.1, port: 1}, {name: b, tailscaleIP: " ip \
                  ", port: 1}, {name: c, tailscaleIP: 100.64.0.3, port: 1, tags: ['tag:x']}]}\n"
        CLEANUP(read_done) Read old = read_text(THREE("100.64.0.2"));
        CLEANUP(read_done) Read new = read_text(THREE("100.64.0.9"));
        const EndpointsSpec *x = only(&old, MANIFEST_ENDPOINTS);
        const EndpointsSpec *y = only(&new, MANIFEST_ENDPOINTS);
        const Endpoint *moved = y->endpoints[1];

        (void)state;
        endpoints_spec_share(y, x);
        assert_ptr_equal(y->endpoints[0], x->endpoints[0]);
        assert_ptr_equal(y->endpoints[1], moved);
        assert_ptr_equal(y->endpoints[2], x->endpoints[2]);
        assert_str(moved->ip, "100.64.0.9");
        endpoints_spec_share(y, x);
        assert_ptr_equal(y->endpoints[2], x->endpoints[2]);
}

static void test_secret(void **state)
{
        CLEANUP(read_done)
        Read r = read_text("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ntype: Opaque\n"
                           "data: {api_key: a2V5Cg==, client_id: aWQ, other: '***'}\n"
                           "stringData: {client_id: \"id2\\n\", webhook_secret: ' w '}\n");
        (void)state;
        /* aWQ lacks its padding. */
        assert_false(r.ok);
        CLEANUP(read_done)
        Read good = read_text(
                "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ntype: Opaque\n"
                "data: {api_key: a2V5Cg==, client_id: aWQ=, other: '***', webhook_secret: ''}\n"
                "stringData: {client_id: \"id2\\n\", client_secret: null}\n");
        const SecretSpec *s = only(&good, MANIFEST_SECRET);
        assert_secret(s->api_key, "key");
        assert_secret(s->client_id, "id2");
        assert_null(s->client_secret);
        assert_secret(s->webhook_secret, "");
        assert_true(secret_spec_same(s, s));
}

/* No fault repeats what a Secret holds, however it is broken. */
static void test_secrets_are_not_told(void **state)
{
        static const char *const bodies[] = {
                "data: {api_key: S3CR3T!}",
                "data: {api_key: [S3CR3T]}",
                "data: S3CR3T",
                "data: [S3CR3T]",
                "stringData: {api_key: {S3CR3T: S3CR3T}}",
                "stringData: {api_key: S3CR3T, api_key: S3CR3T}",
                "stringData: {api_key: 5.5, client_id: true}",
                "stringData: {api_key: *S3CR3T}",
                "stringData: {api_key: !S3CR3T S3CR3T}",
                "stringData: {api_key: \"S3CR3T",
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(bodies); i++) {
                CLEANUP(buf_done) Buf out;
                char text[256];
                buf_init(&out, 1 << 16);
                snprintf(text, sizeof(text),
                         "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n%s\n", bodies[i]);
                CLEANUP(read_done) Read r = read_text(text);
                assert_false(r.ok);
                faults_print(&r.faults, &out);
                assert_true(str_find_str(buf_str(&out), STR("S3CR3T")) < 0);
        }
}

static void test_envoy_gateways_kinds(void **state)
{
        CLEANUP(read_done)
        Read r = read_text(
                "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n"
                "metadata: {name: eg, extra: x}\n"
                "spec: {new: 1, listeners: [{name: http, port: 80, protocol: HTTP, allowedRoutes: "
                "{namespaces: {from: All}}}, {name: x, port: 443, protocol: HTTPS, hostname: "
                "'*.Example.com'}, {port: 1}, 7, {name: own, port: 9, protocol: "
                "example.com/x}]}\n---\n"
                "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
                "metadata: {name: r, namespace: app}\n"
                "spec: {hostnames: [A.example.com, 7], parentRefs: [{name: eg, namespace: infra, "
                "sectionName: http, port: 80}, {name: svc, kind: Service, group: ''}, {name: "
                "eg2}]}\n---\n"
                "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: 5\nspec: "
                "5\n");
        const EgGateway *g;
        const EgRoute *route;

        (void)state;
        g = only(&r, MANIFEST_EG_GATEWAY);
        assert_int_equal(g->n_listeners, 3);
        assert_str(g->listeners[0].name, "http");
        assert_int_equal(g->listeners[0].port, 80);
        assert_int_equal(g->listeners[0].from, ROUTES_FROM_ALL);
        assert_int_equal(g->listeners[1].protocol, PROTOCOL_HTTPS);
        assert_str(g->listeners[1].hostname, "*.example.com");
        assert_int_equal(g->listeners[1].from, ROUTES_FROM_SAME);
        assert_int_equal(g->listeners[2].protocol, PROTOCOL_NONE);
        assert_int_equal(g->listeners[0].kinds, EG_ADMITS_BOTH);
        assert_int_equal(g->listeners[0].bad_kind.n, 0);
        route = only(&r, MANIFEST_EG_ROUTE);
        assert_str(route->kind, "HTTPRoute");
        assert_int_equal(route->hostnames.n, 1);
        assert_str(route->hostnames.at[0], "a.example.com");
        assert_int_equal(route->n_parents, 2);
        assert_str(route->parents[0].gateway.namespace, "infra");
        assert_str(route->parents[0].section_name, "http");
        assert_int_equal(route->parents[0].port, 80);
        assert_str(route->parents[1].gateway.namespace, "app");
}

#define CONFLICTED(name, status, generation)                                                       \
        "{\"name\":\"" name "\",\"conditions\":[{\"type\":\"Accepted\"},{\"type\":\"Conflicted\"," \
        "\"status\":\"" status "\",\"observedGeneration\":" generation "}]}"

/* What Envoy Gateway says counts where an API server tells it, and of this generation. */
static void test_listeners_in_conflict(void **state)
{
        static const struct {
                const char *listener;
                bool from_api, is_conflicted;
        } cases[] = {
                {CONFLICTED("http", "True", "3"), true, true},
                {CONFLICTED("http", "True", "3"), false, false},
                {CONFLICTED("http", "True", "2"), true, false},
                {CONFLICTED("http", "False", "3"), true, false},
                {CONFLICTED("other", "True", "3"), true, false},
                {"7,{\"name\":\"http\",\"conditions\":{\"type\":7}}", true, false},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                char text[512];
                EgGateway *g;
                ManifestDoc doc = {.from_api = cases[i].from_api};
                CLEANUP(faults_done) Faults faults;
                CLEANUP(arena_done) Arena a;

                arena_init(&a, 0);
                faults_init(&faults);
                IGNORE(snprintf(text, sizeof(text),
                                "{\"metadata\":{\"name\":\"g\",\"namespace\":\"n\","
                                "\"generation\":3},\"spec\":{\"listeners\":[{\"name\":\"http\","
                                "\"port\":80,\"protocol\":\"HTTP\"}]},\"status\":{\"listeners\":"
                                "[%s]}}",
                                cases[i].listener),
                       "cases are short");
                doc.root = json_read(&a, str_of(text), NULL, NULL);
                doc.faults = &faults;
                g = manifest_read_eg_gateway(&doc);
                assert_non_null(g);
                assert_int_equal(g->listeners[0].is_conflicted, cases[i].is_conflicted);
                leaf_unref(g);
        }
}

static void test_whom_a_listener_admits(void **state)
{
        CLEANUP(read_done)
        Read r = read_text(
                "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: eg}\n"
                "spec: {listeners: [{allowedRoutes: {kinds: [{kind: TLSRoute}]}}, {name: a, port: "
                "80, protocol: HTTP, allowedRoutes: {kinds: [{kind: GRPCRoute}], namespaces: "
                "{from: Selector, selector: {matchLabels: {x: y}}}}}, {name: b, port: 81, "
                "protocol: HTTP, allowedRoutes: {kinds: [{kind: HTTPRoute}, {kind: UDPRoute}, "
                "{kind: TCPRoute}], namespaces: {from: Selector}}}, {name: c, port: 82, protocol: "
                "TCP}, {name: d, port: 83, protocol: UDP, allowedRoutes: {kinds: [{kind: "
                "TCPRoute}]}}, {name: e, port: 84, protocol: TLS, tls: {mode: Passthrough}}, "
                "{name: f, port: 85, protocol: TLS}]}\n---\n"
                "apiVersion: v1\nkind: Namespace\nmetadata: {name: n, labels: {x: y, z: ''}}\n"
                "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: m, labels: {x: 7}}\n");
        const EgGateway *g;
        const EgNamespace *n;

        (void)state;
        g = only(&r, MANIFEST_EG_GATEWAY);
        assert_int_equal(g->n_listeners, 6);
        assert_int_equal(g->listeners[2].kinds, EG_ADMITS_TCP_ROUTE);
        assert_int_equal(g->listeners[3].kinds, 0);
        assert_str(g->listeners[3].bad_kind, "TCPRoute");
        assert_int_equal(g->listeners[4].kinds, EG_ADMITS_TLS_ROUTE);
        assert_true(g->listeners[4].passthrough);
        assert_int_equal(g->listeners[5].kinds, EG_ADMITS_TLS_ROUTE | EG_ADMITS_TCP_ROUTE);
        assert_false(g->listeners[5].passthrough);
        assert_int_equal(g->listeners[0].kinds, EG_ADMITS_GRPC_ROUTE);
        assert_int_equal(g->listeners[0].bad_kind.n, 0);
        assert_int_equal(g->listeners[0].selector.n, 1);
        assert_int_equal(g->listeners[1].kinds, EG_ADMITS_HTTP_ROUTE);
        assert_str(g->listeners[1].bad_kind, "UDPRoute");
        assert_non_null(g->listeners[1].selector.fault);
        /* One whose labels are none is not read: it would look as if it had none. */
        n = only(&r, MANIFEST_NAMESPACE);
        assert_str(n->name, "n");
        assert_int_equal(n->labels.n, 2);
        assert_true(label_selector_matches(&g->listeners[0].selector, n->labels));
}

/* The same text, read again with a comment before it, keeps every leaf and the Table itself; one
 * changed word changes one leaf. */
static void test_tables_keep_what_did_not_change(void **state)
{
        static const char text[] =
                TAILNET "metadata: {name: t}\nspec: {credentials: {env: KEY}}\n---\n" TAILNET
                        "metadata: {name: u}\nspec: {credentials: {env: KEY}}\n---\n" GATEWAY
                        "metadata: {name: g}\nspec: {gatewayRef: {name: eg}, tailnets: [{name: a, "
                        "tailscaleTailnetRef: {name: t}, serviceDiscovery: {ports: [{pattern: a, "
                        "port: 1}]}, connectivity: {allowedCIDRs: [10.0.0.0/8]}}]}\n---\n" ENDPOINTS
                        "metadata: {name: e}\nspec: {tailnet: a, endpoints: [{name: x, "
                        "tailscaleIP: 100.64.0.1, port: 80}]}\n---\n"
                        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {api_key: "
                        "k}\n---\n"
                        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: "
                        "eg}\nspec: {listeners: [{name: a, port: 80}]}\n---\n"
                        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: "
                        "{name: r}\nspec: {hostnames: [a], parentRefs: [{name: eg}]}\n---\n"
                        "apiVersion: gateway.tailscale.com/v1alpha1\nkind: "
                        "TailscaleGatewayBinding\nmetadata: {name: eg}\nspec: {targetRefs: [{name: "
                        "eg}], revision: abc, attempt: 2}\n---\n"
                        "apiVersion: v1\nkind: Namespace\nmetadata: {name: n, labels: {a: b}}\n";
        static const struct {
                ManifestKind kind;
                const char *from, *to;
        } changes[] = {
                {MANIFEST_TAILNET, "{env: KEY}}\n---\n" TAILNET "metadata: {name: u",
                 "{env: YEK}}\n---\n" TAILNET "metadata: {name: u"},
                {MANIFEST_GATEWAY, "port: 1}", "port: 2}"},
                {MANIFEST_GATEWAY, "10.0.0.0/8", "11.0.0.0/8"},
                {MANIFEST_GATEWAY, "metadata: {name: g}", "metadata: {name: g, generation: 1}"},
                {MANIFEST_ENDPOINTS, "100.64.0.1", "100.64.0.9"},
                {MANIFEST_SECRET, "api_key: k", "api_key: q"},
                {MANIFEST_EG_GATEWAY, "{name: a, port: 80}", "{name: a, port: 81}"},
                {MANIFEST_EG_GATEWAY, "{name: a, port: 80}",
                 "{name: a, port: 80, allowedRoutes: {kinds: [{kind: GRPCRoute}]}}"},
                {MANIFEST_EG_GATEWAY, "{name: a, port: 80}",
                 "{name: a, port: 80, allowedRoutes: {kinds: [{kind: X}, {kind: HTTPRoute}, {kind: "
                 "GRPCRoute}]}}"},
                {MANIFEST_NAMESPACE, "labels: {a: b}", "labels: {a: c}"},
                {MANIFEST_EG_ROUTE, "hostnames: [a]", "hostnames: [b]"},
                {MANIFEST_BINDING, "revision: abc", "revision: abd"},
                {MANIFEST_BINDING, "attempt: 2", "attempt: 3"},
        };
        CLEANUP(read_done) Read first = read_text(text);
        Table *tables[MANIFEST_KINDS];

        (void)state;
        assert_true(first.ok);
        for (size_t k = 0; k < MANIFEST_KINDS; k++)
                tables[k] = manifest_table(&first.set, (ManifestKind)k, NULL);
        for (size_t i = 0; i <= LENGTH_OF(changes); i++) {
                CLEANUP(buf_done) Buf b;
                Str rest = STR("");
                buf_init(&b, 1 << 16);
                buf_add_str(&b, STR("# moved\n"));
                if (i < LENGTH_OF(changes)) {
                        const char *at = strstr(text, changes[i].from);
                        assert_non_null(at);
                        buf_add(&b, text, (size_t)(at - text));
                        buf_add_str(&b, str_of(changes[i].to));
                        rest = str_of(at + strlen(changes[i].from));
                } else {
                        rest = str_of(text);
                }
                buf_add_str(&b, rest);
                CLEANUP(read_done) Read again = read_as("other.yaml", buf_str(&b));
                assert_true(again.ok);
                for (size_t k = 0; k < MANIFEST_KINDS; k++) {
                        Table *t = manifest_table(&again.set, (ManifestKind)k, tables[k]);
                        bool changed = i < LENGTH_OF(changes) && changes[i].kind == k;
                        assert_int_equal(t != tables[k], changed);
                        if (changed && k == MANIFEST_TAILNET)
                                assert_ptr_equal(t->at[1], tables[k]->at[1]);
                        table_unref(t);
                }
        }
        for (size_t k = 0; k < MANIFEST_KINDS; k++)
                table_unref(tables[k]);
}

/* One bad document does not hide the faults of the others, nor what is good. */
static void test_all_faults_at_once(void **state)
{
        CLEANUP(read_done)
        Read r = read_text(TAILNET
                           "metadata: {name: A}\nspec: {}\n---\n" TAILNET
                           "metadata: {name: t}\nspec: {credentials: {env: KEY}}\n---\n" GATEWAY
                           "metadata: {name: g}\nspec: {gatewayRef: 5, tailnets: 5}\n");

        (void)state;
        assert_false(r.ok);
        assert_int_equal(r.faults.n, 4);
        assert_int_equal(r.set.kinds[MANIFEST_TAILNET].n, 1);
        assert_int_equal(r.set.kinds[MANIFEST_GATEWAY].n, 0);
}

static void test_caps(void **state)
{
        CLEANUP(buf_done) Buf b;

        (void)state;
        buf_init(&b, 32 << 20);
        while (b.n <= MANIFEST_BYTES_MAX)
                buf_add_str(&b, STR("# 3456789012345678901234567890123456789012345678901234567\n"));
        CLEANUP(read_done) Read big = read_as("x.yaml", buf_str(&b));
        assert_int_equal(big.faults.n_total, 1);
        /* A list of devices may be longer. */
        buf_reset(&b);
        buf_add_str(&b, STR(" {\n \"devices\" : ["));
        while (b.n <= MANIFEST_BYTES_MAX)
                buf_add_str(&b, STR("{\"nodeId\":\"n\",\"name\":\"x.ts.net\"},\n"));
        CLEANUP(read_done) Read list = read_as("x.json", buf_str(&b));
        assert_true(list.ok);
        assert_int_equal(list.set.n_skipped, 1);
        /* 251 endpoints. */
        buf_reset(&b);
        buf_add_str(&b, STR(ENDPOINTS "metadata: {name: e}\nspec:\n  tailnet: a\n  endpoints:\n"));
        for (int i = 0; i <= ENDPOINTS_MAX; i++)
                buf_printf(&b, "  - {name: x, tailscaleIP: 100.64.1.%d, port: 80}\n", i % 256);
        CLEANUP(read_done) Read endpoints = read_as("x.yaml", buf_str(&b));
        assert_int_equal(endpoints.faults.n_total, 1);
        /* More Secrets than pages for them. */
        buf_reset(&b);
        for (int i = 0; i <= MANIFEST_SECRETS_MAX; i++)
                buf_printf(&b, "apiVersion: v1\nkind: Secret\nmetadata: {name: s%d}\n---\n", i);
        CLEANUP(read_done) Read secrets = read_as("x.yaml", buf_str(&b));
        assert_int_equal(secrets.faults.n_total, 1);
}

/* An object of 100,000 members that nobody knows, and one key as often: bounded work, all counted.
 */
static void test_many_strangers(void **state)
{
        CLEANUP(buf_done) Buf b;

        (void)state;
        buf_init(&b, 8 << 20);
        buf_add_str(&b, STR(TAILNET "metadata: {name: t}\nspec:\n  credentials: {env: K}\n"));
        for (int i = 0; i < 100000; i++)
                buf_printf(&b, "  abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz%d: 1\n",
                           i % 50000);
        CLEANUP(read_done) Read r = read_as("x.yaml", buf_str(&b));
        assert_int_equal(r.faults.n, FAULTS_MAX);
        assert_int_equal(r.faults.n_total, 100000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_tailnet_defaults),
                cmocka_unit_test(test_tailnet_of_a_daemon),
                cmocka_unit_test(test_tailnet_values),
                cmocka_unit_test(test_file_beside_the_manifest),
                cmocka_unit_test(test_gateway_defaults),
                cmocka_unit_test(test_gateway_values),
                cmocka_unit_test(test_endpoints),
                cmocka_unit_test(test_endpoints_are_shared),
                cmocka_unit_test(test_secret),
                cmocka_unit_test(test_secrets_are_not_told),
                cmocka_unit_test(test_envoy_gateways_kinds),
                cmocka_unit_test(test_listeners_in_conflict),
                cmocka_unit_test(test_whom_a_listener_admits),
                cmocka_unit_test(test_tables_keep_what_did_not_change),
                cmocka_unit_test(test_all_faults_at_once),
                cmocka_unit_test(test_caps),
                cmocka_unit_test(test_many_strangers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
