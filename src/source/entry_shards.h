/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * EntryShards: which of the TailscaleEndpoints that stand at an API server are those of one
 * tailnets[] entry, written by whoever leads. Pure.
 */

#include "model/endpoints_spec.h"
#include "model/gateway_spec.h"

/* Those of the entry into `at` (room for all of `found`); returns how many. They are of this
 * TailscaleGateway (not of one of the same name that is gone), found in the TailscaleTailnet that
 * the entry refers to now, and all that it stands in: while it is being written anew in more or
 * fewer objects, what was whole before is still there, or else it is none. */
size_t entry_shards_find(const Table *found, const GatewaySpec *g, const TailnetEntry *e,
                         const EndpointsSpec **at);
