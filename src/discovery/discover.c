/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One evaluation:
 *
 *   Services, then devices of the list ──judge──> candidates ──names──┐
 *   endpoints in force, device not in the list ──judge──> guard ──────┼─> endpoints ─> EntryView
 *   the user's static endpoints, which win ───────────────────────────┘
 *
 * Invariants:
 *  1. An endpoint in force whose device is not in the list leaves only if the rules in force would
 *     not take its device (an edit), another device has its name now, a static endpoint has its
 *     name and port, or the guard lets it go. Without a list, or with one that is partial, the
 *     guard is not asked: it stays.
 *     An entry that refers to another TailscaleTailnet than before begins with nothing.
 *  2. What a list says of a device that is in it takes effect at once.
 *  3. A poll is counted by the guard once, however often the entry is evaluated.
 *  4. Where the last poll failed, the clock stands at the last good one: what was good then stays.
 *  5. Where Services are not told, those in force stay, before devices that want their names.
 *  6. Same input, same Table, leaf by leaf; where nothing changed, `before` itself.
 */
#include "discovery/discover.h"

#include "base/map.h"
#include "base/mem.h"
#include "discovery/candidate.h"
#include "discovery/guard.h"
#include "discovery/selection.h"

typedef struct LeafList {
        const void **at; /* owned; each with one reference */
        size_t n, room;
} LeafList;

enum {
        LEFT_WITH_REASON, /* selected, yet not made an endpoint: what a user looks for */
        LEFT_NOT_SELECTED,
        LEFT_CLASSES,
};

typedef struct Work {
        const DiscoverInput *in;
        CandidateRules rules;
        bool has_list;
        bool tells_absence;     /* what the list lacks is missing */
        Arena arena;            /* of this evaluation */
        Arena scratch;          /* of the device at hand */
        Map by_service;         /* Candidate: who has the name; of those that share it, the first */
        Map members;            /* "group\nlabel of the short name": who has it in the list */
        Map remembered;         /* "service\nnode id": who has a candidate from before */
        Candidate **candidates; /* owned; by node id, then the remembered ones */
        size_t n_candidates, room;
        Map static_ports; /* "service\nport": something that is not NULL */
        LeafList endpoints;
        LeafList left[LEFT_CLASSES];
        uint64_t n_left;
        HeldRemoval held;
        Wall next_key_expiry; /* of what is in the list and taken; 0: none */
} Work;

/* --- leaves --- */

static void leaf_list_add(LeafList *l, const void *leaf)
{
        if (l->n == l->room) {
                l->room = l->room > 0 ? l->room * 2 : 16;
                l->at = mem_resize(l->at, l->room * sizeof(*l->at));
        }
        l->at[l->n++] = leaf;
}

static void leave_out(Work *w, Str node_id, Str name, Refusal why)
{
        LeafList *l = &w->left[str_eq(why.reason, STR("NotSelected")) ? LEFT_NOT_SELECTED
                                                                      : LEFT_WITH_REASON];
        LeftOut *left;

        w->n_left++;
        if (l->n == LEFT_OUT_MAX)
                return;
        left = leaf_new(sizeof(*left),
                        leaf_room_str(node_id) + leaf_room_str(name) + leaf_room_str(why.reason) +
                                leaf_room_str(why.text),
                        NULL);
        left->node_id = leaf_str(&left->leaf, node_id);
        left->name = leaf_str(&left->leaf, name);
        left->reason = leaf_str(&left->leaf, why.reason);
        left->text = leaf_str(&left->leaf, why.text);
        leaf_list_add(l, left);
}

/* --- the list --- */

static void add_candidate(Work *w, Candidate *c)
{
        if (w->n_candidates == w->room) {
                w->room = w->room > 0 ? w->room * 2 : 64;
                w->candidates = mem_resize(w->candidates, w->room * sizeof(Candidate *));
        }
        w->candidates[w->n_candidates++] = c;
}

/* What a machine that is enrolled again has in common with what it was, in a group. */
static Str member_key(Work *w, const Candidate *c)
{
        char label[SERVICE_LABEL_MAX];

        return arena_printf(&w->arena, "%.*s\n%.*s", STR_FMT(c->service),
                            STR_FMT(endpoint_service_label(c->device->short_name, label)));
}

/* One has a name, or several that share it; the other says whose it is. */
static void claim(Work *w, Candidate *c)
{
        Candidate *other = map_get(&w->by_service, c->service);
        bool wins = other == NULL || candidate_is_before(c, other);
        Candidate *winner = wins ? c : other, *loser = wins ? other : c;

        add_candidate(w, c);
        if (c->owner == CANDIDATE_OF_GROUP)
                map_put(&w->members, member_key(w, c), c);
        if (other != NULL && candidate_shares(c, other))
                return;
        if (wins)
                map_put(&w->by_service, c->service, c);
        if (loser == NULL)
                return;
        loser->lost = true;
        leave_out(w, loser->device->node_id, loser->device->name,
                  (Refusal){STR("NameConflict"),
                            arena_printf(&w->scratch, "%s %.*s (%.*s) has the name %.*s",
                                         winner->owner == CANDIDATE_OF_SERVICE ? "Tailscale Service"
                                                                               : "device",
                                         STR_FMT(winner->device->node_id),
                                         STR_FMT(winner->device->name), STR_FMT(c->service))});
}

static bool is_full(const Work *w, Refusal *why)
{
        if (w->n_candidates < DISCOVER_DEVICES_MAX)
                return false;
        *why = (Refusal){STR("TooMany"), STR("more devices are selected than one entry may hold")};
        return true;
}

static void judge_service_at(Work *w, const TailnetService *s, const Device *host)
{
        Candidate *c = NULL;
        Refusal why;

        if (!is_full(w, &why))
                c = candidate_of_service(&w->rules, s, host, &w->arena, &w->scratch, &why);
        if (c != NULL)
                claim(w, c);
        else
                leave_out(w, s->name, s->label, why);
}

/* A Service without an address of its own is where its hosts are. */
static void judge_service(Work *w, const TailnetService *s)
{
        size_t n = 0;

        if (s->ip4.n > 0 || s->ip6.n > 0 || !candidate_selects_service(&w->rules, s, &w->scratch)) {
                judge_service_at(w, s, NULL);
                return;
        }
        for (size_t i = 0; i < s->hosts.n; i++) {
                const Device *host = table_find(w->rules.devices, &s->hosts.at[i], device_find);

                if (host == NULL)
                        continue;
                judge_service_at(w, s, host);
                n++;
        }
        if (n == 0)
                leave_out(w, s->name, s->label,
                          (Refusal){s->hosts_known ? STR("NoServiceHost") : STR("NoAddress"),
                                    s->hosts_known
                                            ? STR("it has no address of its own, and no device of "
                                                  "the list is an approved and ready host of it")
                                            : STR("it has no address of its own, and its hosts "
                                                  "are not known")});
}

static void judge_services(Work *w)
{
        TABLE_FOREACH (TailnetService, s, w->in->state->services) {
                judge_service(w, s);
                arena_reset(&w->scratch);
        }
}

static void judge_list(Work *w)
{
        TABLE_FOREACH (Device, d, w->in->state->devices) {
                Refusal why;
                Candidate *c = NULL;

                if (!is_full(w, &why))
                        c = candidate_of(&w->rules, d, &w->arena, &w->scratch, &why);
                if (c != NULL)
                        claim(w, c);
                else
                        leave_out(w, d->node_id, d->name, why);
                arena_reset(&w->scratch);
        }
}

/* --- what is in force, but not in the list --- */

static Str port_key(Arena *arena, Str service, uint16_t port)
{
        return arena_printf(arena, "%.*s\n%u", STR_FMT(service), port);
}

typedef enum Presence {
        PRESENCE_LISTED,   /* what the list says of it counts */
        PRESENCE_MISSING,  /* there is no list, or it lacks it */
        PRESENCE_NOT_TOLD, /* a Service's: the list is silent about Services, or this one's hosts */
} Presence;

static Presence presence_of_service(const Work *w, Str name, Str host)
{
        const Table *services = w->in->state->services;
        const TailnetService *s = table_find(services, &name, tailnet_service_find);

        if (services == NULL)
                return PRESENCE_NOT_TOLD;
        if (s == NULL)
                return PRESENCE_MISSING;
        if (host.n == 0 || s->ip4.n > 0 || s->ip6.n > 0)
                return PRESENCE_LISTED;
        if (!s->hosts_known)
                return PRESENCE_NOT_TOLD;
        /* A host that is no longer approved has been told of; one without device has not. */
        return !strlist_has(s->hosts, host) ||
                               table_find(w->rules.devices, &host, device_find) != NULL
                       ? PRESENCE_LISTED
                       : PRESENCE_MISSING;
}

static Presence presence_of(const Work *w, Str node_id)
{
        Str service, host;

        if (!w->has_list)
                return PRESENCE_MISSING;
        if (candidate_service_id(node_id, &service, &host))
                return presence_of_service(w, service, host);
        return table_find(w->rules.devices, &node_id, device_find) != NULL ? PRESENCE_LISTED
                                                                           : PRESENCE_MISSING;
}

/* Does the rules' choice still cover an endpoint in force that the list tells of? */
static bool is_selected(Work *w, Str node_id)
{
        Str service, host;
        bool taken;

        if (candidate_service_id(node_id, &service, &host))
                taken = candidate_selects_service(
                        &w->rules,
                        table_find(w->in->state->services, &service, tailnet_service_find),
                        &w->scratch);
        else
                taken = selection_judge(&w->rules.entry->discovery, w->rules.own_nodes,
                                        table_find(w->rules.devices, &node_id, device_find),
                                        SELECTION_OF_DEVICE, &w->scratch)
                                .taken;
        arena_reset(&w->scratch);
        return taken;
}

/* A candidate for each device or Service that is known from `before` alone and may stay: several
 * endpoints of one make one. */
static Candidate *remember(Work *w, size_t at)
{
        const Table *before = w->in->before->endpoints;
        const Endpoint *e = before->at[at];
        Str key = arena_printf(&w->arena, "%.*s\n%.*s", STR_FMT(e->service), STR_FMT(e->node_id));
        Candidate *c, *other;

        if (map_get(&w->remembered, key) != NULL)
                return NULL;
        map_put(&w->remembered, key, w);
        c = candidate_of_endpoints(&w->rules, before, at, &w->arena, &w->scratch);
        arena_reset(&w->scratch);
        if (c == NULL)
                return NULL;
        other = map_get(&w->by_service, c->service);
        if (other != NULL && !candidate_shares(c, other))
                return NULL;
        if (c->owner == CANDIDATE_OF_GROUP && map_get(&w->members, member_key(w, c)) != NULL)
                return NULL;
        if (other == NULL)
                map_put(&w->by_service, c->service, c);
        add_candidate(w, c);
        return c;
}

/* Services of which nothing is told are as good as listed. */
static void remember_untold(Work *w)
{
        const Table *before = w->in->before != NULL ? w->in->before->endpoints : NULL;

        for (size_t i = 0; i < table_n(before); i++) {
                const Endpoint *e = before->at[i];
                Candidate *c = NULL;

                if (e->origin == ENDPOINT_DISCOVERED &&
                    presence_of(w, e->node_id) == PRESENCE_NOT_TOLD)
                        c = remember(w, i);
                /* What is held stays so while nobody counts. */
                if (c != NULL)
                        c->held = e->held && !w->tells_absence;
        }
}

/* Ports that a static endpoint has are not lost. */
static unsigned count_ports(Work *w, const Candidate *c, Digester *digester)
{
        unsigned n = 0;

        for (size_t i = 0; i < c->ports.n; i++) {
                uint16_t port = c->ports.at[i].port;

                if (map_get(&w->static_ports, port_key(&w->scratch, c->service, port)) != NULL)
                        continue;
                digester_add(digester, c->device->node_id);
                digester_add(digester, c->service);
                digester_add_u64(digester, port);
                n++;
        }
        arena_reset(&w->scratch);
        return n;
}

static const RemovalGuard *guard_of(const DiscoverInput *in)
{
        static const RemovalGuard standard = {
                .max_percent = 50, .from_endpoints = 5, .confirmations = 3};

        return in->tailnet != NULL ? &in->tailnet->guard : &standard;
}

/* One list may be empty though the other is not: they are answers to two questions. */
static bool is_empty(const Work *w, size_t first)
{
        if (table_n(w->in->state->devices) == 0)
                return true;
        if (w->in->state->services == NULL || table_n(w->in->state->services) > 0)
                return false;
        for (size_t i = first; i < w->n_candidates; i++)
                if (w->candidates[i]->owner == CANDIDATE_OF_SERVICE)
                        return true;
        return false;
}

/* Holds all that is missing, or lets all of it go. */
static void ask_guard(Work *w, size_t first, unsigned n_present)
{
        const DiscoverInput *in = w->in;
        Digester *digester = digester_new();
        GuardCase c = {
                .guard = guard_of(in),
                .before = in->before->held,
                .is_new_poll = in->before->from_cache || in->state->poll != in->before->poll,
                .is_empty = is_empty(w, first),
                .approved = in->gateway->meta.approve_removal,
        };
        bool holds;

        digester_add(digester, in->entry->name);
        for (size_t i = first; i < w->n_candidates; i++)
                c.n_missing += count_ports(w, w->candidates[i], digester);
        c.missing = digester_finish(digester);
        c.n_known = n_present + c.n_missing;
        holds = c.n_missing > 0 && guard_holds(&c, &w->arena, &w->held);
        for (size_t i = first; i < w->n_candidates; i++) {
                w->candidates[i]->held = holds;
                w->candidates[i]->lost = !holds;
                if (!holds)
                        continue;
                w->candidates[i]->health = STR("Unknown");
                w->candidates[i]->health_text =
                        STR("the tailnet's list lacks it; it is kept by the "
                            "removal guard");
        }
}

static void judge_before(Work *w)
{
        size_t first = w->n_candidates;
        unsigned n_present = 0;

        if (w->in->before == NULL)
                return;
        for (size_t i = 0; i < table_n(w->in->before->endpoints); i++) {
                const Endpoint *e = w->in->before->endpoints->at[i];
                Presence presence = presence_of(w, e->node_id);
                Candidate *c;

                if (e->origin != ENDPOINT_DISCOVERED || presence == PRESENCE_NOT_TOLD)
                        continue;
                if (presence == PRESENCE_LISTED) {
                        n_present += is_selected(w, e->node_id);
                        continue;
                }
                c = remember(w, i);
                if (c != NULL)
                        c->held = e->held;
        }
        if (w->tells_absence)
                ask_guard(w, first, n_present);
        else
                w->held = w->in->before->held;
}

/* --- endpoints --- */

static void add_static(Work *w, const Endpoint *e, Map *seen)
{
        Endpoint t = *e;
        Str port = port_key(&w->arena, e->service, e->port), key;
        Refusal why;

        t.ip = candidate_address(w->in->entry, e->ip, &w->arena);
        if (t.ip.n == 0) {
                why = candidate_address_refusal(e->ip, &w->scratch);
                why.text = arena_printf(&w->scratch, "static: %.*s", STR_FMT(why.text));
                leave_out(w, e->node_id, e->service, why);
                return;
        }
        key = arena_printf(&w->arena, "%.*s\n%d\n%.*s", STR_FMT(port), (int)e->protocol,
                           STR_FMT(t.ip));
        if (map_put(seen, key, w) != NULL || w->endpoints.n == DISCOVER_ENDPOINTS_MAX)
                return;
        t.origin = ENDPOINT_STATIC;
        t.port_source = t.rule = STR("static");
        t.health = STR("Unknown");
        t.held = false;
        t.weight = t.weight > 0 ? t.weight : 1;
        leaf_list_add(&w->endpoints, endpoint_new(&t));
        map_put(&w->static_ports, port, w);
}

static void add_statics(Work *w)
{
        Map seen;

        map_init(&seen);
        for (size_t i = 0; i < w->in->n_statics; i++)
                for (size_t j = 0; j < w->in->statics[i]->n; j++)
                        add_static(w, w->in->statics[i]->endpoints[j], &seen);
        map_done(&seen);
        arena_reset(&w->scratch);
}

static void add_endpoint(Work *w, const Candidate *c, const PortChoice *p)
{
        const Device *d = c->device;
        const Endpoint t = {
                .service = c->service,
                .ip = c->ip,
                .fqdn = str_find(d->name, '.') >= 0 ? d->name : (Str){0},
                .node_id = d->node_id,
                .short_name = d->short_name,
                .port_source = p->source,
                .rule = c->rule,
                .health = c->health,
                .health_text = c->health_text,
                .tags = d->tags,
                .port = p->port,
                .protocol = p->protocol,
                .weight = 1,
                .origin = ENDPOINT_DISCOVERED,
                .held = c->held,
        };

        if (map_get(&w->static_ports, port_key(&w->scratch, c->service, p->port)) != NULL)
                leave_out(w, d->node_id, d->name,
                          (Refusal){STR("Shadowed"),
                                    arena_printf(&w->scratch,
                                                 "a static endpoint has the name %.*s and port %u",
                                                 STR_FMT(c->service), p->port)});
        else if (w->endpoints.n == DISCOVER_ENDPOINTS_MAX)
                leave_out(w, d->node_id, d->name,
                          (Refusal){STR("TooMany"),
                                    STR("more endpoints are found than one entry may hold")});
        else
                leaf_list_add(&w->endpoints, endpoint_new(&t));
        arena_reset(&w->scratch);
}

/* Ports that it has, and that are not taken. */
static void tell_ports(Work *w, const Candidate *c)
{
        if (c->ports.n_more > 0)
                leave_out(w, c->device->node_id, c->device->name,
                          (Refusal){STR("TooManyPorts"),
                                    arena_printf(&w->scratch,
                                                 "%.*s names %zu ports, the first %zu are taken",
                                                 STR_FMT(c->ports.rule),
                                                 c->ports.n + c->ports.n_more, c->ports.n)});
        if (c->ports.fault.n > 0)
                leave_out(w, c->device->node_id, c->device->name,
                          (Refusal){STR("BadPort"),
                                    arena_printf(&w->scratch, "one of its own ports: %.*s",
                                                 STR_FMT(c->ports.fault))});
        arena_reset(&w->scratch);
}

static void add_candidates(Work *w)
{
        for (size_t i = 0; i < w->n_candidates; i++) {
                const Candidate *c = w->candidates[i];
                Wall expires = c->device->expires;

                if (c->lost)
                        continue;
                for (size_t j = 0; j < c->ports.n; j++)
                        add_endpoint(w, c, &c->ports.at[j]);
                tell_ports(w, c);
                if (expires.ms != 0 &&
                    (w->next_key_expiry.ms == 0 || expires.ms < w->next_key_expiry.ms))
                        w->next_key_expiry = expires;
        }
}

/* --- the view --- */

static EntryView *make_view(ObjectKey gateway, Str tailnet, Str source, const HeldRemoval *held)
{
        EntryView *v = leaf_new(sizeof(*v),
                                leaf_room_str(gateway.namespace) + leaf_room_str(gateway.name) +
                                        leaf_room_str(tailnet) + leaf_room_str(source) +
                                        leaf_room_str(held->digest) + leaf_room_str(held->reason),
                                entry_view_drop);

        v->gateway.namespace = leaf_str(&v->leaf, gateway.namespace);
        v->gateway.name = leaf_str(&v->leaf, gateway.name);
        v->tailnet = leaf_str(&v->leaf, tailnet);
        v->source = leaf_str(&v->leaf, source);
        v->held = *held;
        v->held.digest = leaf_str(&v->leaf, held->digest);
        v->held.reason = leaf_str(&v->leaf, held->reason);
        return v;
}

static bool held_same(const HeldRemoval *a, const HeldRemoval *b)
{
        return a->n == b->n && a->confirmations == b->confirmations &&
               str_eq(a->digest, b->digest) && str_eq(a->reason, b->reason);
}

/* Of those with a reason as many as there is room for, the rest of the room for the others. */
static Table *left_out_table(Work *w, const Table *before)
{
        LeafList *all = &w->left[LEFT_WITH_REASON], *rest = &w->left[LEFT_NOT_SELECTED];

        for (size_t i = 0; i < rest->n; i++) {
                if (all->n < LEFT_OUT_MAX)
                        leaf_list_add(all, rest->at[i]);
                else
                        leaf_unref(rest->at[i]);
        }
        rest->n = 0;
        if (all->n == 0)
                return NULL;
        return table_update(before, all->at, all->n, left_out_order, left_out_same);
}

/* What a view says, before it is known whether anybody said it already. */
static bool is_unchanged(const EntryView *before, const EntryView *now)
{
        return before != NULL && before->known == now->known &&
               before->from_cache == now->from_cache && before->endpoints == now->endpoints &&
               before->left_out == now->left_out && before->n_left_out == now->n_left_out &&
               before->next_key_expiry.ms == now->next_key_expiry.ms &&
               held_same(&before->held, &now->held);
}

/* What was left out, and from where the list came, is nothing that is in force. */
static Wall last_change(const Work *w, const EntryView *now)
{
        const EntryView *before = w->in->before;
        bool same = before != NULL && before->last_sync.ms != 0 &&
                    before->endpoints == now->endpoints && held_same(&before->held, &now->held);

        if (same)
                return before->last_sync;
        return w->has_list ? w->in->now : (Wall){0};
}

static EntryView *conclude(Work *w)
{
        static const EntryView nothing = {0};
        const EntryView *before = w->in->before, *old = before != NULL ? before : &nothing;
        const EntryView now = {
                .known = w->has_list || !w->in->entry->discovery.enabled || old->known,
                .from_cache = !w->tells_absence && old->from_cache,
                .poll = w->tells_absence ? w->in->state->poll : old->poll,
                .endpoints = table_update(old->endpoints, w->endpoints.at, w->endpoints.n,
                                          endpoint_order, endpoint_same),
                .left_out = left_out_table(w, old->left_out),
                .n_left_out = w->n_left,
                .next_key_expiry = w->has_list ? w->next_key_expiry : old->next_key_expiry,
                .held = w->held,
        };
        EntryView *v;

        if (is_unchanged(before, &now)) {
                table_unref(now.endpoints);
                table_unref(now.left_out);
                return leaf_ref(before);
        }
        v = make_view(w->in->gateway->meta.key, w->in->entry->name, w->in->entry->tailnet_name,
                      &w->held);
        v->known = now.known;
        v->from_cache = now.from_cache;
        v->poll = now.poll;
        v->endpoints = now.endpoints;
        v->left_out = now.left_out;
        v->n_left_out = now.n_left_out;
        v->next_key_expiry = now.next_key_expiry;
        v->last_sync = last_change(w, &now);
        return v;
}

static Wall clock_of(const DiscoverInput *in, bool has_list)
{
        const TailnetState *s = in->state;

        if (has_list && s->sync == SYNC_STALE && s->last_sync.ms != 0 &&
            s->last_sync.ms < in->now.ms)
                return s->last_sync;
        return in->now;
}

/* Another TailscaleTailnet is another network, where the same addresses are others' devices. */
static bool is_of_another_tailnet(const DiscoverInput *in)
{
        return in->before != NULL && in->before->source.n > 0 &&
               !str_eq(in->before->source, in->entry->tailnet_name);
}

EntryView *discover_entry(const DiscoverInput *given)
{
        DiscoverInput anew = *given;
        const DiscoverInput *in = &anew;
        Work w = {.in = in};
        EntryView *v;

        if (is_of_another_tailnet(given))
                anew.before = NULL;
        w.has_list =
                in->state != NULL && in->state->sync != SYNC_NEVER && in->state->devices != NULL;
        w.tells_absence = w.has_list && !in->state->partial;
        w.rules = (CandidateRules){
                .entry = in->entry,
                .own_nodes = in->own_nodes,
                .suffix = in->state != NULL ? in->state->suffix : (Str){0},
                .devices = w.has_list ? in->state->devices : NULL,
                .gateway = in->gateway->meta.key,
                .open_ports = in->open_ports,
                .before = in->before != NULL ? in->before->endpoints : NULL,
                .now = clock_of(in, w.has_list),
        };
        arena_init(&w.arena, 0);
        arena_init(&w.scratch, 0);
        map_init(&w.by_service);
        map_init(&w.members);
        map_init(&w.remembered);
        map_init(&w.static_ports);
        add_statics(&w);
        if (in->entry->discovery.enabled) {
                if (w.has_list) {
                        judge_services(&w);
                        remember_untold(&w);
                        judge_list(&w);
                }
                judge_before(&w);
                add_candidates(&w);
        }
        v = conclude(&w);
        mem_free(w.candidates);
        mem_free(w.endpoints.at);
        for (size_t i = 0; i < LEFT_CLASSES; i++)
                mem_free(w.left[i].at);
        map_done(&w.by_service);
        map_done(&w.members);
        map_done(&w.remembered);
        map_done(&w.static_ports);
        arena_done(&w.scratch);
        arena_done(&w.arena);
        return v;
}

EntryView *discover_approve(const EntryView *before, Str digest)
{
        static const HeldRemoval none = {0};
        LeafList left = {0};
        EntryView *v;

        if (before->held.n == 0 || !str_eq(before->held.digest, digest))
                return NULL;
        TABLE_FOREACH (Endpoint, e, before->endpoints)
                if (!e->held)
                        leaf_list_add(&left, leaf_ref(e));
        /* Read back, and no answer yet: which ones it is about is not known. */
        if (left.n == table_n(before->endpoints)) {
                for (size_t i = 0; i < left.n; i++)
                        leaf_unref(left.at[i]);
                mem_free(left.at);
                return NULL;
        }
        v = make_view(before->gateway, before->tailnet, before->source, &none);
        v->known = before->known;
        v->from_cache = before->from_cache;
        v->poll = before->poll;
        v->last_sync = before->last_sync;
        v->endpoints = table_new(left.at, left.n, endpoint_order);
        v->left_out = table_ref(before->left_out);
        v->n_left_out = before->n_left_out;
        v->next_key_expiry = before->next_key_expiry;
        mem_free(left.at);
        return v;
}

/* Which endpoints they are the next answer tells. */
static HeldRemoval held_in(const EndpointsSpec *shard)
{
        return (HeldRemoval){shard->held_n > 0 ? shard->held_n : 1, shard->held_confirmations,
                             shard->held_digest,
                             shard->held_reason.n > 0 ? shard->held_reason : STR("TooManyRemoved")};
}

EntryView *discover_from_cache(ObjectKey gateway, Str tailnet, const EndpointsSpec *const *shards,
                               size_t n)
{
        HeldRemoval held = {0};
        LeafList all = {0};
        EntryView *v;

        for (size_t i = 0; i < n; i++) {
                if (held.n == 0 && shards[i]->held_digest.n > 0)
                        held = held_in(shards[i]);
                for (size_t j = 0; j < shards[i]->n && all.n < DISCOVER_ENDPOINTS_MAX; j++) {
                        Endpoint t = *shards[i]->endpoints[j];

                        /* A user's own, should they have been written too: they are read anew. */
                        if (str_eq(t.port_source, STR("static")))
                                continue;
                        t.origin = ENDPOINT_DISCOVERED;
                        leaf_list_add(&all, endpoint_new(&t));
                }
        }
        v = make_view(gateway, tailnet, n > 0 ? shards[0]->source : (Str){0}, &held);
        v->known = n > 0;
        v->from_cache = n > 0;
        for (size_t i = 0; i < n; i++) {
                if (v->last_sync.ms < shards[i]->last_sync.ms)
                        v->last_sync = shards[i]->last_sync;
                if (v->next_key_expiry.ms == 0)
                        v->next_key_expiry = shards[i]->next_key_expiry;
        }
        v->endpoints = table_new(all.at, all.n, endpoint_order);
        mem_free(all.at);
        return v;
}
