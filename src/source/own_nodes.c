/* SPDX-License-Identifier: Apache-2.0 */
#include "source/own_nodes.h"

#include "model/cidr.h"

enum {
        PROXIES_MAX = 32, /* what both lists may hold together */
};

typedef struct Addresses {
        char text[PROXIES_MAX][IP_TEXT]; /* canonical, as a device's are */
        size_t n;
} Addresses;

/* "IP:port" or "[IP]:port" with an address that a device may have; names and sockets have none. */
static void add_address(Addresses *a, Str proxy)
{
        bool is_v6 = str_starts(proxy, STR("["));
        ptrdiff_t end = str_find(proxy, is_v6 ? ']' : ':');
        IpAddr ip;
        if (end < 0 || a->n == PROXIES_MAX)
                return;
        Str host = str_sub(proxy, is_v6, (size_t)end - is_v6);
        if (ip_parse(host, &ip) && ip_is_tailnet(&ip))
                ip_format(&ip, a->text[a->n++]);
}

static void add_addresses(Addresses *a, StrList proxies)
{
        for (size_t i = 0; i < proxies.n; i++)
                add_address(a, proxies.at[i]);
}

static void add_node(OwnNodes *own, Str node_id)
{
        if (own->n < OWN_NODES_MAX)
                own->at[own->n++] = node_id;
}

static bool has_address(const Device *d, const Addresses *a)
{
        for (size_t i = 0; i < a->n; i++) {
                if (str_eq(d->ip4, str_of(a->text[i])) || str_eq(d->ip6, str_of(a->text[i])))
                        return true;
        }
        return false;
}

void own_nodes_find(const TailnetEntry *entry, const TailnetSpec *tailnet,
                    const TailnetState *state, OwnNodes *ret)
{
        Addresses a = {.n = 0};
        ret->n = 0;
        if (state == NULL)
                return;
        if (state->self_node.n > 0)
                add_node(ret, state->self_node);
        add_addresses(&a, entry->connectivity.proxies);
        if (tailnet != NULL)
                add_addresses(&a, tailnet->proxies);
        if (a.n == 0)
                return;
        TABLE_FOREACH (Device, d, state->devices) {
                if (has_address(d, &a))
                        add_node(ret, d->node_id);
        }
}
