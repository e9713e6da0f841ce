/* SPDX-License-Identifier: Apache-2.0 */
#include "model/binding_spec.h"

int binding_spec_order(const void *a, const void *b)
{
        const BindingSpec *x = a, *y = b;

        return object_key_cmp(x->meta.key, y->meta.key);
}

int binding_spec_find(const void *key, const void *leaf)
{
        const BindingSpec *s = leaf;

        return object_key_cmp(*(const ObjectKey *)key, s->meta.key);
}

bool binding_spec_same(const void *a, const void *b)
{
        const BindingSpec *x = a, *y = b;

        return object_meta_same(&x->meta, &y->meta) && str_eq(x->revision, y->revision) &&
               x->attempt == y->attempt;
}
