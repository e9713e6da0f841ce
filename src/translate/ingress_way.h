/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * IngressWay: the way in from the tailnets (connectivity.ingress): which listener each entry's
 * tailnet comes in by, and what guards it. A guarded listener demands the PROXY protocol's header,
 * which says who calls, and admits nobody but those who may say so. That cuts off everybody else,
 * so it is done to a listener that was named for it, and that nobody else shares.
 */

#include "translate/contribution.h"
#include "translate/entry_plan.h"

enum {
        /* Ranges that the entries of one listener trust, each counted: a packed guard stays far
         * below what one resource may be. */
        INGRESS_WAY_TRUSTED_MAX = 1024,
};

/* What became of one entry that asks for a way in. Arena. */
typedef struct IngressWayPlan {
        const EntryPlan *by;        /* borrowed */
        const EgListener *listener; /* NULL: none was chosen */
        const char *reason;         /* why it is not guarded, or NULL */
        Str text;
} IngressWayPlan;

typedef struct IngressWays {
        IngressWayPlan *at; /* in the order of the plans; empty where nobody asks */
        size_t n;
} IngressWays;

/* Does the entry ask for one? */
bool ingress_way_is_asked(const TailnetEntry *e);
/* Of all plans of one Gateway (NULL: it is not there), the winner of a conflict first. */
IngressWays ingress_ways_settle(Arena *a, const World *w, const EgGateway *gateway,
                                const EntryPlan *plans, size_t n);
/* Adds a patch for each listener that is guarded to `c`, whose patches are all there otherwise and
 * which is not sealed yet. Packs of `before` (may be NULL) are used again. */
void ingress_ways_guard(const IngressWays *ways, bool only_digests, const Contribution *before,
                        Contribution *c);
