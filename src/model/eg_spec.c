/* SPDX-License-Identifier: Apache-2.0 */
#include "model/eg_spec.h"

int eg_gateway_order(const void *a, const void *b)
{
        const EgGateway *x = a, *y = b;

        return object_key_cmp(x->meta.key, y->meta.key);
}

int eg_gateway_find(const void *key, const void *leaf)
{
        const EgGateway *g = leaf;

        return object_key_cmp(*(const ObjectKey *)key, g->meta.key);
}

static bool listener_same(const EgListener *a, const EgListener *b)
{
        return str_eq(a->name, b->name) && a->port == b->port && a->protocol == b->protocol &&
               str_eq(a->hostname, b->hostname) && a->from == b->from && a->kinds == b->kinds &&
               a->passthrough == b->passthrough && str_eq(a->bad_kind, b->bad_kind) &&
               a->is_conflicted == b->is_conflicted &&
               label_selector_same(&a->selector, &b->selector);
}

bool eg_gateway_same(const void *a, const void *b)
{
        const EgGateway *x = a, *y = b;

        if (!object_meta_same(&x->meta, &y->meta) || x->n_listeners != y->n_listeners ||
            !str_eq(x->address, y->address))
                return false;
        for (size_t i = 0; i < x->n_listeners; i++)
                if (!listener_same(&x->listeners[i], &y->listeners[i]))
                        return false;
        return true;
}

int eg_route_order(const void *a, const void *b)
{
        const EgRoute *x = a, *y = b;
        int c = str_cmp(x->kind, y->kind);

        return c != 0 ? c : object_key_cmp(x->meta.key, y->meta.key);
}

static bool parent_same(const EgParent *a, const EgParent *b)
{
        return object_key_eq(a->gateway, b->gateway) && str_eq(a->section_name, b->section_name) &&
               a->port == b->port;
}

bool eg_route_same(const void *a, const void *b)
{
        const EgRoute *x = a, *y = b;

        if (!str_eq(x->kind, y->kind) || x->made != y->made ||
            !object_meta_same(&x->meta, &y->meta) || !strlist_eq(x->hostnames, y->hostnames) ||
            x->n_parents != y->n_parents)
                return false;
        for (size_t i = 0; i < x->n_parents; i++)
                if (!parent_same(&x->parents[i], &y->parents[i]))
                        return false;
        return true;
}

int eg_namespace_order(const void *a, const void *b)
{
        const EgNamespace *x = a, *y = b;

        return str_cmp(x->name, y->name);
}

int eg_namespace_find(const void *key, const void *leaf)
{
        const EgNamespace *n = leaf;

        return str_cmp(*(const Str *)key, n->name);
}

bool eg_namespace_same(const void *a, const void *b)
{
        const EgNamespace *x = a, *y = b;

        return str_eq(x->name, y->name) && labels_same(x->labels, y->labels);
}
