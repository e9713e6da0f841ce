/* SPDX-License-Identifier: Apache-2.0 */
#include "model/service_spec.h"

int service_spec_order(const void *a, const void *b)
{
        const ServiceSpec *x = a, *y = b;

        return object_key_cmp(x->meta.key, y->meta.key);
}

int service_spec_find(const void *key, const void *leaf)
{
        const ServiceSpec *s = leaf;

        return object_key_cmp(*(const ObjectKey *)key, s->meta.key);
}

static bool port_same(const ServicePortSpec *a, const ServicePortSpec *b)
{
        return str_eq(a->name, b->name) && a->number == b->number && a->transport == b->transport &&
               str_eq(a->app_protocol, b->app_protocol);
}

bool service_spec_same(const void *a, const void *b)
{
        const ServiceSpec *x = a, *y = b;

        if (!object_meta_same(&x->meta, &y->meta) || !labels_same(x->labels, y->labels) ||
            x->n_ports != y->n_ports || !str_eq(x->tailnets, y->tailnets) ||
            !str_eq(x->host, y->host) || !str_eq(x->path, y->path) || !str_eq(x->port, y->port) ||
            !str_eq(x->protocol, y->protocol) || !str_eq(x->type, y->type) ||
            !str_eq(x->cluster_ip, y->cluster_ip))
                return false;
        for (size_t i = 0; i < x->n_ports; i++)
                if (!port_same(&x->ports[i], &y->ports[i]))
                        return false;
        return true;
}

/* Is `name` one of those that stand in `list` with any of `between` between them? */
static bool is_among(Str list, const char *between, Str name)
{
        size_t from = 0;

        for (size_t i = 0; i <= list.n; i++) {
                if (i < list.n && strchr(between, list.p[i]) == NULL)
                        continue;
                if (i > from && str_eq(str_sub(list, from, i - from), name))
                        return true;
                from = i + 1;
        }
        return false;
}

bool service_spec_names(const ServiceSpec *s, Str tailnet)
{
        return is_among(s->expose, ".", tailnet) || is_among(s->tailnets, ", ", tailnet);
}

bool service_spec_is_exposed(const ServiceSpec *s, Str tailnet, const LabelSelector *selector)
{
        bool selected = selector != NULL && label_selector_matches(selector, s->labels);

        if (str_eq(s->expose, STR("false")) ||
            (s->tailnets.n > 0 && !is_among(s->tailnets, ", ", tailnet)))
                return false;
        return selected || str_eq(s->expose, STR("true")) || is_among(s->expose, ".", tailnet);
}
