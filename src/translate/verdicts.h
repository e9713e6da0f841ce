/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Verdicts: the Report that tells what was decided while a Snapshot was made. */

#include "model/report.h"
#include "translate/claims.h"
#include "translate/ingress_way.h"

/* Rows as they are found; each with one reference. */
typedef struct VerdictList {
        const void **at; /* owned */
        size_t n, room;
} VerdictList;

typedef struct Verdicts {
        VerdictList routes, entries, gateways, ways;
        const Table *before; /* of RouteReport, borrowed: a row that says the same is taken again.
                                NULL: none */
        size_t next;         /* where in it the next is looked for first */
} Verdicts;

/* Each adds one row; nothing is borrowed. `found`: the Gateway is among what was read; `refused`:
 * of what refers to it nothing has a listener. */
void verdicts_add_gateway(Verdicts *v, const Contribution *c, bool found, bool refused);
/* Of a tailnets[] entry, both directions, by its plan of egress; after its claims have been
 * settled.
 */
void verdicts_add_entry(Verdicts *v, const EntryPlan *p);
/* Of a host or path, won or lost. */
void verdicts_add_claim(Verdicts *v, const Claim *c, ObjectKey eg_gateway);
/* Of an entry that asks for a way in from its tailnet. */
void verdicts_add_way(Verdicts *v, const IngressWayPlan *way, ObjectKey eg_gateway);
/* All rows so far as a Report, one reference; the lists are empty after. */
Report *verdicts_report(Verdicts *v, const World *w) MUST_USE;
