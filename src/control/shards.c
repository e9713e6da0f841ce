/* SPDX-License-Identifier: Apache-2.0 */
#include "control/shards.h"

#include "base/digest.h"

static uint32_t hash_of(const Endpoint *e)
{
        Digester *d = digester_new();
        digester_add(d, e->service);
        digester_add(d, e->ip);
        digester_add_u64(d, e->port);
        digester_add_u64(d, e->protocol);
        Digest digest = digester_finish(d);
        uint32_t hash;
        memcpy(&hash, digest.b, sizeof hash);
        return hash;
}

/* The number of shards is a power of two, so a mask is the remainder. Counts into from[1…n]; is any
 * shard above what one object may hold? */
static bool is_too_full(Shards *s, const uint32_t *hashes, size_t n_endpoints)
{
        bool full = false;
        memset(s->from, 0, (SHARDS_MAX + 1) * sizeof *s->from);
        for (size_t i = 0; i < n_endpoints; i++)
                full |= ++s->from[(hashes[i] & (s->n - 1)) + 1] > ENDPOINTS_MAX;
        return full;
}

Shards shards_of(Arena *arena, const Table *endpoints)
{
        size_t n = table_n(endpoints);
        Shards s = {.n = 1};
        s.at = arena_new_array(arena, n + 1, sizeof *s.at);
        s.from = arena_new_array(arena, SHARDS_MAX + 1, sizeof *s.from);
        uint32_t *hashes = arena_new_array(arena, n + 1, sizeof *hashes);
        for (size_t i = 0; n > ENDPOINTS_MAX && i < n; i++)
                hashes[i] = hash_of(endpoints->at[i]);
        while (is_too_full(&s, hashes, n) && s.n < SHARDS_MAX)
                s.n *= 2;
        for (size_t i = 0; i < s.n; i++)
                s.from[i + 1] += s.from[i];
        size_t *next = arena_new_array(arena, s.n, sizeof *next);
        memcpy(next, s.from, s.n * sizeof *next);
        for (size_t i = 0; i < n; i++)
                s.at[next[hashes[i] & (s.n - 1)]++] = endpoints->at[i];
        return s;
}
