/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void compares(void **state)
{
        (void)state;
        assert_true(str_eq(STR("ab"), STR("ab")));
        assert_false(str_eq(STR("ab"), STR("aB")));
        assert_true(str_eq((Str){0}, STR("")));
        assert_true(str_eq_fold(STR("Ab-Z"), STR("aB-z")));
        assert_false(str_eq_fold(STR("@"), STR("`")));
        assert_false(str_eq_fold(STR("ab"), STR("abc")));
        assert_int_equal(str_cmp(STR("a"), STR("b")), -1);
        assert_int_equal(str_cmp(STR("a"), STR("aa")), -1);
        assert_int_equal(str_cmp(STR("\xff"), STR("a")), 1);
        assert_int_equal(str_cmp((Str){0}, STR("")), 0);
        assert_int_equal(str_cmp((Str){0}, STR("a")), -1);
        assert_true(str_eq(str_of(NULL), (Str){0}));
}

static void starts_and_ends(void **state)
{
        (void)state;
        assert_true(str_starts(STR("abc"), STR("ab")));
        assert_true(str_starts(STR("abc"), (Str){0}));
        assert_false(str_starts(STR("a"), STR("ab")));
        assert_true(str_ends(STR("abc"), STR("bc")));
        assert_true(str_ends(STR("abc"), STR("")));
        assert_false(str_ends(STR("c"), STR("bc")));
        assert_true(str_ends_fold(STR("x.TS.net"), STR(".ts.NET")));
        assert_false(str_ends_fold(STR("net"), STR(".net")));
}

static void finds(void **state)
{
        (void)state;
        assert_int_equal(str_find(STR("abcb"), 'b'), 1);
        assert_int_equal(str_find(STR("abc"), 'x'), -1);
        assert_int_equal(str_find((Str){0}, 'x'), -1);
        assert_int_equal(str_find_str(STR("abcbcd"), STR("bcd")), 3);
        assert_int_equal(str_find_str(STR("abc"), STR("abcd")), -1);
        assert_int_equal(str_find_str(STR("abc"), STR("")), 0);
        assert_int_equal(str_find_str((Str){0}, STR("")), 0);
        assert_int_equal(str_find_str((Str){0}, STR("a")), -1);
}

static void takes_parts(void **state)
{
        Str s = STR("a=b=c"), head;

        (void)state;
        assert_true(str_eq(str_sub(STR("abc"), 1, 1), STR("b")));
        assert_true(str_eq(str_sub(STR("abc"), 1, SIZE_MAX), STR("bc")));
        assert_true(str_eq(str_sub(STR("abc"), 9, 1), STR("")));
        assert_int_equal(str_sub((Str){0}, 3, 3).n, 0);
        assert_true(str_eq(str_trim(STR(" \t\r\n a b \n")), STR("a b")));
        assert_true(str_eq(str_trim(STR(" \t ")), STR("")));
        assert_true(str_cut(&s, '=', &head));
        assert_true(str_eq(head, STR("a")));
        assert_true(str_cut(&s, '=', &head));
        assert_true(str_eq(head, STR("b")));
        assert_false(str_cut(&s, '=', &head));
        assert_true(str_eq(head, STR("c")));
        assert_int_equal(s.n, 0);
        s = STR("x=");
        assert_true(str_cut(&s, '=', &head));
        assert_int_equal(s.n, 0);
}

static void reads_numbers(void **state)
{
        uint64_t v = 7;

        (void)state;
        assert_true(str_to_u64(STR("0"), 0, &v));
        assert_int_equal(v, 0);
        assert_true(str_to_u64(STR("18446744073709551615"), UINT64_MAX, &v));
        assert_true(v == UINT64_MAX);
        v = 7;
        assert_false(str_to_u64(STR("18446744073709551616"), UINT64_MAX, &v));
        assert_false(str_to_u64(STR("99999999999999999999999"), UINT64_MAX, &v));
        assert_false(str_to_u64(STR("65536"), 65535, &v));
        assert_false(str_to_u64(STR(""), 9, &v));
        assert_false(str_to_u64(STR("+1"), 9, &v));
        assert_false(str_to_u64(STR("-1"), 9, &v));
        assert_false(str_to_u64(STR(" 1"), 9, &v));
        assert_false(str_to_u64(STR("1 "), 9, &v));
        assert_false(str_to_u64(STR("0x1"), 9, &v));
        assert_int_equal(v, 7);
}

static void judges_utf8(void **state)
{
        static const struct {
                Str s;
                size_t len;
        } cases[] = {
                {STR_INIT("a"), 1},
                {STR_INIT("\xc3\xa4"), 2},
                {STR_INIT("\xe2\x82\xac"), 3},
                {STR_INIT("\xf0\x9f\x98\x80"), 4},
                {STR_INIT("\xf4\x8f\xbf\xbf"), 4},
                {STR_INIT(""), 0},
                {STR_INIT("\x80"), 0},
                {STR_INIT("\xc0\xaf"), 0},
                {STR_INIT("\xc1\xbf"), 0},
                {STR_INIT("\xe0\x80\xaf"), 0},
                {STR_INIT("\xed\xa0\x80"), 0},
                {STR_INIT("\xf0\x80\x80\xaf"), 0},
                {STR_INIT("\xf4\x90\x80\x80"), 0},
                {STR_INIT("\xf5\x80\x80\x80"), 0},
                {STR_INIT("\xe2\x82"), 0},
                {STR_INIT("\xe2\x82z"), 0},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++)
                assert_int_equal(str_utf8(cases[i].s), cases[i].len);
        assert_true(str_is_printable_utf8(STR("gr\xc3\xbc\xc3\x9f")));
        assert_true(str_is_printable_utf8(STR("")));
        assert_false(str_is_printable_utf8(STR("a\nb")));
        assert_false(str_is_printable_utf8(STR("a\x7f")));
        assert_false(str_is_printable_utf8(STR("a\0b")));
        assert_false(str_is_printable_utf8(STR("a\xff")));
}

static void suggests(void **state)
{
        static const Str known[] = {STR_INIT("pollInterval"), STR_INIT("hostPattern"),
                                    STR_INIT("tag"), STR_INIT("tags")};
        char name[65];

        (void)state;
        assert_int_equal(str_distance(STR("kitten"), STR("sitting")), 3);
        assert_int_equal(str_distance(STR("nmae"), STR("name")), 1);
        assert_int_equal(str_distance(STR("ab"), STR("ba")), 1);
        assert_int_equal(str_distance(STR("spec"), STR("spce")), 1);
        assert_int_equal(str_distance(STR(""), STR("abc")), 3);
        assert_int_equal(str_distance((Str){0}, (Str){0}), 0);
        memset(name, 'x', sizeof(name));
        assert_int_equal(str_distance(str_make(name, 64), STR("")), 64);
        assert_true(str_distance(str_make(name, 65), STR("")) == SIZE_MAX);
        assert_true(str_eq(str_nearest(STR("pollIntervall"), known, 4), known[0]));
        assert_true(str_eq(str_nearest(STR("tagz"), known, 4), known[2]));
        assert_true(str_eq(str_nearest(STR("t"), known, 4), STR("")));
        assert_int_equal(str_nearest(STR("unrelated"), known, 4).n, 0);
        assert_int_equal(str_nearest(STR("a"), NULL, 0).n, 0);
}

static void looks_up_lists(void **state)
{
        static const Str at[] = {STR_INIT("a"), STR_INIT("b")};
        StrList l = {at, 2};

        (void)state;
        assert_true(strlist_has(l, STR("b")));
        assert_false(strlist_has(l, STR("c")));
        assert_false(strlist_has((StrList){0}, STR("")));
        /* The published FNV-1a vectors. */
        assert_true(str_hash(STR("")) == UINT64_C(0xcbf29ce484222325));
        assert_true(str_hash(STR("foobar")) == UINT64_C(0x85944171f73967e8));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(compares),      cmocka_unit_test(starts_and_ends),
                cmocka_unit_test(finds),         cmocka_unit_test(takes_parts),
                cmocka_unit_test(reads_numbers), cmocka_unit_test(judges_utf8),
                cmocka_unit_test(suggests),      cmocka_unit_test(looks_up_lists),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
