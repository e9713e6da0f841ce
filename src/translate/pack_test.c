/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/pb_reader.h"
#include "translate/pack.h"

#include "pb_tokens.h"

static const Endpoint one = {.service = STR_INIT("web"),
                             .ip = STR_INIT("100.64.0.1"),
                             .fqdn = STR_INIT("web-1.corp.ts.net"),
                             .short_name = STR_INIT("web-1"),
                             .port = 80,
                             .weight = 1};
static const Endpoint two = {.service = STR_INIT("web"),
                             .ip = STR_INIT("100.64.0.2"),
                             .fqdn = STR_INIT("web-2.corp.ts.net"),
                             .short_name = STR_INIT("web-2"),
                             .port = 80,
                             .weight = 5};

static PackService service(const Endpoint *const *endpoints, size_t n)
{
        return (PackService){.gateway_namespace = STR("demo"),
                             .gateway = STR("gw"),
                             .tailnet = STR("corp"),
                             .service = STR("web"),
                             .cluster = STR("tailscale/egress/demo/gw/corp/web/http-80"),
                             .host = STR("web.corp.ts.net"),
                             .port = 80,
                             .protocol = PROTOCOL_HTTP,
                             .endpoints = endpoints,
                             .n_endpoints = n};
}

static void check(Str got, const char *want)
{
        if (!str_eq(got, str_of(want)))
                fail_msg("got \"%.*s\", want \"%s\"", STR_FMT(got), want);
}

static void names_and_hosts(void **state)
{
        (void)state;
        Arena a;
        arena_init(&a, 0);
        const Endpoint *both[] = {&one, &two};
        PackService s = service(both, 1);
        check(pack_cluster_name(&a, &s), "tailscale/egress/demo/gw/corp/web/http-80");
        /* A group, with one member and with two. */
        check(pack_host_of(&a, &s, STR("corp.ts.net")), "web.corp.ts.net");
        s.n_endpoints = 2;
        check(pack_host_of(&a, &s, STR("corp.ts.net")), "web.corp.ts.net");
        check(pack_host_of(&a, &s, (Str){0}), "web.corp.ts.net");
        Endpoint nameless = one;
        const Endpoint *at = &nameless;
        s = service(&at, 1);
        nameless.fqdn = (Str){0};
        check(pack_host_of(&a, &s, (Str){0}), "web");
        /* A device by itself. */
        nameless.service = nameless.short_name;
        nameless.fqdn = one.fqdn;
        check(pack_host_of(&a, &s, STR("other.ts.net")), "web-1.corp.ts.net");
        nameless.fqdn = (Str){0};
        check(pack_host_of(&a, &s, STR("corp.ts.net")), "web-1");
        /* What a user gave a name to is not a group. */
        nameless = one;
        nameless.origin = ENDPOINT_STATIC;
        check(pack_host_of(&a, &s, STR("corp.ts.net")), "web-1.corp.ts.net");
        nameless.fqdn = (Str){0};
        nameless.short_name = STR("no host\r\n");
        check(pack_host_of(&a, &s, STR("corp.ts.net")), "");
        arena_done(&a);
}

static Str cluster_of(const Pack *p)
{
        Str body = pb_get(p->bytes, PBN_PostTranslateModifyResponse_clusters);
        assert_true(body.n > 0);
        return body;
}

/* A cluster keeps references to its endpoints. */
static const Endpoint *leaf_of(const Endpoint *like)
{
        Endpoint *e = leaf_new(sizeof(*e), 0, NULL);
        Leaf leaf = e->leaf;
        *e = *like;
        e->leaf = leaf;
        return e;
}

static void every_proxy_of_every_endpoint(void **state)
{
        (void)state;
        static const ProxyAddr proxies[] = {{.ip = STR_INIT("127.0.0.1"), .port = 1055},
                                            {.path = STR_INIT("/run/p")}};
        const Endpoint *both[] = {leaf_of(&one), leaf_of(&two)};
        PackService s = service(both, 2);
        s.proxies = proxies;
        s.n_proxies = LENGTH_OF(proxies);
        Buf scratch;
        buf_init(&scratch, PACK_BYTES_MAX);
        Pack *p = pack_cluster(&s, NULL, &scratch);
        Str load = pb_get(cluster_of(p), PBN_Cluster_load_assignment);
        PbReader r = pb_reader(pb_get(load, PBN_ClusterLoadAssignment_endpoints));
        size_t n = 0, weighted = 0;
        for (Str e; pb_next_len(&r, PBN_LocalityLbEndpoints_lb_endpoints, &e); n++) {
                weighted += pb_get(e, PBN_LbEndpoint_load_balancing_weight).n > 0;
                Str any = {0};
                assert_true(pb_map_get(
                        pb_get(e, PBN_LbEndpoint_metadata), PBN_Metadata_typed_filter_metadata,
                        STR("envoy.http11_proxy_transport_socket.proxy_address"), &any));
                Str pipe = pb_get(pb_get(any, PBN_Any_value), PBN_Address_pipe);
                assert_int_equal(pipe.n > 0, n % 2);
        }
        assert_int_equal(n, 4);
        assert_int_equal(weighted, 2);
        assert_true(pack_is_made_of(p, &s));
        s.n_endpoints = 1;
        assert_false(pack_is_made_of(p, &s));
        s.n_endpoints = 2;
        s.config.b[0] = 1;
        assert_false(pack_is_made_of(p, &s));
        leaf_unref(p);
        for (size_t i = 0; i < LENGTH_OF(both); i++)
                leaf_unref(both[i]);
        buf_done(&scratch);
}

static void too_much_is_refused(void **state)
{
        (void)state;
        const Endpoint *at = &one;
        PackService s = service(&at, 1);
        PackPlace place = {.name = STR("/t/web/"), .listener = STR("http")};
        Buf scratch;
        buf_init(&scratch, 64);
        assert_null(pack_cluster(&s, NULL, &scratch));
        assert_null(pack_host(&s, &place, NULL, &scratch));
        assert_null(pack_path(&s, &place, NULL, &scratch));
        buf_done(&scratch);
}

static void a_host_knows_where_its_routes_stand(void **state)
{
        (void)state;
        const Endpoint *at = &one;
        PackService s = service(&at, 1);
        PackPlace place = {.eg_namespace = STR("demo"),
                           .eg_gateway = STR("eg"),
                           .name = STR("web.x"),
                           .listener = STR("http")};
        Buf scratch;
        buf_init(&scratch, PACK_BYTES_MAX);
        Pack *p = pack_host(&s, &place, NULL, &scratch);
        Str vhost = pb_get(p->bytes, PBN_RouteConfiguration_virtual_hosts);
        check(pb_get(vhost, PBN_VirtualHost_name), "tailscale/egress/demo/eg/web.x");
        assert_true(str_eq(pb_get(pack_routes(p), PBN_VirtualHost_routes),
                           pb_get(vhost, PBN_VirtualHost_routes)));
        assert_true(pack_is_at(p, s.cluster, &place));
        Pack *again = pack_host(&s, &place, p, &scratch);
        assert_ptr_equal(again, p);
        leaf_unref(again);
        place.named = true;
        assert_false(pack_is_at(p, s.cluster, &place));
        again = pack_host(&s, &place, p, &scratch);
        assert_ptr_not_equal(again, p);
        assert_false(digest_eq(&again->digest, &p->digest));
        leaf_unref(again);
        leaf_unref(p);
        buf_done(&scratch);
}

/* Envoy refuses a locality whose weights do not fit 32 bits in sum. */
static void weights_fit_in_sum(void **state)
{
        (void)state;
        Endpoint heavy = two;
        heavy.weight = 3000000000;
        const Endpoint *both[] = {leaf_of(&heavy), leaf_of(&heavy)};
        PackService s = service(both, 2);
        Buf scratch;
        buf_init(&scratch, PACK_BYTES_MAX);
        Pack *p = pack_cluster(&s, NULL, &scratch);
        Str locality = pb_get(pb_get(cluster_of(p), PBN_Cluster_load_assignment),
                              PBN_ClusterLoadAssignment_endpoints);
        PbReader r = pb_reader(locality);
        uint64_t sum = 0;
        for (Str e; pb_next_len(&r, PBN_LocalityLbEndpoints_lb_endpoints, &e);)
                sum += pb_get_varint(pb_get(e, PBN_LbEndpoint_load_balancing_weight),
                                     PBN_UInt32Value_value);
        assert_in_range(sum, 2, UINT32_MAX);
        buf_done(&scratch);
        leaf_unref(p);
        leaf_unref(both[0]);
        leaf_unref(both[1]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_and_hosts),
                cmocka_unit_test(every_proxy_of_every_endpoint),
                cmocka_unit_test(too_much_is_refused),
                cmocka_unit_test(a_host_knows_where_its_routes_stand),
                cmocka_unit_test(weights_fit_in_sum),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
