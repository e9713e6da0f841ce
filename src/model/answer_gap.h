/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * AnswerGap: hosts and paths that the Report has as programmed and that an answer to Envoy Gateway
 * was yet without, because of what its request held. GapNotes are taken while an answer is made and
 * borrow from it; AnswerGaps are what Facts keep of the last answer for one Gateway.
 */

#include "base/buf.h"
#include "model/report.h"

typedef enum GapReason {
        GAP_HOST_TAKEN, /* without a host: the listener, of TCP or UDP */
        GAP_PATH_TAKEN,
        GAP_CLUSTER_TAKEN,
        GAP_AUTH,
        GAP_OTHER_NAMESPACE,
        GAP_NO_PATH_HOST,
        GAP_GENERATED_HOST,
        GAP_TOO_MANY,
        GAP_NO_ROUTES,
        GAP_NO_LISTENER,
        GAP_REASONS
} GapReason;

enum {
        /* Named, of one answer; what is beyond is counted. One gap of paths stands for all of its
         * kind in one host, so this is much. */
        ANSWER_GAPS_MAX = 64
};

/* What is left out: rows that agree with all that is not empty. */
typedef struct AnswerGap {
        GapReason reason;
        bool paths;     /* else hosts; both where `host` is empty */
        bool catch_all; /* paths: those of the catch-all host itself */
        bool partly;    /* paths: other hosts have them */
        Str listener;
        Str namespace; /* of the TailscaleGateways */
        Str host;      /* as in RouteReport: of paths their path host */
        Str path;
        Str cluster;
        Str winner; /* of a host that is taken: the cluster of ours that has it, of a Gateway that
                       is merged with this one; empty: it is none of ours */
        Str where;  /* paths: a domain of the virtual host that is without them; empty: none has */
        uint64_t n; /* how many hosts or paths */
} AnswerGap;

typedef struct GapNotes {
        AnswerGap at[ANSWER_GAPS_MAX];
        size_t n;
        uint64_t total, by_reason[GAP_REASONS]; /* of all */
} GapNotes;

typedef struct AnswerGaps {
        Leaf leaf;
        const AnswerGap *at;
        size_t n;
        uint64_t total, by_reason[GAP_REASONS];
} AnswerGaps;

/* Counts `gap`, and keeps it while there is room. */
void gap_notes_add(GapNotes *notes, const AnswerGap *gap);
/* What Facts are to hold after an answer: `before` itself where nothing is another (no memory is
 * taken then), else a copy with one reference, and `before` gives its own back. NULL is nothing
 * left out. */
const AnswerGaps *answer_gaps_update(const AnswerGaps *before, const GapNotes *notes) MUST_USE;
uint64_t answer_gaps_total(const AnswerGaps *gaps);
/* The gap that this row is in, of several one that is not `partly`; NULL: none, or it is not named.
 * `gaps` may be NULL. */
const AnswerGap *answer_gaps_find(const AnswerGaps *gaps, const RouteReport *row);
bool gap_covers(const AnswerGap *gap, const RouteReport *row);
/* "AuthNotInherited", … */
Str gap_reason_name(GapReason reason);
/* Why, in a sentence; what it says of hosts is as it was in the request, so not for a terminal
 * without care. */
void gap_text(const AnswerGap *gap, Buf *out);
