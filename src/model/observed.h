/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Observed: what stands at the API server of one object that this program writes to, as far as it
 * takes to know whether it must be written again. Part of no World: our own writes make no new one.
 */

#include "base/digest.h"
#include "base/instant.h"
#include "base/table.h"
#include "model/object.h"
#include "proto/tree.h"

typedef enum ObservedKind {
        OBSERVED_TAILNET,
        OBSERVED_GATEWAY,
        OBSERVED_ENDPOINTS,
        OBSERVED_BINDING,
        OBSERVED_SECRET,
        OBSERVED_SERVICE,
        OBSERVED_DEPLOYMENT,
        OBSERVED_PDB, /* PodDisruptionBudget */
        OBSERVED_KINDS,
} ObservedKind;

enum {
        OBSERVED_CONDITIONS_MAX = 16
};

/* One of status.conditions. */
typedef struct ConditionSeen {
        Str type, status, reason, message;
        int64_t observed_generation;
        Wall since; /* lastTransitionTime */
} ConditionSeen;

typedef struct Observed {
        Leaf leaf;
        ObservedKind kind;
        ObjectKey key;
        Str uid, version;
        int64_t generation;
        bool deleting; /* it has a deletionTimestamp */
        bool ours;     /* label app.kubernetes.io/managed-by: tailscale-gateway */
        /* Digests of canonical forms (members sorted, null left out). `own`: our labels,
         * annotations and ownerReferences, and every member but metadata and status. */
        Digest own, status;
        const ConditionSeen *conditions;
        size_t n_conditions;
} Observed;

/* One reference. `object` has apiVersion, kind and metadata; NULL where it has no name. */
const Observed *observed_new(ObservedKind kind, const Tree *object) MUST_USE;
/* The digests that an object with this body will have once it was applied as it is. `body` is a
 * JSON object with metadata, and spec or data or status. */
void observed_digests(const Tree *body, Digest *ret_own, Digest *ret_status);

int observed_order(const void *a, const void *b);
typedef struct ObservedKey {
        ObservedKind kind;
        ObjectKey key;
} ObservedKey;
/* `key` is an ObservedKey *. */
int observed_find(const void *key, const void *leaf);
bool observed_same(const void *a, const void *b);
