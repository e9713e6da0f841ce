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
 *  6. Where there are more than the caps let in, what is in force goes first: a cap keeps out, it
 *     does not throw out.
 *  7. Same input, same Table, leaf by leaf; where nothing changed, `before` itself.
 */
#include "discovery/discover.h"

#include "base/map.h"
#include "discovery/candidate.h"
#include "discovery/findings.h"
#include "discovery/guard.h"
#include "discovery/names.h"
#include "discovery/selection.h"

typedef struct Work {
        const DiscoverInput *in;
        CandidateRules rules;
        bool has_list;
        bool tells_absence; /* what the list lacks is missing */
        Arena arena;        /* of this evaluation */
        Arena scratch;      /* of the device at hand */
        Names names;        /* candidates: by node id, then the remembered ones */
        Map static_ports;   /* "service\nport": something that is not NULL */
        Map places;         /* of endpoints, as place_key has it: the same */
        Map in_force;       /* node ids of endpoints in force, where a cap is met: the same */
        Findings found;
} Work;

/* --- the list --- */

/* One has a name, or several that share it; who loses it is told whose it is. */
static void claim(Work *w, Candidate *c)
{
        const Candidate *winner, *loser = names_claim(&w->names, c, &winner);

        if (loser == NULL)
                return;
        findings_leave_out(
                &w->found, loser->device->node_id, loser->device->name,
                (Refusal){STR("NameConflict"),
                          arena_printf(&w->scratch, "%s %.*s (%.*s) has the name %.*s",
                                       winner->owner == CANDIDATE_OF_SERVICE ? "Tailscale Service"
                                                                             : "device",
                                       STR_FMT(winner->device->node_id),
                                       STR_FMT(winner->device->name), STR_FMT(c->service))});
}

static bool is_full(const Work *w, Refusal *why)
{
        if (w->names.n < DISCOVER_DEVICES_MAX)
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
                findings_leave_out(&w->found, s->name, s->label, why);
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
                findings_leave_out(
                        &w->found, s->name, s->label,
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

/* Whose turn it is. */
typedef enum Turn {
        TURN_OF_ALL,
        TURN_OF_IN_FORCE,
        TURN_OF_OTHERS,
} Turn;

static void note_in_force(Work *w)
{
        const EntryView *before = w->in->before;

        TABLE_FOREACH (Endpoint, e, before != NULL ? before->endpoints : NULL) {
                if (e->origin == ENDPOINT_DISCOVERED)
                        map_put(&w->in_force, e->node_id, w);
        }
}

static bool has_turn(Work *w, Turn turn, Str node_id)
{
        return turn == TURN_OF_ALL ||
               (map_get(&w->in_force, node_id) != NULL) == (turn == TURN_OF_IN_FORCE);
}

static void judge_devices(Work *w, Turn turn)
{
        TABLE_FOREACH (Device, d, w->in->state->devices) {
                Refusal why;
                Candidate *c = NULL;

                if (!has_turn(w, turn, d->node_id))
                        continue;
                if (!is_full(w, &why))
                        c = candidate_of(&w->rules, d, &w->arena, &w->scratch, &why);
                if (c != NULL)
                        claim(w, c);
                else
                        findings_leave_out(&w->found, d->node_id, d->name, why);
                arena_reset(&w->scratch);
        }
}

static void judge_list(Work *w)
{
        if (w->names.n + table_n(w->in->state->devices) <= DISCOVER_DEVICES_MAX) {
                judge_devices(w, TURN_OF_ALL);
                return;
        }
        note_in_force(w);
        judge_devices(w, TURN_OF_IN_FORCE);
        judge_devices(w, TURN_OF_OTHERS);
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

/* A tailscaled tells of the Services that it may reach, and nothing of their tags. */
static bool is_told_of(Work *w, const TailnetService *s)
{
        bool told = s != NULL && candidate_selects_service(&w->rules, s, &w->scratch);

        arena_reset(&w->scratch);
        return told;
}

static Presence presence_of_service(Work *w, Str name, Str host)
{
        const Table *services = w->in->state->services;
        const TailnetService *s = table_find(services, &name, tailnet_service_find);

        if (services == NULL)
                return PRESENCE_NOT_TOLD;
        if (w->in->state->services_partial && !is_told_of(w, s))
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

static Presence presence_of(Work *w, Str node_id)
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
        Candidate *c;

        if (!names_is_first(&w->names, before->at[at]))
                return NULL;
        c = candidate_of_endpoints(&w->rules, before, at, &w->arena, &w->scratch);
        arena_reset(&w->scratch);
        return c != NULL && names_remember(&w->names, c) ? c : NULL;
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
        if (w->in->state->services == NULL || w->in->state->services_partial ||
            table_n(w->in->state->services) > 0)
                return false;
        for (size_t i = first; i < w->names.n; i++)
                if (w->names.at[i]->owner == CANDIDATE_OF_SERVICE)
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
        for (size_t i = first; i < w->names.n; i++)
                c.n_missing += count_ports(w, w->names.at[i], digester);
        c.missing = digester_finish(digester);
        c.n_known = n_present + c.n_missing;
        holds = c.n_missing > 0 && guard_holds(&c, &w->arena, &w->found.held);
        for (size_t i = first; i < w->names.n; i++) {
                w->names.at[i]->held = holds;
                w->names.at[i]->lost = !holds;
                if (!holds)
                        continue;
                w->names.at[i]->health = STR("Unknown");
                w->names.at[i]->health_text = STR("the tailnet's list lacks it; it is kept by the "
                                                  "removal guard");
        }
}

static void judge_before(Work *w)
{
        size_t first = w->names.n;
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
                w->found.held = w->in->before->held;
}

/* --- endpoints --- */

/* The keys of the list in TailscaleEndpoints, which refuses a second entry of one place. */
static Str place_key(Arena *arena, const Endpoint *e)
{
        return arena_printf(arena, "%.*s\n%u\n%d\n%.*s", STR_FMT(e->service), e->port,
                            (int)e->protocol, STR_FMT(e->ip));
}

static void add_static(Work *w, const Endpoint *e)
{
        Endpoint t = *e;
        Refusal why;

        t.ip = candidate_address(&w->rules, e->ip, &w->arena);
        if (t.ip.n == 0) {
                why = candidate_address_refusal(&w->rules, e->ip, &w->scratch);
                why.text = arena_printf(&w->scratch, "static: %.*s", STR_FMT(why.text));
                findings_leave_out(&w->found, e->node_id, e->service, why);
                return;
        }
        if (map_put(&w->places, place_key(&w->arena, &t), w) != NULL)
                return;
        t.origin = ENDPOINT_STATIC;
        t.port_source = t.rule = STR("static");
        t.health = STR("Unknown");
        t.held = false;
        t.weight = t.weight > 0 ? t.weight : 1;
        if (findings_add(&w->found, &t))
                map_put(&w->static_ports, port_key(&w->arena, e->service, e->port), w);
}

static void add_statics(Work *w)
{
        for (size_t i = 0; i < w->in->n_statics; i++)
                for (size_t j = 0; j < w->in->statics[i]->n; j++)
                        add_static(w, w->in->statics[i]->endpoints[j]);
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
                findings_leave_out(
                        &w->found, d->node_id, d->name,
                        (Refusal){STR("Shadowed"),
                                  arena_printf(&w->scratch,
                                               "a static endpoint has the name %.*s and port %u",
                                               STR_FMT(c->service), p->port)});
        else if (map_put(&w->places, place_key(&w->arena, &t), w) != NULL)
                findings_leave_out(
                        &w->found, d->node_id, d->name,
                        (Refusal){STR("SameAddress"),
                                  arena_printf(&w->scratch,
                                               "another endpoint of %.*s is %.*s, port %u, too",
                                               STR_FMT(c->service), STR_FMT(c->ip), p->port)});
        else if (!findings_add(&w->found, &t))
                findings_leave_out(
                        &w->found, d->node_id, d->name,
                        (Refusal){STR("TooMany"),
                                  STR("more endpoints are found than one entry may hold")});
        arena_reset(&w->scratch);
}

/* Ports that it has, and that are not taken. */
static void tell_ports(Work *w, const Candidate *c)
{
        if (c->ports.n_more > 0)
                findings_leave_out(
                        &w->found, c->device->node_id, c->device->name,
                        (Refusal){STR("TooManyPorts"),
                                  arena_printf(&w->scratch,
                                               "%.*s names %zu ports, the first %zu are taken",
                                               STR_FMT(c->ports.rule), c->ports.n + c->ports.n_more,
                                               c->ports.n)});
        if (c->ports.fault.n > 0)
                findings_leave_out(&w->found, c->device->node_id, c->device->name,
                                   (Refusal){STR("BadPort"),
                                             arena_printf(&w->scratch, "one of its own ports: %.*s",
                                                          STR_FMT(c->ports.fault))});
        arena_reset(&w->scratch);
}

static void add_in_turn(Work *w, Turn turn)
{
        for (size_t i = 0; i < w->names.n; i++) {
                const Candidate *c = w->names.at[i];
                Wall expires = c->device->expires, *next = &w->found.next_key_expiry;

                if (c->lost || !has_turn(w, turn, c->device->node_id))
                        continue;
                for (size_t j = 0; j < c->ports.n; j++)
                        add_endpoint(w, c, &c->ports.at[j]);
                tell_ports(w, c);
                if (expires.ms != 0 && (next->ms == 0 || expires.ms < next->ms))
                        *next = expires;
        }
}

static void add_candidates(Work *w)
{
        size_t n = w->found.endpoints.n;

        for (size_t i = 0; i < w->names.n; i++)
                n += w->names.at[i]->lost ? 0 : w->names.at[i]->ports.n;
        if (n <= DISCOVER_ENDPOINTS_MAX) {
                add_in_turn(w, TURN_OF_ALL);
                return;
        }
        note_in_force(w);
        add_in_turn(w, TURN_OF_IN_FORCE);
        add_in_turn(w, TURN_OF_OTHERS);
}

/* --- the whole --- */

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

/*
 * It may be found from the names of devices alone, so a list that is empty by mistake tells none.
 * Then it is that of the Services in force: what is not gone must not be left out by its name.
 */
static Str suffix_of(const DiscoverInput *in)
{
        Str service, host;

        if (in->state != NULL && in->state->suffix.n > 0)
                return in->state->suffix;
        TABLE_FOREACH (Endpoint, e, in->before != NULL ? in->before->endpoints : NULL) {
                if (candidate_service_id(e->node_id, &service, &host) &&
                    e->fqdn.n > e->short_name.n + 1)
                        return str_sub(e->fqdn, e->short_name.n + 1, e->fqdn.n);
        }
        return (Str){0};
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
                .policy = in->policy,
                .own_nodes = in->own_nodes,
                .suffix = suffix_of(in),
                .devices = w.has_list ? in->state->devices : NULL,
                .gateway = in->gateway->meta.key,
                .open_ports = in->open_ports,
                .before = in->before != NULL ? in->before->endpoints : NULL,
                .now = clock_of(in, w.has_list),
        };
        arena_init(&w.arena, 0);
        arena_init(&w.scratch, 0);
        names_init(&w.names, &w.arena);
        findings_init(&w.found);
        w.found.in_force = in->before != NULL ? in->before->endpoints : NULL;
        w.found.known[0] = in->before != NULL ? in->before->left_out : NULL;
        w.found.known[1] = in->left_out;
        map_init(&w.static_ports);
        map_init(&w.places);
        map_init(&w.in_force);
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
        v = findings_conclude(&w.found, &(FindingsFrom){in, w.has_list, w.tells_absence});
        findings_done(&w.found);
        names_done(&w.names);
        map_done(&w.static_ports);
        map_done(&w.places);
        map_done(&w.in_force);
        arena_done(&w.scratch);
        arena_done(&w.arena);
        return v;
}

EntryView *discover_approve(const EntryView *before, Str digest)
{
        EntryView *v = NULL;
        Findings rest;

        if (before->held.n == 0 || !str_eq(before->held.digest, digest))
                return NULL;
        findings_init(&rest);
        TABLE_FOREACH (Endpoint, e, before->endpoints)
                if (!e->held)
                        findings_keep(&rest, e);
        /* Read back, and no answer yet: which ones it is about is not known. */
        if (rest.endpoints.n < table_n(before->endpoints)) {
                v = findings_view(&rest, before);
                v->known = before->known;
                v->from_cache = before->from_cache;
                v->poll = before->poll;
                v->last_sync = before->last_sync;
                v->left_out = leaf_ref(before->left_out);
                v->n_left_out = before->n_left_out;
                v->next_key_expiry = before->next_key_expiry;
        }
        findings_done(&rest);
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
        Findings all;
        EntryView *v;

        findings_init(&all);
        for (size_t i = 0; i < n; i++) {
                if (all.held.n == 0 && shards[i]->held_digest.n > 0)
                        all.held = held_in(shards[i]);
                for (size_t j = 0; j < shards[i]->n; j++) {
                        Endpoint t = *shards[i]->endpoints[j];

                        /* A user's own, should they have been written too: they are read anew. */
                        if (str_eq(t.port_source, STR("static")))
                                continue;
                        t.origin = ENDPOINT_DISCOVERED;
                        IGNORE(findings_add(&all, &t), "what is beyond is found again");
                }
        }
        v = findings_view(&all, &(EntryView){.gateway = gateway,
                                             .tailnet = tailnet,
                                             .source = n > 0 ? shards[0]->source : (Str){0},
                                             .suffix = n > 0 ? shards[0]->suffix : (Str){0}});
        v->known = n > 0;
        v->from_cache = n > 0;
        for (size_t i = 0; i < n; i++) {
                if (v->last_sync.ms < shards[i]->last_sync.ms)
                        v->last_sync = shards[i]->last_sync;
                if (v->next_key_expiry.ms == 0)
                        v->next_key_expiry = shards[i]->next_key_expiry;
        }
        findings_done(&all);
        return v;
}

/* As it was written; whether it may be where it says is judged anew: whoever may write in the
 * namespace may have written it. */
static void add_followed(Work *w, const Endpoint *e)
{
        Endpoint t = *e;
        bool is_told;

        if (str_eq(t.port_source, STR("static")))
                return;
        t.origin = ENDPOINT_DISCOVERED;
        t.ip = candidate_address(&w->rules, e->ip, &w->arena);
        if (t.ip.n == 0)
                findings_leave_out(&w->found, e->node_id, e->service,
                                   candidate_address_refusal(&w->rules, e->ip, &w->scratch));
        is_told = t.ip.n > 0 &&
                  map_get(&w->static_ports, port_key(&w->scratch, t.service, t.port)) == NULL &&
                  map_put(&w->places, place_key(&w->arena, &t), w) == NULL;
        if (is_told)
                IGNORE(findings_take(&w->found, &t, e), "the leader has told what is too much");
        arena_reset(&w->scratch);
}

/* What shards say of their entry; what only discovery knows is not said. */
static EntryView say_followed(const DiscoverInput *in, const EndpointsSpec *const *shards, size_t n)
{
        EntryView say = {.gateway = in->gateway->meta.key,
                         .tailnet = in->entry->name,
                         .source = in->entry->tailnet_name,
                         .known = true,
                         .from_cache = true};

        for (size_t i = 0; i < n; i++) {
                if (say.held.n == 0 && shards[i]->held_digest.n > 0)
                        say.held = held_in(shards[i]);
                if (say.suffix.n == 0)
                        say.suffix = shards[i]->suffix;
                if (say.last_sync.ms < shards[i]->last_sync.ms)
                        say.last_sync = shards[i]->last_sync;
                if (say.next_key_expiry.ms == 0)
                        say.next_key_expiry = shards[i]->next_key_expiry;
        }
        return say;
}

/* The same of what is in force, where no shards are there. */
static EntryView say_again(const DiscoverInput *in)
{
        EntryView say = say_followed(in, NULL, 0);

        say.known = !in->entry->discovery.enabled || in->before != NULL;
        say.from_cache = in->before != NULL;
        if (in->before == NULL)
                return say;
        say.known = say.known && (in->before->known || !in->entry->discovery.enabled);
        say.suffix = in->before->suffix;
        say.last_sync = in->before->last_sync;
        say.next_key_expiry = in->before->next_key_expiry;
        say.held = in->before->held;
        return say;
}

EntryView *discover_follow(const DiscoverInput *given, const EndpointsSpec *const *shards, size_t n)
{
        DiscoverInput in = *given;
        Work w = {.in = &in};
        EntryView say, *v;

        if (is_of_another_tailnet(given))
                in.before = NULL;
        w.rules = (CandidateRules){.entry = in.entry,
                                   .policy = in.policy,
                                   .own_nodes = in.own_nodes,
                                   .gateway = in.gateway->meta.key};
        arena_init(&w.arena, 0);
        arena_init(&w.scratch, 0);
        findings_init(&w.found);
        map_init(&w.static_ports);
        map_init(&w.places);
        add_statics(&w);
        for (size_t i = 0; i < n && in.entry->discovery.enabled; i++)
                for (size_t j = 0; j < shards[i]->n; j++)
                        add_followed(&w, shards[i]->endpoints[j]);
        TABLE_FOREACH (Endpoint, e, n == 0 && in.before != NULL ? in.before->endpoints : NULL)
                if (e->origin == ENDPOINT_DISCOVERED && in.entry->discovery.enabled)
                        add_followed(&w, e);
        say = n > 0 ? say_followed(&in, shards, n) : say_again(&in);
        v = findings_settle(&w.found, in.before, &say);
        findings_done(&w.found);
        map_done(&w.static_ports);
        map_done(&w.places);
        arena_done(&w.scratch);
        arena_done(&w.arena);
        return v;
}
