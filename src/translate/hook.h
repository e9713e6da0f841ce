/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Hook: (Snapshot, request) -> answer, for the six methods of
 * envoygateway.extension.EnvoyGatewayExtension (EG v1.9.0 proto/extension/service.proto). Requests
 * are read as spans and never unpacked and packed again: what is not ours goes back byte for byte.
 */

#include "base/buf.h"
#include "base/err.h"
#include "model/answer_gap.h"
#include "translate/snapshot.h"

typedef enum HookMethod {
        HOOK_ROUTE,
        HOOK_VIRTUAL_HOST,
        HOOK_HTTP_LISTENER,
        HOOK_CLUSTER,
        HOOK_ENDPOINTS,
        HOOK_TRANSLATE,
        HOOK_METHODS,
} HookMethod;

typedef enum HookVerdict {
        HOOK_ANSWERED, /* the answer is in the buffer */
        HOOK_WAIT, /* the revision that the Binding names is not held, or the World is not complete:
                      ask again when there is a new Snapshot */
        HOOK_UNAVAILABLE, /* answer UNAVAILABLE; Envoy Gateway keeps its last snapshot */
        HOOK_INVALID,     /* answer INVALID_ARGUMENT: not the protobuf that the method says */
        HOOK_TOO_LARGE,   /* answer RESOURCE_EXHAUSTED: above the cap of the answer */
} HookVerdict;

enum {
        HOOK_ANSWER_MAX = 64 << 20
};

/* What was found and done, for Facts; strings are borrowed from the request or the Snapshot. */
typedef struct HookResult {
        ObjectKey eg_gateway; /* empty: not known */
        Str asked;            /* revision that the Binding named; empty: none came */
        uint64_t attempt;
        Str served; /* revision that was answered; empty: input given back */
        uint64_t hosts, paths, clusters;
        GapNotes gaps; /* of ours, left out at the answer: a domain or name that is taken, … */
} HookResult;

/* Answers one call. `may_wait` false: never HOOK_WAIT; the newest is answered, or UNAVAILABLE where
 * the World is not complete. `answer` is empty at call and has HOOK_ANSWER_MAX as its maximum; it
 * is complete only with HOOK_ANSWERED. `snapshot` NULL is an incomplete World. */
HookVerdict hook_answer(const Snapshot *snapshot, HookMethod method, Str request, bool may_wait,
                        Buf *answer, HookResult *ret);
