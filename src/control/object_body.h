/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* ObjectBody: what the plans of objects have in common: is it as wished, is a heartbeat due, what
 * is told of it. */

#include "control/plan.h"
#include "model/condition.h"

enum {
        OBJECT_BODY_MAX = 3 << 20, /* an API server takes 3 MiB, etcd 1.5 */
};

/* The digest that the object will have: of its status, else of all that is ours. `body` is JSON of
 * ours. */
Digest object_body_digest(Str body, bool of_status);
/* Says `body`, of a status, nothing else than what stands there but what may wait? */
bool object_body_is_calm(const Observed *o, Str body);
/* May lastSync move for its own sake? `fresh`: what it would be; `seen`: what stands there. Where
 * it will be later, the plan is made again then. */
bool object_sync_is_due(const PlanInput *in, Plan *p, Wall fresh, Wall seen);
/* What is told where conditions differ from those of `past`, once object `after` was written. */
void object_condition_events(Plan *p, size_t after, const Observed *regarding,
                             const Condition *conditions, size_t n, const Observed *past);
/* Is there a TailscaleGateway of which nothing is in force, because it is not valid? What it would
 * want is not known then. */
bool object_is_gateway_unknown(const PlanInput *in, ObjectKey gateway);
/* May such a one want this Gateway of Envoy Gateway? */
bool object_may_be_wanted(const PlanInput *in, ObjectKey eg_gateway);
