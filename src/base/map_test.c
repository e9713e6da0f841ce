/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum {
        KEYS = 2000
};

static char names[KEYS][8];

static Str key(size_t i)
{
        IGNORE(snprintf(names[i], sizeof(names[i]), "k%zu", i), "fits");
        return str_of(names[i]);
}

static void puts_gets_removes(void **state)
{
        Map m;
        int a, b;

        (void)state;
        map_init(&m);
        assert_null(map_get(&m, STR("a")));
        assert_null(map_remove(&m, STR("a")));
        assert_null(map_put(&m, STR("a"), &a));
        assert_ptr_equal(map_get(&m, STR("a")), &a);
        assert_ptr_equal(map_put(&m, STR("a"), &b), &a);
        assert_int_equal(m.n, 1);
        assert_null(map_put(&m, (Str){0}, &a));
        assert_ptr_equal(map_get(&m, STR("")), &a);
        assert_ptr_equal(map_remove(&m, STR("a")), &b);
        assert_null(map_get(&m, STR("a")));
        assert_ptr_equal(map_remove(&m, STR("")), &a);
        assert_int_equal(m.n, 0);
        map_done(&m);
}

static void replacing_borrows_the_new_key(void **state)
{
        char first[] = "a", second[] = "a";
        Map m;
        int v;

        (void)state;
        map_init(&m);
        map_put(&m, str_of(first), &v);
        map_put(&m, str_of(second), &v);
        first[0] = 'x';
        assert_ptr_equal(map_get(&m, STR("a")), &v);
        map_done(&m);
}

static void count(void *ctx, Str k, void *value)
{
        (void)k;
        (void)value;
        (*(size_t *)ctx)++;
}

static void churn_keeps_all_that_is_in(void **state)
{
        static bool in[KEYS];
        size_t n = 0, seen = 0;
        unsigned random = 7;
        Map m;

        (void)state;
        map_init(&m);
        for (size_t i = 0; i < KEYS; i++)
                key(i);
        for (int step = 0; step < 40000; step++) {
                size_t i;

                random = random * 1103515245 + 12345;
                i = (random >> 8) % KEYS;
                if (in[i]) {
                        assert_ptr_equal(map_remove(&m, str_of(names[i])), names[i]);
                        n--;
                } else {
                        assert_null(map_put(&m, str_of(names[i]), names[i]));
                        n++;
                }
                in[i] = !in[i];
        }
        assert_int_equal(m.n, n);
        for (size_t i = 0; i < KEYS; i++)
                assert_ptr_equal(map_get(&m, str_of(names[i])), in[i] ? names[i] : NULL);
        map_each(&m, count, &seen);
        assert_int_equal(seen, n);
        map_done(&m);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(puts_gets_removes),
                cmocka_unit_test(replacing_borrows_the_new_key),
                cmocka_unit_test(churn_keeps_all_that_is_in),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
