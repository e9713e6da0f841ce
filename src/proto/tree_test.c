/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/buf.h"
#include "proto/json.h"
#include "proto/tree.h"

typedef struct Doc {
        Arena arena;
        const Tree *root;
        TreeMark at;
        Err err;
} Doc;

static void doc_done(Doc *d)
{
        arena_done(&d->arena);
}

static Doc doc_of(const char *text)
{
        Doc d = {0};

        arena_init(&d.arena, 0);
        d.root = json_read(&d.arena, str_of(text), &d.at, &d.err);
        return d;
}

static void test_look_up(void **state)
{
        CLEANUP(doc_done)
        Doc d = doc_of("{\"a\":\"x\",\"b\":true,\"c\":null,\"l\":[\"p\",1,\"q\"],\"a\":\"y\"}");

        (void)state;
        assert_non_null(d.root);
        assert_true(str_eq(tree_get_str(d.root, STR("a")), STR("x")));
        assert_true(tree_get_bool(d.root, STR("b"), false));
        assert_true(tree_get_bool(d.root, STR("a"), true));
        assert_true(tree_get_bool(d.root, STR("none"), true));
        assert_int_equal(tree_get(d.root, STR("c"))->type, TREE_NULL);
        assert_null(tree_get(d.root, STR("none")));
        assert_null(tree_get(NULL, STR("a")));
        assert_null(tree_get(tree_get(d.root, STR("a")), STR("a")));
        assert_int_equal(tree_get_str(d.root, STR("b")).n, 0);
        StrList l = tree_strlist(tree_get(d.root, STR("l")), &d.arena);
        assert_int_equal(l.n, 2);
        assert_true(str_eq(l.at[1], STR("q")));
        assert_int_equal(tree_strlist(NULL, &d.arena).n, 0);
}

static void test_whole_numbers(void **state)
{
        static const struct {
                const char *text;
                bool strings, ok;
                int64_t min, max, want;
        } cases[] = {
                {"0", false, true, INT64_MIN, INT64_MAX, 0},
                {"-1", false, true, -1, 0, -1},
                {"-0", false, true, 0, 0, 0},
                {"65535", false, true, 1, 65535, 65535},
                {"65536", false, false, 1, 65535, 0},
                {"0", false, false, 1, 65535, 0},
                {"9223372036854775807", false, true, INT64_MIN, INT64_MAX, INT64_MAX},
                {"9223372036854775808", false, false, INT64_MIN, INT64_MAX, 0},
                {"-9223372036854775808", false, true, INT64_MIN, INT64_MAX, INT64_MIN},
                {"-9223372036854775809", false, false, INT64_MIN, INT64_MAX, 0},
                {"1.0", false, false, 0, 9, 0},
                {"1e3", false, false, 0, 9999, 0},
                {"\"7\"", false, false, 0, 9, 0},
                {"\"7\"", true, true, 0, 9, 7},
                {"\"\"", true, false, 0, 9, 0},
                {"\"-\"", true, false, -9, 9, 0},
                {"\" 7\"", true, false, 0, 9, 0},
                {"true", true, false, 0, 9, 0},
                {"99999999999999999999999999", false, false, 0, INT64_MAX, 0},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                CLEANUP(doc_done) Doc d = doc_of(cases[i].text);
                int64_t v = 4711;

                assert_non_null(d.root);
                assert_int_equal(tree_i64(d.root, cases[i].min, cases[i].max, cases[i].strings, &v),
                                 cases[i].ok);
                assert_int_equal(v, cases[i].ok ? cases[i].want : 4711);
        }
        assert_false(tree_i64(NULL, 0, 9, true, &(int64_t){0}));
}

/* The first of equal keys counts, the others are marked; with few and with many members. */
static void test_keys_that_come_twice(void **state)
{
        (void)state;
        for (unsigned n = 2; n < 40; n++) {
                char text[1024];
                int at = snprintf(text, sizeof(text), "{");

                for (unsigned i = 0; i < n; i++)
                        at += snprintf(text + at, sizeof(text) - (size_t)at, "%s\"k%u\":%u",
                                       i > 0 ? "," : "", i % (n - 1), i);
                snprintf(text + at, sizeof(text) - (size_t)at, "}");
                CLEANUP(doc_done) Doc d = doc_of(text);
                unsigned i = 0;
                assert_non_null(d.root);
                assert_int_equal(d.root->n, n);
                TREE_FOREACH (m, d.root) {
                        assert_int_equal(m->duplicate, i == n - 1);
                        i++;
                }
        }
}

static void test_caps(void **state)
{
        CLEANUP(buf_done) Buf b;
        Arena arena;
        Err err;

        (void)state;
        buf_init(&b, 1 << 22);
        arena_init(&arena, 0);
        for (int i = 0; i < TREE_DEPTH_MAX; i++)
                buf_add_char(&b, '[');
        for (int i = 0; i < TREE_DEPTH_MAX; i++)
                buf_add_char(&b, ']');
        assert_non_null(json_read(&arena, buf_str(&b), NULL, &err));
        buf_reset(&b);
        for (int i = 0; i <= TREE_DEPTH_MAX; i++)
                buf_add_char(&b, '[');
        assert_null(json_read(&arena, buf_str(&b), NULL, &err));
        assert_int_equal(err.kind, ERR_LIMIT);
        buf_reset(&b);
        buf_add_char(&b, '[');
        for (int i = 0; i < TREE_NODES_MAX; i++)
                buf_add_str(&b, STR("1,"));
        assert_null(json_read(&arena, buf_str(&b), NULL, &err));
        assert_int_equal(err.kind, ERR_LIMIT);
        /* A reader that trusts its peer with more, and one with less. */
        b.p[b.n - 1] = ']';
        assert_non_null(json_read_within(&arena, buf_str(&b),
                                         &(JsonLimits){b.n, 2 * TREE_NODES_MAX}, NULL, &err));
        assert_null(json_read_within(&arena, buf_str(&b),
                                     &(JsonLimits){b.n - 1, 2 * TREE_NODES_MAX}, NULL, &err));
        assert_int_equal(err.kind, ERR_LIMIT);
        assert_null(json_read_within(&arena, STR("[1,2]"), &(JsonLimits){5, 2}, NULL, &err));
        assert_int_equal(err.kind, ERR_LIMIT);
        arena_done(&arena);
        /* An arena with a cap of its own. */
        arena_init(&arena, 64 << 10);
        assert_null(json_read(&arena, buf_str(&b), NULL, &err));
        assert_int_equal(err.kind, ERR_LIMIT);
        arena_done(&arena);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_look_up),
                cmocka_unit_test(test_whole_numbers),
                cmocka_unit_test(test_keys_that_come_twice),
                cmocka_unit_test(test_caps),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
