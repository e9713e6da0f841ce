/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/certificate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/err.h>

#include "proto/test_certificate.h"

#define AT(days) ((Wall){INT64_C(1700000000000) + (days)*INT64_C(86400000)})

typedef struct Fixture {
        Arena a;
        TestIssued ca, leaf;
} Fixture;

static int setup(void **state)
{
        static Fixture f;

        arena_init(&f.a, 0);
        f.ca = test_issue(&f.a,
                          &(TestIssue){.name = "ca", .is_ca = true, .from = AT(0), .to = AT(9)});
        f.leaf = test_issue(&f.a, &(TestIssue){.name = "leaf",
                                               .usage = "serverAuth",
                                               .san = "DNS:a.b,IP:127.0.0.1,DNS:c",
                                               .from = AT(1),
                                               .to = AT(2),
                                               .by = &f.ca});
        *state = &f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        test_issued_done(&f->ca);
        test_issued_done(&f->leaf);
        arena_done(&f->a);
        return 0;
}

static Certificates read_good(Fixture *f, Str pem)
{
        Certificates l = {0};
        Err err = {0};

        if (!certificates_read(pem, &f->a, &l, &err))
                fail_msg("%s", err.text);
        return l;
}

static void what_one_says_is_read(void **state)
{
        Fixture *f = *state;
        Certificates l = read_good(f, f->leaf.pem);
        const Certificate *c = &l.at[0];

        assert_int_equal(l.n, 1);
        assert_int_equal(c->not_before.ms, AT(1).ms);
        assert_int_equal(c->not_after.ms, AT(2).ms);
        assert_false(c->is_ca);
        assert_true(c->for_server);
        assert_false(c->for_client);
        assert_int_equal(c->names.n, 2);
        assert_true(str_eq(c->names.at[0], STR("a.b")) && str_eq(c->names.at[1], STR("c")));
        const Str same[] = {STR("c"), STR("a.b")}, other[] = {STR("c"), STR("d")};
        assert_true(certificate_has_names(c, (StrList){same, 2}));
        assert_false(certificate_has_names(c, (StrList){same, 1}));
        assert_false(certificate_has_names(c, (StrList){other, 2}));
        l = read_good(f, f->ca.pem);
        assert_true(l.at[0].is_ca && l.at[0].for_server && l.at[0].for_client);
}

static void a_text_may_hold_several(void **state)
{
        Fixture *f = *state;
        Str text = arena_printf(&f->a, "said before\n%s\nbetween\n%s%safter\n", f->ca.pem.p,
                                f->leaf.key_pem.p, f->leaf.pem.p);
        Certificates l = read_good(f, text);
        Buf b CLEANUP(buf_done);

        assert_int_equal(l.n, 2);
        assert_ptr_equal(certificates_find(&l, &l.at[1].id), &l.at[1]);
        assert_null(certificates_find(&l, &(Digest){{1}}));
        buf_init(&b, 1 << 16);
        certificate_add_pem(&l.at[0], &b);
        assert_true(str_eq(buf_str(&b), f->ca.pem));
}

static void bad_texts_are_refused(void **state)
{
        Fixture *f = *state;
        Buf many CLEANUP(buf_done);
        const struct {
                Str text;
                const char *reason;
        } cases[] = {
                {STR(""), "NoCertificate"},
                {STR("nothing"), "NoCertificate"},
                {f->leaf.key_pem, "NoCertificate"},
                {str_sub(f->ca.pem, 0, f->ca.pem.n / 2), "BadCertificate"},
                {STR("-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n"),
                 "BadCertificate"},
                {STR("-----BEGIN CERTIFICATE-----\n%%%%\n-----END CERTIFICATE-----\n"),
                 "BadCertificate"},
        };
        Certificates l = {0};

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                Err err = {0};
                assert_false(certificates_read(cases[i].text, &f->a, &l, &err));
                assert_string_equal(err.reason, cases[i].reason);
                assert_int_equal(ERR_peek_error(), 0);
        }
        Err err = {0};
        buf_init(&many, CERTIFICATE_TEXT_MAX + 1024);
        for (int i = 0; i <= CERTIFICATES_MAX; i++)
                buf_add_str(&many, f->ca.pem);
        assert_false(certificates_read(buf_str(&many), &f->a, &l, &err));
        assert_string_equal(err.reason, "TooMany");
        while (many.n <= CERTIFICATE_TEXT_MAX)
                buf_add_char(&many, '\n');
        assert_false(certificates_read(buf_str(&many), &f->a, &l, &err));
        assert_string_equal(err.reason, "BadCertificate");
        assert_null(l.at);
}

static void who_signed_it_and_whose_key_it_is(void **state)
{
        Fixture *f = *state;
        /* Of the same name, so that only the signature tells. */
        TestIssued other = test_issue(
                &f->a, &(TestIssue){.name = "ca", .is_ca = true, .from = AT(0), .to = AT(9)});
        TestIssued no_ca =
                test_issue(&f->a, &(TestIssue){.name = "ca", .from = AT(0), .to = AT(9)});
        Certificates ca = read_good(f, f->ca.pem), leaf = read_good(f, f->leaf.pem);
        Certificates wrong = read_good(f, other.pem), plain = read_good(f, no_ca.pem);
        Secret *key = secret_new(f->leaf.key_pem), *foreign = secret_new(other.key_pem);
        Secret *nonsense = secret_new(STR("x")), *empty = secret_new(STR(""));

        assert_true(certificate_is_by(&leaf.at[0], &ca.at[0]));
        assert_true(certificate_is_by(&ca.at[0], &ca.at[0]));
        assert_false(certificate_is_by(&leaf.at[0], &wrong.at[0]));
        assert_false(certificate_is_by(&leaf.at[0], &plain.at[0]));
        assert_false(certificate_is_by(&ca.at[0], &leaf.at[0]));
        assert_true(certificate_has_key(&leaf.at[0], key));
        assert_false(certificate_has_key(&leaf.at[0], foreign));
        assert_false(certificate_has_key(&leaf.at[0], nonsense));
        assert_false(certificate_has_key(&leaf.at[0], empty));
        assert_false(certificate_has_key(&leaf.at[0], NULL));
        assert_int_equal(ERR_peek_error(), 0);
        secret_free(key);
        secret_free(foreign);
        secret_free(nonsense);
        secret_free(empty);
        test_issued_done(&other);
        test_issued_done(&no_ca);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(what_one_says_is_read),
                TEST(a_text_may_hold_several),
                TEST(bad_texts_are_refused),
                TEST(who_signed_it_and_whose_key_it_is),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
