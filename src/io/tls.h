/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * TLS for the side that accepts (OpenSSL; only io knows it). A TlsServer holds certificate and key
 * and takes new ones when their files change; a TlsStream is one connection under it. A TlsStream
 * has no callback and no timer: it says what it waits for. stream.h puts both around it.
 *
 * TLS 1.2 and newer with forward secrecy; renegotiation is refused; a client that is to show a
 * certificate and has none, or a wrong one, does not get past the handshake. SIGPIPE must be
 * ignored by the process.
 */

#include "base/err.h"
#include "base/log.h"
#include "io/loop.h"

/* A TLS record (RFC 8446 5.1) holds at most this. */
enum {
        TLS_RECORD_BYTES = 16 << 10,
};

/* From now on OpenSSL wipes whatever it frees, also for others that use it. Before its first use in
 * the process; later it has no effect. */
void tls_wipe_freed(void);

typedef struct TlsServer TlsServer;
/* Other files are in force: streams that are open keep what they began with. From the loop. */
typedef void TlsRenewedFn(TlsServer *s);

typedef struct TlsServerInput {
        Loop *loop;
        Log *log;                 /* tells of reloads */
        TlsRenewedFn *on_renewed; /* may be NULL */
        void *owner;              /* for on_renewed: tls_server_owner */
        /* Paths of PEM files; copied. */
        const char *certificate;
        const char *key;
        const char *client_ca; /* who signs clients; NULL: a client is asked for nothing. With it no
                                  session is resumed: each connection shows its certificate */
        const char *const *alpn; /* names that are spoken, best first, then NULL; a client that
                                    offers only others is refused. NULL: none is negotiated */
} TlsServerInput;

/* Reads the files. From then on a change of one of them is read too: what fits is used for new
 * connections, else what was there stays and the log says why. */
TlsServer *tls_server_open(const TlsServerInput *in, Err *err) MUST_USE;
void *tls_server_owner(const TlsServer *s);
/* When the certificate in force ends. */
Wall tls_server_not_after(const TlsServer *s);
/* All its streams must have been closed. NULL is welcome. Returns NULL. */
TlsServer *tls_server_close(TlsServer *s);

typedef struct TlsStream TlsStream;

enum {
        TLS_END = 0,          /* the peer sends no more, and said so */
        TLS_WANTS_READ = -1,  /* again when the descriptor can be read */
        TLS_WANTS_WRITE = -2, /* … be written, also where it was to be read */
        TLS_BROKEN = -3,      /* never again; tls_stream_fault says why */
};

/* On a connected non-blocking descriptor, which stays the caller's and is closed by him, after. */
TlsStream *tls_stream_open(TlsServer *s, int fd) MUST_USE;
/* 1 when it is done, else a code. */
int tls_stream_handshake(TlsStream *t) MUST_USE;
/* After the handshake. The number of bytes (more than 0), or a code. */
ptrdiff_t tls_stream_read(TlsStream *t, void *p, size_t n) MUST_USE;
/* Takes some of the bytes: their number (more than 0), or a code; never TLS_END. What was refused
 * with TLS_WANTS_… is to be given again, with at least as many bytes. */
ptrdiff_t tls_stream_write(TlsStream *t, Str bytes) MUST_USE;
/* Are bytes here that can be read though the descriptor has none? */
bool tls_stream_has_more(const TlsStream *t);
/* Tells the peer that nothing follows, as far as that goes without waiting. */
void tls_stream_finish(TlsStream *t);
/* What ALPN settled on; empty: nothing. Borrowed. */
Str tls_stream_alpn(const TlsStream *t);
/* After the handshake: when the certificate that the client showed ends; 0: it showed none. */
Wall tls_stream_peer_not_after(const TlsStream *t);
/* Why it is broken: ERR_TRANSIENT "TLSFailed". */
const Err *tls_stream_fault(const TlsStream *t);
/* NULL is welcome. Returns NULL. */
TlsStream *tls_stream_close(TlsStream *t);
