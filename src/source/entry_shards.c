/* SPDX-License-Identifier: Apache-2.0 */
#include "source/entry_shards.h"

static bool is_of(const EndpointsSpec *s, const GatewaySpec *g, const TailnetEntry *e)
{
        bool is_owned = s->owner.n == 0 || g->meta.uid.n == 0 || str_eq(s->owner, g->meta.uid);
        return is_owned && str_eq(s->meta.key.namespace, g->meta.key.namespace) &&
               str_eq(s->gateway, g->meta.key.name) && str_eq(s->tailnet, e->name) &&
               (s->source.n == 0 || str_eq(s->source, e->tailnet_name));
}

/* How many of them say that they are of so many. */
static size_t count(const EndpointsSpec *const *at, size_t n, unsigned shards)
{
        size_t same = 0;
        for (size_t i = 0; i < n; i++)
                same += at[i]->shards == shards;
        return same;
}

/* Keeps those that say `shards`, in their order. */
static size_t keep(const EndpointsSpec **at, size_t n, unsigned shards)
{
        size_t kept = 0;
        for (size_t i = 0; i < n; i++) {
                if (at[i]->shards == shards)
                        at[kept++] = at[i];
        }
        return kept;
}

size_t entry_shards_find(const Table *found, const GatewaySpec *g, const TailnetEntry *e,
                         const EndpointsSpec **at)
{
        size_t n = 0;
        TABLE_FOREACH (EndpointsSpec, s, found) {
                if (is_of(s, g, e))
                        at[n++] = s;
        }
        for (size_t i = 0; i < n; i++) {
                if (at[i]->shards > 0 && count(at, n, at[i]->shards) == at[i]->shards)
                        return keep(at, n, at[i]->shards);
        }
        /* Whoever writes does not tell: then what stands there is all. */
        return count(at, n, 0) == n ? n : 0;
}
