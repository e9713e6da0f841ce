/* SPDX-License-Identifier: Apache-2.0 */
#include "model/tailnet_service.h"

TailnetService *tailnet_service_new(const TailnetService *from)
{
        size_t room = leaf_room_str(from->name) + leaf_room_str(from->label) +
                      leaf_room_str(from->ip4) + leaf_room_str(from->ip6) +
                      leaf_room_strlist(from->ports) + leaf_room_strlist(from->tags) +
                      leaf_room_strlist(from->hosts);
        TailnetService *s = leaf_new(sizeof(*s), room, NULL);
        Leaf leaf = s->leaf;

        *s = *from;
        s->leaf = leaf;
        s->ports = leaf_strlist(&s->leaf, from->ports);
        s->tags = leaf_strlist(&s->leaf, from->tags);
        s->hosts = leaf_strlist(&s->leaf, from->hosts);
        s->name = leaf_str(&s->leaf, from->name);
        s->label = leaf_str(&s->leaf, from->label);
        s->ip4 = leaf_str(&s->leaf, from->ip4);
        s->ip6 = leaf_str(&s->leaf, from->ip6);
        return s;
}

int tailnet_service_order(const void *a, const void *b)
{
        const TailnetService *x = a, *y = b;

        return str_cmp(x->name, y->name);
}

int tailnet_service_find(const void *key, const void *leaf)
{
        const TailnetService *s = leaf;

        return str_cmp(*(const Str *)key, s->name);
}

bool tailnet_service_same(const void *a, const void *b)
{
        const TailnetService *x = a, *y = b;

        return str_eq(x->name, y->name) && str_eq(x->label, y->label) && str_eq(x->ip4, y->ip4) &&
               str_eq(x->ip6, y->ip6) && strlist_eq(x->ports, y->ports) &&
               strlist_eq(x->tags, y->tags) && x->hosts_known == y->hosts_known &&
               strlist_eq(x->hosts, y->hosts) && x->n_hosts == y->n_hosts;
}
