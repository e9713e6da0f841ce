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
        OBSERVED_HTTP_ROUTE,
        OBSERVED_GRPC_ROUTE,
        OBSERVED_KINDS,
} ObservedKind;

enum {
        OBSERVED_CONDITIONS_MAX = 16,
        /* More replicas than Envoy Gateway has connections to; what is beyond is not looked at. */
        OBSERVED_SERVED_MAX = 64,
        /* A Deployment with all that the API server and others put in is below 16 KiB. */
        OBSERVED_SPEC_MAX = 128 << 10,
};

/* Field managers: of the operator; of all replicas, for a Binding's `attempt`; with "-<replica>"
 * behind it of one replica's annotation. Two appliers of one name would take each other's away. */
#define OBSERVED_MANAGER         "tailscale-gateway"
#define OBSERVED_MANAGER_REPLICA "tailscale-gateway-extension"
/* Before a replica's name: the annotation of a Binding that names the revision it served last. */
#define OBSERVED_SERVED "served.gateway.tailscale.com/"
/* Annotation of what the API server fills up: the digest of what was applied. */
#define OBSERVED_APPLIED MODEL_GROUP "/applied"

/* One of status.conditions. */
typedef struct ConditionSeen {
        Str type, status, reason, message;
        int64_t observed_generation;
        Wall since; /* lastTransitionTime */
} ConditionSeen;

/* What one replica says that it served. */
typedef struct ServedSeen {
        Str replica;  /* as a label's value */
        Str revision; /* at most REVISION_MAX */
        Wall at;      /* when it was written, by the server's own clock; 0: not known */
} ServedSeen;

typedef struct Observed {
        Leaf leaf;
        ObservedKind kind;
        ObjectKey key;
        Str uid, version;
        int64_t generation;
        bool deleting; /* it has a deletionTimestamp */
        bool ours;     /* label app.kubernetes.io/managed-by: tailscale-gateway */
        /* Digests of canonical forms: members sorted, null and what is empty left out, objects of a
         * list in no order. `own`: our labels and annotations ("gateway.tailscale.com/…",
         * "app.kubernetes.io/…"), ownerReferences, and every member but apiVersion, kind, metadata
         * and status. */
        Digest own, status;
        Digest calm; /* of a TailscaleGateway: `status` without what may wait (observed_calm) */
        const ConditionSeen *conditions; /* of a route: of its parent */
        size_t n_conditions;
        Wall last_sync; /* status.lastSync; 0: none */
        Str owner;      /* the TailscaleGateway among its owners, by name; or empty */
        /* Of a Binding. */
        Str revision;
        uint64_t attempt;
        const ServedSeen *served; /* by replica */
        size_t n_served;
        /* Of what an API server fills up by itself (Service, Deployment, PodDisruptionBudget),
         * whose digests are never those of what was applied: */
        Str applied; /* annotation OBSERVED_APPLIED */
        Str spec;    /* JSON, at most OBSERVED_SPEC_MAX; else empty */
} Observed;

/* One reference. `object` has apiVersion, kind and metadata; NULL where it has no name. */
const Observed *observed_new(ObservedKind kind, const Tree *object) MUST_USE;
/* The digests that an object with this body will have once it was applied as it is. `body` is a
 * JSON object with metadata, and spec or data or status. */
void observed_digests(const Tree *body, Digest *ret_own, Digest *ret_status);
/* That of the status without what alone is no reason to write it at once: how many devices each
 * entry excludes, which another device moves in all TailscaleGateways of its tailnet. */
Digest observed_calm(const Tree *body);

/* The condition of that type, or NULL. `o` may be NULL. */
const ConditionSeen *observed_condition(const Observed *o, Str type);
/* Says any replica that it served that revision? `binding` may be NULL. */
bool observed_is_served(const Observed *binding, Str revision);

int observed_order(const void *a, const void *b);
typedef struct ObservedKey {
        ObservedKind kind;
        ObjectKey key;
} ObservedKey;
/* `key` is an ObservedKey *. */
int observed_find(const void *key, const void *leaf);
/* The same object in the same version? */
bool observed_same(const void *a, const void *b);
/* Shorthand for table_find with an ObservedKey; `t` may be NULL. */
const Observed *observed_at(const Table *t, ObservedKind kind, ObjectKey key);
