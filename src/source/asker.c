/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariants:
 * 1. Either the timer is set, or one poll is in flight.
 * 2. A failure changes nothing in `last`.
 * 3. Nothing is asked before `not_before`, whatever the reason.
 */
#include "source/asker.h"

#include "base/mem.h"
#include "io/file.h"
#include "source/credentials.h"
#include "source/pace.h"

#include <stdio.h>

struct Asker {
        AskerInput in;
        const TailnetSpec *spec;
        const SecretSpec *secret; /* may be NULL */
        TailnetSource *source;    /* NULL: what the spec asks for cannot be opened; tried again */
        Timer timer;
        Chance chance;
        Pace pace;
        Mono asked;      /* when the last poll began; 0: none did */
        Mono not_before; /* a Retry-After ends */
        bool again;      /* a trigger came during a poll, which may have looked before it */
        bool is_another; /* another server than that of `last` is asked, and has not answered well
                          */
        bool is_good;    /* the last poll was */
        ToldClock clock; /* of the good answers */
        TailnetAnswer last; /* good one; of its tables one reference each */
        Err err;            /* of the last poll that failed */
};

/* The record moves when another tailnet comes, so it is looked up each time. */
static SourceFact *fact_of(const Asker *a)
{
        TailnetFact *f = facts_tailnet(a->in.facts, a->spec->meta.key);
        INSIST(f != NULL); /* the caller's promise */
        return &f->sources[a->in.role];
}

static void name_fact(const Asker *a)
{
        bool is_file = a->spec->file_path.n > 0;
        fact_of(a)->name = a->in.role == SOURCE_LOCAL ? "local" : is_file ? "file" : "api";
}

static void schedule_at(Asker *a, Mono at)
{
        Span in = mono_since(at, loop_now(a->in.loop));
        fact_of(a)->next = (Wall){loop_wall(a->in.loop).ms + in.ns / 1000000};
        timer_set(&a->timer, at);
}

static void schedule(Asker *a, Span in)
{
        schedule_at(a, mono_add(loop_now(a->in.loop), in));
}

/* Takes the references of `answer` over. */
static void keep(Asker *a, TailnetAnswer *answer)
{
        const Table *services = answer->services;
        if (services == NULL && !a->is_another)
                services = table_ref(a->last.services);
        table_unref(a->last.devices);
        table_unref(a->last.services);
        a->last = *answer;
        a->last.services = (Table *)(uintptr_t)services;
        answer->devices = answer->services = NULL;
        a->is_another = false;
        a->is_good = true;
}

static void on_good(Asker *a, TailnetAnswer *answer)
{
        SourceFact *f = fact_of(a);
        bool is_news = f->failures_in_a_row > 0 || a->last.devices != answer->devices;
        keep(a, answer);
        f->last_sync = loop_wall(a->in.loop);
        f->failures_in_a_row = 0;
        f->via = a->last.via;
        f->devices = a->last.devices->n;
        f->invalid = a->last.n_invalid;
        f->kind = ERR_NONE;
        f->reason[0] = f->error[0] = '\0';
        IGNORE(snprintf(f->invalid_text, sizeof f->invalid_text, "%s",
                        f->invalid > 0 ? a->last.err.text : ""),
               "same size");
        char name[OBJECT_KEY_TEXT];
        if (is_news)
                log_info(a->in.log, "tailnet synced",
                         LOG_STR("tailnet", object_key_text(a->spec->meta.key, name)),
                         LOG_CSTR("source", f->name), LOG_INT("devices", f->devices),
                         LOG_INT("invalid", f->invalid), LOG_INT("bytes", a->last.bytes));
        schedule(a, pace_interval(a->spec->poll_interval, &a->chance));
}

static void on_bad(Asker *a, const Err *err, Span retry_after)
{
        SourceFact *f = fact_of(a);
        a->err = *err;
        a->is_good = false;
        f->failures++;
        f->failures_in_a_row++;
        f->kind = err->kind;
        IGNORE(snprintf(f->reason, sizeof f->reason, "%s", err->reason), "same size");
        IGNORE(snprintf(f->error, sizeof f->error, "%s", err->text), "same size");
        Span wait = pace_backoff(f->failures_in_a_row, retry_after, &a->chance);
        char name[OBJECT_KEY_TEXT];
        log_warn(a->in.log, "tailnet not synced, what was good stays in force",
                 LOG_STR("tailnet", object_key_text(a->spec->meta.key, name)),
                 LOG_CSTR("source", f->name), LOG_CSTR("reason", err->reason),
                 LOG_CSTR("error", err->text), LOG_INT("failures", f->failures_in_a_row),
                 LOG_INT("next_ms", wait.ns / 1000000));
        schedule(a, wait);
}

/* When a trigger of now may ask. */
static Mono trigger_time(Asker *a)
{
        Mono now = loop_now(a->in.loop);
        if (a->in.role != SOURCE_LOCAL)
                return pace_trigger(&a->pace, now);
        Mono at = mono_add(a->asked, SPAN_MS(PACE_LOCAL_APART_MS));
        return a->asked.ns == 0 || mono_before(at, now) ? now : at;
}

static void bring_forward(Asker *a)
{
        Mono at = trigger_time(a);
        if (mono_before(at, a->not_before))
                at = a->not_before;
        if (!timer_is_set(&a->timer) || mono_before(at, a->timer.at))
                schedule_at(a, at);
}

static void on_answer(TailnetSource *s, TailnetAnswer *answer)
{
        Asker *a = tailnet_source_owner(s);
        SourceFact *f = fact_of(a);
        f->polls++;
        f->last_attempt = loop_wall(a->in.loop);
        f->seconds = answer->seconds;
        f->bytes = answer->bytes;
        a->not_before = mono_add(loop_now(a->in.loop), answer->retry_after);
        if (answer->devices != NULL)
                told_clock_tell(&a->clock, loop_wall(a->in.loop), loop_now(a->in.loop),
                                answer->date);
        if (answer->devices != NULL)
                on_good(a, answer);
        else
                on_bad(a, &answer->err, answer->retry_after);
        answer->services = table_unref(answer->services);
        if (a->again)
                bring_forward(a);
        a->again = false;
        a->in.fn(a);
}

static void on_changed(TailnetSource *s)
{
        asker_trigger(tailnet_source_owner(s));
}

/* Links may change, so it is asked before each poll. */
static bool is_permitted(const Asker *a, Err *err)
{
        bool local = a->in.role == SOURCE_LOCAL;
        Str path = policy_source_path(a->in.policy, a->spec, local);
        if (!policy_admits_source(a->in.policy, a->spec, local, err))
                return false;
        return path.n == 0 || file_is_below(a->in.policy->local_sources_dir.p, path.p, err);
}

static bool open_source(Asker *a, Err *err)
{
        CLEANUP(credentials_done) Credentials credentials = {0};
        bool needs = a->in.role == SOURCE_PRIMARY && a->spec->file_path.n == 0;
        if (needs && !credentials_of(a->spec, a->secret, &credentials, err))
                return false;
        a->source = a->in.open(
                &(TailnetSourceInput){
                        .loop = a->in.loop,
                        .log = a->in.log,
                        .http = a->in.http,
                        .spec = a->spec,
                        .credentials = credentials.known,
                        .services = a->is_another ? NULL : a->last.services,
                        .devices = a->is_another ? NULL : a->last.devices,
                        .fn = on_answer,
                        .changed = on_changed,
                        .owner = a,
                },
                err);
        return a->source != NULL;
}

static void on_timer(Timer *t)
{
        Asker *a = CONTAINER_OF(t, Asker, timer);
        Err err = {0};
        a->asked = loop_now(a->in.loop);
        bool is_open = is_permitted(a, &err) && (a->source != NULL || open_source(a, &err));
        if (!is_open) {
                a->source = tailnet_source_close(a->source);
                fact_of(a)->polls++;
                fact_of(a)->last_attempt = loop_wall(a->in.loop);
                on_bad(a, &err, a->spec->poll_interval);
                a->in.fn(a);
                return;
        }
        fact_of(a)->next = (Wall){0};
        tailnet_source_poll(a->source);
}

Asker *asker_open(const AskerInput *in, const TailnetSpec *spec, const SecretSpec *secret)
{
        Asker *a = mem_new(sizeof *a);
        a->in = *in;
        a->spec = leaf_ref(spec);
        a->secret = leaf_ref(secret);
        chance_init(&a->chance, in->seed);
        timer_init(&a->timer, in->loop, on_timer);
        name_fact(a);
        schedule_at(a, loop_now(in->loop));
        return a;
}

/* Where an answer of the one says nothing of the other's services. */
static bool is_same_place(const TailnetSpec *a, const TailnetSpec *b)
{
        return a->type == b->type && str_eq(a->api_url, b->api_url) &&
               str_eq(a->tailnet, b->tailnet) && str_eq(a->file_path, b->file_path) &&
               str_eq(a->local_socket, b->local_socket);
}

void asker_update(Asker *a, const TailnetSpec *spec, const SecretSpec *secret)
{
        if (a->spec == spec && a->secret == secret)
                return;
        /* Who edits every second must not make us ask every second. */
        Mono now = loop_now(a->in.loop);
        Mono at = a->in.role == SOURCE_LOCAL ? trigger_time(a) : pace_edit(&a->pace, now);
        /* What another server said does not hold for this one. */
        if (str_eq(a->spec->api_url, spec->api_url) && mono_before(at, a->not_before))
                at = a->not_before;
        else
                a->not_before = (Mono){0};
        const TailnetSpec *old_spec = a->spec;
        const SecretSpec *old_secret = a->secret;
        a->spec = leaf_ref(spec);
        a->secret = leaf_ref(secret);
        a->source = tailnet_source_close(a->source);
        a->is_another |= !is_same_place(old_spec, spec);
        leaf_unref(old_spec);
        leaf_unref(old_secret);
        a->again = false;
        name_fact(a);
        schedule_at(a, at);
}

void asker_trigger(Asker *a)
{
        fact_of(a)->triggers++;
        if (a->source != NULL && tailnet_source_is_polling(a->source)) {
                a->again = true;
                return;
        }
        bring_forward(a);
}

bool asker_is_good(const Asker *a)
{
        return a->is_good;
}

const Err *asker_error(const Asker *a)
{
        static const Err none = {0};
        return a->is_good ? &none : &a->err;
}

const TailnetAnswer *asker_answer(const Asker *a)
{
        return &a->last;
}

const ToldClock *asker_clock(const Asker *a)
{
        return &a->clock;
}

Wall asker_last_sync(const Asker *a)
{
        return fact_of(a)->last_sync;
}

void *asker_owner(const Asker *a)
{
        return a->in.owner;
}

Asker *asker_close(Asker *a)
{
        if (a == NULL)
                return NULL;
        timer_clear(&a->timer);
        a->source = tailnet_source_close(a->source);
        *fact_of(a) = (SourceFact){0};
        table_unref(a->last.devices);
        table_unref(a->last.services);
        leaf_unref(a->spec);
        leaf_unref(a->secret);
        return mem_free(a);
}
