/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One tailnet on its clock, against a scripted control server. Time stands still unless a test
 * moves it.
 */
#include "source/tailnet_poll.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/file.h"
#include "io/testing.h"
#include "net/http_client.h"
#include "net/script_server.h"
#include "source/pace.h"

#define NODE(id, name)                                                                  \
        "{\"id\":\"" id "\",\"givenName\":\"" name "\",\"ipAddresses\":[\"100.64.0." id \
        "\"],\"online\":true}"
#define OK       "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
#define ONE_NODE OK "{\"nodes\":[" NODE("1", "api") "]}"
#define FAILS    "HTTP/1.1 500 Oh\r\nConnection: close\r\n\r\n"
#define LIMITED  "HTTP/1.1 429 Slow\r\nRetry-After: 60\r\nConnection: close\r\n\r\n"

enum {
        INTERVAL_S = 30,
        TURNS_MAX = 5000
};

typedef struct Fixture {
        TestClock time;
        Clock clock;
        Loop *loop;
        HttpClient *http;
        ScriptServer server;
        Facts facts;
        TestDir dir;
        char url[64], other_url[64], path[TEST_PATH];
        TailnetPoll *poll;
        unsigned n_told;
} Fixture;

static TailnetSpec *spec_of(const char *url, int64_t interval_s)
{
        TailnetSpec *s = leaf_new(sizeof *s, 256, NULL);
        s->meta.key = (ObjectKey){STR("team"), STR("corp")};
        s->api_url = leaf_str(&s->leaf, str_of(url));
        s->type = TAILNET_HEADSCALE;
        s->poll_interval = SPAN_S(interval_s);
        return s;
}

static SecretSpec *secret_of(const char *key)
{
        SecretSpec *s = leaf_new(sizeof *s, 64, secret_spec_drop);
        s->api_key = secret_new(str_of(key));
        return s;
}

static void on_told(TailnetPoll *p)
{
        ((Fixture *)tailnet_poll_owner(p))->n_told++;
}

static void open_under(Fixture *f, const Policy *policy, TailnetSpec *spec, SecretSpec *secret)
{
        f->poll = tailnet_poll_open(&(TailnetPollInput){.loop = f->loop,
                                                        .http = f->http,
                                                        .facts = &f->facts,
                                                        .policy = policy,
                                                        .seed = 7,
                                                        .fn = on_told,
                                                        .owner = f},
                                    spec, secret);
        leaf_unref(spec);
        leaf_unref(secret);
}

static void open_poll(Fixture *f, TailnetSpec *spec, SecretSpec *secret)
{
        open_under(f, NULL, spec, secret);
}

static void update(Fixture *f, TailnetSpec *spec, SecretSpec *secret)
{
        tailnet_poll_update(f->poll, spec, secret);
        leaf_unref(spec);
        leaf_unref(secret);
}

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof *f);
        f->time = (TestClock){{SPAN_S(1000).ns}, {INT64_C(1795381081000)}, 0};
        f->clock = test_clock(&f->time);
        f->loop = loop_new(&f->clock);
        f->http = http_client_new(f->loop, NULL);
        script_server_open(&f->server, f->loop);
        facts_init(&f->facts);
        test_dir_init(&f->dir);
        test_dir_join(&f->dir, "devices", f->path);
        snprintf(f->url, sizeof f->url, "http://127.0.0.1:%u", f->server.port);
        snprintf(f->other_url, sizeof f->other_url, "http://127.0.0.1:%u/other", f->server.port);
        script_server_set(&f->server, ONE_NODE, SCRIPT_CLOSE);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;
        tailnet_poll_close(f->poll);
        http_client_free(f->http);
        script_server_close(&f->server);
        loop_turn(f->loop, SPAN_MS(0));
        loop_free(f->loop);
        facts_done(&f->facts);
        test_dir_done(&f->dir);
        mem_free(f);
        return 0;
}

static const SourceFact *fact(const Fixture *f)
{
        const TailnetFact *t = facts_find_tailnet(&f->facts, (ObjectKey){STR("team"), STR("corp")});
        return t != NULL ? &t->sources[SOURCE_PRIMARY] : NULL;
}

/* Until it is told of something. */
static void wait_told(Fixture *f)
{
        unsigned before = f->n_told;
        for (unsigned i = 0; i < TURNS_MAX && f->n_told == before; i++)
                loop_turn(f->loop, SPAN_MS(5));
        assert_int_equal(f->n_told, before + 1);
}

static uint64_t polls(const Fixture *f)
{
        return fact(f)->polls;
}

/* Until the next poll has ended. */
static void wait_polled(Fixture *f)
{
        uint64_t before = polls(f);
        for (unsigned i = 0; i < TURNS_MAX && polls(f) == before; i++)
                loop_turn(f->loop, SPAN_MS(5));
        assert_int_equal(polls(f), before + 1);
}

static void settle(Fixture *f)
{
        for (int i = 0; i < 6; i++)
                loop_turn(f->loop, SPAN_MS(1));
}

static void pass(Fixture *f, Span by)
{
        test_clock_advance(&f->time, by);
        settle(f);
}

/* Until the next poll, by what Facts say. */
static Span until_next(const Fixture *f)
{
        assert_int_not_equal(fact(f)->next.ms, 0);
        return SPAN_MS(fact(f)->next.ms - f->time.wall.ms);
}

/* Lets time pass until the next poll has ended. */
static void next_poll(Fixture *f)
{
        test_clock_advance(&f->time, mono_since((Mono){until_next(f).ns}, (Mono){0}));
        test_clock_advance(&f->time, SPAN_MS(1));
        wait_polled(f);
}

/* ---- when ---- */

static void polls_at_once_then_each_interval_with_jitter(void **state)
{
        Fixture *f = *state;
        int64_t low = INT64_MAX, high = 0;
        open_poll(f, spec_of(f->url, INTERVAL_S), secret_of("key"));
        assert_null(tailnet_poll_state(f->poll));
        wait_polled(f);
        for (unsigned i = 1; i <= 30; i++) {
                Span next = until_next(f);
                assert_in_range(next.ns, SPAN_S(27).ns, SPAN_S(33).ns);
                low = next.ns < low ? next.ns : low;
                high = next.ns > high ? next.ns : high;
                pass(f, SPAN_S(26));
                assert_int_equal(polls(f), i);
                next_poll(f);
                assert_int_equal(polls(f), i + 1);
        }
        assert_true(high - low > SPAN_S(3).ns);
        assert_int_equal(fact(f)->polls, 31);
        assert_int_equal(tailnet_poll_state(f->poll)->poll, 31);
}

static void failures_back_off_and_keep_the_devices(void **state)
{
        Fixture *f = *state;
        open_poll(f, spec_of(f->url, INTERVAL_S), secret_of("key"));
        wait_polled(f);
        const Table *devices = tailnet_poll_state(f->poll)->devices;
        script_server_set(&f->server, FAILS, SCRIPT_CLOSE);
        int64_t ceiling = 1;
        next_poll(f);
        for (unsigned i = 1; i <= 12; i++) {
                const TailnetState *s = tailnet_poll_state(f->poll);
                assert_int_equal(fact(f)->failures_in_a_row, i);
                assert_string_equal(fact(f)->reason, "ServerError");
                assert_int_equal(s->sync, SYNC_STALE);
                assert_ptr_equal(s->devices, devices);
                assert_int_equal(s->poll, 1);
                assert_true(str_eq(s->error_reason, STR("ServerError")));
                assert_in_range(until_next(f).ns, SPAN_MS(99).ns, SPAN_S(ceiling).ns);
                ceiling = ceiling * 2 < PACE_BACKOFF_MAX_S ? ceiling * 2 : PACE_BACKOFF_MAX_S;
                next_poll(f);
        }
        script_server_set(&f->server, ONE_NODE, SCRIPT_CLOSE);
        next_poll(f);
        assert_int_equal(fact(f)->failures_in_a_row, 0);
        assert_string_equal(fact(f)->reason, "");
        assert_int_equal(tailnet_poll_state(f->poll)->sync, SYNC_DONE);
        /* The same list is the same Table. */
        assert_ptr_equal(tailnet_poll_state(f->poll)->devices, devices);
        assert_in_range(until_next(f).ns, SPAN_S(27).ns, SPAN_S(33).ns);
}

static void never_synced_has_no_devices(void **state)
{
        Fixture *f = *state;
        script_server_set(&f->server, FAILS, SCRIPT_CLOSE);
        open_poll(f, spec_of(f->url, INTERVAL_S), secret_of("key"));
        wait_polled(f);
        assert_int_equal(tailnet_poll_state(f->poll)->sync, SYNC_NEVER);
        assert_null(tailnet_poll_state(f->poll)->devices);
        assert_int_equal(fact(f)->last_sync.ms, 0);
}

/* ---- Retry-After ---- */

static void open_limited(Fixture *f)
{
        script_server_set(&f->server, LIMITED, SCRIPT_CLOSE);
        open_poll(f, spec_of(f->url, INTERVAL_S), secret_of("key"));
        wait_polled(f);
        script_server_set(&f->server, ONE_NODE, SCRIPT_CLOSE);
}

static void retry_after_is_obeyed_whatever_triggers(void **state)
{
        Fixture *f = *state;
        open_limited(f);
        assert_true(until_next(f).ns >= SPAN_S(60).ns);
        for (int s = 0; s < 59; s++) {
                tailnet_poll_trigger(f->poll);
                pass(f, SPAN_S(1));
        }
        assert_int_equal(polls(f), 1);
        test_clock_advance(&f->time, SPAN_S(2));
        wait_polled(f);
        assert_int_equal(polls(f), 2);
}

static void retry_after_is_obeyed_when_the_spec_changes(void **state)
{
        Fixture *f = *state;
        open_limited(f);
        update(f, spec_of(f->url, 2 * INTERVAL_S), secret_of("key"));
        pass(f, SPAN_S(59));
        assert_int_equal(polls(f), 1);
        test_clock_advance(&f->time, SPAN_S(2));
        wait_polled(f);
        assert_int_equal(polls(f), 2);
}

static void retry_after_holds_for_its_server_only(void **state)
{
        Fixture *f = *state;
        open_limited(f);
        update(f, spec_of(f->other_url, INTERVAL_S), secret_of("key"));
        wait_polled(f);
        assert_int_equal(polls(f), 2);
}

/* ---- triggers ---- */

static void a_trigger_brings_the_next_poll_forward(void **state)
{
        Fixture *f = *state;
        open_poll(f, spec_of(f->url, INTERVAL_S), secret_of("key"));
        wait_polled(f);
        tailnet_poll_trigger(f->poll);
        wait_polled(f);
        assert_in_range(until_next(f).ns, SPAN_S(27).ns, SPAN_S(33).ns);
        tailnet_poll_trigger(f->poll);
        assert_true(until_next(f).ns <= SPAN_S(5).ns);
        pass(f, SPAN_S(4));
        assert_int_equal(polls(f), 2);
        test_clock_advance(&f->time, SPAN_S(1));
        wait_polled(f);
}

static void triggered_polls_keep_five_seconds_apart(void **state)
{
        Fixture *f = *state;
        open_poll(f, spec_of(f->url, 3600), secret_of("key"));
        wait_polled(f);
        for (int s = 0; s < 60; s++) {
                tailnet_poll_trigger(f->poll);
                pass(f, SPAN_S(1));
                for (unsigned i = 0; i < 200 && fact(f)->next.ms == 0; i++)
                        loop_turn(f->loop, SPAN_MS(5));
        }
        assert_in_range(polls(f), 12, 14);
}

/* The poll may have asked before what was the reason of the trigger. */
static void a_trigger_during_a_poll_is_not_lost(void **state)
{
        Fixture *f = *state;
        open_poll(f, spec_of(f->url, INTERVAL_S), secret_of("key"));
        for (unsigned i = 0; i < TURNS_MAX && f->server.n_requests == 0; i++)
                loop_turn(f->loop, SPAN_MS(5));
        tailnet_poll_trigger(f->poll);
        tailnet_poll_trigger(f->poll);
        wait_polled(f);
        wait_polled(f);
        settle(f);
        assert_int_equal(polls(f), 2);
        assert_true(until_next(f).ns > SPAN_S(26).ns);
}

/* ---- what is asked with ---- */

static bool asked_with(const Fixture *f, const char *key)
{
        char line[64];
        snprintf(line, sizeof line, "Authorization: Bearer %s\r\n", key);
        return str_find_str(buf_str(&f->server.request), str_of(line)) >= 0;
}

static void a_new_credential_is_used_at_once(void **state)
{
        Fixture *f = *state;
        open_poll(f, spec_of(f->url, INTERVAL_S), secret_of("old"));
        wait_polled(f);
        assert_true(asked_with(f, "old"));
        const Table *devices = table_ref(tailnet_poll_state(f->poll)->devices);
        script_server_set(&f->server, "HTTP/1.1 401 No\r\nConnection: close\r\n\r\n", SCRIPT_CLOSE);
        next_poll(f);
        assert_string_equal(fact(f)->reason, "Unauthorized");
        script_server_set(&f->server, ONE_NODE, SCRIPT_CLOSE);
        update(f, spec_of(f->url, INTERVAL_S), secret_of("new"));
        wait_polled(f);
        assert_true(asked_with(f, "new"));
        assert_string_equal(fact(f)->reason, "");
        assert_ptr_equal(tailnet_poll_state(f->poll)->devices, devices);
        table_unref(devices);
}

static void a_change_in_flight_aborts_and_keeps_what_was_good(void **state)
{
        Fixture *f = *state;
        open_poll(f, spec_of(f->url, INTERVAL_S), secret_of("old"));
        wait_polled(f);
        const Table *devices = table_ref(tailnet_poll_state(f->poll)->devices);
        script_server_set(&f->server, OK "{\"nodes\":[", SCRIPT_STALL);
        test_clock_advance(&f->time, SPAN_S(34));
        for (unsigned i = 0; i < TURNS_MAX && fact(f)->next.ms != 0; i++)
                loop_turn(f->loop, SPAN_MS(5));
        settle(f);
        assert_int_equal(fact(f)->next.ms, 0);
        script_server_set(&f->server, ONE_NODE, SCRIPT_CLOSE);
        TailnetSpec *spec = spec_of(f->url, INTERVAL_S);
        spec->magic_dns_suffix = STR("corp.example");
        update(f, spec, secret_of("new"));
        assert_int_equal(tailnet_poll_state(f->poll)->sync, SYNC_DONE);
        assert_ptr_equal(tailnet_poll_state(f->poll)->devices, devices);
        wait_polled(f);
        settle(f);
        assert_int_equal(f->n_told, 2);
        assert_true(asked_with(f, "new"));
        assert_true(str_eq(tailnet_poll_state(f->poll)->suffix, STR("corp.example")));
        table_unref(devices);
}

static void the_same_objects_change_nothing(void **state)
{
        Fixture *f = *state;
        TailnetSpec *spec = spec_of(f->url, INTERVAL_S);
        SecretSpec *secret = secret_of("key");
        open_poll(f, leaf_ref(spec), leaf_ref(secret));
        wait_polled(f);
        update(f, spec, secret);
        pass(f, SPAN_S(20));
        assert_int_equal(polls(f), 1);
}

static void without_a_credential_it_is_told_and_tried_again(void **state)
{
        Fixture *f = *state;
        open_poll(f, spec_of(f->url, INTERVAL_S), NULL);
        wait_polled(f);
        assert_string_equal(fact(f)->reason, "CredentialMissing");
        assert_int_equal(tailnet_poll_state(f->poll)->sync, SYNC_NEVER);
        /* As many polls as failures, or a rate of them is above one. */
        assert_int_equal(fact(f)->failures, 1);
        assert_int_equal(fact(f)->polls, 1);
        next_poll(f);
        assert_int_equal(fact(f)->failures, 2);
        update(f, spec_of(f->url, INTERVAL_S), secret_of("key"));
        wait_polled(f);
        assert_int_equal(tailnet_poll_state(f->poll)->sync, SYNC_DONE);
}

/* ---- a file ---- */

static void write_devices(const Fixture *f, const char *text)
{
        assert_true(file_write_atomic(f->dir.path, "devices", str_of(text), 0600, false, NULL));
}

static bool has_devices(const Fixture *f, size_t n)
{
        const TailnetState *s = tailnet_poll_state(f->poll);
        return s != NULL && table_n(s->devices) == n;
}

static void a_file_that_changes_is_read_before_its_turn(void **state)
{
        Fixture *f = *state;
        write_devices(f, "{\"nodes\":[" NODE("1", "api") "]}");
        TailnetSpec *spec = spec_of("", INTERVAL_S);
        spec->file_path = leaf_str(&spec->leaf, str_of(f->path));
        open_poll(f, spec, NULL);
        wait_polled(f);
        assert_true(has_devices(f, 1));
        write_devices(f, "{\"nodes\":[" NODE("1", "api") "," NODE("2", "web") "]}");
        for (int i = 0; i < 40 && !has_devices(f, 2); i++) {
                loop_turn(f->loop, SPAN_MS(1));
                test_clock_advance(&f->time, SPAN_MS(100));
        }
        assert_true(has_devices(f, 2));
        /* Half a document, as a writer that does not rename leaves it for a moment. */
        write_devices(f, "{\"nodes\":[" NODE("1", "api"));
        for (int i = 0; i < 100 && fact(f)->failures == 0; i++) {
                loop_turn(f->loop, SPAN_MS(1));
                test_clock_advance(&f->time, SPAN_MS(100));
        }
        assert_int_equal(fact(f)->failures, 1);
        assert_true(has_devices(f, 2));
}

/* ---- closing ---- */

typedef enum Moment {
        BEFORE_THE_FIRST_TURN,
        IN_FLIGHT,
        HALF_ANSWERED,
        BETWEEN_POLLS,
        MOMENTS,
} Moment;

static void closed_at_any_moment(void **state)
{
        Fixture *f = *state;
        for (Moment m = 0; m < MOMENTS; m++) {
                script_server_set(&f->server, m == HALF_ANSWERED ? OK "{\"nodes\":[" : ONE_NODE,
                                  m == BETWEEN_POLLS ? SCRIPT_CLOSE : SCRIPT_STALL);
                if (m == IN_FLIGHT)
                        f->server.answer = STR("H");
                f->n_told = 0;
                size_t requests = f->server.n_requests;
                open_poll(f, spec_of(f->url, INTERVAL_S), secret_of("key"));
                for (unsigned i = 0; m != BEFORE_THE_FIRST_TURN && i < TURNS_MAX &&
                                     f->server.n_requests == requests;
                     i++)
                        loop_turn(f->loop, SPAN_MS(5));
                if (m == BETWEEN_POLLS)
                        wait_polled(f);
                settle(f);
                unsigned told = f->n_told;
                f->poll = tailnet_poll_close(f->poll);
                assert_null(fact(f));
                pass(f, SPAN_S(100));
                assert_int_equal(f->n_told, told);
        }
}

/* ---- what a cluster permits ---- */

static void what_is_not_permitted_is_not_asked(void **state)
{
        Fixture *f = *state;
        PolicyInput in = {.in_kubernetes = true};
        CLEANUP(leaf_cleanup) const Policy *strict = policy_new(&in, NULL);
        in.allow_insecure_api = true;
        CLEANUP(leaf_cleanup) const Policy *lax = policy_new(&in, NULL);
        open_under(f, strict, spec_of(f->url, INTERVAL_S), secret_of("key"));
        wait_told(f);
        assert_string_equal(fact(f)->reason, "InsecureAPI");
        assert_true(str_eq(tailnet_poll_state(f->poll)->error_reason, STR("InsecureAPI")));
        assert_int_equal(f->server.n_requests, 0);
        f->poll = tailnet_poll_close(f->poll);
        open_under(f, lax, spec_of(f->url, INTERVAL_S), secret_of("key"));
        wait_told(f);
        assert_int_equal(tailnet_poll_state(f->poll)->sync, SYNC_DONE);
        /* What was good stays, as with any failure. */
        TailnetSpec *spec = spec_of(f->url, INTERVAL_S);
        spec->credentials_env = STR("PATH");
        update(f, spec, NULL);
        pass(f, SPAN_S(PACE_TRIGGER_APART_S));
        assert_string_equal(fact(f)->reason, "EnvRefused");
        assert_int_equal(tailnet_poll_state(f->poll)->n_devices, 1);
}

static TailnetSpec *spec_of_file(const char *path)
{
        TailnetSpec *spec = spec_of("https://example.com", INTERVAL_S);
        spec->file_path = leaf_str(&spec->leaf, str_of(path));
        return spec;
}

/* A link that is turned round is followed no further, though the file had been read. */
static void a_link_that_leads_out_is_not_followed(void **state)
{
        Fixture *f = *state;
        char dir[TEST_PATH], link[TEST_PATH];
        test_dir_join(&f->dir, "below", dir);
        assert_true(file_make_dir(dir, 0700, NULL));
        assert_true(file_write_atomic(dir, "list", STR("{\"devices\": []}"), 0600, false, NULL));
        assert_true(file_write_atomic(f->dir.path, "devices", STR("{\"devices\": []}"), 0600, false,
                                      NULL));
        assert_int_equal(symlink("list", test_dir_join(&f->dir, "below/link", link)), 0);
        PolicyInput in = {.in_kubernetes = true, .local_sources_dir = str_of(dir)};
        CLEANUP(leaf_cleanup) const Policy *policy = policy_new(&in, NULL);
        open_under(f, policy, spec_of_file(link), NULL);
        wait_told(f);
        assert_int_equal(tailnet_poll_state(f->poll)->sync, SYNC_DONE);
        assert_int_equal(unlink(link), 0);
        assert_int_equal(symlink("../devices", link), 0);
        pass(f, SPAN_S(2 * INTERVAL_S));
        assert_string_equal(fact(f)->reason, "PathRefused");
        assert_int_equal(tailnet_poll_state(f->poll)->sync, SYNC_STALE);
        update(f, spec_of_file(f->path), NULL);
        pass(f, SPAN_S(2 * INTERVAL_S));
        assert_string_equal(fact(f)->reason, "PathRefused");
}

static void on_told_close(TailnetPoll *p)
{
        Fixture *f = tailnet_poll_owner(p);
        f->n_told++;
        f->poll = tailnet_poll_close(f->poll);
}

static void closed_inside_its_own_delivery(void **state)
{
        Fixture *f = *state;
        static const char *const answers[] = {ONE_NODE, FAILS, LIMITED};
        for (size_t i = 0; i <= LENGTH_OF(answers); i++) {
                /* The last time without a credential: told by its own timer. */
                bool is_last = i == LENGTH_OF(answers);
                TailnetSpec *spec = spec_of(f->url, INTERVAL_S);
                SecretSpec *secret = is_last ? NULL : secret_of("key");
                if (!is_last)
                        script_server_set(&f->server, answers[i], SCRIPT_CLOSE);
                f->poll = tailnet_poll_open(&(TailnetPollInput){.loop = f->loop,
                                                                .http = f->http,
                                                                .facts = &f->facts,
                                                                .seed = 7,
                                                                .fn = on_told_close,
                                                                .owner = f},
                                            spec, secret);
                leaf_unref(spec);
                leaf_unref(secret);
                wait_told(f);
                assert_null(f->poll);
                pass(f, SPAN_S(400));
                assert_int_equal(f->n_told, i + 1);
        }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(polls_at_once_then_each_interval_with_jitter),
                TEST(failures_back_off_and_keep_the_devices),
                TEST(never_synced_has_no_devices),
                TEST(retry_after_is_obeyed_whatever_triggers),
                TEST(retry_after_is_obeyed_when_the_spec_changes),
                TEST(retry_after_holds_for_its_server_only),
                TEST(a_trigger_brings_the_next_poll_forward),
                TEST(triggered_polls_keep_five_seconds_apart),
                TEST(a_trigger_during_a_poll_is_not_lost),
                TEST(a_new_credential_is_used_at_once),
                TEST(a_change_in_flight_aborts_and_keeps_what_was_good),
                TEST(the_same_objects_change_nothing),
                TEST(without_a_credential_it_is_told_and_tried_again),
                TEST(a_file_that_changes_is_read_before_its_turn),
                TEST(what_is_not_permitted_is_not_asked),
                TEST(a_link_that_leads_out_is_not_followed),
                TEST(closed_at_any_moment),
                TEST(closed_inside_its_own_delivery),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
