/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Splice: one RouteConfiguration of a request becomes one of the answer: hosts of ours appended,
 * routes of ours put in front of those of a virtual host, what an earlier hook of the same
 * translation had put in taken out. Everything else is copied as it stands.
 */

#include "base/arena.h"
#include "base/buf.h"
#include "translate/joined.h"

enum {
        /* Path routes put into one RouteConfiguration: hosts x services. 20,000 are some 12 MB. */
        SPLICE_PATHS_MAX = 20000,
        SPLICE_ARENA_MAX =
                32 << 20, /* notes on virtual hosts that are touched, some 100 bytes each */
};

typedef enum SpliceVerdict {
        SPLICE_DONE,
        SPLICE_INVALID,   /* not a RouteConfiguration */
        SPLICE_TOO_LARGE, /* above a cap */
} SpliceVerdict;

typedef struct SpliceJob {
        Arena *arena;
        const JoinPart *parts; /* what goes there, as joined_init has it; none: nothing is put in */
        size_t n_parts;
        StrList taken;  /* names of clusters that somebody else has: their routes are left out */
        uint32_t field; /* of the answer */
        Buf *answer;
} SpliceJob;

/* Appends the RouteConfiguration to the answer as its field `field`. */
SpliceVerdict splice_routes(const SpliceJob *job, Str body);
/* Puts the paths that the host's own domains and routes admit in front of one VirtualHost, which is
 * appended to the answer as its field `field`. There is one part. */
SpliceVerdict splice_vhost(const SpliceJob *job, Str body);
