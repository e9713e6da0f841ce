/* SPDX-License-Identifier: Apache-2.0 */
#include "model/left_out.h"

#include "base/mem.h"

#include <stdlib.h>

typedef struct LeftOutWhom {
        Leaf leaf;
        Str node_id, name;
} LeftOutWhom;

typedef struct LeftOutWhy {
        Leaf leaf;
        Str reason, text;
} LeftOutWhy;

struct LeftOutList {
        Leaf leaf;
        size_t n;
        LeftOutRow *rows;
};

static LeftOut told(const LeftOutRow *r)
{
        return (LeftOut){r->whom->node_id, r->whom->name, r->why->reason, r->why->text};
}

static int whom_order(const LeftOut *a, const LeftOut *b)
{
        int c = str_cmp(a->name, b->name);

        return c != 0 ? c : str_cmp(a->node_id, b->node_id);
}

static int why_order(const LeftOut *a, const LeftOut *b)
{
        int c = str_cmp(a->reason, b->reason);

        return c != 0 ? c : str_cmp(a->text, b->text);
}

static int row_order(const void *a, const void *b)
{
        const LeftOutRow *x = a, *y = b;
        LeftOut p = told(x), q = told(y);
        int c = x->whom == y->whom ? 0 : whom_order(&p, &q);

        return c != 0 || x->why == y->why ? c : why_order(&p, &q);
}

/* ---- rows ---- */

static const LeftOutWhom *whom_new(const LeftOut *like)
{
        size_t room = leaf_room_str(like->node_id) + leaf_room_str(like->name);
        LeftOutWhom *w = leaf_new(sizeof(*w), room, NULL);

        w->node_id = leaf_str(&w->leaf, like->node_id);
        w->name = leaf_str(&w->leaf, like->name);
        return w;
}

static const LeftOutWhy *why_new(const LeftOut *like)
{
        size_t room = leaf_room_str(like->reason) + leaf_room_str(like->text);
        LeftOutWhy *w = leaf_new(sizeof(*w), room, NULL);

        w->reason = leaf_str(&w->leaf, like->reason);
        w->text = leaf_str(&w->leaf, like->text);
        return w;
}

/* The first row of that device, or where it would stand. */
static size_t seek(const LeftOutList *list, const LeftOut *like)
{
        size_t low = 0, high = left_out_n(list);

        while (low < high) {
                size_t mid = low + (high - low) / 2;
                LeftOut at = told(&list->rows[mid]);

                if (whom_order(&at, like) < 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        return low;
}

/* Takes of `list` what is not known yet. */
static void look_in(const LeftOutList *list, const LeftOut *like, LeftOutRow *row)
{
        for (size_t i = seek(list, like); i < left_out_n(list); i++) {
                LeftOut at = told(&list->rows[i]);

                if (whom_order(&at, like) != 0)
                        return;
                if (row->whom == NULL)
                        row->whom = leaf_ref(list->rows[i].whom);
                if (row->why == NULL && why_order(&at, like) == 0)
                        row->why = leaf_ref(list->rows[i].why);
        }
}

LeftOutRow left_out_row(const LeftOut *like, const LeftOutList *const *known, size_t n,
                        const LeftOutRow *last)
{
        LeftOutRow row = {0};
        LeftOut before;

        for (size_t i = 0; i < n && (row.whom == NULL || row.why == NULL); i++)
                look_in(known[i], like, &row);
        if (row.whom == NULL)
                row.whom = whom_new(like);
        if (row.why == NULL && last->why != NULL) {
                before = told(last);
                if (why_order(&before, like) == 0)
                        row.why = leaf_ref(last->why);
        }
        if (row.why == NULL)
                row.why = why_new(like);
        return row;
}

void left_out_row_drop(const LeftOutRow *row)
{
        leaf_unref(row->whom);
        leaf_unref(row->why);
}

/* ---- lists ---- */

static void on_drop(Leaf *leaf)
{
        const LeftOutList *l = (const LeftOutList *)leaf;

        for (size_t i = 0; i < l->n; i++)
                left_out_row_drop(&l->rows[i]);
}

static size_t without_equals(LeftOutRow *rows, size_t n)
{
        size_t kept = 0;

        for (size_t i = 0; i < n; i++) {
                if (kept > 0 && row_order(&rows[kept - 1], &rows[i]) == 0)
                        left_out_row_drop(&rows[i]);
                else
                        rows[kept++] = rows[i];
        }
        return kept;
}

static bool says_the_same(const LeftOutList *list, const LeftOutRow *rows, size_t n)
{
        if (list == NULL || list->n != n)
                return false;
        for (size_t i = 0; i < n; i++) {
                if (row_order(&list->rows[i], &rows[i]) != 0)
                        return false;
        }
        return true;
}

const LeftOutList *left_out_list_new(LeftOutRow *rows, size_t n, const LeftOutList *const *known,
                                     size_t n_known)
{
        LeftOutList *l;

        INSIST(n <= UINT32_MAX / sizeof(*rows) / 2);
        if (n > 1)
                qsort(rows, n, sizeof(*rows), row_order);
        n = without_equals(rows, n);
        for (size_t i = 0; i < n_known; i++) {
                if (!says_the_same(known[i], rows, n))
                        continue;
                for (size_t j = 0; j < n; j++)
                        left_out_row_drop(&rows[j]);
                return leaf_ref(known[i]);
        }
        l = leaf_new(sizeof(*l), n * sizeof(*rows) + _Alignof(max_align_t), on_drop);
        l->n = n;
        l->rows = leaf_alloc(&l->leaf, n * sizeof(*rows));
        if (n > 0)
                memcpy(l->rows, rows, n * sizeof(*rows));
        return l;
}

size_t left_out_n(const LeftOutList *list)
{
        return list != NULL ? list->n : 0;
}

LeftOut left_out_at(const LeftOutList *list, size_t i)
{
        return told(&list->rows[i]);
}
