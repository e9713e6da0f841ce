/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/report.h"
#include "model/world.h"

/* The leak checker proves that what a leaf holds goes with it. */
static void test_drops(void **state)
{
        CLEANUP(leaf_cleanup) World *w = world_new_empty();
        CLEANUP(leaf_cleanup)
        TailnetState *s = leaf_new(sizeof(*s), 0, tailnet_state_drop);
        CLEANUP(leaf_cleanup) Report *r = leaf_new(sizeof(*r), 0, report_drop);

        (void)state;
        assert_false(w->complete);
        assert_int_equal(table_n(w->entries), 0);
        s->devices = table_new(NULL, 0, device_order);
        r->routes = table_new(NULL, 0, route_report_order);
        r->entries = table_new(NULL, 0, entry_report_order);
        r->gateways = table_new(NULL, 0, gateway_report_order);
}

static void test_entry_views_are_found(void **state)
{
        const void *leaves[6];
        Table *t;

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(leaves); i++) {
                EntryView *v = leaf_new(sizeof(*v), 0, entry_view_drop);

                v->gateway = (ObjectKey){i < 3 ? STR("m") : STR("n"), STR("g")};
                v->tailnet = str_make(&"cba"[i % 3], 1);
                leaves[i] = v;
        }
        t = table_new(leaves, LENGTH_OF(leaves), entry_view_order);
        assert_int_equal(t->n, 6);
        for (size_t i = 0; i < t->n; i++) {
                const EntryView *v = t->at[i];
                EntryKey key = {v->gateway, v->tailnet};

                assert_ptr_equal(table_find(t, &key, entry_view_find), v);
        }
        EntryKey none = {{STR("n"), STR("g")}, STR("d")};
        assert_null(table_find(t, &none, entry_view_find));
        table_unref(t);
}

static void test_route_reports_have_a_total_order(void **state)
{
        RouteReport a = {.service = STR("s"), .host = STR("h"), .port = 80};
        RouteReport b = a;

        (void)state;
        assert_int_equal(route_report_order(&a, &b), 0);
        b.port = 81;
        assert_true(route_report_order(&a, &b) < 0);
        assert_true(route_report_order(&b, &a) > 0);
        b = a;
        b.listener = STR("x");
        assert_true(route_report_order(&a, &b) < 0);
        b = a;
        b.path = STR("/");
        assert_true(route_report_order(&a, &b) < 0);
}

static void test_endpoints_and_devices(void **state)
{
        Endpoint e = {.service = STR("s"), .port = 80, .protocol = PROTOCOL_HTTP}, f = e;
        Device d = {.node_id = STR("n"), .name = STR("a")}, c = d;

        (void)state;
        assert_true(endpoint_same(&e, &f));
        f.health = STR("Offline");
        assert_false(endpoint_same(&e, &f));
        assert_int_equal(endpoint_order(&e, &f), 0);
        f.node_id = STR("n");
        assert_true(endpoint_order(&e, &f) < 0);
        assert_true(device_same(&d, &c));
        c.last_seen.ms = 1;
        assert_false(device_same(&d, &c));
}

static void test_protocols(void **state)
{
        Protocol p;

        (void)state;
        for (int i = PROTOCOL_HTTP; i <= PROTOCOL_UDP; i++) {
                assert_true(protocol_parse(protocol_name((Protocol)i), &p));
                assert_int_equal(p, i);
        }
        assert_false(protocol_parse(STR(""), &p));
        assert_false(protocol_parse(STR("http"), &p));
        assert_true(protocol_is_http_like(PROTOCOL_GRPC));
        assert_false(protocol_is_http_like(PROTOCOL_TCP));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_drops),
                cmocka_unit_test(test_entry_views_are_found),
                cmocka_unit_test(test_route_reports_have_a_total_order),
                cmocka_unit_test(test_endpoints_and_devices),
                cmocka_unit_test(test_protocols),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
