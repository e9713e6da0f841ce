/* SPDX-License-Identifier: Apache-2.0 */
#include "golden_world.h"

#include "base/mem.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

enum {
        FILES_MAX = 256,
        PATH_ROOM = 4096
};

static bool read_file(ManifestSet *set, const char *path, Faults *faults)
{
        FILE *f = fopen(path, "rb");
        if (f == NULL) {
                perror(path);
                return false;
        }
        Buf bytes;
        buf_init(&bytes, MANIFEST_BYTES_MAX);
        char part[1 << 16];
        for (size_t n; (n = fread(part, 1, sizeof(part), f)) > 0;)
                buf_add(&bytes, part, n);
        fclose(f);
        bool good = manifest_read(set, str_of(path), buf_str(&bytes), faults);
        buf_done(&bytes);
        return good;
}

static bool read_path(ManifestSet *set, const char *path, Faults *faults)
{
        struct dirent **names = NULL;
        int n = scandir(path, &names, NULL, alphasort);
        if (n < 0)
                return read_file(set, path, faults);
        bool good = true;
        for (int i = 0; i < n; i++) {
                Str name = str_of(names[i]->d_name);
                char full[PATH_ROOM];
                snprintf(full, sizeof(full), "%s/%s", path, names[i]->d_name);
                if (!str_starts(name, STR(".")) && str_ends(name, STR(".yaml")))
                        good = read_file(set, full, faults) && good;
                free(names[i]);
        }
        free(names);
        return good;
}

static Str suffix_of(const ManifestSet *set, const GatewaySpec *spec, const TailnetEntry *e)
{
        const struct ManifestLeaves *all = &set->kinds[MANIFEST_TAILNET];
        ObjectKey key = {spec->meta.key.namespace, e->tailnet_name};
        for (size_t i = 0; i < all->n; i++) {
                if (tailnet_spec_find(&key, all->at[i]) == 0)
                        return ((const TailnetSpec *)all->at[i])->magic_dns_suffix;
        }
        return (Str){0};
}

/* All endpoints of the namespace for that tailnets[] entry. */
static const EntryView *make_view(const ManifestSet *set, const GatewaySpec *spec,
                                  const TailnetEntry *entry)
{
        Str tailnet = entry->name;
        EntryView *v = leaf_new(sizeof(*v), 0, entry_view_drop);
        v->gateway = (ObjectKey){leaf_str(&v->leaf, spec->meta.key.namespace),
                                 leaf_str(&v->leaf, spec->meta.key.name)};
        v->tailnet = leaf_str(&v->leaf, tailnet);
        v->suffix = leaf_str(&v->leaf, suffix_of(set, spec, entry));
        v->known = true;
        const void **found = NULL;
        size_t n = 0;
        const struct ManifestLeaves *all = &set->kinds[MANIFEST_ENDPOINTS];
        for (size_t i = 0; i < all->n; i++) {
                const EndpointsSpec *e = all->at[i];
                if (e->ingress || !str_eq(e->tailnet, tailnet) ||
                    !str_eq(e->meta.key.namespace, spec->meta.key.namespace))
                        continue;
                found = mem_resize(found, (n + e->n) * sizeof(void *));
                for (size_t j = 0; j < e->n; j++)
                        found[n++] = leaf_ref(e->endpoints[j]);
        }
        v->endpoints = table_new(found, n, endpoint_order);
        mem_free(found);
        return v;
}

static const Table *make_views(const ManifestSet *set)
{
        const void **views = NULL;
        size_t n = 0;
        const struct ManifestLeaves *all = &set->kinds[MANIFEST_GATEWAY];
        for (size_t i = 0; i < all->n; i++) {
                const GatewaySpec *spec = all->at[i];
                views = mem_resize(views, (n + spec->n_tailnets) * sizeof(void *));
                for (size_t j = 0; j < spec->n_tailnets; j++)
                        views[n++] = make_view(set, spec, &spec->tailnets[j]);
        }
        const Table *t = table_new(views, n, entry_view_order);
        mem_free(views);
        return t;
}

static const Table *make_states(const ManifestSet *set)
{
        const struct ManifestLeaves *all = &set->kinds[MANIFEST_TAILNET];
        const void **states = mem_new_array(all->n + 1, sizeof(void *));
        for (size_t i = 0; i < all->n; i++) {
                const TailnetSpec *spec = all->at[i];
                TailnetState *s = leaf_new(sizeof(*s), 0, tailnet_state_drop);
                s->key = (ObjectKey){leaf_str(&s->leaf, spec->meta.key.namespace),
                                     leaf_str(&s->leaf, spec->meta.key.name)};
                s->sync = SYNC_DONE;
                s->suffix = leaf_str(&s->leaf, spec->magic_dns_suffix);
                states[i] = s;
        }
        const Table *t = table_new(states, all->n, tailnet_state_order);
        mem_free(states);
        return t;
}

World *golden_world_read(const char *const *paths, size_t n)
{
        ManifestSet set;
        Faults faults;
        manifest_set_init(&set);
        faults_init(&faults);
        bool good = true;
        for (size_t i = 0; i < n; i++)
                good = read_path(&set, paths[i], &faults) && good;
        World *w = NULL;
        if (good) {
                w = leaf_new(sizeof(*w), 0, world_drop);
                w->generation = 1;
                w->complete = true;
                w->tailnets = manifest_table(&set, MANIFEST_TAILNET, NULL);
                w->gateways = manifest_table(&set, MANIFEST_GATEWAY, NULL);
                w->eg_gateways = manifest_table(&set, MANIFEST_EG_GATEWAY, NULL);
                w->eg_routes = manifest_table(&set, MANIFEST_EG_ROUTE, NULL);
                w->namespaces = manifest_table(&set, MANIFEST_NAMESPACE, NULL);
                w->services = manifest_table(&set, MANIFEST_SERVICE, NULL);
                w->grants = manifest_table(&set, MANIFEST_GRANT, NULL);
                w->statics = manifest_table(&set, MANIFEST_ENDPOINTS, NULL);
                w->bindings = manifest_table(&set, MANIFEST_BINDING, NULL);
                Table *secrets = manifest_table(&set, MANIFEST_SECRET, NULL);
                w->trust = trust_bundles(w->gateways, secrets, NULL);
                table_unref(secrets);
                w->tailnet_states = make_states(&set);
                w->entries = make_views(&set);
        }
        Buf text;
        buf_init(&text, 1 << 20);
        faults_print(&faults, &text);
        fprintf(stderr, "%.*s", STR_FMT(buf_str(&text)));
        buf_done(&text);
        faults_done(&faults);
        manifest_set_done(&set);
        return w;
}
