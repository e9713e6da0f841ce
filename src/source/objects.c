/* SPDX-License-Identifier: Apache-2.0 */
#include "source/objects.h"

#include "base/mem.h"
#include "model/endpoints_spec.h"
#include "source/dir_source.h"

struct Objects {
        ObjectsInput in;
        DirSource *resources;
        DirSource *gateway_resources; /* NULL: the same as resources */
        KubeSource *kube;             /* instead of both */
        const Table *endpoints;       /* what the next two were made of; one reference each */
        const Table *statics, *found;
};

static bool is_same_leaf(const void *a, const void *b)
{
        return a == b;
}

static const Table *filtered(const Table *all, const Table *old, bool found)
{
        CLEANUP(mem_cleanup) const void **at = mem_new_array(table_n(all) + 1, sizeof(void *));
        size_t n = 0;
        TABLE_FOREACH (EndpointsSpec, e, all) {
                if ((e->gateway.n > 0) == found)
                        at[n++] = leaf_ref(e);
        }
        const Table *t = table_update(old, at, n, endpoints_spec_order, is_same_leaf);
        table_unref(old);
        return t;
}

static void split_endpoints(Objects *o)
{
        const Table *all = objects_ours(o, MANIFEST_ENDPOINTS);
        if (all == o->endpoints)
                return;
        table_unref(o->endpoints);
        o->endpoints = table_ref(all);
        o->statics = filtered(all, o->statics, false);
        o->found = filtered(all, o->found, true);
}

static void on_directory(DirSource *d)
{
        Objects *o = dir_source_owner(d);
        split_endpoints(o);
        o->in.fn(o);
}

static void on_kube(KubeSource *k)
{
        Objects *o = kube_source_owner(k);
        split_endpoints(o);
        o->in.fn(o);
}

static DirSource *open_directory(Objects *o, const char *path, DirFact *fact)
{
        return dir_source_open(&(DirSourceInput){
                .loop = o->in.loop,
                .log = o->in.log,
                .path = path,
                .fact = fact,
                .fn = on_directory,
                .owner = o,
        });
}

static void open_directories(Objects *o, const ObjectsInput *in)
{
        o->resources = open_directory(o, in->resources, &in->facts->resources);
        if (in->gateway_resources != NULL)
                o->gateway_resources =
                        open_directory(o, in->gateway_resources, &in->facts->gateway_resources);
}

Objects *objects_open(const ObjectsInput *in)
{
        Objects *o = mem_new(sizeof *o);
        o->in = *in;
        if (in->api == NULL)
                open_directories(o, in);
        else
                o->kube = kube_source_open(&(KubeSourceInput){
                        .loop = in->loop,
                        .log = in->log,
                        .api = in->api,
                        .namespaces = in->namespaces,
                        .own_namespace = in->own_namespace,
                        .fact = &in->facts->kube,
                        .seed = in->seed,
                        .fn = on_kube,
                        .owner = o,
                });
        split_endpoints(o);
        return o;
}

void *objects_owner(const Objects *o)
{
        return o->in.owner;
}

bool objects_are_read(const Objects *o)
{
        if (o->kube != NULL)
                return kube_source_is_read(o->kube);
        return dir_source_is_read(o->resources) &&
               (o->gateway_resources == NULL || dir_source_is_read(o->gateway_resources));
}

const Table *objects_ours(const Objects *o, ManifestKind kind)
{
        return o->kube != NULL ? kube_source_table(o->kube, kind)
                               : dir_source_table(o->resources, kind);
}

const Table *objects_theirs(const Objects *o, ManifestKind kind)
{
        return o->gateway_resources != NULL ? dir_source_table(o->gateway_resources, kind)
                                            : objects_ours(o, kind);
}

const Table *objects_static_endpoints(const Objects *o)
{
        return o->statics;
}

const Table *objects_found_endpoints(const Objects *o)
{
        return o->found;
}

bool objects_secret(const Objects *o, const TailnetSpec *t, const SecretSpec **ret)
{
        ObjectKey key = {t->meta.key.namespace, t->secret_name};
        *ret = NULL;
        if (t->secret_name.n == 0)
                return true;
        if (o->kube != NULL && !kube_source_knows_secret(o->kube, key))
                return false;
        *ret = table_find(objects_ours(o, MANIFEST_SECRET), &key, secret_spec_find);
        return true;
}

void objects_want_secrets(Objects *o, bool want)
{
        if (o->kube != NULL)
                kube_source_want_secrets(o->kube, want);
}

void objects_read_again(Objects *o)
{
        if (o->kube != NULL)
                kube_source_read_again(o->kube);
}

bool objects_are_current(const Objects *o)
{
        return o->kube == NULL || kube_source_is_current(o->kube);
}

void objects_reread(Objects *o)
{
        if (o->resources != NULL)
                dir_source_reread(o->resources);
        if (o->gateway_resources != NULL)
                dir_source_reread(o->gateway_resources);
}

const KubeSource *objects_kube(const Objects *o)
{
        return o->kube;
}

Objects *objects_close(Objects *o)
{
        if (o == NULL)
                return NULL;
        o->resources = dir_source_close(o->resources);
        o->gateway_resources = dir_source_close(o->gateway_resources);
        o->kube = kube_source_close(o->kube);
        table_unref(o->endpoints);
        table_unref(o->statics);
        table_unref(o->found);
        return mem_free(o);
}
