/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void known_vectors(void **state)
{
        char hex[DIGEST_HEX];
        Digest d = digest_of(STR("abc"));

        (void)state;
        /* FIPS 180-4 example, and the empty string. */
        assert_string_equal(digest_hex(&d, DIGEST_BYTES, hex),
                            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        d = digest_of((Str){0});
        assert_string_equal(digest_hex(&d, 4, hex), "e3b0c442");
}

static void fields_do_not_run_together(void **state)
{
        Digester *a = digester_new(), *b = digester_new(), *c = digester_new();
        Digest x, y, z;

        (void)state;
        digester_add(a, STR("ab"));
        digester_add(a, STR("c"));
        digester_add(b, STR("a"));
        digester_add(b, STR("bc"));
        digester_add(c, STR("ab"));
        digester_add(c, STR("c"));
        x = digester_finish(a);
        y = digester_finish(b);
        z = digester_finish(c);
        assert_false(digest_eq(&x, &y));
        assert_true(digest_eq(&x, &z));
}

static void numbers_and_empty_fields_count(void **state)
{
        Digester *a = digester_new(), *b = digester_new(), *c = digester_new();
        Digest x, y, z;

        (void)state;
        digester_add_u64(a, 1);
        digester_add_u64(b, 2);
        digester_add(c, (Str){0});
        x = digester_finish(a);
        y = digester_finish(b);
        z = digester_finish(c);
        assert_false(digest_eq(&x, &y));
        assert_false(digest_eq(&x, &z));
        assert_false(digest_eq(&y, &z));
}

static void numbers_are_little_endian(void **state)
{
        Digester *a = digester_new();
        Digest x, y = digest_of(STR("\x08\x07\x06\x05\x04\x03\x02\x01"));

        (void)state;
        digester_add_u64(a, UINT64_C(0x0102030405060708));
        x = digester_finish(a);
        assert_true(digest_eq(&x, &y));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(known_vectors),
                cmocka_unit_test(fields_do_not_run_together),
                cmocka_unit_test(numbers_and_empty_fields_count),
                cmocka_unit_test(numbers_are_little_endian),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
