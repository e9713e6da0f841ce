/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Assemble: the claims that won become a Contribution. */

#include "translate/claims.h"

/* One reference, the caller's. Packs of `before` (may be NULL) whose bytes are the same are used
 * again. A claim whose resource would be too large loses here, with its reason. `gateway` NULL: the
 * Contribution is empty. */
Contribution *assemble(Arena *a, ObjectKey key, const EgGateway *gateway, EntryPlan *plans,
                       size_t n_plans, Claims *claims, const Contribution *before) MUST_USE;
