/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Failover: where the requests of a service go while all endpoints of its own tailnet are down
 * (routeGeneration.egress.failover): the endpoints of the same service, port and protocol in other
 * entries, each through that entry's proxies, and Services of the cluster. Envoy goes by its health
 * checks and comes back by them.
 */

#include "translate/entry_plan.h"

/* Sets the levels of every service of the plans [0, n), which are those of one Gateway; what cannot
 * be used is told as the entry's gap. */
void failover_link(Arena *a, const World *w, EntryPlan *plans, size_t n);
