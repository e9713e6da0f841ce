/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Splice: one RouteConfiguration of a request becomes one of the answer: hosts of ours appended,
 * routes of ours put in front of those of a virtual host, what an earlier hook of the same
 * translation had put in taken out. Everything else is copied as it stands.
 */

#include "base/arena.h"
#include "base/buf.h"
#include "model/answer_gap.h"
#include "translate/contribution.h"

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

typedef struct SpliceResult {
        uint64_t hosts, paths; /* put in */
        GapNotes gaps;         /* left out; borrowed from the Target and the request */
} SpliceResult;

typedef struct SpliceJob {
        Arena *arena;
        ObjectKey gateway;
        const Target *target; /* of splice_routes NULL: nothing is put in */
        StrList taken;  /* names of clusters that somebody else has: their routes are left out */
        uint32_t field; /* of the answer */
        Buf *answer;
        SpliceResult *result; /* is added to */
} SpliceJob;

/* Appends the RouteConfiguration to the answer as its field `field`. */
SpliceVerdict splice_routes(const SpliceJob *job, Str body);
/* Puts the paths that the host's own domains and routes admit in front of one VirtualHost, which is
 * appended to the answer as its field `field`. `target` is not NULL. */
SpliceVerdict splice_vhost(const SpliceJob *job, Str body);
