/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Table: leaves in order, immutable, shared by reference. A sync that changed
 * nothing keeps the old Table, so two Tables are compared by pointer first.
 */

#include "base/leaf.h"

typedef struct Table {
        Leaf leaf;
        size_t n;
        const void **at; /* sorted by the maker's order; each holds one reference */
} Table;

/* Total order of two leaves; 0 only for the same key. */
typedef int TableOrder(const void *a, const void *b);
/* Order of a key and a leaf. */
typedef int TableFind(const void *key, const void *leaf);
/* Do two leaves of one key mean the same? */
typedef bool TableSame(const void *a, const void *b);

/* Takes over the references in `leaves` (not the array), sorts them by `order`, drops all but the
 * first of equal keys. */
Table *table_new(const void **leaves, size_t n, TableOrder *order) MUST_USE;
/* As table_new, but keeps what did not change: leaves of `old` that are `same` are used again, and
 * where all are, `old` itself comes back with one more reference. `old` may be NULL. */
Table *table_update(const Table *old, const void **leaves, size_t n, TableOrder *order,
                    TableSame *same) MUST_USE;
/* The leaf with that key, borrowed, or NULL. `t` may be NULL. */
const void *table_find(const Table *t, const void *key, TableFind *find);
/* Where it stands in `at`, or -1. */
ptrdiff_t table_index(const Table *t, const void *key, TableFind *find);
/* Number of leaves; 0 for NULL. */
static inline size_t table_n(const Table *t)
{
        return t != NULL ? t->n : 0;
}
static inline const void *table_at(const Table *t, size_t i)
{
        return t->at[i];
}
static inline Table *table_ref(const Table *t)
{
        return leaf_ref(t);
}
static inline Table *table_unref(const Table *t)
{
        return leaf_unref(t);
}

/* for (each `const type *var` of `t`); `t` may be NULL. `break` and `continue` do what they say:
 * `in_` is 1 from when a body begins until it has ended, so a body that is left ends both loops. */
#define TABLE_FOREACH(type, var, t)                                                          \
        for (size_t i_##var = 0, in_##var = 0; !in_##var && i_##var < table_n(t); i_##var++) \
                for (const type *var = (in_##var = 1, table_at((t), i_##var));               \
                     (void)var, in_##var; in_##var = 0)
