/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariants:
 * 1. `state` changes only when something changed that others see: devices, sync state, error. What
 * moves with every poll (last sync, counts) is a Fact. The number of good answers is the exception:
 * discovery's guard counts polls by it, so a good answer always makes a new state leaf.
 * 2. A failure keeps the devices Table of the last good answer.
 */
#include "source/tailnet_poll.h"

#include "base/mem.h"
#include "source/pace.h"

#include <stdio.h>
#include <stdlib.h>

struct TailnetPoll {
        TailnetPollInput in;
        const TailnetSpec *spec;
        const SecretSpec *secret; /* may be NULL */
        TailnetSource *source;    /* NULL: what the spec asks for cannot be opened; tried again */
        Timer timer;
        Chance chance;
        Pace pace;
        Mono not_before; /* a server that names a Retry-After is not asked earlier, whatever the
                            trigger */
        bool again;      /* a trigger came during a poll, which may have looked before it */
        const TailnetState *state;
};

static SourceFact *fact_of(TailnetPoll *p)
{
        TailnetFact *f = facts_tailnet(p->in.facts, p->spec->meta.key);
        INSIST(f != NULL); /* whoever opens polls keeps to FACTS_TAILNETS_MAX */
        f->sources[SOURCE_PRIMARY].name = p->spec->file_path.n > 0 ? "file" : "api";
        return &f->sources[SOURCE_PRIMARY];
}

static Str object_text(ObjectKey key, char *buf, size_t room)
{
        IGNORE(snprintf(buf, room, "%.*s/%.*s", STR_FMT(key.namespace), STR_FMT(key.name)),
               "cut at its size");
        return str_of(buf);
}

static void schedule_at(TailnetPoll *p, Mono at)
{
        Span in = mono_since(at, loop_now(p->in.loop));
        fact_of(p)->next = (Wall){loop_wall(p->in.loop).ms + in.ns / 1000000};
        timer_set(&p->timer, at);
}

static void schedule(TailnetPoll *p, Span in)
{
        schedule_at(p, mono_add(loop_now(p->in.loop), in));
}

/* The suffix that most full names of the tailnet's own devices end in is not guessed: the first one
 * by order is it. */
static Str found_suffix(const TailnetSpec *spec, const Table *devices)
{
        if (spec->magic_dns_suffix.n > 0)
                return spec->magic_dns_suffix;
        TABLE_FOREACH (Device, d, devices) {
                ptrdiff_t dot = str_find(d->name, '.');
                if (!d->external && dot > 0)
                        return str_sub(d->name, (size_t)dot + 1, d->name.n);
        }
        return (Str){0};
}

typedef struct Outcome {
        SyncState sync;
        const Table *devices; /* may be NULL */
        uint64_t poll;
        const Err *err; /* of a failure, or NULL */
} Outcome;

static void set_state(TailnetPoll *p, const Outcome *o)
{
        const TailnetSpec *spec = p->spec;
        Str suffix = found_suffix(spec, o->devices);
        Str reason = str_of(o->err != NULL ? o->err->reason : "");
        Str text = str_of(o->err != NULL ? o->err->text : "");
        size_t room = leaf_room_str(spec->meta.key.namespace) + leaf_room_str(spec->meta.key.name) +
                      leaf_room_str(suffix) + leaf_room_str(reason) + leaf_room_str(text);
        TailnetState *s = leaf_new(sizeof *s, room, tailnet_state_drop);
        s->key.namespace = leaf_str(&s->leaf, spec->meta.key.namespace);
        s->key.name = leaf_str(&s->leaf, spec->meta.key.name);
        s->sync = o->sync;
        s->last_sync = fact_of(p)->last_sync;
        s->error_reason = leaf_str(&s->leaf, reason);
        s->error_text = leaf_str(&s->leaf, text);
        s->n_devices = table_n(o->devices);
        s->poll = o->poll;
        s->suffix = leaf_str(&s->leaf, suffix);
        s->devices = table_ref(o->devices);
        leaf_unref(p->state);
        p->state = s;
}

static void on_good(TailnetPoll *p, const TailnetAnswer *a)
{
        SourceFact *f = fact_of(p);
        bool was_bad = f->failures_in_a_row > 0 || p->state == NULL;
        f->last_sync = loop_wall(p->in.loop);
        f->failures_in_a_row = 0;
        f->devices = a->devices->n;
        f->invalid = a->n_invalid;
        f->reason[0] = f->error[0] = '\0';
        bool changed = p->state == NULL || p->state->devices != a->devices;
        set_state(p, &(Outcome){SYNC_DONE, a->devices, (p->state != NULL ? p->state->poll : 0) + 1,
                                NULL});
        char name[600];
        if (was_bad || changed)
                log_info(p->in.log, "tailnet synced",
                         LOG_STR("tailnet", object_text(p->spec->meta.key, name, sizeof name)),
                         LOG_INT("devices", a->devices->n), LOG_INT("invalid", a->n_invalid),
                         LOG_INT("bytes", a->bytes));
        schedule(p, pace_interval(p->spec->poll_interval, &p->chance));
}

static void on_bad(TailnetPoll *p, const Err *err, Span retry_after)
{
        SourceFact *f = fact_of(p);
        f->failures++;
        f->failures_in_a_row++;
        IGNORE(snprintf(f->reason, sizeof f->reason, "%s", err->reason), "same size");
        IGNORE(snprintf(f->error, sizeof f->error, "%s", err->text), "same size");
        const Table *devices = p->state != NULL ? p->state->devices : NULL;
        Outcome o = {devices != NULL ? SYNC_STALE : SYNC_NEVER, devices,
                     p->state != NULL ? p->state->poll : 0, err};
        set_state(p, &o);
        Span wait = pace_backoff(f->failures_in_a_row, retry_after, &p->chance);
        char name[600];
        log_warn(p->in.log, "tailnet not synced, what was good stays in force",
                 LOG_STR("tailnet", object_text(p->spec->meta.key, name, sizeof name)),
                 LOG_CSTR("reason", err->reason), LOG_CSTR("error", err->text),
                 LOG_INT("failures", f->failures_in_a_row), LOG_INT("next_ms", wait.ns / 1000000));
        schedule(p, wait);
}

static void on_answer(TailnetSource *s, TailnetAnswer *a)
{
        TailnetPoll *p = tailnet_source_owner(s);
        SourceFact *f = fact_of(p);
        f->polls++;
        f->last_attempt = loop_wall(p->in.loop);
        f->seconds = a->seconds;
        f->bytes = a->bytes;
        if (a->devices != NULL)
                on_good(p, a);
        else
                on_bad(p, &a->err, a->retry_after);
        a->devices = table_unref(a->devices);
        p->not_before = mono_add(loop_now(p->in.loop), a->retry_after);
        if (p->again)
                tailnet_poll_trigger(p);
        p->again = false;
        p->in.fn(p);
}

static void on_changed(TailnetSource *s)
{
        tailnet_poll_trigger(tailnet_source_owner(s));
}

static bool open_source(TailnetPoll *p, Err *err)
{
        Secret *from_env = NULL;
        const Secret *key = p->secret != NULL ? p->secret->api_key : NULL;
        if (p->spec->credentials_env.n > 0) {
                const char *value = getenv(p->spec->credentials_env.p);
                if (value != NULL)
                        from_env = secret_new(str_of(value));
                key = from_env;
        }
        TailnetOpenFn *open = p->in.open != NULL ? p->in.open : tailnet_source_open;
        p->source = open(
                &(TailnetSourceInput){
                        .loop = p->in.loop,
                        .log = p->in.log,
                        .http = p->in.http,
                        .spec = p->spec,
                        .credentials = {.api_key = key},
                        .devices = p->state != NULL ? p->state->devices : NULL,
                        .fn = on_answer,
                        .changed = on_changed,
                        .owner = p,
                },
                err);
        secret_free(from_env);
        return p->source != NULL;
}

static void on_timer(Timer *t)
{
        TailnetPoll *p = CONTAINER_OF(t, TailnetPoll, timer);
        Err err = {0};
        if (p->source == NULL && !open_source(p, &err)) {
                fact_of(p)->polls++;
                fact_of(p)->last_attempt = loop_wall(p->in.loop);
                on_bad(p, &err, p->spec->poll_interval);
                p->in.fn(p);
                return;
        }
        fact_of(p)->next = (Wall){0};
        tailnet_source_poll(p->source);
}

TailnetPoll *tailnet_poll_open(const TailnetPollInput *in, const TailnetSpec *spec,
                               const SecretSpec *secret)
{
        TailnetPoll *p = mem_new(sizeof *p);
        p->in = *in;
        p->spec = leaf_ref(spec);
        p->secret = leaf_ref(secret);
        chance_init(&p->chance, in->seed);
        timer_init(&p->timer, in->loop, on_timer);
        timer_set(&p->timer, loop_now(in->loop));
        return p;
}

void *tailnet_poll_owner(const TailnetPoll *p)
{
        return p->in.owner;
}

void tailnet_poll_update(TailnetPoll *p, const TailnetSpec *spec, const SecretSpec *secret)
{
        if (p->spec == spec && p->secret == secret)
                return;
        Mono at = loop_now(p->in.loop);
        /* What another server said does not hold for this one. */
        if (str_eq(p->spec->api_url, spec->api_url) && mono_before(at, p->not_before))
                at = p->not_before;
        else
                p->not_before = (Mono){0};
        const TailnetSpec *old_spec = p->spec;
        const SecretSpec *old_secret = p->secret;
        p->spec = leaf_ref(spec);
        p->secret = leaf_ref(secret);
        leaf_unref(old_spec);
        leaf_unref(old_secret);
        p->source = tailnet_source_close(p->source);
        p->again = false;
        schedule_at(p, at);
}

void tailnet_poll_trigger(TailnetPoll *p)
{
        if (p->source != NULL && tailnet_source_is_polling(p->source)) {
                p->again = true;
                return;
        }
        Mono at = pace_trigger(&p->pace, loop_now(p->in.loop));
        if (mono_before(at, p->not_before))
                at = p->not_before;
        if (!timer_is_set(&p->timer) || mono_before(at, p->timer.at))
                schedule_at(p, at);
}

const TailnetSpec *tailnet_poll_spec(const TailnetPoll *p)
{
        return p->spec;
}

const TailnetState *tailnet_poll_state(const TailnetPoll *p)
{
        return p->state;
}

TailnetPoll *tailnet_poll_close(TailnetPoll *p)
{
        if (p == NULL)
                return NULL;
        timer_clear(&p->timer);
        p->source = tailnet_source_close(p->source);
        facts_forget_tailnet(p->in.facts, p->spec->meta.key);
        leaf_unref(p->state);
        leaf_unref(p->spec);
        leaf_unref(p->secret);
        return mem_free(p);
}
