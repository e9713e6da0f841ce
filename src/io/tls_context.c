/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key passes through memory that is reserved once and wiped; what OpenSSL keeps of it stands in
 * its secure heap, which core dumps leave out. (That heap belongs to the process and is never given
 * back: OpenSSL has one.)
 */
#include "io/tls_context.h"

#include "base/buf.h"
#include "io/file.h"

#include <openssl/err.h>
#include <openssl/pem.h>

enum {
        /* Some forty RSA keys of 4096 bits, or the short-lived ones of two thousand handshakes. */
        SECURE_HEAP = 128 << 10,
        SECURE_BLOCK_MIN = 32,
};

DEFINE_CLEANUP(BIO, bio_cleanup, BIO_free)
DEFINE_CLEANUP(X509, x509_cleanup, X509_free)
DEFINE_CLEANUP(EVP_PKEY, key_cleanup, EVP_PKEY_free)
DEFINE_CLEANUP(SSL_CTX, context_cleanup, SSL_CTX_free)

const char *tls_context_reason(void)
{
        unsigned long code = ERR_get_error();
        const char *reason = ERR_SYSTEM_ERROR(code) ? NULL : ERR_reason_error_string(code);

        ERR_clear_error();
        return reason != NULL ? reason : "unknown error";
}

/* OpenSSL would ask whoever sits at the terminal. */
static int no_password(char *buf, int size, int writing, void *ctx)
{
        (void)buf;
        (void)size;
        (void)writing;
        (void)ctx;
        return -1;
}

static void wipe(Buf *b)
{
        if (b->p != NULL)
                explicit_bzero(b->p, b->room);
        buf_done(b);
}

/* In one piece, so that growth leaves no copy behind. */
static bool read_file(const char *path, size_t max, Buf *ret, Digester *d, Err *err)
{
        buf_init(ret, max);
        if (!buf_reserve(ret, max))
                return err_set(err, ERR_LIMIT, "OutOfMemory", "%s", path);
        if (!file_read(path, ret, err))
                return false;
        digester_add(d, buf_str(ret));
        return true;
}

/* The next certificate; NULL with empty `err` after the last. */
static X509 *next_certificate(BIO *bio, const char *path, Err *err)
{
        X509 *x = PEM_read_bio_X509(bio, NULL, no_password, NULL);
        bool is_end = x == NULL && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;

        if (x == NULL && !is_end)
                err_set(err, ERR_INVALID, "BadCertificate", "%s: %s", path, tls_context_reason());
        ERR_clear_error();
        return x;
}

static bool use_certificates(SSL_CTX *ctx, const char *path, Str pem, Err *err)
{
        CLEANUP(bio_cleanup) BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
        Err fault = {0};
        X509 *x;

        if (bio == NULL)
                return err_set(err, ERR_LIMIT, "OutOfMemory", "%s", path);
        CLEANUP(x509_cleanup) X509 *own = next_certificate(bio, path, &fault);
        if (own == NULL && fault.kind == ERR_NONE)
                err_set(&fault, ERR_INVALID, "BadCertificate", "%s: holds no certificate", path);
        if (own != NULL && SSL_CTX_use_certificate(ctx, own) != 1)
                err_set(&fault, ERR_INVALID, "BadCertificate", "%s: %s", path,
                        tls_context_reason());
        while (fault.kind == ERR_NONE && (x = next_certificate(bio, path, &fault)) != NULL) {
                if (SSL_CTX_add0_chain_cert(ctx, x) == 1)
                        continue;
                X509_free(x);
                err_set(&fault, ERR_INVALID, "BadCertificate", "%s: %s", path,
                        tls_context_reason());
        }
        if (fault.kind != ERR_NONE && err != NULL)
                *err = fault;
        return fault.kind == ERR_NONE;
}

static bool use_key(SSL_CTX *ctx, const TlsFiles *files, Str pem, Err *err)
{
        CLEANUP(bio_cleanup) BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
        CLEANUP(key_cleanup)
        EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;

        ERR_clear_error();
        if (key == NULL)
                return err_set(err, ERR_INVALID, "BadKey",
                               "%s: holds no private key that can be read without a password",
                               files->key);
        if (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1) {
                ERR_clear_error();
                return err_set(err, ERR_INVALID, "BadKey", "%s is not the key of %s", files->key,
                               files->certificate);
        }
        return true;
}

/* A client must show a certificate, and one of these must have signed it. */
static bool use_client_ca(SSL_CTX *ctx, const char *path, Str pem, Err *err)
{
        CLEANUP(bio_cleanup) BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
        Err fault = {0};
        size_t n = 0;
        X509 *x;

        if (bio == NULL)
                return err_set(err, ERR_LIMIT, "OutOfMemory", "%s", path);
        for (; fault.kind == ERR_NONE && (x = next_certificate(bio, path, &fault)) != NULL; n++) {
                if (X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), x) != 1 ||
                    SSL_CTX_add_client_CA(ctx, x) != 1)
                        err_set(&fault, ERR_INVALID, "BadCertificate", "%s: %s", path,
                                tls_context_reason());
                X509_free(x);
        }
        if (fault.kind == ERR_NONE && n == 0)
                err_set(&fault, ERR_INVALID, "BadCertificate", "%s: holds no certificate", path);
        if (fault.kind != ERR_NONE && err != NULL)
                *err = fault;
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        /* What a ticket vouches for was looked at when it was given: it may have ended since. */
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(ctx, 0);
        return fault.kind == ERR_NONE;
}

static SSL_CTX *new_context(Err *err)
{
        static const unsigned char id[] = "tailscale-gateway";
        SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

        if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
            SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1 ||
            SSL_CTX_set_session_id_context(ctx, id, sizeof(id) - 1) != 1) {
                err_set(err, ERR_LIMIT, "NoTLS", "%s", tls_context_reason());
                SSL_CTX_free(ctx);
                return NULL;
        }
        SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
        /* Whoever records early data can send it again. */
        SSL_CTX_set_max_early_data(ctx, 0);
        SSL_CTX_set_recv_max_early_data(ctx, 0);
        /* What a session needs is in its ticket; the cache would hold twenty thousand. */
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
        return ctx;
}

Wall tls_context_not_after(const X509 *x)
{
        struct tm at;

        if (x == NULL || ASN1_TIME_to_tm(X509_get0_notAfter(x), &at) != 1)
                return (Wall){0};
        return (Wall){(int64_t)timegm(&at) * 1000};
}

static bool fill_context(SSL_CTX *ctx, const TlsFiles *files, Digester *d, Err *err)
{
        CLEANUP(wipe) Buf certificate = {0};
        CLEANUP(wipe) Buf key = {0};
        CLEANUP(wipe) Buf client_ca = {0};

        /* All are read before the first is judged, so that the digest is of all. */
        return read_file(files->certificate, TLS_CERTIFICATE_FILE_MAX, &certificate, d, err) &&
               read_file(files->key, TLS_KEY_FILE_MAX, &key, d, err) &&
               (files->client_ca == NULL ||
                read_file(files->client_ca, TLS_CERTIFICATE_FILE_MAX, &client_ca, d, err)) &&
               use_certificates(ctx, files->certificate, buf_str(&certificate), err) &&
               use_key(ctx, files, buf_str(&key), err) &&
               (files->client_ca == NULL ||
                use_client_ca(ctx, files->client_ca, buf_str(&client_ca), err));
}

bool tls_context_new(const TlsFiles *files, SSL_CTX **ret, Digest *ret_digest, Err *err)
{
        Digester *d = digester_new();

        /* Where pages cannot be locked the heap is there nevertheless. */
        if (CRYPTO_secure_malloc_initialized() == 0)
                IGNORE(CRYPTO_secure_malloc_init(SECURE_HEAP, SECURE_BLOCK_MIN), "best effort");
        ERR_clear_error();
        CLEANUP(context_cleanup) SSL_CTX *ctx = new_context(err);
        bool ok = ctx != NULL && fill_context(ctx, files, d, err);
        *ret_digest = digester_finish(d);
        if (ok)
                *ret = TAKE(ctx);
        return ok;
}
