/* SPDX-License-Identifier: Apache-2.0 */
#include "source/world_build.h"

#include "base/mem.h"
#include "discovery/discover.h"
#include "source/entry_shards.h"
#include "source/own_nodes.h"
#include "source/suffix_hold.h"
#include "source/told_clock.h"

enum {
        NEAR_VIEWS =
                16, /* entries of one tailnet are near each other: they are in order of names */
};

/* The user's own TailscaleEndpoints of one entry, a run of borrowed pointers in `at`. */
static size_t statics_of(const Table *endpoints, const GatewaySpec *g, Str tailnet,
                         const EndpointsSpec **at)
{
        size_t n = 0;
        TABLE_FOREACH (EndpointsSpec, e, endpoints) {
                if (e->gateway.n == 0 && !e->ingress &&
                    str_eq(e->meta.key.namespace, g->meta.key.namespace) &&
                    str_eq(e->tailnet, tailnet))
                        at[n++] = e;
        }
        return n;
}

/* What is in force, borrowed; or *ret_read, one reference, of what stands at the API server: so it
 * is where the one who led before has left it. */
static const EntryView *before_of(const WorldInput *in, const GatewaySpec *g, const TailnetEntry *e,
                                  const EndpointsSpec **scratch, EntryView **ret_read)
{
        EntryKey key = {g->meta.key, e->name};
        const EntryView *v = table_find(in->approved, &key, entry_view_find);
        if (v == NULL)
                v = table_find(in->before->entries, &key, entry_view_find);
        if (v == NULL)
                v = table_find(in->cache, &key, entry_view_find);
        if (v != NULL)
                return v;
        size_t n = entry_shards_find(in->found, g, e, scratch);
        if (n > 0)
                *ret_read = discover_from_cache(g->meta.key, e->name, scratch, n);
        return *ret_read;
}

/* The time of its devices: our wall clock may jump, and must take nothing away. */
static Wall time_of(const WorldInput *in, const TailnetState *state)
{
        const ToldClock clock = {state != NULL ? state->clock : (Wall){0},
                                 state != NULL ? state->clock_at : (Mono){0}};
        Wall told = told_clock_now(&clock, in->mono);
        return told.ms != 0 ? told : in->now;
}

/* Room for what concerns one entry. */
typedef struct Scratch {
        const EndpointsSpec **statics, **shards;
        const void *const *views; /* those that are made already */
        size_t n_views;
} Scratch;

static EntryView *followed_entry(const WorldInput *in, const GatewaySpec *g, const TailnetEntry *e,
                                 const Scratch *scratch)
{
        EntryKey key = {g->meta.key, e->name};
        DiscoverInput d = {
                .gateway = g,
                .entry = e,
                .policy = in->policy,
                .statics = scratch->statics,
                .n_statics = statics_of(in->endpoints, g, e->name, scratch->statics),
                .before = table_find(in->before->entries, &key, entry_view_find),
                .now = in->now,
        };
        return discover_follow(&d, scratch->shards,
                               entry_shards_find(in->found, g, e, scratch->shards));
}

/* What an entry of the same tailnet, one of the last of the `n` views, leaves out: of most devices
 * each entry has the same to say, and a tailnet may have many entries. */
static const LeftOutList *left_out_near(const void *const *views, size_t n, ObjectKey tailnet)
{
        for (size_t i = n; i > 0 && n - i < NEAR_VIEWS; i--) {
                const EntryView *v = views[i - 1];
                if (v->left_out != NULL && str_eq(v->source, tailnet.name) &&
                    str_eq(v->gateway.namespace, tailnet.namespace))
                        return v->left_out;
        }
        return NULL;
}

static EntryView *entry_of(const WorldInput *in, const Table *states, const GatewaySpec *g,
                           const TailnetEntry *e, const Scratch *scratch)
{
        CLEANUP(leaf_cleanup) EntryView *read = NULL;
        ObjectKey tailnet = {g->meta.key.namespace, e->tailnet_name};
        const TailnetSpec *spec = table_find(in->tailnets, &tailnet, tailnet_spec_find);
        const TailnetState *state = table_find(states, &tailnet, tailnet_state_find);
        OwnNodes own;
        own_nodes_find(e, spec, state, &own);
        DiscoverInput d = {
                .gateway = g,
                .entry = e,
                .tailnet = spec,
                .state = state,
                .left_out = left_out_near(scratch->views, scratch->n_views, tailnet),
                .open_ports = in->open_ports,
                .policy = in->policy,
                .own_nodes = {own.at, own.n},
                .statics = scratch->statics,
                .n_statics = statics_of(in->endpoints, g, e->name, scratch->statics),
                .before = before_of(in, g, e, scratch->shards, &read),
                .now = time_of(in, state),
        };
        return discover_entry(&d);
}

/* discover_entry gives the old view back where nothing changed, so pointers tell. */
static bool is_same_view(const void *a, const void *b)
{
        return a == b;
}

static Table *states_of(const WorldInput *in, const Table *states)
{
        size_t n = table_n(states);
        CLEANUP(mem_cleanup) const void **leaves = mem_new_array(n + 1, sizeof *leaves);
        for (size_t i = 0; i < n; i++)
                leaves[i] = leaf_ref(states->at[i]);
        return table_update(in->before->tailnet_states, leaves, n, tailnet_state_order,
                            tailnet_state_same);
}

static Table *entries_of(const WorldInput *in, const Table *states)
{
        size_t n = 0, max = 0;
        TABLE_FOREACH (GatewaySpec, g, in->gateways)
                max += g->n_tailnets;
        CLEANUP(mem_cleanup) const void **views = mem_new_array(max + 1, sizeof *views);
        CLEANUP(mem_cleanup)
        const EndpointsSpec **statics = mem_new_array(table_n(in->endpoints) + 1, sizeof *statics);
        CLEANUP(mem_cleanup)
        const EndpointsSpec **shards = mem_new_array(table_n(in->found) + 1, sizeof *shards);
        Scratch scratch = {statics, shards, views, 0};
        TABLE_FOREACH (GatewaySpec, g, in->gateways) {
                for (size_t i = 0; i < g->n_tailnets; i++) {
                        scratch.n_views = n;
                        views[n++] = in->follows
                                             ? followed_entry(in, g, &g->tailnets[i], &scratch)
                                             : entry_of(in, states, g, &g->tailnets[i], &scratch);
                }
        }
        return table_update(in->before->entries, views, n, entry_view_order, is_same_view);
}

/* Whether an answer is held back is found out with the suffix that was in force: Services have
 * their names of it. */
static void find_entries(const WorldInput *in, World *w)
{
        SuffixHoldInput hold = {in->before->tailnet_states, in->tailnet_states, in->tailnets, NULL};
        size_t n_tried, n_held;
        Table *tried = suffix_hold(&hold, &n_tried);
        w->entries = entries_of(in, tried);
        hold.entries = w->entries;
        Table *held = suffix_hold(&hold, &n_held);
        if (n_held != n_tried) {
                table_unref(w->entries);
                w->entries = entries_of(in, held);
        }
        w->tailnet_states = states_of(in, held);
        table_unref(held);
        table_unref(tried);
}

/* Not where all that is known is what a tailscaled can reach, and the control server has not
 * answered yet: it may know more, and a first answer that lacks a host would take it from Envoy. */
static bool is_known(const WorldInput *in, const EntryView *v)
{
        ObjectKey key = {v->gateway.namespace, v->source};
        const TailnetState *s = table_find(in->tailnet_states, &key, tailnet_state_find);
        bool is_first = s != NULL && s->partial && s->last_sync.ms == 0 && s->devices != NULL;
        return v->known && (v->from_cache || !is_first);
}

static bool is_complete(const WorldInput *in, const Table *entries)
{
        if (!in->resources_read)
                return false;
        if (in->before->complete || in->waited)
                return true;
        if (!in->proxies_resolved)
                return false;
        TABLE_FOREACH (EntryView, v, entries) {
                if (!is_known(in, v))
                        return false;
        }
        return true;
}

/* Both directories' Namespaces; the first of one name stays, which is Envoy Gateway's. */
static const Table *namespaces_of(const WorldInput *in)
{
        if (table_n(in->our_namespaces) == 0 || in->our_namespaces == in->namespaces)
                return table_ref(in->namespaces);
        size_t n = 0, room = table_n(in->namespaces) + table_n(in->our_namespaces);
        CLEANUP(mem_cleanup) const void **at = mem_new_array(room, sizeof(void *));
        TABLE_FOREACH (EgNamespace, x, in->namespaces)
                at[n++] = leaf_ref(x);
        TABLE_FOREACH (EgNamespace, x, in->our_namespaces)
                at[n++] = leaf_ref(x);
        return table_update(in->before->namespaces, at, n, eg_namespace_order, eg_namespace_same);
}

static bool is_same_world(const World *a, const World *b)
{
        return a->complete == b->complete && a->resources_read == b->resources_read &&
               a->eg_knows_labels == b->eg_knows_labels && a->tailnets == b->tailnets &&
               a->gateways == b->gateways && a->eg_gateways == b->eg_gateways &&
               a->eg_routes == b->eg_routes && a->namespaces == b->namespaces &&
               a->services == b->services && a->grants == b->grants && a->statics == b->statics &&
               a->tailnet_states == b->tailnet_states && a->entries == b->entries &&
               a->bindings == b->bindings && a->proxy_names == b->proxy_names &&
               a->policy == b->policy && a->trust == b->trust;
}

const World *world_build(const WorldInput *in)
{
        World *w = leaf_new(sizeof *w, 0, world_drop);
        w->generation = in->before->generation + 1;
        w->resources_read = in->resources_read;
        w->eg_knows_labels = in->eg_knows_labels;
        w->tailnets = table_ref(in->tailnets);
        w->gateways = table_ref(in->gateways);
        w->eg_gateways = table_ref(in->eg_gateways);
        w->eg_routes = table_ref(in->eg_routes);
        w->namespaces = namespaces_of(in);
        w->services = table_ref(in->services);
        w->grants = table_ref(in->grants);
        w->statics = table_ref(in->endpoints);
        w->bindings = table_ref(in->bindings);
        w->proxy_names = table_ref(in->proxy_names);
        w->trust = trust_bundles(in->gateways, in->secrets, in->before->trust);
        w->policy = leaf_ref(in->policy);
        find_entries(in, w);
        w->complete = is_complete(in, w->entries);
        if (!is_same_world(w, in->before))
                return w;
        leaf_unref(w);
        return leaf_ref(in->before);
}
