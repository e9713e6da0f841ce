/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* DiscoverPage: what `discover` tells of one World, as JSON. Pure. */

#include "base/buf.h"
#include "model/world.h"

enum {
        DISCOVER_PAGE_FOUND_MAX = 5000, /* devices told of one entry, those taken first */
};

typedef struct DiscoverPage {
        const World *world;
        Str tailnet;  /* tailnets[].name or TailscaleTailnet that alone is told of; empty: all */
        bool explain; /* what each rule matches, too */
} DiscoverPage;

/* {"tailnets": [{namespace, name, sync, error, devices, services, warning}], "entries":
 * [{namespace, gateway, tailnet, foundTotal, leftOutTotal, found: [{name, nodeID, kind, address,
 * os, owner, tags, taken, rule, reason, text, health, endpoints: [{service, port, protocol,
 * portSource}]}], rules:
 * [{field, value, matches, names}]}]}. Appends to `out`. */
void discover_page(const DiscoverPage *p, Buf *out);
