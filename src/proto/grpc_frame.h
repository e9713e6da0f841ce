/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * gRPC over HTTP/2 (grpc/doc/PROTOCOL-HTTP2.md): the length-prefixed message and the values of its
 * header fields. Bytes in, bytes out.
 */

#include "base/buf.h"
#include "base/instant.h"

enum {
        GRPC_PREFIX_BYTES = 5, /* compressed flag, length as four bytes, big end first */
};

typedef enum GrpcFrameOutcome {
        GRPC_FRAME_MORE,       /* not the whole message yet */
        GRPC_FRAME_DONE,       /* exactly one message */
        GRPC_FRAME_NONE,       /* at the end: not one byte came */
        GRPC_FRAME_TRUNCATED,  /* at the end: a part of one */
        GRPC_FRAME_EXTRA,      /* something comes after the message */
        GRPC_FRAME_TOO_LARGE,  /* announced above the maximum */
        GRPC_FRAME_COMPRESSED, /* flag 1 */
        GRPC_FRAME_BAD_FLAG,   /* neither 0 nor 1 */
        GRPC_FRAME_NO_MEMORY,
} GrpcFrameOutcome;

/* Reads the one message of a unary request. The buffer grows with the bytes that came, never with
 * the length that was announced. */
typedef struct GrpcFrameReader {
        uint8_t prefix[GRPC_PREFIX_BYTES];
        unsigned n_prefix;
        uint32_t announced; /* once the prefix is whole */
        Buf body;
} GrpcFrameReader;

/* Messages of at most `max` bytes. */
void grpc_frame_init(GrpcFrameReader *r, size_t max);
/* Frees; safe on a zeroed reader, and twice. */
void grpc_frame_done(GrpcFrameReader *r);
/* Takes the next bytes. MORE and DONE are good; after any other outcome the reader is only good for
 * grpc_frame_done. */
GrpcFrameOutcome grpc_frame_feed(GrpcFrameReader *r, Str bytes) MUST_USE;
/* What the message is when no more comes: DONE, NONE or TRUNCATED. */
GrpcFrameOutcome grpc_frame_end(const GrpcFrameReader *r) MUST_USE;
/* The prefix of an uncompressed message of `n` bytes. */
void grpc_frame_prefix(uint8_t ret[GRPC_PREFIX_BYTES], uint32_t n);

/* Value of grpc-timeout: one to eight digits and one of H M S m u n. What is longer than a year is
 * a year. False if it is not one. */
bool grpc_frame_timeout(Str s, Span *ret) MUST_USE;
/* Value of grpc-message: bytes other than 0x20 to 0x7e, and '%', become %XX. */
void grpc_frame_percent(Buf *b, Str text);
/* Is it "application/grpc", alone or followed by '+' or ';'? */
bool grpc_frame_is_content_type(Str s);
