/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void gives_zeroed_memory(void **state)
{
        CLEANUP(mem_cleanup) char *p = mem_new(100);
        CLEANUP(mem_cleanup) void *none = mem_new(0);
        CLEANUP(mem_cleanup) char *array = mem_new_array(10, 10);

        (void)state;
        for (size_t i = 0; i < 100; i++)
                assert_int_equal(p[i] | array[i], 0);
        assert_non_null(none);
}

static void resizes(void **state)
{
        char *p = mem_new(4), *q;

        (void)state;
        memcpy(p, "abc", 4);
        p = mem_resize(p, 4000);
        assert_string_equal(p, "abc");
        q = mem_try_resize(p, 8000);
        assert_non_null(q);
        assert_string_equal(q, "abc");
        assert_null(mem_free(q));
        assert_null(mem_free(NULL));
}

static void outside_sizes_are_fallible(void **state)
{
        volatile size_t huge = PTRDIFF_MAX;
        char *p = mem_try(0);

        (void)state;
        assert_non_null(p);
        p[0] = 'x';
        assert_null(mem_try(huge));
        assert_null(mem_try_resize(p, huge));
        assert_int_equal(p[0], 'x');
        mem_free(p);
}

/* That the bytes are gone is seen from outside: tests/system/test_webhooks.py. */
static void what_is_wiped_moves_whole(void **state)
{
        char *p = mem_resize_wiped(NULL, 3);

        (void)state;
        assert_non_null(p);
        memcpy(p, "abc", 3);
        p = mem_resize_wiped(p, 100000);
        assert_memory_equal(p, "abc", 3);
        p = mem_resize_wiped(p, 2);
        assert_memory_equal(p, "ab", 2);
        volatile size_t huge = PTRDIFF_MAX;
        assert_null(mem_resize_wiped(p, huge));
        assert_memory_equal(p, "ab", 2);
        assert_null(mem_resize_wiped(p, 0));
        mem_free_wiped(NULL);
        mem_free_wiped(mem_new(10));
}

static void ownership_moves(void **state)
{
        CLEANUP(mem_cleanup) void *a = mem_new(1);
        CLEANUP(mem_cleanup) void *b = TAKE(a);

        (void)state;
        assert_null(a);
        assert_non_null(b);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(gives_zeroed_memory),
                cmocka_unit_test(resizes),
                cmocka_unit_test(outside_sizes_are_fallible),
                cmocka_unit_test(what_is_wiped_moves_whole),
                cmocka_unit_test(ownership_moves),
        };

        (void)argc;
        /* A sanitizer's malloc aborts over what the C library's refuses, unless it is told not to
         * before the process starts. */
        if (getenv("ASAN_OPTIONS") == NULL) {
                setenv("ASAN_OPTIONS", "allocator_may_return_null=1", 1);
                execv("/proc/self/exe", argv);
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
