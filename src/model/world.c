/* SPDX-License-Identifier: Apache-2.0 */
#include "model/world.h"

int tailnet_state_order(const void *a, const void *b)
{
        const TailnetState *x = a, *y = b;

        return object_key_cmp(x->key, y->key);
}

bool tailnet_state_same(const void *a, const void *b)
{
        const TailnetState *x = a, *y = b;

        return x->sync == y->sync && x->partial == y->partial && x->devices == y->devices &&
               x->services == y->services && x->services_partial == y->services_partial &&
               str_eq(x->error_reason, y->error_reason) && str_eq(x->error_text, y->error_text) &&
               str_eq(x->suffix, y->suffix) && str_eq(x->self_node, y->self_node) &&
               str_eq(x->scopes, y->scopes) && str_eq(x->warning, y->warning);
}

int tailnet_state_find(const void *key, const void *leaf)
{
        const TailnetState *s = leaf;

        return object_key_cmp(*(const ObjectKey *)key, s->key);
}

int entry_view_order(const void *a, const void *b)
{
        const EntryView *x = a, *y = b;
        int c = object_key_cmp(x->gateway, y->gateway);

        return c != 0 ? c : str_cmp(x->tailnet, y->tailnet);
}

int entry_view_find(const void *key, const void *leaf)
{
        const EntryKey *k = key;
        const EntryView *v = leaf;
        int c = object_key_cmp(k->gateway, v->gateway);

        return c != 0 ? c : str_cmp(k->tailnet, v->tailnet);
}

int proxy_name_order(const void *a, const void *b)
{
        return str_cmp(((const ProxyName *)a)->name, ((const ProxyName *)b)->name);
}

int proxy_name_find(const void *key, const void *leaf)
{
        return str_cmp(*(const Str *)key, ((const ProxyName *)leaf)->name);
}

bool proxy_name_same(const void *a, const void *b)
{
        const ProxyName *x = a, *y = b;

        return str_eq(x->name, y->name) && strlist_eq(x->addresses, y->addresses);
}

void tailnet_state_drop(Leaf *leaf)
{
        const TailnetState *s = (const TailnetState *)leaf;

        table_unref(s->devices);
        table_unref(s->services);
}

void entry_view_drop(Leaf *leaf)
{
        const EntryView *v = (const EntryView *)leaf;

        table_unref(v->endpoints);
        leaf_unref(v->left_out);
}

void world_drop(Leaf *leaf)
{
        const World *w = (const World *)leaf;

        table_unref(w->tailnets);
        table_unref(w->gateways);
        table_unref(w->eg_gateways);
        table_unref(w->eg_routes);
        table_unref(w->namespaces);
        table_unref(w->services);
        table_unref(w->grants);
        table_unref(w->statics);
        table_unref(w->tailnet_states);
        table_unref(w->entries);
        table_unref(w->bindings);
        table_unref(w->proxy_names);
        table_unref(w->trust);
        leaf_unref(w->policy);
}

World *world_new_empty(void)
{
        World *w = leaf_new(sizeof(*w), 0, world_drop);

        w->tailnets = table_new(NULL, 0, tailnet_spec_order);
        w->gateways = table_new(NULL, 0, gateway_spec_order);
        w->eg_gateways = table_new(NULL, 0, eg_gateway_order);
        w->eg_routes = table_new(NULL, 0, eg_route_order);
        w->tailnet_states = table_new(NULL, 0, tailnet_state_order);
        w->entries = table_new(NULL, 0, entry_view_order);
        w->proxy_names = table_new(NULL, 0, proxy_name_order);
        return w;
}
