/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What one connection is about to send: small frames copied into one block, large bodies as spans
 * of the message they belong to, all of it handed to the kernel in one call. A body is copied by
 * nobody but the kernel.
 */

#include "base/buf.h"
#include "base/list.h"
#include "io/stream.h"
#include "proto/grpc_frame.h"

enum {
        H2_OUT_SMALL = 32 << 10, /* bytes of small frames in one batch */
        H2_OUT_SPANS = 128,      /* 64 DATA frames: their heads and their bodies */
        H2_OUT_BYTES = 1 << 20,  /* 64 DATA frames of 16 KiB */
        H2_OUT_CHUNK = 17 << 10, /* the most that nghttp2 hands out at once, and some */
};

/* One message that waits or is under way; shared by its call and the batches with spans of it. */
typedef struct H2Message {
        Link link;     /* of its call */
        unsigned refs; /* the holders */
        char *bytes;   /* owned */
        size_t n;
        size_t sent;      /* of prefix and bytes, by DATA frames that were batched */
        int64_t *counter; /* counts the bytes that are held; borrowed, outlives the message */
        uint8_t prefix[GRPC_PREFIX_BYTES];
} H2Message;

/* Moves the bytes out of `b`; one reference, the caller's. */
H2Message *h2_message_new(Buf *b, int64_t *counter) MUST_USE;
/* Gives a reference back; the last frees. NULL is welcome. */
void h2_message_unref(H2Message *m);
/* Prefix and bytes that no DATA frame has taken. */
static inline size_t h2_message_left(const H2Message *m)
{
        return GRPC_PREFIX_BYTES + m->n - m->sent;
}

typedef struct H2Batch H2Batch;
typedef struct H2Out {
        H2Batch *batch; /* owned; NULL: nothing waits */
} H2Out;

/* Drops what waits. Safe on a zeroed H2Out. */
void h2_out_done(H2Out *o);
static inline bool h2_out_is_empty(const H2Out *o)
{
        return o->batch == NULL;
}
/* Does one more chunk of nghttp2, or one more DATA frame, fit? */
bool h2_out_has_room(const H2Out *o);
/* Copies at most H2_OUT_CHUNK bytes. Only where there is room. */
void h2_out_add(H2Out *o, const void *p, size_t n);
/* Takes the next `n` bytes of the message, which are counted as sent. Only where there is room. */
void h2_out_add_message(H2Out *o, H2Message *m, size_t n);
/* Sends what the stream takes: the bytes that went, or a code of Stream. Only where something
 * waits. */
ptrdiff_t h2_out_send(H2Out *o, Stream *to) MUST_USE;
