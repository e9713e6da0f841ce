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

/* RFC 4231, cases 1, 2 and 6. */
static void hmac_of_known_vectors(void **state)
{
        static const char *const expected[] = {
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        };
        char key[131], hex[DIGEST_HEX];
        const struct {
                Str key, parts[3];
        } cases[] = {
                {{"\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"
                  "\x0b",
                  20},
                 {STR_INIT("Hi"), {NULL, 0}, STR_INIT(" There")}},
                {STR_INIT("Jefe"),
                 {STR_INIT("what do ya want "), STR_INIT("for "), STR_INIT("nothing?")}},
                {{key, sizeof(key)},
                 {STR_INIT("Test Using Larger Than Block-Size Key"), STR_INIT(" - "),
                  STR_INIT("Hash Key First")}},
        };

        (void)state;
        memset(key, 0xaa, sizeof(key));
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                Digest d = digest_hmac(cases[i].key, cases[i].parts, 3);

                assert_string_equal(digest_hex(&d, DIGEST_BYTES, hex), expected[i]);
        }
        Digest a = digest_hmac(STR(""), NULL, 0), b = digest_hmac((Str){0}, NULL, 0);
        assert_true(digest_eq_secret(&a, &b));
        b.b[31] ^= 1;
        assert_false(digest_eq_secret(&a, &b));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(known_vectors),
                cmocka_unit_test(fields_do_not_run_together),
                cmocka_unit_test(numbers_and_empty_fields_count),
                cmocka_unit_test(numbers_are_little_endian),
                cmocka_unit_test(hmac_of_known_vectors),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
