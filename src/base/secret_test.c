/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void keeps_a_copy(void **state)
{
        char bytes[] = "tskey-api-x";
        Secret *s = secret_new(str_of(bytes));

        (void)state;
        bytes[0] = 'X';
        assert_true(str_eq(secret_reveal(s), STR("tskey-api-x")));
        assert_null(secret_free(s));
        assert_null(secret_free(NULL));
}

static void compares(void **state)
{
        Secret *a = secret_new(STR("abc")), *b = secret_new(STR("abc"));
        Secret *c = secret_new(STR("abd")), *d = secret_new(STR("ab")), *e = secret_new((Str){0});

        (void)state;
        assert_true(secret_eq(a, b));
        assert_false(secret_eq(a, c));
        assert_false(secret_eq(a, d));
        assert_false(secret_eq(a, e));
        assert_true(secret_eq(e, e));
        assert_false(secret_eq(a, NULL));
        assert_false(secret_eq(NULL, e));
        assert_true(secret_eq(NULL, NULL));
        secret_free(a);
        secret_free(b);
        secret_free(c);
        secret_free(d);
        secret_free(e);
}

static void is_found_in_a_text(void **state)
{
        Secret *a = secret_new(STR("abc\n")), *none = secret_new(STR(" \n"));

        (void)state;
        assert_true(secret_is_in(a, STR("xabcx")));
        assert_false(secret_is_in(a, STR("xabx")));
        assert_false(secret_is_in(a, (Str){0}));
        assert_false(secret_is_in(none, STR("a b")));
        assert_false(secret_is_in(NULL, STR("abc")));
        secret_free(a);
        secret_free(none);
}

static void a_piece_of_it_is_found(void **state)
{
        Secret *a = secret_new(STR("key-0123456789abcdef\\x"));

        (void)state;
        assert_true(secret_is_in(a, STR("bad: key-0123456789ab...")));
        assert_true(secret_is_in(a, STR("bad: \\\\x, 0123456789abcdef\\\\x")));
        assert_false(secret_is_in(a, STR("bad: key-0123456789a...")));
        secret_free(a);
}

static void is_capped(void **state)
{
        char *bytes = calloc(1, 64 * 1024 + 1);
        Secret *s;

        (void)state;
        assert_non_null(bytes);
        s = secret_new(str_make(bytes, 64 * 1024));
        assert_int_equal(secret_reveal(s).n, 64 * 1024);
        secret_free(s);
        assert_null(secret_new(str_make(bytes, 64 * 1024 + 1)));
        free(bytes);
}

/* "dd" among the VmFlags of its mapping: left out of core dumps (proc(5)). */
static void is_left_out_of_core_dumps(void **state)
{
        Secret *s = secret_new(STR("x"));
        uintptr_t at = (uintptr_t)secret_reveal(s).p;
        unsigned long from, to;
        bool inside = false, found = false;
        char line[512], *end;
        FILE *f = fopen("/proc/self/smaps", "r");

        (void)state;
        assert_non_null(f);
        while (fgets(line, sizeof(line), f) != NULL) {
                from = strtoul(line, &end, 16);
                if (end != line && *end == '-') {
                        to = strtoul(end + 1, NULL, 16);
                        inside = from <= at && at < to;
                }
                if (inside && str_starts(str_of(line), STR("VmFlags:")))
                        found = str_find_str(str_of(line), STR(" dd")) >= 0;
        }
        fclose(f);
        assert_true(found);
        secret_free(s);
}

static void signs(void **state)
{
        Secret *s = secret_new(STR("Jefe\n")), *blank = secret_new(STR(" \n"));
        Str part = STR("what do ya want for nothing?");
        Digest got = {{1}}, expected = digest_hmac(STR("Jefe"), &part, 1);

        (void)state;
        assert_false(secret_hmac(blank, &part, 1, &got));
        assert_false(secret_hmac(NULL, &part, 1, &got));
        assert_int_equal(got.b[0], 1);
        assert_true(secret_hmac(s, &part, 1, &got));
        assert_true(digest_eq_secret(&got, &expected));
        secret_free(s);
        secret_free(blank);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(keeps_a_copy),
                cmocka_unit_test(compares),
                cmocka_unit_test(is_found_in_a_text),
                cmocka_unit_test(a_piece_of_it_is_found),
                cmocka_unit_test(is_capped),
                cmocka_unit_test(signs),
                cmocka_unit_test(is_left_out_of_core_dumps),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
