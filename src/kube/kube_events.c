/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   told first ──> WAITS ──(one at a time)──> SENT ──(taken)──> STANDS ──(told again)──┐
 *                    ^                          │ └─(refused)─> forgotten              │
 *                    │                          └─(told again meanwhile)─┐             │
 *                    └──(there is room, and its object may)── HELD <─────┴─────────────┘
 *
 * Invariants:
 * 1. A Series is in `by_key` and on `all`, in the order of telling; on `waiting` or `held` as its
 *    state says; `sent` is the one that is SENT.
 * 2. `head` is there until the Event was created: its JSON without the last brace, so that a count
 *    that came meanwhile fits behind it.
 * 3. What is told first costs its object one allowance at once; a new count costs one when it is
 *    moved to `waiting`, and many tellings make one count.
 */
#include "kube/kube_events.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "proto/json_writer.h"

enum {
        HEAD_MAX = 16 << 10, /* each byte of the texts may be six in JSON */
        PATCH_MAX = 256,     /* count and time */
        NAME_MAX_BYTES = 253,
        NAME_HASH = 1 + 16,    /* ".0123456789abcdef" */
        COUNT_MAX = INT32_MAX, /* of series.count */
};

static const KubeResource events_resource = {"apis/events.k8s.io/v1", "events", "Event"};

typedef enum SeriesState {
        SERIES_STANDS, /* all that was told is written */
        SERIES_WAITS,
        SERIES_HELD,
        SERIES_SENT,
} SeriesState;

typedef struct Series {
        Link link, wait;
        SeriesState state;
        Digest key, object;
        Buf head;
        char ns[63 + 1], name[NAME_MAX_BYTES + 1];
        uint64_t count, sent, written; /* times told; of them in the call; at the server */
        Wall last;
        Mono told;
} Series;

/* How much may still be told of one object: a clock that runs ahead by an interval for each. */
typedef struct Noise {
        Link link;
        Digest object;
        Mono ahead;
} Noise;

struct KubeEvents {
        KubeEventsInput in;
        Buf controller, instance; /* owned; NUL-terminated */
        Map by_key, noise_by_object;
        Link all, waiting, held; /* of Series; the one told longest ago first */
        Link noises;             /* of Noise, likewise */
        Series *sent;            /* or NULL */
        KubeWrite *write;
        Post go;
        Timer allow; /* when the first of `held` may be sent */
        KubeEventsCounts n;
};

#define PREFIX "tailscale_gateway_kube_"
#define ROW(name, kind, member, help)                                      \
        {                                                                  \
                name, help, kind, offsetof(KubeEventsCounts, member), NULL \
        }

static const MetricDesc metrics[] = {
        ROW(PREFIX "events_told_total", METRIC_COUNTER, told,
            "What was to be told as a Kubernetes Event."),
        ROW(PREFIX "events_created_total", METRIC_COUNTER, created,
            "Kubernetes Events that were written."),
        ROW(PREFIX "events_counted_total", METRIC_COUNTER, counted,
            "Kubernetes Events that were given a new count."),
        ROW(PREFIX "events_limited_total", METRIC_COUNTER, limited,
            "Not told as a Kubernetes Event because there are too many of the object."),
        ROW(PREFIX "events_dropped_total", METRIC_COUNTER, dropped,
            "Not told as a Kubernetes Event because too many wait."),
        ROW(PREFIX "events_failures_total", METRIC_COUNTER, failed,
            "Kubernetes Events that the API server did not take."),
        ROW(PREFIX "events_waiting", METRIC_GAUGE, waiting,
            "Kubernetes Events that wait to be sent."),
};
const MetricTable kube_events_metrics = {metrics, LENGTH_OF(metrics)};

static Str digest_str(const Digest *d)
{
        return str_make(d->b, DIGEST_BYTES);
}

static Mono now_of(const KubeEvents *e)
{
        return loop_now(kube_api_loop(e->in.api));
}

/* --- how much noise --- */

static void forget_oldest(KubeEvents *e)
{
        Link *oldest = list_first(&e->noises);
        Noise *n;

        INSIST(oldest != NULL);
        n = CONTAINER_OF(oldest, Noise, link);
        map_remove(&e->noise_by_object, digest_str(&n->object));
        link_remove(&n->link);
        mem_free(n);
}

static Noise *noise_of(KubeEvents *e, const Digest *object)
{
        Noise *n = map_get(&e->noise_by_object, digest_str(object));

        if (n != NULL) {
                link_remove(&n->link);
        } else {
                if (e->noise_by_object.n == KUBE_EVENTS_OBJECTS_MAX)
                        forget_oldest(e);
                n = mem_new(sizeof(*n));
                n->object = *object;
                map_put(&e->noise_by_object, digest_str(&n->object), n);
        }
        list_add(&e->noises, &n->link);
        return n;
}

/* When it may be told of next; now or before: now. */
static Mono allowed_at(const Noise *n)
{
        return (Mono){n->ahead.ns - SPAN_S((KUBE_EVENTS_BURST - 1) * KUBE_EVENTS_APART_S).ns};
}

static bool take_allowance(KubeEvents *e, const Digest *object)
{
        Noise *n = noise_of(e, object);
        Mono now = now_of(e);

        if (mono_before(now, allowed_at(n)))
                return false;
        if (mono_before(n->ahead, now))
                n->ahead = now;
        n->ahead = mono_add(n->ahead, SPAN_S(KUBE_EVENTS_APART_S));
        return true;
}

/* --- what waits --- */

static void leave_line(KubeEvents *e, Series *s)
{
        if (s->state == SERIES_WAITS)
                e->n.waiting--;
        link_remove(&s->wait);
}

static void forget(KubeEvents *e, Series *s)
{
        leave_line(e, s);
        map_remove(&e->by_key, digest_str(&s->key));
        link_remove(&s->link);
        buf_done(&s->head);
        mem_free(s);
}

static void wait_in_line(KubeEvents *e, Series *s)
{
        leave_line(e, s);
        s->state = SERIES_WAITS;
        list_add(&e->waiting, &s->wait);
        e->n.waiting++;
        post_send(&e->go);
}

static bool is_full(const KubeEvents *e)
{
        return e->n.waiting >= KUBE_EVENTS_QUEUE_MAX;
}

/* Lets go on what may, and sets the timer for the first that may not. */
static void allow_held(KubeEvents *e)
{
        Mono first = {0};

        LIST_FOREACH (Series, s, &e->held, wait) {
                Mono at;

                /* Each that is sent asks again. */
                if (is_full(e))
                        break;
                if (take_allowance(e, &s->object)) {
                        wait_in_line(e, s);
                        continue;
                }
                at = allowed_at(noise_of(e, &s->object));
                if (first.ns == 0 || mono_before(at, first))
                        first = at;
        }
        timer_set(&e->allow, first);
}

static void on_allow(Timer *t)
{
        allow_held(CONTAINER_OF(t, KubeEvents, allow));
}

static void hold(KubeEvents *e, Series *s)
{
        s->state = SERIES_HELD;
        list_add(&e->held, &s->wait);
        allow_held(e);
}

/* --- the call --- */

static void add_series(const Series *s, JsonWriter *w)
{
        char time[WALL_TEXT];

        json_key_object_begin(w, STR("series"));
        json_key_u64(w, STR("count"), s->sent);
        json_key_str(w, STR("lastObservedTime"), str_of(wall_format_micro(s->last, time)));
        json_object_end(w);
}

static void make_body(Series *s, Buf *body)
{
        JsonWriter w;
        Buf series;

        s->sent = s->count;
        buf_init(&series, PATCH_MAX);
        json_writer_init(&w, &series);
        json_object_begin(&w);
        add_series(s, &w);
        json_object_end(&w);
        if (s->written > 0) {
                buf_add_str(body, buf_str(&series));
        } else if (s->sent > 1) {
                buf_add_str(body, buf_str(&s->head));
                buf_add_char(body, ',');
                buf_add_str(body, str_sub(buf_str(&series), 1, SIZE_MAX));
        } else {
                buf_add_str(body, buf_str(&s->head));
                buf_add_char(body, '}');
        }
        buf_done(&series);
}

static void on_done(KubeWrite *w, const KubeWriteResult *result);

static void send_next(KubeEvents *e)
{
        Series *s;
        Buf body;

        if (e->sent != NULL || list_is_empty(&e->waiting))
                return;
        s = CONTAINER_OF(list_first(&e->waiting), Series, wait);
        leave_line(e, s);
        s->state = SERIES_SENT;
        e->sent = s;
        buf_init(&body, HEAD_MAX + PATCH_MAX);
        make_body(s, &body);
        e->write = kube_write_open(&(KubeWriteInput){
                .api = e->in.api,
                .verb = s->written > 0 ? KUBE_VERB_MERGE : KUBE_VERB_CREATE,
                .resource = &events_resource,
                .ns = str_of(s->ns),
                .name = str_of(s->name),
                .field_manager = e->controller.p,
                .body = buf_str(&body),
                .brief = true,
                .tries = KUBE_EVENTS_TRIES,
                .seed = e->in.seed++,
                .on_done = on_done,
                .owner = e,
        });
        buf_done(&body);
}

static void on_go(Post *p)
{
        send_next(CONTAINER_OF(p, KubeEvents, go));
}

static void was_taken(KubeEvents *e, Series *s)
{
        if (s->written == 0)
                e->n.created++;
        else
                e->n.counted++;
        s->written = s->sent;
        buf_done(&s->head);
        s->state = SERIES_STANDS;
        if (s->count > s->written)
                hold(e, s);
}

static void on_done(KubeWrite *w, const KubeWriteResult *result)
{
        KubeEvents *e = kube_write_owner(w);
        Series *s = e->sent;
        Err err = result->err;
        /* A first try whose answer was lost. */
        bool is_there = s->written == 0 && result->tries > 1 && err.kind == ERR_CONFLICT;

        e->write = kube_write_close(e->write);
        e->sent = NULL;
        post_send(&e->go);
        if (err.kind == ERR_NONE || is_there) {
                was_taken(e, s);
                allow_held(e);
                return;
        }
        e->n.failed++;
        s->state = SERIES_STANDS;
        forget(e, s);
        allow_held(e);
        /* It may close. */
        if (e->in.failed != NULL)
                e->in.failed(e, &err);
}

/* --- what is told --- */

static void make_keys(const KubeNews *news, Digest *ret_object, Digest *ret_key)
{
        const KubeRegarding *r = &news->regarding;
        Digester *d = digester_new();

        digester_add(d, str_of(r->resource->api));
        digester_add(d, str_of(r->resource->kind));
        digester_add(d, r->ns);
        digester_add(d, r->name);
        digester_add(d, r->uid);
        *ret_object = digester_finish(d);
        d = digester_new();
        digester_add(d, digest_str(ret_object));
        digester_add_u64(d, news->is_warning);
        digester_add(d, news->reason);
        digester_add(d, news->action);
        digester_add(d, news->note);
        *ret_key = digester_finish(d);
}

/* Of that many bytes when it is written as JSON, where what is no UTF-8 becomes U+FFFD. */
static Str cut_text(Str s, size_t most)
{
        size_t at = 0, written = 0;

        while (at < s.n) {
                size_t n = str_utf8(str_sub(s, at, 4));
                size_t as = n > 0 ? n : strlen("\xef\xbf\xbd");

                if (written + as > most)
                        break;
                written += as;
                at += n > 0 ? n : 1;
        }
        return str_sub(s, 0, at);
}

/* "<name>.<hash>": of a long name what fits, so that the dot follows what it may. */
static void make_name(const KubeEvents *e, const KubeNews *news, Series *s)
{
        Digester *d = digester_new();
        char hash[DIGEST_HEX];
        Str name = str_sub(news->regarding.name, 0, NAME_MAX_BYTES - NAME_HASH);
        Digest of;

        digester_add(d, digest_str(&s->key));
        digester_add(d, buf_str(&e->instance));
        digester_add_u64(d, (uint64_t)s->last.ms);
        digester_add_u64(d, (uint64_t)s->told.ns);
        of = digester_finish(d);
        while (name.n > 0 && (name.p[name.n - 1] == '.' || name.p[name.n - 1] == '-'))
                name.n--;
        snprintf(s->name, sizeof(s->name), "%.*s.%s", STR_FMT(name), digest_hex(&of, 8, hash));
}

static void put_regarding(JsonWriter *w, const KubeRegarding *r)
{
        json_key_object_begin(w, STR("regarding"));
        json_key_str(w, STR("apiVersion"), str_of(kube_resource_version(r->resource)));
        json_key_str(w, STR("kind"), str_of(r->resource->kind));
        if (r->ns.n > 0)
                json_key_str(w, STR("namespace"), r->ns);
        json_key_str(w, STR("name"), r->name);
        if (r->uid.n > 0)
                json_key_str(w, STR("uid"), r->uid);
        json_object_end(w);
}

static void make_head(const KubeEvents *e, const KubeNews *news, Series *s)
{
        char time[WALL_TEXT];
        JsonWriter w;

        json_writer_init(&w, &s->head);
        json_object_begin(&w);
        json_key_str(&w, STR("apiVersion"), STR("events.k8s.io/v1"));
        json_key_str(&w, STR("kind"), STR("Event"));
        json_key_object_begin(&w, STR("metadata"));
        json_key_str(&w, STR("name"), str_of(s->name));
        json_key_str(&w, STR("namespace"), str_of(s->ns));
        json_object_end(&w);
        json_key_str(&w, STR("eventTime"), str_of(wall_format_micro(s->last, time)));
        json_key_str(&w, STR("reportingController"), str_of(e->controller.p));
        json_key_str(&w, STR("reportingInstance"), str_of(e->instance.p));
        json_key_str(&w, STR("action"), cut_text(news->action, KUBE_EVENTS_WORD_MAX));
        json_key_str(&w, STR("reason"), cut_text(news->reason, KUBE_EVENTS_WORD_MAX));
        put_regarding(&w, &news->regarding);
        json_key_str(&w, STR("note"), cut_text(news->note, KUBE_EVENTS_NOTE_MAX));
        json_key_str(&w, STR("type"), news->is_warning ? STR("Warning") : STR("Normal"));
        json_object_end(&w);
        if (s->head.n > 0)
                s->head.n--;
}

/* Room for one more: what was told longest ago, and is not about to be sent, is forgotten. */
static void make_room(KubeEvents *e)
{
        if (e->by_key.n < KUBE_EVENTS_SERIES_MAX)
                return;
        LIST_FOREACH (Series, s, &e->all, link) {
                if (s->state == SERIES_STANDS || s->state == SERIES_HELD) {
                        forget(e, s);
                        break;
                }
        }
}

static void begin_series(KubeEvents *e, const KubeNews *news, const Digest *object,
                         const Digest *key)
{
        Str ns = news->regarding.ns.n > 0 ? news->regarding.ns : STR("default");
        Series *s;

        if (is_full(e)) {
                e->n.dropped++;
                return;
        }
        if (!take_allowance(e, object)) {
                e->n.limited++;
                return;
        }
        make_room(e);
        s = mem_new(sizeof(*s));
        s->key = *key;
        s->object = *object;
        s->count = 1;
        s->last = loop_wall(kube_api_loop(e->in.api));
        s->told = now_of(e);
        snprintf(s->ns, sizeof(s->ns), "%.*s", STR_FMT(ns));
        make_name(e, news, s);
        buf_init(&s->head, HEAD_MAX);
        make_head(e, news, s);
        map_put(&e->by_key, digest_str(&s->key), s);
        list_add(&e->all, &s->link);
        wait_in_line(e, s);
}

void kube_events_tell(KubeEvents *e, const KubeNews *news)
{
        Digest object, key;
        Series *s;

        INSIST(news->reason.n > 0 && news->action.n > 0);
        e->n.told++;
        make_keys(news, &object, &key);
        s = map_get(&e->by_key, digest_str(&key));
        if (s != NULL && s->state == SERIES_STANDS &&
            mono_since(now_of(e), s->told).ns >= SPAN_S(KUBE_EVENTS_SERIES_S).ns) {
                forget(e, s);
                s = NULL;
        }
        if (s == NULL) {
                begin_series(e, news, &object, &key);
                return;
        }
        if (s->count < COUNT_MAX)
                s->count++;
        s->last = loop_wall(kube_api_loop(e->in.api));
        s->told = now_of(e);
        link_remove(&s->link);
        list_add(&e->all, &s->link);
        if (s->state == SERIES_STANDS)
                hold(e, s);
}

/* --- the whole --- */

KubeEvents *kube_events_open(const KubeEventsInput *in)
{
        KubeEvents *e = mem_new(sizeof(*e));
        Loop *loop = kube_api_loop(in->api);
        Str instance = in->instance.n > 0 ? in->instance : STR("unknown");

        e->in = *in;
        e->in.controller = NULL;
        e->in.instance = (Str){0};
        INSIST(strlen(in->controller) <= KUBE_EVENTS_WORD_MAX);
        buf_init(&e->controller, KUBE_EVENTS_WORD_MAX + 1);
        buf_add(&e->controller, in->controller, strlen(in->controller) + 1);
        buf_init(&e->instance, KUBE_EVENTS_WORD_MAX + 1);
        buf_add_str(&e->instance, cut_text(instance, KUBE_EVENTS_WORD_MAX));
        buf_add_char(&e->instance, '\0');
        map_init(&e->by_key);
        map_init(&e->noise_by_object);
        list_init(&e->all);
        list_init(&e->waiting);
        list_init(&e->held);
        list_init(&e->noises);
        post_init(&e->go, loop, on_go);
        timer_init(&e->allow, loop, on_allow);
        return e;
}

void *kube_events_owner(const KubeEvents *e)
{
        return e->in.owner;
}

const KubeEventsCounts *kube_events_counts(const KubeEvents *e)
{
        return &e->n;
}

KubeEvents *kube_events_close(KubeEvents *e)
{
        if (e == NULL)
                return NULL;
        e->write = kube_write_close(e->write);
        post_cancel(&e->go);
        timer_clear(&e->allow);
        LIST_FOREACH (Series, s, &e->all, link)
                forget(e, s);
        LIST_FOREACH (Noise, n, &e->noises, link)
                mem_free(n);
        map_done(&e->by_key);
        map_done(&e->noise_by_object);
        buf_done(&e->controller);
        buf_done(&e->instance);
        return mem_free(e);
}
