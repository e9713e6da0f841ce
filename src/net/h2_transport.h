/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The bytes under HTTP/2: a non-blocking stream socket. TLS will be another kind of it. */

#include "base/macros.h"

#include <stddef.h>
#include <sys/uio.h>

enum {
        H2_TRANSPORT_AGAIN = -1,  /* not now */
        H2_TRANSPORT_BROKEN = -2, /* never again */
};

typedef struct H2Transport {
        int fd; /* owned; -1: closed */
} H2Transport;

/* Takes over `fd`. */
void h2_transport_init(H2Transport *t, int fd);
/* Number of bytes (more than 0), 0 where the peer sends no more, or one of the codes. */
ptrdiff_t h2_transport_recv(H2Transport *t, void *p, size_t n) MUST_USE;
/* As many of the bytes as fit: their number (more than 0), or one of the codes. */
ptrdiff_t h2_transport_sendv(H2Transport *t, struct iovec *at, size_t n) MUST_USE;
/* Tells the peer that nothing follows. */
void h2_transport_finish(H2Transport *t);
/* Idempotent. */
void h2_transport_done(H2Transport *t);
