/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls and timers of a KubeElection, which decides. Its clock is read anew where the moment
 * counts, since a turn of the loop may have begun long ago: before a claim is sent, and after an
 * answer came.
 *
 * The owner may close inside any event: `inside` counts what is on the stack, the last one frees.
 */
#include "kube/kube_lease.h"

#include <stdio.h>

#include "base/mem.h"

enum {
        /* What was read, and what JSON makes of it at worst. */
        BODY_MAX = 8 * KUBE_LEASE_BYTES_MAX,
        HOLDER_MAX = KUBE_LEASE_NAME_MAX + 1,
};

struct KubeLease {
        KubeLeaseInput in;
        char ns[HOLDER_MAX], name[HOLDER_MAX], identity[HOLDER_MAX];
        char shown[HOLDER_MAX]; /* of the holder, to the owner */
        Buf all, one;           /* paths: of all Leases of the namespace, of ours */
        KubeElection election;
        KubeApiHook hook;
        uint64_t asked, held; /* kube_api_moves when the call began, and of what is held */
        KubeCall *call;
        Timer next, lost, giving_up;
        Post over;
        bool leads; /* on_lead was told, and on_lost was not */
        bool releasing, closing;
        unsigned inside;
};

static void free_lease(KubeLease *l)
{
        kube_election_done(&l->election);
        buf_done(&l->all);
        buf_done(&l->one);
        mem_free(l);
}

static void leave(KubeLease *l)
{
        l->inside--;
        if (l->closing && l->inside == 0)
                free_lease(l);
}

static Mono read_clock(const KubeLease *l)
{
        return loop_clock(kube_api_loop(l->in.api));
}

/* What is held at one server says nothing about another. */
static bool is_held_at(const KubeLease *l, Mono now)
{
        return kube_election_is_held(&l->election, now) && l->held == kube_api_moves(l->in.api);
}

/* --- what the owner is told --- */

static void lose(KubeLease *l)
{
        timer_clear(&l->lost);
        if (!l->leads)
                return;
        l->leads = false;
        l->in.events.on_lost(l);
}

static void lead(KubeLease *l)
{
        if (l->leads)
                return;
        l->leads = true;
        l->in.events.on_lead(l);
}

/* After an answer. `was_held`: when it came. */
static void tell(KubeLease *l, Mono now, bool was_held, const Err *err)
{
        bool is_held = is_held_at(l, now);
        bool is_another = strcmp(l->shown, l->election.holder) != 0;

        memcpy(l->shown, l->election.holder, sizeof(l->shown));
        /* It may have been another's meanwhile, though nobody's trace is left. */
        if (!is_held || !was_held)
                lose(l);
        if (!l->closing && is_another && l->in.events.on_holder != NULL)
                l->in.events.on_holder(l);
        if (!l->closing && !l->releasing && is_held) {
                timer_set(&l->lost, l->election.until);
                lead(l);
        }
        if (!l->closing && err->kind != ERR_NONE && l->in.events.on_failed != NULL)
                l->in.events.on_failed(l, err);
}

static void on_lost(Timer *t)
{
        KubeLease *l = CONTAINER_OF(t, KubeLease, lost);

        l->inside++;
        kube_election_drop(&l->election);
        lose(l);
        leave(l);
}

/* --- asking --- */

static void drive(KubeLease *l);

static void on_done(KubeCall *c, const KubeResult *result)
{
        KubeLease *l = kube_call_owner(c);
        Mono now = read_clock(l);
        KubeElectionAnswer answer = {result->status, result->body, result->retry_after,
                                     result->err};
        bool was_held = is_held_at(l, now);
        Mono until = l->election.until;
        Err err = {0};

        l->inside++;
        IGNORE(kube_election_answer(&l->election, now, &answer, &err), "it is told by err");
        if (l->election.until.ns != until.ns)
                l->held = l->asked;
        l->call = kube_call_close(l->call);
        if (!l->releasing)
                tell(l, now, was_held, &err);
        else if (err.kind != ERR_NONE && l->in.events.on_failed != NULL)
                l->in.events.on_failed(l, &err);
        if (!l->closing)
                drive(l);
        leave(l);
}

static void ask(KubeLease *l, KubeElectionVerb verb, const Buf *body)
{
        static const char *const methods[] = {[KUBE_ELECTION_READ] = "GET",
                                              [KUBE_ELECTION_CREATE] = "POST",
                                              [KUBE_ELECTION_UPDATE] = "PUT"};

        INSIST(!body->failed);
        l->asked = kube_api_moves(l->in.api);
        l->call = kube_call_open(
                l->in.api,
                &(KubeCallInput){
                        .method = methods[verb],
                        .path = verb == KUBE_ELECTION_CREATE ? l->all.p : l->one.p,
                        .content_type = verb != KUBE_ELECTION_READ ? "application/json" : NULL,
                        .body = buf_str(body),
                        .urgent = true,
                        .deadline = SPAN_S(KUBE_LEASE_CALL_S),
                        .max_bytes = KUBE_LEASE_BYTES_MAX,
                        .on_done = on_done,
                        .owner = l,
                });
}

static void drive(KubeLease *l)
{
        CLEANUP(buf_done) Buf body;
        Loop *loop = kube_api_loop(l->in.api);
        KubeElectionVerb verb;

        buf_init(&body, BODY_MAX);
        verb = kube_election_next(&l->election, read_clock(l), loop_wall(loop), &body);
        if (verb == KUBE_ELECTION_OVER)
                post_send(&l->over);
        else if (verb != KUBE_ELECTION_WAIT)
                ask(l, verb, &body);
        else if (l->call == NULL)
                timer_set(&l->next, l->election.next);
}

static void on_next(Timer *t)
{
        drive(CONTAINER_OF(t, KubeLease, next));
}

static void on_update(KubeApiHook *h, bool moved)
{
        KubeLease *l = CONTAINER_OF(h, KubeLease, hook);

        if (!moved)
                return;
        l->inside++;
        l->call = kube_call_close(l->call);
        kube_election_move(&l->election, read_clock(l));
        lose(l);
        if (!l->closing)
                drive(l);
        leave(l);
}

/* --- giving it back --- */

static void on_over(Post *p)
{
        KubeLease *l = CONTAINER_OF(p, KubeLease, over);

        timer_clear(&l->next);
        timer_clear(&l->giving_up);
        kube_api_hook_remove(&l->hook);
        l->call = kube_call_close(l->call);
        l->inside++;
        if (l->in.events.on_released != NULL)
                l->in.events.on_released(l);
        leave(l);
}

static void on_giving_up(Timer *t)
{
        on_over(&CONTAINER_OF(t, KubeLease, giving_up)->over);
}

void kube_lease_release(KubeLease *l)
{
        INSIST(!l->releasing && !l->closing);
        l->releasing = true;
        l->leads = false;
        timer_clear(&l->lost);
        timer_clear(&l->next);
        l->call = kube_call_close(l->call);
        kube_election_release(&l->election, read_clock(l));
        timer_set_in(&l->giving_up, SPAN_S(KUBE_LEASE_RELEASE_S));
        drive(l);
}

/* --- the whole --- */

static void copy(char to[HOLDER_MAX], const char *from)
{
        INSIST(from[0] != '\0' && strlen(from) < HOLDER_MAX);
        snprintf(to, HOLDER_MAX, "%s", from);
}

KubeLease *kube_lease_open(const KubeLeaseInput *in)
{
        KubeLease *l = mem_new(sizeof(*l));
        Loop *loop = kube_api_loop(in->api);

        INSIST(in->events.on_lead != NULL && in->events.on_lost != NULL);
        l->in = *in;
        copy(l->ns, in->ns);
        copy(l->name, in->name);
        copy(l->identity, in->identity);
        l->in.ns = l->in.name = l->in.identity = NULL;
        buf_init(&l->all, 1024);
        buf_init(&l->one, 1024);
        buf_printf(&l->all, "/apis/coordination.k8s.io/v1/namespaces/%s/leases", l->ns);
        buf_add_char(&l->all, '\0');
        buf_printf(&l->one, "%s/%s", l->all.p, l->name);
        buf_add_char(&l->one, '\0');
        kube_election_init(&l->election,
                           &(KubeElectionInput){l->ns, l->name, l->identity, in->seed});
        timer_init(&l->next, loop, on_next);
        timer_init(&l->lost, loop, on_lost);
        timer_init(&l->giving_up, loop, on_giving_up);
        post_init(&l->over, loop, on_over);
        kube_api_hook_add(in->api, &l->hook, on_update);
        drive(l);
        return l;
}

void *kube_lease_owner(const KubeLease *l)
{
        return l->in.owner;
}

bool kube_lease_is_held(const KubeLease *l, Mono now)
{
        return l->leads && is_held_at(l, now);
}

Mono kube_lease_until(const KubeLease *l)
{
        return l->leads ? l->election.until : (Mono){0};
}

Span kube_lease_left(const KubeLease *l)
{
        Mono now = read_clock(l);

        return kube_lease_is_held(l, now) ? mono_since(l->election.until, now) : (Span){0};
}

const char *kube_lease_holder(const KubeLease *l)
{
        return l->shown;
}

const KubeLeaseCounts *kube_lease_counts(const KubeLease *l)
{
        return &l->election.counts;
}

KubeLease *kube_lease_close(KubeLease *l)
{
        if (l == NULL)
                return NULL;
        INSIST(!l->closing);
        l->closing = true;
        kube_api_hook_remove(&l->hook);
        l->call = kube_call_close(l->call);
        timer_clear(&l->next);
        timer_clear(&l->lost);
        timer_clear(&l->giving_up);
        post_cancel(&l->over);
        if (l->inside == 0)
                free_lease(l);
        return NULL;
}

#define METRIC(metric, kind_, field, text)                                              \
        {                                                                               \
                .name = "tailscale_gateway_lease_" metric, .help = text, .kind = kind_, \
                .offset = offsetof(KubeLeaseCounts, field)                              \
        }

static const MetricDesc metrics[] = {
        METRIC("leader", METRIC_GAUGE, leader, "1 where this process holds the Lease."),
        METRIC("transitions_total", METRIC_COUNTER, transitions,
               "Times that another than before was seen to hold the Lease."),
        METRIC("renewals_total", METRIC_COUNTER, renewals,
               "Times that the Lease was taken or renewed by this process."),
        METRIC("failures_total", METRIC_COUNTER, failures,
               "Calls to read, take or renew the Lease that failed."),
};

const MetricTable kube_lease_metrics = {metrics, LENGTH_OF(metrics)};
