/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "proto/json.h"
#include "proto/json_writer.h"

static void test_commas(void **state)
{
        static const Str two[] = {STR_INIT("a"), STR_INIT("b")};
        CLEANUP(buf_done) Buf b;
        JsonWriter w;

        (void)state;
        buf_init(&b, 4096);
        json_writer_init(&w, &b);
        json_object_begin(&w);
        json_key_str(&w, STR("s"), STR("x"));
        json_key_u64(&w, STR("u"), UINT64_MAX);
        json_key_bool(&w, STR("b"), false);
        json_key_wall(&w, STR("t"), (Wall){1000});
        json_key_wall(&w, STR("n"), (Wall){0});
        json_key_object_begin(&w, STR("o"));
        json_object_end(&w);
        json_key_array_begin(&w, STR("l"));
        json_array_begin(&w);
        json_array_end(&w);
        json_null(&w);
        json_double(&w, 0.5);
        json_double(&w, (double)NAN);
        json_object_begin(&w);
        json_key(&w, STR("k"));
        json_raw(&w, STR("1e3"));
        json_object_end(&w);
        json_array_end(&w);
        json_key(&w, STR("two"));
        json_strlist(&w, (StrList){two, 2});
        json_key(&w, STR("none"));
        json_strlist(&w, (StrList){0});
        json_object_end(&w);
        buf_add_char(&b, '\0');
        assert_string_equal(b.p, "{\"s\":\"x\",\"u\":18446744073709551615,"
                                 "\"b\":false,\"t\":\"1970-01-01T00:00:01Z\",\"n\":null,\"o\":{},"
                                 "\"l\":[[],null,0.500000,null,{\"k\":1e3}],"
                                 "\"two\":[\"a\",\"b\"],\"none\":[]}");
}

/* Every byte, alone and behind another, comes out as JSON; valid UTF-8 comes back as it was. */
static void test_every_byte(void **state)
{
        (void)state;
        for (int c = 0; c < 256; c++) {
                CLEANUP(buf_done) Buf b;
                char in[2] = {'x', (char)c};
                Arena arena;
                JsonWriter w;
                const Tree *t;

                buf_init(&b, 4096);
                arena_init(&arena, 0);
                json_writer_init(&w, &b);
                json_str(&w, str_make(in, 2));
                t = json_read(&arena, buf_str(&b), NULL, NULL);
                assert_non_null(t);
                if (c < 0x80)
                        assert_true(str_eq(t->text, str_make(in, 2)));
                else
                        assert_true(str_eq(t->text, STR("x\xef\xbf\xbd")));
                arena_done(&arena);
        }
}

static void test_escapes(void **state)
{
        CLEANUP(buf_done) Buf b;
        JsonWriter w;

        (void)state;
        buf_init(&b, 4096);
        json_writer_init(&w, &b);
        json_str(&w, STR("\"\\\n\t\x01\x7f</script>&\xc3\xa9\0z"));
        buf_add_char(&b, '\0');
        assert_string_equal(b.p,
                            "\"\\\"\\\\\\n\\t\\u0001\\u007f\\u003c/script\\u003e\\u0026\xc3\xa9"
                            "\\u0000z\"");
}

static void test_full_buffer(void **state)
{
        CLEANUP(buf_done) Buf b;
        JsonWriter w;

        (void)state;
        buf_init(&b, 8);
        json_writer_init(&w, &b);
        json_array_begin(&w);
        for (int i = 0; i < 100; i++)
                json_str(&w, STR("x"));
        json_array_end(&w);
        assert_true(b.failed);
        assert_true(b.n <= 8);
}

static void what_was_read_is_written(void **state)
{
        static const char text[] =
                "{\"a\":[1,-2.50,true,false,null,\"x\\n\",{}],\"b\":{\"c\":[]},\"a\":\"twice\"}";
        static const Str without[] = {STR_INIT("a")};
        CLEANUP(buf_done) Buf out;
        JsonWriter w;
        Arena arena;
        const Tree *t;

        (void)state;
        buf_init(&out, 1024);
        arena_init(&arena, 0);
        t = json_read(&arena, str_of(text), NULL, NULL);
        assert_non_null(t);
        json_writer_init(&w, &out);
        json_tree(&w, t);
        assert_true(str_eq(buf_str(&out), str_of(text)));
        buf_reset(&out);
        json_writer_init(&w, &out);
        json_object_begin(&w);
        json_key_u64(&w, STR("n"), 1);
        json_tree_members(&w, t, (StrList){without, 1});
        json_object_end(&w);
        assert_true(str_eq(buf_str(&out), STR("{\"n\":1,\"b\":{\"c\":[]}}")));
        arena_done(&arena);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_commas),
                cmocka_unit_test(test_every_byte),
                cmocka_unit_test(test_escapes),
                cmocka_unit_test(test_full_buffer),
                cmocka_unit_test(what_was_read_is_written),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
