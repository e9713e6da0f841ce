/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariants:
 *  1. There is always a whole context in force: a new one replaces it, never changes it. Streams
 *     that are open keep the one they began with (OpenSSL counts the references).
 *  2. OpenSSL's queue of errors is empty between calls: it is one for all streams, and what one
 *     left in it would be told of another.
 *  3. A broken stream is never given to OpenSSL again, but for freeing it.
 */
#include "io/tls.h"

#include <errno.h>

#include <openssl/err.h>

#include "base/mem.h"
#include "io/tls_context.h"
#include "io/watch.h"

enum {
        FILES = 3,
        ALPN_MAX = 255, /* all names with their lengths; ours are two short ones */
};

struct TlsServer {
        Loop *loop;
        Log *log;
        TlsRenewedFn *on_renewed;
        void *owner;
        char *paths[FILES]; /* owned; in the order of TlsFiles; the last may be NULL */
        TlsFiles files;     /* points to them */
        unsigned char alpn[ALPN_MAX];
        unsigned n_alpn;
        SSL_CTX *ctx;
        Digest read; /* of the files as they were read last */
        DirWatch *watches[FILES];
        size_t n_streams;
};

struct TlsStream {
        TlsServer *server;
        SSL *ssl;
        bool broken;
        Err fault;
};

/* ---- memory ---- */

static void *allocate(size_t n, const char *file, int line)
{
        (void)file;
        (void)line;
        return mem_try(n);
}

static void *resize(void *p, size_t n, const char *file, int line)
{
        (void)file;
        (void)line;
        return mem_resize_wiped(p, n);
}

static void release(void *p, const char *file, int line)
{
        (void)file;
        (void)line;
        mem_free_wiped(p);
}

void tls_wipe_freed(void)
{
        IGNORE(CRYPTO_set_mem_functions(allocate, resize, release),
               "then something has used it, and it goes on as it did");
}

/* ---- the server ---- */

/* SSL_CTX_set_alpn_select_cb: the first of ours that the client has, too. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *n, const unsigned char *in,
                   unsigned n_in, void *ctx)
{
        const TlsServer *s = ctx;
        unsigned char *found;

        (void)ssl;
        if (SSL_select_next_proto(&found, n, s->alpn, s->n_alpn, in, n_in) !=
            OPENSSL_NPN_NEGOTIATED)
                return SSL_TLSEXT_ERR_ALERT_FATAL;
        *out = found;
        return SSL_TLSEXT_ERR_OK;
}

static void set_alpn(TlsServer *s, const char *const *names)
{
        for (; names != NULL && *names != NULL; names++) {
                size_t n = strlen(*names);

                INSIST(n > 0 && n < ALPN_MAX - s->n_alpn);
                s->alpn[s->n_alpn++] = (unsigned char)n;
                memcpy(s->alpn + s->n_alpn, *names, n);
                s->n_alpn += (unsigned)n;
        }
}

/* Of the files as they are now. */
static bool load(TlsServer *s, SSL_CTX **ret, Digest *ret_digest, Err *err)
{
        if (!tls_context_new(&s->files, ret, ret_digest, err))
                return false;
        if (s->n_alpn > 0)
                SSL_CTX_set_alpn_select_cb(*ret, on_alpn, s);
        return true;
}

/* Bytes that were read before are no news, good or bad: a directory has other files, too. */
static void on_directory(DirWatch *w)
{
        TlsServer *s = dir_watch_owner(w);
        SSL_CTX *ctx = NULL;
        Digest digest;
        Err err = {0};
        bool is_good = load(s, &ctx, &digest, &err);

        if (digest_eq(&digest, &s->read)) {
                SSL_CTX_free(ctx);
                return;
        }
        s->read = digest;
        if (is_good) {
                SSL_CTX_free(s->ctx);
                s->ctx = ctx;
                log_info(s->log, "certificate read again",
                         LOG_CSTR("certificate", s->files.certificate));
                if (s->on_renewed != NULL)
                        s->on_renewed(s);
        } else {
                log_error(s->log, "certificate not taken, the one in force stays",
                          LOG_CSTR("error", err.text));
        }
}

static char *copy_path(const char *path)
{
        char *copy = NULL;

        if (path != NULL) {
                copy = mem_new(strlen(path) + 1);
                memcpy(copy, path, strlen(path));
        }
        return copy;
}

/* Each directory once. */
static void watch_directories(TlsServer *s)
{
        char *dirs[FILES] = {0};

        for (size_t i = 0; i < FILES && s->paths[i] != NULL; i++) {
                char *slash = strrchr(s->paths[i], '/');
                bool is_known = false;

                dirs[i] = copy_path(slash == NULL ? "." : slash == s->paths[i] ? "/" : s->paths[i]);
                if (slash != NULL && slash != s->paths[i])
                        dirs[i][slash - s->paths[i]] = '\0';
                for (size_t k = 0; k < i; k++)
                        is_known = is_known || strcmp(dirs[k], dirs[i]) == 0;
                if (!is_known)
                        s->watches[i] = dir_watch_open(s->loop, dirs[i], on_directory, s);
        }
        for (size_t i = 0; i < FILES; i++)
                mem_free(dirs[i]);
}

TlsServer *tls_server_open(const TlsServerInput *in, Err *err)
{
        TlsServer *s = mem_new(sizeof(*s));

        s->loop = in->loop;
        s->log = in->log;
        s->on_renewed = in->on_renewed;
        s->owner = in->owner;
        s->paths[0] = copy_path(in->certificate);
        s->paths[1] = copy_path(in->key);
        s->paths[2] = copy_path(in->client_ca);
        s->files = (TlsFiles){s->paths[0], s->paths[1], s->paths[2]};
        set_alpn(s, in->alpn);
        /* Before they are read, so that no change falls between. */
        watch_directories(s);
        return load(s, &s->ctx, &s->read, err) ? s : tls_server_close(s);
}

TlsServer *tls_server_close(TlsServer *s)
{
        if (s == NULL)
                return NULL;
        INSIST(s->n_streams == 0);
        for (size_t i = 0; i < FILES; i++) {
                s->watches[i] = dir_watch_close(s->watches[i]);
                mem_free(s->paths[i]);
        }
        SSL_CTX_free(s->ctx);
        return mem_free(s);
}

void *tls_server_owner(const TlsServer *s)
{
        return s->owner;
}

Wall tls_server_not_after(const TlsServer *s)
{
        return tls_context_not_after(SSL_CTX_get0_certificate(s->ctx));
}

/* ---- a stream ---- */

/* The peer's certificate says more than "certificate verify failed". */
static int break_down(TlsStream *t, int errnum)
{
        long verdict = SSL_get_verify_result(t->ssl);
        bool has_reason = ERR_peek_error() != 0;
        const char *reason = tls_context_reason();

        t->broken = true;
        if (verdict != X509_V_OK)
                err_set(&t->fault, ERR_TRANSIENT, "TLSFailed", "the peer's certificate: %s",
                        X509_verify_cert_error_string(verdict));
        else if (has_reason)
                err_set(&t->fault, ERR_TRANSIENT, "TLSFailed", "%s", reason);
        else
                err_set(&t->fault, ERR_TRANSIENT, "TLSFailed", "%s",
                        errnum != 0 ? strerror(errnum) : "the peer hung up");
        return TLS_BROKEN;
}

/* What OpenSSL means by a result that is no success; it is asked directly after the call. */
static int outcome(TlsStream *t, int result)
{
        int errnum = errno;

        switch (SSL_get_error(t->ssl, result)) {
        case SSL_ERROR_WANT_READ:
                return TLS_WANTS_READ;
        case SSL_ERROR_WANT_WRITE:
                return TLS_WANTS_WRITE;
        case SSL_ERROR_ZERO_RETURN:
                return TLS_END;
        default:
                return break_down(t, errnum);
        }
}

TlsStream *tls_stream_open(TlsServer *s, int fd)
{
        TlsStream *t = mem_new(sizeof(*t));

        t->server = s;
        t->ssl = SSL_new(s->ctx);
        INSIST(t->ssl != NULL && SSL_set_fd(t->ssl, fd) == 1);
        SSL_set_accept_state(t->ssl);
        s->n_streams++;
        return t;
}

static void prepare(void)
{
        ERR_clear_error();
        errno = 0;
}

int tls_stream_handshake(TlsStream *t)
{
        int result, code;

        if (t->broken)
                return TLS_BROKEN;
        prepare();
        result = SSL_do_handshake(t->ssl);
        if (result == 1)
                return 1;
        code = outcome(t, result);
        return code != TLS_END ? code : break_down(t, 0);
}

ptrdiff_t tls_stream_read(TlsStream *t, void *p, size_t n)
{
        size_t got = 0;
        int result;

        if (t->broken)
                return TLS_BROKEN;
        prepare();
        result = SSL_read_ex(t->ssl, p, n, &got);
        return result == 1 ? (ptrdiff_t)got : outcome(t, result);
}

ptrdiff_t tls_stream_write(TlsStream *t, Str bytes)
{
        size_t sent = 0;
        int result, code;

        if (t->broken)
                return TLS_BROKEN;
        prepare();
        result = SSL_write_ex(t->ssl, bytes.p, bytes.n, &sent);
        if (result == 1)
                return (ptrdiff_t)sent;
        code = outcome(t, result);
        return code != TLS_END ? code : break_down(t, 0);
}

bool tls_stream_has_more(const TlsStream *t)
{
        return !t->broken && SSL_pending(t->ssl) > 0;
}

void tls_stream_finish(TlsStream *t)
{
        if (t->broken || !SSL_is_init_finished(t->ssl))
                return;
        prepare();
        IGNORE(SSL_shutdown(t->ssl), "a peer that is gone needs no word");
        ERR_clear_error();
}

Str tls_stream_alpn(const TlsStream *t)
{
        const unsigned char *p;
        unsigned n;

        SSL_get0_alpn_selected(t->ssl, &p, &n);
        return str_make(p, n);
}

Wall tls_stream_peer_not_after(const TlsStream *t)
{
        return tls_context_not_after(SSL_get0_peer_certificate(t->ssl));
}

const Err *tls_stream_fault(const TlsStream *t)
{
        return &t->fault;
}

TlsStream *tls_stream_close(TlsStream *t)
{
        if (t == NULL)
                return NULL;
        SSL_free(t->ssl);
        t->server->n_streams--;
        return mem_free(t);
}
