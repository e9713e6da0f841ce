/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* TailnetStatus: what is said of a TailscaleTailnet, on /state and in its status. */

#include "model/condition.h"
#include "model/facts.h"
#include "model/world.h"

enum {
        /* What a source told last is believed for ever, and said to be old from then on. */
        TAILNET_STALE_HOURS = 24,
        TAILNET_CONDITIONS_SHOWN = 3, /* Accepted, Authenticated, Synced: on /state */
        TAILNET_CONDITIONS = 4,       /* and Stale */
};

/* One tailnet, put together; all borrowed. */
typedef struct TailnetStatus {
        const TailnetSpec *spec;
        const TailnetState *state;  /* NULL: no poll has ended */
        const TailnetFact *fact;    /* NULL: it is not asked */
        const SourceFact *presence; /* of it; says which devices are there */
        bool is_beyond;             /* others are asked, as many as can be, and it is not */
        Wall next_key_expiry;       /* of the devices that any TailscaleGateway takes; 0: none */
} TailnetStatus;

/* Borrows from all three. */
TailnetStatus tailnet_status_of(const World *w, const Facts *f, const TailnetSpec *t);
/* Has the source that says which devices are there failed for TAILNET_STALE_HOURS? */
bool tailnet_status_is_stale(const TailnetStatus *s, Wall now);
/* "NeverSynced", "Synced", "Stale", "Failing". */
Str tailnet_status_sync(const TailnetStatus *s, Wall now);
/* Texts are borrowed from Facts and World. */
void tailnet_status_conditions(const TailnetStatus *s, Wall now, Condition ret[TAILNET_CONDITIONS]);
/* The status as it is applied: conditions, what was found, when. `last_sync` 0: none. */
void tailnet_status_doc(DocWriter *d, const TailnetStatus *s,
                        const Condition conditions[TAILNET_CONDITIONS], Wall last_sync,
                        const ConditionPast *past);
