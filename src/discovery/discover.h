/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Discover: (devices, rules, what was there before, now) -> endpoints with reasons. Pure. The only
 * place that decides by the clock (expiry, health thresholds) and the only place that removes,
 * behind the guard.
 */

#include "model/world.h"

enum {
        /* Of one tailnets[] entry. More hosts on one Gateway than these no Envoy carries; what is
         * beyond is left out with the reason "TooMany". */
        DISCOVER_DEVICES_MAX = 20000,
        DISCOVER_ENDPOINTS_MAX = 20000,
};

typedef struct DiscoverInput {
        const GatewaySpec *gateway;
        const TailnetEntry *entry;           /* of `gateway` */
        const TailnetSpec *tailnet;          /* NULL: the reference does not resolve */
        const TailnetState *state;           /* of that tailnet; NULL: never polled */
        const EndpointsSpec *const *statics; /* the user's of this namespace and tailnets[] name,
                                                sorted */
        size_t n_statics;
        const EntryView
                *before; /* what is in force, or what was read back at start; NULL: nothing */
        const LeftOutList *left_out; /* of another entry: what says the same is that; NULL */
        const Table *open_ports;     /* of OpenPorts; NULL: nothing was looked for */
        const Policy *policy;        /* NULL: all is permitted */
        StrList own_nodes;           /* node ids or short names of our own proxies, never taken */
        Wall now;
} DiscoverInput;

/* What is in force from now on. Returns `before` with one more reference where nothing changed.
 * Never NULL. */
EntryView *discover_entry(const DiscoverInput *given) MUST_USE;

/* Lets the held removal of `before` through where `digest` is its digest: a view without the held
 * endpoints; else NULL, also where it was read back and no answer has told yet what it is about. */
EntryView *discover_approve(const EntryView *before, Str digest) MUST_USE;

/* The EntryView that the cache tells of: our own TailscaleEndpoints of one entry, read back at
 * start. */
EntryView *discover_from_cache(ObjectKey gateway, Str tailnet, const EndpointsSpec *const *shards,
                               size_t n) MUST_USE;

/* What is in force where another process discovers: what it wrote of the entry, as it wrote it,
 * with the user's static endpoints; addresses are judged anew. Of `in` neither state nor open_ports
 * are looked at. Without shards what was in force before stays: nobody says that it is gone.
 * Returns `before` with one more reference where nothing changed. */
EntryView *discover_follow(const DiscoverInput *in, const EndpointsSpec *const *shards,
                           size_t n) MUST_USE;
