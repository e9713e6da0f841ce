/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * SuffixHold: an answer of which the removal guard holds what it lacks is not yet believed, so its
 * suffix is not either: with it the hosts of all that is held would be others. Pure.
 */

#include "model/world.h"

typedef struct SuffixHoldInput {
        const Table *before;   /* of TailnetState: those of the World before */
        const Table *now;      /* what was heard */
        const Table *tailnets; /* of TailnetSpec: a suffix that is given is never held */
        const Table *entries;  /* of EntryView; NULL: as if all of them held something */
} SuffixHoldInput;

/* `now` with the suffix before where entries hold something; one reference. `ret_n`: how many of
 * them have another suffix than was heard. */
Table *suffix_hold(const SuffixHoldInput *in, size_t *ret_n) MUST_USE;
