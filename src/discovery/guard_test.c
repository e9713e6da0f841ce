/* SPDX-License-Identifier: Apache-2.0 */
#include "discovery/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const RemovalGuard standard = {50, 5, 3};

static void what_is_suspicious(void **state)
{
        static const struct {
                RemovalGuard guard;
                bool is_empty;
                unsigned n_known, n_missing;
                bool holds;
        } cases[] = {
                {{50, 5, 3}, false, 10, 5, false},   {{50, 5, 3}, false, 10, 6, true},
                {{50, 5, 3}, false, 4, 4, false},    {{50, 5, 3}, false, 5, 5, true},
                {{50, 5, 3}, true, 1, 1, true},      {{50, 5, 1}, true, 10, 10, false},
                {{0, 5, 3}, false, 100, 1, true},    {{100, 5, 3}, false, 100, 100, false},
                {{100, 5, 3}, true, 100, 100, true}, {{50, 0, 3}, false, 1, 1, true},
        };
        Arena arena;

        (void)state;
        arena_init(&arena, 0);
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                GuardCase c = {.guard = &cases[i].guard,
                               .is_new_poll = true,
                               .is_empty = cases[i].is_empty,
                               .n_known = cases[i].n_known,
                               .n_missing = cases[i].n_missing};
                HeldRemoval held = {0};

                assert_int_equal(guard_holds(&c, &arena, &held), cases[i].holds);
                assert_int_equal(held.n, cases[i].holds ? cases[i].n_missing : 0);
        }
        arena_done(&arena);
}

static void polls_in_a_row_confirm(void **state)
{
        GuardCase c = {.guard = &standard, .is_empty = true, .n_known = 3, .n_missing = 3};
        HeldRemoval held = {0};
        Arena arena;

        (void)state;
        arena_init(&arena, 0);
        c.missing = digest_of(STR("these"));
        c.is_new_poll = true;
        assert_true(guard_holds(&c, &arena, &held));
        assert_int_equal(held.confirmations, 1);
        assert_true(str_eq(held.reason, STR("EmptyAnswer")));
        c.before = held;
        c.is_new_poll = false;
        for (int i = 0; i < 5; i++) {
                assert_true(guard_holds(&c, &arena, &held));
                assert_int_equal(held.confirmations, 1);
        }
        c.is_new_poll = true;
        assert_true(guard_holds(&c, &arena, &held));
        assert_int_equal(held.confirmations, 2);
        c.before = held;
        c.missing = digest_of(STR("others"));
        assert_true(guard_holds(&c, &arena, &held));
        assert_int_equal(held.confirmations, 1);
        c.missing = digest_of(STR("these"));
        assert_false(guard_holds(&c, &arena, &held));
        arena_done(&arena);
}

static void what_was_shown_can_be_approved(void **state)
{
        GuardCase c = {.guard = &standard,
                       .is_empty = true,
                       .is_new_poll = true,
                       .n_known = 3,
                       .n_missing = 3};
        HeldRemoval held = {0};
        Arena arena;

        (void)state;
        arena_init(&arena, 0);
        c.missing = digest_of(STR("these"));
        assert_true(guard_holds(&c, &arena, &held));
        assert_int_equal(held.digest.n, 16);
        c.approved = held.digest;
        /* An approval of long ago does not hold for a new case that nobody has seen. */
        assert_true(guard_holds(&c, &arena, &held));
        c.before = held;
        c.is_new_poll = false;
        assert_false(guard_holds(&c, &arena, &held));
        c.approved = STR("0123456789abcdef");
        assert_true(guard_holds(&c, &arena, &held));
        arena_done(&arena);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_suspicious),
                cmocka_unit_test(polls_in_a_row_confirm),
                cmocka_unit_test(what_was_shown_can_be_approved),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
