/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariants:
 * 1. Every change only marks the hub dirty; the World is built by the hold-off timer, so a burst
 * makes one.
 * 2. There is one TailnetPoll for each TailscaleTailnet in force, at most FACTS_TAILNETS_MAX: who
 * is asked stays, then the oldest come first.
 * 3. Discovery runs with the live state of each tailnet; the World keeps the old state leaf where
 * nothing that others see has changed.
 * 4. While the hub follows there is no poll, no probe and no Secret.
 * 5. A tailnet is asked with what its Secret is known to hold: where that is not known yet it is
 * not asked, or goes on with what it had.
 */
#include "source/hub.h"

#include "base/mem.h"
#include "discovery/discover.h"
#include "source/cache.h"
#include "source/held_log.h"
#include "source/objects.h"
#include "source/port_scan.h"
#include "source/prober.h"
#include "source/proxy_names.h"
#include "source/tailnet_choice.h"
#include "source/tailnet_poll.h"
#include "source/world_build.h"

struct Hub {
        HubInput in;
        Objects *objects;
        const Table *cache; /* empty from the first complete World on */
        const Table *bindings;
        const Table *seen[MANIFEST_KINDS + 1]; /* of an API server, when it last told; the last are
                                                  the TailscaleEndpoints that were found */
        TailnetPoll **polls;                   /* sorted by key */
        size_t n_polls;
        ProxyNames *proxies;
        Prober *prober;
        PortScan *port_scan;
        const Table *approved; /* of EntryView, for the next build; or NULL */
        const World *world;
        Timer hold_off, first_sync;
        Mono dirty_since; /* 0: clean */
        bool waited;
        bool leads;
        bool is_to_lead;  /* as soon as what stands at the API server was listed again */
        bool looks;       /* prober and port scan have a World */
        size_t n_waiting; /* tailnets whose Secret is not known yet */
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

static TailnetPoll *poll_new(Hub *h, const TailnetSpec *t, const SecretSpec *secret)
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
        return tailnet_poll_open(&in, t, secret);
}

/* With what is known of its Secret. */
static void poll_update(Hub *h, TailnetPoll *p, const TailnetSpec *t)
{
        const SecretSpec *secret;
        if (objects_secret(h->objects, t, &secret))
                tailnet_poll_update(p, t, secret);
        else
                h->n_waiting++;
}

static bool is_asked(const void *owner, const TailnetSpec *t)
{
        const Hub *h = owner;
        size_t low = 0, high = h->n_polls;
        while (low < high) {
                size_t mid = low + (high - low) / 2;
                int c = tailnet_spec_order(tailnet_poll_spec(h->polls[mid]), t);
                if (c == 0)
                        return true;
                if (c < 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        return false;
}

/* Those of `specs` that are asked, by key; `ret` has room for all. The status of each other one
 * says that it is not (tailnet_status.c). */
static size_t choose_asked(const Hub *h, const Table *specs, const TailnetSpec **ret)
{
        size_t found = h->leads ? table_n(specs) : 0;
        if (found == 0)
                return 0;
        size_t n = tailnet_choice_make(specs, NULL, is_asked, h, FACTS_TAILNETS_MAX, ret);
        if (n < found)
                log_error(h->in.log, "too many TailscaleTailnets, the youngest are not asked",
                          LOG_INT("found", found), LOG_INT("max", FACTS_TAILNETS_MAX));
        return n;
}

/* Both are sorted by key, so one walk keeps, opens and closes. */
static void update_polls(Hub *h)
{
        const Table *all = objects_ours(h->objects, MANIFEST_TAILNET);
        CLEANUP(mem_cleanup)
        const TailnetSpec **specs = mem_new_array(table_n(all) + 1, sizeof *specs);
        size_t n = choose_asked(h, all, specs), old = 0, n_polls = 0;
        h->n_waiting = 0;
        TailnetPoll **polls = mem_new_array(n + 1, sizeof(TailnetPoll *));
        for (size_t i = 0; i < n; i++) {
                const TailnetSpec *t = specs[i];
                for (; old < h->n_polls &&
                       tailnet_spec_order(tailnet_poll_spec(h->polls[old]), t) < 0;
                     old++)
                        tailnet_poll_close(h->polls[old]);
                /* NULL: opened below, when those that go have left their facts. */
                if (old < h->n_polls &&
                    tailnet_spec_order(tailnet_poll_spec(h->polls[old]), t) == 0) {
                        polls[i] = h->polls[old++];
                        poll_update(h, polls[i], t);
                }
        }
        for (; old < h->n_polls; old++)
                tailnet_poll_close(h->polls[old]);
        for (size_t i = 0; i < n; i++) {
                const SecretSpec *secret;
                if (polls[i] == NULL && objects_secret(h->objects, specs[i], &secret))
                        polls[i] = poll_new(h, specs[i], secret);
                if (polls[i] != NULL)
                        polls[n_polls++] = polls[i];
                else
                        h->n_waiting++;
        }
        mem_free(h->polls);
        h->polls = polls;
        h->n_polls = n_polls;
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

static void look(Hub *h, const World *w)
{
        h->looks = true;
        prober_update(h->prober, w);
        port_scan_update(h->port_scan, w);
}

static void stop_looking(Hub *h)
{
        CLEANUP(leaf_cleanup) World *nothing = world_new_empty();
        if (h->looks)
                look(h, nothing);
        h->looks = false;
}

static void publish(Hub *h, const World *w)
{
        const World *before = h->world;
        h->world = w;
        if (w->complete && !before->complete)
                log_info(h->in.log, "world complete", LOG_INT("generation", w->generation));
        held_log(h->in.log, before, w);
        if (!h->in.only_asks && h->leads && (w != before || !h->looks))
                look(h, w);
        if (w != before)
                h->in.fn(h->in.owner, w);
        leaf_unref(before);
}

/* Of an API server: those that stand there. */
static void update_bindings(Hub *h)
{
        if (objects_kube(h->objects) != NULL)
                hub_tell_bindings(h, objects_ours(h->objects, MANIFEST_BINDING));
}

/* Notes what a World is made of, of the resources. True where anything of it is another than it was
 * that makes another World: our own writes come back, and make none. Of Bindings only the keys
 * count, and a leader has found out itself what stands in its TailscaleEndpoints. */
static bool note_seen(Hub *h)
{
        bool news = false;
        for (size_t k = 0; k < LENGTH_OF(h->seen); k++) {
                const Table *t = k == MANIFEST_KINDS ? objects_found_endpoints(h->objects)
                                 : k == MANIFEST_ENDPOINTS
                                         ? objects_static_endpoints(h->objects)
                                         : objects_ours(h->objects, (ManifestKind)k);
                bool counts = k != MANIFEST_BINDING && (k != MANIFEST_KINDS || !h->leads);
                news |= counts && t != h->seen[k];
                table_unref(h->seen[k]);
                h->seen[k] = table_ref(t);
        }
        return news;
}

static void change_part(Hub *h, bool lead)
{
        h->leads = lead;
        objects_want_secrets(h->objects, lead);
        if (!lead)
                stop_looking(h);
        log_info(h->in.log, lead ? "leading: tailnets are asked" : "following: no tailnet is asked",
                 LOG_INT("generation", h->world->generation));
        mark(h);
}

static void on_hold_off(Timer *t)
{
        Hub *h = CONTAINER_OF(t, Hub, hold_off);
        const Objects *o = h->objects;
        h->dirty_since = (Mono){0};
        if (objects_are_read(o) && !h->waited && !timer_is_set(&h->first_sync))
                timer_set_in(&h->first_sync, SPAN_S(HUB_FIRST_SYNC_S));
        update_polls(h);
        proxy_names_want(h->proxies, objects_ours(o, MANIFEST_TAILNET),
                         objects_ours(o, MANIFEST_GATEWAY));
        CLEANUP(leaf_cleanup) Table *states = live_states(h);
        WorldInput in = {
                .before = h->world,
                .cache = h->cache,
                .tailnets = objects_ours(o, MANIFEST_TAILNET),
                .gateways = objects_ours(o, MANIFEST_GATEWAY),
                .endpoints = objects_static_endpoints(o),
                .found = objects_kube(o) != NULL ? objects_found_endpoints(o) : NULL,
                .eg_gateways = objects_theirs(o, MANIFEST_EG_GATEWAY),
                .eg_routes = objects_theirs(o, MANIFEST_EG_ROUTE),
                .namespaces = objects_theirs(o, MANIFEST_NAMESPACE),
                .services = objects_theirs(o, MANIFEST_SERVICE),
                .grants = objects_theirs(o, MANIFEST_GRANT),
                .our_namespaces = objects_ours(o, MANIFEST_NAMESPACE),
                .tailnet_states = states,
                .bindings = h->bindings,
                .proxy_names = proxy_names_table(h->proxies),
                .secrets = objects_ours(o, MANIFEST_SECRET),
                .proxies_resolved = proxy_names_all_resolved(h->proxies),
                .open_ports = port_scan_table(h->port_scan),
                .policy = h->in.policy,
                .approved = h->approved,
                .follows = !h->leads,
                .eg_knows_labels = objects_kube(o) != NULL,
                .resources_read = objects_are_read(o),
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
        /* Only now: what it begins with is what it has followed last. (Who is told may close us.)
         */
        if (h->is_to_lead && !h->leads && objects_are_current(h->objects))
                change_part(h, true);
        publish(h, w);
}

static void on_first_sync(Timer *t)
{
        Hub *h = CONTAINER_OF(t, Hub, first_sync);
        h->waited = true;
        mark(h);
}

static void on_objects(Objects *o)
{
        Hub *h = objects_owner(o);
        bool is_kube = objects_kube(o) != NULL;
        update_bindings(h);
        bool may_lead = h->is_to_lead && !h->leads && objects_are_current(o);
        if (!is_kube || note_seen(h) || may_lead || h->n_waiting > 0 ||
            objects_are_read(o) != h->world->resources_read)
                mark(h);
        if (is_kube && h->in.on_observed != NULL)
                h->in.on_observed(h->in.owner);
}

static void open_objects(Hub *h, const HubInput *in)
{
        h->objects = objects_open(&(ObjectsInput){
                .loop = in->loop,
                .log = in->log,
                .facts = in->facts,
                .resources = in->resources,
                .gateway_resources = in->gateway_resources,
                .api = in->kube,
                .namespaces = in->namespaces,
                .own_namespace = in->own_namespace,
                .seed = in->seed,
                .fn = on_objects,
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
        h->leads = in->kube == NULL;
        open_objects(h, in);
        timer_set(&h->hold_off, loop_now(in->loop));
        return h;
}

void hub_lead(Hub *h, bool lead)
{
        INSIST(h->in.kube != NULL);
        if (h->is_to_lead == lead)
                return;
        h->is_to_lead = lead;
        if (lead)
                objects_read_again(h->objects);
        else if (h->leads)
                change_part(h, false);
}

bool hub_leads(const Hub *h)
{
        return h->leads;
}

const KubeSource *hub_kube(const Hub *h)
{
        return objects_kube(h->objects);
}

const World *hub_world(const Hub *h)
{
        return h->world;
}

void hub_reread(Hub *h)
{
        objects_reread(h->objects);
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
                table_find(objects_ours(h->objects, MANIFEST_TAILNET), &tailnet, tailnet_spec_find);
        const SecretSpec *s = NULL;
        if (t != NULL)
                IGNORE(objects_secret(h->objects, t, &s), "not known is not there, here");
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
        if (!h->leads)
                return err_set(err, ERR_CONFLICT, "NotLeading",
                               "another process leads; the annotation %s of the TailscaleGateway "
                               "reaches whoever does",
                               "gateway.tailscale.com/approve-removal");
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
        h->objects = objects_close(h->objects);
        for (size_t k = 0; k < LENGTH_OF(h->seen); k++)
                table_unref(h->seen[k]);
        table_unref(h->cache);
        table_unref(h->bindings);
        table_unref(h->approved);
        leaf_unref(h->world);
        leaf_unref(h->in.policy);
        return mem_free(h);
}
