/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three candidates against one simulated Lease, with everything going wrong that can: calls that
 * are late, lost, done without an answer, done long after their caller gave up; candidates that are
 * cut off, stopped, killed and begun anew, or go in order; the Lease deleted by hand; wall clocks
 * that say nonsense and monotonic ones that run fast or slow. At no moment do two hold it, and when
 * things go well again one does, and keeps it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "kube/kube_delay.h"
#include "kube/kube_election.h"

enum {
        SEEDS = 1000,
        CANDIDATES = 3,
        EVENTS_MAX = 256,
        BODY_MAX = 2048,
        FAULTS_S = 240,
        CALM_S = 60, /* after which one must hold it */
        KEPT_S = 60,
        DRIFT_PERCENT = 5,
};

typedef enum EventKind {
        EVENT_WAKE,
        EVENT_ARRIVE,  /* at the server */
        EVENT_ANSWER,  /* at the candidate */
        EVENT_TIMEOUT, /* the candidate gives the call up */
        EVENT_FAULT,   /* something goes wrong */
} EventKind;

typedef struct Event {
        int64_t at; /* real time, ns */
        uint64_t order;
        EventKind kind;
        size_t who;
        uint64_t call;
        KubeElectionVerb verb;
        unsigned status;
        char body[BODY_MAX];
} Event;

typedef struct Candidate {
        KubeElection e;
        char identity[32];
        int64_t offset;   /* of its monotonic clock */
        int64_t permille; /* how fast it runs */
        Wall wall;
        uint64_t call;              /* under way; 0: none */
        int64_t stopped, cut, dead; /* until then */
        bool is_dead, releases;
        unsigned lives;
} Candidate;

typedef struct Sim {
        uint64_t seed, chance;
        int64_t now;
        Event *events[EVENTS_MAX];
        size_t n_events;
        uint64_t order, calls;
        Candidate at[CANDIDATES];
        bool exists, deletes; /* … may be done by hand; then none begins anew */
        int64_t deleted;      /* the last time */
        uint64_t version;
        char spec[BODY_MAX];
        bool faults;
        /* What happened, so that the test is known to test something. */
        unsigned n_leads, n_late, n_deleted, n_releases;
        size_t leader; /* CANDIDATES: none */
} Sim;

static int64_t pick(Sim *s, int64_t below)
{
        return kube_delay_jitter(&s->chance, (Span){below}).ns;
}

static bool is_chance(Sim *s, int percent)
{
        return s->faults && pick(s, 100) < percent;
}

static int64_t seconds(int64_t n)
{
        return SPAN_S(n).ns;
}

/* --- what comes when --- */

static Event *add(Sim *s, EventKind kind, size_t who, int64_t at)
{
        Event *e = mem_new(sizeof(*e));

        assert_true(s->n_events < EVENTS_MAX);
        *e = (Event){.at = at, .order = s->order++, .kind = kind, .who = who};
        s->events[s->n_events++] = e;
        return e;
}

static Event *take_first(Sim *s)
{
        size_t first = 0;
        Event *e;

        for (size_t i = 1; i < s->n_events; i++)
                if (s->events[i]->at < s->events[first]->at ||
                    (s->events[i]->at == s->events[first]->at &&
                     s->events[i]->order < s->events[first]->order))
                        first = i;
        e = s->events[first];
        s->events[first] = s->events[--s->n_events];
        return e;
}

/* --- the candidates --- */

static Mono clock_of(const Sim *s, const Candidate *c)
{
        return (Mono){c->offset + s->now / 1000 * c->permille};
}

/* The real time at which its clock says so. */
static int64_t real_of(const Candidate *c, Mono at)
{
        return (at.ns - c->offset) / c->permille * 1000 + 1000;
}

static Wall wall_of(Sim *s, Candidate *c)
{
        if (is_chance(s, 10))
                c->wall.ms = pick(s, INT64_C(4000000000000));
        return c->wall;
}

static void live(Sim *s, size_t who)
{
        Candidate *c = &s->at[who];

        snprintf(c->identity, sizeof(c->identity), "%zu-%u", who, c->lives++);
        c->offset = 1 + pick(s, INT64_C(1) << 50);
        c->permille = 1000 - 10 * DRIFT_PERCENT + pick(s, 20 * DRIFT_PERCENT + 1);
        c->call = 0;
        c->releases = c->is_dead = false;
        kube_election_init(&c->e, &(KubeElectionInput){"ns", "l", c->identity, s->seed + who});
        add(s, EVENT_WAKE, who, s->now + pick(s, seconds(5)));
}

static void die(Sim *s, size_t who, int64_t until)
{
        Candidate *c = &s->at[who];

        kube_election_done(&c->e);
        c->is_dead = true;
        c->dead = until;
        add(s, EVENT_WAKE, who, until);
}

static int64_t delay(Sim *s)
{
        return SPAN_MS(1).ns + pick(s, is_chance(s, 15) ? seconds(30) : SPAN_MS(50).ns);
}

static void drive(Sim *s, size_t who)
{
        Candidate *c = &s->at[who];
        Buf body;
        Event *call;
        KubeElectionVerb verb;

        buf_init(&body, BODY_MAX - 1);
        verb = kube_election_next(&c->e, clock_of(s, c), wall_of(s, c), &body);
        assert_false(body.failed);
        if (verb == KUBE_ELECTION_OVER) {
                s->n_releases++;
                die(s, who, s->now + pick(s, seconds(20)));
        } else if (verb == KUBE_ELECTION_WAIT && c->call == 0) {
                add(s, EVENT_WAKE, who, real_of(c, c->e.next));
        } else if (verb != KUBE_ELECTION_WAIT) {
                c->call = ++s->calls;
                call = add(s, EVENT_TIMEOUT, who,
                           real_of(c, mono_add(clock_of(s, c), SPAN_S(KUBE_LEASE_CALL_S))));
                call->call = c->call;
                /* What is sent into a cut may arrive when it is over. */
                if (!is_chance(s, 5) && (s->now >= c->cut || is_chance(s, 50))) {
                        int64_t from = s->now < c->cut ? c->cut : s->now;

                        call = add(s, EVENT_ARRIVE, who, from + delay(s));
                        call->call = c->call;
                        call->verb = verb;
                        if (body.n > 0)
                                memcpy(call->body, body.p, body.n);
                }
        }
        buf_done(&body);
}

static void finish(Sim *s, size_t who, unsigned status, const char *body)
{
        Candidate *c = &s->at[who];
        KubeElectionAnswer a = {.status = status, .body = str_of(body)};
        bool was_held = kube_election_is_held(&c->e, clock_of(s, c));

        if (status < 200 || status > 299)
                err_set(&a.err, ERR_TRANSIENT, "Refused", "refused");
        c->call = 0;
        IGNORE(kube_election_answer(&c->e, clock_of(s, c), &a, NULL), "they are meant to");
        s->n_leads += !was_held && kube_election_is_held(&c->e, clock_of(s, c));
        drive(s, who);
}

/* --- the server --- */

static unsigned store(Sim *s, const Event *call)
{
        Str body = str_of(call->body);
        ptrdiff_t at = str_find_str(body, STR("\"resourceVersion\":\""));
        ptrdiff_t spec = str_find_str(body, STR(",\"spec\":{"));
        char version[40];

        assert_true(spec > 0);
        if (call->verb == KUBE_ELECTION_CREATE ? s->exists : !s->exists)
                return s->exists ? 409 : 404;
        snprintf(version, sizeof(version), "%llu\"", (unsigned long long)s->version);
        if (s->exists && !str_starts(str_sub(body, (size_t)at + 19, SIZE_MAX), str_of(version)))
                return 409;
        body = str_sub(body, (size_t)spec, SIZE_MAX);
        s->version += !s->exists || !str_eq(str_of(s->spec), body);
        s->exists = true;
        snprintf(s->spec, sizeof(s->spec), "%.*s", STR_FMT(body));
        return call->verb == KUBE_ELECTION_CREATE ? 201 : 200;
}

static void serve(Sim *s, const Event *call)
{
        unsigned status = call->verb == KUBE_ELECTION_READ ? s->exists ? 200 : 404 : 0;
        Candidate *c = &s->at[call->who];
        Event *answer;

        if (c->is_dead || c->call != call->call)
                s->n_late++;
        if (is_chance(s, 5))
                status = is_chance(s, 50) ? 500 : 429;
        else if (call->verb != KUBE_ELECTION_READ)
                status = store(s, call);
        /* Done, and then something breaks on the way back. */
        if (is_chance(s, 5))
                status = is_chance(s, 50) ? 504 : 299;
        if (is_chance(s, 5) || s->now < c->cut)
                return;
        answer = add(s, EVENT_ANSWER, call->who, s->now + delay(s));
        answer->call = call->call;
        answer->status = status;
        if (status == 200 || status == 201)
                snprintf(answer->body, sizeof(answer->body),
                         "{\"kind\":\"Lease\",\"metadata\":{\"resourceVersion\":\"%llu\"}%s",
                         (unsigned long long)s->version, s->spec);
}

/* --- what goes wrong --- */

static void break_something(Sim *s)
{
        size_t who = (size_t)pick(s, CANDIDATES);
        Candidate *c = &s->at[who];
        bool all_seen = true;

        add(s, EVENT_FAULT, 0, s->now + pick(s, seconds(15)));
        for (size_t i = 0; i < CANDIDATES; i++)
                all_seen = all_seen && !s->at[i].is_dead && s->at[i].e.seen &&
                           s->at[i].e.absent.ns == 0;
        switch (pick(s, 5)) {
        case 0:
                c->stopped = s->now + pick(s, seconds(60));
                break;
        case 1:
                c->cut = s->now + pick(s, seconds(60));
                break;
        case 2:
                if (!c->is_dead && !s->deletes)
                        die(s, who, s->now + pick(s, seconds(30)));
                break;
        case 3:
                /* It gives up what is under way, and what is late of it may still be done. */
                if (!c->is_dead && !s->deletes && !c->releases && s->now >= c->stopped) {
                        c->releases = true;
                        c->call = 0;
                        kube_election_release(&c->e, clock_of(s, c));
                        drive(s, who);
                }
                break;
        default:
                /* One that nobody has seen, and that is deleted, is beyond all rules. */
                if (s->deletes && all_seen && s->exists && s->now > s->deleted + seconds(30)) {
                        s->exists = false;
                        s->deleted = s->now;
                        s->version++;
                        s->n_deleted++;
                }
                break;
        }
}

/* --- the play --- */

static void happen(Sim *s, Event *e)
{
        Candidate *c = &s->at[e->who];

        if (e->kind == EVENT_FAULT) {
                if (s->faults)
                        break_something(s);
        } else if (e->kind == EVENT_ARRIVE) {
                serve(s, e);
        } else if (c->is_dead) {
                if (e->kind == EVENT_WAKE && s->now >= c->dead)
                        live(s, e->who);
        } else if (e->kind == EVENT_WAKE) {
                if (c->call == 0)
                        drive(s, e->who);
        } else if (c->call == e->call) {
                finish(s, e->who, e->kind == EVENT_TIMEOUT ? 0 : e->status, e->body);
        }
}

static void check(Sim *s)
{
        s->leader = CANDIDATES;
        for (size_t i = 0; i < CANDIDATES; i++) {
                if (s->at[i].is_dead || !kube_election_is_held(&s->at[i].e, clock_of(s, &s->at[i])))
                        continue;
                if (s->leader != CANDIDATES)
                        fail_msg("seed %llu: %zu and %zu hold it at %.3f s",
                                 (unsigned long long)s->seed, s->leader, i, (double)s->now / 1e9);
                s->leader = i;
        }
}

/* What happens to a process that is stopped, happens when it goes on, in the same order: what came
 * is seen before what is due. */
static bool put_off(Sim *s, Event *e)
{
        const Candidate *c = &s->at[e->who];

        if (e->kind == EVENT_ARRIVE || e->kind == EVENT_FAULT || c->is_dead || s->now >= c->stopped)
                return false;
        e->at = c->stopped + (e->kind == EVENT_ANSWER ? 0 : 1);
        s->events[s->n_events++] = e;
        return true;
}

static void play_until(Sim *s, int64_t until, bool must_keep)
{
        size_t leader = s->leader;

        while (s->now < until) {
                Event *e = take_first(s);

                s->now = e->at > s->now ? e->at : s->now;
                if (put_off(s, e))
                        continue;
                /* Nobody's turn has begun long ago: what is held ends by itself. */
                check(s);
                happen(s, e);
                mem_free(e);
                check(s);
                if (must_keep && s->leader != leader)
                        fail_msg("seed %llu: not kept at %.3f s", (unsigned long long)s->seed,
                                 (double)s->now / 1e9);
        }
}

static void play(Sim *s, uint64_t seed)
{
        *s = (Sim){.seed = seed, .chance = seed, .faults = true, .deletes = seed % 4 == 0};
        s->version = 1;
        for (size_t i = 0; i < CANDIDATES; i++)
                live(s, i);
        add(s, EVENT_FAULT, 0, pick(s, seconds(30)));
        play_until(s, seconds(FAULTS_S), false);
        s->faults = false;
        for (size_t i = 0; i < CANDIDATES; i++)
                s->at[i].stopped = s->at[i].cut = 0;
        /* Calls that are late by half a minute come within that time. */
        play_until(s, seconds(FAULTS_S + CALM_S), false);
        if (s->leader == CANDIDATES)
                fail_msg("seed %llu: nobody holds it", (unsigned long long)seed);
        play_until(s, seconds(FAULTS_S + CALM_S + KEPT_S), true);
        while (s->n_events > 0)
                mem_free(s->events[--s->n_events]);
        for (size_t i = 0; i < CANDIDATES; i++)
                if (!s->at[i].is_dead)
                        kube_election_done(&s->at[i].e);
}

static void two_never_hold_it_and_one_does_in_the_end(void **state)
{
        unsigned n_leads = 0, n_late = 0, n_deleted = 0, n_releases = 0;
        static Sim s;

        (void)state;
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
                play(&s, seed);
                n_leads += s.n_leads;
                n_late += s.n_late;
                n_deleted += s.n_deleted;
                n_releases += s.n_releases;
        }
        assert_true(n_leads > 2 * SEEDS && n_late > SEEDS && n_deleted > SEEDS / 4 &&
                    n_releases > SEEDS / 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(two_never_hold_it_and_one_does_in_the_end),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
