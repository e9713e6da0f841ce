/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Hook: (Snapshot, request) -> answer, for the six methods of
 * envoygateway.extension.EnvoyGatewayExtension (EG v1.9.0 proto/extension/service.proto). Requests
 * are read as spans and never unpacked and packed again: what is not ours goes back byte for byte.
 */

#include "base/buf.h"
#include "base/err.h"
#include "translate/joined.h"
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
        HOOK_ANSWER_MAX = 64 << 20,
        /* Bindings that are heeded in one call: one Gateway has one; merged ones are as many as
         * Envoy Gateway puts into one Envoy, whose ports and certificates end long before. */
        HOOK_GATEWAYS_MAX = 256,
};

/* What was found and done for one Gateway, for Facts; strings are borrowed from the request or the
 * Snapshot. */
typedef struct HookGateway {
        ObjectKey eg_gateway; /* empty: not known */
        Str asked;            /* revision that the Binding named; empty: none came */
        uint64_t attempt;
        Str served; /* revision that was answered; empty: nothing of ours was to be put in */
        uint64_t clusters;
        JoinTally tally; /* hosts and paths put in; left out: a domain that is taken, … */
} HookGateway;

/* Of one call; with merged Gateways it is about several. */
typedef struct HookResult {
        HookGateway *gateways; /* owned; by key */
        size_t n;              /* of HOOK_TRANSLATE at least one */
} HookResult;

void hook_result_done(HookResult *r);

/* Answers one call. `may_wait` false: never HOOK_WAIT; the newest is answered, or UNAVAILABLE where
 * the World is not complete. `answer` is empty at call and has HOOK_ANSWER_MAX as its maximum; it
 * is complete only with HOOK_ANSWERED. `snapshot` NULL is an incomplete World. `ret` is to be ended
 * by hook_result_done, whatever the verdict. */
HookVerdict hook_answer(const Snapshot *snapshot, HookMethod method, Str request, bool may_wait,
                        Buf *answer, HookResult *ret);
