/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Joined: what several Gateways add to one RouteConfiguration, as if one did. Envoy Gateway puts
 * all Gateways of a class whose EnvoyProxy says mergeGateways into one Envoy, where HTTP listeners
 * of one port share a RouteConfiguration; without that there is one part.
 */

#include "base/arena.h"
#include "base/map.h"
#include "model/answer_gap.h"
#include "translate/contribution.h"

/* What became of one Gateway's. */
typedef struct JoinTally {
        uint64_t hosts, paths; /* put in; names of TLS listeners are hosts, too */
        uint64_t ports;        /* listeners of TCP and UDP that lead to a service */
        GapNotes gaps;         /* left out; borrowed from the Target and the request */
} JoinTally;

typedef struct JoinPart {
        ObjectKey gateway;
        const Target *target; /* not NULL */
        JoinTally *tally;     /* is added to */
} JoinPart;

typedef struct JoinedGroup {
        const PathGroup *group;
        size_t part;
} JoinedGroup;

typedef struct Joined {
        const JoinPart *parts; /* borrowed */
        size_t n_parts;
        const Pack **hosts; /* each name once; borrowed */
        size_t n_hosts;
        const uint32_t *part_of; /* each host's part; NULL: all are the first one's */
        const HostIndex *index;  /* of `hosts`; NULL: `own` has them, to their places */
        JoinedGroup *groups;     /* in the order of parts */
        size_t n_groups;
        Map own;
} Joined;

/* One that wants a host, or a path in one. */
typedef struct JoinClaim {
        const Pack *pack;
        size_t part;
        Wall oldest; /* of its namespace among those that want the same: set by joined_settle */
} JoinClaim;

/* `parts` in an order of their own that every process has (that of Gateways). A host that several
 * of them have is the one's that joined_settle puts first; the others are told. To be ended by
 * joined_done before what `parts` and `arena` hold goes; not moved in between. */
void joined_init(Joined *j, Arena *arena, const JoinPart *parts, size_t n);
void joined_done(Joined *j);
/* Sorts those that want the same thing, the winner first: as claims.c has it, of several namespaces
 * that of the oldest claimant, within one by priority, age and name of the TailscaleGateway. */
void joined_settle(JoinClaim *at, size_t n);
const JoinPart *joined_part(const Joined *j, size_t host);
/* The index of the host of that name (in lower case); SIZE_MAX: none. */
size_t joined_find(const Joined *j, Str name);
