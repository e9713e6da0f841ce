/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Answered: what of the Report has come to Envoy Gateway. Translate decides; a host is there only
 * once Envoy Gateway has asked, was given the wanted revision, and had room for it.
 */

#include "model/facts.h"
#include "model/report.h"
#include "model/world.h"

/* All borrowed. */
typedef struct AnsweredInput {
        const World *world;
        const Report *report; /* NULL before the first */
        const Facts *facts;
        const Table *observed; /* of Observed, where replicas tell what they served; NULL: Facts
                                  alone know, as without Kubernetes */
} AnsweredInput;

typedef struct Answered {
        AnsweredInput in;
        const Table *routes;    /* of the Report; NULL: there is none */
        const AnswerGap **gaps; /* owned; of each row: what the last answer lacks, or NULL */
} Answered;

enum {
        ANSWERED_TEXT_MAX = REVISION_MAX + 80 /* a sentence that names a revision */
};

/* One tailnets[] entry. */
typedef struct AnsweredEntry {
        const EntryReport *report; /* NULL: there is none yet, and all else is empty */
        uint64_t missing;          /* hosts and paths that the last answer was without */
        bool programmed; /* the wanted revision was served last, and something of it is there */
        Str reason;      /* why not, or what is not done beside it; "Pending": not served yet */
        char text[ANSWERED_TEXT_MAX]; /* of "Pending", else empty: the report's text holds */
} AnsweredEntry;

/* Borrows what `in` names until answered_done. */
Answered answered_make(const AnsweredInput *in);
void answered_done(Answered *a);
/* What has come of one entry; `ret` is written whole. */
void answered_entry(const Answered *a, EntryKey key, AnsweredEntry *ret);
/* Why, in a sentence; may be empty. */
Str answered_text(const AnsweredEntry *e);
/* Was this Gateway given the revision that is wanted: last by this process, or by any replica? */
bool answered_is_served(const AnsweredInput *in, const GatewayReport *g);
/* Where the rows of the entry begin in `routes`; they end before `ret_end`. Without a tailnet those
 * of all entries of the TailscaleGateway. */
size_t answered_rows(const Answered *a, EntryKey key, size_t *ret_end);
