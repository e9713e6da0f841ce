/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Pace: when a control server may be asked again. Pure: time and chance are handed in. */

#include "base/instant.h"

enum {
        PACE_BACKOFF_FIRST_S = 1,
        PACE_BACKOFF_MAX_S = 300,
        PACE_TRIGGER_APART_S = 5, /* two triggered polls */
        PACE_EDIT_APART_MS =
                200, /* two polls because of an edit: who edits looks at what it does */
        PACE_TRIGGERS_PER_HOUR = 120, /* of both kinds */
        PACE_LOCAL_APART_MS = 200, /* two polls of a tailscaled: it is ours, and counts nothing */
};

/* A small generator (xorshift64*) for jitter only; the state is never 0. */
typedef struct Chance {
        uint64_t state;
} Chance;
void chance_init(Chance *c, uint64_t seed);
/* Uniform in [0, 1). */
double chance_next(Chance *c);

typedef struct Pace {
        Mono last_trigger; /* also one that is still to come */
        Mono hour;         /* start of the hour that is counted */
        unsigned triggers; /* in it */
} Pace;

/* pollInterval with plus or minus 10 %. */
Span pace_interval(Span interval, Chance *c);
/* After the n-th failure in a row (from 1): full jitter below 1 s, 2 s, 4 s … 5 min, but at least
 * `retry_after`. */
Span pace_backoff(uint64_t failures, Span retry_after, Chance *c);
/* When a trigger of now (SIGHUP, a changed file, a webhook) may ask: now, or later. That time is
 * taken; triggers until then are one with it. */
Mono pace_trigger(Pace *p, Mono now);
/* The same for an edit of what is asked, or of its credential. */
Mono pace_edit(Pace *p, Mono now);
