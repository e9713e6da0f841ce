/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "translate/pack.h"
#include "translate/test_request.h"
#include "translate/xds_view.h"

static void check(Str got, const char *want)
{
        if (!str_eq(got, str_of(want)))
                fail_msg("got \"%.*s\", want \"%s\"", STR_FMT(got), want);
}

static void marks_of_envoy_gateway(void **state)
{
        (void)state;
        Request r;
        request_open(&r);
        request_vhost_body(&r.w, "a.b", "team", true);
        Str vhost = buf_str(&r.bytes);
        EgResource by;
        assert_true(xds_view_resource(vhost, PBN_VirtualHost_metadata, &by));
        check(by.namespace, "demo");
        check(by.name, "gw");
        check(by.section, "http");
        check(by.kind, "");
        assert_false(xds_view_is_ours(vhost, PBN_VirtualHost_metadata));
        assert_false(xds_view_resource(vhost, PBN_VirtualHost_name, &by));
        Str route = nth_route(vhost, 0), namespace = {0};
        assert_true(xds_view_route_namespace(route, &namespace));
        check(namespace, "team");
        assert_false(xds_view_is_our_route(route));
        assert_true(xds_view_has_auth(route, PBN_Route_typed_per_filter_config));
        assert_false(xds_view_has_auth(vhost, PBN_VirtualHost_typed_per_filter_config));
        request_done(&r);
}

static void route_namespaces_by_name(void **state)
{
        (void)state;
        static const struct {
                const char *name, *namespace;
        } cases[] = {
                {"httproute/team/web/rule/0/match/0/x", "team"},
                {"grpcroute/team/web/rule/0/match/0/x", "team"},
                {"tailscale/egress/a/b/c/d/e", NULL},
                {"httproute/team", NULL},
                {"tcproute/team/x", NULL},
                {"", NULL},
        };
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                Request r;
                request_open(&r);
                pb_str(&r.w, PB_Route_name, str_of(cases[i].name));
                Str namespace = {0};
                bool found = xds_view_route_namespace(buf_str(&r.bytes), &namespace);
                assert_int_equal(found, cases[i].namespace != NULL);
                if (found)
                        check(namespace, cases[i].namespace);
                request_done(&r);
        }
}

static void filters_that_authenticate(void **state)
{
        (void)state;
        static const struct {
                const char *name;
                bool auth;
        } cases[] = {
                {"envoy.filters.http.jwt_authn", true},
                {"envoy.filters.http.oauth2", true},
                {"envoy.filters.http.ext_authz/securitypolicy/demo/x", true},
                {"envoy.filters.http.ext_authz", true},
                {"envoy.filters.http.rbac", true},
                {"envoy.filters.http.basic_auth/demo", true},
                {"envoy.filters.http.api_key_auth", true},
                {"envoy.filters.http.rbac2", false},
                {"envoy.filters.http.cors", false},
                {"", false},
        };
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                Request r;
                request_open(&r);
                pb_begin(&r.w, PB_Route_typed_per_filter_config);
                pb_str(&r.w, PB_Route_typed_per_filter_config_key, str_of(cases[i].name));
                pb_end(&r.w);
                assert_int_equal(
                        xds_view_has_auth(buf_str(&r.bytes), PBN_Route_typed_per_filter_config),
                        cases[i].auth);
                request_done(&r);
        }
}

static void listeners(void **state)
{
        (void)state;
        Request r;
        request_open(&r);
        pb_begin(&r.w, PB_Listener_address);
        pb_begin(&r.w, PB_Address_socket_address);
        pb_varint(&r.w, PB_SocketAddress_port_value, 10080);
        pb_end(&r.w);
        pb_end(&r.w);
        assert_int_equal(xds_view_listener_port(buf_str(&r.bytes)), 10080);
        assert_int_equal(xds_view_listener_routes(buf_str(&r.bytes)).n, 0);
        pb_begin(&r.w, PB_Listener_default_filter_chain);
        pb_begin(&r.w, PB_FilterChain_filters);
        pb_any_begin(&r.w, PB_Filter_typed_config, PB_TYPE_HttpConnectionManager);
        pb_begin(&r.w, PB_HttpConnectionManager_rds);
        pb_str(&r.w, PB_Rds_route_config_name, STR("other/gw/http"));
        pb_end(&r.w);
        pb_any_end(&r.w);
        pb_end(&r.w);
        pb_end(&r.w);
        check(xds_view_listener_routes(buf_str(&r.bytes)), "other/gw/http");
        assert_int_equal(xds_view_listener_port((Str){0}), 0);
        request_done(&r);
}

static void names_of_two_parts_and_more(void **state)
{
        (void)state;
        Str namespace = {0}, gateway = {0};
        assert_true(xds_view_split_name(STR("a/b/c"), &namespace, &gateway));
        check(namespace, "a");
        check(gateway, "b");
        assert_true(xds_view_split_name(STR("a/b/c/d/e"), &namespace, &gateway));
        assert_false(xds_view_split_name(STR("a/b"), &namespace, &gateway));
        assert_false(xds_view_split_name(STR("//c"), &namespace, &gateway));
        assert_false(xds_view_split_name(STR("http-80"), &namespace, &gateway));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(marks_of_envoy_gateway),
                cmocka_unit_test(route_namespaces_by_name),
                cmocka_unit_test(filters_that_authenticate),
                cmocka_unit_test(listeners),
                cmocka_unit_test(names_of_two_parts_and_more),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
