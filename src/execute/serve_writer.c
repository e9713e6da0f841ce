/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One Serving for each tailscaled that is wished for, or of which something is written down:
 *
 *   look ──GET──> step ──(nothing to change)──────────────> stands ──> look again later
 *                   └──(note it down)── POST, If-Match ──┬─> stands
 *                                                        └─(412)─> look, a few times at once
 *
 * 1. What is set was written down before; what is written down and does not stand is struck out
 *    after. So a crash leaves more written down than stands, never less.
 * 2. Nothing is posted without the ETag of what it was made of.
 * 3. A look begins only while nothing of that tailscaled is under way; a wish that comes meanwhile
 *    is looked at next.
 */
#include "execute/serve_writer.h"

#include "base/list.h"
#include "base/mem.h"
#include "execute/serve_record.h"
#include "io/file.h"
#include "tailnet/local_api.h"

#include <stdio.h>

#define SERVE_URL LOCAL_API_URL "serve-config"

typedef struct Serving {
        Link link; /* writer->servings */
        ServeWriter *writer;
        char *path; /* owned */
        HttpRequest *request;
        Timer timer;
        Arena arena; /* of the look under way: */
        ServeForwards wanted;
        ServeStep step;
        Buf next;
        bool is_stale; /* another wish has come since */
        unsigned races, failures;
        char reason[ERR_REASON_MAX]; /* of the last failure, as it was logged; or empty */
} Serving;

struct ServeWriter {
        ServeWriterInput in;
        ServeRecord *record;
        ServePlan plan;
        ServeFact *serves; /* owned; one of each item of the plan, in its order */
        Link servings;
        Post told;
        bool is_wished;     /* there is a plan */
        bool record_is_bad; /* the record could not be written, and that was logged */
};

/* ---- what is told ---- */

static void on_told(Post *p)
{
        ServeWriter *w = CONTAINER_OF(p, ServeWriter, told);

        w->in.on_facts(w->in.owner);
}

static bool is_same(const ServeFact *f, bool is_serving, const char *reason, Str text)
{
        return f->is_serving == is_serving && strcmp(f->reason, reason) == 0 &&
               str_eq(str_of(f->text), text);
}

static void tell(ServeWriter *w, ServeFact *f, bool is_serving, const char *reason, Str text)
{
        if (is_same(f, is_serving, reason, text))
                return;
        if (f->is_serving != is_serving || f->since.ms == 0)
                f->since = loop_wall(w->in.loop);
        f->is_serving = is_serving;
        snprintf(f->reason, sizeof(f->reason), "%s", reason);
        snprintf(f->text, sizeof(f->text), "%.*s", STR_FMT(text));
        post_send(&w->told);
}

/* `text` of all ports of the tailscaled. */
static void tell_all(const Serving *s, const char *reason, const char *text)
{
        ServeWriter *w = s->writer;

        for (size_t i = 0; i < w->plan.n; i++)
                if (w->plan.items[i].reason == NULL &&
                    str_eq(w->plan.items[i].socket, str_of(s->path)))
                        tell(w, &w->serves[i], false, reason, str_of(text));
}

static const ServeDecision *decision_at(const Serving *s, const ServeForward *f)
{
        for (size_t i = 0; i < s->wanted.n; i++)
                if (serve_forward_cmp(&s->wanted.at[i], f) == 0)
                        return &s->step.decisions[i];
        return NULL;
}

static void tell_port(const Serving *s, const ServeItem *item, ServeFact *f)
{
        const ServeDecision *d = decision_at(s, &item->forward);
        ServeWriter *w = s->writer;

        f->last = loop_wall(w->in.loop);
        if (d == NULL)
                tell(w, f, false, "TooManyPorts", STR("this tailscaled has too many already"));
        else if (d->verdict == SERVE_PORT_TAKEN)
                tell(w, f, false, "PortTaken", d->text);
        else if (d->verdict == SERVE_FUNNEL_ON)
                tell(w, f, false, "FunnelOn", d->text);
        else
                tell(w, f, true, "Serving", (Str){0});
}

/* All that was decided stands by now. */
static void tell_decided(const Serving *s)
{
        ServeWriter *w = s->writer;

        for (size_t i = 0; i < w->plan.n; i++)
                if (w->plan.items[i].reason == NULL &&
                    str_eq(w->plan.items[i].socket, str_of(s->path)))
                        tell_port(s, &w->plan.items[i], &w->serves[i]);
}

/* ---- what is written down ---- */

static void on_record(ServeWriter *w, bool ok, const Err *err)
{
        if (!ok && !w->record_is_bad)
                log_warn(w->in.log, "what is served cannot be written down",
                         LOG_CSTR("error", err->text));
        w->record_is_bad = !ok;
}

/* Of what is wanted those that nobody else's port stops; in the look's arena. */
static ServeForwards list_ours(Serving *s)
{
        ServeForward *at = arena_new_array(&s->arena, s->wanted.n + 1, sizeof(*at));
        size_t n = 0;

        for (size_t i = 0; i < s->wanted.n; i++) {
                ServeVerdict v = s->step.decisions[i].verdict;
                if (v == SERVE_STANDS || v == SERVE_SETS)
                        at[n++] = s->wanted.at[i];
        }
        return (ServeForwards){at, n};
}

/* Before a write: they are ours, besides what is. */
static void note_ours(Serving *s)
{
        Err err = {0};
        bool ok = serve_record_add(s->writer->record, str_of(s->path), list_ours(s), &err);

        on_record(s->writer, ok, &err);
}

/* After one: they stand, and nothing else of ours. */
static void strike_out(Serving *s)
{
        Err err = {0};
        bool ok = serve_record_set(s->writer->record, str_of(s->path), list_ours(s), &err);

        on_record(s->writer, ok, &err);
}

/* ---- a look ---- */

static void serving_free(Serving *s)
{
        http_request_close(s->request);
        timer_clear(&s->timer);
        arena_done(&s->arena);
        buf_done(&s->next);
        link_remove(&s->link);
        mem_free(s->path);
        mem_free(s);
}

/* Nothing is under way any more. */
static void end_look(Serving *s)
{
        s->request = http_request_close(s->request);
        s->wanted = (ServeForwards){0};
        arena_reset(&s->arena);
        buf_reset(&s->next);
}

static bool is_needed(const Serving *s)
{
        CLEANUP(arena_done) Arena a;

        arena_init(&a, 0);
        return strlist_has(s->writer->plan.sockets, str_of(s->path)) ||
               serve_record_at(s->writer->record, &a, str_of(s->path)).n > 0;
}

static void fail(Serving *s, const Err *err)
{
        Span pause = SPAN_S(s->failures < 6 ? 1U << s->failures : SERVE_BACKOFF_MAX_S);

        s->writer->in.facts->serve_counts.failures++;
        s->failures++;
        if (strcmp(s->reason, err->reason) != 0)
                log_warn(s->writer->in.log, "the tailnet's way in cannot be kept",
                         LOG_CSTR("socket", s->path), LOG_CSTR("reason", err->reason),
                         LOG_CSTR("error", err->text));
        snprintf(s->reason, sizeof(s->reason), "%s", err->reason);
        tell_all(s, err->reason, err->text);
        end_look(s);
        timer_set_in(&s->timer, s->is_stale ? SPAN_S(1) : pause);
        s->is_stale = false;
}

static void succeed(Serving *s)
{
        if (s->reason[0] != '\0')
                log_info(s->writer->in.log, "the tailnet's way in is kept again",
                         LOG_CSTR("socket", s->path));
        s->reason[0] = '\0';
        s->failures = s->races = 0;
        strike_out(s);
        if (!s->is_stale)
                tell_decided(s);
        end_look(s);
        if (s->is_stale)
                timer_set_in(&s->timer, SPAN_MS(0));
        else if (is_needed(s))
                timer_set_in(&s->timer, SPAN_S(SERVE_LOOK_S));
        else
                serving_free(s);
}

/* Somebody was faster: nothing is wrong yet. */
static void on_race(Serving *s)
{
        Err err = {0};

        s->writer->in.facts->serve_counts.conflicts++;
        if (++s->races > SERVE_RACES_MAX) {
                s->races = 0;
                err_set(&err, ERR_CONFLICT, "ChangedMeanwhile",
                        "%s: its serve configuration was another at each of %d attempts", s->path,
                        SERVE_RACES_MAX + 1);
                fail(s, &err);
                return;
        }
        end_look(s);
        timer_set_in(&s->timer, SPAN_MS(0));
}

static void on_written(HttpRequest *r, const HttpResult *result)
{
        Serving *s = http_request_owner(r);
        Err err = {0};

        if (result->status == 412) {
                on_race(s);
        } else if (!local_api_check(result, s->path, &err)) {
                fail(s, &err);
        } else {
                s->writer->in.facts->serve_counts.writes++;
                log_info(s->writer->in.log, "the tailnet's way in is set",
                         LOG_CSTR("socket", s->path), LOG_INT("ports", s->wanted.n),
                         LOG_INT("removed", s->step.n_removed));
                succeed(s);
        }
}

static void write_next(Serving *s, Str etag)
{
        Err err = {0};

        if (etag.n == 0 || s->next.failed) {
                err_set(&err, ERR_INVALID, "NotServeConfig", "%s: its serve configuration %s",
                        s->path, s->next.failed ? "would be too large" : "has no ETag");
                fail(s, &err);
                return;
        }
        note_ours(s);
        etag = arena_str(&s->arena, etag);
        http_request_close(s->request);
        s->request = http_request_open(s->writer->in.http,
                                       &(HttpRequestInput){
                                               .url = SERVE_URL,
                                               .method = "POST",
                                               .content_type = "application/json",
                                               .body = buf_str(&s->next),
                                               .if_match = etag,
                                               .unix_socket = s->path,
                                               .deadline = SPAN_S(SERVE_DEADLINE_S),
                                               .max_bytes = HTTP_CLIENT_ERROR_BODY_MAX,
                                               .on_done = on_written,
                                               .owner = s,
                                       });
}

static void on_read(HttpRequest *r, const HttpResult *result)
{
        Serving *s = http_request_owner(r);
        ServeWriter *w = s->writer;
        Err err = {0};
        const Tree *config;

        if (!local_api_check(result, s->path, &err)) {
                fail(s, &err);
                return;
        }
        w->in.facts->serve_counts.reads++;
        config = serve_config_read(&s->arena, result->body, &err);
        if (config == NULL) {
                err_prefix(&err, "%s", s->path);
                fail(s, &err);
                return;
        }
        s->wanted = serve_plan_forwards(&w->plan, &s->arena, str_of(s->path));
        serve_config_step(&s->arena, config, s->wanted,
                          serve_record_at(w->record, &s->arena, str_of(s->path)), &s->next,
                          &s->step);
        if (s->step.is_changed)
                write_next(s, result->etag);
        else
                succeed(s);
}

static void look(Serving *s)
{
        ServeWriter *w = s->writer;
        Err err = {0};

        timer_clear(&s->timer);
        s->is_stale = false;
        if (w->in.sockets_dir != NULL && !file_is_below(w->in.sockets_dir, s->path, &err)) {
                fail(s, &err);
                return;
        }
        s->request = http_request_open(w->in.http, &(HttpRequestInput){
                                                           .url = SERVE_URL,
                                                           .unix_socket = s->path,
                                                           .accept = "application/json",
                                                           .deadline = SPAN_S(SERVE_DEADLINE_S),
                                                           .max_bytes = SERVE_CONFIG_BYTES_MAX,
                                                           .on_done = on_read,
                                                           .owner = s,
                                                   });
}

static void on_timer(Timer *t)
{
        look(CONTAINER_OF(t, Serving, timer));
}

static void look_soon(Serving *s)
{
        s->failures = 0;
        if (s->request != NULL)
                s->is_stale = true;
        else
                timer_set_in(&s->timer, SPAN_MS(0));
}

/* ---- the plan ---- */

static void see(ServeWriter *w, Str socket)
{
        LIST_FOREACH (Serving, s, &w->servings, link) {
                if (str_eq(str_of(s->path), socket)) {
                        look_soon(s);
                        return;
                }
        }
        Serving *s = mem_new(sizeof(*s));
        s->writer = w;
        s->path = mem_new(socket.n + 1);
        memcpy(s->path, socket.p, socket.n);
        arena_init(&s->arena, 0);
        buf_init(&s->next, SERVE_CONFIG_BYTES_MAX);
        timer_init(&s->timer, w->in.loop, on_timer);
        list_add(&w->servings, &s->link);
        timer_set_in(&s->timer, SPAN_MS(0));
}

static bool items_same(const ServeItem *a, const ServeItem *b)
{
        return object_key_eq(a->gateway, b->gateway) && str_eq(a->tailnet, b->tailnet) &&
               str_eq(a->socket, b->socket) && serve_forward_cmp(&a->forward, &b->forward) == 0;
}

static bool reasons_same(const ServeItem *a, const ServeItem *b)
{
        return str_eq(str_of(a->reason), str_of(b->reason)) && str_eq(a->text, b->text);
}

static bool plans_same(const ServePlan *a, const ServePlan *b)
{
        bool same = a->n == b->n;

        for (size_t i = 0; same && i < a->n; i++)
                same = items_same(&a->items[i], &b->items[i]) &&
                       reasons_same(&a->items[i], &b->items[i]);
        return same;
}

static ServeFact fact_of(const ServeItem *item)
{
        ServeFact f = {.gateway = item->gateway,
                       .tailnet = item->tailnet,
                       .socket = item->socket,
                       .port = item->forward.port,
                       .target = item->forward.target};

        snprintf(f.reason, sizeof(f.reason), "%s", item->reason != NULL ? item->reason : "Pending");
        snprintf(f.text, sizeof(f.text), "%.*s", STR_FMT(item->text));
        return f;
}

/* Of a port that is asked for as before, what is known stays known. */
static void carry_over(ServeFact *f, const ServeItem *item, const ServeWriter *w)
{
        for (size_t i = 0; i < w->plan.n; i++) {
                const ServeFact *old = &w->serves[i];
                if (!items_same(item, &w->plan.items[i]) || !reasons_same(item, &w->plan.items[i]))
                        continue;
                f->is_serving = old->is_serving;
                f->since = old->since;
                f->last = old->last;
                memcpy(f->reason, old->reason, sizeof(f->reason));
                memcpy(f->text, old->text, sizeof(f->text));
                return;
        }
}

static void take_plan(ServeWriter *w, ServePlan *plan)
{
        ServeFact *serves = mem_new_array(plan->n + 1, sizeof(*serves));

        for (size_t i = 0; i < plan->n; i++) {
                serves[i] = fact_of(&plan->items[i]);
                carry_over(&serves[i], &plan->items[i], w);
        }
        mem_free(w->serves);
        serve_plan_done(&w->plan);
        w->serves = serves;
        w->plan = *plan;
        *plan = (ServePlan){0};
        w->in.facts->serves = w->serves;
        w->in.facts->n_serves = w->plan.n;
        post_send(&w->told);
}

void serve_writer_wish(ServeWriter *w, ServePlan *plan)
{
        if (w->is_wished && plans_same(&w->plan, plan)) {
                serve_plan_done(plan);
                return;
        }
        w->is_wished = true;
        take_plan(w, plan);
        serve_writer_look(w);
}

void serve_writer_look(ServeWriter *w)
{
        CLEANUP(arena_done) Arena a;

        if (!w->is_wished)
                return;
        arena_init(&a, 0);
        StrList known = serve_record_sockets(w->record, &a);
        for (size_t i = 0; i < w->plan.sockets.n; i++)
                see(w, w->plan.sockets.at[i]);
        for (size_t i = 0; i < known.n; i++)
                if (!strlist_has(w->plan.sockets, known.at[i]))
                        see(w, known.at[i]);
}

void serve_writer_rest(ServeWriter *w)
{
        LIST_FOREACH (Serving, s, &w->servings, link)
                serving_free(s);
        if (!w->is_wished)
                return;
        w->is_wished = false;
        ServePlan none = {0};
        take_plan(w, &none);
}

/* ---- start and end ---- */

ServeWriter *serve_writer_open(const ServeWriterInput *in)
{
        ServeWriter *w = mem_new(sizeof(*w));
        Err err = {0};

        w->in = *in;
        list_init(&w->servings);
        post_init(&w->told, in->loop, on_told);
        w->record = serve_record_open(in->dir, &err);
        if (err.kind != ERR_NONE)
                log_warn(in->log, "what was served before is not known",
                         LOG_CSTR("error", err.text));
        return w;
}

ServeWriter *serve_writer_close(ServeWriter *w)
{
        if (w == NULL)
                return NULL;
        LIST_FOREACH (Serving, s, &w->servings, link)
                serving_free(s);
        post_cancel(&w->told);
        w->in.facts->serves = NULL;
        w->in.facts->n_serves = 0;
        serve_plan_done(&w->plan);
        mem_free(w->serves);
        w->record = serve_record_close(w->record);
        return mem_free(w);
}
