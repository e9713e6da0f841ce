/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Stream: the bytes of one accepted connection, plain or under TLS, and when they can go on. With
 * TLS the handshake is its own affair: it happens before the first byte, within
 * STREAM_HANDSHAKE_SECONDS, as soon as anything is wanted.
 */

#include "io/tls.h"

#include <sys/uio.h>

enum {
        STREAM_HANDSHAKE_SECONDS = 10, /* a peer across the world needs two round trips */
        STREAM_AGAIN = -1,             /* not now */
        STREAM_BROKEN = -2,            /* never again; stream_fault says why */
};

typedef struct Stream Stream;
/* What is wanted may go on, or has failed; it is called again until that is no more. The stream may
 * be closed in it. */
typedef void StreamFn(Stream *s);
struct Stream {
        StreamFn *fn;
        FdSource source;
        TlsStream *tls; /* owned; NULL: plain */
        Timer handshake;
        Post more;                        /* bytes are here that the descriptor does not show */
        unsigned want;                    /* FD_READ | FD_WRITE */
        unsigned read_needs, write_needs; /* of the descriptor; TLS may read in order to write */
        bool is_open;                     /* the handshake is done, or none is needed */
        Err fault;
};

/* Takes over `fd`, which is connected and non-blocking. `tls` NULL: plain. */
void stream_init(Stream *s, Loop *loop, int fd, TlsServer *tls, StreamFn *fn);
/* FD_READ | FD_WRITE, or 0 for none. */
void stream_want(Stream *s, unsigned want);
/* The number of bytes (more than 0), 0 where the peer sends no more, or a code. */
ptrdiff_t stream_read(Stream *s, void *p, size_t n) MUST_USE;
/* As many of the bytes as fit: their number (more than 0), or a code. After STREAM_AGAIN the same
 * bytes are given again, or more of them. `more`: others follow at once. */
ptrdiff_t stream_write(Stream *s, Str bytes, bool more) MUST_USE;
/* The same for several pieces: plain one call, under TLS records as full as can be. */
ptrdiff_t stream_writev(Stream *s, const struct iovec *at, size_t n) MUST_USE;
/* Is the handshake done, or none needed? Stays so. */
static inline bool stream_is_open(const Stream *s)
{
        return s->is_open;
}
/* Tells the peer that nothing follows. */
void stream_finish(Stream *s);
/* Of STREAM_BROKEN. */
const Err *stream_fault(const Stream *s);
/* At once; nothing is called after. Idempotent, also on a zeroed one. */
void stream_close(Stream *s);
