/* SPDX-License-Identifier: Apache-2.0 */
#include "io/issue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "io/test_tls.h"
#include "io/tls.h"

/* 2026-11-23T04:00:00Z */
#define NOW INT64_C(1795406400000)
#define DAY INT64_C(86400000)

typedef struct Fixture {
        Issued ca, server, client;
} Fixture;

static const Str names[] = {STR_INIT("ext.ns.svc"), STR_INIT("a,b"), STR_INIT("localhost")};

static IssueInput input_of(IssueKind kind, const Issued *ca)
{
        return (IssueInput){
                .kind = kind,
                .common_name = STR("somebody"),
                .names = kind == ISSUE_SERVER ? (StrList){names, LENGTH_OF(names)} : (StrList){0},
                .not_before = {NOW - DAY},
                .not_after = {NOW + 90 * DAY},
                .ca = ca != NULL ? str_of(ca->certificate) : STR(""),
                .ca_key = ca != NULL ? ca->key : NULL,
        };
}

static Issued make(IssueKind kind, const Issued *ca)
{
        IssueInput in = input_of(kind, ca);
        Issued made = {0};
        Err err = {0};

        if (!issue(&in, &made, &err))
                fail_msg("%s", err.text);
        return made;
}

static int setup(void **state)
{
        static Fixture f;

        f.ca = make(ISSUE_CA, NULL);
        f.server = make(ISSUE_SERVER, &f.ca);
        f.client = make(ISSUE_CLIENT, &f.ca);
        *state = &f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        issued_done(&f->ca);
        issued_done(&f->server);
        issued_done(&f->client);
        return 0;
}

static X509 *read_x509(const Issued *i)
{
        BIO *bio = BIO_new_mem_buf(i->certificate, -1);
        X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);

        BIO_free(bio);
        assert_non_null(x);
        return x;
}

/* What OpenSSL says to the chain, for this purpose, at that time. */
static int verify(const Issued *leaf, const Issued *ca, int purpose, int64_t at)
{
        X509_STORE *store = X509_STORE_new();
        X509_STORE_CTX *ctx = X509_STORE_CTX_new();
        X509 *x = read_x509(leaf), *root = read_x509(ca);

        X509_STORE_add_cert(store, root);
        X509_STORE_CTX_init(ctx, store, x, NULL);
        X509_STORE_CTX_set_purpose(ctx, purpose);
        X509_STORE_CTX_set_time(ctx, 0, (time_t)(at / 1000));
        X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_X509_STRICT);
        X509_verify_cert(ctx);
        int code = X509_STORE_CTX_get_error(ctx);
        X509_STORE_CTX_free(ctx);
        X509_STORE_free(store);
        X509_free(x);
        X509_free(root);
        return code;
}

static void chains_are_believed(void **state)
{
        Fixture *f = *state;
        Issued other = make(ISSUE_CA, NULL);

        assert_int_equal(verify(&f->server, &f->ca, X509_PURPOSE_SSL_SERVER, NOW), X509_V_OK);
        assert_int_equal(verify(&f->client, &f->ca, X509_PURPOSE_SSL_CLIENT, NOW), X509_V_OK);
        /* Neither is good for what the other is for. */
        assert_int_equal(verify(&f->server, &f->ca, X509_PURPOSE_SSL_CLIENT, NOW),
                         X509_V_ERR_INVALID_PURPOSE);
        assert_int_equal(verify(&f->client, &f->ca, X509_PURPOSE_SSL_SERVER, NOW),
                         X509_V_ERR_INVALID_PURPOSE);
        assert_int_equal(verify(&f->server, &f->ca, X509_PURPOSE_SSL_SERVER, NOW - 2 * DAY),
                         X509_V_ERR_CERT_NOT_YET_VALID);
        assert_int_equal(verify(&f->server, &f->ca, X509_PURPOSE_SSL_SERVER, NOW + 91 * DAY),
                         X509_V_ERR_CERT_HAS_EXPIRED);
        /* Another CA of the same name is another. */
        assert_int_not_equal(verify(&f->server, &other, X509_PURPOSE_SSL_SERVER, NOW), X509_V_OK);
        issued_done(&other);
}

/* A leaf signs nothing that is believed, and the CA no further CA. */
static void only_the_ca_signs(void **state)
{
        Fixture *f = *state;
        Issued made = {0};
        IssueInput in = input_of(ISSUE_CLIENT, &f->server);

        assert_true(issue(&in, &made, NULL));
        assert_int_not_equal(verify(&made, &f->server, X509_PURPOSE_SSL_CLIENT, NOW), X509_V_OK);
        issued_done(&made);
        X509 *x = read_x509(&f->ca);
        assert_int_equal(X509_get_pathlen(x), 0);
        assert_int_equal(X509_get_key_usage(x), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
        X509_free(x);
}

static void names_stand_as_they_are(void **state)
{
        Fixture *f = *state;
        X509 *x = read_x509(&f->server);

        assert_int_equal(X509_check_host(x, "ext.ns.svc", 0, 0, NULL), 1);
        assert_int_equal(X509_check_host(x, "localhost", 0, 0, NULL), 1);
        assert_int_equal(X509_check_host(x, "a", 0, 0, NULL), 0);
        assert_int_equal(X509_check_host(x, "somebody", 0, 0, NULL), 0);
        X509_free(x);
}

static void serials_and_keys_are_of_chance(void **state)
{
        Fixture *f = *state;
        Issued again = make(ISSUE_SERVER, &f->ca);
        X509 *x = read_x509(&f->server), *y = read_x509(&again);
        BIGNUM *n = ASN1_INTEGER_to_BN(X509_get_serialNumber(x), NULL);

        assert_int_not_equal(ASN1_INTEGER_cmp(X509_get_serialNumber(x), X509_get_serialNumber(y)),
                             0);
        assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(x), X509_get0_pubkey(y)), 0);
        assert_int_equal(BN_num_bits(n), 127);
        assert_false(BN_is_negative(n));
        assert_false(secret_eq(f->server.key, again.key));
        BN_free(n);
        X509_free(x);
        X509_free(y);
        issued_done(&again);
}

/* A server under them, and a client that asks for one of the names. */
static void tls_takes_them(void **state)
{
        Fixture *f = *state;
        Issued made[3] = {0};
        TestDir dir;
        char path[3][TEST_PATH];
        static const char *const files[] = {"tls.crt", "ca.crt", "tls.key"};

        (void)f;
        /* OpenSSL looks at the real time. */
        int64_t now = clock_system.wall(clock_system.ctx).ms;
        for (int i = 0; i < 2; i++) {
                IssueInput in = input_of(i == 0 ? ISSUE_CA : ISSUE_SERVER, &made[0]);
                in.not_before = (Wall){now - 60 * 1000};
                in.not_after = (Wall){now + 3600 * 1000};
                assert_true(issue(&in, &made[i], NULL));
        }
        test_dir_init(&dir);
        for (int i = 0; i < 3; i++) {
                FILE *file = fopen(test_dir_join(&dir, files[i], path[i]), "w");
                assert_non_null(file);
                Str text = i == 2 ? secret_reveal(made[1].key) : str_of(made[1 - i].certificate);
                assert_int_equal(fwrite(text.p, 1, text.n, file), text.n);
                fclose(file);
        }
        Loop *loop = loop_new(NULL);
        Err err = {0};
        TlsServer *s = tls_server_open(
                &(TlsServerInput){
                        .loop = loop, .certificate = path[0], .client_ca = path[1], .key = path[2]},
                &err);
        assert_string_equal(err.text, "");
        assert_non_null(s);
        assert_true(tls_server_not_after(s).ms > now + 3000 * 1000);
        tls_server_close(s);
        loop_free(loop);
        test_dir_done(&dir);
        issued_done(&made[0]);
        issued_done(&made[1]);
}

static void what_cannot_be_made_says_why(void **state)
{
        Fixture *f = *state;
        Issued made = {0};
        Err err = {0};
        IssueInput in = input_of(ISSUE_SERVER, &f->ca);

        in.ca_key = f->server.key;
        assert_false(issue(&in, &made, &err));
        assert_string_equal(err.reason, "BadCA");
        in.ca_key = NULL;
        assert_false(issue(&in, &made, &err));
        in = input_of(ISSUE_SERVER, &f->ca);
        in.ca = STR("nothing");
        assert_false(issue(&in, &made, &err));
        assert_string_equal(err.reason, "BadCA");
        in = input_of(ISSUE_CA, NULL);
        in.common_name = STR("");
        assert_false(issue(&in, &made, &err));
        assert_string_equal(err.reason, "NotIssued");
        assert_null(made.certificate);
        assert_int_equal(ERR_peek_error(), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(chains_are_believed),     TEST(only_the_ca_signs),
                TEST(names_stand_as_they_are), TEST(serials_and_keys_are_of_chance),
                TEST(tls_takes_them),          TEST(what_cannot_be_made_says_why),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
