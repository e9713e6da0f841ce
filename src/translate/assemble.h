/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Assemble: the claims that won become a Contribution. */

#include "translate/claims.h"
#include "translate/ingress_way.h"

enum {
        /* Of what one Gateway's claims add to an answer: well below what an answer may be
         * (HOOK_ANSWER_MAX), as the rest holds what Envoy Gateway made, what is merged with it, and
         * each path once more for each host that it goes to. As many hosts as a Gateway may have
         * (CLAIMS_HOSTS_MAX) fit, with one endpoint each. */
        ASSEMBLE_BYTES_MAX = 40 << 20,
};

typedef struct AssembleInput {
        ObjectKey key;
        const EgGateway *gateway; /* NULL: the Contribution is empty */
        EntryPlan *plans;
        size_t n_plans;
        Claims *claims;
        const IngressWays *ways;    /* NULL: none */
        bool only_digests;          /* nobody answers from it */
        const Contribution *before; /* may be NULL */
} AssembleInput;

/* One reference, the caller's. Packs of `before` whose bytes are the same are used again. A claim
 * whose resource would be too large loses here, with its reason; so do the last by standing of
 * those that are too much together. */
Contribution *assemble(Arena *a, const AssembleInput *in) MUST_USE;
