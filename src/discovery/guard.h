/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Removal guard: a control server that answers well, but with an empty or a strangely short list,
 * is believed only when it has said the same several polls in a row. Pure.
 */

#include "base/arena.h"
#include "base/digest.h"
#include "model/tailnet_spec.h"
#include "model/world.h"

typedef struct GuardCase {
        const RemovalGuard *guard;
        HeldRemoval before; /* what is held so far; n == 0: nothing is */
        bool is_new_poll;   /* this answer was not counted yet */
        bool is_empty;      /* it held no device at all */
        unsigned n_known;   /* endpoints in force that the rules in force take, missing included */
        unsigned n_missing; /* of them, those whose device the answer lacks; not 0 */
        Digest missing;     /* over exactly these */
        Str approved;       /* digest that a user let through, or empty */
} GuardCase;

/* True: hold them, and *ret says how; its strings are in `arena` or literals. False: let them
 * go. */
bool guard_holds(const GuardCase *c, Arena *arena, HeldRemoval *ret);
