/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ECDSA on P-256: what every TLS library takes, small, and made at once. The private key passes
 * through OpenSSL's secure memory only (BIO_s_secmem) and leaves as a Secret.
 */
#include "io/issue.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/mem.h"

enum {
        /* RFC 5280 4.1.2.2: at most 20 octets, positive; 128 random bits are never the same twice.
         */
        SERIAL_BYTES = 16,
        COMMON_NAME_MAX = 64, /* ub-common-name */
};

DEFINE_CLEANUP(BIO, bio_cleanup, BIO_free)
DEFINE_CLEANUP(X509, x509_cleanup, X509_free)
DEFINE_CLEANUP(EVP_PKEY, key_cleanup, EVP_PKEY_free)
DEFINE_CLEANUP(BIGNUM, number_cleanup, BN_free)
DEFINE_CLEANUP(X509_EXTENSION, extension_cleanup, X509_EXTENSION_free)
DEFINE_CLEANUP(GENERAL_NAMES, names_cleanup, GENERAL_NAMES_free)

/* Who signs. */
typedef struct Signer {
        X509 *certificate;
        EVP_PKEY *key;
} Signer;

static int no_password(char *buf, int size, int writing, void *ctx)
{
        (void)buf;
        (void)size;
        (void)writing;
        (void)ctx;
        return -1;
}

static bool read_signer(const IssueInput *in, Signer *ret, Err *err)
{
        Str key = in->ca_key != NULL ? secret_reveal(in->ca_key) : STR("");
        CLEANUP(bio_cleanup)
        BIO *ca_bio = BIO_new_mem_buf(in->ca.n > 0 ? in->ca.p : "", (int)in->ca.n);
        CLEANUP(bio_cleanup) BIO *key_bio = BIO_new_mem_buf(key.n > 0 ? key.p : "", (int)key.n);

        INSIST(ca_bio != NULL && key_bio != NULL);
        ret->certificate = PEM_read_bio_X509(ca_bio, NULL, no_password, NULL);
        ret->key = PEM_read_bio_PrivateKey(key_bio, NULL, no_password, NULL);
        if (ret->certificate != NULL && ret->key != NULL &&
            X509_check_private_key(ret->certificate, ret->key) == 1)
                return true;
        return err_set(err, ERR_INVALID, "BadCA",
                       "the CA and its key are no pair that can be read");
}

static bool set_serial(X509 *x)
{
        unsigned char bytes[SERIAL_BYTES];

        if (RAND_bytes(bytes, sizeof(bytes)) != 1)
                return false;
        /* Positive, and of the same length always. */
        bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40);
        CLEANUP(number_cleanup) BIGNUM *n = BN_bin2bn(bytes, sizeof(bytes), NULL);
        return n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) != NULL;
}

static bool set_name(X509 *x, Str common_name)
{
        return common_name.n > 0 && common_name.n <= COMMON_NAME_MAX &&
               X509_NAME_add_entry_by_NID(X509_get_subject_name(x), NID_commonName, MBSTRING_ASC,
                                          (const unsigned char *)common_name.p, (int)common_name.n,
                                          -1, 0) == 1;
}

static bool extend(X509 *x, X509 *by, int nid, const char *value)
{
        X509V3_CTX ctx;

        X509V3_set_ctx(&ctx, by, x, NULL, NULL, 0);
        CLEANUP(extension_cleanup)
        X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
        return e != NULL && X509_add_ext(x, e, -1) == 1;
}

/* Not by text as the others: a name is no place for its commas. */
static bool extend_names(X509 *x, StrList names)
{
        CLEANUP(names_cleanup) GENERAL_NAMES *all = sk_GENERAL_NAME_new_null();

        for (size_t i = 0; i < names.n; i++) {
                GENERAL_NAME *name = GENERAL_NAME_new();
                ASN1_IA5STRING *text = ASN1_IA5STRING_new();
                bool ok = name != NULL && text != NULL && all != NULL &&
                          ASN1_STRING_set(text, names.at[i].p, (int)names.at[i].n) == 1;
                if (!ok) {
                        GENERAL_NAME_free(name);
                        ASN1_IA5STRING_free(text);
                        return false;
                }
                GENERAL_NAME_set0_value(name, GEN_DNS, text);
                if (sk_GENERAL_NAME_push(all, name) == 0) {
                        GENERAL_NAME_free(name);
                        return false;
                }
        }
        return names.n == 0 || X509_add1_ext_i2d(x, NID_subject_alt_name, all, 0, 0) == 1;
}

static bool extend_all(X509 *x, X509 *by, const IssueInput *in)
{
        static const char *const usage[] = {
                [ISSUE_CA] = NULL, [ISSUE_SERVER] = "serverAuth", [ISSUE_CLIENT] = "clientAuth"};
        bool is_ca = in->kind == ISSUE_CA;

        return extend(x, by, NID_basic_constraints,
                      is_ca ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE") &&
               extend(x, by, NID_key_usage,
                      is_ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature") &&
               (is_ca || extend(x, by, NID_ext_key_usage, usage[in->kind])) &&
               /* Which of two CAs of one name signed it is told by these two. */
               extend(x, by, NID_subject_key_identifier, "hash") &&
               extend(x, by, NID_authority_key_identifier, "keyid:always") &&
               extend_names(x, in->names);
}

static bool fill(X509 *x, EVP_PKEY *key, const Signer *signer, const IssueInput *in)
{
        bool is_ca = in->kind == ISSUE_CA;
        X509 *by = is_ca ? x : signer->certificate;

        return X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x) &&
               ASN1_TIME_set(X509_getm_notBefore(x), (time_t)(in->not_before.ms / 1000)) != NULL &&
               ASN1_TIME_set(X509_getm_notAfter(x), (time_t)(in->not_after.ms / 1000)) != NULL &&
               set_name(x, in->common_name) && X509_set_pubkey(x, key) == 1 &&
               X509_set_issuer_name(x, X509_get_subject_name(by)) == 1 && extend_all(x, by, in) &&
               X509_sign(x, is_ca ? key : signer->key, EVP_sha256()) > 0;
}

static bool write_out(X509 *x, EVP_PKEY *key, Issued *ret)
{
        CLEANUP(bio_cleanup) BIO *public = BIO_new(BIO_s_mem());
        CLEANUP(bio_cleanup) BIO *private = BIO_new(BIO_s_secmem());
        char *p;

        if (public == NULL || private == NULL || PEM_write_bio_X509(public, x) != 1 ||
            PEM_write_bio_PKCS8PrivateKey(private, key, NULL, NULL, 0, NULL, NULL) != 1)
                return false;
        long n = BIO_get_mem_data(private, &p);
        Secret *secret = n > 0 ? secret_new(str_make(p, (size_t)n)) : NULL;
        if (secret == NULL)
                return false;
        n = BIO_get_mem_data(public, &p);
        ret->certificate = mem_new((size_t)n + 1);
        memcpy(ret->certificate, p, (size_t)n);
        ret->key = secret;
        return true;
}

static bool make(const IssueInput *in, const Signer *signer, Issued *ret, Err *err)
{
        CLEANUP(key_cleanup) EVP_PKEY *key = EVP_EC_gen("P-256");
        CLEANUP(x509_cleanup) X509 *x = X509_new();

        if (key != NULL && x != NULL && fill(x, key, signer, in) && write_out(x, key, ret))
                return true;
        const char *reason = ERR_reason_error_string(ERR_peek_error());
        return err_set(err, ERR_INVALID, "NotIssued", "no certificate for %.*s: %s",
                       STR_FMT(str_sub(in->common_name, 0, COMMON_NAME_MAX)),
                       reason != NULL ? reason : "refused");
}

bool issue(const IssueInput *in, Issued *ret, Err *err)
{
        Signer signer = {0};

        ERR_clear_error();
        bool ok = (in->kind == ISSUE_CA || read_signer(in, &signer, err)) &&
                  make(in, &signer, ret, err);
        X509_free(signer.certificate);
        EVP_PKEY_free(signer.key);
        ERR_clear_error();
        return ok;
}

void issued_done(Issued *i)
{
        mem_free(i->certificate);
        secret_free(i->key);
        *i = (Issued){0};
}
