/* SPDX-License-Identifier: Apache-2.0 */
#include "base/glob.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void matches(void **state)
{
        static const struct {
                Str pattern, text;
                bool expected;
        } cases[] = {
                {STR_INIT("*"), STR_INIT(""), true},
                {STR_INIT("*"), STR_INIT("anything"), true},
                {STR_INIT("**"), STR_INIT("x"), true},
                {STR_INIT("abc"), STR_INIT("abc"), true},
                {STR_INIT("abc"), STR_INIT("ABC"), true},
                {STR_INIT("ABC"), STR_INIT("abc"), true},
                {STR_INIT("abc"), STR_INIT("abcd"), false},
                {STR_INIT("abc"), STR_INIT("ab"), false},
                {STR_INIT("a?c"), STR_INIT("abc"), true},
                {STR_INIT("a?c"), STR_INIT("ac"), false},
                {STR_INIT("?"), STR_INIT(""), false},
                {STR_INIT("api-*"), STR_INIT("api-server"), true},
                {STR_INIT("api-*"), STR_INIT("api-"), true},
                {STR_INIT("api-*"), STR_INIT("xapi-1"), false},
                {STR_INIT("*-db"), STR_INIT("a-db-db"), true},
                {STR_INIT("*-db"), STR_INIT("a-db-dbx"), false},
                {STR_INIT("a*b*c"), STR_INIT("aXbYbZc"), true},
                {STR_INIT("a*b*c"), STR_INIT("abxbxd"), false},
                {STR_INIT("*a*a*a*b"), STR_INIT("aaaaaaaaaaaaaaaaaaaaaaaa"), false},
                {STR_INIT("[abc]x"), STR_INIT("bx"), true},
                {STR_INIT("[abc]x"), STR_INIT("dx"), false},
                {STR_INIT("[a-c]"), STR_INIT("B"), true},
                {STR_INIT("[A-C]"), STR_INIT("b"), true},
                {STR_INIT("[!a-c]"), STR_INIT("b"), false},
                {STR_INIT("[!a-c]"), STR_INIT("B"), false},
                {STR_INIT("[!a-c]"), STR_INIT("d"), true},
                {STR_INIT("[]]"), STR_INIT("]"), true},
                {STR_INIT("[!]]"), STR_INIT("]"), false},
                {STR_INIT("[a-]"), STR_INIT("-"), true},
                {STR_INIT("[-a]"), STR_INIT("-"), true},
                {STR_INIT("[a-]"), STR_INIT("b"), false},
                {STR_INIT("*[0-9]"), STR_INIT("node-12"), true},
                {STR_INIT("*[0-9]"), STR_INIT("node-1x"), false},
                {STR_INIT("[\x80-\xff]"), STR_INIT("\xc3"), true},
                {STR_INIT("a.c"), STR_INIT("abc"), false},
                {STR_INIT("a\\*"), STR_INIT("a\\z"), true},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                if (glob_match(cases[i].pattern, cases[i].text) != cases[i].expected)
                        fail_msg("%s on %s", cases[i].pattern.p, cases[i].text.p);
        }
}

static void malformed_matches_nothing(void **state)
{
        static const Str bad[] = {STR_INIT(""),      STR_INIT("["),     STR_INIT("[]"),
                                  STR_INIT("[!]"),   STR_INIT("[a"),    STR_INIT("x[a-"),
                                  STR_INIT("[z-a]"), STR_INIT("*[b-a"), STR_INIT("[a-b")};
        char longest[GLOB_MAX + 1];

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(bad); i++) {
                assert_false(glob_is_valid(bad[i]));
                assert_false(glob_match(bad[i], bad[i]));
        }
        assert_false(glob_match((Str){0}, (Str){0}));
        memset(longest, 'a', sizeof(longest));
        assert_true(glob_is_valid(str_make(longest, GLOB_MAX)));
        assert_false(glob_is_valid(str_make(longest, GLOB_MAX + 1)));
        assert_false(glob_match(str_make(longest, GLOB_MAX + 1), str_make(longest, GLOB_MAX + 1)));
}

static void many_stars_stay_cheap(void **state)
{
        char pattern[GLOB_MAX], text[4096];

        (void)state;
        for (size_t i = 0; i < sizeof(pattern); i++)
                pattern[i] = i % 2 == 0 ? '*' : 'a';
        pattern[sizeof(pattern) - 1] = 'b';
        memset(text, 'a', sizeof(text));
        assert_false(glob_match(str_make(pattern, sizeof(pattern)), str_make(text, sizeof(text))));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(matches),
                cmocka_unit_test(malformed_matches_nothing),
                cmocka_unit_test(many_stars_stay_cheap),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
