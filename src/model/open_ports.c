/* SPDX-License-Identifier: Apache-2.0 */
#include "model/open_ports.h"

OpenPorts *open_ports_new(const OpenPorts *from)
{
        OpenPorts *p = leaf_new(sizeof(*p),
                                leaf_room_str(from->gateway.namespace) +
                                        leaf_room_str(from->gateway.name) +
                                        leaf_room_str(from->tailnet) + leaf_room_str(from->node_id),
                                NULL);
        Leaf leaf = p->leaf;

        *p = *from;
        p->leaf = leaf;
        p->gateway.namespace = leaf_str(&p->leaf, from->gateway.namespace);
        p->gateway.name = leaf_str(&p->leaf, from->gateway.name);
        p->tailnet = leaf_str(&p->leaf, from->tailnet);
        p->node_id = leaf_str(&p->leaf, from->node_id);
        return p;
}

int open_ports_find(const void *key, const void *leaf)
{
        const OpenPortsKey *k = key;
        const OpenPorts *p = leaf;
        int c = object_key_cmp(k->gateway, p->gateway);

        if (c == 0)
                c = str_cmp(k->tailnet, p->tailnet);
        return c != 0 ? c : str_cmp(k->node_id, p->node_id);
}

int open_ports_order(const void *a, const void *b)
{
        const OpenPorts *x = a;
        const OpenPortsKey key = {x->gateway, x->tailnet, x->node_id};

        return open_ports_find(&key, b);
}

bool open_ports_same(const void *a, const void *b)
{
        const OpenPorts *x = a, *y = b;

        return open_ports_order(a, b) == 0 && x->n == y->n &&
               memcmp(x->ports, y->ports, x->n * sizeof(x->ports[0])) == 0;
}
