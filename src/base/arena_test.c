/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void gives_zeroed_aligned_memory(void **state)
{
        Arena a;

        (void)state;
        arena_init(&a, 0);
        for (size_t size = 0; size < 3000; size += 7) {
                unsigned char *p = arena_new(&a, size);

                assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
                for (size_t i = 0; i < size; i++)
                        assert_int_equal(p[i], 0);
                memset(p, 0xee, size);
        }
        arena_done(&a);
        assert_int_equal(a.total, 0);
        assert_non_null(arena_new_array(&a, 3, 8));
        arena_done(&a);
}

static void outside_sizes_are_capped(void **state)
{
        Arena a;

        (void)state;
        arena_init(&a, 4096);
        assert_null(arena_try(&a, 4097));
        assert_null(arena_try(&a, SIZE_MAX));
        assert_int_equal(a.total, 0);
        assert_non_null(arena_try(&a, 4000));
        assert_null(arena_try(&a, 200));
        /* Our own sizes are not counted against it, and what is held may be used up. */
        assert_non_null(arena_new(&a, 16));
        assert_non_null(arena_try(&a, 64));
        assert_null(arena_try(&a, 64));
        assert_true(a.total <= 4096);
        arena_done(&a);
        assert_int_equal(a.max, 4096);
        assert_non_null(arena_try(&a, 0));
        arena_done(&a);
}

static void large_ones_leave_the_chunk_in_use(void **state)
{
        Arena a;
        char *small, *next;

        (void)state;
        arena_init(&a, 0);
        small = arena_new(&a, 16);
        memset(arena_new(&a, 100000), 1, 100000);
        next = arena_new(&a, 16);
        assert_ptr_equal(next, small + 16);
        arena_done(&a);
}

static void copies_strings(void **state)
{
        static const Str at[] = {STR_INIT("one"), {NULL, 0}, STR_INIT("three")};
        Arena a;
        StrList l;
        Str s;

        (void)state;
        arena_init(&a, 0);
        s = arena_str(&a, STR("a\0b"));
        assert_true(str_eq(s, STR("a\0b")));
        assert_int_equal(s.p[3], '\0');
        assert_string_equal(arena_str(&a, (Str){0}).p, "");
        s = arena_printf(&a, "%s-%d", "x", 42);
        assert_string_equal(s.p, "x-42");
        assert_int_equal(s.n, 4);
        l = arena_strlist(&a, (StrList){at, 3});
        assert_int_equal(l.n, 3);
        assert_ptr_not_equal(l.at[0].p, at[0].p);
        assert_true(str_eq(l.at[0], at[0]) && str_eq(l.at[2], at[2]));
        assert_int_equal(l.at[1].n, 0);
        assert_int_equal(arena_strlist(&a, (StrList){0}).n, 0);
        arena_done(&a);
}

/* Wherever the chunk ends; what was begun there is not left behind. */
static void prints_at_the_end_of_a_chunk(void **state)
{
        static const int lengths[] = {1, 20, 600}; /* the last gets a chunk of its own */
        char expected[700];
        Arena a;

        (void)state;
        for (size_t room = 0; room < 70; room++) {
                for (size_t i = 0; i < LENGTH_OF(lengths); i++) {
                        Str s;

                        snprintf(expected, sizeof(expected), "%0*d", lengths[i], 7);
                        arena_init(&a, 0);
                        do
                                IGNORE(arena_str(&a, (Str){0}), "one byte");
                        while (a.room - a.used > room);
                        s = arena_printf(&a, "%0*d", lengths[i], 7);
                        assert_int_equal(s.n, lengths[i]);
                        assert_string_equal(s.p, expected);
                        for (const unsigned char *p = arena_new(&a, 16), *q = p; q < p + 16; q++)
                                assert_int_equal(*q, 0);
                        assert_string_equal(s.p, expected);
                        arena_done(&a);
                }
        }
}

static void grows_geometrically(void **state)
{
        Arena a;

        (void)state;
        arena_init(&a, 0);
        for (int i = 0; i < 100000; i++)
                IGNORE(arena_new(&a, 16), "only the total counts");
        assert_true(a.total >= 1600000 && a.total < 1800000);
        arena_done(&a);
}

static void begins_anew_in_one_chunk(void **state)
{
        Arena a;

        (void)state;
        arena_init(&a, 200000);
        arena_reset(&a);
        assert_int_equal(a.total, 0);
        for (int round = 0; round < 100; round++) {
                for (size_t size = 1; size < 3000; size += 97) {
                        unsigned char *p = arena_try(&a, size);

                        assert_non_null(p);
                        for (size_t i = 0; i < size; i++)
                                assert_int_equal(p[i], 0);
                        memset(p, 0xee, size);
                }
                IGNORE(arena_str(&a, STR("unaligned")), "only what follows counts");
                arena_reset(&a);
                assert_true(a.total > 0 && a.total <= 65536);
        }
        /* One that is as large as this is not kept. */
        arena_done(&a);
        memset(arena_new(&a, 100000), 1, 100000);
        arena_reset(&a);
        assert_int_equal(a.total, 0);
        assert_non_null(arena_try(&a, 200000));
        arena_done(&a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(gives_zeroed_aligned_memory),
                cmocka_unit_test(outside_sizes_are_capped),
                cmocka_unit_test(large_ones_leave_the_chunk_in_use),
                cmocka_unit_test(copies_strings),
                cmocka_unit_test(grows_geometrically),
                cmocka_unit_test(begins_anew_in_one_chunk),
                cmocka_unit_test(prints_at_the_end_of_a_chunk),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
