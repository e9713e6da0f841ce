/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Table is itself a leaf: its array stands in its room. Sorting is a bottom-up merge, because
 * "the first of equal keys" needs a stable order and qsort promises none.
 */
#include "base/table.h"

#include "base/mem.h"

static void drop_table(Leaf *leaf)
{
        const Table *t = (const Table *)leaf;

        for (size_t i = 0; i < t->n; i++)
                leaf_unref(t->at[i]);
}

static bool is_sorted(const void **at, size_t n, TableOrder *order)
{
        for (size_t i = 1; i < n; i++) {
                if (order(at[i - 1], at[i]) > 0)
                        return false;
        }
        return true;
}

/* Merges the sorted runs [from, mid) and [mid, to) of `in` into the same place of `out`. */
static void merge(const void **in, const void **out, size_t from, size_t mid, size_t to,
                  TableOrder *order)
{
        size_t a = from, b = mid;

        for (size_t i = from; i < to; i++) {
                if (a < mid && (b >= to || order(in[a], in[b]) <= 0))
                        out[i] = in[a++];
                else
                        out[i] = in[b++];
        }
}

static size_t smaller(size_t a, size_t b)
{
        return a < b ? a : b;
}

static void sort(const void **at, size_t n, TableOrder *order)
{
        CLEANUP(mem_cleanup) const void **spare = NULL;
        const void **in = at, **out;

        if (is_sorted(at, n, order))
                return;
        spare = mem_new_array(n, sizeof(*at));
        out = spare;
        for (size_t width = 1; width < n; width *= 2) {
                const void **swap = in;

                for (size_t from = 0; from < n; from += 2 * width)
                        merge(in, out, from, smaller(from + width, n), smaller(from + 2 * width, n),
                              order);
                in = out;
                out = swap;
        }
        if (in != at)
                memcpy(at, in, n * sizeof(*at));
}

Table *table_new(const void **leaves, size_t n, TableOrder *order)
{
        Table *t;
        size_t kept = 0;

        INSIST(n <= UINT32_MAX / sizeof(*leaves) / 2);
        t = leaf_new(sizeof(Table), n * sizeof(*leaves) + _Alignof(max_align_t), drop_table);
        t->at = leaf_alloc(&t->leaf, n * sizeof(*leaves));
        if (n > 0)
                memcpy(t->at, leaves, n * sizeof(*leaves));
        sort(t->at, n, order);
        for (size_t i = 0; i < n; i++) {
                if (kept > 0 && order(t->at[kept - 1], t->at[i]) == 0)
                        leaf_unref(t->at[i]);
                else
                        t->at[kept++] = t->at[i];
        }
        t->n = kept;
        return t;
}

Table *table_update(const Table *old, const void **leaves, size_t n, TableOrder *order,
                    TableSame *same)
{
        Table *t = table_new(leaves, n, order);
        size_t reused = 0;

        for (size_t i = 0, j = 0; i < t->n && j < table_n(old);) {
                int r = t->at[i] == old->at[j] ? 0 : order(t->at[i], old->at[j]);

                if (r == 0 && (t->at[i] == old->at[j] || same(old->at[j], t->at[i]))) {
                        const void *was = leaf_ref(old->at[j]);

                        leaf_unref(t->at[i]);
                        t->at[i] = was;
                        reused++;
                }
                i += r <= 0;
                j += r >= 0;
        }
        if (old == NULL || reused != t->n || t->n != old->n)
                return t;
        table_unref(t);
        return table_ref(old);
}

ptrdiff_t table_index(const Table *t, const void *key, TableFind *find)
{
        size_t low = 0, high = table_n(t);

        while (low < high) {
                size_t mid = low + (high - low) / 2;
                int r = find(key, t->at[mid]);

                if (r == 0)
                        return (ptrdiff_t)mid;
                if (r < 0)
                        high = mid;
                else
                        low = mid + 1;
        }
        return -1;
}

const void *table_find(const Table *t, const void *key, TableFind *find)
{
        ptrdiff_t at = table_index(t, key, find);

        return at >= 0 ? t->at[at] : NULL;
}
