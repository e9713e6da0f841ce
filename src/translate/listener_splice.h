/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * ListenerSplice: one Listener of a request becomes one of the answer, with what its patches add.
 * Everything else is copied as it stands. Envoy Gateway 1.9 gives a TCP or TLS listener that no
 * route is attached to one filter chain, and a UDP one a udp_proxy, to a cluster without endpoints
 * ("EmptyCluster"): where that is there, nobody else has the listener.
 */

#include "translate/joined.h"
#include "translate/listener_patch.h"
#include "translate/splice.h"

/* A patch, and who is told what became of it. */
typedef struct ListenerPart {
        const ListenerPatch *patch;
        JoinTally *tally; /* is added to */
} ListenerPart;

typedef struct ListenerJob {
        Arena *arena;
        const ListenerPart *parts; /* all of this listener; in the order of Gateways */
        size_t n_parts;
        StrList taken;  /* names of clusters that somebody else has: what leads there is left out */
        uint32_t field; /* of the answer */
        Buf *answer;
} ListenerJob;

/* Appends the Listener to the answer as its field `field`. */
SpliceVerdict listener_splice(const ListenerJob *job, Str body);
