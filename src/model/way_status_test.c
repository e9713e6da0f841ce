/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "model/way_status.h"

#include <stdio.h>

enum {
        ROWS_MAX = 4
};

static const ObjectKey key = {STR_INIT("demo"), STR_INIT("gw")},
                       other = {STR_INIT("demo"), STR_INIT("other")};

typedef struct Row {
        const char *tailnet, *reason; /* of the way; NULL: there is none */
        bool has_socket;
        const char *facts[3]; /* reasons of its ports, from 80 on */
} Row;

static WayReport *new_way(ObjectKey gateway, const Row *r)
{
        WayReport *w = leaf_new(sizeof(*w), 0, NULL);

        w->gateway = gateway;
        w->tailnet = str_of(r->tailnet);
        w->reason = str_of(r->reason);
        w->text = r->reason[0] != '\0' ? STR("of the listener") : (Str){0};
        return w;
}

static void expect(const char *about, const Row *rows, size_t n, const char *status,
                   const char *reason, const char *message)
{
        TailnetEntry entries[ROWS_MAX] = {0};
        GatewaySpec g = {.meta = {.key = key, .generation = 7}, .tailnets = entries};
        ServeFact serves[ROWS_MAX * 3 + 1] = {0};
        const void *ways[ROWS_MAX + 1];
        size_t n_ways = 0;
        Facts facts;
        Buf text;
        Condition c = {.type = "untouched"};

        facts_init(&facts);
        facts.serves = serves;
        for (size_t i = 0; i < n; i++) {
                entries[g.n_tailnets].name = str_of(rows[i].tailnet);
                if (rows[i].has_socket)
                        entries[g.n_tailnets].connectivity.ingress.socket = STR("/run/s");
                g.n_tailnets++;
                if (rows[i].reason != NULL)
                        ways[n_ways++] = new_way(key, &rows[i]);
                for (size_t j = 0; j < 3 && rows[i].facts[j] != NULL; j++) {
                        ServeFact *f = &serves[facts.n_serves++];
                        *f = (ServeFact){.gateway = key,
                                         .tailnet = str_of(rows[i].tailnet),
                                         .port = (uint16_t)(80 + j)};
                        snprintf(f->reason, sizeof(f->reason), "%s", rows[i].facts[j]);
                        snprintf(f->text, sizeof(f->text), "of the port");
                }
        }
        /* Another TailscaleGateway's say nothing of this one. */
        ways[n_ways++] = new_way(other, &(Row){.tailnet = "corp", .reason = "ListenerShared"});
        serves[facts.n_serves++] = (ServeFact){.gateway = other, .reason = "PortTaken"};
        Report *r = leaf_new(sizeof(*r), 0, report_drop);
        r->ways = table_new(ways, n_ways, way_report_order);
        buf_init(&text, 1000);
        print_message("%s\n", about);
        assert_int_equal(way_status(r, &facts, &g, &c, &text), status != NULL);
        if (status != NULL) {
                assert_string_equal(c.type, "IngressServing");
                assert_string_equal(c.status, status);
                assert_true(str_eq(c.reason, str_of(reason)));
                assert_true(str_eq(condition_reason(&c), c.reason));
                assert_true(str_eq(c.message, str_of(message)));
                assert_int_equal(c.generation, 7);
        } else {
                assert_string_equal(c.type, "untouched");
        }
        leaf_unref(r);
        buf_done(&text);
        facts_done(&facts);
}

#define EXPECT(about, status, reason, message, ...) \
        expect(about, (const Row[]){__VA_ARGS__},   \
               sizeof((const Row[]){__VA_ARGS__}) / sizeof(Row), status, reason, message)

static void test_what_is_said(void **state)
{
        (void)state;
        EXPECT("nobody asks", NULL, NULL, NULL, {"corp", NULL, true, {0}});
        EXPECT("all ports", "True", "Serving", "", {"corp", "", true, {"Serving", "Serving"}});
        EXPECT("somebody else leads the tailnet here", "True", "Serving", "",
               {"corp", "", false, {0}});
        EXPECT("not asked yet", "Unknown", "Pending", "", {"corp", "", true, {"Pending"}});
        EXPECT("not planned yet", "Unknown", "Pending", "", {"corp", "", true, {0}});
        EXPECT("one port", "False", "PortTaken", "tailnet corp: port 81: of the port",
               {"corp", "", true, {"Serving", "PortTaken", "FunnelOn"}});
        EXPECT("the listener", "False", "ListenerTaken", "tailnet corp: of the listener",
               {"corp", "ListenerTaken", true, {0}});
        EXPECT("one of two", "False", "NoSocket", "tailnet lab: port 80: of the port",
               {"corp", "", true, {"Serving"}}, {"lab", "", true, {"NoSocket"}});
        EXPECT("what is wrong counts more than what is not known", "False", "NoSocket",
               "tailnet lab: port 80: of the port", {"corp", "", true, {"Pending"}},
               {"lab", "", true, {"NoSocket"}});
}

static void test_before_there_is_a_report(void **state)
{
        GatewaySpec g = {.meta = {.key = key}};
        Facts facts;
        Condition c;

        (void)state;
        facts_init(&facts);
        assert_false(way_status(NULL, &facts, &g, &c, NULL));
        facts_done(&facts);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_is_said),
                cmocka_unit_test(test_before_there_is_a_report),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
