/* SPDX-License-Identifier: Apache-2.0 */
#include "model/reference_grant.h"

int reference_grant_order(const void *a, const void *b)
{
        const ReferenceGrant *x = a, *y = b;

        return object_key_cmp(x->meta.key, y->meta.key);
}

static bool from_same(const GrantFrom *a, const GrantFrom *b)
{
        return str_eq(a->group, b->group) && str_eq(a->kind, b->kind) &&
               str_eq(a->namespace, b->namespace);
}

bool reference_grant_same(const void *a, const void *b)
{
        const ReferenceGrant *x = a, *y = b;

        if (!object_meta_same(&x->meta, &y->meta) || x->n_from != y->n_from ||
            !strlist_eq(x->services, y->services))
                return false;
        for (size_t i = 0; i < x->n_from; i++)
                if (!from_same(&x->from[i], &y->from[i]))
                        return false;
        return true;
}

bool reference_grant_is_from(const ReferenceGrant *g, const GrantFrom *from)
{
        for (size_t i = 0; i < g->n_from; i++)
                if (from_same(&g->from[i], from))
                        return true;
        return false;
}

static bool is_to(const ReferenceGrant *g, Str service)
{
        for (size_t i = 0; i < g->services.n; i++)
                if (g->services.at[i].n == 0 || str_eq(g->services.at[i], service))
                        return true;
        return false;
}

bool reference_grants_permit(const Table *grants, const GrantFrom *from, ObjectKey service)
{
        if (str_eq(from->namespace, service.namespace))
                return true;
        TABLE_FOREACH (ReferenceGrant, g, grants)
                if (str_eq(g->meta.key.namespace, service.namespace) && is_to(g, service.name) &&
                    reference_grant_is_from(g, from))
                        return true;
        return false;
}
