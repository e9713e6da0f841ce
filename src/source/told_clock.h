/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * ToldClock: what time it is for the devices of one tailnet. Keys expire by it, so a wall clock of
 * ours that jumps must not move it: it goes on with the monotonic clock from the last answer, and
 * what an answer's date does not bear out is not believed. Pure.
 *
 * It is never ahead of our own wall clock: a server whose clock runs a year fast expires no key
 * either.
 */

#include "base/instant.h"

enum {
        /* Clocks that differ by less agree: an answer takes up to a minute, dates have seconds. */
        TOLD_CLOCK_AGREE_S = 300,
};

typedef struct ToldClock {
        Wall at; /* 0: nobody has told yet */
        Mono since;
} ToldClock;

/* An answer came; `date`: the server's, 0 where it says none. */
void told_clock_tell(ToldClock *c, Wall wall, Mono now, Wall date);
/* 0: nobody has told yet. */
Wall told_clock_now(const ToldClock *c, Mono now);
