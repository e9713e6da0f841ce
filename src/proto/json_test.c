/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/json.h"

static void test_places(void **state)
{
        static const char text[] = "{\n  \"a\": [1,\n   {\"b\" : \"x\\\"y\"}],\n\t\"c\":null }\n";
        Arena arena;
        const Tree *root, *a, *b, *c;

        (void)state;
        arena_init(&arena, 0);
        root = json_read(&arena, str_of(text), NULL, NULL);
        assert_non_null(root);
        assert_int_equal(root->at.line, 1);
        assert_int_equal(root->at.column, 1);
        a = tree_get(root, STR("a"));
        assert_int_equal(a->key_at.line, 2);
        assert_int_equal(a->key_at.column, 3);
        assert_int_equal(a->at.column, 8);
        assert_int_equal(a->first->at.column, 9);
        b = tree_get(a->first->next, STR("b"));
        assert_int_equal(b->at.line, 3);
        assert_int_equal(b->at.column, 11);
        assert_true(str_eq(b->text, STR("x\"y")));
        c = tree_get(root, STR("c"));
        assert_int_equal(c->at.line, 4);
        assert_int_equal(c->at.column, 6);
        arena_done(&arena);
}

static void test_strings(void **state)
{
        Arena arena;
        const Tree *t;

        (void)state;
        arena_init(&arena, 0);
        t = json_read(&arena, STR("\"a\\u00e9\\ud83d\\ude00\\u0000z\\/\\n\""), NULL, NULL);
        assert_non_null(t);
        assert_true(str_eq(t->text, STR("a\xc3\xa9\xf0\x9f\x98\x80\0z/\n")));
        assert_int_equal(t->text.p[t->text.n], 0);
        arena_done(&arena);
}

/* Half a surrogate pair is no letter; JSON may hold it all the same. */
static void test_half_pairs(void **state)
{
        static const struct {
                const char *text, *want;
        } cases[] = {
                {"\"\\ude00x\"", "\xef\xbf\xbdx"},
                {"\"\\ud813d\\ude00\"", "?d\xef\xbf\xbd"},
                {"\"a\xed\xa0\x80\xc3\xa9\xed\xbf\xbf\"", "a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd"},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                Arena arena;
                const Tree *t;

                arena_init(&arena, 0);
                t = json_read(&arena, str_of(cases[i].text), NULL, NULL);
                assert_non_null(t);
                assert_string_equal(t->text.p, cases[i].want);
                arena_done(&arena);
        }
}

/* Whatever stands before and behind it: yajl itself takes the overlong form. */
static void test_no_letter_at_any_place(void **state)
{
        char text[40];
        Arena arena;

        (void)state;
        for (size_t n = 2; n < sizeof(text) - 2; n++) {
                for (size_t at = 0; at + 2 <= n; at++) {
                        memset(text, 'x', sizeof(text));
                        text[0] = text[n + 1] = '"';
                        arena_init(&arena, 0);
                        assert_non_null(json_read(&arena, str_make(text, n + 2), NULL, NULL));
                        memcpy(text + 1 + at, "\xc0\xaf", 2);
                        assert_null(json_read(&arena, str_make(text, n + 2), NULL, NULL));
                        memcpy(text + 1 + at, "\xc3\xa9", 2);
                        assert_non_null(json_read(&arena, str_make(text, n + 2), NULL, NULL));
                        arena_done(&arena);
                }
        }
}

static void test_what_is_no_json(void **state)
{
        static const struct {
                const char *text;
                unsigned line, column;
        } cases[] = {
                {"", 1, 1},
                {"  \n ", 2, 2},
                {"{", 1, 2},
                {"[1,]", 1, 4},
                {"{\"a\":1,}", 1, 8},
                {"{a:1}", 1, 2},
                {"'x'", 1, 1},
                {"[1] x", 1, 5},
                {"[1] [2]", 1, 5},
                {"{\"a\"\n:\nx}", 3, 1},
                {"tru", 1, 4},
                {"01", 1, 2},
                {"1.", 1, 3},
                {"nan", 1, 1},
                {"// no\n1", 1, 1},
                {"\"\xff\"", 1, 2},
                {"\"\xc0\x80\"", 1, 5},
                {"{\"\xe0\x80\x80\":1}", 1, 7},
                {"\"a\nb\"", 1, 3},
                {"\"\\x\"", 1, 3},
                {"\xef\xbb\xbf{}", 1, 1},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                Arena arena;
                TreeMark at = {0};
                Err err = {0};

                arena_init(&arena, 0);
                assert_null(json_read(&arena, str_of(cases[i].text), &at, &err));
                assert_int_equal(err.kind, ERR_INVALID);
                assert_string_equal(err.reason, "InvalidJson");
                assert_int_equal(at.line, cases[i].line);
                /* Within a token the parser may stop a byte further. */
                assert_in_range(at.column, cases[i].column, cases[i].column + 1);
                assert_null(strchr(err.text, '\n'));
                arena_done(&arena);
        }
}

static void test_every_truncation(void **state)
{
        static const char text[] = "{\"a\":[1,true,null,{\"b\":\"\\u00e9x\"}],\"c\":-1.5e3}";

        (void)state;
        for (size_t n = 0; n < sizeof(text); n++) {
                Arena arena;
                const Tree *t;

                arena_init(&arena, 0);
                t = json_read(&arena, str_make(text, n), NULL, NULL);
                assert_int_equal(t != NULL, n == sizeof(text) - 1);
                arena_done(&arena);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_places),
                cmocka_unit_test(test_strings),
                cmocka_unit_test(test_half_pairs),
                cmocka_unit_test(test_what_is_no_json),
                cmocka_unit_test(test_every_truncation),
                cmocka_unit_test(test_no_letter_at_any_place),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
