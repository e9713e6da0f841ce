/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* ProbeState: from single probes to a verdict, by the thresholds of a user. Pure. */

#include "model/gateway_spec.h"
#include "model/probe_fact.h"

/* Counts one probe that ended at `now`. True where the verdict is another than before. The first
 * probe of all that succeeds is enough to be healthy. */
bool probe_state_add(ProbeFact *f, const ProbeRules *rules, bool ok, Wall now);
