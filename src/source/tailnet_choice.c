/* SPDX-License-Identifier: Apache-2.0 */
#include "source/tailnet_choice.h"

#include "base/mem.h"

#include <stdlib.h>

typedef struct Candidate {
        const TailnetSpec *spec;
        bool is_in;
} Candidate;

/* An age that is not known is none. */
static int order_ages(Wall a, Wall b)
{
        if (a.ms == 0 || b.ms == 0)
                return (a.ms == 0) - (b.ms == 0);
        return a.ms < b.ms ? -1 : a.ms > b.ms;
}

static int on_standing_order(const void *a, const void *b)
{
        const Candidate *x = a, *y = b;
        if (x->is_in != y->is_in)
                return x->is_in ? -1 : 1;
        int c = order_ages(x->spec->meta.created, y->spec->meta.created);
        return c != 0 ? c : tailnet_spec_order(x->spec, y->spec);
}

static int on_key_order(const void *a, const void *b)
{
        return tailnet_spec_order(((const Candidate *)a)->spec, ((const Candidate *)b)->spec);
}

size_t tailnet_choice_make(const Table *specs, TailnetChoiceFn *may, TailnetChoiceFn *in,
                           const void *owner, size_t max, const TailnetSpec **ret)
{
        CLEANUP(mem_cleanup) Candidate *at = mem_new_array(table_n(specs) + 1, sizeof *at);
        size_t n = 0;
        TABLE_FOREACH (TailnetSpec, t, specs) {
                if (may == NULL || may(owner, t))
                        at[n++] = (Candidate){.spec = t};
        }
        if (n > max) {
                for (size_t i = 0; i < n; i++)
                        at[i].is_in = in(owner, at[i].spec);
                qsort(at, n, sizeof *at, on_standing_order);
                n = max;
                qsort(at, n, sizeof *at, on_key_order);
        }
        for (size_t i = 0; i < n; i++)
                ret[i] = at[i].spec;
        return n;
}
