/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "translate/test_request.h"
#include "translate/test_world.h"

#include <stdio.h>

/* Gateways first and second are of one class, whose Gateways Envoy Gateway merges; a third one is
 * nobody's. */
static const ObjectKey first = {STR_INIT("demo"), STR_INIT("first")};
static const ObjectKey second = {STR_INIT("demo"), STR_INIT("second")};

#define EG(name, listeners)                                                                     \
        "---\n{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {"            \
        "name: " name ", namespace: demo}, spec: {gatewayClassName: eg, listeners: [" listeners \
        "]}}\n"
#define HTTP(more) "{name: http, protocol: HTTP, port: 80" more "}"
#define OURS(name, gateway, more, egress)                                                       \
        "---\n{apiVersion: gateway.tailscale.com/v1alpha1, kind: TailscaleGateway, metadata: "  \
        "{name: " name ", namespace: demo}, spec: {gatewayRef: {name: " gateway "}, " more      \
        "tailnets: [{name: corp, tailscaleTailnetRef: {name: corp}, routeGeneration: {egress: " \
        "{" egress ", protocol: HTTP}}}]}}\n"
#define HOSTS(domain) "hostPattern: \"{service}." domain "\", pathPrefix: /"
#define BOTH_GATEWAYS                                       \
        EG("first", HTTP(""))                               \
        EG("second", HTTP(", hostname: \"*.second.test\"")) \
        FIXTURE_TAILNET FIXTURE_ENDPOINTS(FIXTURE_API)
/* Each has a host of its own. */
#define APART                                                \
        BOTH_GATEWAYS OURS("one", "first", "", HOSTS("one")) \
                OURS("two", "second", "", HOSTS("second.test"))
/* Both want api.second.test. */
#define MEETING(more_one, more_two)                                        \
        BOTH_GATEWAYS OURS("one", "first", more_one, HOSTS("second.test")) \
                OURS("two", "second", more_two, HOSTS("second.test"))

static void check_str(Str got, const char *want)
{
        if (!str_eq(got, str_of(want)))
                fail_msg("got \"%.*s\", want \"%s\"", STR_FMT(got), want);
}

/* Bindings follow, up to close_context. */
static void open_request(Request *r)
{
        request_open(r);
        pb_begin(&r->w, PB_PostTranslateModifyRequest_post_translate_context);
}

static void close_context(Request *r)
{
        pb_end(&r->w);
}

static void add_binding(Request *r, const char *gateway, const char *revision)
{
        char json[512];
        snprintf(json, sizeof(json),
                 "{\"apiVersion\":\"gateway.tailscale.com/v1alpha1\",\"kind\":"
                 "\"TailscaleGatewayBinding\",\"metadata\":{\"name\":\"%s\",\"namespace\":\"demo\"}"
                 ",\"spec\":{\"revision\":\"%s\",\"targetRefs\":[{\"kind\":\"Gateway\",\"name\":"
                 "\"%s\"}]}}",
                 gateway, revision, gateway);
        pb_begin(&r->w, PB_PostTranslateExtensionContext_extension_resources);
        pb_bytes(&r->w, PB_ExtensionResource_unstructured_bytes, str_of(json));
        pb_end(&r->w);
}

/* A virtual host of that Gateway with one route of an HTTPRoute of namespace demo. */
static void add_vhost(Request *r, const char *gateway, const char *domain, bool auth)
{
        pb_begin(&r->w, PB_RouteConfiguration_virtual_hosts);
        pb_str(&r->w, PB_VirtualHost_name, str_of(domain));
        pb_str(&r->w, PB_VirtualHost_domains, str_of(domain));
        request_route(&r->w, "demo", auth);
        request_resource(&r->w, PB_VirtualHost_metadata, "Gateway", "demo", gateway);
        pb_end(&r->w);
}

/* Envoy's, for plain HTTP. */
static void add_listener(Request *r, uint64_t port, const char *routes)
{
        pb_begin(&r->w, PB_PostTranslateModifyRequest_listeners);
        pb_begin(&r->w, PB_Listener_address);
        pb_begin(&r->w, PB_Address_socket_address);
        pb_varint(&r->w, PB_SocketAddress_port_value, port);
        pb_end(&r->w);
        pb_end(&r->w);
        pb_begin(&r->w, PB_Listener_default_filter_chain);
        pb_begin(&r->w, PB_FilterChain_filters);
        pb_any_begin(&r->w, PB_Filter_typed_config, PB_TYPE_HttpConnectionManager);
        pb_begin(&r->w, PB_HttpConnectionManager_rds);
        pb_str(&r->w, PB_Rds_route_config_name, str_of(routes));
        pb_end(&r->w);
        pb_any_end(&r->w);
        pb_end(&r->w);
        pb_end(&r->w);
        pb_end(&r->w);
}

/* What both share, with a virtual host of the third in it. `port` 0: no listener tells it. */
static Request request_named(const char *routes, uint64_t port)
{
        Request r;
        open_request(&r);
        add_binding(&r, "first", "");
        add_binding(&r, "second", "");
        close_context(&r);
        request_routes_begin(&r, routes);
        add_vhost(&r, "third", "www.third.test", false);
        request_routes_end(&r);
        if (port > 0)
                add_listener(&r, port, routes);
        return r;
}

static const HookGateway *told(const Answer *a, ObjectKey gateway)
{
        for (size_t i = 0; i < a->all.n; i++) {
                if (object_key_eq(a->all.gateways[i].eg_gateway, gateway))
                        return &a->all.gateways[i];
        }
        fail_msg("nothing is told of %.*s", STR_FMT(gateway.name));
        return NULL;
}

/* The cluster that a host's only route leads to; the host is there once. */
static Str cluster_of(const Answer *a, const char *host)
{
        Str vhost = {0};
        assert_int_equal(answer_vhost(a, host, &vhost), 1);
        return pb_get(pb_get(nth_route(vhost, 0), PBN_Route_route), PBN_RouteAction_cluster);
}

static bool has_gap(const HookGateway *g, const char *reason, const char *part)
{
        bool found = false;
        for (size_t i = 0; i < g->tally.gaps.n; i++) {
                const AnswerGap *gap = &g->tally.gaps.at[i];
                Buf b;
                buf_init(&b, 1024);
                gap_text(gap, &b);
                found = found || (str_eq(gap_reason_name(gap->reason), str_of(reason)) &&
                                  str_find_str(buf_str(&b), str_of(part)) >= 0);
                buf_done(&b);
        }
        return found;
}

/* The virtual host of the third, byte by byte. */
static void check_third(const Answer *a, const Request *r)
{
        Str was = {0}, is = {0};
        PbReader in = pb_reader(buf_str(&r->bytes));
        for (Str routes; pb_next_len(&in, PBN_PostTranslateModifyRequest_routes, &routes);)
                find_vhost(routes, STR("www.third.test"), &was);
        assert_int_equal(answer_vhost(a, "www.third.test", &is), 1);
        assert_true(was.n > 0 && str_eq(was, is));
}

static void each_gateway_has_what_is_its(void **state)
{
        (void)state;
        static const char *const names[] = {"demo/first/http", "demo/second/http", "http-80"};
        Fixture f = fixture_open(APART, NULL);
        for (size_t i = 0; i < LENGTH_OF(names); i++) {
                /* What has another's name is found by the port, which in Kubernetes is shifted. */
                Request r = request_named(names[i], i == 0 ? 80 : i == 1 ? 10080 : 0);
                Answer a = answer_of(f.snapshot, &r);
                assert_int_equal(a.verdict, HOOK_ANSWERED);
                assert_int_equal(a.all.n, 2);
                check_str(a.all.gateways[0].eg_gateway.name, "first");
                check_str(a.all.gateways[1].eg_gateway.name, "second");
                check_str(told(&a, first)->served, snapshot_revision(f.snapshot, first));
                check_str(told(&a, second)->served, snapshot_revision(f.snapshot, second));
                assert_string_not_equal(snapshot_revision(f.snapshot, first),
                                        snapshot_revision(f.snapshot, second));
                for (size_t j = 0; j < a.all.n; j++) {
                        assert_int_equal(a.all.gateways[j].tally.hosts, 1);
                        assert_int_equal(a.all.gateways[j].clusters, 1);
                        assert_int_equal(a.all.gateways[j].tally.gaps.total, 0);
                }
                check_str(cluster_of(&a, "api.one"),
                          "tailscale/egress/demo/one/corp/api/http-8080");
                check_str(cluster_of(&a, "api.second.test"),
                          "tailscale/egress/demo/two/corp/api/http-8080");
                assert_int_equal(
                        count_fields(buf_str(&a.bytes), PBN_PostTranslateModifyResponse_clusters),
                        2);
                check_third(&a, &r);
                answer_done(&a);
                request_done(&r);
        }
        fixture_done(&f);
}

static void the_order_of_bindings_does_not_matter(void **state)
{
        (void)state;
        Fixture f = fixture_open(MEETING("", ""), NULL);
        Request r = request_named("http-80", 0), s;
        open_request(&s);
        add_binding(&s, "second", "");
        add_binding(&s, "first", "");
        add_binding(&s, "second", "0123456789abcdef0123456789abcdef"); /* the first counts */
        close_context(&s);
        request_routes_begin(&s, "http-80");
        add_vhost(&s, "third", "www.third.test", false);
        request_routes_end(&s);
        Answer a = answer_of(f.snapshot, &r), b = answer_of(f.snapshot, &s);
        assert_true(str_eq(buf_str(&a.bytes), buf_str(&b.bytes)));
        assert_int_equal(b.all.n, 2);
        check_str(told(&b, second)->asked, "");
        answer_done(&a);
        answer_done(&b);
        request_done(&r);
        request_done(&s);
        fixture_done(&f);
}

/* Who has api.second.test, and that the other is told who it is. */
static void check_winner(const char *manifests, ObjectKey winner, const char *name, ObjectKey loser)
{
        Fixture f = fixture_open(manifests, NULL);
        Request r = request_named("http-80", 0);
        Answer a = answer_of(f.snapshot, &r);
        char cluster[128], text[128];
        snprintf(cluster, sizeof(cluster), "tailscale/egress/demo/%s/corp/api/http-8080", name);
        snprintf(text, sizeof(text), "TailscaleGateway demo/%s, tailnet corp, service api has",
                 name);
        check_str(cluster_of(&a, "api.second.test"), cluster);
        assert_int_equal(told(&a, winner)->tally.hosts, 1);
        assert_int_equal(told(&a, winner)->tally.gaps.total, 0);
        assert_int_equal(told(&a, loser)->tally.hosts, 0);
        assert_int_equal(told(&a, loser)->tally.gaps.total, 1);
        assert_true(has_gap(told(&a, loser), "Conflicted", text));
        check_third(&a, &r);
        answer_done(&a);
        request_done(&r);
        fixture_done(&f);
}

static void a_host_that_both_want_is_one_s(void **state)
{
        (void)state;
        check_winner(MEETING("", ""), first, "one", second); /* by name */
        check_winner(MEETING("", "priority: 1, "), second, "two", first);
        check_winner(MEETING("priority: 2, ", "priority: 1, "), first, "one", second);
        check_winner(MEETING("priority: -1, ", ""), second, "two", first);
}

typedef struct Age {
        const char *name; /* of a TailscaleGateway */
        int64_t ms;       /* creationTimestamp, as the API server says it; 0: not known */
} Age;

static Fixture open_aged(const char *manifests, const Age *ages, size_t n)
{
        World *w = fixture_world(manifests);
        TABLE_FOREACH (GatewaySpec, g, w->gateways) {
                for (size_t i = 0; i < n; i++) {
                        if (str_eq(g->meta.key.name, str_of(ages[i].name)))
                                ((GatewaySpec *)(uintptr_t)g)->meta.created = (Wall){ages[i].ms};
                }
        }
        Fixture f = {0};
        f.snapshot = snapshot_new(w, NULL, &f.report);
        leaf_unref(w);
        return f;
}

static void the_older_comes_before_the_name(void **state)
{
        (void)state;
        static const struct {
                const char *manifests;
                int64_t one, two;
                const char *winner;
        } cases[] = {
                {MEETING("", ""), 1000, 2000, "one"},
                {MEETING("", ""), 2000, 1000, "two"},
                {MEETING("", ""), 0, 1000, "two"},
                {MEETING("", ""), 5, 5, "one"},
                /* Priority comes before age. */
                {MEETING("", "priority: 1, "), 1000, 2000, "two"},
        };
        char before[2 * REVISION_MAX + 2] = "";
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                const Age ages[] = {{"one", cases[i].one}, {"two", cases[i].two}};
                Fixture f = open_aged(cases[i].manifests, ages, LENGTH_OF(ages));
                Request r = request_named("http-80", 0);
                Answer a = answer_of(f.snapshot, &r);
                char cluster[128];
                snprintf(cluster, sizeof(cluster), "tailscale/egress/demo/%s/corp/api/http-8080",
                         cases[i].winner);
                check_str(cluster_of(&a, "api.second.test"), cluster);
                /* What decides is part of the revision: Envoy Gateway must be made to ask. */
                char now[sizeof(before)];
                snprintf(now, sizeof(now), "%s %s", snapshot_revision(f.snapshot, first),
                         snapshot_revision(f.snapshot, second));
                assert_string_not_equal(now, before);
                memcpy(before, now, sizeof(before));
                answer_done(&a);
                request_done(&r);
                fixture_done(&f);
        }
}

/* The same in namespace `other`, whose routes every listener here admits. */
#define OTHERS                                                                                  \
        "---\n{apiVersion: gateway.tailscale.com/v1alpha1, kind: TailscaleTailnet, metadata: "  \
        "{name: corp, namespace: other}, spec: {file: {path: d.json}, proxyAddresses: "         \
        "[\"127.0.0.1:1056\"]}}\n"                                                              \
        "---\n{apiVersion: gateway.tailscale.com/v1alpha1, kind: TailscaleEndpoints, "          \
        "metadata: {name: e, namespace: other}, spec: {tailnet: corp, endpoints: [" FIXTURE_API \
        "]}}\n"                                                                                 \
        "---\n{apiVersion: gateway.tailscale.com/v1alpha1, kind: TailscaleGateway, metadata: "  \
        "{name: two, namespace: other}, spec: {gatewayRef: {name: second, namespace: demo}, "   \
        "priority: 9, tailnets: [{name: corp, tailscaleTailnetRef: {name: corp}, "              \
        "routeGeneration: {egress: {" HOSTS("a.test") ", protocol: HTTP}}}]}}\n"
#define OPEN(more) HTTP(", allowedRoutes: {namespaces: {from: All}}" more)

/* Each Gateway has one that wants the host: the oldest claimant's namespace is found among all. */
static void the_oldest_claimants_namespace_has_it(void **state)
{
        (void)state;
        static const struct {
                int64_t also;
                const char *winner;
        } cases[] = {{1000, "demo/one"}, {4000, "other/two"}};
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                const Age ages[] = {{"one", 5000}, {"two", 3000}, {"also", cases[i].also}};
                Fixture f = open_aged(
                        EG("first", OPEN("")) EG("second", OPEN("")) EG("third", OPEN(""))
                                FIXTURE_TAILNET FIXTURE_ENDPOINTS(FIXTURE_API) OTHERS OURS(
                                        "one", "first", "priority: 1, ", HOSTS("a.test"))
                                        OURS("also", "third", "", HOSTS("a.test")),
                        ages, LENGTH_OF(ages));
                Request r;
                open_request(&r);
                add_binding(&r, "first", "");
                add_binding(&r, "second", "");
                add_binding(&r, "third", "");
                close_context(&r);
                request_routes_begin(&r, "http-80");
                request_routes_end(&r);
                Answer a = answer_of(f.snapshot, &r);
                char cluster[128];
                snprintf(cluster, sizeof(cluster), "tailscale/egress/%s/corp/api/http-8080",
                         cases[i].winner);
                check_str(cluster_of(&a, "api.a.test"), cluster);
                uint64_t hosts = 0, lost = 0;
                for (size_t j = 0; j < a.all.n; j++) {
                        hosts += a.all.gateways[j].tally.hosts;
                        lost += a.all.gateways[j].tally.gaps.total;
                        assert_int_equal(a.all.gateways[j].tally.hosts +
                                                 a.all.gateways[j].tally.gaps.total,
                                         1);
                }
                assert_int_equal(hosts, 1);
                assert_int_equal(lost, 2);
                answer_done(&a);
                request_done(&r);
                fixture_done(&f);
        }
}

static void each_has_the_revision_that_it_asks_for(void **state)
{
        (void)state;
        Fixture old = fixture_open(APART, NULL);
        char was[REVISION_MAX + 1];
        memcpy(was, snapshot_revision(old.snapshot, first), sizeof(was));
        Fixture f = fixture_open(BOTH_GATEWAYS OURS("one", "first", "", HOSTS("changed"))
                                         OURS("two", "second", "", HOSTS("second.test")),
                                 old.snapshot);
        fixture_done(&old);
        Request r;
        open_request(&r);
        add_binding(&r, "second", "ffffffffffffffffffffffffffffffff");
        add_binding(&r, "first", was);
        close_context(&r);
        request_routes_begin(&r, "http-80");
        request_routes_end(&r);
        /* That one is not held makes all of them wait. */
        Answer a = answer_bytes(f.snapshot, HOOK_TRANSLATE, buf_str(&r.bytes), true);
        assert_int_equal(a.verdict, HOOK_WAIT);
        assert_int_equal(a.bytes.n, 0);
        assert_int_equal(a.all.n, 2);
        answer_done(&a);
        a = answer_bytes(f.snapshot, HOOK_TRANSLATE, buf_str(&r.bytes), false);
        assert_int_equal(a.verdict, HOOK_ANSWERED);
        check_str(told(&a, first)->asked, was);
        check_str(told(&a, first)->served, was);
        check_str(told(&a, second)->asked, "ffffffffffffffffffffffffffffffff");
        check_str(told(&a, second)->served, snapshot_revision(f.snapshot, second));
        Str vhost;
        assert_int_equal(answer_vhost(&a, "api.one", &vhost), 1);
        assert_int_equal(answer_vhost(&a, "api.changed", &vhost), 0);
        answer_done(&a);
        /* Nothing is answered for any of them before the World is complete. */
        a = answer_bytes(NULL, HOOK_TRANSLATE, buf_str(&r.bytes), false);
        assert_int_equal(a.verdict, HOOK_UNAVAILABLE);
        assert_int_equal(a.all.n, 2);
        answer_done(&a);
        request_done(&r);
        fixture_done(&f);
}

static void one_that_goes_leaves_the_other(void **state)
{
        (void)state;
        Fixture f = fixture_open(BOTH_GATEWAYS OURS("one", "first", "", HOSTS("one")), NULL);
        Request r;
        open_request(&r);
        add_binding(&r, "first", "");
        add_binding(&r, "second", snapshot_empty_revision(f.snapshot));
        close_context(&r);
        request_routes_begin(&r, "http-80");
        add_vhost(&r, "third", "www.third.test", false);
        request_routes_end(&r);
        Answer a = answer_of(f.snapshot, &r);
        assert_int_equal(a.verdict, HOOK_ANSWERED);
        check_str(told(&a, second)->served, snapshot_empty_revision(f.snapshot));
        assert_int_equal(told(&a, second)->tally.hosts, 0);
        assert_int_equal(told(&a, first)->tally.hosts, 1);
        check_third(&a, &r);
        answer_done(&a);
        request_done(&r);
        fixture_done(&f);
}

#define WRITTEN(gateway)                                                                    \
        "---\n{apiVersion: gateway.tailscale.com/v1alpha1, kind: TailscaleGatewayBinding, " \
        "metadata: {name: " gateway                                                         \
        ", namespace: demo}, spec: {revision: a, targetRefs: [{group: "                     \
        "gateway.networking.k8s.io, kind: Gateway, name: " gateway "}]}}\n"

static void one_without_binding_is_known_by_what_it_has(void **state)
{
        (void)state;
        Fixture f = fixture_open(APART WRITTEN("first"), NULL);
        /* By metadata of a virtual host behind another one's; by the name of a listener's routes;
         * with Bindings and without. */
        for (size_t i = 0; i < 4; i++) {
                Request r;
                open_request(&r);
                if (i % 2 == 0)
                        add_binding(&r, "first", "");
                close_context(&r);
                request_routes_begin(&r, "http-80");
                add_vhost(&r, "first", "www.one", false);
                add_vhost(&r, "third", "www.third.test", false);
                if (i < 2)
                        add_vhost(&r, "second", "www.second.test", false);
                request_routes_end(&r);
                if (i >= 2) {
                        request_routes_begin(&r, "demo/second/https");
                        request_routes_end(&r);
                }
                Answer a = answer_of(f.snapshot, &r);
                assert_int_equal(a.verdict, HOOK_ANSWERED);
                assert_int_equal(a.all.n, 2);
                assert_int_equal(told(&a, first)->tally.hosts, 1);
                assert_int_equal(told(&a, second)->tally.hosts, 1);
                check_str(told(&a, second)->asked, "");
                check_third(&a, &r);
                answer_done(&a);
                request_done(&r);
        }
        fixture_done(&f);
        /* One that has a Binding which did not come is not in this call: it is not merged. */
        f = fixture_open(APART WRITTEN("first") WRITTEN("second"), NULL);
        Request r;
        open_request(&r);
        add_binding(&r, "first", "");
        close_context(&r);
        request_routes_begin(&r, "http-80");
        add_vhost(&r, "second", "www.second.test", false);
        request_routes_end(&r);
        Answer a = answer_of(f.snapshot, &r);
        assert_int_equal(a.all.n, 1);
        answer_done(&a);
        request_done(&r);
        fixture_done(&f);
}

#define PATHS(more) "hostPattern: \"{service}.one\", pathPrefix: \"/t/{service}/\"" more

static void paths_stay_in_their_gateway(void **state)
{
        (void)state;
        Fixture f = fixture_open(
                BOTH_GATEWAYS OURS("one", "first", "",
                                   PATHS(", pathHosts: [\"*\", www.third.test, www.one]"))
                        OURS("two", "second", "",
                             "hostPattern: \"{service}.second.test\", pathPrefix: "
                             "\"/t/{service}/\""),
                NULL);
        Request r;
        open_request(&r);
        add_binding(&r, "first", "");
        add_binding(&r, "second", "");
        close_context(&r);
        request_routes_begin(&r, "http-80");
        add_vhost(&r, "third", "www.third.test", false);
        add_vhost(&r, "first", "www.one", false);
        request_routes_end(&r);
        Answer a = answer_of(f.snapshot, &r);
        Str vhost;
        check_third(&a, &r);
        /* Its own host takes them; the catch-all of each listener is added. */
        assert_int_equal(answer_vhost(&a, "www.one", &vhost), 1);
        assert_int_equal(count_fields(vhost, PBN_VirtualHost_routes), 3);
        assert_int_equal(answer_vhost(&a, "*", &vhost), 1);
        check_str(pb_get(vhost, PBN_VirtualHost_name), "tailscale/egress/demo/first/*");
        assert_int_equal(answer_vhost(&a, "*.second.test", &vhost), 1);
        check_str(pb_get(vhost, PBN_VirtualHost_name),
                  "tailscale/egress/demo/second/*.second.test");
        assert_int_equal(told(&a, first)->tally.paths, 2);
        assert_int_equal(told(&a, second)->tally.paths, 1);
        assert_int_equal(told(&a, first)->tally.gaps.total, 1);
        assert_true(has_gap(told(&a, first), "NoPathHost", "pathHosts www.third.test"));
        answer_done(&a);
        request_done(&r);
        fixture_done(&f);
}

/* Envoy Gateway takes only one of two listeners with the same port and host, yet both may come. */
static void paths_that_meet_in_one_catch_all(void **state)
{
        (void)state;
        Fixture f = fixture_open(EG("first", HTTP("")) EG("second", HTTP(""))
                                         FIXTURE_TAILNET FIXTURE_ENDPOINTS(FIXTURE_API) OURS(
                                                 "one", "first", "", PATHS(""))
                                                 OURS("two", "second", "priority: 1, ",
                                                      "hostPattern: \"{service}.two\", pathPrefix: "
                                                      "\"/t/{service}/\""),
                                 NULL);
        Request r = request_named("http-80", 0);
        Answer a = answer_of(f.snapshot, &r);
        Str vhost = {0};
        assert_int_equal(answer_vhost(&a, "*", &vhost), 1);
        assert_int_equal(count_fields(vhost, PBN_VirtualHost_routes), 2);
        check_str(pb_get(pb_get(nth_route(vhost, 0), PBN_Route_route), PBN_RouteAction_cluster),
                  "tailscale/egress/demo/two/corp/api/http-8080");
        assert_int_equal(told(&a, second)->tally.paths, 1);
        assert_int_equal(told(&a, first)->tally.paths, 0);
        assert_true(has_gap(told(&a, first), "PathTaken", "/t/api/"));
        answer_done(&a);
        request_done(&r);
        /* Where it is a user's on another Gateway, it is that one's. */
        open_request(&r);
        add_binding(&r, "first", "");
        close_context(&r);
        request_routes_begin(&r, "http-80");
        add_vhost(&r, "third", "*", false);
        request_routes_end(&r);
        a = answer_of(f.snapshot, &r);
        assert_int_equal(answer_vhost(&a, "*", &vhost), 1);
        assert_int_equal(count_fields(vhost, PBN_VirtualHost_routes), 1);
        assert_true(has_gap(told(&a, first), "Conflicted", "a virtual host for *"));
        answer_done(&a);
        request_done(&r);
        fixture_done(&f);
}

static void hosts_of_others_are_not_overridden(void **state)
{
        (void)state;
        Fixture f = fixture_open(
                BOTH_GATEWAYS OURS("one", "first", "", HOSTS("third.test") ", overrideHosts: true"),
                NULL);
        for (size_t i = 0; i < 2; i++) {
                Request r;
                open_request(&r);
                add_binding(&r, "first", "");
                close_context(&r);
                request_routes_begin(&r, "http-80");
                add_vhost(&r, i == 0 ? "third" : "first", "api.third.test", false);
                request_routes_end(&r);
                Answer a = answer_of(f.snapshot, &r);
                Str vhost = {0};
                assert_int_equal(answer_vhost(&a, "api.third.test", &vhost), 1);
                assert_int_equal(count_fields(vhost, PBN_VirtualHost_routes), 1 + i);
                assert_int_equal(a.result.tally.hosts, i);
                assert_int_equal(a.result.tally.gaps.total, 1 - i);
                answer_done(&a);
                request_done(&r);
        }
        fixture_done(&f);
}

/* That routes of another Gateway are open says nothing of this one's, whose are all closed. */
static void authentication_is_that_of_the_own_gateway(void **state)
{
        (void)state;
        Fixture f = fixture_open(APART, NULL);
        Request r;
        open_request(&r);
        add_binding(&r, "first", "");
        add_binding(&r, "second", "");
        close_context(&r);
        request_routes_begin(&r, "http-80");
        add_vhost(&r, "third", "www.third.test", false);
        add_vhost(&r, "first", "www.one", true);
        request_routes_end(&r);
        Answer a = answer_of(f.snapshot, &r);
        assert_int_equal(told(&a, first)->tally.hosts, 0);
        assert_true(has_gap(told(&a, first), "AuthNotInherited", "listener http"));
        assert_int_equal(told(&a, second)->tally.hosts, 1);
        assert_int_equal(told(&a, second)->tally.gaps.total, 0);
        answer_done(&a);
        request_done(&r);
        fixture_done(&f);
}

/* Its host and cluster are in the old revision of the one and in the new of the other. */
static void a_tailscale_gateway_that_moves(void **state)
{
        (void)state;
        Fixture old =
                fixture_open(BOTH_GATEWAYS OURS("one", "first", "", HOSTS("second.test")), NULL);
        char was[REVISION_MAX + 1];
        memcpy(was, snapshot_revision(old.snapshot, first), sizeof(was));
        Fixture f = fixture_open(BOTH_GATEWAYS OURS("one", "second", "", HOSTS("second.test"))
                                         OURS("rest", "first", "", HOSTS("rest")),
                                 old.snapshot);
        fixture_done(&old);
        Request r;
        open_request(&r);
        add_binding(&r, "first", was);
        add_binding(&r, "second", "");
        close_context(&r);
        request_routes_begin(&r, "http-80");
        request_routes_end(&r);
        Answer a = answer_of(f.snapshot, &r);
        assert_int_equal(a.verdict, HOOK_ANSWERED);
        assert_int_equal(count_fields(buf_str(&a.bytes), PBN_PostTranslateModifyResponse_clusters),
                         1);
        check_str(cluster_of(&a, "api.second.test"),
                  "tailscale/egress/demo/one/corp/api/http-8080");
        assert_int_equal(told(&a, first)->tally.hosts + told(&a, second)->tally.hosts, 1);
        assert_int_equal(told(&a, first)->clusters + told(&a, second)->clusters, 1);
        answer_done(&a);
        request_done(&r);
        fixture_done(&f);
}

static void more_bindings_than_are_heeded(void **state)
{
        (void)state;
        Fixture f = fixture_open(APART, NULL);
        Request r;
        open_request(&r);
        add_binding(&r, "second", "");
        for (int i = 0; i < HOOK_GATEWAYS_MAX; i++) {
                char name[32];
                snprintf(name, sizeof(name), "nobody-%d", i);
                add_binding(&r, name, "");
        }
        add_binding(&r, "first", "");
        close_context(&r);
        request_routes_begin(&r, "http-80");
        request_routes_end(&r);
        Answer a = answer_of(f.snapshot, &r);
        assert_int_equal(a.verdict, HOOK_ANSWERED);
        assert_int_equal(a.all.n, HOOK_GATEWAYS_MAX);
        assert_int_equal(told(&a, second)->tally.hosts, 1);
        answer_done(&a);
        request_done(&r);
        fixture_done(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_gateway_has_what_is_its),
                cmocka_unit_test(the_order_of_bindings_does_not_matter),
                cmocka_unit_test(a_host_that_both_want_is_one_s),
                cmocka_unit_test(the_older_comes_before_the_name),
                cmocka_unit_test(the_oldest_claimants_namespace_has_it),
                cmocka_unit_test(each_has_the_revision_that_it_asks_for),
                cmocka_unit_test(one_that_goes_leaves_the_other),
                cmocka_unit_test(one_without_binding_is_known_by_what_it_has),
                cmocka_unit_test(paths_stay_in_their_gateway),
                cmocka_unit_test(paths_that_meet_in_one_catch_all),
                cmocka_unit_test(hosts_of_others_are_not_overridden),
                cmocka_unit_test(authentication_is_that_of_the_own_gateway),
                cmocka_unit_test(a_tailscale_gateway_that_moves),
                cmocka_unit_test(more_bindings_than_are_heeded),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
