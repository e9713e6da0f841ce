/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both lists are in order of node id, so one walk merges. A leaf is made only where neither the one
 * of the list nor the one that was merged before says the same: of 100,000 devices most are as they
 * were.
 */
#include "discovery/merge.h"

#include "base/mem.h"

typedef struct Work {
        const MergeInput *in;
        size_t old;      /* index in `before`: those below it have lower ids */
        const void **at; /* each with one reference */
        size_t n;
} Work;

/* The leaf that was merged for this id before, or NULL. */
static const Device *old_of(Work *w, Str node_id)
{
        const Table *before = w->in->before;
        int order = 1;

        for (; w->old < table_n(before); w->old++) {
                order = device_find(&node_id, before->at[w->old]);
                if (order <= 0)
                        break;
        }
        return order == 0 && w->old < table_n(before) ? before->at[w->old] : NULL;
}

/* `from` (a leaf) with these two, by a leaf that is there already where one says so. */
static void add(Work *w, const Device *from, DeviceSight sight, DeviceOnline online)
{
        const Device *old = old_of(w, from->node_id);
        Device d = *from;

        d.sight = sight;
        d.online = online;
        if (old != NULL && device_same(old, &d))
                w->at[w->n++] = leaf_ref(old);
        else if (from->sight == sight && from->online == online)
                w->at[w->n++] = leaf_ref(from);
        else
                w->at[w->n++] = device_new(&d);
}

/* A device of the primary's list; `seen` is what the netmap has of it, or NULL. */
static void add_of_primary(Work *w, const Device *d, const Device *seen)
{
        bool is_asked = !w->in->primary_good || d->online == DEVICE_ONLINE_UNKNOWN;
        DeviceOnline online = d->online;

        if (!w->in->local_good) {
                add(w, d, DEVICE_SIGHT_UNKNOWN, online);
                return;
        }
        if (is_asked && seen != NULL && seen->online != DEVICE_ONLINE_UNKNOWN)
                online = seen->online;
        add(w, d, seen != NULL ? DEVICE_VISIBLE : DEVICE_HIDDEN, online);
}

/* A device that only the netmap has: it counts as long as the primary cannot be asked. */
static void add_of_local(Work *w, const Device *d)
{
        if (!w->in->primary_good)
                add(w, d, w->in->local_good ? DEVICE_VISIBLE : DEVICE_SIGHT_UNKNOWN, d->online);
}

static Table *merge_both(const MergeInput *in)
{
        const Table *primary = in->primary, *local = in->local;
        size_t i = 0, j = 0, n = table_n(primary), m = table_n(local);
        CLEANUP(mem_cleanup) const void **at = mem_new_array(n + m + 1, sizeof(*at));
        Work w = {.in = in, .at = at};

        while (i < n || j < m) {
                int order = i == n ? 1 : j == m ? -1 : device_order(primary->at[i], local->at[j]);

                if (order <= 0)
                        add_of_primary(&w, primary->at[i], order == 0 ? local->at[j] : NULL);
                else
                        add_of_local(&w, local->at[j]);
                i += order <= 0;
                j += order >= 0;
        }
        return table_update(in->before, at, w.n, device_order, device_same);
}

Table *merge_devices(const MergeInput *in)
{
        if (in->local == NULL || (in->primary_good && !in->local_good))
                return table_ref(in->primary);
        return merge_both(in);
}

static bool is_news(const Device *before, const Device *now)
{
        Device d = *now;

        d.online = before->online;
        d.last_seen = before->last_seen;
        return before != now && !device_same(before, &d);
}

bool merge_has_news(const Table *before, const Table *now)
{
        if (before == NULL || before == now)
                return false;
        if (table_n(before) != table_n(now))
                return true;
        for (size_t i = 0; i < now->n; i++) {
                if (is_news(before->at[i], now->at[i]))
                        return true;
        }
        return false;
}
