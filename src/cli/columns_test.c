/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/columns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_columns_are_aligned_and_cleaned(void **state)
{
        (void)state;
        Columns c;
        Buf out;
        buf_init(&out, 4096);
        columns_init(&c, "NAME|WHY");
        columns_row(&c, (Str[]){STR("a-long-name"), STR("because\n\033[31mred")});
        columns_row(&c, (Str[]){STR("\xc3\xa9"), STR("")});
        columns_print(&c, "Title", &out);
        assert_true(str_eq(buf_str(&out), STR("Title\n"
                                              "NAME          WHY\n"
                                              "a-long-name   because??[31mred\n"
                                              "\xc3\xa9             -\n\n")));
        columns_done(&c);
        buf_done(&out);
}

static void test_no_rows_print_nothing(void **state)
{
        (void)state;
        Columns c;
        Buf out;
        buf_init(&out, 4096);
        columns_init(&c, "NAME");
        columns_print(&c, "Title", &out);
        assert_int_equal(out.n, 0);
        columns_done(&c);
        buf_done(&out);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_columns_are_aligned_and_cleaned),
                cmocka_unit_test(test_no_rows_print_nothing),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
