/* SPDX-License-Identifier: Apache-2.0 */
/* A tailscaled on the test's own loop that keeps a configuration as the real one does. */
#include "execute/serve_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/digest.h"
#include "base/mem.h"
#include "execute/serve_record.h"
#include "io/testing.h"
#include "net/script_server.h"

#define ENVOY  "{\"TCPForward\":\"127.0.0.1:10443\",\"ProxyProtocol\":2}"
#define SERVED "{\"TCP\":{\"443\":" ENVOY "}}"
#define THEIRS "{\"TCP\":{\"22\":{\"TCPForward\":\"127.0.0.1:22\"}}}"
#define BOTH   "{\"TCP\":{\"22\":{\"TCPForward\":\"127.0.0.1:22\"},\"443\":" ENVOY "}}"

enum {
        TURNS_MAX = 4000
};

typedef struct Fixture {
        TestClock time;
        Clock clock;
        Loop *loop;
        Log log;
        HttpClient *http;
        Facts facts;
        TestDir dir;
        char path[TEST_PATH];
        ScriptServer server;
        bool is_listening;
        char config[4096], answer[8192];
        ScriptPath script;
        const char *post_answer; /* instead of taking it */
        const char *races;       /* the configuration becomes this one before a POST is judged */
        unsigned n_races;
        bool has_no_etag;
        unsigned n_gets, n_posts, n_facts;
        ServeWriter *writer;
        const char *sockets_dir;
} Fixture;

/* ---- tailscaled ---- */

static void etag_of(const char *config, char hex[DIGEST_HEX])
{
        Digest d = digest_of(str_of(config));

        digest_hex(&d, DIGEST_BYTES, hex);
}

static void answer(Fixture *f, const char *status, const char *body)
{
        char etag[DIGEST_HEX], header[DIGEST_HEX + 16] = "";

        etag_of(f->config, etag);
        if (!f->has_no_etag)
                IGNORE(snprintf(header, sizeof(header), "Etag: %s\r\n", etag), "it fits");
        INSIST(snprintf(f->answer, sizeof(f->answer),
                        "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n%s", status, header,
                        strlen(body), body) < (int)sizeof(f->answer));
        f->script = (ScriptPath){"", f->answer, SCRIPT_KEEP, 0};
}

static void take_post(Fixture *f, Str request)
{
        char etag[DIGEST_HEX], want[DIGEST_HEX + 32];
        Str body = str_sub(request, (size_t)str_find_str(request, STR("\r\n\r\n")) + 4, SIZE_MAX);

        f->n_posts++;
        if (f->races != NULL && f->n_races > 0) {
                /* Never twice the same. */
                INSIST(snprintf(f->config, sizeof(f->config), "%s%*s", f->races, (int)f->n_races,
                                "") < (int)sizeof(f->config));
                f->n_races--;
        }
        etag_of(f->config, etag);
        IGNORE(snprintf(want, sizeof(want), "\r\nIf-Match: %s\r\n", etag), "it fits");
        if (f->post_answer != NULL) {
                answer(f, f->post_answer, "{\"error\":\"no\"}\n");
        } else if (str_find_str(request, str_of(want)) < 0) {
                answer(f, "412 Precondition Failed", "etag mismatch\n");
        } else {
                INSIST(snprintf(f->config, sizeof(f->config), "%.*s", STR_FMT(body)) <
                       (int)sizeof(f->config));
                answer(f, "200 OK", "");
        }
}

static Fixture *the_fixture;

static ScriptPath *on_request(ScriptServer *s, Str request)
{
        Fixture *f = the_fixture;

        (void)s;
        assert_true(str_find_str(request, STR("\r\nHost: local-tailscaled.sock\r\n")) > 0);
        if (str_starts(request, STR("POST /localapi/v0/serve-config "))) {
                take_post(f, request);
        } else {
                assert_true(str_starts(request, STR("GET /localapi/v0/serve-config ")));
                f->n_gets++;
                answer(f, "200 OK", f->config);
        }
        return &f->script;
}

static void listen_there(Fixture *f)
{
        unlink(f->path);
        script_server_open_unix(&f->server, f->loop, f->path);
        f->server.find = on_request;
        f->is_listening = true;
}

static void stop_listening(Fixture *f)
{
        if (f->is_listening)
                script_server_close(&f->server);
        f->is_listening = false;
}

/* ---- us ---- */

static void on_facts(void *owner)
{
        ((Fixture *)owner)->n_facts++;
}

static void open_writer(Fixture *f)
{
        f->writer = serve_writer_open(&(ServeWriterInput){.loop = f->loop,
                                                          .log = &f->log,
                                                          .http = f->http,
                                                          .facts = &f->facts,
                                                          .dir = f->dir.path,
                                                          .sockets_dir = f->sockets_dir,
                                                          .on_facts = on_facts,
                                                          .owner = f});
}

static void set_config(Fixture *f, const char *config)
{
        INSIST(snprintf(f->config, sizeof(f->config), "%s", config) < (int)sizeof(f->config));
}

static int setup(void **state)
{
        Fixture *f = the_fixture = mem_new(sizeof(*f));

        f->time = (TestClock){{SPAN_S(1000).ns}, {INT64_C(1795381081000)}, 0};
        f->clock = test_clock(&f->time);
        f->loop = loop_new(&f->clock);
        f->http = http_client_new(f->loop, NULL);
        facts_init(&f->facts);
        test_dir_init(&f->dir);
        test_dir_join(&f->dir, "s", f->path);
        set_config(f, "null");
        listen_there(f);
        open_writer(f);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        assert_null(serve_writer_close(f->writer));
        assert_int_equal(f->facts.n_serves, 0);
        http_client_free(f->http);
        stop_listening(f);
        loop_turn(f->loop, SPAN_MS(0));
        loop_free(f->loop);
        facts_done(&f->facts);
        test_dir_done(&f->dir);
        mem_free(f);
        return 0;
}

static void wish_at(Fixture *f, const char *socket, uint16_t port, const char *target,
                    const char *reason)
{
        ServePlan p = {0};

        arena_init(&p.arena, 0);
        if (port != 0) {
                Str *sockets = arena_new_array(&p.arena, 1, sizeof(Str));
                p.n = 1;
                p.items = arena_new_array(&p.arena, 1, sizeof(*p.items));
                p.items[0] = (ServeItem){
                        .gateway = {STR("demo"), STR("corp")},
                        .tailnet = STR("corp"),
                        .socket = arena_str(&p.arena, str_of(socket)),
                        .forward = {port, arena_str(&p.arena, str_of(target))},
                        .reason = reason,
                        .text = reason != NULL ? STR("because") : (Str){0},
                };
                sockets[0] = p.items[0].socket;
                p.sockets = (StrList){sockets, reason == NULL};
        }
        serve_writer_wish(f->writer, &p);
        assert_int_equal(p.n, 0);
}

static void wish(Fixture *f, uint16_t port, const char *target)
{
        wish_at(f, f->path, port, target, NULL);
}

static void turns(Fixture *f, unsigned n)
{
        while (n-- > 0)
                loop_turn(f->loop, SPAN_MS(1));
}

static bool is_told(const Fixture *f, const char *reason)
{
        return f->facts.n_serves == 1 && strcmp(f->facts.serves[0].reason, reason) == 0;
}

static void until(Fixture *f, const char *reason)
{
        for (unsigned i = 0; i < TURNS_MAX && !is_told(f, reason); i++)
                turns(f, 1);
        if (!is_told(f, reason))
                print_message("told: %s %s\n",
                              f->facts.n_serves > 0 ? f->facts.serves[0].reason : "nothing",
                              f->facts.n_serves > 0 ? f->facts.serves[0].text : "");
        assert_true(is_told(f, reason));
        turns(f, 3);
}

static void until_config(Fixture *f, const char *config)
{
        for (unsigned i = 0; i < TURNS_MAX && strcmp(f->config, config) != 0; i++)
                turns(f, 1);
        assert_string_equal(f->config, config);
        turns(f, 5);
}

static void pass(Fixture *f, int64_t seconds)
{
        unsigned before = f->n_gets;

        test_clock_advance(&f->time, SPAN_S(seconds));
        for (unsigned i = 0; i < TURNS_MAX && f->n_gets == before; i++)
                turns(f, 1);
        turns(f, 20);
}

/* ---- tests ---- */

static void a_forward_is_set_and_kept(void **state)
{
        Fixture *f = *state;

        wish(f, 443, "127.0.0.1:10443");
        assert_true(is_told(f, "Pending"));
        until(f, "Serving");
        assert_string_equal(f->config, SERVED);
        assert_int_equal(f->n_posts, 1);
        assert_true(f->facts.serves[0].is_serving && f->facts.serves[0].since.ms > 0);
        unsigned told = f->n_facts;
        assert_true(told > 0);
        assert_int_equal(f->facts.serve_counts.reads, 1);
        assert_int_equal(f->facts.serve_counts.writes, 1);
        for (unsigned i = 0; i < 3; i++)
                pass(f, SERVE_LOOK_S);
        assert_int_equal(f->n_gets, 4);
        assert_int_equal(f->n_posts, 1);
        assert_int_equal(f->n_facts, told);
        /* Another hand takes it away: it is set again. */
        set_config(f, THEIRS);
        pass(f, SERVE_LOOK_S);
        assert_string_equal(f->config, BOTH);
        /* The same wish again is nothing new. */
        wish(f, 443, "127.0.0.1:10443");
        turns(f, 20);
        assert_int_equal(f->n_posts, 2);
}

static void what_moves_and_what_goes(void **state)
{
        Fixture *f = *state;

        set_config(f, THEIRS);
        wish(f, 443, "127.0.0.1:9443");
        until(f, "Serving");
        wish(f, 443, "127.0.0.1:10443");
        until(f, "Serving");
        assert_string_equal(f->config, BOTH);
        wish(f, 0, NULL);
        until_config(f, THEIRS);
        /* And nobody looks there any more. */
        unsigned gets = f->n_gets;
        test_clock_advance(&f->time, SPAN_S(3600));
        turns(f, 30);
        assert_int_equal(f->n_gets, gets);
        assert_int_equal(f->facts.n_serves, 0);
}

/* What was set is known after a restart; what stands goes, or moves. */
static void a_restart(void **state)
{
        Fixture *f = *state;

        wish(f, 443, "127.0.0.1:9443");
        until(f, "Serving");
        serve_writer_close(f->writer);
        assert_true(str_find_str(str_of(f->config), STR("9443")) > 0);
        open_writer(f);
        turns(f, 20);
        wish(f, 443, "127.0.0.1:10443");
        until(f, "Serving");
        assert_string_equal(f->config, SERVED);
        serve_writer_close(f->writer);
        open_writer(f);
        /* The TailscaleGateway went while nobody ran. */
        wish(f, 0, NULL);
        until_config(f, "{}");
}

/* Without a record only what is wished for to the letter is taken over. */
static void without_a_record(void **state)
{
        Fixture *f = *state;

        set_config(f, SERVED);
        wish(f, 443, "127.0.0.1:10443");
        until(f, "Serving");
        assert_int_equal(f->n_posts, 0);
        wish(f, 0, NULL);
        until_config(f, "{}");
        set_config(f, SERVED);
        wish(f, 443, "127.0.0.1:9443");
        until(f, "PortTaken");
        assert_string_equal(f->config, SERVED);
        assert_non_null(strstr(f->facts.serves[0].text, "127.0.0.1:10443"));
        wish(f, 0, NULL);
        turns(f, 30);
        assert_string_equal(f->config, SERVED);
}

static void somebody_elses_port(void **state)
{
        Fixture *f = *state;

        set_config(f, "{\"TCP\":{\"443\":{\"HTTPS\":true}}}");
        wish(f, 443, "127.0.0.1:10443");
        until(f, "PortTaken");
        assert_int_equal(f->n_posts, 0);
        /* He goes. */
        set_config(f, "{}");
        pass(f, SERVE_LOOK_S);
        until(f, "Serving");
        set_config(f, "{\"TCP\":{\"443\":" ENVOY "},\"AllowFunnel\":{\"a:443\":true}}");
        pass(f, SERVE_LOOK_S);
        until(f, "FunnelOn");
        assert_string_equal(f->config, "{\"AllowFunnel\":{\"a:443\":true}}");
}

static void a_race_is_read_again(void **state)
{
        Fixture *f = *state;

        f->races = THEIRS;
        f->n_races = 3;
        wish(f, 443, "127.0.0.1:10443");
        until(f, "Serving");
        assert_string_equal(f->config, BOTH);
        assert_int_equal(f->facts.serve_counts.conflicts, 3);
        assert_int_equal(f->n_posts, 4);
        /* One that never ends is given up for a while. */
        f->n_races = 1000;
        set_config(f, "{}");
        pass(f, SERVE_LOOK_S);
        until(f, "ChangedMeanwhile");
        assert_false(f->facts.serves[0].is_serving);
        assert_int_equal(f->n_posts, 4 + SERVE_RACES_MAX + 1);
        turns(f, 30);
        assert_int_equal(f->n_posts, 4 + SERVE_RACES_MAX + 1);
        f->n_races = 0;
        pass(f, 1);
        until(f, "Serving");
}

static void faults(void **state)
{
        static const struct {
                const char *post, *reason;
        } cases[] = {{"403 Forbidden", "Forbidden"},
                     {"500 Internal Server Error", "ServerError"},
                     {"404 Not Found", "NotTailscaled"}};
        Fixture *f = *state;

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                f->post_answer = cases[i].post;
                wish(f, (uint16_t)(443 + i), "127.0.0.1:10443");
                until(f, cases[i].reason);
                assert_string_equal(f->config, "null");
        }
        f->post_answer = NULL;
        assert_int_equal(f->facts.serve_counts.failures, LENGTH_OF(cases));
        /* Pauses double up to a minute. */
        for (unsigned i = 0; i < 10; i++) {
                unsigned gets = f->n_gets;
                set_config(f, "no json");
                pass(f, SERVE_BACKOFF_MAX_S);
                assert_true(f->n_gets > gets);
                assert_true(is_told(f, "NotServeConfig"));
        }
        set_config(f, "null");
        f->has_no_etag = true;
        pass(f, SERVE_BACKOFF_MAX_S);
        assert_true(is_told(f, "NotServeConfig"));
        assert_non_null(strstr(f->facts.serves[0].text, "ETag"));
        f->has_no_etag = false;
        stop_listening(f);
        test_clock_advance(&f->time, SPAN_S(SERVE_BACKOFF_MAX_S));
        until(f, "NotListening");
        unlink(f->path);
        test_clock_advance(&f->time, SPAN_S(SERVE_BACKOFF_MAX_S));
        until(f, "NoSocket");
        listen_there(f);
        pass(f, SERVE_BACKOFF_MAX_S);
        until(f, "Serving");
}

static void a_socket_that_leads_elsewhere(void **state)
{
        Fixture *f = *state;
        char dir[TEST_PATH], link[TEST_PATH];

        INSIST(mkdir(test_dir_join(&f->dir, "allowed", dir), 0700) == 0);
        INSIST(symlink(f->path, test_dir_join(&f->dir, "allowed/s", link)) == 0);
        serve_writer_close(f->writer);
        f->sockets_dir = dir;
        open_writer(f);
        wish_at(f, link, 443, "127.0.0.1:10443", NULL);
        until(f, "PathRefused");
        assert_int_equal(f->n_gets, 0);
}

static void what_is_refused_is_told(void **state)
{
        Fixture *f = *state;

        wish_at(f, f->path, 443, "127.0.0.1:10443", "PortTaken");
        assert_true(is_told(f, "PortTaken"));
        assert_string_equal(f->facts.serves[0].text, "because");
        turns(f, 20);
        assert_int_equal(f->n_gets, 0);
        assert_int_equal(f->n_facts, 1);
}

/* Another one leads: nothing is asked, nothing is taken away. */
static void who_rests_leaves_all_as_it_is(void **state)
{
        Fixture *f = *state;

        wish(f, 443, "127.0.0.1:10443");
        until(f, "Serving");
        serve_writer_rest(f->writer);
        serve_writer_look(f->writer);
        unsigned gets = f->n_gets;
        test_clock_advance(&f->time, SPAN_S(3600));
        turns(f, 20);
        assert_int_equal(f->n_gets, gets);
        assert_int_equal(f->facts.n_serves, 0);
        assert_string_equal(f->config, SERVED);
        serve_writer_rest(f->writer);
        wish(f, 443, "127.0.0.1:10443");
        until(f, "Serving");
        assert_int_equal(f->n_posts, 1);
}

/* At every step, with a wish that changes or without. */
static void closed_and_changed_in_every_state(void **state)
{
        Fixture *f = *state;

        for (unsigned n = 0; n < 30; n++) {
                set_config(f, "null");
                wish(f, 443, "127.0.0.1:10443");
                turns(f, n);
                if (n % 2 == 0) {
                        serve_writer_close(f->writer);
                        open_writer(f);
                }
                wish(f, 443, n % 3 == 0 ? "127.0.0.1:10443" : "127.0.0.1:9443");
                until(f, "Serving");
                until_config(f, n % 3 == 0 ? SERVED
                                           : "{\"TCP\":{\"443\":{\"TCPForward\":\"127.0.0.1:9443\","
                                             "\"ProxyProtocol\":2}}}");
                wish(f, 0, NULL);
                until_config(f, "{}");
        }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_forward_is_set_and_kept),
                TEST(what_moves_and_what_goes),
                TEST(a_restart),
                TEST(without_a_record),
                TEST(somebody_elses_port),
                TEST(a_race_is_read_again),
                TEST(faults),
                TEST(a_socket_that_leads_elsewhere),
                TEST(what_is_refused_is_told),
                TEST(who_rests_leaves_all_as_it_is),
                TEST(closed_and_changed_in_every_state),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
