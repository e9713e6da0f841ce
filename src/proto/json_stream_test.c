/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/json_stream.h"

#include "base/buf.h"

/* What came: one letter per element and its member "n". */
typedef struct Seen {
        Buf buf;
        size_t stop_at; /* refuse this element (from 1); 0: none */
        size_t n;
} Seen;

static void seen_done(Seen *s)
{
        buf_done(&s->buf);
}

static bool on_element(void *ctx, const Tree *e, Err *err)
{
        static const char letters[] = "-bnsao";
        Seen *s = ctx;

        s->n++;
        buf_printf(&s->buf, "%c%.*s ", letters[e->type], STR_FMT(e->text));
        buf_add_str(&s->buf, tree_get_str(e, STR("n")));
        if (s->n == s->stop_at)
                return err_set(err, ERR_INVALID, "Unwanted", "element %zu", s->n);
        return true;
}

static bool read_in_pieces(Str text, size_t piece, Seen *seen, Err *err)
{
        CLEANUP(json_stream_cleanup)
        JsonStream *s = json_stream_new(STR("devices"), on_element, seen);

        while (text.n > 0) {
                if (!json_stream_feed(s, str_sub(text, 0, piece), err)) {
                        Err again;

                        /* It stays failed, with the same words. */
                        assert_false(json_stream_feed(s, STR("{"), &again));
                        assert_string_equal(again.text, err->text);
                        assert_false(json_stream_finish(s, NULL));
                        return false;
                }
                text = str_sub(text, piece, text.n);
        }
        return json_stream_finish(s, err);
}

static void test_pieces_of_every_size(void **state)
{
        static const char text[] =
                " {\"x\":{\"devices\":[9]},\"y\":[[1]],\"devices\":[{\"n\":\"one\","
                "\"devices\":[1,2]},\"s\",7,null,true,[],{},[[{\"n\":1}]],{\"n\":\"\\u00e9\"}],"
                "\"z\":1}\n";

        (void)state;
        for (size_t piece = 1; piece <= sizeof(text); piece++) {
                CLEANUP(seen_done) Seen seen = {0};
                Err err = {0};

                buf_init(&seen.buf, 4096);
                assert_true(read_in_pieces(str_of(text), piece, &seen, &err));
                assert_int_equal(seen.n, 9);
                buf_add_char(&seen.buf, '\0');
                assert_string_equal(seen.buf.p, "o one"
                                                "ss n7 -null btrue a o a o \xc3\xa9");
        }
}

static void test_refusals(void **state)
{
        static const struct {
                const char *text, *want;
        } cases[] = {
                {"", "premature EOF"},
                {"{\"devices\":[1,2]", "premature EOF"},
                {"{\"devices\":[{\"n\":\"one\"},{\"n\":\"tw", "premature EOF"},
                {"{}", "no list \"devices\""},
                {"{\"nodes\":[]}", "no list \"devices\""},
                {"{\"devices\":{}}", "no list"},
                {"{\"devices\":null}", "no list"},
                {"{\"devices\":[],\"devices\":[]}", "twice"},
                {"[1]", "not an object"},
                {"7", "not an object"},
                {"\"x\"", "not an object"},
                {"<html>", "at byte"},
                {"{\"devices\":[]} x", "trailing garbage"},
                {"{\"devices\":[]}{\"devices\":[]}", "trailing garbage"},
                {"{\"devices\":[1 2]}", "at byte"},
                {"{\"devices\":[\"\xff\"]}", "at byte"},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                for (size_t piece = 1; piece < 60; piece += 7) {
                        CLEANUP(seen_done) Seen seen = {0};
                        Err err = {0};

                        buf_init(&seen.buf, 4096);
                        assert_false(read_in_pieces(str_of(cases[i].text), piece, &seen, &err));
                        assert_int_equal(err.kind, ERR_INVALID);
                        assert_string_equal(err.reason, "InvalidJson");
                        if (strstr(err.text, cases[i].want) == NULL)
                                fail_msg("%s: %s", cases[i].text, err.text);
                }
        }
}

static void test_the_caller_may_stop(void **state)
{
        CLEANUP(seen_done) Seen seen = {.stop_at = 2};
        Err err = {0};

        (void)state;
        buf_init(&seen.buf, 4096);
        assert_false(read_in_pieces(STR("{\"devices\":[1,2,3]}"), 100, &seen, &err));
        assert_string_equal(err.text, "element 2");
        assert_int_equal(seen.n, 2);
}

/* `prefix`, `n` times `unit`, `suffix`. */
static bool read_long(const char *prefix, const char *unit, size_t n, const char *suffix, Err *err)
{
        CLEANUP(seen_done) Seen seen = {0};
        CLEANUP(buf_done) Buf b;

        buf_init(&b, 8 << 20);
        buf_init(&seen.buf, 8 << 20);
        buf_add_str(&b, str_of(prefix));
        for (size_t i = 0; i < n; i++)
                buf_add_str(&b, str_of(unit));
        buf_add_str(&b, str_of(suffix));
        assert_false(b.failed);
        return read_in_pieces(buf_str(&b), 1 << 20, &seen, err);
}

static void test_memory_is_bounded(void **state)
{
        static const size_t max = JSON_ELEMENT_MAX;
        Err err = {0};

        (void)state;
        /* Just below the cap it is read, however it is made. */
        assert_true(read_long("{\"devices\":[\"", "x", max - 100, "\"]}", &err));
        assert_true(read_long("{\"devices\":[[", "10000000,", max / 9 - 10, "1]]}", &err));
        /* Above it is refused, inside the list or outside. */
        assert_false(read_long("{\"devices\":[\"", "x", max + 100, "\"]}", &err));
        assert_int_equal(err.kind, ERR_LIMIT);
        assert_false(read_long("{\"devices\":[\"", "x", 4 * max, "", &err));
        assert_int_equal(err.kind, ERR_LIMIT);
        assert_false(read_long("{\"devices\":[{\"a\":\"", "x", max + 100, "\"}]}", &err));
        assert_int_equal(err.kind, ERR_LIMIT);
        assert_false(read_long("{\"devices\":[[", "1,", max, "1]]}", &err));
        assert_int_equal(err.kind, ERR_LIMIT);
        assert_false(read_long("{\"other\":\"", "x", 2 * max, "\",\"devices\":[]}", &err));
        assert_int_equal(err.kind, ERR_LIMIT);
        assert_false(read_long("\"", "x", 2 * max, "", &err));
        assert_int_equal(err.kind, ERR_LIMIT);
        assert_false(read_long("{\"devices\":[", "[", TREE_DEPTH_MAX + 1, "", &err));
        assert_int_equal(err.kind, ERR_LIMIT);
        assert_false(read_long("{\"other\":[", "[", TREE_DEPTH_MAX + 1, "", &err));
        assert_int_equal(err.kind, ERR_LIMIT);
        /* A long list of short ones is what this is for, and so is a long member that is skipped.
         */
        assert_true(read_long("{\"other\":[", "1,", max, "1],\"devices\":[]}", &err));
        assert_true(read_long("{\"devices\":[", "{\"n\":\"\"},", max, "{}]}", &err));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_pieces_of_every_size),
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_the_caller_may_stop),
                cmocka_unit_test(test_memory_is_bounded),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
