/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "kube/kube_test_world.h"
#include "proto/json.h"

#define TAKEN                                                                                     \
        "{\"metadata\":{\"namespace\":\"ns\",\"name\":\"x.1\",\"uid\":\"u\",\"resourceVersion\":" \
        "\"7\"}}"
#define EVENTS "/apis/events.k8s.io/v1/namespaces/ns/events"

static const KubeResource gateways = {"apis/gateway.tailscale.com/v1alpha1", "tailscalegateways",
                                      "TailscaleGateway"};

typedef struct Fixture {
        KubeWorld w;
        KubeEvents *e;
        size_t n_failed;
        Err err;
        bool close_inside;
        Arena arena;
} Fixture;

static void on_failed(KubeEvents *e, const Err *err)
{
        Fixture *f = kube_events_owner(e);

        f->n_failed++;
        f->err = *err;
        if (f->close_inside)
                f->e = kube_events_close(f->e);
}

static void open_it(Fixture *f)
{
        f->e = kube_events_open(&(KubeEventsInput){.api = f->w.api,
                                                   .controller = "gateway.tailscale.com/operator",
                                                   .instance = STR("pod-1"),
                                                   .failed = on_failed,
                                                   .seed = 1,
                                                   .owner = f});
}

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof(*f));

        kube_world_init(&f->w, "{token: abc}", 1000, 100000);
        script_server_set(&f->w.server, KUBE_SAYS("201 Created", TAKEN), SCRIPT_CLOSE);
        arena_init(&f->arena, 0);
        open_it(f);
        *state = f;
        return 0;
}

static void close_it(void *ctx)
{
        Fixture *f = ctx;

        f->e = kube_events_close(f->e);
}

static int teardown(void **state)
{
        Fixture *f = *state;

        close_it(f);
        kube_world_done(&f->w);
        arena_done(&f->arena);
        mem_free(f);
        return 0;
}

static KubeNews news_of(Str name, Str note)
{
        return (KubeNews){.regarding = {&gateways, STR("ns"), name, STR("u-1")},
                          .is_warning = true,
                          .reason = STR("Conflicted"),
                          .action = STR("Translate"),
                          .note = note};
}

static void tell(Fixture *f, Str name, Str note)
{
        KubeNews news = news_of(name, note);

        kube_events_tell(f->e, &news);
}

static void settle(Fixture *f)
{
        for (int i = 0; i < 200; i++)
                loop_turn(f->w.loop, SPAN_MS(1));
}

static void wait_sent(Fixture *f, size_t n)
{
        kube_turn_until(&f->w, &f->w.server.n_requests, n);
        settle(f);
        assert_int_equal(f->w.server.n_requests, n);
}

/* Body of the last request. */
static const Tree *sent(Fixture *f)
{
        Str request = buf_str(&f->w.server.request);
        ptrdiff_t end = str_find_str(request, STR("\r\n\r\n"));
        const Tree *doc;

        assert_true(end > 0);
        doc = json_read(&f->arena, str_sub(request, (size_t)end + 4, SIZE_MAX), NULL, NULL);
        assert_non_null(doc);
        return doc;
}

static bool is_request(const Fixture *f, const char *begin)
{
        return str_starts(buf_str(&f->w.server.request), str_of(begin));
}

static void assert_text(const Tree *object, const char *key, const char *text)
{
        Str is = tree_get_str(object, str_of(key));

        if (!str_eq(is, str_of(text)))
                fail_msg("%s: '%.*s' and not '%s'", key, STR_FMT(is), text);
}

static int64_t count_of(const Tree *event)
{
        int64_t n = 0;

        IGNORE(tree_i64(tree_get(tree_get(event, STR("series")), STR("count")), 0, INT32_MAX, false,
                        &n),
               "0 where it has none");
        return n;
}

static void an_event_is_as_the_server_wants_it(void **state)
{
        Fixture *f = *state;
        const Tree *e, *about;
        Str name;

        tell(f, STR("corp"), STR("the host a.b is corp-2's"));
        assert_int_equal(f->w.server.n_requests, 0);
        wait_sent(f, 1);
        assert_true(
                is_request(f, "POST " EVENTS "?fieldManager=gateway.tailscale.com%2Foperator&"));
        e = sent(f);
        assert_text(e, "apiVersion", "events.k8s.io/v1");
        assert_text(e, "kind", "Event");
        name = tree_get_str(tree_get(e, STR("metadata")), STR("name"));
        assert_true(str_starts(name, STR("corp.")) && name.n == strlen("corp.") + 16);
        assert_text(tree_get(e, STR("metadata")), "namespace", "ns");
        assert_text(e, "eventTime", "2026-11-22T20:58:01.000000Z");
        assert_text(e, "reportingController", "gateway.tailscale.com/operator");
        assert_text(e, "reportingInstance", "pod-1");
        assert_text(e, "reason", "Conflicted");
        assert_text(e, "action", "Translate");
        assert_text(e, "note", "the host a.b is corp-2's");
        assert_text(e, "type", "Warning");
        assert_null(tree_get(e, STR("series")));
        about = tree_get(e, STR("regarding"));
        assert_text(about, "apiVersion", "gateway.tailscale.com/v1alpha1");
        assert_text(about, "kind", "TailscaleGateway");
        assert_text(about, "namespace", "ns");
        assert_text(about, "name", "corp");
        assert_text(about, "uid", "u-1");
        assert_int_equal(kube_events_counts(f->e)->created, 1);
        assert_int_equal(kube_events_counts(f->e)->waiting, 0);
}

static void of_the_cluster_it_stands_in_default(void **state)
{
        Fixture *f = *state;
        KubeNews news = news_of(STR("one"), STR("n"));

        news.regarding.ns = news.regarding.uid = (Str){0};
        news.is_warning = false;
        kube_events_tell(f->e, &news);
        wait_sent(f, 1);
        assert_true(is_request(f, "POST /apis/events.k8s.io/v1/namespaces/default/events?"));
        assert_null(tree_get(tree_get(sent(f), STR("regarding")), STR("namespace")));
        assert_null(tree_get(tree_get(sent(f), STR("regarding")), STR("uid")));
        assert_text(sent(f), "type", "Normal");
}

static void what_is_told_again_is_counted(void **state)
{
        Fixture *f = *state;
        char path[300];
        Str name;

        tell(f, STR("corp"), STR("n"));
        wait_sent(f, 1);
        name = tree_get_str(tree_get(sent(f), STR("metadata")), STR("name"));
        snprintf(path, sizeof(path), "PATCH " EVENTS "/%.*s?", STR_FMT(name));
        test_clock_advance(&f->w.time, SPAN_MS(1500));
        script_server_set(&f->w.server, KUBE_OK(TAKEN), SCRIPT_CLOSE);
        for (int i = 0; i < 5; i++)
                tell(f, STR("corp"), STR("n"));
        wait_sent(f, 2);
        assert_true(is_request(f, path));
        assert_int_equal(count_of(sent(f)), 6);
        assert_int_equal(sent(f)->n, 1);
        assert_text(tree_get(sent(f), STR("series")), "lastObservedTime",
                    "2026-11-22T20:58:02.500000Z");
        assert_int_equal(kube_events_counts(f->e)->counted, 1);
        /* After a while of silence it is another Event. */
        test_clock_advance(&f->w.time, SPAN_S(KUBE_EVENTS_SERIES_S));
        tell(f, STR("corp"), STR("n"));
        wait_sent(f, 3);
        assert_true(is_request(f, "POST "));
        assert_false(str_eq(name, tree_get_str(tree_get(sent(f), STR("metadata")), STR("name"))));
}

static void what_is_told_again_before_it_left_is_one_call(void **state)
{
        Fixture *f = *state;

        for (int i = 0; i < 3; i++)
                tell(f, STR("corp"), STR("n"));
        wait_sent(f, 1);
        assert_true(is_request(f, "POST "));
        assert_int_equal(count_of(sent(f)), 3);
        assert_text(sent(f), "note", "n");
}

static void what_is_told_while_it_is_sent_follows(void **state)
{
        Fixture *f = *state;

        script_server_set(&f->w.server, "HTTP/1.1 201 Created\r\n", SCRIPT_STALL);
        tell(f, STR("corp"), STR("n"));
        wait_sent(f, 1);
        tell(f, STR("corp"), STR("n"));
        tell(f, STR("corp"), STR("n"));
        wait_sent(f, 1);
        LIST_FOREACH (ScriptConn, c, &f->w.server.conns, link) {
                Str rest = STR("Connection: close\r\n\r\n" TAKEN);

                assert_int_equal(send(c->source.fd, rest.p, rest.n, MSG_NOSIGNAL), rest.n);
                script_conn_free(c);
        }
        script_server_set(&f->w.server, KUBE_OK(TAKEN), SCRIPT_CLOSE);
        wait_sent(f, 2);
        assert_true(is_request(f, "PATCH "));
        assert_int_equal(count_of(sent(f)), 3);
}

static void others_are_others(void **state)
{
        Fixture *f = *state;
        KubeNews news = news_of(STR("a"), STR("n"));

        kube_events_tell(f->e, &news);
        news.is_warning = false;
        kube_events_tell(f->e, &news);
        news.reason = STR("Held");
        kube_events_tell(f->e, &news);
        news.action = STR("Discover");
        kube_events_tell(f->e, &news);
        news.note = STR("m");
        kube_events_tell(f->e, &news);
        news.regarding.uid = STR("u-2");
        kube_events_tell(f->e, &news);
        wait_sent(f, 6);
        assert_int_equal(kube_events_counts(f->e)->created, 6);
}

static void one_object_may_only_make_so_much_noise(void **state)
{
        Fixture *f = *state;
        char note[32];

        for (int i = 0; i < KUBE_EVENTS_BURST + 5; i++) {
                snprintf(note, sizeof(note), "%d", i);
                tell(f, STR("loud"), str_of(note));
        }
        wait_sent(f, KUBE_EVENTS_BURST);
        assert_int_equal(kube_events_counts(f->e)->limited, 5);
        tell(f, STR("other"), STR("n"));
        wait_sent(f, KUBE_EVENTS_BURST + 1);
        /* What it told already is counted, and told when it may. */
        script_server_set(&f->w.server, KUBE_OK(TAKEN), SCRIPT_CLOSE);
        test_clock_advance(&f->w.time, SPAN_S(KUBE_EVENTS_APART_S - 1));
        for (int i = 0; i < 7; i++)
                tell(f, STR("loud"), STR("0"));
        tell(f, STR("loud"), STR("1"));
        wait_sent(f, KUBE_EVENTS_BURST + 1);
        test_clock_advance(&f->w.time, SPAN_S(1));
        wait_sent(f, KUBE_EVENTS_BURST + 2);
        assert_int_equal(count_of(sent(f)), 8);
        test_clock_advance(&f->w.time, SPAN_S(KUBE_EVENTS_APART_S));
        wait_sent(f, KUBE_EVENTS_BURST + 3);
        assert_int_equal(count_of(sent(f)), 2);
        assert_int_equal(kube_events_counts(f->e)->limited, 5);
}

static void tell_many(Fixture *f, size_t from, size_t to)
{
        char name[32];

        for (size_t i = from; i < to; i++) {
                snprintf(name, sizeof(name), "o%zu", i);
                tell(f, str_of(name), STR("n"));
        }
}

static void only_so_many_wait(void **state)
{
        Fixture *f = *state;

        script_server_set(&f->w.server, "HTTP/1.1 201 Created\r\n", SCRIPT_STALL);
        tell_many(f, 0, 1);
        wait_sent(f, 1);
        tell_many(f, 1, KUBE_EVENTS_QUEUE_MAX + 4);
        assert_int_equal(kube_events_counts(f->e)->waiting, KUBE_EVENTS_QUEUE_MAX);
        assert_int_equal(kube_events_counts(f->e)->dropped, 3);
        /* One at a time. */
        wait_sent(f, 1);
}

static void only_so_many_are_remembered(void **state)
{
        Fixture *f = *state;
        size_t n = 0, step = KUBE_EVENTS_QUEUE_MAX / 2;

        while (n < KUBE_EVENTS_SERIES_MAX + step) {
                tell_many(f, n, n + step);
                n += step;
                for (int i = 0; i < 20000 && kube_events_counts(f->e)->created < n; i++)
                        loop_turn(f->w.loop, SPAN_MS(1));
                assert_int_equal(kube_events_counts(f->e)->created, n);
        }
        /* The first is a new one, the last is counted. */
        tell_many(f, 0, 1);
        settle(f);
        assert_true(is_request(f, "POST "));
        script_server_set(&f->w.server, KUBE_OK(TAKEN), SCRIPT_CLOSE);
        tell_many(f, n - 1, n);
        settle(f);
        assert_true(is_request(f, "PATCH "));
        assert_int_equal(kube_events_counts(f->e)->dropped, 0);
}

static void what_is_not_taken_is_told(void **state)
{
        Fixture *f = *state;

        script_server_set(&f->w.server, KUBE_SAYS("403 No", ""), SCRIPT_CLOSE);
        tell(f, STR("a"), STR("n"));
        tell(f, STR("b"), STR("n"));
        wait_sent(f, 2);
        assert_int_equal(f->n_failed, 2);
        assert_int_equal(f->err.kind, ERR_DENIED);
        assert_int_equal(kube_events_counts(f->e)->failed, 2);
        /* One that went away meanwhile is another when it is told again. */
        script_server_set(&f->w.server, KUBE_SAYS("201 Created", TAKEN), SCRIPT_CLOSE);
        tell(f, STR("a"), STR("n"));
        wait_sent(f, 3);
        script_server_set(&f->w.server, KUBE_SAYS("404 No", ""), SCRIPT_CLOSE);
        tell(f, STR("a"), STR("n"));
        wait_sent(f, 4);
        assert_true(is_request(f, "PATCH "));
        assert_int_equal(f->n_failed, 3);
        script_server_set(&f->w.server, KUBE_SAYS("201 Created", TAKEN), SCRIPT_CLOSE);
        tell(f, STR("a"), STR("n"));
        wait_sent(f, 5);
        assert_true(is_request(f, "POST "));
        assert_int_equal(count_of(sent(f)), 0);
        f->close_inside = true;
        script_server_set(&f->w.server, KUBE_SAYS("400 No", ""), SCRIPT_CLOSE);
        tell(f, STR("c"), STR("n"));
        tell(f, STR("d"), STR("n"));
        wait_sent(f, 6);
        assert_null(f->e);
}

static void an_answer_that_was_lost_makes_no_second_event(void **state)
{
        Fixture *f = *state;

        script_server_set(&f->w.server, "", SCRIPT_CLOSE);
        tell(f, STR("a"), STR("n"));
        wait_sent(f, 1);
        script_server_set(&f->w.server, KUBE_SAYS("409 There", ""), SCRIPT_CLOSE);
        test_clock_advance(&f->w.time, SPAN_S(1));
        wait_sent(f, 2);
        assert_int_equal(kube_events_counts(f->e)->created, 1);
        assert_int_equal(f->n_failed, 0);
        /* For good: tries end. */
        script_server_set(&f->w.server, KUBE_SAYS("503 Later", ""), SCRIPT_CLOSE);
        tell(f, STR("b"), STR("n"));
        for (size_t i = 0; i < KUBE_EVENTS_TRIES; i++) {
                wait_sent(f, 3 + i);
                test_clock_advance(&f->w.time, SPAN_S(5));
        }
        settle(f);
        assert_int_equal(f->n_failed, 1);
        assert_string_equal(f->err.reason, "ServiceUnavailable");
}

/* However long and strange: what is sent is JSON, and within what the API server takes. */
static void texts_are_cut(void **state)
{
        Fixture *f = *state;
        char text[3000], name[254];
        KubeNews news;
        Str is;

        memset(text, 0xff, sizeof(text));
        memset(name, 'a', sizeof(name));
        name[252 - 16] = '.';
        news = news_of((Str){name, 253}, (Str){text, sizeof(text)});
        news.action = news.reason = news.note;
        kube_events_tell(f->e, &news);
        wait_sent(f, 1);
        is = tree_get_str(tree_get(sent(f), STR("metadata")), STR("name"));
        assert_true(is.n <= 253);
        assert_true(str_find_str(is, STR("..")) < 0);
        assert_int_equal(tree_get_str(sent(f), STR("note")).n, KUBE_EVENTS_NOTE_MAX / 3 * 3);
        assert_int_equal(tree_get_str(sent(f), STR("action")).n, KUBE_EVENTS_WORD_MAX / 3 * 3);
        memset(text, 1, sizeof(text));
        kube_events_tell(f->e, &news);
        wait_sent(f, 2);
        assert_int_equal(tree_get_str(sent(f), STR("note")).n, KUBE_EVENTS_NOTE_MAX);
        /* A letter of two bytes is not cut in half. */
        memset(text, 'a', sizeof(text));
        memcpy(text + KUBE_EVENTS_NOTE_MAX - 1, "\xc3\xa4", 2);
        kube_events_tell(f->e, &news);
        wait_sent(f, 3);
        assert_int_equal(tree_get_str(sent(f), STR("note")).n, KUBE_EVENTS_NOTE_MAX - 1);
}

static void closed_in_every_state(void **state)
{
        Fixture *f = *state;
        static const unsigned turns[] = {0, 1, 2, 3, 5, 30};

        for (CloserKind how = 0; how < CLOSER_KINDS; how++) {
                for (size_t i = 0; i < LENGTH_OF(turns); i++) {
                        size_t before;

                        for (int k = 0; k < KUBE_EVENTS_BURST + 3; k++)
                                tell(f, STR("a"), STR("n"));
                        tell(f, STR("b"), STR("n"));
                        kube_turns(&f->w, turns[i]);
                        tell(f, STR("a"), STR("n"));
                        closer_play(f->w.loop, how, close_it, f);
                        settle(f);
                        before = f->w.server.n_requests;
                        test_clock_advance(&f->w.time, SPAN_S(600));
                        kube_turns(&f->w, 10);
                        assert_int_equal(f->w.server.n_requests, before);
                        open_it(f);
                }
        }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(an_event_is_as_the_server_wants_it),
                TEST(of_the_cluster_it_stands_in_default),
                TEST(what_is_told_again_is_counted),
                TEST(what_is_told_again_before_it_left_is_one_call),
                TEST(what_is_told_while_it_is_sent_follows),
                TEST(others_are_others),
                TEST(one_object_may_only_make_so_much_noise),
                TEST(only_so_many_wait),
                TEST(only_so_many_are_remembered),
                TEST(what_is_not_taken_is_told),
                TEST(an_answer_that_was_lost_makes_no_second_event),
                TEST(texts_are_cut),
                TEST(closed_in_every_state),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
