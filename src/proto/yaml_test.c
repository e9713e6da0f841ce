/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "proto/yaml.h"

static void test_scalars(void **state)
{
        static const struct {
                const char *text;
                TreeType type;
                const char *want;
        } cases[] = {
                {"true", TREE_BOOL, "true"},
                {"True", TREE_BOOL, "true"},
                {"yes", TREE_BOOL, "true"},
                {"off", TREE_BOOL, "false"},
                {"'true'", TREE_STRING, "true"},
                {"\"no\"", TREE_STRING, "no"},
                {"!!str no", TREE_STRING, "no"},
                {"tRue", TREE_STRING, "tRue"},
                {"y", TREE_STRING, "y"},
                {"null", TREE_NULL, "null"},
                {"~", TREE_NULL, "~"},
                {"''", TREE_STRING, ""},
                {"8080", TREE_NUMBER, "8080"},
                {"-7", TREE_NUMBER, "-7"},
                {"+7", TREE_NUMBER, "7"},
                {"0", TREE_NUMBER, "0"},
                {"1_000", TREE_NUMBER, "1000"},
                {"0x1F90", TREE_NUMBER, "8080"},
                {"-0x10", TREE_NUMBER, "-16"},
                {"0o17", TREE_NUMBER, "15"},
                {"017", TREE_NUMBER, "15"},
                {"0b101", TREE_NUMBER, "5"},
                {"08", TREE_NUMBER, "08"},
                {"0x", TREE_STRING, "0x"},
                {"0xzz", TREE_STRING, "0xzz"},
                {"0x-5", TREE_STRING, "0x-5"},
                {"1.5", TREE_NUMBER, "1.5"},
                {".5", TREE_NUMBER, ".5"},
                {"1e3", TREE_NUMBER, "1e3"},
                {"1e", TREE_STRING, "1e"},
                {".", TREE_STRING, "."},
                {"_1", TREE_STRING, "_1"},
                {"1.2.3", TREE_STRING, "1.2.3"},
                {"100.64.0.10", TREE_STRING, "100.64.0.10"},
                {"30s", TREE_STRING, "30s"},
                {"2025-06-22", TREE_STRING, "2025-06-22"},
                {"12:30", TREE_STRING, "12:30"},
                {"fd7a::1", TREE_STRING, "fd7a::1"},
                {"\"8080\"", TREE_STRING, "8080"},
                {"|\n  8080", TREE_STRING, "8080"},
                {"0x10000000000000000", TREE_STRING, "0x10000000000000000"},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                CLEANUP(yaml_cleanup) Yaml *y = yaml_new(str_of(cases[i].text));
                Arena arena;
                const Tree *t;
                Err err;

                arena_init(&arena, 0);
                assert_true(yaml_next(y, &arena, &t, NULL, &err));
                assert_non_null(t);
                if (t->type != cases[i].type)
                        fail_msg("%s is %s", cases[i].text, tree_type_name(t->type));
                assert_string_equal(t->text.p, cases[i].want);
                arena_done(&arena);
        }
}

static void test_documents_and_places(void **state)
{
        static const char text[] = "# head\na: 1\nb:\n- x\n-   y: z\n---\n---\n- 1\n...\n";
        CLEANUP(yaml_cleanup) Yaml *y = yaml_new(str_of(text));
        const Tree *t, *b;
        Arena arena;

        (void)state;
        arena_init(&arena, 0);
        assert_true(yaml_next(y, &arena, &t, NULL, NULL));
        assert_int_equal(t->type, TREE_OBJECT);
        b = tree_get(t, STR("b"));
        assert_int_equal(b->key_at.line, 3);
        assert_int_equal(b->key_at.column, 1);
        assert_int_equal(b->first->at.line, 4);
        assert_int_equal(b->first->at.column, 3);
        assert_int_equal(b->first->next->first->key_at.column, 5);
        assert_int_equal(b->first->next->first->at.column, 8);
        assert_true(yaml_next(y, &arena, &t, NULL, NULL));
        assert_int_equal(t->type, TREE_NULL);
        assert_true(yaml_next(y, &arena, &t, NULL, NULL));
        assert_int_equal(t->type, TREE_ARRAY);
        assert_int_equal(t->at.line, 8);
        for (int i = 0; i < 3; i++) {
                assert_true(yaml_next(y, &arena, &t, NULL, NULL));
                assert_null(t);
        }
        arena_done(&arena);
}

static void test_nothing_in_it(void **state)
{
        static const char *const texts[] = {"", "\n\n", "# only words\n", "\xef\xbb\xbf# mark\n"};

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(texts); i++) {
                CLEANUP(yaml_cleanup) Yaml *y = yaml_new(str_of(texts[i]));
                Arena arena;
                const Tree *t;

                arena_init(&arena, 0);
                assert_true(yaml_next(y, &arena, &t, NULL, NULL));
                assert_null(t);
                arena_done(&arena);
        }
}

/* JSON is YAML. */
static void test_json(void **state)
{
        CLEANUP(yaml_cleanup) Yaml *y = yaml_new(STR("{\"a\":[1,\"2\",null],\"b\":{\"c\":true}}"));
        Arena arena;
        const Tree *t;

        (void)state;
        arena_init(&arena, 0);
        assert_true(yaml_next(y, &arena, &t, NULL, NULL));
        assert_int_equal(tree_get(t, STR("a"))->n, 3);
        assert_int_equal(tree_get(t, STR("a"))->first->next->type, TREE_STRING);
        assert_true(tree_get_bool(tree_get(t, STR("b")), STR("c"), false));
        arena_done(&arena);
}

static void test_refusals(void **state)
{
        static const struct {
                Str text;
                unsigned line, column;
                const char *want;
        } cases[] = {
                {STR_INIT("a: *x\n"), 1, 4, "without an anchor"},
                {STR_INIT("a: &x [*x]\n"), 1, 8, "without an anchor"},
                {STR_INIT("a: &x {b: [*x]}\n"), 1, 12, "without an anchor"},
                {STR_INIT("a: &x b\n*x : c\n"), 2, 1, "as a key"},
                {STR_INIT("a: !!binary aGk=\n"), 1, 4, "tags"},
                {STR_INIT("a: !mine {}\n"), 1, 4, "tags"},
                {STR_INIT("? [a]\n: 1\n"), 1, 3, "as a key"},
                {STR_INIT("a: [1\n"), 2, 1, "not YAML"},
                {STR_INIT("a: 1\n b: 2\n"), 2, 3, "not YAML"},
                {STR_INIT("a: \"x\n"), 2, 1, "not YAML"},
                {STR_INIT("\ta: 1\n"), 1, 1, "a tab, expected spaces"},
                {STR_INIT("a:\n\tb: 1\n"), 2, 1, "a tab, expected spaces"},
                {STR_INIT("a: \xff\n"), 1, 4, "not YAML"},
                {STR_INIT("a: 1\nb: \x01\n"), 2, 4, "not YAML"},
                {STR_INIT("a: \0\n"), 1, 4, "not YAML"},
                {STR_INIT("a: @x\n"), 1, 4, "not YAML"},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                CLEANUP(yaml_cleanup) Yaml *y = yaml_new(cases[i].text);
                TreeMark at = {0};
                const Tree *t;
                Arena arena;
                Err err = {0};

                arena_init(&arena, 0);
                if (yaml_next(y, &arena, &t, &at, &err))
                        fail_msg("taken: %s", cases[i].text.p);
                assert_int_equal(err.kind, ERR_INVALID);
                assert_string_equal(err.reason, "InvalidYaml");
                if (strstr(err.text, cases[i].want) == NULL || at.line != cases[i].line ||
                    at.column != cases[i].column)
                        fail_msg("%s: %u:%u %s", cases[i].text.p, at.line, at.column, err.text);
                assert_false(yaml_next(y, &arena, &t, &at, &err));
                arena_done(&arena);
        }
}

static void test_aliases(void **state)
{
        static const char text[] = "a: &a {x: [1, yes]}\nb: *a\nc: [&s text, *s, *a]\n"
                                   "d: &s other\ne: *s\n---\nf: *s\n";
        CLEANUP(yaml_cleanup) Yaml *y = yaml_new(str_of(text));
        const Tree *t, *b, *c;
        Arena arena;

        (void)state;
        arena_init(&arena, 0);
        assert_true(yaml_next(y, &arena, &t, NULL, NULL));
        b = tree_get(t, STR("b"));
        assert_int_equal(b->at.line, 2);
        assert_int_equal(b->key_at.line, 2);
        assert_int_equal(tree_get(b, STR("x"))->n, 2);
        c = tree_get(t, STR("c"));
        assert_int_equal(c->n, 3);
        assert_true(str_eq(c->first->next->text, STR("text")));
        assert_int_equal(c->first->next->next->type, TREE_OBJECT);
        assert_true(str_eq(tree_get_str(t, STR("e")), STR("other")));
        /* An anchor ends with its document. */
        assert_false(yaml_next(y, &arena, &t, NULL, NULL));
        arena_done(&arena);
}

/* Aliases of aliases: the nodes, or the depth, of what they stand for are counted. */
static void test_bombs(void **state)
{
        (void)state;
        for (int deep = 0; deep < 2; deep++) {
                CLEANUP(buf_done) Buf text;
                const Tree *t;
                Arena arena;
                Err err = {0};

                buf_init(&text, 1 << 16);
                arena_init(&arena, 0);
                buf_add_str(&text, STR("a: &a [x]\n"));
                for (int c = 'b'; c <= 'k'; c++) {
                        buf_printf(&text, "%c: &%c %s", c, c, deep ? "[[[[[[[[" : "[");
                        for (int i = 0; i < (deep ? 1 : 9); i++)
                                buf_printf(&text, "*%c,", c - 1);
                        buf_add_str(&text, deep ? STR("]]]]]]]]\n") : STR("]\n"));
                }
                CLEANUP(yaml_cleanup) Yaml *y = yaml_new(buf_str(&text));
                assert_false(yaml_next(y, &arena, &t, NULL, &err));
                assert_int_equal(err.kind, ERR_LIMIT);
                assert_true(arena.total < 1 << 20);
                arena_done(&arena);
        }
}

static void test_many_anchors(void **state)
{
        CLEANUP(buf_done) Buf text;
        const Tree *t;
        Arena arena;
        Err err = {0};

        (void)state;
        buf_init(&text, 1 << 20);
        arena_init(&arena, 0);
        for (int i = 0; i <= YAML_ANCHORS_MAX; i++)
                buf_printf(&text, "- &a%d x\n", i);
        CLEANUP(yaml_cleanup) Yaml *y = yaml_new(buf_str(&text));
        assert_false(yaml_next(y, &arena, &t, NULL, &err));
        assert_int_equal(err.kind, ERR_LIMIT);
        arena_done(&arena);
}

static void test_deep_nesting(void **state)
{
        static const char *const opens[] = {"[", "{a: ", "- "};

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(opens); i++) {
                CLEANUP(buf_done) Buf b;
                const Tree *t;
                Arena arena;
                Err err = {0};

                buf_init(&b, 1 << 20);
                arena_init(&arena, 0);
                for (int n = 0; n < 20000; n++)
                        buf_add_str(&b, str_of(opens[i]));
                CLEANUP(yaml_cleanup) Yaml *y = yaml_new(buf_str(&b));
                assert_false(yaml_next(y, &arena, &t, NULL, &err));
                assert_true(arena.total < 1 << 20);
                arena_done(&arena);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_scalars),       cmocka_unit_test(test_documents_and_places),
                cmocka_unit_test(test_nothing_in_it), cmocka_unit_test(test_json),
                cmocka_unit_test(test_refusals),      cmocka_unit_test(test_aliases),
                cmocka_unit_test(test_bombs),         cmocka_unit_test(test_many_anchors),
                cmocka_unit_test(test_deep_nesting),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
