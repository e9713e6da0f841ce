/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* WayStatus: what is said of the way in from the tailnets of a TailscaleGateway: the condition
 * IngressServing. */

#include "model/condition.h"
#include "model/facts.h"
#include "model/gateway_spec.h"
#include "model/report.h"

/* False: no entry asks for a way in, and there is no such condition. `report` may be NULL. What
 * `ret` names stands in `text`, or is borrowed. */
bool way_status(const Report *report, const Facts *facts, const GatewaySpec *g, Condition *ret,
                Buf *text);
/* The facts of one entry: they begin there in `facts->serves` and end before `ret_end`. */
size_t way_facts(const Facts *facts, ObjectKey gateway, Str tailnet, size_t *ret_end);
