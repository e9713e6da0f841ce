/* SPDX-License-Identifier: Apache-2.0 */
#include "translate/contribution.h"

#include "base/digest.h"

static void add_packs(Digester *d, const Pack *const *packs, size_t n)
{
        digester_add_u64(d, n);
        for (size_t i = 0; i < n; i++)
                digester_add(d, str_make(packs[i]->digest.b, DIGEST_BYTES));
}

static void add_group(Digester *d, const PathGroup *g)
{
        digester_add(d, g->listener);
        digester_add(d, g->domain);
        digester_add(d, g->namespace);
        digester_add_u64(d, (uint64_t)g->catch_all << 1 | (uint64_t)g->named);
        add_packs(d, g->paths, g->n);
}

static void add_target(Digester *d, const Target *t)
{
        digester_add_u64(d, (uint64_t)t->port << 1 | (uint64_t)t->tls);
        digester_add(d, t->name_v1);
        digester_add(d, t->name_v2);
        add_packs(d, t->hosts, t->n_hosts);
        digester_add_u64(d, t->n_groups);
        for (size_t i = 0; i < t->n_groups; i++)
                add_group(d, &t->groups[i]);
}

static size_t sum(const Pack *const *packs, size_t n)
{
        size_t bytes = 0;
        for (size_t i = 0; i < n; i++)
                bytes += packs[i]->n;
        return bytes;
}

/* An empty contribution has the same revision whatever listener was chosen for it: targets without
 * content do not count. */
static bool is_empty(const Target *t)
{
        return t->n_hosts == 0 && t->n_groups == 0;
}

void contribution_seal(Contribution *c)
{
        Digester *d = digester_new();
        digester_add_u64(d, PACK_TRANSLATOR);
        add_packs(d, c->clusters, c->n_clusters);
        c->bytes = sum(c->clusters, c->n_clusters);
        c->n_hosts = c->n_paths = 0;
        for (size_t i = 0; i < c->n_targets; i++) {
                const Target *t = &c->targets[i];
                if (is_empty(t))
                        continue;
                add_target(d, t);
                c->bytes += sum(t->hosts, t->n_hosts);
                c->n_hosts += t->n_hosts;
                for (size_t j = 0; j < t->n_groups; j++) {
                        c->bytes += sum(t->groups[j].paths, t->groups[j].n);
                        c->n_paths += t->groups[j].n;
                }
        }
        c->n_ports = 0;
        for (size_t i = 0; i < c->n_patches; i++) {
                const ListenerPatch *p = &c->patches[i];
                listener_patch_digest(d, p);
                c->bytes += listener_patch_bytes(p);
                c->n_hosts += p->kind == LISTENER_BY_NAME ? p->n : 0;
                c->n_ports += p->kind == LISTENER_TO_CLUSTER ? p->n : 0;
        }
        Digest digest = digester_finish(d);
        char hex[DIGEST_HEX];
        memcpy(c->revision, digest_hex(&digest, REVISION_MAX / 2, hex), sizeof(c->revision));
}

static void drop_packs(const Pack **packs, size_t n)
{
        for (size_t i = 0; i < n; i++)
                leaf_unref(packs[i]);
}

void contribution_drop(Leaf *leaf)
{
        Contribution *c = (Contribution *)leaf;
        drop_packs(c->clusters, c->n_clusters);
        for (size_t i = 0; i < c->n_targets; i++) {
                Target *t = &c->targets[i];
                drop_packs(t->hosts, t->n_hosts);
                host_index_done(&t->by_domain);
                for (size_t j = 0; j < t->n_groups; j++)
                        drop_packs(t->groups[j].paths, t->groups[j].n);
        }
        for (size_t i = 0; i < c->n_patches; i++)
                drop_packs(c->patches[i].packs, c->patches[i].n);
}

static const Pack *find(const Pack *const *packs, size_t n, Str name)
{
        size_t low = 0, high = n;
        while (low < high) {
                size_t mid = low + (high - low) / 2;
                int order = str_cmp(packs[mid]->name, name);
                if (order == 0)
                        return packs[mid];
                if (order < 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        return NULL;
}

const Pack *contribution_find_cluster(const Contribution *c, Str name)
{
        return c != NULL ? find(c->clusters, c->n_clusters, name) : NULL;
}

const Target *contribution_find_target(const Contribution *c, const Target *like)
{
        for (size_t i = 0; c != NULL && i < c->n_targets; i++) {
                if (str_eq(c->targets[i].name_v1, like->name_v1))
                        return &c->targets[i];
        }
        return NULL;
}

const Pack *contribution_find_host(const Target *t, Str name)
{
        return t != NULL ? find(t->hosts, t->n_hosts, name) : NULL;
}

bool contribution_same_group(const PathGroup *a, const PathGroup *b)
{
        return str_eq(a->listener, b->listener) && str_eq(a->domain, b->domain) &&
               str_eq(a->namespace, b->namespace) && a->named == b->named &&
               a->catch_all == b->catch_all;
}

const Pack *contribution_find_path(const Target *t, const PathGroup *like, Str name)
{
        for (size_t i = 0; t != NULL && i < t->n_groups; i++) {
                const PathGroup *g = &t->groups[i];
                if (!contribution_same_group(g, like))
                        continue;
                /* Longest first, then by name. */
                size_t low = 0, high = g->n;
                while (low < high) {
                        size_t mid = low + (high - low) / 2;
                        Str at = g->paths[mid]->name;
                        if (str_eq(at, name))
                                return g->paths[mid];
                        if (at.n > name.n || (at.n == name.n && str_cmp(at, name) < 0))
                                low = mid + 1;
                        else
                                high = mid;
                }
        }
        return NULL;
}
