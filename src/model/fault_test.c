/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/fault.h"

static void assert_printed(const Faults *f, const char *want)
{
        CLEANUP(buf_done) Buf out;

        buf_init(&out, 1 << 20);
        faults_print(f, &out);
        buf_add_char(&out, '\0');
        assert_string_equal(out.p, want);
}

static void test_order_and_form(void **state)
{
        CLEANUP(faults_done) Faults f;

        (void)state;
        faults_init(&f);
        assert_printed(&f, "");
        faults_add(&f, STR("b.yaml"), 1, 1, STR("spec"), "one");
        faults_add(&f, STR("a.yaml"), 10, 1, STR("spec.x[0]"), "%s, expected %d", "two", 2);
        faults_add(&f, STR("a.yaml"), 9, 2, STR(""), "three");
        faults_add(&f, STR("a.yaml"), 9, 1, STR("z"), "four");
        faults_add(&f, STR("a.yaml"), 9, 1, STR("a"), "five");
        faults_add(&f, STR("a.yaml"), 0, 0, STR(""), "six");
        assert_printed(&f, "a.yaml: six\n"
                           "a.yaml:9:1: a: five\n"
                           "a.yaml:9:1: z: four\n"
                           "a.yaml:9:2: three\n"
                           "a.yaml:10:1: spec.x[0]: two, expected 2\n"
                           "b.yaml:1:1: spec: one\n");
}

static void test_one_line_of_text(void **state)
{
        CLEANUP(faults_done) Faults f;

        (void)state;
        faults_init(&f);
        faults_add(&f, STR("a\nb"), 1, 1, STR("x\x1b[0m"), "%s", "t\tu\r\xff\xc3\xa9\x7f");
        assert_printed(&f, "a?b:1:1: x?[0m: t?u??\xc3\xa9?\n");
}

static void test_caps(void **state)
{
        CLEANUP(faults_done) Faults f;
        CLEANUP(buf_done) Buf out;
        char text[4 * FAULT_TEXT_MAX];

        (void)state;
        faults_init(&f);
        buf_init(&out, 1 << 20);
        memset(text, 'x', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        faults_add(&f, STR("f"), 1, 1, STR(""), "%s", text);
        assert_int_equal(f.at[0].text.n, FAULT_TEXT_MAX - 1);
        for (int i = 0; i < FAULTS_MAX + 9; i++)
                faults_add(&f, STR("f"), 2, 1, STR(""), "y");
        assert_int_equal(f.n, FAULTS_MAX);
        assert_int_equal(f.n_total, FAULTS_MAX + 10);
        faults_print(&f, &out);
        assert_true(str_ends(buf_str(&out), STR("and 10 more\n")));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_order_and_form),
                cmocka_unit_test(test_one_line_of_text),
                cmocka_unit_test(test_caps),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
