/* SPDX-License-Identifier: Apache-2.0 */
/* Probes on a clock that is told to go on, through a scripted proxy. */
#include "source/prober.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/testing.h"
#include "net/http_client.h"
#include "net/script_server.h"

enum {
        TURNS_MAX = 2000,
        MANY = 100,
};

#define STANDS  "HTTP/1.1 200 Connection established\r\n\r\n"
#define REFUSES "HTTP/1.1 500 no\r\nContent-Length: 0\r\n\r\n"

typedef struct Fixture {
        TestClock time;
        Clock clock;
        Loop *loop;
        HttpClient *http;
        ScriptServer proxy;
        char proxy_text[64];
        Str proxies[1];
        Facts facts;
        Prober *prober;
        World *world;
        ProbeRules rules;
        ConnectMode mode;
        const Policy *policy; /* of the World; may be NULL */
} Fixture;

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof *f);
        f->time = (TestClock){{SPAN_S(1000).ns}, {INT64_C(1795381081000)}, 0};
        f->clock = test_clock(&f->time);
        f->loop = loop_new(&f->clock);
        f->http = http_client_new(f->loop, NULL);
        script_server_open(&f->proxy, f->loop);
        script_server_set(&f->proxy, STANDS, SCRIPT_STALL);
        snprintf(f->proxy_text, sizeof f->proxy_text, "127.0.0.1:%u", f->proxy.port);
        f->proxies[0] = str_of(f->proxy_text);
        f->rules = (ProbeRules){PROBE_TCP, SPAN_S(30), SPAN_S(2), 3, 1};
        facts_init(&f->facts);
        f->prober = prober_open(
                &(ProberInput){.loop = f->loop, .http = f->http, .facts = &f->facts, .seed = 7});
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;
        f->prober = prober_close(f->prober);
        assert_int_equal(f->facts.n_probes, 0);
        leaf_unref(f->world);
        http_client_free(f->http);
        script_server_close(&f->proxy);
        loop_turn(f->loop, SPAN_MS(0));
        loop_free(f->loop);
        facts_done(&f->facts);
        mem_free(f);
        return 0;
}

/* --- a World with one entry --- */

static const Table *one(const void *leaf)
{
        return table_new(&leaf, 1, NULL);
}

static const Table *some_endpoints(unsigned n, Protocol protocol)
{
        CLEANUP(mem_cleanup) const void **leaves = mem_new_array(n + 1, sizeof *leaves);
        for (unsigned i = 0; i < n; i++) {
                char ip[32], name[32];
                snprintf(ip, sizeof ip, "100.64.%u.%u", (i + 1) / 256, (i + 1) % 256);
                snprintf(name, sizeof name, "svc-%u", i);
                leaves[i] = endpoint_new(&(Endpoint){.service = str_of(name),
                                                     .ip = str_of(ip),
                                                     .port = 8080,
                                                     .protocol = protocol});
        }
        return table_new(leaves, n, endpoint_order);
}

static void probe_world(Fixture *f, unsigned n, Protocol protocol)
{
        static TailnetEntry entry; /* the spec points to it */
        entry = (TailnetEntry){.name = STR("corp"),
                               .tailnet_name = STR("corp"),
                               .discovery = {.enabled = true, .probes = f->rules},
                               .connectivity = {.mode = f->mode, .proxies = {f->proxies, 1}}};
        GatewaySpec *g = leaf_new(sizeof *g, 0, NULL);
        g->meta.key = (ObjectKey){STR("ns"), STR("gw")};
        g->tailnets = &entry;
        g->n_tailnets = 1;
        EntryView *v = leaf_new(sizeof *v, 0, entry_view_drop);
        v->gateway = g->meta.key;
        v->tailnet = entry.name;
        v->endpoints = some_endpoints(n, protocol);
        leaf_unref(f->world);
        f->world = world_new_empty();
        table_unref(f->world->gateways);
        table_unref(f->world->entries);
        f->world->gateways = one(g);
        f->world->entries = one(v);
        f->world->policy = leaf_ref(f->policy);
        prober_update(f->prober, f->world);
}

/* --- time --- */

static void pass(Fixture *f, Span span)
{
        for (int64_t left = span.ns; left > 0; left -= SPAN_MS(100).ns) {
                test_clock_advance(&f->time, SPAN_MS(100));
                for (int i = 0; i < 5; i++)
                        loop_turn(f->loop, SPAN_MS(0));
        }
}

static const ProbeFact *fact(const Fixture *f, size_t i)
{
        assert_true(i < f->facts.n_probes);
        return f->facts.probes[i];
}

static uint64_t ended(const Fixture *f)
{
        uint64_t n = 0;
        for (size_t i = 0; i < f->facts.n_probes; i++)
                n += f->facts.probes[i]->ok + f->facts.probes[i]->failed;
        return n;
}

/* The sockets are real: they take turns, but none of the test's time. */
static void settle(Fixture *f, uint64_t n)
{
        for (int i = 0; i < TURNS_MAX && ended(f) < n; i++)
                loop_turn(f->loop, SPAN_MS(5));
        assert_int_equal(ended(f), n);
}

/* --- tests --- */

static void an_endpoint_is_probed_every_interval(void **state)
{
        Fixture *f = *state;
        probe_world(f, 1, PROTOCOL_HTTP);
        assert_int_equal(fact(f, 0)->verdict, PROBE_UNKNOWN);
        pass(f, SPAN_S(30));
        settle(f, 1);
        assert_int_equal(fact(f, 0)->verdict, PROBE_HEALTHY);
        assert_true(str_starts(buf_str(&f->proxy.request), STR("CONNECT 100.64.0.1:8080 ")));
        for (uint64_t i = 2; i < 8; i++) {
                Wall last = fact(f, 0)->last;
                for (int k = 0; k < 400 && ended(f) < i; k++)
                        pass(f, SPAN_MS(100));
                int64_t apart = fact(f, 0)->last.ms - last.ms;
                assert_in_range(apart, 26900, 33300); /* ±10 %, seen every 100 ms */
        }
}

static void thresholds_make_the_verdict(void **state)
{
        Fixture *f = *state;
        script_server_set(&f->proxy, REFUSES, SCRIPT_CLOSE);
        probe_world(f, 1, PROTOCOL_HTTP);
        for (uint64_t i = 1; i <= 3; i++) {
                assert_int_equal(fact(f, 0)->verdict, PROBE_UNKNOWN);
                for (int k = 0; k < 40 && ended(f) < i; k++)
                        pass(f, SPAN_S(1));
        }
        assert_int_equal(fact(f, 0)->verdict, PROBE_UNHEALTHY);
        assert_non_null(strstr(fact(f, 0)->error, "500"));
        script_server_set(&f->proxy, STANDS, SCRIPT_STALL);
        for (int k = 0; k < 40 && ended(f) < 4; k++)
                pass(f, SPAN_S(1));
        assert_int_equal(fact(f, 0)->verdict, PROBE_HEALTHY);
        assert_string_equal(fact(f, 0)->error, "");
}

static void a_silent_proxy_costs_the_timeout(void **state)
{
        Fixture *f = *state;
        script_server_set(&f->proxy, "H", SCRIPT_STALL);
        f->rules.failures = 1;
        probe_world(f, 1, PROTOCOL_HTTP);
        pass(f, SPAN_S(33));
        settle(f, 1);
        assert_int_equal(fact(f, 0)->verdict, PROBE_UNHEALTHY);
        assert_true(fact(f, 0)->seconds >= 2 && fact(f, 0)->seconds < 3);
}

static void http_asks_and_any_status_is_alive(void **state)
{
        Fixture *f = *state;
        f->rules.type = PROBE_HTTP;
        f->proxy.paths[0] = (ScriptPath){"100.64.0.1", STANDS, SCRIPT_KEEP, 0};
        f->proxy.paths[1] =
                (ScriptPath){"/", "HTTP/1.1 404 no\r\nContent-Length: 0\r\n\r\n", SCRIPT_KEEP, 0};
        probe_world(f, 1, PROTOCOL_HTTP);
        pass(f, SPAN_S(30));
        settle(f, 1);
        assert_int_equal(fact(f, 0)->verdict, PROBE_HEALTHY);
        assert_int_equal(f->proxy.paths[1].n_requests, 1);
        /* What speaks no HTTP is not asked in it. */
        probe_world(f, 1, PROTOCOL_TCP);
        pass(f, SPAN_S(30));
        settle(f, 1);
        assert_int_equal(f->proxy.paths[1].n_requests, 1);
}

static void many_are_spread_and_bounded(void **state)
{
        Fixture *f = *state;
        f->rules.timeout = SPAN_S(25);
        script_server_set(&f->proxy, "H", SCRIPT_STALL);
        probe_world(f, MANY, PROTOCOL_HTTP);
        assert_int_equal(f->facts.n_probes, MANY);
        pass(f, SPAN_S(3));
        assert_true(f->proxy.n_conns > 0 && f->proxy.n_conns < MANY / 2);
        pass(f, SPAN_S(20));
        assert_int_equal(f->proxy.n_conns, PROBER_IN_FLIGHT_MAX);
        assert_int_equal(ended(f), 0);
        pass(f, SPAN_S(120));
        assert_true(ended(f) > MANY);
}

static void what_stays_keeps_what_is_known(void **state)
{
        Fixture *f = *state;
        probe_world(f, 2, PROTOCOL_HTTP);
        pass(f, SPAN_S(30));
        settle(f, 2);
        probe_world(f, 3, PROTOCOL_HTTP);
        assert_int_equal(f->facts.n_probes, 3);
        assert_int_equal(fact(f, 0)->ok, 1);
        assert_int_equal(fact(f, 2)->verdict, PROBE_UNKNOWN);
        probe_world(f, 1, PROTOCOL_HTTP);
        assert_int_equal(f->facts.n_probes, 1);
        assert_int_equal(fact(f, 0)->ok, 1);
        f->rules.type = PROBE_NONE;
        probe_world(f, 1, PROTOCOL_HTTP);
        assert_int_equal(f->facts.n_probes, 0);
}

static void what_cannot_be_probed_says_why(void **state)
{
        Fixture *f = *state;
        probe_world(f, 1, PROTOCOL_UDP);
        assert_string_equal(fact(f, 0)->error, "UDP cannot be probed");
        f->proxies[0] = STR("/run/proxy.sock");
        probe_world(f, 1, PROTOCOL_HTTP);
        assert_non_null(strstr(fact(f, 0)->error, "unix socket"));
        f->proxies[0] = STR("nobody.example:3128");
        probe_world(f, 1, PROTOCOL_HTTP);
        assert_string_equal(fact(f, 0)->error, "there is no proxy");
        f->policy = policy_new(&(PolicyInput){.in_kubernetes = true}, NULL);
        f->proxies[0] = str_of(f->proxy_text);
        probe_world(f, 1, PROTOCOL_HTTP);
        assert_string_equal(fact(f, 0)->error, "its proxy is not within --allowed-proxies");
        f->policy = leaf_unref(f->policy);
        f->proxies[0] = STR("nobody.example:3128");
        probe_world(f, 1, PROTOCOL_HTTP);
        pass(f, SPAN_S(60));
        assert_int_equal(ended(f), 0);
        /* As soon as there is a way it is taken. */
        f->proxies[0] = str_of(f->proxy_text);
        probe_world(f, 1, PROTOCOL_HTTP);
        pass(f, SPAN_S(30));
        settle(f, 1);
        assert_string_equal(fact(f, 0)->error, "");
}

static void closed_in_every_state(void **state)
{
        Fixture *f = *state;
        script_server_set(&f->proxy, "H", SCRIPT_STALL);
        f->rules.timeout = SPAN_S(30);
        for (int when = 0; when < 4; when++) {
                probe_world(f, MANY, PROTOCOL_HTTP);
                pass(f, SPAN_S(when * 9));
                f->prober = prober_close(f->prober);
                pass(f, SPAN_S(1));
                f->prober = prober_open(&(ProberInput){
                        .loop = f->loop, .http = f->http, .facts = &f->facts, .seed = 7});
        }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

static unsigned lines_about_all; /* in the log */

static void on_line(void *ctx, Str line)
{
        (void)ctx;
        lines_about_all +=
                (str_find_str(line, STR("more endpoints than can be probed wanted=5001")) >= 0) ||
                (str_find_str(line, STR("all endpoints are probed again")) >= 0);
}

static Wall no_time(void *ctx)
{
        (void)ctx;
        return (Wall){1};
}

static void what_is_beyond_the_cap_is_told_once(void **state)
{
        Fixture *f = *state;
        Log log = {.level = LOG_INFO, .now = no_time, .write = on_line};
        f->prober = prober_close(f->prober);
        f->prober = prober_open(&(ProberInput){
                .loop = f->loop, .log = &log, .http = f->http, .facts = &f->facts, .seed = 7});
        lines_about_all = 0;
        probe_world(f, PROBER_ENDPOINTS_MAX, PROTOCOL_HTTP);
        assert_int_equal(lines_about_all, 0);
        assert_int_equal(f->facts.n_unprobed, 0);
        for (int i = 0; i < 2; i++) {
                probe_world(f, PROBER_ENDPOINTS_MAX + 1, PROTOCOL_HTTP);
                assert_int_equal(lines_about_all, 1);
                assert_int_equal(f->facts.n_unprobed, 1);
                assert_int_equal(f->facts.n_probes, PROBER_ENDPOINTS_MAX);
        }
        probe_world(f, 1, PROTOCOL_HTTP);
        assert_int_equal(lines_about_all, 2);
        assert_int_equal(f->facts.n_unprobed, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(an_endpoint_is_probed_every_interval), TEST(thresholds_make_the_verdict),
                TEST(a_silent_proxy_costs_the_timeout),     TEST(http_asks_and_any_status_is_alive),
                TEST(many_are_spread_and_bounded),          TEST(what_stays_keeps_what_is_known),
                TEST(what_cannot_be_probed_says_why),       TEST(closed_in_every_state),
                TEST(what_is_beyond_the_cap_is_told_once),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
