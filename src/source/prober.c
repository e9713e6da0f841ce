/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariants:
 * 1. A Probe is on the waiting list, or its timer is set, or its request is under way, or it cannot
 *    be probed (no proxy, UDP): exactly one of them.
 * 2. A Probe outlives Worlds: it has copies of all strings, in one allocation of its own.
 */
#include "source/prober.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/mem.h"
#include "discovery/probe_state.h"
#include "net/http_client.h"
#include "source/pace.h"
#include "source/probe_way.h"

enum {
        ANSWER_MAX = 64 << 10, /* of a probe; the first bytes would be enough */
};

typedef struct Probe {
        ProbeFact fact;
        Prober *prober;
        ProbeRules rules;
        ProbeWay way;
        Timer timer;
        Link waiting; /* prober->waiting */
        HttpRequest *request;
        Arena strings;
} Probe;

struct Prober {
        ProberInput in;
        Chance chance;
        Probe **probes; /* sorted; each owned */
        size_t n;
        const ProbeFact **facts; /* of them, in their order */
        Link waiting;            /* Probe, in the order of being due */
        unsigned in_flight;
        bool is_full; /* the log has said that there are more than are probed */
};

static void start_waiting(Prober *p);

/* --- one probe --- */

static void schedule(Probe *x, Span in)
{
        timer_set_in(&x->timer, in);
}

static void say_error(Probe *x, const char *text)
{
        IGNORE(snprintf(x->fact.error, sizeof x->fact.error, "%.*s", PROBE_ERROR_MAX - 1, text),
               "cut at its size");
}

static void log_change(Probe *x)
{
        Log *log = x->prober->in.log;
        LogField fields[] = {LOG_STR("tailnet", x->fact.tailnet),
                             LOG_STR("service", x->fact.service),
                             LOG_STR("address", x->fact.ip),
                             LOG_INT("port", x->fact.port),
                             LOG_STR("verdict", probe_verdict_name(x->fact.verdict)),
                             LOG_CSTR("error", x->fact.error)};
        log_write(log, x->fact.verdict == PROBE_UNHEALTHY ? LOG_WARN : LOG_INFO,
                  "an endpoint's probes say otherwise", fields, LENGTH_OF(fields));
}

static bool asks_http(const Probe *x)
{
        return x->rules.type == PROBE_HTTP &&
               (x->fact.protocol == PROTOCOL_HTTP || x->fact.protocol == PROTOCOL_HTTPS);
}

/* A connection to a proxy that refuses is no look at the endpoint, but it is no way to it either.
 */
static void on_done(HttpRequest *r, const HttpResult *result)
{
        Probe *x = http_request_owner(r);
        Prober *p = x->prober;
        bool ok = asks_http(x) ? result->status != 0 : result->err.kind == ERR_NONE;
        say_error(x, ok ? "" : result->err.text);
        if (ok)
                p->in.facts->probes_ok++;
        else
                p->in.facts->probes_failed++;
        x->fact.seconds = span_seconds(result->took);
        bool changed = probe_state_add(&x->fact, &x->rules, ok, loop_wall(p->in.loop));
        if (changed)
                log_change(x);
        x->request = http_request_close(x->request);
        p->in_flight--;
        schedule(x, pace_interval(x->rules.interval, &p->chance));
        start_waiting(p);
}

static void start(Probe *x)
{
        Prober *p = x->prober;
        bool is_tls = x->rules.type == PROBE_TLS ||
                      (x->rules.type == PROBE_HTTP && x->fact.protocol == PROTOCOL_HTTPS);
        char url[PROBE_URL_MAX];
        p->in_flight++;
        x->request = http_request_open(
                p->in.http, &(HttpRequestInput){
                                    .url = probe_way_url(is_tls, x->fact.ip, x->fact.port, url),
                                    .tunnel = probe_way_next(&x->way),
                                    .connect_only = !asks_http(x),
                                    .is_probe = true,
                                    .deadline = x->rules.timeout,
                                    .max_bytes = ANSWER_MAX,
                                    .on_done = on_done,
                                    .owner = x,
                            });
}

static void start_waiting(Prober *p)
{
        while (p->in_flight < PROBER_IN_FLIGHT_MAX && !list_is_empty(&p->waiting)) {
                Probe *x = CONTAINER_OF(list_first(&p->waiting), Probe, waiting);
                link_remove(&x->waiting);
                start(x);
        }
}

static void on_due(Timer *t)
{
        Probe *x = CONTAINER_OF(t, Probe, timer);
        list_add(&x->prober->waiting, &x->waiting);
        start_waiting(x->prober);
}

/* --- the probes of a World --- */

/* Neither due, nor waiting, nor under way. */
static void quiesce(Probe *x)
{
        timer_clear(&x->timer);
        if (link_is_on(&x->waiting))
                link_remove(&x->waiting);
        if (x->request != NULL)
                x->prober->in_flight--;
        x->request = http_request_close(x->request);
}

static void probe_free(Probe *x)
{
        quiesce(x);
        arena_done(&x->strings);
        mem_free(x);
}

static Probe *probe_new(Prober *p, const ProbeFact *key)
{
        Probe *x = mem_new(sizeof *x);
        arena_init(&x->strings, 0);
        x->prober = p;
        x->fact.gateway.namespace = arena_str(&x->strings, key->gateway.namespace);
        x->fact.gateway.name = arena_str(&x->strings, key->gateway.name);
        x->fact.tailnet = arena_str(&x->strings, key->tailnet);
        x->fact.service = arena_str(&x->strings, key->service);
        x->fact.ip = arena_str(&x->strings, key->ip);
        x->fact.port = key->port;
        x->fact.protocol = key->protocol;
        timer_init(&x->timer, p->in.loop, on_due);
        return x;
}

static bool has_started(const Probe *x)
{
        return link_is_on(&x->waiting) || x->request != NULL || timer_is_set(&x->timer);
}

static void stop(Probe *x, const char *why)
{
        quiesce(x);
        x->fact.verdict = PROBE_UNKNOWN;
        say_error(x, why);
}

/* What a new World says of it. */
static void update(Probe *x, const TailnetEntry *entry, const TailnetSpec *tailnet,
                   const Proxies *proxies)
{
        const char *why = probe_way_find(&x->way, entry, tailnet, proxies);
        if (x->fact.protocol == PROTOCOL_UDP)
                why = "UDP cannot be probed";
        x->rules = entry->discovery.probes;
        if (why != NULL)
                stop(x, why);
        else if (!has_started(x))
                schedule(x, (Span){(int64_t)((double)x->rules.interval.ns *
                                             chance_next(&x->prober->chance))});
}

typedef struct Wanted {
        ProbeFact key; /* strings of the World */
        const TailnetEntry *entry;
        const TailnetSpec *tailnet;
} Wanted;

static int wanted_order(const void *a, const void *b)
{
        return probe_fact_cmp(&((const Wanted *)a)->key, &((const Wanted *)b)->key);
}

/* Of one entry; how many there are now. */
static size_t want_entry(const World *w, const GatewaySpec *g, const TailnetEntry *entry,
                         Wanted *wanted, size_t n)
{
        EntryKey key = {g->meta.key, entry->name};
        ObjectKey tailnet = {g->meta.key.namespace, entry->tailnet_name};
        const EntryView *v = table_find(w->entries, &key, entry_view_find);
        TABLE_FOREACH (Endpoint, e, v != NULL ? v->endpoints : NULL) {
                if (n == PROBER_ENDPOINTS_MAX)
                        break;
                wanted[n++] = (Wanted){
                        .key = {.gateway = g->meta.key,
                                .tailnet = entry->name,
                                .service = e->service,
                                .ip = e->ip,
                                .port = e->port,
                                .protocol = e->protocol},
                        .entry = entry,
                        .tailnet = table_find(w->tailnets, &tailnet, tailnet_spec_find),
                };
        }
        return n;
}

static bool wants_probes(const TailnetEntry *e)
{
        return e->discovery.probes.type != PROBE_NONE;
}

/* How many endpoints ask to be probed. */
static size_t count_wanted(const World *w)
{
        size_t n = 0;
        TABLE_FOREACH (GatewaySpec, g, w->gateways) {
                for (size_t i = 0; i < g->n_tailnets; i++) {
                        EntryKey key = {g->meta.key, g->tailnets[i].name};
                        const EntryView *v = table_find(w->entries, &key, entry_view_find);
                        if (v != NULL && wants_probes(&g->tailnets[i]))
                                n += table_n(v->endpoints);
                }
        }
        return n;
}

/* Sorted, each once. */
static size_t want_all(const World *w, Wanted *wanted)
{
        size_t n = 0, kept = 0;
        TABLE_FOREACH (GatewaySpec, g, w->gateways) {
                for (size_t i = 0; i < g->n_tailnets; i++) {
                        if (wants_probes(&g->tailnets[i]))
                                n = want_entry(w, g, &g->tailnets[i], wanted, n);
                }
        }
        if (n > 0)
                qsort(wanted, n, sizeof *wanted, wanted_order);
        for (size_t i = 0; i < n; i++) {
                if (kept == 0 || wanted_order(&wanted[kept - 1], &wanted[i]) != 0)
                        wanted[kept++] = wanted[i];
        }
        return kept;
}

static void tell_facts(Prober *p)
{
        mem_free(p->facts);
        p->facts = mem_new_array(p->n + 1, sizeof *p->facts);
        for (size_t i = 0; i < p->n; i++)
                p->facts[i] = &p->probes[i]->fact;
        p->in.facts->probes = p->facts;
        p->in.facts->n_probes = p->n;
}

/* Nothing else tells an endpoint that is not probed from one of an entry that does not ask. */
static void say_unprobed(Prober *p, size_t n_wanted)
{
        bool is_full = n_wanted > PROBER_ENDPOINTS_MAX;
        p->in.facts->n_unprobed = is_full ? n_wanted - PROBER_ENDPOINTS_MAX : 0;
        if (is_full && !p->is_full)
                log_warn(p->in.log, "more endpoints than can be probed",
                         LOG_INT("wanted", n_wanted), LOG_INT("probed", PROBER_ENDPOINTS_MAX));
        if (!is_full && p->is_full)
                log_info(p->in.log, "all endpoints are probed again", LOG_INT("wanted", n_wanted));
        p->is_full = is_full;
}

void prober_update(Prober *p, const World *world)
{
        size_t n_wanted = count_wanted(world), old = 0;
        size_t room = n_wanted < PROBER_ENDPOINTS_MAX ? n_wanted : PROBER_ENDPOINTS_MAX;
        if (room == 0 && p->n == 0)
                return;
        say_unprobed(p, n_wanted);
        CLEANUP(mem_cleanup) Wanted *wanted = mem_new_array(room + 1, sizeof *wanted);
        size_t n = want_all(world, wanted);
        Probe **probes = mem_new_array(n + 1, sizeof(Probe *));
        CLEANUP(proxies_done) Proxies proxies;
        proxies_init(&proxies, world);
        for (size_t i = 0; i < n; i++) {
                const ProbeFact *key = &wanted[i].key;
                for (; old < p->n && probe_fact_cmp(&p->probes[old]->fact, key) < 0; old++)
                        probe_free(p->probes[old]);
                bool stays = old < p->n && probe_fact_cmp(&p->probes[old]->fact, key) == 0;
                probes[i] = stays ? p->probes[old++] : probe_new(p, key);
                update(probes[i], wanted[i].entry, wanted[i].tailnet, &proxies);
        }
        for (; old < p->n; old++)
                probe_free(p->probes[old]);
        mem_free(p->probes);
        p->probes = probes;
        p->n = n;
        tell_facts(p);
        start_waiting(p);
}

Prober *prober_open(const ProberInput *in)
{
        Prober *p = mem_new(sizeof *p);
        p->in = *in;
        chance_init(&p->chance, in->seed);
        list_init(&p->waiting);
        return p;
}

Prober *prober_close(Prober *p)
{
        if (p == NULL)
                return NULL;
        p->in.facts->probes = NULL;
        p->in.facts->n_probes = 0;
        p->in.facts->n_unprobed = 0;
        for (size_t i = 0; i < p->n; i++)
                probe_free(p->probes[i]);
        mem_free(p->probes);
        mem_free(p->facts);
        return mem_free(p);
}
