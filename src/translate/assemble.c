/* SPDX-License-Identifier: Apache-2.0 */
#include "translate/assemble.h"

#include "translate/listener_assemble.h"

#include <stdlib.h>

typedef struct Work {
        Arena *arena;
        Contribution *c;
        const EgGateway *gateway;
        const Contribution *before;
        Buf scratch;
} Work;

static int on_cluster_order(const void *a, const void *b)
{
        const ServicePort *const *x = a, *const *y = b;
        return str_cmp((*x)->pack.cluster, (*y)->pack.cluster);
}

static void pack_clusters(Work *w, EntryPlan *plans, size_t n_plans, Claims *claims)
{
        size_t n = 0;
        for (size_t i = 0; i < n_plans; i++)
                n += plans[i].n_services;
        ServicePort **wanted = arena_new_array(w->arena, n, sizeof(ServicePort *));
        n = 0;
        for (size_t i = 0; i < n_plans; i++) {
                for (size_t j = 0; j < plans[i].n_services; j++)
                        plans[i].services[j].wanted = false;
        }
        for (size_t i = 0; i < claims->n; i++) {
                ServicePort *s = claims->at[i].port;
                if (!claims->at[i].won || s->wanted || s->backend != NULL)
                        continue;
                s->wanted = true;
                wanted[n++] = s;
        }
        if (n > 1)
                qsort(wanted, n, sizeof(ServicePort *), on_cluster_order);
        w->c->clusters = leaf_alloc(&w->c->leaf, n * sizeof(const Pack *));
        for (size_t i = 0; i < n; i++) {
                const Pack *before = contribution_find_cluster(w->before, wanted[i]->pack.cluster);
                wanted[i]->same = before != NULL && pack_is_made_of(before, &wanted[i]->pack);
                Pack *p = wanted[i]->same ? leaf_ref(before)
                                          : pack_cluster(&wanted[i]->pack, before, &w->scratch);
                wanted[i]->cluster = p;
                if (p != NULL)
                        w->c->clusters[w->c->n_clusters++] = p;
        }
}

static void make_target(Work *w, const EgListener *l, Target *t)
{
        Leaf *leaf = &w->c->leaf;
        const ObjectKey *key = &w->gateway->meta.key;
        t->port = l->port;
        t->tls = l->protocol != PROTOCOL_HTTP;
        Str *names = leaf_alloc(leaf, w->gateway->n_listeners * sizeof(Str));
        size_t n = 0;
        for (size_t i = 0; i < w->gateway->n_listeners; i++) {
                if (claims_share_routes(&w->gateway->listeners[i], l))
                        names[n++] = leaf_str(leaf, w->gateway->listeners[i].name);
        }
        t->listeners = (StrList){names, n};
        /* The first of those that share it names it. */
        t->name_v1 =
                leaf_str(leaf, arena_printf(w->arena, "%.*s/%.*s/%.*s", STR_FMT(key->namespace),
                                            STR_FMT(key->name), STR_FMT(names[0])));
        t->name_v2 =
                t->tls ? t->name_v1 : leaf_str(leaf, arena_printf(w->arena, "http-%u", l->port));
}

static PackPlace place_of(const Work *w, const Claim *c, uint32_t rank)
{
        return (PackPlace){.eg_namespace = w->c->gateway.namespace,
                           .eg_gateway = w->c->gateway.name,
                           .name = c->name,
                           .listener = c->listener->name,
                           .rank = rank,
                           .named = c->by->attached.named,
                           .override = c->by->entry->egress.override_hosts,
                           .standing = {.oldest = c->is_path ? c->by->oldest : c->oldest,
                                        .created = c->by->spec->meta.created,
                                        .priority = c->by->spec->priority}};
}

/* A host or path of a service; `old` again where nothing of it changed. NULL: too large. */
static const Pack *pack_at(Work *w,
                           Pack *(*pack)(const PackService *, const PackPlace *, const Pack *,
                                         Buf *),
                           const ServicePort *s, const PackPlace *p, const Pack *old)
{
        if (s->cluster == NULL)
                return NULL;
        if (s->same && old != NULL && pack_is_at(old, s->pack.cluster, p))
                return leaf_ref(old);
        return pack(&s->pack, p, old, &w->scratch);
}

/* Claims [at, at + n) are those of one target, hosts before paths. */
static void pack_hosts(Work *w, Claim **at, size_t n, Target *t)
{
        const Target *before = contribution_find_target(w->before, t);
        t->hosts = leaf_alloc(&w->c->leaf, n * sizeof(const Pack *));
        for (size_t i = 0; i < n && !at[i]->is_path; i++) {
                PackPlace p = place_of(w, at[i], 0);
                const Pack *host = pack_at(w, pack_host, at[i]->port, &p,
                                           contribution_find_host(before, p.name));
                if (host == NULL) {
                        claims_too_large(at[i]);
                        continue;
                }
                at[i]->bytes = host->n;
                t->hosts[t->n_hosts++] = host;
        }
        host_index_make(&t->by_domain, t->hosts, t->n_hosts);
}

static PathGroup group_of(const Claim *c)
{
        return (PathGroup){.listener = c->listener->name,
                           .domain = c->domain,
                           .namespace = c->by->spec->meta.key.namespace,
                           .catch_all = c->catch_all,
                           .named = c->by->attached.named};
}

/* By group, then longest path first. */
static int on_path_order(const void *a, const void *b)
{
        const Claim *x = *(Claim *const *)a, *y = *(Claim *const *)b;
        PathGroup g = group_of(x), h = group_of(y);
        int c = str_cmp(g.listener, h.listener);
        if (c == 0)
                c = str_cmp(g.domain, h.domain);
        if (c == 0)
                c = str_cmp(g.namespace, h.namespace);
        if (c == 0)
                c = ((int)g.catch_all * 2 + (int)g.named) - ((int)h.catch_all * 2 + (int)h.named);
        if (c == 0)
                c = x->name.n > y->name.n ? -1 : x->name.n < y->name.n;
        return c != 0 ? c : str_cmp(x->name, y->name);
}

/* How many of the claims [at, at + n) are of the first one's group. */
static size_t group_length(Claim *const *at, size_t n)
{
        PathGroup first = group_of(at[0]);
        for (size_t i = 1; i < n; i++) {
                PathGroup g = group_of(at[i]);
                if (!contribution_same_group(&first, &g))
                        return i;
        }
        return n;
}

static void start_group(Work *w, const PathGroup *like, size_t room, PathGroup *ret)
{
        Leaf *leaf = &w->c->leaf;
        *ret = *like;
        ret->listener = leaf_str(leaf, like->listener);
        ret->domain = leaf_str(leaf, like->domain);
        ret->namespace = leaf_str(leaf, like->namespace);
        ret->paths = leaf_alloc(leaf, room * sizeof(const Pack *));
}

/* Paths of one target. */
static void pack_paths(Work *w, Claim **at, size_t n, Target *t)
{
        if (n == 0)
                return;
        const Target *before = contribution_find_target(w->before, t);
        qsort(at, n, sizeof(Claim *), on_path_order);
        size_t groups = 0;
        for (size_t i = 0; i < n; i += group_length(at + i, n - i))
                groups++;
        t->groups = leaf_alloc(&w->c->leaf, groups * sizeof(PathGroup));
        PathGroup *current = NULL;
        for (size_t i = 0; i < n; i++) {
                PathGroup like = group_of(at[i]);
                PackPlace p = place_of(w, at[i], at[i]->by->rank);
                const Pack *old = contribution_find_path(before, &like, p.name);
                const Pack *path = pack_at(w, pack_path, at[i]->port, &p, old);
                if (path == NULL) {
                        claims_too_large(at[i]);
                        continue;
                }
                if (current == NULL || !contribution_same_group(current, &like)) {
                        current = &t->groups[t->n_groups++];
                        start_group(w, &like, group_length(at + i, n - i), current);
                }
                at[i]->bytes = path->n;
                current->paths[current->n++] = path;
        }
}

static void pack_targets(Work *w, Claims *claims)
{
        Claim **at = arena_new_array(w->arena, claims->n, sizeof(Claim *));
        size_t n = 0, targets = 0;
        for (size_t i = 0; i < claims->n; i++) {
                if (!claims->at[i].won || claims->at[i].port->backend != NULL ||
                    listener_assemble_is_of(&claims->at[i]))
                        continue;
                at[n++] = &claims->at[i];
                targets += n == 1 || !claims_share_routes(at[n - 2]->listener, at[n - 1]->listener);
        }
        w->c->targets = leaf_alloc(&w->c->leaf, targets * sizeof(Target));
        for (size_t from = 0, to; from < n; from = to) {
                size_t paths = from;
                for (to = from; to < n && claims_share_routes(at[from]->listener, at[to]->listener);
                     to++)
                        paths += at[to]->is_path ? 0 : 1;
                Target *t = &w->c->targets[w->c->n_targets++];
                make_target(w, at[from]->listener, t);
                pack_hosts(w, at + from, paths - from, t);
                pack_paths(w, at + paths, to - paths, t);
        }
}

static Contribution *build(Arena *a, const AssembleInput *in)
{
        Contribution *c = leaf_new(sizeof(*c), 0, contribution_drop);
        c->gateway = (ObjectKey){leaf_str(&c->leaf, in->key.namespace),
                                 leaf_str(&c->leaf, in->key.name)};
        if (in->gateway == NULL)
                return c;
        Work w = {.arena = a, .c = c, .gateway = in->gateway, .before = in->before};
        buf_init(&w.scratch, PACK_BYTES_MAX);
        pack_clusters(&w, in->plans, in->n_plans, in->claims);
        pack_targets(&w, in->claims);
        listener_assemble(a, c, &(ListenerAssembleInput){in->gateway, in->claims, in->before},
                          &w.scratch);
        buf_done(&w.scratch);
        return c;
}

/* What the claim adds to an answer, beside what is `wanted` no more as it is counted already. */
static size_t weight_of(const Claim *c)
{
        const ServicePort *s = c->port;
        return c->bytes + (s->wanted && s->cluster != NULL ? s->cluster->n : 0);
}

/* At most; a cluster counts for each claim that leads to it. */
static size_t weight_of_all(const Claims *claims)
{
        size_t sum = 0;
        for (size_t i = 0; i < claims->n; i++)
                sum += claims->at[i].won ? weight_of(&claims->at[i]) : 0;
        return sum;
}

/* Whoever stands first spends the bytes. Was anything taken back? */
static bool keep_bytes(Arena *a, Claims *claims)
{
        size_t n, spent = 0;
        bool is_over = false;
        if (weight_of_all(claims) <= ASSEMBLE_BYTES_MAX)
                return false;
        Claim **at = claims_by_standing(a, claims, &n);
        for (size_t i = 0; i < n; i++) {
                size_t weight = weight_of(at[i]);
                if (weight > ASSEMBLE_BYTES_MAX - spent) {
                        claims_take_back(
                                at[i], "TooLarge",
                                arena_printf(a, "one Gateway takes %d MiB of configuration at most",
                                             ASSEMBLE_BYTES_MAX >> 20));
                        is_over = true;
                        continue;
                }
                spent += weight;
                at[i]->port->wanted = false;
        }
        return is_over;
}

Contribution *assemble(Arena *a, const AssembleInput *in)
{
        Contribution *c = build(a, in);
        if (in->gateway != NULL && keep_bytes(a, in->claims)) {
                leaf_unref(c);
                c = build(a, in);
        }
        if (in->ways != NULL)
                ingress_ways_guard(in->ways, in->only_digests, in->before, c);
        contribution_seal(c);
        return c;
}
