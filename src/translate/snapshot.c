/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Snapshot holds, for each Gateway that a TailscaleGateway refers to, its last contributions,
 * newest first. Making one goes through all services each time (some microseconds a service);
 * what lasts, the packed bytes, is taken over from the Snapshot before wherever it is the same.
 *
 * 1. Equal Worlds give equal revisions, whatever came before.
 * 2. The first one kept was made from the World of this Snapshot, also where its revision is an old
 *    one: packs are recognised by the leaves that they were made of (pack_is_made_of).
 */
#include "translate/snapshot.h"

#include "base/mem.h"
#include "translate/assemble.h"
#include "translate/failover.h"
#include "translate/ingress_plan.h"
#include "translate/verdicts.h"

#include <stdlib.h>

typedef struct GatewayState {
        ObjectKey key; /* of kept[0] */
        const Contribution *kept[SNAPSHOT_REVISIONS];
        size_t n;
} GatewayState;

struct Snapshot {
        Leaf leaf;
        const World *world;
        GatewayState *states; /* owned; by key */
        size_t n_states;
        const Contribution *empty;
        const Table *routes; /* of its Report */
        bool only_digests;   /* nobody answers from it */
};

static void on_drop(Leaf *leaf)
{
        Snapshot *s = (Snapshot *)leaf;
        for (size_t i = 0; i < s->n_states; i++) {
                for (size_t j = 0; j < s->states[i].n; j++)
                        leaf_unref(s->states[i].kept[j]);
        }
        mem_free(s->states);
        leaf_unref(s->empty);
        table_unref(s->routes);
        leaf_unref(s->world);
}

static const GatewayState *find_state(const Snapshot *s, ObjectKey key)
{
        size_t low = 0, high = s != NULL ? s->n_states : 0;
        while (low < high) {
                size_t mid = low + (high - low) / 2;
                int c = object_key_cmp(s->states[mid].key, key);
                if (c == 0)
                        return &s->states[mid];
                if (c < 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        return NULL;
}

/* `newest` (whose reference is taken over) in front of what `before` kept. */
static void keep(GatewayState *state, Contribution *newest, const GatewayState *before,
                 size_t revisions)
{
        state->key = newest->gateway;
        state->kept[state->n++] = newest;
        for (size_t i = 0; before != NULL && i < before->n && state->n < revisions; i++) {
                if (strcmp(before->kept[i]->revision, newest->revision) != 0)
                        state->kept[state->n++] = leaf_ref(before->kept[i]);
        }
}

/* A TailscaleGateway and the Gateway that it refers to. */
typedef struct Reference {
        const GatewaySpec *spec;
        Wall oldest; /* age of the oldest of its namespace that refers to the same */
} Reference;

/* Within a Gateway by who wins (claims.c). */
static int on_reference_order(const void *a, const void *b)
{
        const Reference *r = a, *s = b;
        const GatewaySpec *x = r->spec, *y = s->spec;
        int c = object_key_cmp(x->gateway, y->gateway);
        if (c == 0)
                c = claims_order_ages(r->oldest, s->oldest);
        if (c == 0)
                c = str_cmp(x->meta.key.namespace, y->meta.key.namespace);
        if (c == 0)
                c = x->priority > y->priority ? -1 : x->priority < y->priority;
        if (c == 0)
                c = claims_order_ages(x->meta.created, y->meta.created);
        return c != 0 ? c : str_cmp(x->meta.key.name, y->meta.key.name);
}

static int on_age_order(const void *a, const void *b)
{
        const GatewaySpec *x = ((const Reference *)a)->spec, *y = ((const Reference *)b)->spec;
        int c = object_key_cmp(x->gateway, y->gateway);
        if (c == 0)
                c = str_cmp(x->meta.key.namespace, y->meta.key.namespace);
        return c != 0 ? c : claims_order_ages(x->meta.created, y->meta.created);
}

static void sort_references(Reference *refs, size_t n)
{
        if (n > 1)
                qsort(refs, n, sizeof(*refs), on_age_order);
        for (size_t i = 0; i < n; i++) {
                const GatewaySpec *x = refs[i].spec, *y = i > 0 ? refs[i - 1].spec : NULL;
                bool is_first = y == NULL || !object_key_eq(x->gateway, y->gateway) ||
                                !str_eq(x->meta.key.namespace, y->meta.key.namespace);
                refs[i].oldest = is_first ? x->meta.created : refs[i - 1].oldest;
        }
        if (n > 1)
                qsort(refs, n, sizeof(*refs), on_reference_order);
}

/* The plans of both directions of each entry, egress before ingress. */
static EntryPlan *make_plans(Arena *a, const Proxies *proxies, const Reference *refs, size_t n,
                             const EgGateway *gateway, size_t *ret_n)
{
        size_t room = 0, n_plans = 0;
        uint32_t rank = 0;
        for (size_t i = 0; i < n; i++)
                room += 2 * refs[i].spec->n_tailnets;
        EntryPlan *plans = arena_new_array(a, room, sizeof(*plans));
        for (size_t i = 0; i < n; i++) {
                for (size_t j = 0; j < refs[i].spec->n_tailnets; j++) {
                        EntryPlan *p = &plans[n_plans++];
                        *p = entry_plan_make(a, proxies, refs[i].spec, j, gateway);
                        p->rank = rank++;
                        p->oldest = refs[i].oldest;
                        if (!p->entry->ingress.enabled)
                                continue;
                        p->ingress = &plans[n_plans++];
                        *p->ingress =
                                ingress_plan_make(a, proxies->world, refs[i].spec, j, gateway);
                        p->ingress->rank = p->rank;
                        p->ingress->oldest = p->oldest;
                }
        }
        failover_link(a, proxies->world, plans, n_plans);
        *ret_n = n_plans;
        return plans;
}

/* Has any of it a listener? */
static bool is_attached(const EntryPlan *plans, size_t n, const Claims *claims,
                        const IngressWays *ways)
{
        for (size_t i = 0; i < n; i++) {
                if (plans[i].attached.listener != NULL)
                        return true;
        }
        for (size_t i = 0; i < claims->n; i++) {
                if (claims->at[i].listener != NULL)
                        return true;
        }
        for (size_t i = 0; i < ways->n; i++) {
                if (ways->at[i].listener != NULL)
                        return true;
        }
        return false;
}

/* References [0, n) are those to one Gateway. */
static void make_state(Snapshot *s, const Proxies *proxies, const Reference *refs, size_t n,
                       const Snapshot *before, Verdicts *verdicts)
{
        Arena a;
        arena_init(&a, 0);
        ObjectKey key = refs[0].spec->gateway;
        const EgGateway *gateway = table_find(s->world->eg_gateways, &key, eg_gateway_find);
        size_t n_plans;
        EntryPlan *plans = make_plans(&a, proxies, refs, n, gateway, &n_plans);
        for (size_t i = 0; i < n_plans; i++) {
                for (size_t j = 0; j < plans[i].n_services; j++)
                        plans[i].services[j].pack.only_digest = s->only_digests;
        }
        Claims claims = claims_settle(&a, s->world, gateway, plans, n_plans);
        IngressWays ways = ingress_ways_settle(&a, s->world, gateway, plans, n_plans);
        const GatewayState *old = find_state(before, key);
        AssembleInput in = {.key = key,
                            .gateway = gateway,
                            .plans = plans,
                            .n_plans = n_plans,
                            .claims = &claims,
                            .ways = &ways,
                            .only_digests = s->only_digests,
                            .before = old != NULL ? old->kept[0] : NULL};
        Contribution *c = assemble(&a, &in);
        verdicts_add_gateway(verdicts, c, gateway != NULL,
                             gateway != NULL && !is_attached(plans, n_plans, &claims, &ways));
        for (size_t i = 0; i < n_plans; i++) {
                if (!plans[i].is_ingress)
                        verdicts_add_entry(verdicts, &plans[i]);
        }
        for (size_t i = 0; i < claims.n; i++)
                verdicts_add_claim(verdicts, &claims.at[i], key);
        for (size_t i = 0; i < ways.n; i++)
                verdicts_add_way(verdicts, &ways.at[i], key);
        keep(&s->states[s->n_states++], c, old, s->only_digests ? 1 : SNAPSHOT_REVISIONS);
        arena_done(&a);
}

static Snapshot *make(const World *world, const Snapshot *before, bool only_digests,
                      Report **ret_report)
{
        Snapshot *s = leaf_new(sizeof(*s), 0, on_drop);
        Verdicts verdicts = {.before = before != NULL ? before->routes : NULL};
        s->world = leaf_ref(world);
        s->only_digests = only_digests;
        Arena a;
        arena_init(&a, 0);
        Proxies proxies;
        proxies_init(&proxies, world);
        s->empty = assemble(&a, &(AssembleInput){0});
        size_t n = table_n(world->gateways);
        Reference *refs = arena_new_array(&a, n, sizeof(*refs));
        for (size_t i = 0; i < n; i++)
                refs[i].spec = world->gateways->at[i];
        sort_references(refs, n);
        s->states = mem_new_array(n > 0 ? n : 1, sizeof(*s->states));
        for (size_t from = 0, to; from < n; from = to) {
                for (to = from + 1; to < n; to++) {
                        if (!object_key_eq(refs[from].spec->gateway, refs[to].spec->gateway))
                                break;
                }
                make_state(s, &proxies, refs + from, to - from, before, &verdicts);
        }
        proxies_done(&proxies);
        arena_done(&a);
        *ret_report = verdicts_report(&verdicts, world);
        s->routes = table_ref((*ret_report)->routes);
        return s;
}

Snapshot *snapshot_new(const World *world, const Snapshot *before, Report **ret_report)
{
        return make(world, before, false, ret_report);
}

Snapshot *snapshot_digests_new(const World *world, const Snapshot *before, Report **ret_report)
{
        return make(world, before, true, ret_report);
}

Snapshot *snapshot_ref(const Snapshot *s)
{
        return leaf_ref(s);
}

Snapshot *snapshot_unref(const Snapshot *s)
{
        return leaf_unref(s);
}

const World *snapshot_world(const Snapshot *s)
{
        return s->world;
}

const Contribution *snapshot_contribution(const Snapshot *s, ObjectKey eg_gateway, Str revision)
{
        const GatewayState *state = find_state(s, eg_gateway);
        for (size_t i = 0; state != NULL && i < state->n; i++) {
                if (revision.n == 0 || str_eq(str_of(state->kept[i]->revision), revision))
                        return state->kept[i];
        }
        return NULL;
}

const char *snapshot_revision(const Snapshot *s, ObjectKey eg_gateway)
{
        const Contribution *c = snapshot_contribution(s, eg_gateway, (Str){0});
        return c != NULL ? c->revision : NULL;
}

bool snapshot_has(const Snapshot *s, ObjectKey eg_gateway, Str revision)
{
        return revision.n > 0 && snapshot_contribution(s, eg_gateway, revision) != NULL;
}

const char *snapshot_empty_revision(const Snapshot *s)
{
        return s->empty->revision;
}

size_t snapshot_n_gateways(const Snapshot *s)
{
        return s->n_states;
}

const Contribution *snapshot_gateway_at(const Snapshot *s, size_t i)
{
        return s->states[i].kept[0];
}

/* Bytes of the leaf, if it is not in `seen`, where it is from now on. */
static size_t count_leaf(Map *seen, const void *const *leaf)
{
        Str key = str_make(leaf, sizeof(*leaf));
        return map_put(seen, key, seen) == NULL ? leaf_bytes(*leaf) : 0;
}

static size_t count_packs(Map *seen, const Pack *const *packs, size_t n)
{
        size_t bytes = 0;
        for (size_t i = 0; i < n; i++)
                bytes += count_leaf(seen, (const void *const *)&packs[i]);
        return bytes;
}

static size_t count_contribution(Map *seen, const Contribution *c)
{
        size_t bytes = count_packs(seen, c->clusters, c->n_clusters);
        for (size_t i = 0; i < c->n_targets; i++) {
                const Target *t = &c->targets[i];
                bytes += count_packs(seen, t->hosts, t->n_hosts);
                for (size_t j = 0; j < t->n_groups; j++)
                        bytes += count_packs(seen, t->groups[j].paths, t->groups[j].n);
        }
        for (size_t i = 0; i < c->n_patches; i++)
                bytes += count_packs(seen, c->patches[i].packs, c->patches[i].n);
        return bytes;
}

static size_t count(Map *seen, const Snapshot *s)
{
        size_t bytes = sizeof(*s) + s->n_states * sizeof(*s->states);
        for (size_t i = 0; i < s->n_states; i++) {
                for (size_t j = 0; j < s->states[i].n; j++) {
                        bytes += count_leaf(seen, (const void *const *)&s->states[i].kept[j]);
                        bytes += count_contribution(seen, s->states[i].kept[j]);
                }
        }
        return bytes;
}

size_t snapshot_bytes(const Snapshot *s, const Snapshot *other)
{
        Map seen;
        map_init(&seen);
        if (other != NULL)
                IGNORE(count(&seen, other), "only what it holds matters");
        size_t bytes = count(&seen, s);
        map_done(&seen);
        return bytes;
}
