/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For unit tests only: certificates that are made on the spot, and a TLS client that takes one step
 * at a time, so that it runs beside a server on the same thread. Header only, because test code is
 * in no library.
 */

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "io/testing.h"

typedef struct TestCert {
        X509 *x;
        EVP_PKEY *key;
} TestCert;

typedef struct TestCertInput {
        const char *name;
        const char *san;    /* "DNS:a,IP:127.0.0.1"; NULL: none */
        const TestCert *by; /* who signs; NULL: itself */
        const char *usage;  /* "serverAuth"; NULL: any */
        bool is_ca;
        long from, to; /* seconds from now; both 0: an hour before and after */
} TestCertInput;

static inline void test_cert_extend(X509 *x, const TestCert *by, int nid, const char *value)
{
        X509V3_CTX ctx;
        X509_EXTENSION *e;

        X509V3_set_ctx(&ctx, by != NULL ? by->x : x, x, NULL, NULL, 0);
        e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
        INSIST(e != NULL && X509_add_ext(x, e, -1) == 1);
        X509_EXTENSION_free(e);
}

static inline TestCert test_cert_make(const TestCertInput *in)
{
        static long serial;
        TestCert c = {X509_new(), EVP_EC_gen("P-256")};
        X509_NAME *name = X509_get_subject_name(c.x);
        bool has_times = in->from != 0 || in->to != 0;

        INSIST(X509_set_version(c.x, X509_VERSION_3) == 1);
        ASN1_INTEGER_set(X509_get_serialNumber(c.x), ++serial);
        X509_gmtime_adj(X509_getm_notBefore(c.x), has_times ? in->from : -3600);
        X509_gmtime_adj(X509_getm_notAfter(c.x), has_times ? in->to : 3600);
        INSIST(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)in->name,
                                          -1, -1, 0) == 1);
        X509_set_issuer_name(c.x, in->by != NULL ? X509_get_subject_name(in->by->x) : name);
        X509_set_pubkey(c.x, c.key);
        test_cert_extend(c.x, in->by, NID_basic_constraints,
                         in->is_ca ? "critical,CA:TRUE" : "CA:FALSE");
        if (in->san != NULL)
                test_cert_extend(c.x, in->by, NID_subject_alt_name, in->san);
        if (in->usage != NULL)
                test_cert_extend(c.x, in->by, NID_ext_key_usage, in->usage);
        INSIST(X509_sign(c.x, in->by != NULL ? in->by->key : c.key, EVP_sha256()) > 0);
        return c;
}

static inline void test_cert_done(TestCert *c)
{
        X509_free(c->x);
        EVP_PKEY_free(c->key);
        *c = (TestCert){0};
}

/* DIR/NAME.crt and DIR/NAME.key, each replaced as a whole. */
static inline void test_cert_write(const TestCert *c, const TestDir *dir, const char *name)
{
        char part[TEST_PATH], path[TEST_PATH], file[64];
        FILE *f;

        for (int is_key = 0; is_key < 2; is_key++) {
                snprintf(file, sizeof(file), "%s.%s", name, is_key ? "key" : "crt");
                test_dir_join(dir, file, path);
                f = fopen(test_dir_join(dir, ".part", part), "w");
                INSIST(f != NULL);
                INSIST((is_key ? PEM_write_PrivateKey(f, c->key, NULL, NULL, 0, NULL, NULL)
                               : PEM_write_X509(f, c->x)) == 1);
                INSIST(fclose(f) == 0 && rename(part, path) == 0);
        }
}

typedef struct TestTlsClient {
        SSL_CTX *ctx;
        SSL *ssl;
        int fd;
} TestTlsClient;

/* Takes over `fd`. `ca` NULL: whoever answers is believed. `own` may be NULL. */
static inline void test_tls_client_init(TestTlsClient *c, int fd, const TestCert *ca,
                                        const TestCert *own)
{
        c->fd = fd;
        INSIST(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
        c->ctx = SSL_CTX_new(TLS_client_method());
        INSIST(c->ctx != NULL);
        if (ca != NULL) {
                SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
                INSIST(X509_STORE_add_cert(SSL_CTX_get_cert_store(c->ctx), ca->x) == 1);
        }
        if (own != NULL)
                INSIST(SSL_CTX_use_certificate(c->ctx, own->x) == 1 &&
                       SSL_CTX_use_PrivateKey(c->ctx, own->key) == 1);
        c->ssl = SSL_new(c->ctx);
        INSIST(c->ssl != NULL && SSL_set_fd(c->ssl, fd) == 1);
        SSL_set_connect_state(c->ssl);
}

static inline void test_tls_client_done(TestTlsClient *c)
{
        if (c->ssl == NULL)
                return;
        SSL_free(c->ssl);
        SSL_CTX_free(c->ctx);
        close(c->fd);
        *c = (TestTlsClient){0};
}

/* What a step of the client came to: 1 done, 0 it waits, -1 it failed or is at the end. */
static inline int test_tls_step(TestTlsClient *c, int result)
{
        int what = SSL_get_error(c->ssl, result);

        ERR_clear_error();
        if (what == SSL_ERROR_NONE)
                return 1;
        return what == SSL_ERROR_WANT_READ || what == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static inline int test_tls_handshake(TestTlsClient *c)
{
        ERR_clear_error();
        return test_tls_step(c, SSL_do_handshake(c->ssl));
}

static inline int test_tls_write(TestTlsClient *c, const void *p, size_t n)
{
        size_t sent;

        ERR_clear_error();
        return test_tls_step(c, SSL_write_ex(c->ssl, p, n, &sent));
}

/* *ret_n is 0 where nothing came. */
static inline int test_tls_read(TestTlsClient *c, void *p, size_t n, size_t *ret_n)
{
        *ret_n = 0;
        ERR_clear_error();
        return test_tls_step(c, SSL_read_ex(c->ssl, p, n, ret_n));
}
