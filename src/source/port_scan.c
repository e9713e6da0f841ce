/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariants:
 * 1. A Look is on the waiting list, or its timer is set, or its request is under way, or there is
 *    no way to it: exactly one of them.
 * 2. A Look outlives Worlds: it has copies of all strings.
 * 3. The Table has a device only when each of its ports was looked at: "none is open" is a finding,
 *    "not looked yet" is not.
 * 4. A port is closed by what its device does, never by what the way to it does: a proxy that is
 *    not there tells nothing, and while nobody of the entry answers, nothing that is open closes.
 * 5. A Look begins with the ports of the endpoints in force: its first round is not its third.
 */
#include "source/port_scan.h"

#include <stdlib.h>

#include "base/list.h"
#include "base/mem.h"
#include "discovery/candidate.h"
#include "net/http_client.h"
#include "source/pace.h"
#include "source/probe_way.h"

enum {
        ANSWER_MAX = 1 << 10, /* nothing is asked, so nothing is answered */
};

typedef struct Look {
        OpenPortsKey key;
        Str ip;
        PortScan *scan;
        PortProbing rules;
        uint16_t ports[OPEN_PORTS_MAX];
        bool open[OPEN_PORTS_MAX];
        unsigned misses[OPEN_PORTS_MAX];
        Mono missed[OPEN_PORTS_MAX]; /* when the last of them was */
        size_t n_ports, at;          /* the port whose turn it is */
        Mono answered;               /* when a port of it was last open; 0: never */
        bool ended_once;
        ProbeWay way;
        Timer timer;
        Link waiting; /* scan->waiting */
        HttpRequest *request;
        Arena strings;
} Look;

struct PortScan {
        PortScanInput in;
        Chance chance;
        Look **looks; /* sorted by key; each owned */
        size_t n;
        Link waiting; /* Look, in the order of being due */
        unsigned in_flight;
        bool is_full; /* the log has said that some are not looked at */
        const Table *table;
};

static void start_waiting(PortScan *s);

/* --- what was found --- */

static OpenPorts *finding_of(const Look *l)
{
        OpenPorts p = {
                .gateway = l->key.gateway, .tailnet = l->key.tailnet, .node_id = l->key.node_id};

        for (size_t i = 0; i < l->n_ports; i++)
                if (l->open[i])
                        p.ports[p.n++] = l->ports[i];
        return open_ports_new(&p);
}

/* True where the Table is another than before. */
static bool make_table(PortScan *s)
{
        CLEANUP(mem_cleanup) const void **leaves = mem_new_array(s->n + 1, sizeof *leaves);
        const Table *before = s->table;
        size_t n = 0;

        for (size_t i = 0; i < s->n; i++)
                if (s->looks[i]->ended_once)
                        leaves[n++] = finding_of(s->looks[i]);
        s->table = table_update(before, leaves, n, open_ports_order, open_ports_same);
        table_unref(before);
        return s->table != before;
}

static void end_look(Look *l)
{
        PortScan *s = l->scan;

        l->at = 0;
        l->ended_once = true;
        /* Else each port would be asked for through the same proxy each time. */
        if (l->way.n > 0 && l->n_ports % l->way.n == 0)
                l->way.next++;
        timer_set_in(&l->timer, pace_interval(l->rules.interval, &s->chance));
        if (make_table(s)) {
                log_info(s->in.log, "open ports of a device were looked for",
                         LOG_STR("tailnet", l->key.tailnet), LOG_STR("node", l->key.node_id),
                         LOG_STR("address", l->ip));
                s->in.fn(s->in.owner);
        }
}

/* --- one device --- */

/* The proxy is not there, or ended in the middle: nothing was asked of the device. */
static bool was_on_the_way(const Look *l, const HttpResult *result)
{
        static const Str reasons[] = {STR_INIT("ConnectFailed"), STR_INIT("AnswerCutShort"),
                                      STR_INIT("TransferFailed")};

        for (size_t i = 0; l->way.n > 0 && i < LENGTH_OF(reasons); i++)
                if (str_eq(str_of(result->err.reason), reasons[i]))
                        return true;
        return false;
}

/* Did a device of the same entry answer after that? */
static bool has_answered_since(const Look *l, Mono then)
{
        const PortScan *s = l->scan;

        for (size_t i = 0; i < s->n; i++) {
                const Look *other = s->looks[i];

                if (mono_before(then, other->answered) &&
                    object_key_cmp(other->key.gateway, l->key.gateway) == 0 &&
                    str_eq(other->key.tailnet, l->key.tailnet))
                        return true;
        }
        return false;
}

static void note_miss(Look *l)
{
        unsigned *misses = &l->misses[l->at];

        /* Invariant 4; what is not open has nothing to lose. */
        if (l->open[l->at] && *misses > 0 && !has_answered_since(l, l->missed[l->at]))
                return;
        l->missed[l->at] = loop_now(l->scan->in.loop);
        if (++*misses >= PORT_SCAN_MISSES)
                l->open[l->at] = false;
}

static void note(Look *l, const HttpResult *result)
{
        if (result->err.kind == ERR_NONE) {
                l->misses[l->at] = 0;
                l->open[l->at] = true;
                l->answered = loop_now(l->scan->in.loop);
        } else if (!was_on_the_way(l, result)) {
                note_miss(l);
        }
}

static void on_done(HttpRequest *r, const HttpResult *result)
{
        Look *l = http_request_owner(r);
        PortScan *s = l->scan;

        note(l, result);
        l->request = http_request_close(l->request);
        s->in_flight--;
        if (++l->at < l->n_ports)
                list_add(&s->waiting, &l->waiting);
        else
                end_look(l);
        start_waiting(s);
}

static void start(Look *l)
{
        char url[PROBE_URL_MAX];

        l->scan->in_flight++;
        l->request = http_request_open(
                l->scan->in.http, &(HttpRequestInput){
                                          .url = probe_way_url(false, l->ip, l->ports[l->at], url),
                                          .tunnel = probe_way_next(&l->way),
                                          .connect_only = true,
                                          .is_probe = true,
                                          .deadline = l->rules.timeout,
                                          .max_bytes = ANSWER_MAX,
                                          .on_done = on_done,
                                          .owner = l,
                                  });
}

static void start_waiting(PortScan *s)
{
        while (s->in_flight < PORT_SCAN_IN_FLIGHT_MAX && !list_is_empty(&s->waiting)) {
                Look *l = CONTAINER_OF(list_first(&s->waiting), Look, waiting);

                link_remove(&l->waiting);
                start(l);
        }
}

static void on_due(Timer *t)
{
        Look *l = CONTAINER_OF(t, Look, timer);

        list_add(&l->scan->waiting, &l->waiting);
        start_waiting(l->scan);
}

static bool has_started(const Look *l)
{
        return link_is_on(&l->waiting) || l->request != NULL || timer_is_set(&l->timer);
}

/* Neither due, nor waiting, nor under way. */
static void quiesce(Look *l)
{
        timer_clear(&l->timer);
        if (link_is_on(&l->waiting))
                link_remove(&l->waiting);
        if (l->request != NULL)
                l->scan->in_flight--;
        l->request = http_request_close(l->request);
}

static void look_free(Look *l)
{
        quiesce(l);
        arena_done(&l->strings);
        mem_free(l);
}

/* --- the devices of a World --- */

typedef struct Wanted {
        OpenPortsKey key; /* strings of the World, ip of `arena` */
        Str ip;
        const TailnetEntry *entry;
        const TailnetSpec *tailnet;
        const Table *endpoints; /* in force */
} Wanted;

static int key_cmp(const OpenPortsKey *a, const OpenPortsKey *b)
{
        int c = object_key_cmp(a->gateway, b->gateway);

        if (c == 0)
                c = str_cmp(a->tailnet, b->tailnet);
        return c != 0 ? c : str_cmp(a->node_id, b->node_id);
}

static int wanted_order(const void *a, const void *b)
{
        return key_cmp(&((const Wanted *)a)->key, &((const Wanted *)b)->key);
}

typedef struct Wants {
        const World *world;
        Arena arena;
        Wanted *at; /* PORT_SCAN_DEVICES_MAX */
        size_t n;
        bool is_full; /* there are more, or may be */
} Wants;

static void want(Wants *w, const Wanted *like, Str node_id, Str ip)
{
        if (ip.n == 0)
                return;
        if (w->n == PORT_SCAN_DEVICES_MAX) {
                w->is_full = true;
                return;
        }
        w->at[w->n] = *like;
        w->at[w->n].key.node_id = node_id;
        w->at[w->n].ip = ip;
        w->n++;
}

/* Of too many that are left out not all are listed: first those with a reason. */
static bool is_cut(const EntryView *v)
{
        LEFT_OUT_FOREACH (l, v->left_out) {
                if (str_eq(l->reason, STR("NotSelected")))
                        return false;
        }
        return v->n_left_out > left_out_n(v->left_out);
}

/* Devices that no rule gives a port. */
static void want_without_port(Wants *w, const Wanted *like, const EntryView *v,
                              const Table *devices)
{
        const CandidateRules rules = {.entry = like->entry, .policy = w->world->policy};

        LEFT_OUT_FOREACH (l, v->left_out) {
                const Device *d;
                Str ip;

                if (!str_eq(l->reason, STR("NoPort")))
                        continue;
                d = table_find(devices, &l->node_id, device_find);
                if (d == NULL)
                        continue;
                ip = candidate_address(&rules, d->ip4, &w->arena);
                if (ip.n == 0)
                        ip = candidate_address(&rules, d->ip6, &w->arena);
                want(w, like, d->node_id, ip);
        }
}

static void want_entry(Wants *w, const GatewaySpec *g, const TailnetEntry *entry)
{
        ObjectKey tailnet = {g->meta.key.namespace, entry->tailnet_name};
        EntryKey key = {g->meta.key, entry->name};
        const EntryView *v = table_find(w->world->entries, &key, entry_view_find);
        const TailnetState *state =
                table_find(w->world->tailnet_states, &tailnet, tailnet_state_find);
        const Wanted like = {.key = {.gateway = g->meta.key, .tailnet = entry->name},
                             .entry = entry,
                             .tailnet = table_find(w->world->tailnets, &tailnet, tailnet_spec_find),
                             .endpoints = v != NULL ? v->endpoints : NULL};

        if (v == NULL || entry->discovery.port_probing.ports.n == 0)
                return;
        TABLE_FOREACH (Endpoint, e, v->endpoints) {
                if (str_eq(e->port_source, STR(PORT_SOURCE_PROBING)))
                        want(w, &like, e->node_id, e->ip);
        }
        w->is_full |= is_cut(v);
        want_without_port(w, &like, v, state != NULL ? state->devices : NULL);
}

static void want_all(Wants *w)
{
        size_t kept = 0;

        TABLE_FOREACH (GatewaySpec, g, w->world->gateways) {
                for (size_t i = 0; i < g->n_tailnets; i++)
                        want_entry(w, g, &g->tailnets[i]);
        }
        if (w->n > 0)
                qsort(w->at, w->n, sizeof *w->at, wanted_order);
        for (size_t i = 0; i < w->n; i++)
                if (kept == 0 || wanted_order(&w->at[kept - 1], &w->at[i]) != 0)
                        w->at[kept++] = w->at[i];
        w->n = kept;
}

static bool any_wants(const World *world)
{
        TABLE_FOREACH (GatewaySpec, g, world->gateways) {
                for (size_t i = 0; i < g->n_tailnets; i++)
                        if (g->tailnets[i].discovery.port_probing.ports.n > 0)
                                return true;
        }
        return false;
}

static Look *look_new(PortScan *s, const Wanted *w)
{
        Look *l = mem_new(sizeof *l);

        arena_init(&l->strings, 0);
        l->scan = s;
        l->key.gateway.namespace = arena_str(&l->strings, w->key.gateway.namespace);
        l->key.gateway.name = arena_str(&l->strings, w->key.gateway.name);
        l->key.tailnet = arena_str(&l->strings, w->key.tailnet);
        l->key.node_id = arena_str(&l->strings, w->key.node_id);
        l->ip = arena_str(&l->strings, w->ip);
        timer_init(&l->timer, s->in.loop, on_due);
        return l;
}

/* Other ports, another address: what was known is known of something else. */
static bool is_same(const Look *l, const Wanted *w)
{
        return key_cmp(&l->key, &w->key) == 0 && str_eq(l->ip, w->ip) &&
               port_spec_same(&l->rules.ports, &w->entry->discovery.port_probing.ports);
}

/* Invariant 5. */
static void remember_open(Look *l, const Table *endpoints)
{
        TABLE_FOREACH (Endpoint, e, endpoints) {
                if (!str_eq(e->node_id, l->key.node_id) ||
                    !str_eq(e->port_source, STR(PORT_SOURCE_PROBING)))
                        continue;
                for (size_t i = 0; i < l->n_ports; i++)
                        l->open[i] |= l->ports[i] == e->port;
        }
}

static void update(Look *l, const Wanted *w, const Proxies *proxies)
{
        l->rules = w->entry->discovery.port_probing;
        l->n_ports = port_spec_take(&l->rules.ports, l->ports, OPEN_PORTS_MAX);
        if (probe_way_find(&l->way, w->entry, w->tailnet, proxies) != NULL)
                quiesce(l);
        else if (!has_started(l))
                timer_set(&l->timer, loop_now(l->scan->in.loop));
}

static void update_looks(PortScan *s, const Wants *w, const Proxies *proxies)
{
        Look **looks = mem_new_array(w->n + 1, sizeof(Look *));
        size_t old = 0;

        for (size_t i = 0; i < w->n; i++) {
                for (; old < s->n && key_cmp(&s->looks[old]->key, &w->at[i].key) < 0; old++)
                        look_free(s->looks[old]);
                bool is_known = old < s->n && is_same(s->looks[old], &w->at[i]);

                looks[i] = is_known ? s->looks[old++] : look_new(s, &w->at[i]);
                update(looks[i], &w->at[i], proxies);
                if (!is_known)
                        remember_open(looks[i], w->at[i].endpoints);
        }
        for (; old < s->n; old++)
                look_free(s->looks[old]);
        mem_free(s->looks);
        s->looks = looks;
        s->n = w->n;
}

static void say_unseen(PortScan *s, bool is_full)
{
        if (is_full && !s->is_full)
                log_warn(s->in.log, "more devices than are looked at for open ports",
                         LOG_INT("looked_at", PORT_SCAN_DEVICES_MAX));
        if (!is_full && s->is_full)
                log_info(s->in.log, "all devices are looked at for open ports again");
        s->is_full = is_full;
}

void port_scan_update(PortScan *s, const World *world)
{
        Wants w = {.world = world};
        Proxies proxies;

        if (s->n == 0 && !any_wants(world))
                return;
        arena_init(&w.arena, 0);
        w.at = mem_new_array(PORT_SCAN_DEVICES_MAX, sizeof *w.at);
        proxies_init(&proxies, world);
        want_all(&w);
        say_unseen(s, w.is_full);
        update_looks(s, &w, &proxies);
        if (make_table(s))
                s->in.fn(s->in.owner);
        proxies_done(&proxies);
        mem_free(w.at);
        arena_done(&w.arena);
        start_waiting(s);
}

const Table *port_scan_table(const PortScan *s)
{
        return s->table;
}

PortScan *port_scan_open(const PortScanInput *in)
{
        PortScan *s = mem_new(sizeof *s);

        s->in = *in;
        chance_init(&s->chance, in->seed);
        list_init(&s->waiting);
        s->table = table_new(NULL, 0, open_ports_order);
        return s;
}

PortScan *port_scan_close(PortScan *s)
{
        if (s == NULL)
                return NULL;
        for (size_t i = 0; i < s->n; i++)
                look_free(s->looks[i]);
        mem_free(s->looks);
        table_unref(s->table);
        return mem_free(s);
}
