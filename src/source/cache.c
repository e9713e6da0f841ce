/* SPDX-License-Identifier: Apache-2.0 */
#include "source/cache.h"

#include <stdlib.h>

#include "base/mem.h"
#include "discovery/discover.h"
#include "model/manifest.h"
#include "source/manifest_files.h"

static bool is_same_entry(const EndpointsSpec *a, const EndpointsSpec *b)
{
        return str_eq(a->meta.key.namespace, b->meta.key.namespace) &&
               str_eq(a->gateway, b->gateway) && str_eq(a->tailnet, b->tailnet) &&
               str_eq(a->source, b->source);
}

static int entry_order(const void *x, const void *y)
{
        const EndpointsSpec *a = *(const EndpointsSpec *const *)x,
                            *b = *(const EndpointsSpec *const *)y;
        int c = str_cmp(a->meta.key.namespace, b->meta.key.namespace);
        if (c == 0)
                c = str_cmp(a->gateway, b->gateway);
        if (c == 0)
                c = str_cmp(a->tailnet, b->tailnet);
        if (c == 0)
                c = str_cmp(a->source, b->source);
        return c != 0 ? c : str_cmp(a->meta.key.name, b->meta.key.name);
}

/* Shards of one entry stand together after sorting; each run becomes one view. */
static size_t views_of(const EndpointsSpec **shards, size_t n, const void **views)
{
        size_t n_views = 0;
        for (size_t from = 0, to; from < n; from = to) {
                for (to = from + 1; to < n && is_same_entry(shards[from], shards[to]);)
                        to++;
                const EndpointsSpec *first = shards[from];
                ObjectKey gateway = {first->meta.key.namespace, first->gateway};
                views[n_views++] =
                        discover_from_cache(gateway, first->tailnet, shards + from, to - from);
        }
        return n_views;
}

Table *cache_read(const char *dir, Log *log)
{
        CLEANUP(manifest_set_done) ManifestSet set;
        CLEANUP(faults_done) Faults faults;
        manifest_set_init(&set);
        faults_init(&faults);
        IGNORE(manifest_files_read_dir(dir, &set, &faults), "only people count files");
        if (faults.n_total > 0)
                log_warn(log, "part of the cache cannot be read", LOG_CSTR("dir", dir),
                         LOG_INT("faults", faults.n_total), LOG_STR("first", faults.at[0].text));
        const struct ManifestLeaves *found = &set.kinds[MANIFEST_ENDPOINTS];
        CLEANUP(mem_cleanup)
        const EndpointsSpec **shards = mem_new_array(found->n + 1, sizeof *shards);
        CLEANUP(mem_cleanup) const void **views = mem_new_array(found->n + 1, sizeof *views);
        size_t n = 0;
        for (size_t i = 0; i < found->n; i++) {
                const EndpointsSpec *e = found->at[i];
                if (e->gateway.n > 0)
                        shards[n++] = e;
        }
        qsort(shards, n, sizeof *shards, entry_order);
        size_t n_views = views_of(shards, n, views);
        return table_new(views, n_views, entry_view_order);
}
