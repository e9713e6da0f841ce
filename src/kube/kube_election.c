/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   a try:  READ ──(nobody's, or its time is up)──> UPDATE ──2xx──> held until sent + renew
 * deadline │  └──(ours)─────────────────────────> UPDATE            │ │
 * └──(404)──────────────────────────> CREATE            └─(the next tries: UPDATE)
 *            └─────(another's)──> wait               └─409─> READ, once in a try
 *
 * Invariants:
 * 1. `until` is set by a 2xx answer alone that shows our claim, and counts from before it was sent.
 * 2. Whoever sees our claim sees it after it was sent, and waits for longer than we hold it.
 * 3. What another holds is counted from when *we* saw its record become what it is: a time that
 *    stands in it is of a clock that we do not know.
 * 4. A record with our identity is ours only where we have sent a claim, and that was no CREATE
 *    without an answer: a late one may stand where another's was deleted, who still holds it.
 */
#include "kube/kube_election.h"

#include <stdio.h>

#include "kube/kube_delay.h"
#include "proto/json.h"
#include "proto/json_writer.h"

enum {
        /* Of the retry period, in percent: those that wait all saw the same change. */
        RENEW_JITTER = 10,
        TAKE_JITTER = 120, /* as client-go */
        TAKE_SPREAD_MS = 500,
        RELEASE_RETRY_MS = 250,
        NODES_MAX = 4096,
        FROZEN_MS = 600000,
};

void kube_election_init(KubeElection *e, const KubeElectionInput *in)
{
        *e = (KubeElection){.in = *in,
                            .chance = in->seed,
                            .plan = KUBE_ELECTION_READ,
                            .begins = true,
                            .lasts = SPAN_S(KUBE_LEASE_DURATION_S)};
        arena_init(&e->arena, 0);
}

void kube_election_done(KubeElection *e)
{
        e->object = NULL;
        arena_done(&e->arena);
}

/* --- what stands there --- */

static const Tree *spec_of(const KubeElection *e)
{
        return tree_get(e->object, STR("spec"));
}

static bool is_mine(const KubeElection *e, Str holder)
{
        return (e->sure || (e->releasing && e->claimed)) && str_eq(holder, str_of(e->in.identity));
}

static bool is_ours(const KubeElection *e)
{
        return e->object != NULL && is_mine(e, tree_get_str(spec_of(e), STR("holderIdentity")));
}

static bool is_free(const KubeElection *e, Mono now)
{
        return tree_get_str(spec_of(e), STR("holderIdentity")).n == 0 ||
               !mono_before(now, mono_add(e->changed, e->lasts));
}

static Digest digest_record(const Tree *spec)
{
        static const Str members[] = {STR_INIT("holderIdentity"), STR_INIT("leaseDurationSeconds"),
                                      STR_INIT("acquireTime"), STR_INIT("renewTime"),
                                      STR_INIT("leaseTransitions")};
        Digester *d = digester_new();

        for (size_t i = 0; i < LENGTH_OF(members); i++) {
                const Tree *member = tree_get(spec, members[i]);

                digester_add(d, member != NULL ? member->text : (Str){0});
        }
        return digester_finish(d);
}

/* Cut for people at whole characters. */
static void note_holder(KubeElection *e, Str holder)
{
        size_t n = 0, step;

        if (str_eq(str_of(e->holder), holder))
                return;
        while ((step = str_utf8(str_sub(holder, n, SIZE_MAX))) > 0 &&
               n + step <= KUBE_LEASE_NAME_MAX)
                n += step;
        if (n > 0 && !str_eq(str_of(e->holder), str_sub(holder, 0, n)))
                e->counts.transitions++;
        snprintf(e->holder, sizeof(e->holder), "%.*s", STR_FMT(str_sub(holder, 0, n)));
}

void kube_election_drop(KubeElection *e)
{
        e->until = (Mono){0};
        e->counts.leader = 0;
}

static void observe(KubeElection *e, Mono now)
{
        const Tree *spec = spec_of(e);
        Digest record = digest_record(spec);
        int64_t lasts = KUBE_LEASE_DURATION_S;

        if (!is_ours(e))
                kube_election_drop(e);
        e->absent = (Mono){0};
        if (e->seen && digest_eq(&e->record, &record))
                return;
        e->seen = true;
        e->record = record;
        e->changed = now;
        IGNORE(tree_i64(tree_get(spec, STR("leaseDurationSeconds")), 1, INT32_MAX, false, &lasts),
               "one that says nothing is held as long as ours");
        e->lasts = SPAN_S(lasts);
        note_holder(e, tree_get_str(spec, STR("holderIdentity")));
}

/* False where it is no Lease; then what was known is not either. */
static bool take_object(KubeElection *e, Mono now, Str body, Err *err)
{
        const JsonLimits limits = {KUBE_LEASE_BYTES_MAX, NODES_MAX};
        const Tree *object;

        arena_reset(&e->arena);
        e->object = NULL;
        object = json_read_within(&e->arena, body, &limits, NULL, err);
        if (object == NULL)
                return false;
        if (tree_get_str(tree_get(object, STR("metadata")), STR("resourceVersion")).n == 0 ||
            !str_eq(tree_get_str(object, STR("kind")), STR("Lease")))
                return err_set(err, ERR_INVALID, "BadAnswer",
                               "the answer is no Lease with resourceVersion");
        e->object = object;
        observe(e, now);
        return true;
}

/* --- what is written --- */

static void write_time(JsonWriter *w, Str key, Wall t)
{
        char text[WALL_TEXT];

        json_key_str(w, key, str_of(wall_format_micro(t, text)));
}

/* Two renewals never write the same: others could not see the second, also where our wall clock
 * stands still. */
static Wall pick_time(KubeElection *e, Wall wall)
{
        if (wall.ms <= e->written.ms && e->written.ms - wall.ms < FROZEN_MS)
                wall.ms = e->written.ms + 1;
        e->written = wall;
        return wall;
}

static void write_spec(const KubeElection *e, JsonWriter *w, Wall wall)
{
        static const Str ours[] = {STR_INIT("holderIdentity"), STR_INIT("leaseDurationSeconds"),
                                   STR_INIT("acquireTime"), STR_INIT("renewTime"),
                                   STR_INIT("leaseTransitions")};
        const Tree *spec = spec_of(e), *acquired = tree_get(spec, STR("acquireTime"));
        int64_t transitions = 0;
        bool goes_on = is_ours(e);

        IGNORE(tree_i64(tree_get(spec, STR("leaseTransitions")), 0, INT32_MAX - 1, false,
                        &transitions),
               "one that says nothing had none");
        if (e->object != NULL && !goes_on)
                transitions++;
        json_tree_members(w, spec, (StrList){ours, LENGTH_OF(ours)});
        json_key_str(w, STR("holderIdentity"), e->releasing ? (Str){0} : str_of(e->in.identity));
        json_key_u64(w, STR("leaseDurationSeconds"),
                     e->releasing ? 1 : (uint64_t)KUBE_LEASE_DURATION_S);
        if (goes_on && !e->releasing && acquired != NULL && acquired->type == TREE_STRING)
                json_key_str(w, STR("acquireTime"), acquired->text);
        else
                write_time(w, STR("acquireTime"), wall);
        write_time(w, STR("renewTime"), wall);
        json_key_u64(w, STR("leaseTransitions"), (uint64_t)transitions);
}

/* All that others put there stays; who manages which field is the server's to know. */
static void write_lease(KubeElection *e, Wall wall, Buf *body)
{
        static const Str left_out[] = {STR_INIT("managedFields")};
        JsonWriter w;

        json_writer_init(&w, body);
        json_object_begin(&w);
        json_key_str(&w, STR("apiVersion"), STR("coordination.k8s.io/v1"));
        json_key_str(&w, STR("kind"), STR("Lease"));
        json_key_object_begin(&w, STR("metadata"));
        if (e->object != NULL) {
                json_tree_members(&w, tree_get(e->object, STR("metadata")),
                                  (StrList){left_out, LENGTH_OF(left_out)});
        } else {
                json_key_str(&w, STR("name"), str_of(e->in.name));
                json_key_str(&w, STR("namespace"), str_of(e->in.ns));
        }
        json_object_end(&w);
        json_key_object_begin(&w, STR("spec"));
        write_spec(e, &w, pick_time(e, wall));
        json_object_end(&w);
        json_object_end(&w);
}

/* --- what comes next --- */

static Mono later(Mono a, Mono b)
{
        return mono_before(a, b) ? b : a;
}

static Span part_of_period(KubeElection *e, int percent)
{
        Span most = {SPAN_S(KUBE_LEASE_RETRY_S).ns * percent / 100};

        return kube_delay_jitter(&e->chance, most);
}

static void plan(KubeElection *e, KubeElectionVerb verb, Mono at)
{
        e->plan = verb;
        e->next = at;
}

/* The next try. It begins a period after this one began, however long the server took. */
static void plan_try(KubeElection *e, Mono now)
{
        bool renews = is_ours(e) || e->until.ns != 0;
        Mono at = mono_add(e->tick, SPAN_S(KUBE_LEASE_RETRY_S));

        e->begins = true;
        if (e->releasing) {
                plan(e, KUBE_ELECTION_READ, mono_add(now, SPAN_MS(RELEASE_RETRY_MS)));
                return;
        }
        at = mono_add(at, part_of_period(e, renews ? RENEW_JITTER : TAKE_JITTER));
        plan(e, is_ours(e) ? KUBE_ELECTION_UPDATE : KUBE_ELECTION_READ, later(at, now));
}

/* Another's: asked again for its changes, and when its time is up. */
static void plan_to_wait(KubeElection *e, Mono now, Mono is_over)
{
        Mono at = mono_add(is_over, kube_delay_jitter(&e->chance, SPAN_MS(TAKE_SPREAD_MS)));

        plan_try(e, now);
        if (mono_before(at, e->next))
                e->next = later(at, now);
}

static void plan_over(KubeElection *e)
{
        plan(e, KUBE_ELECTION_OVER, e->next);
}

static void after_read(KubeElection *e, Mono now)
{
        if (e->releasing && !is_ours(e))
                plan_over(e);
        else if (is_ours(e) || is_free(e, now))
                plan(e, KUBE_ELECTION_UPDATE, now);
        else
                plan_to_wait(e, now, mono_add(e->changed, e->lasts));
}

/* It was deleted, or never there. Who saw it there waits for whoever may hold it; where it has not
 * looked for long, from the beginning: it may have been there and have been deleted again. */
static void after_absence(KubeElection *e, Mono now)
{
        Mono is_over;

        e->object = NULL;
        if (e->absent.ns == 0 || mono_since(now, e->looked).ns > SPAN_S(KUBE_LEASE_RENEW_S).ns)
                e->absent = now;
        e->looked = now;
        is_over = mono_add(e->absent, SPAN_S(KUBE_LEASE_DURATION_S));
        if (e->releasing)
                plan_over(e);
        else if (!e->seen || kube_election_is_held(e, now) || !mono_before(now, is_over))
                plan(e, KUBE_ELECTION_CREATE, now);
        else
                plan_to_wait(e, now, is_over);
}

static void after_claim(KubeElection *e, Mono now)
{
        if (e->releasing) {
                plan_over(e);
                return;
        }
        e->until = mono_add(e->sent, SPAN_S(KUBE_LEASE_RENEW_S));
        e->counts.renewals++;
        e->counts.leader = kube_election_is_held(e, now);
        plan_try(e, now);
}

/* Somebody was faster, or it was deleted: read it again, at once the first time. */
static void after_conflict(KubeElection *e, Mono now)
{
        e->object = NULL;
        if (e->reread)
                plan_try(e, now);
        else
                plan(e, KUBE_ELECTION_READ, now);
        e->reread = true;
}

static void after_failure(KubeElection *e, Mono now, Span retry_after)
{
        Span most = SPAN_S(KUBE_LEASE_CALL_S);

        e->counts.failures++;
        plan_try(e, now);
        if (retry_after.ns > most.ns)
                retry_after = most;
        if (!e->releasing)
                e->next = later(e->next, mono_add(now, retry_after));
}

/* What a proxy, say, answers with 200 is no lease. */
static bool shows_what_was_written(const KubeElection *e, Err *err)
{
        return e->releasing || is_ours(e) ||
               err_set(err, ERR_INVALID, "BadAnswer", "the answer shows another holder");
}

bool kube_election_answer(KubeElection *e, Mono now, const KubeElectionAnswer *a, Err *err)
{
        KubeElectionVerb did = e->doing;
        bool is_good = a->status >= 200 && a->status <= 299 && a->err.kind == ERR_NONE;
        bool is_understood;

        INSIST(did != KUBE_ELECTION_WAIT && did != KUBE_ELECTION_OVER);
        e->doing = KUBE_ELECTION_WAIT;
        if (a->status == 404 && did == KUBE_ELECTION_READ) {
                after_absence(e, now);
                return true;
        }
        if ((a->status == 404 && did == KUBE_ELECTION_UPDATE) || a->status == 409) {
                after_conflict(e, now);
                return true;
        }
        if (!is_good) {
                if (err != NULL)
                        *err = a->err;
                after_failure(e, now, a->retry_after);
                return false;
        }
        e->sure = e->sure || did == KUBE_ELECTION_CREATE;
        is_understood = take_object(e, now, a->body, err) &&
                        (did == KUBE_ELECTION_READ || shows_what_was_written(e, err));
        if (!is_understood)
                after_failure(e, now, (Span){0});
        else if (did == KUBE_ELECTION_READ)
                after_read(e, now);
        else
                after_claim(e, now);
        return is_understood;
}

KubeElectionVerb kube_election_next(KubeElection *e, Mono now, Wall wall, Buf *body)
{
        if (e->plan == KUBE_ELECTION_OVER)
                return KUBE_ELECTION_OVER;
        if (e->doing != KUBE_ELECTION_WAIT || mono_before(now, e->next))
                return KUBE_ELECTION_WAIT;
        if (e->begins) {
                e->tick = now;
                e->begins = e->reread = false;
        }
        e->doing = e->plan;
        e->sent = now;
        if (e->doing != KUBE_ELECTION_READ) {
                e->claimed = true;
                e->sure = e->doing == KUBE_ELECTION_UPDATE;
                write_lease(e, wall, body);
        }
        return e->doing;
}

void kube_election_forget(KubeElection *e)
{
        e->doing = KUBE_ELECTION_WAIT;
}

void kube_election_move(KubeElection *e, Mono now)
{
        kube_election_forget(e);
        kube_election_drop(e);
        e->object = NULL;
        e->seen = false;
        e->absent = (Mono){0};
        e->begins = true;
        if (e->plan != KUBE_ELECTION_OVER)
                plan(e, KUBE_ELECTION_READ, now);
}

void kube_election_release(KubeElection *e, Mono now)
{
        kube_election_forget(e);
        kube_election_drop(e);
        e->releasing = true;
        if (!e->claimed)
                plan_over(e);
        else
                plan(e, is_ours(e) ? KUBE_ELECTION_UPDATE : KUBE_ELECTION_READ, now);
}
