/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each kind of source is closed in every state, between turns and inside the delivery of every kind
 * of loop source, inside its own deliveries, and inside those of another. Afterwards it delivers
 * nothing.
 */
#include "tailnet/tailnet_source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/file.h"
#include "io/testing.h"
#include "net/http_client.h"
#include "net/script_server.h"
#include "net/test_closer.h"

#define DEVICES "{\"devices\":[{\"nodeId\":\"1\",\"name\":\"api\",\"addresses\":[\"100.64.0.1\"]}]}"
#define LIST    "{\"nodes\":[{\"id\":\"1\",\"givenName\":\"api\",\"ipAddresses\":[\"100.64.0.1\"]}]}"
#define OK      "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"

enum {
        TURNS_MAX = 4000
};

typedef enum State {
        OPENED,
        POLL_BEGAN, /* not one turn since */
        WAITS_FOR_HEAD,
        HALF_ANSWERED,
        ANSWERED,
        CHANGE_IS_DUE, /* the file is another; told when the burst is over */
        STATES,
} State;

/* Kinds of sources; those with parts of their own have more states, and tests for them. */
typedef enum Kind {
        IN_FILE,
        BY_AUTO, /* API v2, then API v1, in one poll or two */
        BY_V2,   /* devices, then Services, in one poll */
        KINDS,
} Kind;

typedef struct Fixture Fixture;

typedef struct Asker {
        Fixture *f;
        TailnetSource *source;
        TailnetSpec *spec;
        ScriptServer server;
        TestDir dir;
        char url[64], path[TEST_PATH];
        unsigned n_answers, n_changed;
        bool closes_self;
        struct Asker *closes; /* or NULL */
} Asker;

struct Fixture {
        TestClock time;
        Clock clock;
        Loop *loop;
        HttpClient *http;
        Secret *key;
        Asker a, b;
};

static void act(Asker *a)
{
        if (a->closes != NULL)
                a->closes->source = tailnet_source_close(a->closes->source);
        if (a->closes_self)
                a->source = tailnet_source_close(a->source);
}

static void on_answer(TailnetSource *s, TailnetAnswer *answer)
{
        Asker *a = tailnet_source_owner(s);
        assert_ptr_equal(a->source, s);
        a->n_answers++;
        answer->devices = table_unref(answer->devices);
        answer->services = table_unref(answer->services);
        act(a);
}

static void on_changed(TailnetSource *s)
{
        Asker *a = tailnet_source_owner(s);
        assert_ptr_equal(a->source, s);
        a->n_changed++;
        act(a);
}

static void write_list(const Asker *a, const char *text)
{
        assert_true(file_write_atomic(a->dir.path, "devices", str_of(text), 0600, false, NULL));
}

static void asker_init(Fixture *f, Asker *a)
{
        *a = (Asker){.f = f};
        script_server_open(&a->server, f->loop);
        a->server.paths[0] = (ScriptPath){
                .target = "/api/v2/",
                .answer = "HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n404 page not found"};
        snprintf(a->url, sizeof a->url, "http://127.0.0.1:%u", a->server.port);
        test_dir_init(&a->dir);
        test_dir_join(&a->dir, "devices", a->path);
}

static void asker_open(Asker *a, Kind kind)
{
        a->spec = leaf_new(sizeof *a->spec, 0, NULL);
        a->spec->api_url = str_of(a->url);
        a->spec->type = kind == BY_V2 ? TAILNET_TAILSCALE : TAILNET_HEADSCALE;
        a->server.paths[0].target = kind == BY_V2 ? NULL : "/api/v2/";
        if (kind == IN_FILE)
                a->spec->file_path = str_of(a->path);
        a->n_answers = a->n_changed = 0;
        a->closes_self = false;
        a->closes = NULL;
        write_list(a, LIST);
        a->source = tailnet_source_open(&(TailnetSourceInput){.loop = a->f->loop,
                                                              .http = a->f->http,
                                                              .spec = a->spec,
                                                              .credentials = {.api_key = a->f->key},
                                                              .fn = on_answer,
                                                              .changed = on_changed,
                                                              .owner = a},
                                        NULL);
        assert_non_null(a->source);
        leaf_unref(a->spec);
}

static void asker_done(Asker *a)
{
        tailnet_source_close(a->source);
        script_server_close(&a->server);
        test_dir_done(&a->dir);
}

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof *f);
        f->time = (TestClock){{SPAN_S(1000).ns}, {INT64_C(1795381081000)}, 0};
        f->clock = test_clock(&f->time);
        f->loop = loop_new(&f->clock);
        f->http = http_client_new(f->loop, NULL);
        f->key = secret_new(STR("key"));
        asker_init(f, &f->a);
        asker_init(f, &f->b);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;
        asker_done(&f->a);
        asker_done(&f->b);
        http_client_free(f->http);
        secret_free(f->key);
        loop_turn(f->loop, SPAN_MS(0));
        loop_free(f->loop);
        mem_free(f);
        return 0;
}

static void turns(Fixture *f, int n)
{
        while (n-- > 0)
                loop_turn(f->loop, SPAN_MS(0));
}

static void long_after(Fixture *f)
{
        turns(f, 6);
        test_clock_advance(&f->time, SPAN_S(100));
        turns(f, 6);
}

static unsigned told(const Asker *a)
{
        return a->n_answers + a->n_changed;
}

static void until_told(Asker *a, unsigned n)
{
        for (int i = 0; i < TURNS_MAX && told(a) < n; i++)
                turns(a->f, 1);
        assert_int_equal(told(a), n);
}

/* The same as API v2 has it. */
static const char *answer_for(Kind kind, const char *answer)
{
        if (kind == BY_V2 && strcmp(answer, OK LIST) == 0)
                return OK DEVICES;
        return answer;
}

static void reach(Asker *a, State s, Kind kind)
{
        static const char *const answers[STATES] = {
                [WAITS_FOR_HEAD] = "",
                [HALF_ANSWERED] = OK "{\"nodes\":[",
                [ANSWERED] = OK LIST,
                [CHANGE_IS_DUE] = OK LIST,
        };
        size_t requests = a->server.n_requests;
        asker_open(a, kind);
        if (s == OPENED)
                return;
        if (answers[s] != NULL)
                script_server_set(&a->server, answer_for(kind, answers[s]),
                                  s < ANSWERED ? SCRIPT_STALL : SCRIPT_CLOSE);
        tailnet_source_poll(a->source);
        if (s == POLL_BEGAN)
                return;
        if (s >= ANSWERED || kind == IN_FILE) {
                until_told(a, 1);
        } else {
                for (int i = 0; i < TURNS_MAX && a->server.n_requests == requests; i++)
                        turns(a->f, 1);
                turns(a->f, 6);
        }
        if (s == CHANGE_IS_DUE && kind == IN_FILE) {
                write_list(a, "{\"nodes\":[]}");
                turns(a->f, 2);
        }
}

static void close_asker(void *ctx)
{
        Asker *a = ctx;
        a->source = tailnet_source_close(a->source);
}

static void closed_in_every_state_in_every_way(void **state)
{
        Fixture *f = *state;
        for (unsigned i = 0; i < KINDS * STATES * CLOSER_KINDS; i++) {
                CloserKind how = i / KINDS % CLOSER_KINDS;
                reach(&f->a, (State)(i / KINDS / CLOSER_KINDS), (Kind)(i % KINDS));
                test_clock_advance(&f->time, SPAN_MS(60));
                closer_play(f->loop, how, close_asker, &f->a);
                unsigned before = told(&f->a);
                long_after(f);
                assert_int_equal(told(&f->a), before);
        }
}

/* What ends a poll, or tells of a change. */
typedef enum Delivery {
        GOOD_LIST,
        BAD_LIST,
        REFUSED,
        DEADLINE,
        V2_LIST,
        FILE_LIST,
        FILE_MISSING,
        FILE_CHANGED,
        DELIVERIES,
} Delivery;

static void begin(Asker *a, Delivery d)
{
        static const char *const answers[DELIVERIES] = {
                [GOOD_LIST] = OK LIST,
                [BAD_LIST] = OK "{\"nodes\":[",
                [REFUSED] = "HTTP/1.1 401 No\r\nConnection: close\r\n\r\n",
                [DEADLINE] = "",
                [V2_LIST] = OK DEVICES,
        };
        size_t requests = a->server.n_requests;
        asker_open(a, d >= FILE_LIST ? IN_FILE : d == V2_LIST ? BY_V2 : BY_AUTO);
        if (answers[d] != NULL)
                script_server_set(&a->server, answers[d],
                                  d == DEADLINE ? SCRIPT_STALL : SCRIPT_CLOSE);
        if (d == FILE_MISSING)
                assert_true(file_remove(a->dir.path, "devices", NULL));
        tailnet_source_poll(a->source);
        if (d == FILE_CHANGED) {
                until_told(a, 1);
                a->n_answers = 0;
                write_list(a, "{\"nodes\":[]}");
                turns(a->f, 2);
        }
        for (int i = 0; d == DEADLINE && i < TURNS_MAX && a->server.n_requests == requests; i++)
                turns(a->f, 1);
}

static void finish(Asker *a, Delivery d)
{
        if (d == DEADLINE)
                test_clock_advance(&a->f->time, SPAN_S(TAILNET_POLL_SECONDS));
        if (d == FILE_CHANGED)
                test_clock_advance(&a->f->time, SPAN_MS(60));
        until_told(a, 1);
}

static void closed_inside_every_own_delivery(void **state)
{
        Fixture *f = *state;
        for (Delivery d = 0; d < DELIVERIES; d++) {
                begin(&f->a, d);
                f->a.closes_self = true;
                finish(&f->a, d);
                assert_null(f->a.source);
                long_after(f);
                assert_int_equal(told(&f->a), 1);
        }
}

static void play_pair(Fixture *f, State s, Delivery d, unsigned how)
{
        reach(&f->b, s, (Kind)(how / 2));
        begin(&f->a, d);
        f->a.closes = &f->b;
        f->a.closes_self = how % 2 != 0;
        finish(&f->a, d);
        assert_null(f->b.source);
        unsigned before = told(&f->b);
        f->a.closes = NULL;
        f->a.source = tailnet_source_close(f->a.source);
        long_after(f);
        assert_int_equal(told(&f->b), before);
        assert_int_equal(told(&f->a), 1);
}

static void closed_in_every_state_inside_every_delivery_of_another(void **state)
{
        for (State s = 0; s < STATES; s++) {
                for (Delivery d = 0; d < DELIVERIES; d++) {
                        for (unsigned how = 0; how < 2 * KINDS; how++)
                                play_pair(*state, s, d, how);
                }
        }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(closed_in_every_state_in_every_way),
                TEST(closed_inside_every_own_delivery),
                TEST(closed_in_every_state_inside_every_delivery_of_another),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
