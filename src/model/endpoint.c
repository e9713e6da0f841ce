/* SPDX-License-Identifier: Apache-2.0 */
#include "model/endpoint.h"

static int number_order(unsigned a, unsigned b)
{
        return a < b ? -1 : a > b;
}

Str endpoint_service_label(Str short_name, char buf[SERVICE_LABEL_MAX])
{
        size_t n = 0, from = 0;

        for (size_t i = 0; i < short_name.n && n < SERVICE_LABEL_MAX; i++) {
                char c = short_name.p[i];

                if (c >= 'A' && c <= 'Z')
                        c = (char)(c + ('a' - 'A'));
                buf[n++] = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '-';
        }
        while (n > 0 && buf[n - 1] == '-')
                n--;
        while (from < n && buf[from] == '-')
                from++;
        return str_make(buf + from, n - from);
}

bool endpoint_is_grouped(const Endpoint *e)
{
        char label[SERVICE_LABEL_MAX];

        return e->origin == ENDPOINT_DISCOVERED && e->short_name.n > 0 &&
               !str_eq(e->service, endpoint_service_label(e->short_name, label));
}

int endpoint_order(const void *a, const void *b)
{
        const Endpoint *x = a, *y = b;
        int c = str_cmp(x->service, y->service);

        if (c == 0)
                c = number_order(x->port, y->port);
        if (c == 0)
                c = number_order(x->protocol, y->protocol);
        if (c == 0)
                c = str_cmp(x->ip, y->ip);
        return c != 0 ? c : str_cmp(x->node_id, y->node_id);
}

bool endpoint_same(const void *a, const void *b)
{
        const Endpoint *x = a, *y = b;

        return endpoint_order(x, y) == 0 && str_eq(x->fqdn, y->fqdn) &&
               str_eq(x->short_name, y->short_name) && str_eq(x->port_source, y->port_source) &&
               str_eq(x->rule, y->rule) && str_eq(x->health, y->health) &&
               str_eq(x->health_text, y->health_text) && strlist_eq(x->tags, y->tags) &&
               x->weight == y->weight && x->origin == y->origin && x->held == y->held;
}

Endpoint *endpoint_new(const Endpoint *from)
{
        size_t room = leaf_room_str(from->service) + leaf_room_str(from->ip) +
                      leaf_room_str(from->fqdn) + leaf_room_str(from->node_id) +
                      leaf_room_str(from->short_name) + leaf_room_str(from->port_source) +
                      leaf_room_str(from->rule) + leaf_room_str(from->health) +
                      leaf_room_str(from->health_text) + leaf_room_strlist(from->tags);
        Endpoint *e = leaf_new(sizeof(*e), room, NULL);
        Leaf leaf = e->leaf;

        *e = *from;
        e->leaf = leaf;
        e->tags = leaf_strlist(&e->leaf, from->tags);
        e->service = leaf_str(&e->leaf, from->service);
        e->ip = leaf_str(&e->leaf, from->ip);
        e->fqdn = leaf_str(&e->leaf, from->fqdn);
        e->node_id = leaf_str(&e->leaf, from->node_id);
        e->short_name = leaf_str(&e->leaf, from->short_name);
        e->port_source = leaf_str(&e->leaf, from->port_source);
        e->rule = leaf_str(&e->leaf, from->rule);
        e->health = leaf_str(&e->leaf, from->health);
        e->health_text = leaf_str(&e->leaf, from->health_text);
        return e;
}
