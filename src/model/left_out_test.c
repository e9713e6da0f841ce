/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>

#include <cmocka.h>

#include "base/buf.h"
#include "model/left_out.h"

enum {
        MANY = 100
};

static LeftOut of(const char *name, const char *reason, const char *text)
{
        return (LeftOut){STR("1"), str_of(name), str_of(reason), str_of(text)};
}

/* Of what `known` (NULL: none) says already. */
static const LeftOutList *list_of(const LeftOut *like, size_t n, const LeftOutList *known)
{
        LeftOutRow rows[MANY];
        for (size_t i = 0; i < n; i++)
                rows[i] =
                        left_out_row(&like[i], &known, 1, i > 0 ? &rows[i - 1] : &(LeftOutRow){0});
        return left_out_list_new(rows, n, &known, 1);
}

static void expect(const LeftOutList *list, const char *text)
{
        CLEANUP(buf_done) Buf b;
        buf_init(&b, 4096);
        LEFT_OUT_FOREACH (l, list)
                buf_printf(&b, "%.*s %.*s %.*s|", STR_FMT(l->name), STR_FMT(l->reason),
                           STR_FMT(l->text));
        buf_add_char(&b, '\0');
        assert_string_equal(b.p, text);
}

static void it_is_sorted_and_none_is_there_twice(void **state)
{
        (void)state;
        const LeftOut like[] = {of("b", "NoPort", "x"), of("a", "NoPort", "y"),
                                of("b", "NoPort", "x"), of("b", "BadPort", "z"),
                                of("a", "NoPort", "x")};
        CLEANUP(leaf_cleanup) const LeftOutList *list = list_of(like, LENGTH_OF(like), NULL);
        expect(list, "a NoPort x|a NoPort y|b BadPort z|b NoPort x|");
        assert_int_equal(left_out_n(NULL), 0);
        expect(NULL, "");
}

static void what_says_the_same_is_the_same_list(void **state)
{
        (void)state;
        const LeftOut like[] = {of("a", "NoPort", "x"), of("b", "NoPort", "x")};
        const LeftOut turned[] = {like[1], like[0]};
        CLEANUP(leaf_cleanup) const LeftOutList *list = list_of(like, 2, NULL);
        CLEANUP(leaf_cleanup) const LeftOutList *again = list_of(turned, 2, list);
        CLEANUP(leaf_cleanup) const LeftOutList *less = list_of(like, 1, list);
        CLEANUP(leaf_cleanup) const LeftOutList *none = list_of(NULL, 0, list);
        assert_ptr_equal(again, list);
        assert_ptr_not_equal(less, list);
        assert_int_equal(left_out_n(less), 1);
        assert_int_equal(left_out_n(none), 0);
}

/* An entry that takes one other device of a thousand: names are there once, reasons once a list. */
static void another_list_of_the_same_devices_costs_two_pointers_each(void **state)
{
        (void)state;
        char names[MANY][8];
        LeftOut like[MANY], other[MANY];
        for (size_t i = 0; i < MANY; i++) {
                snprintf(names[i], sizeof names[i], "d%05zu", i);
                like[i] = of(names[i], "NotSelected", "patterns: none of a matches");
                other[i] = of(names[i], "NotSelected", "patterns: none of b matches");
        }
        CLEANUP(leaf_cleanup) const LeftOutList *list = list_of(like, MANY, NULL);
        CLEANUP(leaf_cleanup) const LeftOutList *second = list_of(other, MANY, list);
        for (size_t i = 0; i < MANY; i++) {
                LeftOut a = left_out_at(list, i), b = left_out_at(second, i);
                assert_ptr_equal(a.name.p, b.name.p);
                assert_ptr_equal(a.text.p, left_out_at(list, 0).text.p);
                assert_ptr_equal(b.text.p, left_out_at(second, 0).text.p);
                assert_false(str_eq(a.text, b.text));
        }
        assert_in_range(leaf_bytes(second), 1, MANY * sizeof(LeftOutRow) + 128);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(it_is_sorted_and_none_is_there_twice),
                cmocka_unit_test(what_says_the_same_is_the_same_list),
                cmocka_unit_test(another_list_of_the_same_devices_costs_two_pointers_each),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
