/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * OwnNodes: which devices of a tailnet are our own proxies, so that discovery never takes them: a
 * request would go round in a circle. They are the node of the tailscaled that is asked, and each
 * device that has the address of a proxy which is given as a literal.
 */

#include "model/world.h"

enum {
        OWN_NODES_MAX = 64, /* of one tailnet: 16 proxies are given at most, in two places */
};

typedef struct OwnNodes {
        Str at[OWN_NODES_MAX]; /* node ids, borrowed from the state */
        size_t n;
} OwnNodes;

/* `tailnet` and `state` may be NULL: then none is known. */
void own_nodes_find(const TailnetEntry *entry, const TailnetSpec *tailnet,
                    const TailnetState *state, OwnNodes *ret);
