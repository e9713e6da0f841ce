/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Splice: one RouteConfiguration of a request becomes one of the answer: hosts of ours appended,
 * routes of ours put in front of those of a virtual host, what an earlier hook of the same
 * translation had put in taken out. Everything else is copied as it stands.
 */

#include "base/arena.h"
#include "base/buf.h"
#include "translate/contribution.h"

enum {
        /* Path routes put into one RouteConfiguration: hosts x services. 20,000 are some 12 MB. */
        SPLICE_PATHS_MAX = 20000,
        SPLICE_ARENA_MAX =
                32 << 20, /* notes on virtual hosts that are touched, some 100 bytes each */
        SPLICE_TEXT_MAX = 256,
};

typedef enum SpliceVerdict {
        SPLICE_DONE,
        SPLICE_INVALID,   /* not a RouteConfiguration */
        SPLICE_TOO_LARGE, /* above a cap */
} SpliceVerdict;

typedef struct SpliceResult {
        uint64_t hosts, paths; /* put in */
        uint64_t left_out;
        char text[SPLICE_TEXT_MAX]; /* why, of the first */
} SpliceResult;

/* Counts one that is left out and keeps the first reason. */
void splice_left_out(SpliceResult *r, uint64_t n, const char *fmt, ...) PRINTF(3, 4);

/* Appends the RouteConfiguration to `answer` as its field `field`. `target` NULL: nothing is put
 * in. Adds to *ret. `taken` are names of clusters that somebody else has: their routes are left
 * out. */
SpliceVerdict splice_routes(Arena *a, Str body, ObjectKey gateway, const Target *target,
                            StrList taken, uint32_t field, Buf *answer, SpliceResult *ret);
/* The paths that the host's own domains and routes admit, put in front of one VirtualHost, which is
 * appended to `answer` as its field `field`. */
SpliceVerdict splice_vhost(Arena *a, Str body, const Target *target, uint32_t field, Buf *answer,
                           SpliceResult *ret);
