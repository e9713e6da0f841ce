/* SPDX-License-Identifier: Apache-2.0 */
/*
 *            ┌─────────────────(410, refused, tries used up: after a delay)───────────────┐
 *            v                                                                             │
 *   open ─> STREAM ──bookmark that ends the list: gone, synced──> WATCH ──(end: a delay)───┤
 *            │  ^ └─(cut, fails: a delay)─┘                         ^ ^                    │
 *            │  └──────────────────┐                                │ └─(where it was)─────┘
 *            └─(not offered, silent, tries used up)─> PAGES ────────┘
 *                                     last page: gone, synced
 *
 * A streamed list is a watch that begins with all that is there. It is one call from the server's
 * memory, where pages are each a reading of its store, nothing of it can expire on the way, and the
 * watch behind it needs no second one. Of objects one at a time is in our memory either way.
 *
 * Bytes come inside libcurl and are put aside; a Post reads them, so that what is told is told from
 * the loop, straight from the parser. The end of a call reads what is left first.
 *
 * Invariants:
 * 1. `version` is that of the last thing told, or of the bookmark after it; a watch begins there.
 *    An event that is not understood does not move it, and leads to a list: resumed after, it would
 * be skipped.
 * 2. An entry's round is that of the last list, or running list, that had it. What has an older
 *    round when a list is whole is gone.
 * 3. While a list is streamed, `version` is empty: what came so far is no place to go on from.
 * 4. The owner may close inside any event: `inside` counts what is on the stack, the last one
 *    frees.
 */
#include "kube/kube_watch.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "kube/kube_delay.h"
#include "proto/json_stream.h"

enum {
        PATH_MAX_BYTES = HTTP_CLIENT_URL_MAX,
        PARTS = 2, /* of a list */
};

typedef struct Entry {
        uint64_t round;
        Str key; /* behind it */
        char uid[KUBE_UID_MAX + 1], version[KUBE_VERSION_MAX + 1];
        char text[]; /* of key */
} Entry;

struct KubeWatch {
        KubeWatchInput in;
        KubeApiHook hook;
        char *path; /* owned */
        Str keep[KUBE_KEEP_MAX + 1];
        JsonStreamPart parts[PARTS];
        KubeCall *call;
        Timer next, silence;
        Post pump;
        Buf bytes;        /* came, and are not read yet */
        JsonStream *list; /* of the page under way; NULL: none */
        KubeLines lines;
        Arena arena; /* of an event */
        Map entries;
        uint64_t round;
        char version[KUBE_VERSION_MAX + 1];      /* empty: list first */
        char page_version[KUBE_VERSION_MAX + 1]; /* of the list under way */
        char more[KUBE_CONTINUE_MAX + 1];        /* the next page; empty: the first */
        bool whole;    /* the list is asked for in one piece: its pages expired on the way */
        bool streams;  /* the call under way is a list so far */
        bool in_pages; /* the server offers no streamed list */
        bool synced;
        bool forgets; /* what is being told */
        bool expired; /* an ERROR event said so */
        bool refused; /* … something else that time does not mend */
        bool closing;
        unsigned inside;
        unsigned failures;  /* in a row */
        unsigned cut_lists; /* of them, streamed lists */
        uint64_t told;      /* events of this watch */
        Mono began, seen;
        uint64_t chance;
        KubeWatchCounts counts;
};

static void free_watch(KubeWatch *w);

static void leave(KubeWatch *w)
{
        w->inside--;
        if (w->closing && w->inside == 0)
                free_watch(w);
}

/* --- what is known --- */

static void remove_entry(KubeWatch *w, Entry *e)
{
        map_remove(&w->entries, e->key);
        w->in.events.gone(w, e->key);
        mem_free(e);
}

static Entry *new_entry(const KubeObjectId *id)
{
        size_t n = strlen(id->key);
        Entry *e = mem_new(sizeof(*e) + n + 1);

        memcpy(e->text, id->key, n);
        e->key = str_make(e->text, n);
        memcpy(e->uid, id->uid.p, id->uid.n);
        return e;
}

typedef void TellFn(KubeWatch *w, Str key, const Tree *object);

/* False where nothing may follow: closed, or a cap. */
static bool put(KubeWatch *w, const KubeObjectId *id, const Tree *object, TellFn *tell, Err *err)
{
        Entry *e = map_get(&w->entries, str_of(id->key));
        bool is_same;

        if (e != NULL && !str_eq(str_of(e->uid), id->uid)) {
                remove_entry(w, e);
                e = NULL;
        }
        if (e == NULL && w->entries.n == KUBE_OBJECTS_MAX)
                return err_set(err, ERR_LIMIT, "TooManyObjects", "%s: more than %d objects",
                               w->path, KUBE_OBJECTS_MAX);
        if (e == NULL) {
                e = new_entry(id);
                map_put(&w->entries, e->key, e);
        }
        e->round = w->round;
        is_same = str_eq(str_of(e->version), id->version);
        snprintf(e->version, sizeof(e->version), "%.*s", STR_FMT(id->version));
        w->forgets = false;
        if (!is_same && !w->closing)
                tell(w, e->key, object);
        if (w->forgets) {
                map_remove(&w->entries, e->key);
                mem_free(e);
        }
        return !w->closing || err_set(err, ERR_CONFLICT, "Closed", "closed meanwhile");
}

typedef struct Old {
        uint64_t round;
        Entry **at;
        size_t n;
} Old;

static void note_old(void *ctx, Str key, void *value)
{
        Old *old = ctx;
        Entry *e = value;

        (void)key;
        if (e->round != old->round)
                old->at[old->n++] = e;
}

static int cmp_entries(const void *a, const void *b)
{
        return str_cmp((*(Entry *const *)a)->key, (*(Entry *const *)b)->key);
}

/* Of all that the list did not have. */
static void remove_old(KubeWatch *w)
{
        CLEANUP(mem_cleanup) Entry **at = mem_new_array(w->entries.n + 1, sizeof(*at));
        Old old = {w->round, at, 0};

        map_each(&w->entries, note_old, &old);
        qsort(old.at, old.n, sizeof(*old.at), cmp_entries);
        for (size_t i = 0; i < old.n && !w->closing; i++)
                remove_entry(w, old.at[i]);
}

/* --- asking --- */

static bool on_body(KubeCall *c, Str chunk)
{
        KubeWatch *w = kube_call_owner(c);

        buf_add_str(&w->bytes, chunk);
        post_send(&w->pump);
        return !w->bytes.failed;
}

static void on_list_done(KubeCall *c, const KubeResult *result);
static void on_watch_done(KubeCall *c, const KubeResult *result);

static void stop_call(KubeWatch *w)
{
        w->call = kube_call_close(w->call);
        w->list = json_stream_free(w->list);
        timer_clear(&w->silence);
        post_cancel(&w->pump);
        buf_done(&w->bytes);
}

static void note_life(KubeWatch *w)
{
        timer_set_in(&w->silence, SPAN_S(w->streams ? KUBE_LIST_DEADLINE_S : KUBE_SILENCE_S));
}

static void ask(KubeWatch *w, const Buf *path, KubeDoneFn *done, Span deadline)
{
        INSIST(!path->failed);
        w->began = loop_now(kube_api_loop(w->in.api));
        w->call = kube_call_open(w->in.api,
                                 &(KubeCallInput){
                                         .path = path->p,
                                         .deadline = deadline,
                                         .max_bytes = deadline.ns > 0 ? KUBE_LIST_BYTES_MAX : 0,
                                         .on_body = on_body,
                                         .on_done = done,
                                         .owner = w,
                                 });
}

static void begin_path(const KubeWatch *w, Buf *path)
{
        buf_init(path, 2 * PATH_MAX_BYTES + 3 * KUBE_CONTINUE_MAX);
        buf_add_str(path, str_of(w->path));
}

static void ask_page(KubeWatch *w)
{
        CLEANUP(buf_done) Buf path;
        char limit[16];

        begin_path(w, &path);
        snprintf(limit, sizeof(limit), "%d", KUBE_PAGE);
        if (!w->whole)
                kube_query_add(&path, "limit", str_of(limit));
        if (w->more[0] != '\0')
                kube_query_add(&path, "continue", str_of(w->more));
        else
                w->round++;
        buf_add_char(&path, '\0');
        w->more[0] = w->page_version[0] = '\0';
        w->list = json_stream_new_parts(w->parts, PARTS, w);
        ask(w, &path, on_list_done, SPAN_S(KUBE_LIST_DEADLINE_S));
}

/* A watch from `version` on; where there is none, one that begins with all that is there. */
static void ask_watch(KubeWatch *w)
{
        CLEANUP(buf_done) Buf path;
        char seconds[16];
        Span more = kube_delay_jitter(&w->chance, SPAN_S(KUBE_WATCH_SECONDS));

        begin_path(w, &path);
        snprintf(seconds, sizeof(seconds), "%d", KUBE_WATCH_SECONDS + (int)span_seconds(more));
        kube_query_add(&path, "watch", STR("1"));
        if (w->streams) {
                kube_query_add(&path, "sendInitialEvents", STR("true"));
                kube_query_add(&path, "resourceVersionMatch", STR("NotOlderThan"));
        }
        kube_query_add(&path, "allowWatchBookmarks", STR("true"));
        if (!w->streams)
                kube_query_add(&path, "resourceVersion", str_of(w->version));
        kube_query_add(&path, "timeoutSeconds", str_of(seconds));
        buf_add_char(&path, '\0');
        buf_done(&w->lines.part);
        kube_lines_init(&w->lines);
        w->told = 0;
        w->expired = w->refused = false;
        w->counts.watches++;
        note_life(w);
        ask(w, &path, on_watch_done, (Span){0});
}

static void ask_list(KubeWatch *w)
{
        w->streams =
                !w->in_pages && w->more[0] == '\0' && !w->whole && w->cut_lists < KUBE_WATCH_TRIES;
        if (!w->streams) {
                ask_page(w);
                return;
        }
        w->round++;
        ask_watch(w);
}

static void on_next(Timer *t)
{
        KubeWatch *w = CONTAINER_OF(t, KubeWatch, next);

        w->streams = false;
        if (w->version[0] == '\0')
                ask_list(w);
        else
                ask_watch(w);
}

/* --- failures --- */

static void go_on_in(KubeWatch *w, Span delay)
{
        if (!w->closing)
                timer_set_in(&w->next, delay);
}

static void list_again(KubeWatch *w)
{
        w->version[0] = w->more[0] = '\0';
}

static Span delay_after(KubeWatch *w, const Err *err, Span at_least)
{
        Span delay = kube_delay_backoff(&w->chance, w->failures, at_least);
        Span half = SPAN_MS(w->in.missing_s * 500);

        if (err->kind != ERR_MISSING || half.ns == 0 || delay.ns <= 2 * half.ns ||
            at_least.ns > half.ns)
                return delay;
        return (Span){half.ns + kube_delay_jitter(&w->chance, half).ns};
}

/* Inside `inside`: the owner may close. */
static void fail(KubeWatch *w, const Err *err, Span at_least)
{
        w->failures++;
        w->counts.failures++;
        go_on_in(w, delay_after(w, err, at_least));
        if (w->in.events.failed != NULL && !w->closing)
                w->in.events.failed(w, err);
}

/* Once is soon mended. Where lists come whole and nothing can follow them, they are asked for less
 * and less: they are what costs a server most. */
static void note_expired(KubeWatch *w)
{
        Span jitter = kube_delay_jitter(&w->chance, SPAN_S(KUBE_RELIST_JITTER_S));

        w->failures++;
        w->counts.expired++;
        /* A streamed list has nothing that can expire; a server that says so is not at ease with
         * it. */
        if (w->streams)
                w->cut_lists = KUBE_WATCH_TRIES;
        list_again(w);
        go_on_in(w, kube_delay_backoff(&w->chance, w->failures, jitter));
}

/* --- the list --- */

static bool on_item(void *ctx, const Tree *item, Err *err)
{
        KubeWatch *w = ctx;
        KubeObjectId id;

        return kube_object_id(item, &id, err) && put(w, &id, item, w->in.events.put, err);
}

static bool on_large_item(void *ctx, const Tree *item, Err *err)
{
        KubeWatch *w = ctx;
        KubeObjectId id;

        return kube_object_id(item, &id, err) && put(w, &id, item, w->in.events.large, err);
}

static bool on_metadata(void *ctx, const Tree *meta, Err *err)
{
        KubeWatch *w = ctx;
        Str version = tree_get_str(meta, STR("resourceVersion"));
        Str more = tree_get_str(meta, STR("continue"));

        if (version.n > KUBE_VERSION_MAX || more.n > KUBE_CONTINUE_MAX ||
            !str_is_printable_utf8(version) || !str_is_printable_utf8(more))
                return err_set(err, ERR_INVALID, "BadList",
                               "%s: its metadata is not that of a list", w->path);
        snprintf(w->page_version, sizeof(w->page_version), "%.*s", STR_FMT(version));
        snprintf(w->more, sizeof(w->more), "%.*s", STR_FMT(more));
        return true;
}

/* What was read of a Secret stays in no buffer of ours. */
static void wipe(const KubeWatch *w, const Buf *b)
{
        if (w->in.is_secret && b->p != NULL)
                explicit_bzero(b->p, b->room);
}

static bool read_list(KubeWatch *w, Err *err)
{
        bool ok = json_stream_feed(w->list, buf_str(&w->bytes), err);

        wipe(w, &w->bytes);
        buf_reset(&w->bytes);
        return ok;
}

/* `version`: of the list. */
static void list_is_whole(KubeWatch *w, Str version)
{
        snprintf(w->version, sizeof(w->version), "%.*s", STR_FMT(version));
        w->whole = false;
        w->cut_lists = 0;
        w->counts.lists++;
        remove_old(w);
        if (w->closing)
                return;
        w->synced = true;
        if (w->call == NULL)
                go_on_in(w, (Span){0});
        w->in.events.synced(w);
}

static bool finish_page(KubeWatch *w, Err *err)
{
        if (!read_list(w, err) || !json_stream_finish(w->list, err))
                return false;
        return (w->page_version[0] != '\0' && w->page_version[0] != '0') ||
               err_set(err, ERR_INVALID, "BadList", "%s: a list without resourceVersion", w->path);
}

static void end_list(KubeWatch *w, const KubeResult *result)
{
        Err err = result->err;
        bool is_expired = result->status == 410 && !w->whole;
        bool ok = err.kind == ERR_NONE && finish_page(w, &err);

        if (w->closing)
                return;
        stop_call(w);
        if (ok) {
                w->seen = loop_now(kube_api_loop(w->in.api));
                if (w->more[0] != '\0')
                        ask_page(w);
                else
                        list_is_whole(w, str_of(w->page_version));
                return;
        }
        list_again(w);
        if (is_expired) {
                w->whole = true;
                note_expired(w);
                return;
        }
        fail(w, &err, result->retry_after);
}

static void on_list_done(KubeCall *c, const KubeResult *result)
{
        KubeWatch *w = kube_call_owner(c);

        w->inside++;
        end_list(w, result);
        leave(w);
}

/* --- the watch --- */

static void move_to(KubeWatch *w, Str version)
{
        if (w->closing)
                return;
        w->seen = loop_now(kube_api_loop(w->in.api));
        w->told++;
        if (!w->streams) {
                snprintf(w->version, sizeof(w->version), "%.*s", STR_FMT(version));
                w->failures = 0;
        }
        note_life(w);
}

static void end_stream(KubeWatch *w, Str version)
{
        w->streams = false;
        w->counts.streamed++;
        list_is_whole(w, version);
}

static bool refuse(KubeWatch *w, const KubeStatus *status, Err *err)
{
        char what[256];

        w->expired = status->code == 410;
        /* What an API server on an etcd too old for it says is a 500. */
        w->refused = status->code < 500 ? status->code != 408 && status->code != 429
                                        : status->code <= 501;
        snprintf(what, sizeof(what), "WATCH %.200s", w->path);
        return kube_status_err(status, status->code, what, err);
}

static bool take(KubeWatch *w, const KubeEvent *event, TellFn *tell, Err *err)
{
        unsigned failures = w->failures;
        bool ends_list = w->streams && event->ends_list;
        Entry *e;

        switch (event->type) {
        case KUBE_EVENT_ERROR:
                return refuse(w, &event->status, err);
        case KUBE_EVENT_BOOKMARK:
                w->counts.bookmarks++;
                if (ends_list)
                        end_stream(w, event->id.version);
                break;
        case KUBE_EVENT_GONE:
                w->counts.events++;
                e = map_get(&w->entries, str_of(event->id.key));
                if (e != NULL)
                        remove_entry(w, e);
                break;
        case KUBE_EVENT_PUT:
                w->counts.events++;
                if (!put(w, &event->id, event->object, tell, err))
                        return false;
                break;
        }
        move_to(w, event->id.version);
        /* What follows a list is what shows that it was of use. */
        if (ends_list)
                w->failures = failures;
        return !w->closing || err_set(err, ERR_CONFLICT, "Closed", "closed meanwhile");
}

/* A list that is streamed may need much at once, and the watch behind it little. */
static void forget_bytes(KubeWatch *w)
{
        wipe(w, &w->bytes);
        if (w->lines.given || w->lines.part.n == 0)
                wipe(w, &w->lines.part);
        buf_reset(&w->bytes);
        if (w->bytes.room > KUBE_WATCH_ROOM)
                buf_done(&w->bytes);
        if (w->lines.part.room > KUBE_WATCH_ROOM && (w->lines.given || w->lines.part.n == 0)) {
                buf_done(&w->lines.part);
                kube_lines_init(&w->lines);
        }
        if (w->arena.total > KUBE_WATCH_ROOM)
                arena_done(&w->arena);
}

/* What cannot be read for its size alone is told all the same, where somebody listens. */
static bool read_event(KubeWatch *w, Str line, Err *err)
{
        KubeEvent event;
        TellFn *tell = w->in.events.put;
        Err why = {0};

        arena_reset(&w->arena);
        if (!kube_event_read(line, &w->arena, &event, &why)) {
                arena_reset(&w->arena);
                tell = why.kind == ERR_LIMIT ? w->in.events.large : NULL;
                if (tell == NULL || !kube_event_read_large(line, &w->arena, &event, NULL)) {
                        list_again(w);
                        *err = why;
                        return false;
                }
        }
        return take(w, &event, tell, err);
}

static bool read_events(KubeWatch *w, Err *err)
{
        Str bytes = buf_str(&w->bytes), line;
        bool ok = true;

        while (ok && kube_lines_next(&w->lines, &bytes, &line))
                ok = read_event(w, line, err);
        if (ok && w->lines.part.failed) {
                list_again(w);
                ok = err_set(err, ERR_LIMIT, "TooLarge", "%s: an event above %d MiB", w->path,
                             KUBE_EVENT_BYTES_MAX >> 20);
        }
        forget_bytes(w);
        return ok;
}

/* One that lasted, or told something, is simply over. */
static bool was_lively(const KubeWatch *w)
{
        Span lasted = mono_since(loop_now(kube_api_loop(w->in.api)), w->began);

        return w->told > 0 || lasted.ns >= SPAN_S(KUBE_WATCH_SHORT_S).ns;
}

/* 422 says a server that knows no streamed lists, or not for this kind. */
static bool is_not_offered(const KubeWatch *w, unsigned status)
{
        return w->refused || status == 400 || status == 405 || status == 422 || status == 501;
}

/* Before it was whole. */
static void list_ended(KubeWatch *w, const Err *err, unsigned status, Span retry_after)
{
        Err shown = *err;

        if (is_not_offered(w, status)) {
                w->in_pages = true;
                go_on_in(w, (Span){0});
                return;
        }
        if (shown.kind == ERR_NONE)
                err_set(&shown, ERR_TRANSIENT, "WatchEnded",
                        "%s: the watch ended before the list was whole", w->path);
        w->cut_lists++;
        fail(w, &shown, retry_after);
}

/* `err`: why; ERR_NONE: the server ended it. `status`: 0 where it never answered. */
static void watch_ended(KubeWatch *w, const Err *err, unsigned status, Span retry_after)
{
        bool was_cut = status == 200 && err->kind == ERR_TRANSIENT && w->version[0] != '\0';
        Err shown = *err;

        if (w->expired || status == 410) {
                note_expired(w);
                return;
        }
        if (w->streams) {
                list_ended(w, err, status, retry_after);
                return;
        }
        if ((err->kind == ERR_NONE || was_cut) && was_lively(w)) {
                w->failures = 0;
                go_on_in(w, kube_delay_jitter(&w->chance, SPAN_MS(500)));
                return;
        }
        if (shown.kind == ERR_NONE)
                err_set(&shown, ERR_TRANSIENT, "WatchEnded", "%s: the watch ended at once",
                        w->path);
        /* Where the server is away, what is known of it stays; it may be back as it was. */
        if (status != 0 && (shown.kind != ERR_TRANSIENT || w->failures + 1 >= KUBE_WATCH_TRIES))
                list_again(w);
        fail(w, &shown, retry_after);
}

static void on_watch_done(KubeCall *c, const KubeResult *result)
{
        KubeWatch *w = kube_call_owner(c);
        Err err = {0};

        w->inside++;
        if (w->bytes.n == 0 || read_events(w, &err))
                err = result->err;
        if (!w->closing) {
                stop_call(w);
                watch_ended(w, &err, result->status, result->retry_after);
        }
        leave(w);
}

static void on_silence(Timer *t)
{
        KubeWatch *w = CONTAINER_OF(t, KubeWatch, silence);
        Err err = {0};

        w->inside++;
        w->counts.silences++;
        err_set(&err, ERR_TRANSIENT, "WatchSilent", "%s: no word for %d s", w->path,
                w->streams ? KUBE_LIST_DEADLINE_S : KUBE_SILENCE_S);
        /* That knows nothing of streamed lists, and passed over what was asked. */
        w->in_pages = w->in_pages || w->streams;
        stop_call(w);
        if (w->failures + 1 >= KUBE_WATCH_TRIES)
                list_again(w);
        fail(w, &err, (Span){0});
        leave(w);
}

static void on_pump(Post *p)
{
        KubeWatch *w = CONTAINER_OF(p, KubeWatch, pump);
        Err err = {0};
        bool is_list = w->list != NULL;
        bool ok;

        w->inside++;
        ok = is_list ? read_list(w, &err) : read_events(w, &err);
        if (!ok && !w->closing) {
                stop_call(w);
                if (is_list) {
                        list_again(w);
                        fail(w, &err, (Span){0});
                } else {
                        watch_ended(w, &err, 200, (Span){0});
                }
        }
        leave(w);
}

/* Of another server nothing is known, and its versions are its own; what was told stays until its
 * list is whole. Of the same one we are another from now on. */
static void on_update(KubeApiHook *h, bool moved)
{
        KubeWatch *w = CONTAINER_OF(h, KubeWatch, hook);

        stop_call(w);
        w->failures = w->cut_lists = 0;
        if (moved) {
                list_again(w);
                w->in_pages = w->whole = false;
        }
        go_on_in(w, kube_delay_jitter(&w->chance, SPAN_MS(500)));
}

/* --- the whole --- */

KubeWatch *kube_watch_open(const KubeWatchInput *in)
{
        KubeWatch *w = mem_new(sizeof(*w));
        Loop *loop = kube_api_loop(in->api);
        size_t n = strlen(in->path);

        INSIST(in->keep.n <= KUBE_KEEP_MAX && n < PATH_MAX_BYTES / 2);
        w->in = *in;
        w->path = mem_new(n + 1);
        memcpy(w->path, in->path, n);
        w->chance = in->seed;
        w->keep[0] = STR("metadata");
        for (size_t i = 0; i < in->keep.n; i++)
                w->keep[i + 1] = in->keep.at[i];
        w->parts[0] = (JsonStreamPart){
                .name = STR("metadata"), .take = JSON_STREAM_WHOLE, .on_element = on_metadata};
        w->parts[1] = (JsonStreamPart){
                .name = STR("items"), .take = JSON_STREAM_ELEMENTS_OR_NULL, .on_element = on_item};
        w->parts[1].max = KUBE_EVENT_BYTES_MAX;
        w->parts[1].core = STR("metadata");
        w->parts[1].core_keep = kube_event_core();
        w->parts[1].on_large = in->events.large != NULL ? on_large_item : NULL;
        if (in->keep.n > 0)
                w->parts[1].keep = (StrList){w->keep, in->keep.n + 1};
        timer_init(&w->next, loop, on_next);
        timer_init(&w->silence, loop, on_silence);
        post_init(&w->pump, loop, on_pump);
        buf_init(&w->bytes, KUBE_WATCH_BYTES_MAX);
        kube_lines_init(&w->lines);
        arena_init(&w->arena, 0);
        map_init(&w->entries);
        kube_api_hook_add(in->api, &w->hook, on_update);
        ask_list(w);
        return w;
}

static void free_entry(void *ctx, Str key, void *value)
{
        (void)ctx;
        (void)key;
        mem_free(value);
}

static void free_watch(KubeWatch *w)
{
        json_stream_free(w->list);
        map_each(&w->entries, free_entry, NULL);
        map_done(&w->entries);
        buf_done(&w->bytes);
        buf_done(&w->lines.part);
        arena_done(&w->arena);
        mem_free(w->path);
        mem_free(w);
}

KubeWatch *kube_watch_close(KubeWatch *w)
{
        if (w == NULL)
                return NULL;
        INSIST(!w->closing);
        w->closing = true;
        kube_api_hook_remove(&w->hook);
        w->call = kube_call_close(w->call);
        timer_clear(&w->next);
        timer_clear(&w->silence);
        post_cancel(&w->pump);
        if (w->inside == 0)
                free_watch(w);
        return NULL;
}

void *kube_watch_owner(const KubeWatch *w)
{
        return w->in.owner;
}

void kube_watch_forget(KubeWatch *w)
{
        w->forgets = true;
}

bool kube_watch_is_synced(const KubeWatch *w)
{
        return w->synced;
}

Mono kube_watch_seen(const KubeWatch *w)
{
        return w->seen;
}

size_t kube_watch_objects(const KubeWatch *w)
{
        return w->entries.n;
}

KubeWatchCounts kube_watch_counts(const KubeWatch *w)
{
        KubeWatchCounts n = w->counts;

        n.objects = (int64_t)w->entries.n;
        n.synced = w->synced;
        return n;
}

#define PREFIX "tailscale_gateway_kube_"
#define ROW(name, kind, member, help)                                     \
        {                                                                 \
                name, help, kind, offsetof(KubeWatchCounts, member), NULL \
        }

static const MetricDesc metrics[] = {
        ROW(PREFIX "watch_lists_total", METRIC_COUNTER, lists, "Lists of a kind that came whole."),
        ROW(PREFIX "watch_lists_streamed_total", METRIC_COUNTER, streamed,
            "Lists of a kind that came whole, and not in pages."),
        ROW(PREFIX "watch_watches_total", METRIC_COUNTER, watches,
            "Watches of a kind that were asked for."),
        ROW(PREFIX "watch_events_total", METRIC_COUNTER, events,
            "Changes of a kind that were told by a watch."),
        ROW(PREFIX "watch_bookmarks_total", METRIC_COUNTER, bookmarks, "Bookmarks of a watch."),
        ROW(PREFIX "watch_expired_total", METRIC_COUNTER, expired,
            "Times that a watch or page was too old to go on, and a list followed."),
        ROW(PREFIX "watch_silences_total", METRIC_COUNTER, silences,
            "Watches given up because nothing was heard of them."),
        ROW(PREFIX "watch_failures_total", METRIC_COUNTER, failures,
            "Lists and watches of a kind that failed."),
        ROW(PREFIX "watch_objects", METRIC_GAUGE, objects, "Objects of a kind that are known."),
        ROW(PREFIX "watch_synced", METRIC_GAUGE, synced,
            "1 where all objects of a kind were listed once."),
};
const MetricTable kube_watch_metrics = {metrics, LENGTH_OF(metrics)};
