/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* For unit tests only: certificates made on the spot, at any time. Header only, because test code
 * is in no library. */

#include <string.h>
#include <time.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/arena.h"
#include "base/instant.h"
#include "base/secret.h"

typedef struct TestIssued {
        Str pem, key_pem; /* arena */
        X509 *x;
        EVP_PKEY *key;
} TestIssued;

typedef struct TestIssue {
        const char *name;
        bool is_ca;
        const char *usage; /* "serverAuth", "clientAuth"; NULL: any */
        const char *san;   /* "DNS:a,DNS:b"; NULL: none */
        Wall from, to;
        const TestIssued *by; /* NULL: itself */
} TestIssue;

static inline void test_issue_extend(X509 *x, X509 *by, int nid, const char *value)
{
        X509V3_CTX ctx;

        if (value == NULL)
                return;
        X509V3_set_ctx(&ctx, by, x, NULL, NULL, 0);
        X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
        INSIST(e != NULL && X509_add_ext(x, e, -1) == 1);
        X509_EXTENSION_free(e);
}

static inline Str test_issue_text(Arena *a, BIO *bio)
{
        char *p;
        long n = BIO_get_mem_data(bio, &p);
        Str text = arena_str(a, str_make(p, (size_t)n));

        BIO_free(bio);
        return text;
}

static inline TestIssued test_issue(Arena *a, const TestIssue *in)
{
        static long serial = 1000;
        TestIssued c = {.x = X509_new(), .key = EVP_EC_gen("P-256")};
        const TestIssued *by = in->by != NULL ? in->by : &c;
        X509_NAME *name = X509_get_subject_name(c.x);
        BIO *text = BIO_new(BIO_s_mem());

        INSIST(X509_set_version(c.x, X509_VERSION_3) == 1);
        ASN1_INTEGER_set(X509_get_serialNumber(c.x), ++serial);
        ASN1_TIME_set(X509_getm_notBefore(c.x), (time_t)(in->from.ms / 1000));
        ASN1_TIME_set(X509_getm_notAfter(c.x), (time_t)(in->to.ms / 1000));
        INSIST(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)in->name,
                                          -1, -1, 0) == 1);
        X509_set_issuer_name(c.x, X509_get_subject_name(by->x));
        X509_set_pubkey(c.x, c.key);
        test_issue_extend(c.x, by->x, NID_basic_constraints,
                          in->is_ca ? "critical,CA:TRUE" : "CA:FALSE");
        test_issue_extend(c.x, by->x, NID_ext_key_usage, in->usage);
        test_issue_extend(c.x, by->x, NID_subject_alt_name, in->san);
        INSIST(X509_sign(c.x, by->key, EVP_sha256()) > 0);
        INSIST(PEM_write_bio_X509(text, c.x) == 1);
        c.pem = test_issue_text(a, text);
        text = BIO_new(BIO_s_mem());
        INSIST(PEM_write_bio_PKCS8PrivateKey(text, c.key, NULL, NULL, 0, NULL, NULL) == 1);
        c.key_pem = test_issue_text(a, text);
        return c;
}

static inline void test_issued_done(TestIssued *c)
{
        X509_free(c->x);
        EVP_PKEY_free(c->key);
        *c = (TestIssued){0};
}
