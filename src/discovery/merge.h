/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Merge: one list of what two sources tell of a tailnet, by node id. Which devices are there is the
 * primary's to say as long as it answers: a netmap holds only what the policy lets one node reach.
 * Pure.
 */

#include "model/device.h"

typedef struct MergeInput {
        const Table *primary; /* its last good list; NULL: it never answered */
        const Table *local;   /* the last good netmap; NULL: none, or there is no such source */
        bool primary_good, local_good; /* the last poll was good */
        const Table *before; /* what was merged before, so that its leaves are kept; may be NULL */
} MergeInput;

/* One reference; NULL where neither ever answered.
 *
 *               netmap good                           netmap failed          no netmap
 * primary good  its devices, with sight; `online`     its list itself        its list itself
 *               of the netmap where it says nothing
 * it fails      its last list and the netmap, sight   both last lists        its last list
 *               and `online` by the netmap
 *
 * Where nothing changed, `before` itself; a single list is handed on as it is. */
Table *merge_devices(const MergeInput *in) MUST_USE;

/* Did devices come, go or change between two answers of one source, in more than whether they are
 * online and when they were seen last? False where there was no answer before (NULL). */
bool merge_has_news(const Table *before, const Table *now);
