/* SPDX-License-Identifier: Apache-2.0 */
#include "discovery/guard.h"

enum {
        /* Bytes of the digest that people copy into an annotation. */
        GUARD_DIGEST_BYTES = 8,
};

static bool is_suspicious(const GuardCase *c)
{
        if (c->is_empty)
                return true;
        return c->n_known >= c->guard->from_endpoints &&
               (uint64_t)c->n_missing * 100 > (uint64_t)c->guard->max_percent * c->n_known;
}

bool guard_holds(const GuardCase *c, Arena *arena, HeldRemoval *ret)
{
        char hex[DIGEST_HEX];
        Str digest = str_of(digest_hex(&c->missing, GUARD_DIGEST_BYTES, hex));
        bool is_same = c->before.n > 0 && str_eq(c->before.digest, digest);
        unsigned confirmations = is_same ? c->before.confirmations + (c->is_new_poll ? 1 : 0) : 1;

        if (!is_suspicious(c) || confirmations >= c->guard->confirmations)
                return false;
        /* Only what was shown as held can have been approved. */
        if (is_same && str_eq(c->approved, digest))
                return false;
        *ret = (HeldRemoval){
                .n = c->n_missing,
                .confirmations = confirmations,
                .digest = arena_str(arena, digest),
                .reason = c->is_empty ? STR("EmptyAnswer") : STR("TooManyRemoved"),
        };
        return true;
}
