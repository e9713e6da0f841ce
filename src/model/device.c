/* SPDX-License-Identifier: Apache-2.0 */
#include "model/device.h"

int device_order(const void *a, const void *b)
{
        const Device *x = a, *y = b;

        return str_cmp(x->node_id, y->node_id);
}

int device_find(const void *key, const void *leaf)
{
        const Device *d = leaf;

        return str_cmp(*(const Str *)key, d->node_id);
}

bool device_same(const void *a, const void *b)
{
        const Device *x = a, *y = b;

        return str_eq(x->node_id, y->node_id) && str_eq(x->name, y->name) &&
               str_eq(x->short_name, y->short_name) && str_eq(x->ip4, y->ip4) &&
               str_eq(x->ip6, y->ip6) && str_eq(x->os, y->os) && str_eq(x->user, y->user) &&
               strlist_eq(x->tags, y->tags) && x->online == y->online &&
               x->last_seen.ms == y->last_seen.ms && x->expires.ms == y->expires.ms &&
               x->authorized == y->authorized && x->external == y->external &&
               x->blocks_incoming == y->blocks_incoming && str_eq(x->lock_error, y->lock_error);
}
