/* SPDX-License-Identifier: Apache-2.0 */
#include "model/object_fault.h"

static int cmp(ObservedKind a, ObjectKey x, ObservedKind b, ObjectKey y)
{
        return a != b ? (a < b ? -1 : 1) : object_key_cmp(x, y);
}

int object_fault_order(const void *a, const void *b)
{
        const ObjectFault *x = a, *y = b;
        return cmp(x->kind, x->key, y->kind, y->key);
}

int object_fault_find(const void *key, const void *leaf)
{
        const ObservedKey *k = key;
        const ObjectFault *f = leaf;
        return cmp(k->kind, k->key, f->kind, f->key);
}

bool object_fault_same(const void *a, const void *b)
{
        const ObjectFault *x = a, *y = b;
        return x->generation == y->generation && str_eq(x->text, y->text) &&
               object_key_eq(x->gateway, y->gateway);
}
