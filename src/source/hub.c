/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariants:
 * 1. Every change only marks the hub dirty; the World is built by the hold-off timer, so a burst
 * makes one.
 * 2. There is one TailnetPoll for each TailscaleTailnet in force, at most FACTS_TAILNETS_MAX.
 * 3. Discovery runs with the live state of each tailnet; the World keeps the old state leaf where
 * nothing that others see has changed.
 */
#include "source/hub.h"

#include "base/mem.h"
#include "discovery/discover.h"
#include "source/cache.h"
#include "source/dir_source.h"
#include "source/held_log.h"
#include "source/port_scan.h"
#include "source/prober.h"
#include "source/proxy_names.h"
#include "source/tailnet_poll.h"
#include "source/world_build.h"

struct Hub {
        HubInput in;
        DirSource *resources;
        DirSource *gateway_resources; /* NULL: the same as resources */
        const Table *cache;           /* empty from the first complete World on */
        const Table *bindings;
        TailnetPoll **polls; /* sorted by key */
        size_t n_polls;
        ProxyNames *proxies;
        Prober *prober;
        PortScan *port_scan;
        const Table *approved; /* of EntryView, for the next build; or NULL */
        const World *world;
        Timer hold_off, first_sync;
        Mono dirty_since; /* 0: clean */
        bool waited;
};

static void mark(Hub *h)
{
        Mono now = loop_now(h->in.loop);
        if (h->dirty_since.ns == 0)
                h->dirty_since = now;
        Mono at = mono_add(now, SPAN_MS(HUB_HOLD_OFF_MS));
        Mono latest = mono_add(h->dirty_since, SPAN_MS(HUB_HOLD_OFF_MAX_MS));
        timer_set(&h->hold_off, mono_before(latest, at) ? latest : at);
}

static void on_poll(TailnetPoll *p)
{
        mark(tailnet_poll_owner(p));
}

static void on_port_scan(void *owner)
{
        mark(owner);
}

static void on_proxies(void *owner)
{
        mark(owner);
}

static const Table *our_table(const Hub *h, ManifestKind kind)
{
        return dir_source_table(h->resources, kind);
}

static const Table *eg_table(const Hub *h, ManifestKind kind)
{
        return dir_source_table(h->gateway_resources != NULL ? h->gateway_resources : h->resources,
                                kind);
}

static const SecretSpec *secret_of(const Hub *h, const TailnetSpec *t)
{
        ObjectKey key = {t->meta.key.namespace, t->secret_name};
        return t->secret_name.n > 0
                       ? table_find(our_table(h, MANIFEST_SECRET), &key, secret_spec_find)
                       : NULL;
}

static TailnetPoll *poll_new(Hub *h, const TailnetSpec *t)
{
        TailnetPollInput in = {
                .loop = h->in.loop,
                .log = h->in.log,
                .http = h->in.http,
                .facts = h->in.facts,
                .policy = h->in.policy,
                .seed = h->in.seed ^ str_hash(t->meta.key.namespace) ^
                        (str_hash(t->meta.key.name) << 1),
                .open = h->in.open,
                .open_local = h->in.open_local,
                .fn = on_poll,
                .owner = h,
        };
        return tailnet_poll_open(&in, t, secret_of(h, t));
}

/* Both are sorted by key, so one walk keeps, opens and closes. */
static void update_polls(Hub *h)
{
        const Table *specs = our_table(h, MANIFEST_TAILNET);
        size_t n = table_n(specs);
        if (n > FACTS_TAILNETS_MAX) {
                log_error(h->in.log, "too many TailscaleTailnets, the last by name are not asked",
                          LOG_INT("found", n), LOG_INT("max", FACTS_TAILNETS_MAX));
                n = FACTS_TAILNETS_MAX;
        }
        TailnetPoll **polls = mem_new_array(n + 1, sizeof(TailnetPoll *));
        size_t old = 0;
        for (size_t i = 0; i < n; i++) {
                const TailnetSpec *t = specs->at[i];
                for (; old < h->n_polls &&
                       tailnet_spec_order(tailnet_poll_spec(h->polls[old]), t) < 0;
                     old++)
                        tailnet_poll_close(h->polls[old]);
                if (old < h->n_polls &&
                    tailnet_spec_order(tailnet_poll_spec(h->polls[old]), t) == 0) {
                        polls[i] = h->polls[old++];
                        tailnet_poll_update(polls[i], t, secret_of(h, t));
                } else {
                        polls[i] =
                                NULL; /* opened below, when those that go have left their facts */
                }
        }
        for (; old < h->n_polls; old++)
                tailnet_poll_close(h->polls[old]);
        for (size_t i = 0; i < n; i++) {
                if (polls[i] == NULL)
                        polls[i] = poll_new(h, specs->at[i]);
        }
        mem_free(h->polls);
        h->polls = polls;
        h->n_polls = n;
}

static Table *live_states(const Hub *h)
{
        CLEANUP(mem_cleanup) const void **leaves = mem_new_array(h->n_polls + 1, sizeof *leaves);
        size_t n = 0;
        for (size_t i = 0; i < h->n_polls; i++) {
                const TailnetState *s = tailnet_poll_state(h->polls[i]);
                if (s != NULL)
                        leaves[n++] = leaf_ref(s);
        }
        return table_new(leaves, n, tailnet_state_order);
}

static bool are_resources_read(const Hub *h)
{
        return dir_source_is_read(h->resources) &&
               (h->gateway_resources == NULL || dir_source_is_read(h->gateway_resources));
}

static void publish(Hub *h, const World *w)
{
        const World *before = h->world;
        h->world = w;
        if (w->complete && !before->complete)
                log_info(h->in.log, "world complete", LOG_INT("generation", w->generation));
        held_log(h->in.log, before, w);
        if (w != before) {
                if (!h->in.only_asks) {
                        prober_update(h->prober, w);
                        port_scan_update(h->port_scan, w);
                }
                h->in.fn(h->in.owner, w);
        }
        leaf_unref(before);
}

static void on_hold_off(Timer *t)
{
        Hub *h = CONTAINER_OF(t, Hub, hold_off);
        h->dirty_since = (Mono){0};
        if (are_resources_read(h) && !h->waited && !timer_is_set(&h->first_sync))
                timer_set_in(&h->first_sync, SPAN_S(HUB_FIRST_SYNC_S));
        update_polls(h);
        proxy_names_want(h->proxies, our_table(h, MANIFEST_TAILNET),
                         our_table(h, MANIFEST_GATEWAY));
        CLEANUP(leaf_cleanup) Table *states = live_states(h);
        WorldInput in = {
                .before = h->world,
                .cache = h->cache,
                .tailnets = our_table(h, MANIFEST_TAILNET),
                .gateways = our_table(h, MANIFEST_GATEWAY),
                .endpoints = our_table(h, MANIFEST_ENDPOINTS),
                .eg_gateways = eg_table(h, MANIFEST_EG_GATEWAY),
                .eg_routes = eg_table(h, MANIFEST_EG_ROUTE),
                .namespaces = eg_table(h, MANIFEST_NAMESPACE),
                .our_namespaces = our_table(h, MANIFEST_NAMESPACE),
                .tailnet_states = states,
                .bindings = h->bindings,
                .proxy_names = proxy_names_table(h->proxies),
                .proxies_resolved = proxy_names_all_resolved(h->proxies),
                .open_ports = port_scan_table(h->port_scan),
                .policy = h->in.policy,
                .approved = h->approved,
                .resources_read = are_resources_read(h),
                .waited = h->waited,
                .now = loop_wall(h->in.loop),
                .mono = loop_now(h->in.loop),
        };
        const World *w = world_build(&in);
        h->approved = table_unref(h->approved);
        /* An entry that goes and comes back must not find what the start knew. */
        if (w->complete && table_n(h->cache) > 0) {
                table_unref(h->cache);
                h->cache = table_new(NULL, 0, NULL);
        }
        publish(h, w);
}

static void on_first_sync(Timer *t)
{
        Hub *h = CONTAINER_OF(t, Hub, first_sync);
        h->waited = true;
        mark(h);
}

static void on_directory(DirSource *d)
{
        mark(dir_source_owner(d));
}

static DirSource *open_directory(Hub *h, const char *path, DirFact *fact)
{
        return dir_source_open(&(DirSourceInput){
                .loop = h->in.loop,
                .log = h->in.log,
                .path = path,
                .fact = fact,
                .fn = on_directory,
                .owner = h,
        });
}

Hub *hub_open(const HubInput *in)
{
        Hub *h = mem_new(sizeof *h);
        h->in = *in;
        h->in.policy = leaf_ref(in->policy);
        h->world = world_new_empty();
        timer_init(&h->hold_off, in->loop, on_hold_off);
        timer_init(&h->first_sync, in->loop, on_first_sync);
        h->proxies = proxy_names_open(in->loop, in->log, on_proxies, h);
        h->prober = prober_open(&(ProberInput){.loop = in->loop,
                                               .log = in->log,
                                               .http = in->http,
                                               .facts = in->facts,
                                               .seed = in->seed});
        h->port_scan = port_scan_open(&(PortScanInput){.loop = in->loop,
                                                       .log = in->log,
                                                       .http = in->http,
                                                       .seed = in->seed,
                                                       .fn = on_port_scan,
                                                       .owner = h});
        h->bindings = table_new(NULL, 0, binding_spec_order);
        h->cache = in->cache != NULL ? cache_read(in->cache, in->log) : table_new(NULL, 0, NULL);
        h->resources = open_directory(h, in->resources, &in->facts->resources);
        if (in->gateway_resources != NULL)
                h->gateway_resources =
                        open_directory(h, in->gateway_resources, &in->facts->gateway_resources);
        timer_set(&h->hold_off, loop_now(in->loop));
        return h;
}

const World *hub_world(const Hub *h)
{
        return h->world;
}

void hub_reread(Hub *h)
{
        dir_source_reread(h->resources);
        if (h->gateway_resources != NULL)
                dir_source_reread(h->gateway_resources);
        for (size_t i = 0; i < h->n_polls; i++)
                tailnet_poll_trigger(h->polls[i]);
}

bool hub_trigger(Hub *h, ObjectKey tailnet)
{
        for (size_t i = 0; i < h->n_polls; i++) {
                if (tailnet_spec_find(&tailnet, tailnet_poll_spec(h->polls[i])) == 0) {
                        tailnet_poll_trigger(h->polls[i]);
                        return true;
                }
        }
        return false;
}

const Secret *hub_webhook_secret(const Hub *h, ObjectKey tailnet)
{
        const TailnetSpec *t =
                table_find(our_table(h, MANIFEST_TAILNET), &tailnet, tailnet_spec_find);
        const SecretSpec *s = t != NULL ? secret_of(h, t) : NULL;
        return s != NULL ? s->webhook_secret : NULL;
}

static bool has_same_keys(const Table *a, const Table *b)
{
        bool same = table_n(a) == table_n(b);
        for (size_t i = 0; same && i < table_n(a); i++)
                same = binding_spec_order(a->at[i], b->at[i]) == 0;
        return same;
}

void hub_tell_bindings(Hub *h, const Table *bindings)
{
        if (has_same_keys(h->bindings, bindings))
                return;
        table_unref(h->bindings);
        h->bindings = table_ref(bindings);
        mark(h);
}

/* `before` (may be NULL; its reference is taken over) with `view`, which replaces one of its entry.
 */
static const Table *with_approved(const Table *before, const void *view)
{
        size_t n = table_n(before), kept = 0;
        CLEANUP(mem_cleanup) const void **views = mem_new_array(n + 1, sizeof *views);
        views[kept++] = view;
        for (size_t i = 0; i < n; i++) {
                if (entry_view_order(before->at[i], view) != 0)
                        views[kept++] = leaf_ref(before->at[i]);
        }
        table_unref(before);
        return table_new(views, kept, entry_view_order);
}

bool hub_approve(Hub *h, EntryKey entry, Str digest, Err *err)
{
        const EntryView *v = table_find(h->world->entries, &entry, entry_view_find);
        if (v == NULL)
                return err_set(err, ERR_MISSING, "NotFound",
                               "no tailnet %.*s in TailscaleGateway %.*s/%.*s",
                               STR_FMT(entry.tailnet), STR_FMT(entry.gateway.namespace),
                               STR_FMT(entry.gateway.name));
        const void *approved = discover_approve(v, digest);
        if (approved == NULL)
                return err_set(err, ERR_CONFLICT, "NothingHeld",
                               "no removal with digest %.*s is held for %.*s", STR_FMT(digest),
                               STR_FMT(entry.tailnet));
        h->approved = with_approved(h->approved, approved);
        mark(h);
        return true;
}

Hub *hub_close(Hub *h)
{
        if (h == NULL)
                return NULL;
        timer_clear(&h->hold_off);
        timer_clear(&h->first_sync);
        for (size_t i = 0; i < h->n_polls; i++)
                tailnet_poll_close(h->polls[i]);
        mem_free(h->polls);
        h->proxies = proxy_names_close(h->proxies);
        h->prober = prober_close(h->prober);
        h->port_scan = port_scan_close(h->port_scan);
        h->resources = dir_source_close(h->resources);
        h->gateway_resources = dir_source_close(h->gateway_resources);
        table_unref(h->cache);
        table_unref(h->bindings);
        table_unref(h->approved);
        leaf_unref(h->world);
        leaf_unref(h->in.policy);
        return mem_free(h);
}
