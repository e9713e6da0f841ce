/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_both_ways(Str plain, Str text)
{
        Buf b CLEANUP(buf_done);

        buf_init(&b, 1 << 16);
        base64_encode(plain, &b);
        assert_true(str_eq(buf_str(&b), text));
        buf_reset(&b);
        buf_add_str(&b, STR("before "));
        assert_true(base64_decode(text, &b));
        assert_true(str_eq(str_sub(buf_str(&b), 7, SIZE_MAX), plain));
}

/* RFC 4648, section 10. */
static void the_examples_of_the_rfc(void **state)
{
        (void)state;
        assert_both_ways(STR(""), STR(""));
        assert_both_ways(STR("f"), STR("Zg=="));
        assert_both_ways(STR("fo"), STR("Zm8="));
        assert_both_ways(STR("foo"), STR("Zm9v"));
        assert_both_ways(STR("foob"), STR("Zm9vYg=="));
        assert_both_ways(STR("fooba"), STR("Zm9vYmE="));
        assert_both_ways(STR("foobar"), STR("Zm9vYmFy"));
        assert_both_ways(STR("\xff\xef\x00\xbe"), STR("/+8Avg=="));
}

static void all_bytes_come_back(void **state)
{
        (void)state;
        char bytes[770];
        Buf text CLEANUP(buf_done), plain CLEANUP(buf_done);

        for (size_t i = 0; i < sizeof(bytes); i++)
                bytes[i] = (char)(i * 7);
        for (size_t n = 0; n <= sizeof(bytes); n += 11) {
                buf_init(&text, 2048);
                buf_init(&plain, 2048);
                base64_encode(str_make(bytes, n), &text);
                assert_true(base64_decode(buf_str(&text), &plain));
                assert_true(str_eq(buf_str(&plain), str_make(bytes, n)));
                buf_done(&text);
                buf_done(&plain);
        }
        buf_init(&text, 1);
        buf_init(&plain, 1);
}

static void what_is_none_is_refused(void **state)
{
        static const char *const texts[] = {
                "Zg",   "Zg=",  "Zg===", "Zm9v=",    "Z",    "=",        "====", "Zg==Zg==",
                "Zh==", "Zm9=", "Zm 9v", "Zm9v\tYg", "Zm9-", "Zm9_Zm9v", "Z=g=",
        };
        Buf b CLEANUP(buf_done);

        (void)state;
        buf_init(&b, 64);
        buf_add_str(&b, STR("x"));
        for (size_t i = 0; i < LENGTH_OF(texts); i++) {
                assert_false(base64_decode(str_of(texts[i]), &b));
                assert_int_equal(b.n, 1);
        }
        assert_false(base64_decode(STR("Zm9\0"), &b));
        assert_true(base64_decode(STR("Z\nm9\r\nv\n"), &b));
        assert_true(str_eq(buf_str(&b), STR("xfoo")));
        buf_done(&b);
        buf_init(&b, 2);
        assert_false(base64_decode(STR("Zm9v"), &b));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_examples_of_the_rfc),
                cmocka_unit_test(all_bytes_come_back),
                cmocka_unit_test(what_is_none_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
