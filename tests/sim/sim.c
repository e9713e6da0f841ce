/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim FROM TO: one schedule of events and faults for each seed; what it promises:
 *
 *  1. No device that is there and usable loses its endpoint, whatever the sources say or fail to
 *     say, unless a list that lies has been confirmed as often as the guard asks.
 *  2. No call beyond the manners (played_tailnet.c).
 *  3. When all is well again, what is in force is exactly what is true, and written.
 *  4. Started again with nobody answering, the same is in force, from the disk alone, and not a
 *     byte is written.
 *  5. The same seed writes the same bytes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "played_tailnet.h"
#include "simulated.h"

enum {
        TAILNETS = 2,
        STEPS_MIN = 12,
        STEPS_MORE = 24,
        STEP_MAX_S = 75,
        EDIT_S = 2, /* it is seen, read, and held off: three steps of the clock */
        /* The longest backoff, three polls for the guard, and what is held off. */
        CALM_S = 300 + 4 * 33 + 120,
        LIE_MAX = 9,                 /* answers */
        JUMP_MAX_S = 60 * 24 * 3600, /* past the day when keys expire */
        TWICE_EVERY = 50,            /* seeds that are played twice */
        MANIFESTS_MAX = 4096,
        FAULT_MAX = 8, /* answers */
        STORY_MAX = 64 << 10,
};

typedef struct Play {
        Simulated program;
        PlayedTailnet tailnets[TAILNETS];
        Chance chance;
        bool has_local; /* the first tailnet */
        unsigned long long worlds;
        bool excludes; /* svc-3 is not wanted */
        const char *violation;
        char detail[128];
        Buf story; /* what happened, for whoever looks at a seed that failed */
} Play;

static const char *const names[TAILNETS] = {"corp", "lab"};

static void write_manifests(Play *p)
{
        char text[MANIFESTS_MAX];
        int n = snprintf(text, sizeof(text),
                         "apiVersion: gateway.networking.k8s.io/v1\n"
                         "kind: Gateway\n"
                         "metadata: {name: eg}\n"
                         "spec: {gatewayClassName: eg, listeners: [{name: http, protocol: HTTP, "
                         "port: 80}]}\n"
                         "---\n"
                         "apiVersion: v1\n"
                         "kind: Secret\n"
                         "metadata: {name: key}\n"
                         "stringData: {api_key: k}\n");

        for (size_t i = 0; i < TAILNETS; i++)
                n += snprintf(text + n, sizeof(text) - (size_t)n,
                              "---\n"
                              "apiVersion: gateway.tailscale.com/v1alpha1\n"
                              "kind: TailscaleTailnet\n"
                              "metadata: {name: %s}\n"
                              "spec: {credentials: {secretRef: {name: key}}, proxyAddresses: "
                              "['127.0.0.1:%zu'], pollInterval: 30s%s}\n",
                              names[i], 3128 + i,
                              i == 0 && p->has_local ? ", localAPI: {socket: /s}" : "");
        n += snprintf(text + n, sizeof(text) - (size_t)n,
                      "---\n"
                      "apiVersion: gateway.tailscale.com/v1alpha1\n"
                      "kind: TailscaleGateway\n"
                      "metadata: {name: gw}\n"
                      "spec:\n"
                      "  gatewayRef: {name: eg}\n"
                      "  tailnets:\n");
        for (size_t i = 0; i < TAILNETS; i++)
                n += snprintf(text + n, sizeof(text) - (size_t)n,
                              "  - name: %s\n"
                              "    tailscaleTailnetRef: {name: %s}\n"
                              "    serviceDiscovery: {patterns: ['svc-*']%s}\n",
                              names[i], names[i], p->excludes ? ", excludePatterns: [svc-3]" : "");
        INSIST((size_t)n < sizeof(text));
        simulated_write(&p->program, str_make(text, (size_t)n));
}

static void tell(Play *p, const char *what, const char *who, unsigned n)
{
        buf_printf(&p->story, "  %6llds %s %s %u\n",
                   (long long)(p->program.time.mono.ns / SPAN_S(1).ns), what, who, n);
}

/* --- promises --- */

static void accuse(Play *p, const char *what, const char *detail)
{
        if (p->violation != NULL)
                return;
        p->violation = what;
        tell(p, what, detail, 0);
        snprintf(p->detail, sizeof(p->detail), "%s", detail);
}

static bool is_wanted(const Play *p, const PlayedDevice *d)
{
        return d->is_there && !d->is_expired && !(p->excludes && strcmp(d->name, "svc-3") == 0);
}

static const EntryView *entry_of(const World *w, size_t tailnet)
{
        EntryKey key = {{STR("envoy-gateway-system"), STR("gw")}, str_of(names[tailnet])};

        return table_find(w->entries, &key, entry_view_find);
}

static const Endpoint *endpoint_of(const EntryView *v, unsigned id)
{
        char node[PLAYED_NAME];

        snprintf(node, sizeof(node), "n%u", id);
        TABLE_FOREACH (Endpoint, e, v != NULL ? v->endpoints : NULL) {
                if (str_eq(e->node_id, str_of(node)))
                        return e;
        }
        return NULL;
}

/* Is it known to us under a name that the user does not want? */
static bool is_excluded(const Play *p, const Endpoint *e)
{
        return p->excludes && str_eq(e->service, STR("svc-3"));
}

/* Promise 1, at each World. */
static void on_world(void *owner, const World *before, const World *now)
{
        Play *p = owner;

        p->worlds++;
        for (size_t t = 0; t < TAILNETS; t++) {
                const EntryView *old = entry_of(before, t), *new = entry_of(now, t);

                for (size_t i = 0; i < PLAYED_DEVICES && !p->tailnets[t].lie_believed; i++) {
                        const PlayedDevice *d = &p->tailnets[t].devices[i];
                        const Endpoint *e = endpoint_of(old, d->id);

                        if (is_wanted(p, d) && e != NULL && !is_excluded(p, e) &&
                            endpoint_of(new, d->id) == NULL)
                                accuse(p, "a good endpoint was removed", d->name);
                }
        }
}

static void expect_truth(Play *p, const char *when)
{
        for (size_t t = 0; t < TAILNETS; t++) {
                const EntryView *v = entry_of(p->program.world, t);
                size_t n = 0;

                for (size_t i = 0; i < PLAYED_DEVICES; i++) {
                        const PlayedDevice *d = &p->tailnets[t].devices[i];
                        const Endpoint *e = endpoint_of(v, d->id);

                        n += is_wanted(p, d);
                        if (is_wanted(p, d) &&
                            (e == NULL || !str_eq(e->service, str_of(d->name)) || e->held))
                                accuse(p, when, d->name);
                }
                if (v == NULL || table_n(v->endpoints) != n)
                        accuse(p, when, "there are others");
        }
}

/* Promise 3 for what is written. */
static void expect_written(Play *p)
{
        Simulated *s = &p->program;
        const Outside *outside = on_disk_outside(&s->disk);
        ObjectKey key = {STR("envoy-gateway-system"), STR("eg")};
        const char *wanted = snapshot_revision(s->snapshot, key);

        if (!simulated_is_settled(s))
                accuse(p, "it is never done writing", "");
        if (wanted == NULL || outside->n_bindings != 1 ||
            !str_eq(outside->bindings[0].revision, str_of(wanted)))
                accuse(p, "the Binding does not name the wanted revision",
                       wanted != NULL ? wanted : "");
}

/* --- what happens --- */

static PlayedTailnet *any_tailnet(Play *p)
{
        return &p->tailnets[played_dice(&p->chance, TAILNETS)];
}

static PlayedDevice *any_device(Play *p, PlayedTailnet *t)
{
        return &t->devices[played_dice(&p->chance, PLAYED_DEVICES)];
}

/* A machine that was enrolled again has another node id. */
static void enrol(PlayedTailnet *t, PlayedDevice *d)
{
        d->id = t->next_id++;
        d->is_there = true;
        d->is_expired = d->is_offline = d->is_hidden = false;
}

static void change_device(Play *p)
{
        PlayedTailnet *t = any_tailnet(p);
        PlayedDevice *d = any_device(p, t);
        unsigned how = played_dice(&p->chance, 7);

        tell(p, t->name, d->name, how);
        switch (how) {
        case 0:
                d->is_there = false;
                break;
        case 1:
        case 2:
                if (!d->is_there)
                        enrol(t, d);
                break;
        case 3:
                enrol(t, d);
                break;
        case 4:
                d->is_expired = !d->is_expired;
                break;
        case 5:
                d->is_offline = !d->is_offline;
                d->is_hidden = !d->is_hidden && played_dice(&p->chance, 2) == 0;
                break;
        default:
                snprintf(d->name, sizeof(d->name), "svc-%td%c", d - t->devices,
                         'a' + (char)played_dice(&p->chance, 20));
                break;
        }
        played_tailnet_change(t);
}

/* Most leave at once: held, and confirmed. */
static void leave(Play *p)
{
        PlayedTailnet *t = any_tailnet(p);

        tell(p, "most leave", t->name, 0);
        for (size_t i = 0; i < PLAYED_DEVICES; i++)
                if (played_dice(&p->chance, 4) > 0)
                        t->devices[i].is_there = false;
        played_tailnet_change(t);
}

static void begin_fault(Play *p)
{
        static const char *const fault_names[PLAYED_FAULTS] = {
                "well", "denied", "limited", "broken", "hangs", "half", "empty", "short"};
        PlayedTailnet *t = any_tailnet(p);
        PlayedFault fault = (PlayedFault)(1 + played_dice(&p->chance, PLAYED_FAULTS - 1));
        unsigned answers = 1 + played_dice(&p->chance, FAULT_MAX);
        bool is_lie = fault == PLAYED_EMPTY || fault == PLAYED_SHORT;

        if (p->has_local && t == &p->tailnets[0] && played_dice(&p->chance, 3) == 0)
                played_server_fault(&t->local, PLAYED_BROKEN, answers);
        if (fault == PLAYED_SHORT && played_tailnet_good(t) < PLAYED_SHORT_FROM)
                fault = PLAYED_EMPTY;
        if (is_lie)
                answers =
                        played_dice(&p->chance, 4) == 0 ? LIE_MAX : 1 + played_dice(&p->chance, 2);
        played_server_fault(&t->api, fault, answers);
        tell(p, t->name, fault_names[fault], answers);
}

static void edit(Play *p)
{
        p->excludes = !p->excludes;
        tell(p, "edit", p->excludes ? "without svc-3" : "with svc-3", 0);
        write_manifests(p);
        /* Until it is in force: what a next one wishes is not to be held against this one. */
        simulated_pass(&p->program, SPAN_S(EDIT_S));
}

static void restart(Play *p)
{
        tell(p, "restart", "", 0);
        simulated_kill(&p->program);
        /* What it was told to wait for is gone with it. */
        for (size_t t = 0; t < TAILNETS; t++)
                p->tailnets[t].api.not_before = p->tailnets[t].local.not_before = (Mono){0};
        test_clock_advance(&p->program.time, SPAN_S(played_dice(&p->chance, STEP_MAX_S)));
        simulated_start(&p->program, p->chance.state);
}

static void happen(Play *p)
{
        unsigned what = played_dice(&p->chance, 20);

        if (what < 8)
                change_device(p);
        else if (what < 14)
                begin_fault(p);
        else if (what == 14)
                leave(p);
        else if (what == 15)
                edit(p);
        else if (what == 16)
                hub_reread(p->program.hub);
        else if (what == 17)
                simulated_jump(
                        &p->program,
                        SPAN_S((int64_t)played_dice(&p->chance, 2 * JUMP_MAX_S) - JUMP_MAX_S));
        else
                restart(p);
}

static void collect_violations(Play *p)
{
        if (p->program.violation != NULL)
                accuse(p, p->program.violation, "");
        for (size_t t = 0; t < TAILNETS; t++)
                if (p->tailnets[t].violation != NULL)
                        accuse(p, p->tailnets[t].violation, names[t]);
}

/* Faults end, one device comes where none is: an empty tailnet is believed only when confirmed. */
static void calm(Play *p)
{
        for (size_t t = 0; t < TAILNETS; t++) {
                played_server_fault(&p->tailnets[t].api, PLAYED_WELL, 0);
                played_server_fault(&p->tailnets[t].local, PLAYED_WELL, 0);
        }
        simulated_pass(&p->program, SPAN_S(CALM_S));
        expect_truth(p, "what is in force is not what is true");
        expect_written(p);
}

/* Promise 4. */
static void start_alone(Play *p)
{
        Digest files = simulated_files(&p->program), after;

        simulated_kill(&p->program);
        for (size_t t = 0; t < TAILNETS; t++) {
                played_server_fault(&p->tailnets[t].api, PLAYED_HANGS, 0);
                played_server_fault(&p->tailnets[t].local, PLAYED_BROKEN, 0);
        }
        p->program.writes = 0;
        simulated_start(&p->program, 1);
        simulated_pass(&p->program, SPAN_S(30));
        if (!p->program.world->complete)
                accuse(p, "a start with a cache waits for an answer", "");
        expect_truth(p, "a start without answers knows another truth");
        after = simulated_files(&p->program);
        if (!digest_eq(&files, &after) || p->program.writes > 0)
                accuse(p, "a start without news writes", "");
}

static void play(Play *p, uint64_t seed)
{
        unsigned steps;

        chance_init(&p->chance, seed * 2654435761U + 1);
        p->has_local = played_dice(&p->chance, 2) == 0;
        for (size_t t = 0; t < TAILNETS; t++)
                played_tailnet_init(&p->tailnets[t], names[t], (unsigned)t, &p->chance);
        played_stage = (PlayedStage){p->tailnets, TAILNETS};
        buf_init(&p->story, STORY_MAX);
        p->program.on_world = on_world;
        p->program.owner = p;
        simulated_init(&p->program);
        write_manifests(p);
        simulated_start(&p->program, seed);
        steps = STEPS_MIN + played_dice(&p->chance, STEPS_MORE);
        for (unsigned i = 0; i < steps && p->violation == NULL; i++) {
                simulated_pass(&p->program, SPAN_S(1 + played_dice(&p->chance, STEP_MAX_S)));
                happen(p);
                collect_violations(p);
        }
        if (p->violation == NULL)
                calm(p);
        if (p->violation == NULL)
                start_alone(p);
        collect_violations(p);
}

/* So that a run that exercised nothing is seen. */
static struct Totals {
        unsigned long long worlds, calls, failures;
} totals;

static bool run_seed(uint64_t seed, Digest *ret_files)
{
        Play *p = mem_new(sizeof(*p));
        bool ok;

        play(p, seed);
        *ret_files = simulated_files(&p->program);
        ok = p->violation == NULL;
        totals.worlds += p->worlds;
        for (size_t t = 0; t < TAILNETS; t++) {
                totals.calls += p->tailnets[t].calls;
                totals.failures += p->tailnets[t].failures;
        }
        if (!ok)
                printf("seed %llu: %s: %s\n%.*s", (unsigned long long)seed, p->violation, p->detail,
                       STR_FMT(buf_str(&p->story)));
        buf_done(&p->story);
        simulated_done(&p->program);
        mem_free(p);
        return ok;
}

int main(int argc, char **argv)
{
        unsigned long long from, to, failed = 0;

        if (argc != 3)
                return 2;
        from = strtoull(argv[1], NULL, 10);
        to = strtoull(argv[2], NULL, 10);
        for (unsigned long long seed = from; seed <= to; seed++) {
                Digest files, again;
                bool ok = run_seed(seed, &files);

                if (ok && seed % TWICE_EVERY == 0) {
                        ok = run_seed(seed, &again) && digest_eq(&files, &again);
                        if (!ok)
                                printf("seed %llu: other bytes the second time\n", seed);
                }
                failed += !ok;
        }
        printf("%llu schedules, %llu failed; %llu calls, %llu of them failed; %llu Worlds\n",
               to >= from ? to - from + 1 : 0, failed, totals.calls, totals.failures,
               totals.worlds);
        return failed == 0 && to >= from && totals.failures > 0 ? 0 : 1;
}
