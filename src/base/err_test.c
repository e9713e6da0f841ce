/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void fills(void **state)
{
        Err err = {0};

        (void)state;
        assert_false(err_set(&err, ERR_DENIED, "Unauthorized", "status %d\nfrom \x01\xff%s", 401,
                             "gr\xc3\xbc"));
        assert_int_equal(err.kind, ERR_DENIED);
        assert_string_equal(err.reason, "Unauthorized");
        assert_string_equal(err.text, "status 401 from ??gr\xc3\xbc");
        assert_false(err_set(NULL, ERR_DENIED, "X", "y"));
}

static void prefixes(void **state)
{
        Err err;

        (void)state;
        err_set(&err, ERR_INVALID, "Bad", "inner");
        assert_false(err_prefix(&err, "file %s", "a.yaml"));
        assert_string_equal(err.text, "file a.yaml: inner");
        assert_int_equal(err.kind, ERR_INVALID);
        assert_string_equal(err.reason, "Bad");
        assert_false(err_prefix(NULL, "x"));
        /* Its own text as an argument. */
        err_set(&err, err.kind, "Worse", "(%s)", err.text);
        assert_string_equal(err.text, "(file a.yaml: inner)");
        err_set(&err, err.kind, err.reason, "again");
        assert_string_equal(err.reason, "Worse");
}

static void is_cut_at_its_size(void **state)
{
        char ascii[600], wide[601];
        Err err;

        (void)state;
        memset(ascii, 'x', sizeof(ascii) - 1);
        ascii[sizeof(ascii) - 1] = '\0';
        err_set(&err, ERR_LIMIT, ascii, "%s", ascii);
        assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
        assert_int_equal(strlen(err.reason), ERR_REASON_MAX - 1);
        err_prefix(&err, "%s", ascii);
        assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
        for (size_t i = 0; i < 600; i++)
                wide[i] = "\xe2\x82\xac"[i % 3];
        wide[600] = '\0';
        for (int shift = 0; shift < 3; shift++) {
                err_set(&err, ERR_LIMIT, "X", "%.*s%s", shift, "aaa", wide);
                assert_true(str_is_printable_utf8(str_of(err.text)));
        }
}

static void knows_errno(void **state)
{
        Err err;

        (void)state;
        assert_false(err_errno(&err, ENOENT, "%s", "/x"));
        assert_int_equal(err.kind, ERR_MISSING);
        assert_string_equal(err.text, "/x: No such file or directory");
        err_errno(&err, EACCES, "x");
        assert_int_equal(err.kind, ERR_DENIED);
        err_errno(&err, EADDRINUSE, "x");
        assert_int_equal(err.kind, ERR_CONFLICT);
        err_errno(&err, EFBIG, "x");
        assert_int_equal(err.kind, ERR_LIMIT);
        err_errno(&err, EIO, "x");
        assert_int_equal(err.kind, ERR_TRANSIENT);
        assert_string_equal(err.reason, "SystemError");
        err_errno(&err, 12345, "x");
        assert_string_equal(err.text, "x: unknown error");
        assert_false(err_errno(NULL, EIO, "x"));
}

static void names_kinds(void **state)
{
        (void)state;
        assert_string_equal(err_kind_name(ERR_TRANSIENT), "transient");
        assert_string_equal(err_kind_name(ERR_NONE), "none");
        assert_string_equal(err_kind_name((ErrKind)99), "unknown");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(fills),
                cmocka_unit_test(prefixes),
                cmocka_unit_test(is_cut_at_its_size),
                cmocka_unit_test(knows_errno),
                cmocka_unit_test(names_kinds),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
