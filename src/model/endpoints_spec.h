/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* TailscaleEndpoints: a user's static ones, or ours as they were written (the cache at start). */

#include "base/instant.h"
#include "model/endpoint.h"
#include "model/object.h"

typedef struct EndpointsSpec {
        Leaf leaf;
        ObjectMeta meta;
        Str tailnet;  /* spec.tailnet: the name of a tailnets[] entry */
        bool ingress; /* spec.direction: what stands here is what the tailnet is led to */
        Str gateway;  /* label gateway.tailscale.com/gateway: set on ours, empty on a user's. Of an
                         API server an object is ours only where that TailscaleGateway owns it */
        Str owner;    /* the uid of that owner, or empty */
        const Endpoint *const *endpoints; /* each with one reference of this leaf */
        size_t n;                         /* at most ENDPOINTS_MAX */
        Str source;      /* of ours: the TailscaleTailnet that they were found in; may be empty */
        Str suffix;      /* of ours: the MagicDNS suffix there; may be empty */
        unsigned shards; /* of ours: in how many objects its entry stands; 0: not told */
        /* status.held, read back from ours only */
        unsigned held_n; /* 0: not told */
        unsigned held_confirmations;
        Str held_digest;
        Str held_reason;      /* may be empty */
        Wall last_sync;       /* status.lastSync of ours; 0: none */
        Wall next_key_expiry; /* status.nextKeyExpiry of ours; 0: none */
} EndpointsSpec;

enum {
        ENDPOINTS_MAX = 250
};

int endpoints_spec_order(const void *a, const void *b);
bool endpoints_spec_same(const void *a, const void *b);
/* For the `drop` of leaf_new. */
void endpoints_spec_drop(Leaf *leaf);
/* Of an object that was read again, both EndpointsSpecs: endpoints of `fresh`, which nobody else
 * has yet, that say what one of `old` says become that one. */
void endpoints_spec_share(const void *fresh, const void *old);

/* What spec may hold, and where it goes: an EndpointsFields. */
extern const struct Schema endpoints_spec_schema;

typedef struct EndpointsFields {
        Leaf leaf;
        Str tailnet;
        unsigned direction;  /* 1: Ingress */
        Endpoint *endpoints; /* their leaves are not used */
        size_t n;
} EndpointsFields;
