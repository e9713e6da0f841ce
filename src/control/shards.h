/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Shards: how the endpoints of one entry are spread over TailscaleEndpoints objects of at most
 * ENDPOINTS_MAX. A member's shard follows from the member alone and the number of shards, which is
 * a power of two: one that joins or leaves rewrites one object, not all behind it.
 */

#include "base/arena.h"
#include "model/endpoints_spec.h"

enum {
        SHARDS_MAX = 1024
};

typedef struct Shards {
        const Endpoint **at; /* arena; shard by shard, within one in the Table's order */
        size_t *from;        /* n + 1 offsets */
        size_t n;            /* shards, at least one */
} Shards;

/* `endpoints` is a Table of Endpoint; NULL is none. */
Shards shards_of(Arena *arena, const Table *endpoints);
