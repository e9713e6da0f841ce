/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "kube/kube_test_world.h"

/* In the order in which they are looked for; all else is the list in one piece. */
enum {
        STREAM, /* refused, so that it is listed in pages, unless a test says otherwise */
        WATCH,
        MORE, /* a further page */
        PAGE, /* the first one */
};

typedef enum CloseIn {
        CLOSE_NOWHERE,
        CLOSE_IN_PUT,
        CLOSE_IN_GONE,
        CLOSE_IN_SYNCED,
        CLOSE_IN_FAILED,
        CLOSE_IN_LARGE,
        CLOSE_PLACES,
} CloseIn;

typedef struct Fixture {
        KubeWorld w;
        KubeWatch *watch;
        Buf told; /* "+ns/a=1 -ns/a * !Reason " */
        CloseIn close_in;
        bool forgets; /* whatever it is told */
        unsigned missing_s;
        size_t n_told, n_synced, n_failed;
} Fixture;

#define META(name, uid, version)                                                   \
        "{\"metadata\":{\"namespace\":\"ns\",\"name\":\"" name "\",\"uid\":\"" uid \
        "\",\"resourceVersion\":\"" version "\"},\"spec\":1,\"status\":2}"
#define LIST(version, more, items)                                                     \
        KUBE_OK("{\"kind\":\"ThingList\",\"metadata\":{\"resourceVersion\":\"" version \
                "\",\"continue\":\"" more "\"},\"items\":[" items "]}")
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define STATUS(code, reason) \
        "{\"kind\":\"Status\",\"reason\":\"" reason "\",\"message\":\"m\",\"code\":" #code "}"
#define OPEN "HTTP/1.1 200 OK\r\n\r\n"

static void told(Fixture *f, CloseIn where, const char *fmt, ...) PRINTF(3, 4);

static void told(Fixture *f, CloseIn where, const char *fmt, ...)
{
        va_list ap;

        assert_non_null(f->watch);
        va_start(ap, fmt);
        buf_vprintf(&f->told, fmt, ap);
        va_end(ap);
        f->n_told++;
        if (f->close_in == where)
                f->watch = kube_watch_close(f->watch);
}

static void on_put(KubeWatch *w, Str key, const Tree *object)
{
        const Tree *meta = tree_get(object, STR("metadata"));

        if (((Fixture *)kube_watch_owner(w))->forgets)
                kube_watch_forget(w);
        told(kube_watch_owner(w), CLOSE_IN_PUT, "+%.*s=%.*s%s ", STR_FMT(key),
             STR_FMT(tree_get_str(meta, STR("resourceVersion"))),
             tree_get(object, STR("status")) == NULL ? "" : "s");
}

static void on_gone(KubeWatch *w, Str key)
{
        told(kube_watch_owner(w), CLOSE_IN_GONE, "-%.*s ", STR_FMT(key));
}

static void on_synced(KubeWatch *w)
{
        Fixture *f = kube_watch_owner(w);

        assert_true(kube_watch_is_synced(w));
        f->n_synced++;
        told(f, CLOSE_IN_SYNCED, "* ");
}

static void on_failed(KubeWatch *w, const Err *err)
{
        Fixture *f = kube_watch_owner(w);

        f->n_failed++;
        told(f, CLOSE_IN_FAILED, "!%s ", err->reason);
}

static void on_large(KubeWatch *w, Str key, const Tree *object)
{
        const Tree *meta = tree_get(object, STR("metadata"));

        assert_int_equal(object->n, 1);
        assert_null(tree_get(meta, STR("labels")));
        told(kube_watch_owner(w), CLOSE_IN_LARGE, "?%.*s=%.*s,%.*s ", STR_FMT(key),
             STR_FMT(tree_get_str(meta, STR("resourceVersion"))),
             STR_FMT(tree_get_str(meta, STR("generation"))));
}

static int setup(void **state)
{
        static const char *const targets[] = {
                "/api/v1/things?watch=1&sendInitialEvents=true&", "/api/v1/things?watch=1",
                "/api/v1/things?limit=500&continue=", "/api/v1/things?limit=500"};
        Fixture *f = mem_new(sizeof(*f));

        kube_world_init(&f->w, "{token: abc}", 1000, 1000);
        buf_init(&f->told, 64 << 10);
        for (size_t i = 0; i < LENGTH_OF(targets); i++)
                f->w.server.paths[i] =
                        (ScriptPath){targets[i], KUBE_SAYS("422 No", "no"), SCRIPT_CLOSE, 0};
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        kube_watch_close(f->watch);
        kube_world_done(&f->w);
        buf_done(&f->told);
        mem_free(f);
        return 0;
}

static ScriptPath *path(Fixture *f, size_t i)
{
        return &f->w.server.paths[i];
}

static void answers(Fixture *f, size_t i, const char *answer)
{
        path(f, i)->answer = answer;
        path(f, i)->end = i <= WATCH && strcmp(answer, OPEN) == 0 ? SCRIPT_STALL : SCRIPT_CLOSE;
}

static void begin(Fixture *f)
{
        static const Str keep[] = {STR_INIT("spec")};
        KubeWatchInput in = {.api = f->w.api,
                             .path = "/api/v1/things",
                             .keep = {keep, 1},
                             .events = {on_put, on_gone, on_synced, on_failed, on_large},
                             .missing_s = f->missing_s,
                             .seed = 7,
                             .owner = f};

        f->watch = kube_watch_open(&in);
        assert_int_equal(f->n_told, 0);
        assert_false(kube_watch_is_synced(f->watch));
}

static void turn_until(Fixture *f, const size_t *n, size_t to)
{
        for (int i = 0; i < KUBE_TURNS_MAX && *n < to; i++) {
                loop_turn(f->w.loop, SPAN_MS(2));
                test_clock_advance(&f->w.time, SPAN_MS(20));
        }
        assert_true(*n >= to);
}

/* What was told since the last time. */
static void was_told(Fixture *f, const char *want)
{
        char got[4096];

        snprintf(got, sizeof(got), "%.*s", STR_FMT(buf_str(&f->told)));
        assert_string_equal(got, want);
        buf_reset(&f->told);
}

/* Listed, and the watch stands. */
static void reach_watch(Fixture *f)
{
        answers(f, PAGE, LIST("10", "", META("a", "u1", "1") "," META("b", "u2", "2")));
        answers(f, WATCH, OPEN);
        begin(f);
        turn_until(f, &path(f, WATCH)->n_requests, 1);
        kube_turns(&f->w, 5);
}

static void push_to(Fixture *f, size_t i, const char *bytes)
{
        assert_int_equal(script_server_push(&f->w.server, path(f, i), str_of(bytes)), 1);
}

static void push(Fixture *f, const char *bytes)
{
        push_to(f, WATCH, bytes);
}

static bool was_asked(const Fixture *f, const char *what)
{
        return str_find_str(buf_str(&f->w.server.request), str_of(what)) >= 0;
}

static void lists_come_in_pages_and_then_events(void **state)
{
        Fixture *f = *state;

        answers(f, PAGE, LIST("9", "next page", META("a", "u1", "1")));
        answers(f, MORE, LIST("10", "", META("b", "u2", "2")));
        answers(f, WATCH, OPEN);
        begin(f);
        turn_until(f, &path(f, MORE)->n_requests, 1);
        assert_true(was_asked(f, "?limit=500&continue=next%20page HTTP"));
        turn_until(f, &path(f, WATCH)->n_requests, 1);
        was_told(f, "+ns/a=1 +ns/b=2 * ");
        assert_true(was_asked(f, "&allowWatchBookmarks=true&resourceVersion=10&timeoutSeconds="));
        kube_turns(&f->w, 5);
        push(f, EVENT("ADDED", META("c", "u3", "11")) "{\"type\":\"MODIFIED\",\"obj");
        turn_until(f, &f->n_told, 4);
        push(f, "ect\":" META("a", "u1", "12") "}\n" EVENT("DELETED", META("b", "u2", "13")));
        turn_until(f, &f->n_told, 6);
        was_told(f, "+ns/c=11s +ns/a=12s -ns/b ");
        assert_int_equal(kube_watch_objects(f->watch), 2);
        assert_int_equal(kube_watch_counts(f->watch).events, 3);
}

static void what_is_forgotten_takes_no_place_and_never_went(void **state)
{
        Fixture *f = *state;

        f->forgets = true;
        reach_watch(f);
        was_told(f, "+ns/a=1 +ns/b=2 * ");
        assert_int_equal(kube_watch_objects(f->watch), 0);
        f->forgets = false;
        push(f, EVENT("DELETED", META("a", "u1", "11")) EVENT("MODIFIED", META("b", "u2", "12")));
        turn_until(f, &f->n_told, 4);
        was_told(f, "+ns/b=12s ");
        assert_int_equal(kube_watch_objects(f->watch), 1);
        /* Also where the watch is closed at once. */
        f->forgets = true;
        f->close_in = CLOSE_IN_PUT;
        push(f, EVENT("MODIFIED", META("b", "u2", "13")));
        turn_until(f, &f->n_told, 5);
        assert_null(f->watch);
        was_told(f, "+ns/b=13s ");
}

static void a_watch_goes_on_where_it_was(void **state)
{
        Fixture *f = *state;

        reach_watch(f);
        was_told(f, "+ns/a=1 +ns/b=2 * ");
        push(f,
             EVENT("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"77\"}}") "{\"type\":\"ADDED\","
                                                                              "\"object\":{\"meta");
        kube_turns(&f->w, 10);
        script_server_drop(&f->w.server, path(f, WATCH));
        turn_until(f, &path(f, WATCH)->n_requests, 2);
        assert_true(was_asked(f, "&resourceVersion=77&"));
        kube_turns(&f->w, 5);
        /* What is told again is not told again. */
        push(f, EVENT("ADDED", META("a", "u1", "1")) EVENT("ADDED", META("b", "u2", "78")));
        turn_until(f, &f->n_told, 4);
        was_told(f, "+ns/b=78s ");
        assert_int_equal(path(f, PAGE)->n_requests, 1);
        assert_int_equal(f->n_failed, 0);
}

/* Gone on the way: first what is there, then what is not, by name; a new one of an old name is one
 * that went and one that came. */
static void an_expired_watch_lists_again(void **state)
{
        static const char *const ways[] = {
                OPEN EVENT("ERROR", STATUS(410, "Expired")),
                KUBE_SAYS("410 Gone", STATUS(410, "Gone")),
        };
        Fixture *f = *state;

        for (size_t i = 0; i < LENGTH_OF(ways); i++) {
                answers(f, PAGE,
                        LIST("10", "",
                             META("a", "u1", "1") "," META("b", "u2", "2") "," META(
                                     "c", "u3", "3") "," META("d", "u4", "4")));
                answers(f, WATCH, ways[i]);
                begin(f);
                for (int k = 0; k < KUBE_TURNS_MAX && kube_watch_counts(f->watch).expired == 0; k++)
                        loop_turn(f->w.loop, SPAN_MS(2));
                answers(f, PAGE, LIST("20", "", META("b", "u9", "15") "," META("c", "u3", "3")));
                answers(f, WATCH, OPEN);
                turn_until(f, &f->n_synced, 2);
                was_told(f, "+ns/a=1 +ns/b=2 +ns/c=3 +ns/d=4 * -ns/b +ns/b=15 -ns/a -ns/d * ");
                turn_until(f, &path(f, WATCH)->n_requests, 2);
                assert_true(was_asked(f, "&resourceVersion=20&"));
                assert_int_equal(kube_watch_counts(f->watch).expired, 1);
                assert_int_equal(f->n_failed, 0);
                f->watch = kube_watch_close(f->watch);
                f->n_told = f->n_synced = path(f, WATCH)->n_requests = 0;
                kube_turns(&f->w, 5);
        }
}

static void an_expired_page_lists_in_one_piece(void **state)
{
        Fixture *f = *state;

        answers(f, PAGE, LIST("9", "token", META("a", "u1", "1")));
        answers(f, MORE, KUBE_SAYS("410 Gone", STATUS(410, "Expired")));
        script_server_set(&f->w.server, LIST("10", "", META("b", "u2", "2")), SCRIPT_CLOSE);
        answers(f, WATCH, OPEN);
        begin(f);
        turn_until(f, &path(f, WATCH)->n_requests, 1);
        was_told(f, "+ns/a=1 +ns/b=2 -ns/a * ");
        assert_int_equal(path(f, STREAM)->n_requests, 1);
        assert_int_equal(path(f, PAGE)->n_requests, 1);
}

/* --- streamed lists --- */

#define END(version)                                                      \
        EVENT("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"" version \
                          "\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}")
#define BOOKMARK(version) EVENT("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"" version "\"}}")

/* The stream stands, and nothing was told. */
static void reach_stream(Fixture *f)
{
        size_t before = path(f, STREAM)->n_requests;

        answers(f, STREAM, OPEN);
        begin(f);
        turn_until(f, &path(f, STREAM)->n_requests, before + 1);
        kube_turns(&f->w, 5);
}

static void a_list_is_streamed_and_goes_on_as_a_watch(void **state)
{
        Fixture *f = *state;

        reach_stream(f);
        assert_true(was_asked(f, "?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
                                 "&allowWatchBookmarks=true&timeoutSeconds="));
        push_to(f, STREAM,
                EVENT("ADDED", META("a", "u1", "1")) EVENT("ADDED", META("b", "u2", "2")));
        /* One that ends no list is none. */
        push_to(f, STREAM, BOOKMARK("8"));
        turn_until(f, &f->n_told, 2);
        kube_turns(&f->w, 10);
        was_told(f, "+ns/a=1s +ns/b=2s ");
        assert_false(kube_watch_is_synced(f->watch));
        push_to(f, STREAM, EVENT("DELETED", META("a", "u1", "9")) END("10"));
        turn_until(f, &f->n_synced, 1);
        was_told(f, "-ns/a * ");
        push_to(f, STREAM, EVENT("ADDED", META("c", "u3", "11")));
        turn_until(f, &f->n_told, 5);
        was_told(f, "+ns/c=11s ");
        answers(f, WATCH, OPEN);
        script_server_drop(&f->w.server, path(f, STREAM));
        turn_until(f, &path(f, WATCH)->n_requests, 1);
        assert_true(was_asked(f, "&resourceVersion=11&"));
        assert_int_equal(path(f, STREAM)->n_requests, 1);
        assert_int_equal(path(f, PAGE)->n_requests, 0);
        assert_int_equal(kube_watch_counts(f->watch).streamed, 1);
        assert_int_equal(f->n_failed, 0);
}

/* All that came is true; what did not come may be there. */
static void a_streamed_list_that_is_cut_tells_nothing_gone(void **state)
{
        Fixture *f = *state;

        reach_stream(f);
        push_to(f, STREAM,
                EVENT("ADDED", META("a", "u1", "1")) EVENT("ADDED", META("b", "u2", "2"))
                        END("10"));
        turn_until(f, &f->n_synced, 1);
        /* It expires, and the next list is cut. */
        push_to(f, STREAM, EVENT("ERROR", STATUS(410, "Expired")));
        turn_until(f, &path(f, STREAM)->n_requests, 2);
        kube_turns(&f->w, 5);
        push_to(f, STREAM, EVENT("ADDED", META("b", "u2", "12")));
        turn_until(f, &f->n_told, 4);
        script_server_drop(&f->w.server, path(f, STREAM));
        turn_until(f, &f->n_failed, 1);
        was_told(f, "+ns/a=1s +ns/b=2s * +ns/b=12s !WatchEnded ");
        assert_int_equal(kube_watch_objects(f->watch), 2);
        assert_true(kube_watch_is_synced(f->watch));
        turn_until(f, &path(f, STREAM)->n_requests, 3);
        kube_turns(&f->w, 5);
        push_to(f, STREAM, EVENT("ADDED", META("b", "u2", "12")) END("20"));
        turn_until(f, &f->n_synced, 2);
        was_told(f, "-ns/a * ");
        assert_int_equal(path(f, PAGE)->n_requests, 0);
}

/* The next one comes in pages, and the one after that is asked for as a stream again. */
static void a_streamed_list_that_expires_comes_in_pages(void **state)
{
        static const char *const ways[] = {
                OPEN EVENT("ADDED", META("a", "u1", "1")) EVENT("ERROR", STATUS(410, "Expired")),
                KUBE_SAYS("410 Gone", STATUS(410, "Gone")),
        };
        Fixture *f = *state;

        for (size_t i = 0; i < LENGTH_OF(ways); i++) {
                answers(f, STREAM, ways[i]);
                begin(f);
                for (int k = 0; k < KUBE_TURNS_MAX && kube_watch_counts(f->watch).expired == 0; k++)
                        loop_turn(f->w.loop, SPAN_MS(2));
                answers(f, PAGE, LIST("10", "", META("b", "u2", "2")));
                answers(f, STREAM, OPEN EVENT("ADDED", META("b", "u2", "2")) END("12"));
                answers(f, WATCH, KUBE_SAYS("410 Gone", STATUS(410, "Gone")));
                turn_until(f, &f->n_synced, 2);
                was_told(f, i == 0 ? "+ns/a=1s +ns/b=2 -ns/a * * " : "+ns/b=2 * * ");
                assert_int_equal(f->n_failed, 0);
                assert_int_equal(path(f, PAGE)->n_requests, i + 1);
                f->watch = kube_watch_close(f->watch);
                f->n_told = f->n_synced = 0;
                kube_turns(&f->w, 5);
        }
}

static void where_lists_are_not_streamed_they_come_in_pages(void **state)
{
        static const char *const ways[] = {
                KUBE_SAYS("400 No", STATUS(400, "BadRequest")),
                KUBE_SAYS("422 No", STATUS(422, "Invalid")),
                OPEN EVENT("ADDED", META("a", "u1", "1"))
                        EVENT("ERROR", STATUS(500, "InternalError")),
        };
        Fixture *f = *state;

        for (size_t i = 0; i < LENGTH_OF(ways); i++) {
                answers(f, STREAM, ways[i]);
                answers(f, PAGE, LIST("10", "", META("a", "u1", "1")));
                answers(f, WATCH, KUBE_SAYS("410 Gone", STATUS(410, "Gone")));
                begin(f);
                turn_until(f, &f->n_synced, 2);
                was_told(f, i == 2 ? "+ns/a=1s * * " : "+ns/a=1 * * ");
                assert_int_equal(f->n_failed, 0);
                /* That is not asked for a second time. */
                assert_int_equal(path(f, STREAM)->n_requests, i + 1);
                f->watch = kube_watch_close(f->watch);
                f->n_told = f->n_synced = 0;
                kube_turns(&f->w, 5);
        }
}

/* Not understood at all: the watch goes on, and its list never ends. */
static void a_streamed_list_that_falls_silent_is_not_waited_for(void **state)
{
        Fixture *f = *state;

        reach_stream(f);
        push_to(f, STREAM, EVENT("ADDED", META("a", "u1", "1")));
        answers(f, PAGE, LIST("10", "", META("a", "u1", "1")));
        turn_until(f, &f->n_told, 1);
        test_clock_advance(&f->w.time, SPAN_S(KUBE_LIST_DEADLINE_S));
        turn_until(f, &f->n_synced, 1);
        was_told(f, "+ns/a=1s !WatchSilent * ");
}

/* Later and later, and the third time pages are tried. */
static void a_streamed_list_that_is_put_off_backs_off(void **state)
{
        Fixture *f = *state;

        answers(f, STREAM, KUBE_SAYS("429 Slow\r\nRetry-After: 5", STATUS(429, "TooManyRequests")));
        answers(f, PAGE, KUBE_SAYS("429 Slow", STATUS(429, "TooManyRequests")));
        begin(f);
        turn_until(f, &f->n_failed, 1);
        kube_turns(&f->w, 5);
        test_clock_advance(&f->w.time, SPAN_MS(4900));
        kube_turns(&f->w, 20);
        assert_int_equal(path(f, STREAM)->n_requests, 1);
        turn_until(f, &f->n_failed, KUBE_WATCH_TRIES);
        assert_int_equal(path(f, STREAM)->n_requests, KUBE_WATCH_TRIES);
        assert_int_equal(path(f, PAGE)->n_requests, 0);
        turn_until(f, &f->n_failed, KUBE_WATCH_TRIES + 1);
        assert_int_equal(path(f, PAGE)->n_requests, 1);
        answers(f, PAGE, LIST("10", "", META("a", "u1", "1")));
        answers(f, WATCH, KUBE_SAYS("410 Gone", STATUS(410, "Gone")));
        turn_until(f, &f->n_synced, 1);
        was_told(f, "!TooManyRequests !TooManyRequests !TooManyRequests !TooManyRequests "
                    "+ns/a=1 * ");
        /* It may be offered all the same. */
        answers(f, STREAM, OPEN);
        turn_until(f, &path(f, STREAM)->n_requests, KUBE_WATCH_TRIES + 1);
}

static void what_is_not_understood_begins_a_streamed_list_again(void **state)
{
        Fixture *f = *state;

        answers(f, STREAM, OPEN EVENT("ADDED", META("a", "u1", "1")) "nonsense\n" END("10"));
        begin(f);
        turn_until(f, &f->n_failed, 2);
        was_told(f, "+ns/a=1s !InvalidJson !InvalidJson ");
        assert_false(kube_watch_is_synced(f->watch));
}

/* Lets `seconds` pass; how often `path` was asked meanwhile. */
static size_t asked_within(Fixture *f, size_t i, unsigned seconds)
{
        size_t before = path(f, i)->n_requests;

        for (unsigned n = 0; n < seconds * 10; n++) {
                loop_turn(f->w.loop, SPAN_MS(1));
                loop_turn(f->w.loop, SPAN_MS(0));
                test_clock_advance(&f->w.time, SPAN_MS(100));
        }
        return path(f, i)->n_requests - before;
}

/* `before`, an object with as many values as none of ours has, `after`. Owned. */
static char *with_large(const char *before, const char *name, const char *version,
                        const char *after)
{
        Buf text;

        buf_init(&text, 2 << 20);
        buf_printf(
                &text,
                "%s{\"kind\":\"Thing\",\"metadata\":{\"generation\":3,\"labels\":{\"name\":\"x\"},"
                "\"name\":\"%s\",\"namespace\":\"ns\",\"resourceVersion\":\"%s\",\"uid\":\"u9\"},"
                "\"spec\":[{\"name\":\"y\"}",
                before, name, version);
        for (int i = 0; i < 150000; i++)
                buf_add_str(&text, STR(",1"));
        buf_printf(&text, "]}%s", after);
        buf_add_char(&text, '\0');
        assert_false(text.failed);
        return buf_take(&text, NULL);
}

/* Whoever may write one object must not keep all others from being read. */
static void one_that_is_too_large_keeps_nobody_from_being_read(void **state)
{
        Fixture *f = *state;
        CLEANUP(mem_cleanup)
        char *page = with_large(KUBE_OK("{\"metadata\":{\"resourceVersion\":\"10\"},\"items\":[")
                                        META("a", "u1", "1") ",",
                                "b", "2", "," META("c", "u3", "3") "]}");
        CLEANUP(mem_cleanup)
        char *event = with_large("{\"type\":\"MODIFIED\",\"object\":", "b", "11", "}\n");
        CLEANUP(mem_cleanup)
        char *gone = with_large("{\"type\":\"DELETED\",\"object\":", "b", "13", "}\n");
        CLEANUP(mem_cleanup)
        char *strange = with_large("{\"type\":\"BOOKMARK\",\"object\":", "b", "14", "}\n");

        answers(f, PAGE, page);
        answers(f, WATCH, OPEN);
        begin(f);
        turn_until(f, &path(f, WATCH)->n_requests, 1);
        kube_turns(&f->w, 5);
        was_told(f, "+ns/a=1 ?ns/b=2,3 +ns/c=3 * ");
        push(f, event);
        push(f, EVENT("MODIFIED", META("a", "u1", "12")));
        push(f, gone);
        turn_until(f, &f->n_told, 7);
        was_told(f, "?ns/b=11,3 +ns/a=12s -ns/b ");
        assert_int_equal(f->n_failed, 0);
        push(f, strange);
        turn_until(f, &f->n_failed, 1);
        was_told(f, "!TooLarge ");
}

/* However often a list comes whole: a watch that never gets on is no success. */
static void lists_that_lead_nowhere_are_asked_for_less_and_less(void **state)
{
        static const struct {
                size_t list;
                const char *stream, *watch;
        } cases[] = {
                {STREAM, OPEN END("10") EVENT("STRANGE", META("a", "u1", "11")), NULL},
                {STREAM, OPEN END("10") EVENT("ERROR", STATUS(410, "Expired")), NULL},
                {PAGE, NULL, OPEN EVENT("STRANGE", META("a", "u1", "11"))},
                {PAGE, NULL, OPEN EVENT("ERROR", STATUS(410, "Expired"))},
                {PAGE, NULL, KUBE_SAYS("410 Gone", STATUS(410, "Gone"))},
        };
        Fixture *f = *state;

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                answers(f, STREAM, KUBE_SAYS("422 No", "no"));
                if (cases[i].stream != NULL)
                        answers(f, STREAM, cases[i].stream);
                answers(f, PAGE, LIST("10", "", META("a", "u1", "1")));
                if (cases[i].watch != NULL)
                        answers(f, WATCH, cases[i].watch);
                begin(f);
                /* Below 1, 2, 4, 8, 16, 30 … s, each by chance. */
                assert_in_range(asked_within(f, cases[i].list, 120), 5, 18);
                f->watch = kube_watch_close(f->watch);
                f->n_told = f->n_synced = f->n_failed = 0;
                buf_reset(&f->told);
                kube_turns(&f->w, 5);
        }
}

static void until_a_list_is_whole_nothing_is_synced_or_gone(void **state)
{
        static const struct {
                const char *answer, *reason;
        } cases[] = {
                {KUBE_SAYS("403 No", STATUS(403, "Forbidden")), "Forbidden"},
                {KUBE_SAYS("429 Slow\r\nRetry-After: 2", STATUS(429, "TooManyRequests")),
                 "TooManyRequests"},
                {KUBE_SAYS("404 No", "404 page not found"), "NotFound"},
                {KUBE_SAYS("500 Oops", ""), "ServerError"},
                {KUBE_OK("nonsense"), "InvalidJson"},
                {KUBE_OK("{\"metadata\":{},\"items\":[]}"), "BadList"},
                {KUBE_OK("{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[{}]}"), "BadObject"},
                {"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"items\":[", "AnswerCutShort"},
                {"", "AnswerCutShort"},
        };
        Fixture *f = *state;

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                char want[ERR_REASON_MAX + 8];

                answers(f, PAGE, cases[i].answer);
                begin(f);
                turn_until(f, &f->n_failed, 1);
                snprintf(want, sizeof(want), "!%s ", cases[i].reason);
                was_told(f, want);
                assert_false(kube_watch_is_synced(f->watch));
                answers(f, PAGE, LIST("10", "", META("a", "u1", "1")));
                turn_until(f, &f->n_synced, 1);
                was_told(f, "+ns/a=1 * ");
                f->watch = kube_watch_close(f->watch);
                f->n_told = f->n_synced = f->n_failed = 0;
                kube_turns(&f->w, 5);
        }
}

/* A watch that is refused is asked for later and later, and after some times the list instead. */
static void a_refused_watch_backs_off(void **state)
{
        Fixture *f = *state;

        answers(f, PAGE, LIST("10", "", META("a", "u1", "1")));
        answers(f, WATCH, KUBE_SAYS("429 Slow\r\nRetry-After: 5", STATUS(429, "TooManyRequests")));
        begin(f);
        turn_until(f, &f->n_failed, 1);
        kube_turns(&f->w, 5);
        test_clock_advance(&f->w.time, SPAN_MS(4900));
        kube_turns(&f->w, 20);
        assert_int_equal(path(f, WATCH)->n_requests, 1);
        test_clock_advance(&f->w.time, SPAN_MS(200));
        turn_until(f, &f->n_failed, KUBE_WATCH_TRIES);
        was_told(f, "+ns/a=1 * !TooManyRequests !TooManyRequests !TooManyRequests ");
        assert_int_equal(path(f, PAGE)->n_requests, 1);
        answers(f, WATCH, OPEN);
        turn_until(f, &f->n_synced, 2);
        turn_until(f, &path(f, WATCH)->n_requests, 4);
        was_told(f, "* ");
}

/* How long it takes until it fails once more. */
static Span until_next_failure(Fixture *f)
{
        size_t before = f->n_failed;
        Mono begun = loop_now(f->w.loop);

        for (int i = 0; i < 1000 && f->n_failed == before; i++) {
                kube_turns(&f->w, 2);
                test_clock_advance(&f->w.time, SPAN_MS(500));
        }
        assert_true(f->n_failed > before);
        return mono_since(loop_now(f->w.loop), begun);
}

/* However long it is missed: a definition that is installed at last is found soon. What else goes
 * wrong takes its time. */
static void a_kind_that_is_missed_is_looked_for(void **state)
{
        Fixture *f = *state;
        Span longest = {0};

        f->missing_s = 5;
        answers(f, PAGE, KUBE_SAYS("404 No", "404 page not found"));
        begin(f);
        /* The answer itself takes a few turns. */
        for (int i = 0; i < 10; i++)
                assert_true(until_next_failure(f).ns <= SPAN_S(5 + 5).ns);
        answers(f, PAGE, KUBE_SAYS("500 No", ""));
        for (int i = 0; i < 10; i++) {
                Span took = until_next_failure(f);

                longest = took.ns > longest.ns ? took : longest;
        }
        assert_true(longest.ns > SPAN_S(15).ns);
        answers(f, PAGE, LIST("10", "", META("a", "u1", "1")));
        turn_until(f, &f->n_synced, 1);
}

static void what_is_not_understood_leads_to_a_list(void **state)
{
        static const struct {
                const char *event, *reason;
        } cases[] = {
                {"nonsense\n", "InvalidJson"},
                {EVENT("STRANGE", META("a", "u1", "11")), "BadEvent"},
                {EVENT("ADDED", "{}"), "BadObject"},
                {EVENT("ERROR", "{}"), "BadEvent"},
                {EVENT("BOOKMARK", "{}"), "BadEvent"},
        };
        Fixture *f = *state;

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                char want[ERR_REASON_MAX + 64];

                reach_watch(f);
                push(f, cases[i].event);
                turn_until(f, &f->n_synced, 2);
                snprintf(want, sizeof(want), "+ns/a=1 +ns/b=2 * !%s * ", cases[i].reason);
                was_told(f, want);
                f->watch = kube_watch_close(f->watch);
                f->n_told = f->n_synced = path(f, WATCH)->n_requests = 0;
                kube_turns(&f->w, 5);
        }
}

/* Nothing comes, and the connection stands. */
static void silence_ends_a_watch(void **state)
{
        Fixture *f = *state;

        reach_watch(f);
        test_clock_advance(&f->w.time, SPAN_S(KUBE_SILENCE_S - 10));
        kube_turns(&f->w, 5);
        push(f, EVENT("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"77\"}}"));
        kube_turns(&f->w, 10);
        test_clock_advance(&f->w.time, SPAN_S(KUBE_SILENCE_S - 10));
        kube_turns(&f->w, 10);
        assert_int_equal(f->n_failed, 0);
        test_clock_advance(&f->w.time, SPAN_S(20));
        turn_until(f, &path(f, WATCH)->n_requests, 2);
        was_told(f, "+ns/a=1 +ns/b=2 * !WatchSilent ");
        assert_true(was_asked(f, "&resourceVersion=77&"));
        assert_int_equal(kube_watch_counts(f->watch).silences, 1);
        assert_true(kube_watch_is_synced(f->watch));
}

/* Another credential at the same server: from where it was. */
static void another_credential_takes_effect(void **state)
{
        Fixture *f = *state;

        reach_watch(f);
        was_told(f, "+ns/a=1 +ns/b=2 * ");
        kube_api_update(f->w.api, kube_world_config(f->w.server.port, "{token: xyz}"));
        turn_until(f, &path(f, WATCH)->n_requests, 2);
        assert_true(was_asked(f, "&resourceVersion=10&"));
        assert_true(was_asked(f, "Bearer xyz\r\n"));
        assert_int_equal(path(f, PAGE)->n_requests, 1);
        was_told(f, "");
}

/* What it had is gone when its own list is whole, and not before. */
static void another_server_is_listed_anew(void **state)
{
        Fixture *f = *state;
        ScriptServer other;

        reach_watch(f);
        was_told(f, "+ns/a=1 +ns/b=2 * ");
        script_server_open(&other, f->w.loop);
        other.paths[0] = (ScriptPath){"/api/v1/things?watch=1&sendInitialEvents=true&", OPEN,
                                      SCRIPT_STALL, 0};
        kube_api_update(f->w.api, kube_world_config(other.port, "{token: abc}"));
        turn_until(f, &other.paths[0].n_requests, 1);
        kube_turns(&f->w, 5);
        was_told(f, "");
        assert_true(kube_watch_is_synced(f->watch));
        assert_int_equal(kube_watch_objects(f->watch), 2);
        assert_int_equal(script_server_push(&other, &other.paths[0],
                                            str_of(EVENT("ADDED", META("b", "u7", "2")) END("3"))),
                         1);
        turn_until(f, &f->n_synced, 2);
        was_told(f, "-ns/b +ns/b=2s -ns/a * ");
        f->watch = kube_watch_close(f->watch);
        script_server_close(&other);
}

static void an_endless_event_is_capped(void **state)
{
        Fixture *f = *state;

        answers(f, PAGE, LIST("10", "", META("a", "u1", "1")));
        answers(f, WATCH, OPEN "x");
        path(f, WATCH)->end = SCRIPT_ENDLESS;
        begin(f);
        turn_until(f, &f->n_failed, 1);
        answers(f, WATCH, OPEN);
        turn_until(f, &f->n_synced, 2);
        was_told(f, "+ns/a=1 * !TooLarge * ");
}

static void the_owner_may_close_anywhere(void **state)
{
        Fixture *f = *state;

        for (unsigned k = 0; k < 2 * CLOSE_PLACES; k++) {
                CloseIn where = (CloseIn)(k / 2);

                /* Nothing here is too large; that is told from the same place as CLOSE_IN_PUT. */
                if (where == CLOSE_NOWHERE || where == CLOSE_IN_LARGE)
                        continue;
                answers(f, PAGE, LIST("10", "", META("a", "u1", "1") "," META("b", "u2", "2")));
                answers(f, WATCH, OPEN EVENT("DELETED", META("b", "u2", "11")) "nonsense\n");
                if (k % 2 == 1)
                        answers(f, STREAM,
                                OPEN EVENT("ADDED", META("b", "u2", "2")) END("10")
                                        EVENT("DELETED", META("b", "u2", "11")) "nonsense\n");
                else
                        answers(f, STREAM, KUBE_SAYS("422 No", ""));
                begin(f);
                f->close_in = where;
                for (int i = 0; i < KUBE_TURNS_MAX && f->watch != NULL; i++)
                        loop_turn(f->w.loop, SPAN_MS(2));
                assert_null(f->watch);
                test_clock_advance(&f->w.time, SPAN_S(600));
                kube_turns(&f->w, 5);
                f->close_in = CLOSE_NOWHERE;
                f->n_told = 0;
        }
}

static void close_watch(void *ctx)
{
        Fixture *f = ctx;

        f->watch = kube_watch_close(f->watch);
}

static void closed_in_every_state(void **state)
{
        static const unsigned turns[] = {0, 1, 2, 3, 4, 6, 8, 10, 12, 40};
        Fixture *f = *state;

        for (CloserKind how = 0; how < CLOSER_KINDS; how++) {
                for (size_t i = 0; i < LENGTH_OF(turns); i++) {
                        answers(f, PAGE, LIST("10", "x", META("a", "u1", "1")));
                        answers(f, MORE, LIST("10", "", META("b", "u2", "2")));
                        answers(f, WATCH, i % 2 == 0 ? OPEN : KUBE_SAYS("500 No", ""));
                        answers(f, STREAM,
                                i % 3 == 0 ? OPEN EVENT("ADDED", META("a", "u1", "1"))
                                           : KUBE_SAYS("422 No", ""));
                        f->n_told = 0;
                        begin(f);
                        kube_turns(&f->w, turns[i]);
                        closer_play(f->w.loop, how, close_watch, f);
                        test_clock_advance(&f->w.time, SPAN_S(600));
                        kube_turns(&f->w, 5);
                }
        }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(lists_come_in_pages_and_then_events),
                TEST(what_is_forgotten_takes_no_place_and_never_went),
                TEST(a_watch_goes_on_where_it_was),
                TEST(an_expired_watch_lists_again),
                TEST(an_expired_page_lists_in_one_piece),
                TEST(a_list_is_streamed_and_goes_on_as_a_watch),
                TEST(a_streamed_list_that_is_cut_tells_nothing_gone),
                TEST(a_streamed_list_that_expires_comes_in_pages),
                TEST(where_lists_are_not_streamed_they_come_in_pages),
                TEST(a_streamed_list_that_falls_silent_is_not_waited_for),
                TEST(a_streamed_list_that_is_put_off_backs_off),
                TEST(one_that_is_too_large_keeps_nobody_from_being_read),
                TEST(lists_that_lead_nowhere_are_asked_for_less_and_less),
                TEST(what_is_not_understood_begins_a_streamed_list_again),
                TEST(until_a_list_is_whole_nothing_is_synced_or_gone),
                TEST(a_refused_watch_backs_off),
                TEST(a_kind_that_is_missed_is_looked_for),
                TEST(what_is_not_understood_leads_to_a_list),
                TEST(silence_ends_a_watch),
                TEST(another_credential_takes_effect),
                TEST(another_server_is_listed_anew),
                TEST(an_endless_event_is_capped),
                TEST(the_owner_may_close_anywhere),
                TEST(closed_in_every_state),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
