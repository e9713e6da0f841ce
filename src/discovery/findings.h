/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Findings: what one evaluation of an entry has found so far, and how a view is made of it: leaves
 * that say the same are those of the view before, and where nothing changed it is that view itself.
 */

#include "discovery/candidate.h"
#include "discovery/discover.h"

enum {
        FINDINGS_LEFT_CLASSES = 2, /* with another reason than "NotSelected", and with that */
};

/* Leaves, each with one reference; what is made into a Table is handed over. */
typedef struct LeafList {
        const void **at; /* owned */
        size_t n, room;
} LeafList;

typedef struct LeftRows {
        LeftOutRow *at; /* owned, and each with its references */
        size_t n, room;
} LeftRows;

typedef struct Findings {
        LeafList endpoints;
        LeftRows left[FINDINGS_LEFT_CLASSES];
        uint64_t n_left;
        /* Borrowed, each may be NULL: what is in one is not made again. */
        const Table *in_force; /* of Endpoint */
        const LeftOutList *known[2];
        HeldRemoval held;     /* its strings are borrowed until the view is made */
        Wall next_key_expiry; /* of what is in the list and taken; 0: none */
} Findings;

/* Of what was found, whether there is a list, and whether what it lacks is missing. */
typedef struct FindingsFrom {
        const DiscoverInput *in;
        bool has_list, tells_absence;
} FindingsFrom;

void findings_init(Findings *f);
/* Also without a view made of it. */
void findings_done(Findings *f);
/* An endpoint: the one in force where it says the same, else a copy; false where there are
 * DISCOVER_ENDPOINTS_MAX. */
bool findings_add(Findings *f, const Endpoint *like);
/* The same with `leaf` (may be NULL) in place of the one in force. */
bool findings_take(Findings *f, const Endpoint *like, const Endpoint *leaf);
/* One that is in force already, as it is. */
void findings_keep(Findings *f, const Endpoint *e);
/* Something that no endpoint is made of. Of many only some are kept, those with a reason first. */
void findings_leave_out(Findings *f, Str node_id, Str name, Refusal why);
/* A view of these endpoints with the names of `of` (gateway, tailnet, source, suffix), of which
 * nothing else is said but what is held. */
EntryView *findings_view(Findings *f, const EntryView *of) MUST_USE;
/* The view of what was found with all else that `say` says (its Tables are not looked at); `before`
 * (may be NULL) with one more reference where nothing but times of syncs changed. */
EntryView *findings_settle(Findings *f, const EntryView *before, const EntryView *say) MUST_USE;
/* The view of the evaluation: from->in->before with one more reference where nothing changed. */
EntryView *findings_conclude(Findings *f, const FindingsFrom *from) MUST_USE;
