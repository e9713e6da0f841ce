/* SPDX-License-Identifier: Apache-2.0 */
/* A tailscaled on the test's own loop, with everything that can be wrong with it. */
#include "tailnet/local_source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>

#include "base/mem.h"
#include "io/testing.h"
#include "net/http_client.h"
#include "net/script_server.h"
#include "net/test_closer.h"

#define OK "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
#define STATUS(peers)                                                                       \
        OK "{\"BackendState\":\"Running\",\"HaveNodeKey\":true,\"Self\":{\"ID\":\"n9\","    \
           "\"InNetworkMap\":true,\"Online\":true},\"CurrentTailnet\":{\"MagicDNSSuffix\":" \
           "\"corp.test\"},\"Peer\":{" peers "}}"
#define PEER(n)                                           \
        "\"k" n "\":{\"ID\":\"n" n "\",\"DNSName\":\"d" n \
        ".corp.test.\",\"TailscaleIPs\":[\"100.64.0." n "\"]}"
#define BUS OK "{\"State\":6}\n"
#define SERVICES                                                                              \
        OK "{\"svc:web\":{\"Name\":\"svc:web\",\"Addrs\":[\"100.100.0.1\"],\"Ports\":[\"tcp:" \
           "443\"]}}"

enum {
        TURNS_MAX = 6000,
        AT_STATUS = 0,
        AT_SERVICES,
        AT_BUS,
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
        TailnetSpec *spec;
        TailnetSource *source;
        TailnetAnswer last;
        unsigned n_answers, n_changed;
        bool closes_inside, has_no_changed;
} Fixture;

static void serve(Fixture *f)
{
        unlink(f->path);
        script_server_open_unix(&f->server, f->loop, f->path);
        f->server.paths[AT_STATUS] = (ScriptPath){"/localapi/v0/status ",
                                                  STATUS(PEER("1") "," PEER("2")), SCRIPT_CLOSE, 0};
        f->server.paths[AT_SERVICES] =
                (ScriptPath){"/localapi/v0/services ", SERVICES, SCRIPT_CLOSE, 0};
        f->server.paths[AT_BUS] = (ScriptPath){"/localapi/v0/watch-ipn-bus?", BUS, SCRIPT_STALL, 0};
        f->is_listening = true;
}

static void stop_serving(Fixture *f)
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
        f->spec = leaf_new(sizeof(*f->spec), 0, NULL);
        f->spec->local_socket = str_of(f->path);
        serve(f);
        *state = f;
        return 0;
}

static void forget_answer(Fixture *f)
{
        table_unref(f->last.devices);
        table_unref(f->last.services);
        f->last = (TailnetAnswer){0};
}

static int teardown(void **state)
{
        Fixture *f = *state;

        tailnet_source_close(f->source);
        forget_answer(f);
        http_client_free(f->http);
        stop_serving(f);
        leaf_unref(f->spec);
        loop_turn(f->loop, SPAN_MS(0));
        loop_free(f->loop);
        test_dir_done(&f->dir);
        mem_free(f);
        return 0;
}

static void on_answer(TailnetSource *s, TailnetAnswer *a)
{
        Fixture *f = tailnet_source_owner(s);

        assert_false(tailnet_source_is_polling(s));
        f->n_answers++;
        forget_answer(f);
        f->last = *a;
        if (f->closes_inside)
                f->source = tailnet_source_close(s);
}

static void on_changed(TailnetSource *s)
{
        Fixture *f = tailnet_source_owner(s);

        f->n_changed++;
        if (f->closes_inside)
                f->source = tailnet_source_close(s);
}

static void open_source(Fixture *f)
{
        Err err = {0};

        f->n_answers = f->n_changed = 0;
        f->source = tailnet_source_open(
                &(TailnetSourceInput){.loop = f->loop,
                                      .http = f->http,
                                      .spec = f->spec,
                                      .fn = on_answer,
                                      .changed = f->has_no_changed ? NULL : on_changed,
                                      .owner = f},
                &err);
        assert_non_null(f->source);
}

static void turns(Fixture *f, unsigned n)
{
        while (n-- > 0)
                loop_turn(f->loop, SPAN_MS(1));
}

/* One poll of the source, opened where it is not. */
static const TailnetAnswer *ask(Fixture *f)
{
        unsigned before;

        if (f->source == NULL)
                open_source(f);
        before = f->n_answers;
        tailnet_source_poll(f->source);
        for (unsigned i = 0; i < TURNS_MAX && f->n_answers == before; i++)
                turns(f, 1);
        turns(f, 3);
        assert_int_equal(f->n_answers, before + 1);
        return &f->last;
}

static void until(Fixture *f, const unsigned *count, unsigned n)
{
        for (unsigned i = 0; i < TURNS_MAX && *count < n; i++)
                turns(f, 1);
        turns(f, 3);
        assert_int_equal(*count, n);
}

static void push_change(Fixture *f)
{
        assert_int_equal(script_server_push(&f->server, &f->server.paths[AT_BUS],
                                            STR("{\"PeersRemoved\":[1]}\n")),
                         1);
}

static void a_daemon_answers(void **state)
{
        Fixture *f = *state;
        const TailnetAnswer *a;
        const Table *devices, *services;

        f->server.slice = 40;
        a = ask(f);
        assert_int_equal(a->err.kind, ERR_NONE);
        assert_int_equal(table_n(a->devices), 2);
        assert_int_equal(table_n(a->services), 1);
        assert_true(str_eq(((const TailnetService *)a->services->at[0])->label, STR("web")));
        assert_string_equal(a->via, "local");
        assert_string_equal(a->self_node, "n9");
        assert_string_equal(a->suffix, "corp.test");
        assert_true(a->bytes > 0);
        devices = table_ref(a->devices);
        services = table_ref(a->services);
        f->server.slice = 0;
        a = ask(f);
        assert_ptr_equal(a->devices, devices);
        assert_ptr_equal(a->services, services);
        table_unref(devices);
        table_unref(services);
        /* Polled by the bus as well, one stream for all of it. */
        assert_int_equal(f->server.paths[AT_BUS].n_requests, 1);
        assert_int_equal(f->n_changed, 1);
        push_change(f);
        until(f, &f->n_changed, 2);
}

static void nobody_who_wants_to_know_no_stream(void **state)
{
        Fixture *f = *state;

        f->has_no_changed = true;
        assert_int_equal(table_n(ask(f)->devices), 2);
        turns(f, 20);
        assert_int_equal(f->server.paths[AT_BUS].n_requests, 0);
}

static void services_cost_no_devices(void **state)
{
        static const struct {
                const char *answer;
                int n; /* -1: not told */
                const char *warning;
        } cases[] = {
                {OK "null\n", 0, ""},
                {OK "{}", 0, ""},
                {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", -1, ""},
                {"HTTP/1.1 503 No\r\nContent-Length: 10\r\n\r\nno netmap\n", -1, "no netmap"},
                {"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", -1, "refuses"},
                {OK "[]", -1, "no object"},
                {OK "{\"svc:a\":", -1, "not known"},
                {OK "{\"svc:a\":7}", -1, "none of 1"},
                {OK "{\"svc:a\":{\"Name\":\"svc:a\",\"Addrs\":[\"100.100.0.1\"]},\"x\":{}}", 1,
                 "svc:"},
                {"", -1, "not known"},
        };
        Fixture *f = *state;

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                f->server.paths[AT_SERVICES].answer = cases[i].answer;
                const TailnetAnswer *a = ask(f);

                assert_int_equal(table_n(a->devices), 2);
                assert_int_equal(a->err.kind, ERR_NONE);
                assert_int_equal(a->services != NULL ? (int)table_n(a->services) : -1, cases[i].n);
                if (cases[i].warning[0] == '\0')
                        assert_string_equal(a->warning, "");
                else if (strstr(a->warning, cases[i].warning) == NULL)
                        fail_msg("%s: %s", cases[i].answer, a->warning);
        }
}

static void what_is_no_answer_says_what_to_do(void **state)
{
        static const struct {
                const char *answer;
                ErrKind kind;
                const char *reason, *hint;
        } cases[] = {
                {OK "{\"BackendState\":\"NeedsLogin\",\"Peer\":null}", ERR_DENIED, "NeedsLogin",
                 "`tailscale up`"},
                {OK "{\"BackendState\":\"Stopped\",\"Peer\":null}", ERR_DENIED, "Stopped",
                 "`tailscale up`"},
                {OK "{\"BackendState\":\"Starting\",\"Peer\":null}", ERR_TRANSIENT, "Starting", ""},
                {OK "{\"BackendState\":\"Running\"", ERR_INVALID, "InvalidJson", ""},
                {OK "<html>", ERR_INVALID, "InvalidJson", ""},
                {"HTTP/1.1 403 Forbidden\r\nContent-Length: 25\r\n\r\ninvalid localapi request\n",
                 ERR_DENIED, "Forbidden", "invalid localapi request): run as root"},
                {"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\n\1\2", ERR_DENIED, "Forbidden",
                 "operator"},
                {"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", ERR_DENIED, "Forbidden",
                 "operator"},
                {"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", ERR_INVALID, "NotTailscaled",
                 "is it the socket of a tailscaled?"},
                {"HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\noops", ERR_TRANSIENT, "ServerError",
                 "oops"},
                {"HTTP/1.1 302 No\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
                 ERR_INVALID, "RedirectRefused", ""},
                {"", ERR_TRANSIENT, "AnswerCutShort", ""},
                {"\1\2\3\r\n", ERR_TRANSIENT, "TransferFailed", ""},
        };
        Fixture *f = *state;

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                f->server.paths[AT_STATUS].answer = cases[i].answer;
                const TailnetAnswer *a = ask(f);

                assert_null(a->devices);
                assert_null(a->services);
                assert_int_equal(a->err.kind, cases[i].kind);
                assert_string_equal(a->err.reason, cases[i].reason);
                if (strstr(a->err.text, cases[i].hint) == NULL ||
                    strstr(a->err.text, f->path) == NULL)
                        fail_msg("%s: %s", cases[i].answer, a->err.text);
        }
        assert_int_equal(f->server.paths[AT_SERVICES].n_requests, 0);
}

static void a_socket_that_cannot_be_had(void **state)
{
        Fixture *f = *state;
        const TailnetAnswer *a;

        stop_serving(f);
        a = ask(f);
        assert_int_equal(a->err.kind, ERR_TRANSIENT);
        assert_string_equal(a->err.reason, "NotListening");
        assert_non_null(strstr(a->err.text, f->path));
        unlink(f->path);
        a = ask(f);
        assert_int_equal(a->err.kind, ERR_MISSING);
        assert_string_equal(a->err.reason, "NoSocket");
        assert_non_null(strstr(a->err.text, f->path));
        if (geteuid() == 0) {
                /* Nothing is denied to root. */
                return;
        }
        serve(f);
        assert_int_equal(chmod(f->path, 0), 0);
        a = ask(f);
        assert_int_equal(a->err.kind, ERR_DENIED);
        assert_string_equal(a->err.reason, "SocketDenied");
}

static void what_cannot_be_opened_says_why(void **state)
{
        Fixture *f = *state;
        char path[200];
        Err err = {0};
        TailnetSourceInput in = {
                .loop = f->loop, .http = f->http, .spec = f->spec, .fn = on_answer, .owner = f};

        memset(path, 'x', sizeof(path) - 1);
        path[sizeof(path) - 1] = '\0';
        f->spec->local_socket = str_of(path);
        assert_null(tailnet_source_open(&in, &err));
        assert_string_equal(err.reason, "BadSocketPath");
        f->spec->local_socket = (Str){0};
        assert_null(tailnet_source_open_local(&in, &err));
        assert_string_equal(err.reason, "NoLocalAPI");
        /* A Secret that is named and not there: the daemon is not asked in its place. */
        f->spec->local_socket = str_of(f->path);
        f->spec->api_url = STR("https://hs.example.test");
        f->spec->secret_name = STR("corp-key");
        assert_null(tailnet_source_open(&in, &err));
        assert_string_equal(err.reason, "CredentialMissing");
}

static void the_deadline_is_one_for_both_requests(void **state)
{
        Fixture *f = *state;

        f->server.paths[AT_SERVICES] = (ScriptPath){"/localapi/v0/services ", "", SCRIPT_STALL, 0};
        open_source(f);
        tailnet_source_poll(f->source);
        for (unsigned i = 0; i < TURNS_MAX && f->server.paths[AT_SERVICES].n_requests == 0; i++)
                turns(f, 1);
        turns(f, 5);
        assert_int_equal(f->n_answers, 0);
        test_clock_advance(&f->time, SPAN_S(TAILNET_POLL_SECONDS));
        turns(f, 10);
        assert_int_equal(f->n_answers, 1);
        assert_int_equal(table_n(f->last.devices), 2);
        assert_non_null(strstr(f->last.warning, "no answer"));
        f->server.paths[AT_STATUS].answer = OK "{";
        f->server.paths[AT_STATUS].end = SCRIPT_STALL;
        tailnet_source_poll(f->source);
        turns(f, 30);
        test_clock_advance(&f->time, SPAN_S(TAILNET_POLL_SECONDS));
        turns(f, 10);
        assert_int_equal(f->n_answers, 2);
        assert_string_equal(f->last.err.reason, "Timeout");
}

static void a_daemon_without_notifications_says_so_once_it_lasts(void **state)
{
        Fixture *f = *state;

        f->server.paths[AT_BUS] =
                (ScriptPath){"/localapi/v0/watch-ipn-bus?",
                             "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", SCRIPT_KEEP, 0};
        for (unsigned i = 0; i < 4; i++)
                assert_int_equal(strstr(ask(f)->warning, "does not tell") != NULL, i == 3);
        f->server.paths[AT_BUS].answer = BUS;
        f->server.paths[AT_BUS].end = SCRIPT_STALL;
        ask(f);
        until(f, &f->n_changed, 1);
        assert_string_equal(ask(f)->warning, "");
}

/* Polls again, and that takes a minute; then something changes. */
static void make_rest(Fixture *f)
{
        unsigned answers = f->n_answers;
        size_t asked = f->server.paths[AT_SERVICES].n_requests;

        f->server.paths[AT_SERVICES].answer = "";
        f->server.paths[AT_SERVICES].end = SCRIPT_STALL;
        tailnet_source_poll(f->source);
        for (unsigned i = 0; i < TURNS_MAX && f->server.paths[AT_SERVICES].n_requests == asked; i++)
                turns(f, 1);
        test_clock_advance(&f->time, SPAN_S(TAILNET_POLL_SECONDS));
        until(f, &f->n_answers, answers + 1);
        push_change(f);
        turns(f, 10);
}

/* A daemon that takes its time is not kept busy by what it tells itself. */
static void what_takes_long_is_done_less_often(void **state)
{
        static const char head[] = OK, body[] = STATUS(PEER("1"));
        Fixture *f = *state;

        f->server.paths[AT_STATUS].answer = head;
        f->server.paths[AT_STATUS].end = SCRIPT_STALL;
        open_source(f);
        until(f, &f->n_changed, 1);
        tailnet_source_poll(f->source);
        turns(f, 30);
        test_clock_advance(&f->time, SPAN_MS(500));
        turns(f, 3);
        script_server_push(&f->server, &f->server.paths[AT_STATUS], str_of(body + strlen(head)));
        script_server_drop(&f->server, &f->server.paths[AT_STATUS]);
        until(f, &f->n_answers, 1);
        for (unsigned i = 0; i < 3; i++) {
                push_change(f);
                turns(f, 20);
        }
        assert_int_equal(f->n_changed, 1);
        test_clock_advance(&f->time, SPAN_MS(1990));
        turns(f, 5);
        assert_int_equal(f->n_changed, 1);
        test_clock_advance(&f->time, SPAN_MS(10));
        until(f, &f->n_changed, 2);
        /* It has rested: what comes now is told now. */
        push_change(f);
        until(f, &f->n_changed, 3);
        /* A poll that begins anyway sees what was waited for. */
        f->server.paths[AT_STATUS] =
                (ScriptPath){"/localapi/v0/status ", STATUS(PEER("1")), SCRIPT_CLOSE, 0};
        make_rest(f);
        f->server.paths[AT_SERVICES] =
                (ScriptPath){"/localapi/v0/services ", SERVICES, SCRIPT_CLOSE, 0};
        assert_int_equal(table_n(ask(f)->devices), 1);
        test_clock_advance(&f->time, SPAN_S(100));
        turns(f, 10);
        assert_int_equal(f->n_changed, 3);
}

/* --- closed at the worst moment --- */

typedef enum State {
        OPENED,
        ASKED,
        HALF_TOLD,
        ASKS_SERVICES,
        ANSWERED,
        BUS_LOST,
        RESTS, /* and a notification waits */
        STATES,
} State;

static void reach(Fixture *f, State s)
{
        if (s == HALF_TOLD)
                f->server.paths[AT_STATUS] = (ScriptPath){
                        "/localapi/v0/status ", OK "{\"Peer\":{" PEER("1"), SCRIPT_STALL, 0};
        if (s == ASKS_SERVICES)
                f->server.paths[AT_SERVICES] =
                        (ScriptPath){"/localapi/v0/services ", "", SCRIPT_STALL, 0};
        open_source(f);
        if (s == OPENED)
                return;
        if (s >= ANSWERED) {
                ask(f);
                if (s == RESTS)
                        make_rest(f);
                if (s == BUS_LOST)
                        script_server_drop(&f->server, &f->server.paths[AT_BUS]);
                return;
        }
        tailnet_source_poll(f->source);
        unsigned at = s == ASKS_SERVICES ? AT_SERVICES : AT_STATUS;
        for (unsigned i = 0; s != ASKED && i < TURNS_MAX && f->server.paths[at].n_requests == 0;
             i++)
                turns(f, 1);
        turns(f, s != ASKED ? 5 : 0);
}

static void close_source(void *ctx)
{
        Fixture *f = ctx;

        f->source = tailnet_source_close(f->source);
}

static void closed_in_every_state_nothing_is_told(void **state)
{
        Fixture *f = *state;

        for (unsigned i = 0; i < STATES * CLOSER_KINDS; i++) {
                reach(f, (State)(i / CLOSER_KINDS));
                closer_play(f->loop, (CloserKind)(i % CLOSER_KINDS), close_source, f);
                unsigned before = f->n_answers + f->n_changed;
                turns(f, 5);
                test_clock_advance(&f->time, SPAN_S(100));
                turns(f, 5);
                assert_int_equal(f->n_answers + f->n_changed, before);
                stop_serving(f);
                serve(f);
        }
}

static void closed_inside_its_deliveries(void **state)
{
        static const char *const answers[] = {STATUS(PEER("1")), OK "{", ""};
        Fixture *f = *state;

        f->closes_inside = true;
        /* By the first notification, before any answer. */
        open_source(f);
        for (unsigned i = 0; i < TURNS_MAX && f->n_changed == 0; i++)
                turns(f, 1);
        assert_null(f->source);
        f->has_no_changed = true;
        for (size_t i = 0; i < LENGTH_OF(answers); i++) {
                f->server.paths[AT_STATUS].answer = answers[i];
                ask(f);
                assert_null(f->source);
                test_clock_advance(&f->time, SPAN_S(100));
                turns(f, 5);
                assert_int_equal(f->n_answers, 1);
        }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_daemon_answers),
                TEST(nobody_who_wants_to_know_no_stream),
                TEST(services_cost_no_devices),
                TEST(what_is_no_answer_says_what_to_do),
                TEST(a_socket_that_cannot_be_had),
                TEST(what_cannot_be_opened_says_why),
                TEST(the_deadline_is_one_for_both_requests),
                TEST(a_daemon_without_notifications_says_so_once_it_lasts),
                TEST(what_takes_long_is_done_less_often),
                TEST(closed_in_every_state_nothing_is_told),
                TEST(closed_inside_its_deliveries),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
