/* SPDX-License-Identifier: Apache-2.0 */
#include "source/held_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef struct Lines {
        Log log;
        char text[1024];
        size_t n;
} Lines;

static Wall no_time(void *ctx)
{
        (void)ctx;
        return (Wall){0};
}

static void keep(void *ctx, Str line)
{
        Lines *l = ctx;
        assert_true(l->n + line.n < sizeof l->text);
        memcpy(l->text + l->n, line.p, line.n);
        l->n += line.n;
        l->text[l->n] = 0;
}

static const Table *entries(size_t n_endpoints, HeldRemoval held)
{
        const void *endpoints[4], *entry[1];
        assert_true(n_endpoints <= LENGTH_OF(endpoints));
        for (size_t i = 0; i < n_endpoints; i++) {
                Endpoint *e = leaf_new(sizeof *e, 0, NULL);
                e->port = (uint16_t)(i + 1);
                endpoints[i] = e;
        }
        EntryView *v = leaf_new(sizeof *v, 0, entry_view_drop);
        v->gateway = (ObjectKey){STR("team"), STR("corp-gateway")};
        v->tailnet = STR("corp");
        v->known = true;
        v->endpoints = table_new(endpoints, n_endpoints, endpoint_order);
        v->held = held;
        entry[0] = v;
        return table_new(entry, 1, entry_view_order);
}

static void expect_line(const Table *before, const Table *now, const char *part)
{
        Lines l = {.log = {.level = LOG_INFO, .now = no_time, .write = keep}};
        l.log.ctx = &l;
        held_log(&l.log, &(World){.entries = before}, &(World){.entries = now});
        if (part == NULL)
                assert_string_equal(l.text, "");
        else if (strstr(l.text, part) == NULL)
                fail_msg("no \"%s\" in %s", part, l.text);
        leaf_unref(before);
        leaf_unref(now);
}

static const HeldRemoval first = {2, 1, {"d1", 2}, {"EmptyAnswer", 11}};
static const HeldRemoval second = {2, 2, {"d1", 2}, {"EmptyAnswer", 11}};

static void held_and_confirmed(void **state)
{
        (void)state;
        expect_line(entries(2, (HeldRemoval){0}), entries(2, first),
                    "removal held back gateway=corp-gateway namespace=team tailnet=corp held=2 "
                    "confirmations=1 reason=EmptyAnswer digest=d1\n");
        expect_line(entries(2, first), entries(2, second), "confirmations=2");
        expect_line(NULL, entries(2, first), "removal held back");
}

static void nothing_new(void **state)
{
        (void)state;
        const Table *same = entries(2, first);
        expect_line(leaf_ref(same), same, NULL);
        expect_line(entries(2, first), entries(3, first), NULL);
        expect_line(entries(2, (HeldRemoval){0}), entries(1, (HeldRemoval){0}), NULL);
}

static void took_effect(void **state)
{
        (void)state;
        expect_line(entries(3, second), entries(1, (HeldRemoval){0}),
                    "WARN  removal took effect gateway=corp-gateway namespace=team tailnet=corp "
                    "removed=2 endpoints=1 reason=EmptyAnswer\n");
}

static void came_back(void **state)
{
        (void)state;
        expect_line(entries(2, second), entries(2, (HeldRemoval){0}), "what was missed is back");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(held_and_confirmed),
                cmocka_unit_test(nothing_new),
                cmocka_unit_test(took_effect),
                cmocka_unit_test(came_back),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
