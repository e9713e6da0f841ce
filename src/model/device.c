/* SPDX-License-Identifier: Apache-2.0 */
#include "model/device.h"

Device *device_new(const Device *from)
{
        size_t room = leaf_room_str(from->node_id) + leaf_room_str(from->name) +
                      leaf_room_str(from->short_name) + leaf_room_str(from->ip4) +
                      leaf_room_str(from->ip6) + leaf_room_str(from->os) +
                      leaf_room_str(from->user) + leaf_room_str(from->lock_error) +
                      leaf_room_strlist(from->tags);
        Device *d = leaf_new(sizeof(*d), room, NULL);
        Leaf leaf = d->leaf;

        *d = *from;
        d->leaf = leaf;
        d->tags = leaf_strlist(&d->leaf, from->tags);
        d->node_id = leaf_str(&d->leaf, from->node_id);
        d->name = leaf_str(&d->leaf, from->name);
        d->short_name = leaf_str(&d->leaf, from->short_name);
        d->ip4 = leaf_str(&d->leaf, from->ip4);
        d->ip6 = leaf_str(&d->leaf, from->ip6);
        d->os = leaf_str(&d->leaf, from->os);
        d->user = leaf_str(&d->leaf, from->user);
        d->lock_error = leaf_str(&d->leaf, from->lock_error);
        return d;
}

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
               x->still_valid == y->still_valid && x->authorized == y->authorized &&
               x->external == y->external && x->blocks_incoming == y->blocks_incoming &&
               x->multiple_connections == y->multiple_connections && x->sight == y->sight &&
               str_eq(x->lock_error, y->lock_error);
}
