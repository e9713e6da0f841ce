/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariants:
 *  1. OpenSSL's queue of errors is empty when a function returns: it is one for the whole process.
 *  2. Nothing of OpenSSL's outlives a call: a Certificate is values and its DER, parsed again where
 *     a signature is looked at.
 */
#include "proto/certificate.h"

#include "base/mem.h"

#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

enum {
        PEM_COLUMNS = 64, /* of base64 on a line (RFC 7468 2) */
        YEAR_MAX = 9999,
};

DEFINE_CLEANUP(BIO, bio_cleanup, BIO_free)
DEFINE_CLEANUP(X509, x509_cleanup, X509_free)
DEFINE_CLEANUP(EVP_PKEY, key_cleanup, EVP_PKEY_free)
DEFINE_CLEANUP(GENERAL_NAMES, names_cleanup, GENERAL_NAMES_free)

/* ---- reading */

/* OpenSSL would ask whoever sits at the terminal. */
static int no_password(char *buf, int size, int writing, void *ctx)
{
        (void)buf;
        (void)size;
        (void)writing;
        (void)ctx;
        return -1;
}

static bool read_time(const ASN1_TIME *t, Wall *ret)
{
        struct tm at;

        if (ASN1_TIME_to_tm(t, &at) != 1 || at.tm_year + 1900 > YEAR_MAX)
                return false;
        *ret = (Wall){(int64_t)timegm(&at) * 1000};
        return true;
}

static void read_names(X509 *x, Arena *a, Certificate *ret)
{
        CLEANUP(names_cleanup)
        GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
        Str *at = arena_new_array(a, CERTIFICATE_NAMES_MAX, sizeof(*at));
        size_t n = 0;

        for (int i = 0; i < sk_GENERAL_NAME_num(all) && n < CERTIFICATE_NAMES_MAX; i++) {
                const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);

                if (name->type != GEN_DNS)
                        continue;
                int length = ASN1_STRING_length(name->d.dNSName);
                at[n++] = arena_str(a, str_make(ASN1_STRING_get0_data(name->d.dNSName),
                                                length > 0 ? (size_t)length : 0));
        }
        ret->names = (StrList){at, n};
}

/* Of DER that OpenSSL made, which is freed. */
static Digest digest_der(unsigned char *der, int n)
{
        Digest d = digest_of(str_make(der, n > 0 ? (size_t)n : 0));

        OPENSSL_free(der);
        return d;
}

static Digest digest_name(const X509_NAME *name)
{
        unsigned char *der = NULL;
        int n = i2d_X509_NAME(name, &der);

        return digest_der(der, n);
}

static Digest digest_key(const EVP_PKEY *key)
{
        unsigned char *der = NULL;
        int n = i2d_PUBKEY(key, &der);

        return digest_der(der, n);
}

static bool read_one(X509 *x, Arena *a, Certificate *ret)
{
        const EVP_PKEY *key = X509_get0_pubkey(x);
        unsigned char *der = NULL;
        int n = i2d_X509(x, &der);
        bool ok = n > 0 && key != NULL && read_time(X509_get0_notBefore(x), &ret->not_before) &&
                  read_time(X509_get0_notAfter(x), &ret->not_after);

        if (ok)
                ret->der = arena_str(a, str_make(der, (size_t)n));
        OPENSSL_free(der);
        if (!ok)
                return false;
        ret->id = digest_of(ret->der);
        ret->public_key = digest_key(key);
        ret->subject = digest_name(X509_get_subject_name(x));
        ret->issuer = digest_name(X509_get_issuer_name(x));
        ret->is_ca = X509_check_ca(x) == 1 && (X509_get_key_usage(x) & KU_KEY_CERT_SIGN) != 0;
        uint32_t usage = X509_get_extended_key_usage(x);
        ret->for_server = (usage & XKU_SSL_SERVER) != 0;
        ret->for_client = (usage & XKU_SSL_CLIENT) != 0;
        read_names(x, a, ret);
        return true;
}

static bool bad(Err *err, const char *what)
{
        ERR_clear_error();
        return err_set(err, ERR_INVALID, "BadCertificate", "%s", what);
}

bool certificates_read(Str pem, Arena *a, Certificates *ret, Err *err)
{
        Certificate *at = arena_new_array(a, CERTIFICATES_MAX, sizeof(*at));
        size_t n = 0;

        if (pem.n > CERTIFICATE_TEXT_MAX)
                return bad(err, "longer than 128 KiB");
        CLEANUP(bio_cleanup) BIO *bio = BIO_new_mem_buf(pem.n > 0 ? pem.p : "", (int)pem.n);
        INSIST(bio != NULL);
        ERR_clear_error();
        for (;;) {
                CLEANUP(x509_cleanup) X509 *x = PEM_read_bio_X509(bio, NULL, no_password, NULL);
                if (x == NULL)
                        break;
                if (n == CERTIFICATES_MAX)
                        return err_set(err, ERR_INVALID, "TooMany",
                                       "more than %d certificates in one text", CERTIFICATES_MAX);
                if (!read_one(x, a, &at[n++]))
                        return bad(err, "a certificate whose times or key cannot be read");
        }
        if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
                return bad(err, "a block that is no certificate");
        ERR_clear_error();
        if (n == 0)
                return err_set(err, ERR_INVALID, "NoCertificate", "holds no certificate");
        *ret = (Certificates){at, n};
        return true;
}

const Certificate *certificates_find(const Certificates *l, const Digest *id)
{
        for (size_t i = 0; i < l->n; i++)
                if (digest_eq(&l->at[i].id, id))
                        return &l->at[i];
        return NULL;
}

/* ---- what belongs together */

static X509 *parse(const Certificate *c)
{
        const unsigned char *p = (const unsigned char *)c->der.p;

        return d2i_X509(NULL, &p, (long)c->der.n);
}

bool certificate_has_key(const Certificate *c, const Secret *key)
{
        if (key == NULL)
                return false;
        Str pem = secret_reveal(key);
        CLEANUP(bio_cleanup) BIO *bio = BIO_new_mem_buf(pem.n > 0 ? pem.p : "", (int)pem.n);
        INSIST(bio != NULL);
        CLEANUP(key_cleanup)
        EVP_PKEY *own = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
        Digest public_key = own != NULL ? digest_key(own) : (Digest){0};
        ERR_clear_error();
        return own != NULL && digest_eq(&public_key, &c->public_key);
}

bool certificate_is_by(const Certificate *c, const Certificate *by)
{
        /* Parsing decodes a key, which is dear. */
        if (!digest_eq(&c->issuer, &by->subject))
                return false;
        CLEANUP(x509_cleanup) X509 *x = parse(c);
        CLEANUP(x509_cleanup) X509 *issuer = parse(by);
        INSIST(x != NULL && issuer != NULL);
        EVP_PKEY *key = X509_get0_pubkey(issuer);
        bool is_by = key != NULL && X509_check_issued(issuer, x) == X509_V_OK &&
                     X509_verify(x, key) == 1;
        ERR_clear_error();
        return is_by;
}

bool certificate_has_names(const Certificate *c, StrList names)
{
        if (c->names.n != names.n)
                return false;
        for (size_t i = 0; i < names.n; i++)
                if (!strlist_has(c->names, names.at[i]))
                        return false;
        return true;
}

void certificate_add_pem(const Certificate *c, Buf *to)
{
        char *text = mem_new(4 * ((c->der.n + 2) / 3) + 1);
        int n = EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)c->der.p,
                                (int)c->der.n);

        buf_add_str(to, STR("-----BEGIN CERTIFICATE-----\n"));
        for (Str rest = str_make(text, (size_t)n); rest.n > 0;
             rest = str_sub(rest, PEM_COLUMNS, SIZE_MAX)) {
                buf_add_str(to, str_sub(rest, 0, PEM_COLUMNS));
                buf_add_char(to, '\n');
        }
        buf_add_str(to, STR("-----END CERTIFICATE-----\n"));
        mem_free(text);
}
