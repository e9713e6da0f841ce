/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Snapshot: World translated: for each of Envoy Gateway's Gateways that a TailscaleGateway refers
 * to, what we contribute to it, packed and ready to be spliced into an answer. Immutable,
 * refcounted; made from the World and the Snapshot before it, whose packed bytes are shared where
 * their inputs did not change. Pure: no time, no I/O; the same World gives the same bytes and
 * revisions.
 */

#include "model/report.h"
#include "model/world.h"

/* Of each Gateway the contributions of this many last revisions are kept. */
enum {
        SNAPSHOT_REVISIONS = 8
};

typedef struct Snapshot Snapshot;

/* `before` may be NULL. Takes its own reference of `world`. *ret_report has one reference, the
 * caller's. */
Snapshot *snapshot_new(const World *world, const Snapshot *before, Report **ret_report) MUST_USE;
/* The same for who answers no hooks: revisions and Report are those of snapshot_new, of what is
 * packed only digests are kept, and of each Gateway the newest revision alone. `before` must be of
 * the same making. */
Snapshot *snapshot_digests_new(const World *world, const Snapshot *before,
                               Report **ret_report) MUST_USE;
Snapshot *snapshot_ref(const Snapshot *s);
Snapshot *snapshot_unref(const Snapshot *s);
const World *snapshot_world(const Snapshot *s);
/* The revision that is wanted for a Gateway, or NULL where no TailscaleGateway refers to it.
 * Borrowed. */
const char *snapshot_revision(const Snapshot *s, ObjectKey eg_gateway);
/* Is this revision of that Gateway among those kept? */
bool snapshot_has(const Snapshot *s, ObjectKey eg_gateway, Str revision);
/* Bytes held by the Snapshot that it does not share with `other` (may be NULL), for accounting and
 * tests. */
size_t snapshot_bytes(const Snapshot *s, const Snapshot *other);

/* What the hooks answer from. */
typedef struct Contribution Contribution;
/* The contribution of that revision (empty: the newest) to a Gateway; NULL where it is not kept, or
 * no TailscaleGateway refers to the Gateway. Borrowed. */
const Contribution *snapshot_contribution(const Snapshot *s, ObjectKey eg_gateway, Str revision);
/* The revision of a contribution without content, which a Binding names before it goes. */
const char *snapshot_empty_revision(const Snapshot *s);
/* The Gateways that a TailscaleGateway refers to, in order of their keys. */
size_t snapshot_n_gateways(const Snapshot *s);
const Contribution *snapshot_gateway_at(const Snapshot *s, size_t i);
