/* SPDX-License-Identifier: Apache-2.0 */
#include "tailnet/bus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/testing.h"
#include "net/script_server.h"
#include "net/test_closer.h"

#define OK    "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
#define STATE "{\"Version\":\"1.102.3\",\"SessionID\":\"0a\",\"State\":6,\"Prefs\":null}\n"
#define NOISE "{\"Version\":\"1.102.3\",\"State\":null,\"Engine\":{\"RBytes\":1}}\n"

enum {
        TURNS_MAX = 4000
};

typedef struct Fixture {
        TestClock time;
        Clock clock;
        Loop *loop;
        HttpClient *http;
        TestDir dir;
        char path[TEST_PATH];
        ScriptServer server;
        bool is_listening;
        Bus *bus;
        unsigned n_told;
        bool closes_inside;
} Fixture;

static void listen_again(Fixture *f, const char *answer, ScriptEnd end)
{
        unlink(f->path);
        script_server_open_unix(&f->server, f->loop, f->path);
        f->server.paths[0] = (ScriptPath){"/localapi/v0/watch-ipn-bus?mask=", answer, end, 0};
        f->is_listening = true;
}

static void stop_listening(Fixture *f)
{
        if (f->is_listening)
                script_server_close(&f->server);
        f->is_listening = false;
}

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof(*f));

        f->time = (TestClock){{SPAN_S(1000).ns}, {INT64_C(1795381081000)}, 0};
        f->clock = test_clock(&f->time);
        f->loop = loop_new(&f->clock);
        f->http = http_client_new(f->loop, NULL);
        test_dir_init(&f->dir);
        test_dir_join(&f->dir, "s", f->path);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        bus_close(f->bus);
        http_client_free(f->http);
        stop_listening(f);
        loop_turn(f->loop, SPAN_MS(0));
        loop_free(f->loop);
        test_dir_done(&f->dir);
        mem_free(f);
        return 0;
}

static void on_told(Bus *b)
{
        Fixture *f = bus_owner(b);

        f->n_told++;
        if (f->closes_inside)
                f->bus = bus_close(f->bus);
}

static void open_bus(Fixture *f)
{
        f->n_told = 0;
        f->bus = bus_open(&(BusInput){
                .loop = f->loop, .http = f->http, .socket = f->path, .fn = on_told, .owner = f});
        assert_int_equal(f->n_told, 0);
}

static void turns(Fixture *f, unsigned n)
{
        while (n-- > 0)
                loop_turn(f->loop, SPAN_MS(1));
}

static void until_told(Fixture *f, unsigned n)
{
        for (int i = 0; i < TURNS_MAX && f->n_told < n; i++)
                turns(f, 1);
        turns(f, 8);
        assert_int_equal(f->n_told, n);
}

static void push(Fixture *f, const char *text)
{
        assert_int_equal(script_server_push(&f->server, &f->server.paths[0], str_of(text)), 1);
}

static void until_asked(Fixture *f, size_t n)
{
        for (int i = 0; i < TURNS_MAX && f->server.paths[0].n_requests < n; i++)
                turns(f, 1);
        turns(f, 8);
        assert_int_equal(f->server.paths[0].n_requests, n);
}

/* Not asked again before `seconds` have passed since the end, and then at once. */
static void waits(Fixture *f, size_t asked, int64_t seconds)
{
        turns(f, 10);
        test_clock_advance(&f->time, (Span){SPAN_S(seconds).ns - SPAN_MS(50).ns});
        turns(f, 10);
        assert_int_equal(f->server.paths[0].n_requests, asked);
        test_clock_advance(&f->time, SPAN_MS(50));
        until_asked(f, asked + 1);
}

static void changes_are_told_and_noise_is_not(void **state)
{
        Fixture *f = *state;

        listen_again(f, OK STATE, SCRIPT_STALL);
        open_bus(f);
        until_told(f, 1);
        assert_true(bus_is_live(f->bus));
        Str request = buf_str(&f->server.request);
        assert_true(str_starts(request,
                               STR("GET /localapi/v0/watch-ipn-bus?mask=36866 HTTP/1.1\r\nHost: "
                                   "local-tailscaled.sock\r\n")));
        assert_true(str_find_str(request, STR("Origin")) < 0);
        assert_true(str_find_str(request, STR("Referer")) < 0);
        push(f, NOISE NOISE "{\"Health\":{\"Warnings\":{}}}\n");
        push(f, "{\"PeerChangedPatch\":[{\"NodeID\":2,\"Endpoints\":[\"1.2.3.4:5\"]}]}\n");
        turns(f, 30);
        assert_int_equal(f->n_told, 1);
        /* Several in one piece are told once. */
        push(f, "{\"PeersRemoved\":[2]}\n{\"PeersRemoved\":[3]}\n" NOISE "{\"State\":2}\n");
        until_told(f, 2);
        push(f, "{\"PeerChangedPatch\":[{\"NodeID\":2,\"Onl");
        turns(f, 20);
        assert_int_equal(f->n_told, 2);
        push(f, "ine\":false}]}\n");
        until_told(f, 3);
        /* Silence, for ever, is no fault. */
        test_clock_advance(&f->time, SPAN_S(1000000));
        turns(f, 20);
        assert_int_equal(f->n_told, 3);
        assert_true(bus_is_live(f->bus));
        push(f, "{\"SelfChange\":{}}\n");
        until_told(f, 4);
}

static void a_restart_of_the_daemon(void **state)
{
        Fixture *f = *state;

        listen_again(f, OK STATE, SCRIPT_STALL);
        open_bus(f);
        until_told(f, 1);
        test_clock_advance(&f->time, SPAN_S(3600));
        turns(f, 3);
        stop_listening(f);
        until_told(f, 2);
        assert_false(bus_is_live(f->bus));
        /* It is away for three attempts; none of them is a change. */
        for (int i = 0; i < 3; i++) {
                test_clock_advance(&f->time, SPAN_S(1 << i));
                turns(f, 20);
        }
        assert_int_equal(f->n_told, 2);
        listen_again(f, OK STATE, SCRIPT_STALL);
        waits(f, 0, 8);
        until_told(f, 3);
        assert_true(bus_is_live(f->bus));
}

static void who_ends_it_at_once_is_asked_ever_less(void **state)
{
        static const int64_t expected[] = {1, 2, 4, 8, 16, 30, 30};
        Fixture *f = *state;

        listen_again(f, OK STATE, SCRIPT_CLOSE);
        open_bus(f);
        until_asked(f, 1);
        for (size_t i = 0; i < LENGTH_OF(expected); i++) {
                turns(f, 20);
                /* Neither does it help that the daemon answers otherwise. */
                bus_daemon_is_there(f->bus);
                waits(f, i + 1, expected[i]);
        }
        /* One that lasts begins anew. */
        f->server.paths[0].end = SCRIPT_STALL;
        turns(f, 20);
        test_clock_advance(&f->time, SPAN_S(BUS_WAIT_MAX_S));
        until_asked(f, LENGTH_OF(expected) + 2);
        test_clock_advance(&f->time, SPAN_S(BUS_WAIT_MAX_S));
        turns(f, 5);
        script_server_drop(&f->server, &f->server.paths[0]);
        waits(f, LENGTH_OF(expected) + 2, 1);
}

static void a_daemon_that_answers_again_is_asked_at_once(void **state)
{
        Fixture *f = *state;

        open_bus(f);
        for (int i = 0; i < 10; i++) {
                turns(f, 10);
                test_clock_advance(&f->time, SPAN_S(BUS_WAIT_MAX_S));
        }
        turns(f, 10);
        assert_int_equal(f->n_told, 0);
        listen_again(f, OK STATE, SCRIPT_STALL);
        bus_daemon_is_there(f->bus);
        until_told(f, 1);
        bus_daemon_is_there(f->bus);
        turns(f, 10);
        assert_int_equal(f->server.paths[0].n_requests, 1);
}

static void what_is_no_stream_of_notifications(void **state)
{
        static const struct {
                const char *answer;
                ScriptEnd end;
                unsigned told; /* bytes came, and went */
        } cases[] = {
                {"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno\n", SCRIPT_KEEP, 0},
                {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", SCRIPT_KEEP, 0},
                {"HTTP/1.1 302 There\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
                 SCRIPT_KEEP, 0},
                {"\1\2\3\r\n\r\n", SCRIPT_CLOSE, 0},
                {"", SCRIPT_CLOSE, 0},
                {OK "<html>", SCRIPT_STALL, 2},
                {OK "{\"State\":6}}\n", SCRIPT_STALL, 2},
                {OK "{\"a\":\"\n", SCRIPT_STALL, 2},
        };
        Fixture *f = *state;

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                listen_again(f, cases[i].answer, cases[i].end);
                open_bus(f);
                until_asked(f, 1);
                turns(f, 30);
                assert_false(bus_is_live(f->bus));
                /* What came and what was lost may fall into one turn. */
                assert_true(f->n_told <= cases[i].told && (f->n_told > 0) == (cases[i].told > 0));
                f->server.paths[0].answer = OK STATE;
                f->server.paths[0].end = SCRIPT_STALL;
                waits(f, 1, 1);
                assert_true(bus_is_live(f->bus));
                f->bus = bus_close(f->bus);
                stop_listening(f);
        }
}

static void a_notification_without_end_is_told_once(void **state)
{
        Fixture *f = *state;

        listen_again(f, OK "{\"NetMap\":{\"Peers\":[ ", SCRIPT_ENDLESS);
        open_bus(f);
        turns(f, 400);
        /* That it began, and what it says: in one turn or in two. */
        assert_in_range(f->n_told, 1, 2);
        assert_true(bus_is_live(f->bus));
}

typedef enum State {
        NOT_THERE,  /* connection refused */
        ASKED,      /* no answer yet */
        LIVE,       /* and a notification on its way */
        TELLS,      /* the Post is due */
        ENDED_JUST, /* the end is on its way */
        WAITS,
        STATES,
} State;

static void reach(Fixture *f, State s)
{
        if (s != NOT_THERE)
                listen_again(f, s == ASKED ? "" : OK STATE, SCRIPT_STALL);
        open_bus(f);
        if (s == NOT_THERE)
                return;
        until_asked(f, 1);
        if (s == ASKED)
                return;
        until_told(f, 1);
        if (s == LIVE || s == TELLS)
                push(f, "{\"State\":1}\n");
        if (s == TELLS)
                turns(f, 1);
        if (s == ENDED_JUST || s == WAITS)
                script_server_drop(&f->server, &f->server.paths[0]);
        if (s == WAITS)
                until_told(f, 2);
}

static void close_bus(void *ctx)
{
        Fixture *f = ctx;

        f->bus = bus_close(f->bus);
}

static void closed_in_every_state_nothing_is_told(void **state)
{
        Fixture *f = *state;

        for (unsigned i = 0; i < STATES * CLOSER_KINDS; i++) {
                reach(f, (State)(i / CLOSER_KINDS));
                closer_play(f->loop, (CloserKind)(i % CLOSER_KINDS), close_bus, f);
                assert_null(f->bus);
                unsigned before = f->n_told;
                turns(f, 5);
                test_clock_advance(&f->time, SPAN_S(100));
                turns(f, 5);
                assert_int_equal(f->n_told, before);
                stop_listening(f);
                unlink(f->path);
        }
}

static void closed_inside(void **state)
{
        Fixture *f = *state;

        for (unsigned when = 1; when <= 2; when++) {
                listen_again(f, OK STATE, SCRIPT_STALL);
                open_bus(f);
                f->closes_inside = when == 1;
                until_told(f, 1);
                if (when == 2) {
                        f->closes_inside = true;
                        script_server_drop(&f->server, &f->server.paths[0]);
                        until_told(f, 2);
                }
                assert_null(f->bus);
                test_clock_advance(&f->time, SPAN_S(100));
                turns(f, 10);
                assert_int_equal(f->n_told, when);
                stop_listening(f);
                f->closes_inside = false;
        }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(changes_are_told_and_noise_is_not),
                TEST(a_restart_of_the_daemon),
                TEST(who_ends_it_at_once_is_asked_ever_less),
                TEST(a_daemon_that_answers_again_is_asked_at_once),
                TEST(what_is_no_stream_of_notifications),
                TEST(a_notification_without_end_is_told_once),
                TEST(closed_in_every_state_nothing_is_told),
                TEST(closed_inside),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
