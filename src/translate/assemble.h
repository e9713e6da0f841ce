/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Assemble: the claims that won become a Contribution. */

#include "translate/claims.h"
#include "translate/ingress_way.h"

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
 * whose resource would be too large loses here, with its reason. */
Contribution *assemble(Arena *a, const AssembleInput *in) MUST_USE;
