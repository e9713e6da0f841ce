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
                {"{\"devices\":[]}\"", "trailing garbage"},
                {"{\"devices\":[]} \n\"{", "trailing garbage"},
                {"{\"devices\":[]}tru", "trailing garbage"},
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

/* --- several parts --- */

typedef struct Parts {
        Buf buf;
        JsonStreamPart part[5];
} Parts;

static bool note(void *ctx, const char *what, const Tree *e)
{
        Parts *p = ctx;

        buf_printf(&p->buf, "%s%zu%.*s", what, e->n, STR_FMT(e->text));
        TREE_FOREACH (child, e)
                buf_printf(&p->buf, "%s%.*s=%.*s", child == e->first ? ":" : ",",
                           STR_FMT(child->key), STR_FMT(child->text));
        buf_add_char(&p->buf, ' ');
        return true;
}

static bool on_peer(void *ctx, const Tree *e, Err *err)
{
        (void)err;
        return note(ctx, "P", e);
}

static bool on_self(void *ctx, const Tree *e, Err *err)
{
        (void)err;
        return note(ctx, "S", e);
}

static bool on_listed(void *ctx, const Tree *e, Err *err)
{
        (void)err;
        return note(ctx, "L", e);
}

/* What came, in one line, or the error. */
static void read_parts(Str text, size_t piece, size_t room, Buf *ret)
{
        static const Str kept[] = {STR_INIT("id"), STR_INIT("n")};
        Parts p = {.part = {
                           {.name = STR("Some"),
                            .take = JSON_STREAM_ELEMENTS_OR_NULL,
                            .optional = true,
                            .on_element = on_listed},
                           {.name = STR("Peer"),
                            .take = JSON_STREAM_MEMBERS,
                            .on_element = on_peer,
                            .keep = {kept, 2}},
                           {.name = STR("Self"),
                            .take = JSON_STREAM_WHOLE,
                            .optional = true,
                            .on_element = on_self,
                            .keep = {kept, 2}},
                           {.name = STR("State"),
                            .take = JSON_STREAM_WHOLE,
                            .optional = true,
                            .on_element = on_self},
                           {.name = STR("List"),
                            .take = JSON_STREAM_ELEMENTS,
                            .optional = true,
                            .on_element = on_listed},
                   }};
        CLEANUP(json_stream_cleanup)
        JsonStream *s = json_stream_new_parts(p.part, LENGTH_OF(p.part), &p);
        Err err = {0};
        bool ok = true;

        buf_init(&p.buf, room);
        for (size_t at = 0; ok && at < text.n; at += piece)
                ok = json_stream_feed(s, str_sub(text, at, piece), &err);
        ok = ok && json_stream_finish(s, &err);
        assert_true(!ok || json_stream_has(s, 1));
        assert_int_equal(json_stream_was_null(s, 0), str_find_str(text, STR("\"Some\":null")) >= 0);
        if (ok)
                buf_add_str(ret, buf_str(&p.buf));
        else
                buf_printf(ret, "%s: %s", err.reason, err.text);
        buf_add_char(ret, '\0');
        buf_done(&p.buf);
}

static void test_parts_in_any_order(void **state)
{
        static const struct {
                const char *text, *want;
        } cases[] = {
                {"{\"Peer\":{},\"State\":\"Up\"}", "S0Up "},
                {"{\"Peer\":null}", ""},
                {"{\"List\":[1,{\"z\":2}],\"Self\":{\"x\":1,\"n\":7},\"Peer\":{\"k\":{\"id\":1}}}",
                 "L01 L1:z=2 S1:n=7 P1:id=1 "},
                {"{\"Peer\":{\"k\":{\"id\":1,\"x\":[{\"id\":9}],\"y\":{\"n\":{}},\"n\":2},\"l\":[3,"
                 "4],"
                 "\"m\":5,\"o\":null,\"Peer\":{\"n\":[{\"x\":1}]}},\"Self\":null,\"State\":[]}",
                 "P2:id=1,n=2 P2:=3,=4 P05 P0null P1:n= S0null S0 "},
                {"{\"other\":{\"Peer\":{\"k\":1}},\"Peer\":{\"k\":{\"x\":{}}},\"z\":[{\"Self\":1}]"
                 "}",
                 "P0 "},
                {"{}", "InvalidJson: no list \"Peer\" in it"},
                {"{\"Peer\":[]}", "InvalidJson: the named member is no list, at byte 9"},
                {"{\"Peer\":\"\"}", "InvalidJson: the named member is no list, at byte 10"},
                {"{\"Peer\":{},\"List\":null}",
                 "InvalidJson: the named member is no list, at byte 22"},
                {"{\"Peer\":{},\"Some\":null,\"List\":[2]}", "L02 "},
                {"{\"Some\":[{\"z\":3}],\"Peer\":null}", "L1:z=3 "},
                {"{\"Some\":{}}", "InvalidJson: the named member is no list, at byte 9"},
                {"{\"Some\":null,\"Some\":[]}",
                 "InvalidJson: the named list comes twice, at byte 21"},
                {"{\"Peer\":null,\"Peer\":{}}",
                 "InvalidJson: the named list comes twice, at byte 21"},
                {"{\"Peer\":{},\"Self\":{},\"Self\":[]}",
                 "InvalidJson: the named list comes twice, at byte 29"},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                for (size_t piece = 1; piece < 200; piece += 1 + piece / 2) {
                        CLEANUP(buf_done) Buf got;

                        buf_init(&got, 4096);
                        read_parts(str_of(cases[i].text), piece, 4096, &got);
                        assert_string_equal(got.p, cases[i].want);
                }
        }
}

/* `prefix`, `n` times `unit`, `suffix`, read as parts. */
static void long_parts(const char *prefix, const char *unit, size_t n, const char *suffix,
                       const char *want)
{
        CLEANUP(buf_done) Buf text;
        CLEANUP(buf_done) Buf got;

        buf_init(&text, 8 << 20);
        buf_init(&got, 4096);
        buf_add_str(&text, str_of(prefix));
        for (size_t i = 0; i < n; i++)
                buf_add_str(&text, str_of(unit));
        buf_add_str(&text, str_of(suffix));
        assert_false(text.failed);
        read_parts(buf_str(&text), 1 << 20, 4096, &got);
        if (!str_starts(str_of(got.p), str_of(want)))
                fail_msg("%s: %s", prefix, got.p);
}

static void test_what_is_not_kept_costs_nothing(void **state)
{
        static const size_t max = JSON_ELEMENT_MAX;

        (void)state;
        /* A router with more routes than an element may be long. */
        long_parts("{\"Peer\":{\"k\":{\"id\":1,\"routes\":[", "\"10.0.0.0/8\",", max / 4,
                   "1],\"n\":2}}}", "P2:id=1,n=2 ");
        long_parts("{\"Peer\":{\"k\":{\"id\":1,\"x\":{", "\"a\":{},", max, "\"b\":[]},\"n\":2}}}",
                   "P2:id=1,n=2 ");
        /* What is kept, and each token, is bounded all the same. */
        long_parts("{\"Peer\":{\"k\":{\"id\":[", "\"10.0.0.0/8\",", max / 4, "1]}}}", "TooLarge");
        long_parts("{\"Peer\":{\"k\":{\"x\":\"", "x", 2 * max, "\"}}}", "TooLarge");
        long_parts("{\"Peer\":{\"k\":{", "\"a\":1,", max, "\"id\":1}}}", "TooLarge");
        long_parts("{\"Peer\":{\"k\":{\"x\":", "[", TREE_DEPTH_MAX, "", "TooLarge");
        long_parts("{\"Peer\":{},\"Self\":[", "1,", max, "1]}", "TooLarge");
}

static bool on_core(void *ctx, const Tree *e, Err *err)
{
        Seen *s = ctx;

        (void)err;
        buf_add_char(&s->buf, '?');
        TREE_FOREACH (m, tree_get(e, STR("meta")))
                buf_printf(&s->buf, "%.*s=%.*s ", STR_FMT(m->key), STR_FMT(m->text));
        return true;
}

/* `unit` n times between `before` and `after`, as the second of three elements. */
static void one_large(const char *before, const char *unit, size_t n, const char *after,
                      const char *want)
{
        static const Str keep[] = {STR_INIT("meta"), STR_INIT("spec")};
        static const Str ids[] = {STR_INIT("id"), STR_INIT("n")};
        static const size_t pieces[] = {7, 4096, 1 << 20};

        /* The parser looks through an unfinished token again with each piece. */
        for (size_t i = n > 1000; i < LENGTH_OF(pieces); i++) {
                Seen seen = {0};
                CLEANUP(buf_done) Buf text;
                JsonStreamPart part = {.name = STR("items"),
                                       .on_element = on_element,
                                       .on_large = on_core,
                                       .core = STR("meta"),
                                       .core_keep = {ids, LENGTH_OF(ids)},
                                       .keep = {keep, LENGTH_OF(keep)},
                                       .max = 100};
                CLEANUP(json_stream_cleanup) JsonStream *s = json_stream_new_parts(&part, 1, &seen);
                Err err = {0};

                buf_init(&text, 8 << 20);
                buf_init(&seen.buf, 4096);
                buf_printf(&text, "{\"items\":[{\"meta\":{}},%s", before);
                for (size_t j = 0; j < n; j++)
                        buf_add_str(&text, str_of(unit));
                buf_printf(&text, "%s,{\"meta\":{\"id\":9}}]}", after);
                assert_false(text.failed);
                for (Str rest = buf_str(&text); rest.n > 0; rest = str_sub(rest, pieces[i], rest.n))
                        if (!json_stream_feed(s, str_sub(rest, 0, pieces[i]), &err))
                                break;
                if (err.kind == ERR_NONE)
                        IGNORE(json_stream_finish(s, &err), "it is told");
                buf_printf(&seen.buf, "%s", err.reason);
                buf_add_char(&seen.buf, '\0');
                assert_string_equal(seen.buf.p, want);
                seen_done(&seen);
        }
}

/* One that is too large is told by what it is called, wherever that stands, and ends nothing. */
static void test_a_large_element_is_no_end(void **state)
{
        (void)state;
        one_large("{\"meta\":{\"id\":1,\"n\":\"two\",\"x\":{\"id\":3}},\"spec\":[", "\"y\",", 100,
                  "1]}", "o ?id=1 n=two o ");
        one_large("{\"id\":7,\"spec\":{\"meta\":{\"id\":8},\"a\":[", "{\"id\":5},", 100,
                  "1]},\"meta\":{\"id\":1}}", "o ?id=1 o ");
        one_large("{\"meta\":{\"id\":[1],\"l\":\"", "x", 100000, "\",\"n\":4}}", "o ?n=4 o ");
        /* What is not kept makes nothing large. */
        one_large("{\"rest\":[", "[1],", 1000, "1],\"meta\":{\"id\":1}}", "o o o ");
        one_large("[", "1,", 1000, "1]", "o ?o ");
        one_large("\"", "x", 1000, "\"", "o ?o ");
        one_large("{\"meta\":{\"id\":\"", "x", 300, "\",\"n\":2}}", "o ?n=2 o ");
        one_large("{\"meta\":{\"x\":\"", "x", JSON_TOKEN_MAX + (256 << 10), "\"}}", "o TooLarge");
        one_large("{\"spec\":", "[", 300, "", "o InvalidJson");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_pieces_of_every_size),
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_the_caller_may_stop),
                cmocka_unit_test(test_memory_is_bounded),
                cmocka_unit_test(test_parts_in_any_order),
                cmocka_unit_test(test_what_is_not_kept_costs_nothing),
                cmocka_unit_test(test_a_large_element_is_no_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
