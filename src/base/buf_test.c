/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"

static void adds_and_consumes(void **state)
{
        Buf b;

        (void)state;
        buf_init(&b, 1000);
        buf_add_str(&b, STR("hello"));
        buf_add_char(&b, ' ');
        buf_printf(&b, "%d-%s", 42, "x");
        buf_add(&b, NULL, 0);
        assert_true(str_eq(buf_str(&b), STR("hello 42-x")));
        buf_consume(&b, 6);
        assert_true(str_eq(buf_str(&b), STR("42-x")));
        buf_consume(&b, 4);
        buf_consume(&b, 0);
        assert_int_equal(b.n, 0);
        buf_done(&b);
        assert_null(b.p);
        assert_int_equal(b.max, 1000);
}

static void above_the_maximum_it_is_refused_whole(void **state)
{
        Buf b;

        (void)state;
        buf_init(&b, 10);
        buf_add_str(&b, STR("1234567"));
        buf_add_str(&b, STR("8901"));
        assert_true(b.failed);
        assert_int_equal(b.n, 7);
        /* What would fit is refused as well: the content is a prefix of what was written. */
        buf_add_char(&b, 'x');
        buf_printf(&b, "x");
        assert_int_equal(b.n, 7);
        assert_null(buf_take(&b, NULL));
        buf_reset(&b);
        assert_false(b.failed);
        buf_add_str(&b, STR("1234567890"));
        assert_false(b.failed);
        assert_int_equal(b.n, 10);
        assert_true(b.room <= 10);
        assert_false(buf_reserve(&b, SIZE_MAX));
        buf_done(&b);
        assert_false(b.failed);
}

static void printf_of_any_length(void **state)
{
        Buf b;

        (void)state;
        for (int n = 0; n < 300; n++) {
                buf_init(&b, 200);
                buf_printf(&b, "%*s", n, "");
                assert_int_equal(b.failed, n > 200);
                assert_int_equal(b.n, n > 200 ? 0 : n);
                buf_done(&b);
        }
}

static void reserves_in_one_piece(void **state)
{
        Buf b;

        (void)state;
        buf_init(&b, 100000);
        assert_true(buf_reserve(&b, 100000));
        memset(b.p, 'x', 100000);
        b.n = 100000;
        assert_true(buf_reserve(&b, 0));
        assert_false(buf_reserve(&b, 1));
        buf_done(&b);
}

static void moves_the_bytes_out(void **state)
{
        Buf b;
        size_t n = 0;
        char *p;

        (void)state;
        buf_init(&b, 100);
        buf_add_str(&b, STR("abc"));
        p = buf_take(&b, &n);
        assert_int_equal(n, 3);
        assert_string_equal(p, "abc");
        mem_free(p);
        assert_int_equal(b.n, 0);
        p = buf_take(&b, &n);
        assert_int_equal(n, 0);
        assert_string_equal(p, "");
        mem_free(p);
        buf_done(&b);
}

static void a_zeroed_one_takes_nothing(void **state)
{
        Buf b = {0};

        (void)state;
        buf_add_char(&b, 'x');
        assert_true(b.failed);
        buf_done(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(adds_and_consumes),
                cmocka_unit_test(above_the_maximum_it_is_refused_whole),
                cmocka_unit_test(printf_of_any_length),
                cmocka_unit_test(reserves_in_one_piece),
                cmocka_unit_test(moves_the_bytes_out),
                cmocka_unit_test(a_zeroed_one_takes_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
