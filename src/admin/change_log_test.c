/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/change_log.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const ObjectKey gateway = {STR_INIT("team"), STR_INIT("gw")};

typedef struct Lines {
        Log log;
        Buf text;
} Lines;

static Wall no_time(void *ctx)
{
        (void)ctx;
        return (Wall){0};
}

static void keep(void *ctx, Str line)
{
        Lines *l = ctx;
        buf_add_str(&l->text, line);
}

static void lines_init(Lines *l)
{
        *l = (Lines){.log = {.level = LOG_INFO, .now = no_time, .write = keep}};
        l->log.ctx = l;
        buf_init(&l->text, 1 << 20);
}

static size_t count(const Lines *l)
{
        size_t n = 0;
        for (size_t i = 0; i < l->text.n; i++)
                n += l->text.p[i] == '\n';
        return n;
}

static void expect(Lines *l, size_t n, const char *part)
{
        if (count(l) != n || str_find_str(buf_str(&l->text), str_of(part)) < 0)
                fail_msg("expected %zu lines, \"%s\" among them: %.*s", n, part,
                         STR_FMT(buf_str(&l->text)));
        buf_done(&l->text);
}

/* A World with one entry; services "s1", "s2", … for each digit of `names`. */
static World *world_of(const char *names, const char *left_out)
{
        const void *endpoints[64];
        size_t n = 0;
        for (; names[n] != '\0'; n++) {
                char name[3] = {'s', names[n], 0};
                Endpoint *e = leaf_new(sizeof *e, 0, NULL);
                e->service = leaf_str(&e->leaf, str_of(name));
                e->node_id = e->service;
                e->ip = STR("100.64.0.1");
                e->rule = STR("pattern s*");
                e->port = 80;
                endpoints[n] = e;
        }
        EntryView *v = leaf_new(sizeof *v, 0, entry_view_drop);
        v->gateway = gateway;
        v->tailnet = STR("corp");
        v->known = true;
        v->endpoints = table_new(endpoints, n, endpoint_order);
        LeftOut like = {.node_id = str_of(left_out), .reason = STR("Expired")};
        LeftOutRow row = left_out_row(&like, NULL, 0, &(LeftOutRow){0});
        v->left_out = left_out_list_new(&row, 1, NULL, 0);
        const void *entry[] = {v};
        World *w = world_new_empty();
        table_unref(w->entries);
        w->entries = table_new(entry, 1, entry_view_order);
        return w;
}

static void expect_world(const char *before, const char *now, size_t n, const char *part)
{
        Lines l;
        lines_init(&l);
        World *a = before != NULL ? world_of(before, "") : NULL, *b = world_of(now, "s2");
        Departures gone = {0};
        change_log_world(&l.log, a, b, &gone, (Wall){1});
        departures_done(&gone);
        expect(&l, n, part);
        leaf_unref(a);
        leaf_unref(b);
}

static void endpoints_join_and_leave(void **state)
{
        (void)state;
        expect_world(NULL, "1", 1,
                     "endpoint joined gateway=gw namespace=team tailnet=corp service=s1 "
                     "address=100.64.0.1 port=80 rule=\"pattern s*\"");
        expect_world("13", "123", 1,
                     "endpoint joined gateway=gw namespace=team tailnet=corp "
                     "service=s2");
        expect_world("123", "13", 1, "service=s2 address=100.64.0.1 port=80 reason=Expired");
        expect_world("12", "2", 1, "service=s1 address=100.64.0.1 port=80 reason=Missing");
        expect_world("14", "23", 4, "endpoint left");
        expect_world("123", "123", 0, "");
        expect_world("", "", 0, "");
}

/* The same device at another address has not left the list. */
static void what_moved_is_replaced(void **state)
{
        (void)state;
        Lines l;
        lines_init(&l);
        World *a = world_of("1", ""), *b = world_of("1", "");
        const EntryView *v = table_at(b->entries, 0);
        Endpoint *e = (Endpoint *)(uintptr_t)table_at(v->endpoints, 0);
        Departures gone = {0};
        e->ip = STR("100.64.0.9");
        change_log_world(&l.log, a, b, &gone, (Wall){1});
        expect(&l, 2, "reason=Replaced text=\"its device is s1 at 100.64.0.9, port 80, now\"");
        departures_done(&gone);
        leaf_unref(a);
        leaf_unref(b);
}

/* What left is remembered, with what the guard had counted. */
static void who_left_is_remembered(void **state)
{
        (void)state;
        static const struct {
                unsigned held, confirmations;
                uint64_t poll_before, poll_now;
                const char *text;
        } cases[] = {
                {0, 0, 4, 5, "the tailnet's list lacks it"},
                {1, 2, 4, 5, "the tailnet's list lacked it for 3 polls in a row"},
                {1, 1, 4, 4,
                 "the tailnet's list lacked it for 1 poll, and its removal was approved"},
        };
        Departures gone = {0};
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                Lines l;
                lines_init(&l);
                World *a = world_of("12", ""), *b = world_of("", "s2");
                EntryView *old = (EntryView *)(uintptr_t)table_at(a->entries, 0);
                EntryView *now = (EntryView *)(uintptr_t)table_at(b->entries, 0);
                old->held.n = cases[i].held;
                old->held.confirmations = cases[i].confirmations;
                old->poll = cases[i].poll_before;
                now->poll = cases[i].poll_now;
                change_log_world(&l.log, a, b, &gone, (Wall){(int64_t)i + 1});
                expect(&l, 2, cases[i].text);
                const Departure *d = departures_newest(&gone, 1), *e = departures_newest(&gone, 0);
                assert_true(str_eq(d->service, STR("s1")));
                assert_true(str_eq(d->text, str_of(cases[i].text)));
                assert_true(str_eq(e->reason, STR("Expired")));
                assert_int_equal(d->at.ms, i + 1);
                leaf_unref(a);
                leaf_unref(b);
        }
        assert_null(departures_newest(&gone, 2 * LENGTH_OF(cases)));
        /* The oldest make room. */
        Departure d = {.service = STR("x")};
        for (size_t i = 0; i < DEPARTURES_MAX + 1; i++) {
                d.port = (uint16_t)i;
                departures_add(&gone, &d);
        }
        assert_int_equal(departures_newest(&gone, 0)->port, DEPARTURES_MAX);
        assert_int_equal(departures_newest(&gone, DEPARTURES_MAX - 1)->port, 1);
        assert_null(departures_newest(&gone, DEPARTURES_MAX));
        departures_done(&gone);
}

static void many_are_cut(void **state)
{
        (void)state;
        expect_world("", "0123456789abcdefghijklmnopqrstuvwxyz", CHANGE_LOG_LINES_MAX + 1,
                     "more of the same what=endpoints lines=16");
}

/* A Report with one entry that has `entry` as its reason, and a host that has `route` ("": won). */
static Report *report_of(const char *entry, const char *route)
{
        Report *r = leaf_new(sizeof *r, 0, report_drop);
        EntryReport *e = leaf_new(sizeof *e, 0, NULL);
        e->gateway = gateway;
        e->tailnet = STR("corp");
        e->reason = str_of(entry);
        RouteReport *row = leaf_new(sizeof *row, 0, NULL);
        row->gateway = gateway;
        row->tailnet = STR("corp");
        row->host = STR("a.local");
        row->reason = str_of(route);
        row->programmed = route[0] == '\0';
        const void *rows[] = {row}, *entries[] = {e};
        r->routes = table_new(rows, 1, route_report_order);
        r->entries = table_new(entries, 1, entry_report_order);
        r->gateways = table_new(NULL, 0, gateway_report_order);
        return r;
}

static void expect_report(Report *a, Report *b, size_t n, const char *part)
{
        Lines l;
        lines_init(&l);
        change_log_report(&l.log, a, b);
        expect(&l, n, part);
        leaf_unref(a);
        leaf_unref(b);
}

static void what_is_not_programmed_is_told_once(void **state)
{
        (void)state;
        expect_report(NULL, report_of("", "Conflicted"), 1,
                      "host=a.local path=\"\" reason=Conflicted");
        expect_report(report_of("", ""), report_of("", "Conflicted"), 1, "reason=Conflicted");
        expect_report(report_of("", "NoHost"), report_of("", "Conflicted"), 1, "reason=Conflicted");
        expect_report(report_of("", "Conflicted"), report_of("", "Conflicted"), 0, "");
        expect_report(report_of("", "Conflicted"), report_of("", ""), 0, "");
        expect_report(report_of("", ""), report_of("NoProxy", "NoProxy"), 1,
                      "nothing can be programmed gateway=gw namespace=team tailnet=corp "
                      "reason=NoProxy");
        expect_report(report_of("NoProxy", "NoProxy"), report_of("NoProxy", "NoProxy"), 0, "");
        expect_report(report_of("NoProxy", "NoProxy"), report_of("", ""), 1, "again");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(endpoints_join_and_leave),
                cmocka_unit_test(what_moved_is_replaced),
                cmocka_unit_test(who_left_is_remembered),
                cmocka_unit_test(many_are_cut),
                cmocka_unit_test(what_is_not_programmed_is_told_once),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
