/* SPDX-License-Identifier: Apache-2.0 */
/* Looking for open ports on a clock that is told to go on, through a scripted proxy. */
#include "source/port_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "discovery/discover.h"
#include "io/testing.h"
#include "net/http_client.h"
#include "net/script_server.h"

enum {
        TURNS_MAX = 400,
        DEVICES_MAX = 40,
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
        PortScan *scan;
        unsigned told;
        GatewaySpec *gateway;
        TailnetEntry entry;
        World *world;
} Fixture;

static void on_change(void *owner)
{
        ((Fixture *)owner)->told++;
}

static void open_scan(Fixture *f)
{
        f->scan = port_scan_open(&(PortScanInput){
                .loop = f->loop, .http = f->http, .seed = 7, .fn = on_change, .owner = f});
}

static PortSpec ports(const char *text)
{
        PortSpec s;
        char expected[EXPECTED_MAX];

        assert_true(port_spec_parse(str_of(text), &s, expected));
        return s;
}

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof *f);

        f->time = (TestClock){{SPAN_S(1000).ns}, {INT64_C(1795381081000)}, 0};
        f->clock = test_clock(&f->time);
        f->loop = loop_new(&f->clock);
        f->http = http_client_new(f->loop, NULL);
        script_server_open(&f->proxy, f->loop);
        script_server_set(&f->proxy, REFUSES, SCRIPT_CLOSE);
        snprintf(f->proxy_text, sizeof f->proxy_text, "127.0.0.1:%u", f->proxy.port);
        f->proxies[0] = str_of(f->proxy_text);
        f->entry = (TailnetEntry){
                .name = STR("corp"),
                .tailnet_name = STR("corp"),
                .discovery = {.enabled = true,
                              .port_probing = {ports("80,443,8080"), SPAN_S(600), SPAN_S(2)}},
                .connectivity = {.proxies = {f->proxies, 1}},
        };
        f->gateway = leaf_new(sizeof *f->gateway, 0, NULL);
        f->gateway->meta.key = (ObjectKey){STR("ns"), STR("gw")};
        f->gateway->tailnets = &f->entry;
        f->gateway->n_tailnets = 1;
        open_scan(f);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        port_scan_close(f->scan);
        leaf_unref(f->world);
        leaf_unref(f->gateway);
        http_client_free(f->http);
        script_server_close(&f->proxy);
        loop_turn(f->loop, SPAN_MS(0));
        loop_free(f->loop);
        mem_free(f);
        return 0;
}

/* --- a World as discovery makes it --- */

static TailnetState *state_of(unsigned n, uint64_t poll)
{
        CLEANUP(mem_cleanup) const void **leaves = mem_new_array(n + 1, sizeof *leaves);
        TailnetState *s = leaf_new(sizeof *s, 0, tailnet_state_drop);

        for (unsigned i = 0; i < n; i++) {
                char id[32], ip[32];

                snprintf(id, sizeof id, "n%02u", i);
                snprintf(ip, sizeof ip, "100.64.%u.%u", (i + 1) / 256, (i + 1) % 256);
                leaves[i] = device_new(&(Device){.node_id = str_of(id),
                                                 .name = str_of(id),
                                                 .short_name = str_of(id),
                                                 .ip4 = str_of(ip),
                                                 .online = DEVICE_ONLINE,
                                                 .authorized = true});
        }
        s->key = (ObjectKey){STR("ns"), STR("corp")};
        s->sync = SYNC_DONE;
        s->poll = poll;
        s->devices = table_new(leaves, n, device_order);
        return s;
}

static const Table *one(const void *leaf)
{
        return table_new(&leaf, 1, NULL);
}

/* Discovery with what was found so far, as the hub does it; `before` may be NULL. */
static void discover(Fixture *f, unsigned n, const EntryView *before)
{
        TailnetState *s = state_of(n, before != NULL ? before->poll + 1 : 1);
        World *w = world_new_empty();

        table_unref(w->gateways);
        table_unref(w->entries);
        table_unref(w->tailnet_states);
        w->gateways = one(leaf_ref(f->gateway));
        w->tailnet_states = one(s);
        w->entries = one(discover_entry(&(DiscoverInput){.gateway = f->gateway,
                                                         .entry = &f->entry,
                                                         .state = s,
                                                         .before = before,
                                                         .open_ports = port_scan_table(f->scan),
                                                         .now = f->time.wall}));
        leaf_unref(f->world);
        f->world = w;
        port_scan_update(f->scan, w);
}

static const EntryView *view(const Fixture *f)
{
        return f->world->entries->at[0];
}

static void pass(Fixture *f, Span span)
{
        for (int64_t left = span.ns; left > 0; left -= SPAN_MS(500).ns) {
                test_clock_advance(&f->time, SPAN_MS(500));
                for (int i = 0; i < 5; i++)
                        loop_turn(f->loop, SPAN_MS(0));
        }
}

/* Until all is quiet: sockets are real and take turns, but none of the test's time. */
static void settle(Fixture *f, size_t n_requests)
{
        for (int i = 0; i < TURNS_MAX && f->proxy.n_requests < n_requests; i++)
                loop_turn(f->loop, SPAN_MS(5));
        for (int i = 0; i < 5; i++)
                loop_turn(f->loop, SPAN_MS(2));
        assert_int_equal(f->proxy.n_requests, n_requests);
}

static void find_8080_open(Fixture *f)
{
        f->proxy.paths[0] = (ScriptPath){"100.64.0.1:8080", STANDS, SCRIPT_STALL, 0};
}

/* --- tests --- */

static void an_open_port_becomes_an_endpoint(void **state)
{
        Fixture *f = *state;
        const Endpoint *e;

        find_8080_open(f);
        discover(f, 2, NULL);
        assert_int_equal(table_n(view(f)->endpoints), 0);
        settle(f, 6);
        assert_true(f->told >= 1);
        assert_int_equal(table_n(port_scan_table(f->scan)), 2);
        discover(f, 2, view(f));
        assert_int_equal(table_n(view(f)->endpoints), 1);
        e = view(f)->endpoints->at[0];
        assert_int_equal(e->port, 8080);
        assert_true(str_eq(e->port_source, STR("portProbing")));
        assert_true(str_eq(e->service, STR("n00")));
}

static void it_is_looked_for_once_an_interval(void **state)
{
        Fixture *f = *state;

        discover(f, 1, NULL);
        settle(f, 3);
        pass(f, SPAN_S(500));
        settle(f, 3);
        pass(f, SPAN_S(170));
        settle(f, 6);
}

static void a_port_stays_until_it_was_missed_often(void **state)
{
        Fixture *f = *state;

        find_8080_open(f);
        f->proxy.paths[1] = (ScriptPath){"100.64.0.1:443", STANDS, SCRIPT_STALL, 0};
        discover(f, 1, NULL);
        settle(f, 3);
        discover(f, 1, view(f));
        f->proxy.paths[0] = f->proxy.paths[1];
        for (size_t i = 1; i <= PORT_SCAN_MISSES; i++) {
                assert_int_equal(table_n(view(f)->endpoints), 2);
                pass(f, SPAN_S(670));
                settle(f, 3 + 3 * i);
                discover(f, 1, view(f));
        }
        assert_int_equal(table_n(view(f)->endpoints), 1);
}

/* A tailscaled that is logged out refuses everything. */
static void where_nobody_answers_nothing_closes(void **state)
{
        Fixture *f = *state;

        find_8080_open(f);
        discover(f, 2, NULL);
        settle(f, 6);
        discover(f, 2, view(f));
        f->proxy.paths[0] = (ScriptPath){0};
        for (size_t i = 1; i <= 2 * PORT_SCAN_MISSES; i++) {
                pass(f, SPAN_S(670));
                settle(f, 6 + 6 * i);
                discover(f, 2, view(f));
        }
        assert_int_equal(table_n(view(f)->endpoints), 1);
}

static void a_proxy_that_is_away_closes_nothing(void **state)
{
        Fixture *f = *state;

        find_8080_open(f);
        discover(f, 1, NULL);
        settle(f, 3);
        discover(f, 1, view(f));
        script_server_close(&f->proxy);
        for (size_t i = 1; i <= 2 * PORT_SCAN_MISSES; i++) {
                pass(f, SPAN_S(670));
                for (int k = 0; k < 20; k++)
                        loop_turn(f->loop, SPAN_MS(2));
                discover(f, 1, view(f));
        }
        assert_int_equal(table_n(view(f)->endpoints), 1);
        script_server_open(&f->proxy, f->loop); /* for the teardown */
}

/* As both begin together: the program is there before its proxy. */
static void a_restart_with_no_proxy_keeps_what_was_found(void **state)
{
        Fixture *f = *state;

        find_8080_open(f);
        discover(f, 1, NULL);
        settle(f, 3);
        discover(f, 1, view(f));
        port_scan_close(f->scan);
        open_scan(f);
        f->proxy.paths[0] = (ScriptPath){0};
        discover(f, 1, view(f));
        settle(f, 6);
        discover(f, 1, view(f));
        assert_int_equal(table_n(view(f)->endpoints), 1);
}

static void a_restart_keeps_what_was_found(void **state)
{
        Fixture *f = *state;

        find_8080_open(f);
        discover(f, 1, NULL);
        settle(f, 3);
        discover(f, 1, view(f));
        port_scan_close(f->scan);
        open_scan(f);
        discover(f, 1, view(f)); /* nothing was looked at by this process */
        assert_int_equal(table_n(view(f)->endpoints), 1);
        settle(f, 6);
        discover(f, 1, view(f));
        assert_int_equal(table_n(view(f)->endpoints), 1);
}

static void an_edit_takes_effect(void **state)
{
        Fixture *f = *state;

        find_8080_open(f);
        discover(f, 1, NULL);
        settle(f, 3);
        discover(f, 1, view(f));
        f->entry.discovery.port_probing.ports = ports("80");
        discover(f, 1, view(f));
        assert_int_equal(table_n(view(f)->endpoints), 0);
        f->entry.discovery.port_probing = (PortProbing){0};
        discover(f, 1, view(f));
        assert_int_equal(table_n(port_scan_table(f->scan)), 0);
        pass(f, SPAN_S(1000));
        assert_true(f->proxy.n_requests <= 4);
}

static void a_rule_goes_before_looking(void **state)
{
        Fixture *f = *state;

        f->entry.discovery.default_port = 9000;
        f->entry.discovery.default_protocol = PROTOCOL_HTTP;
        discover(f, 1, NULL);
        pass(f, SPAN_S(1000));
        assert_int_equal(f->proxy.n_requests, 0);
        assert_int_equal(table_n(view(f)->endpoints), 1);
}

static void connections_are_bounded(void **state)
{
        Fixture *f = *state;

        script_server_set(&f->proxy, "H", SCRIPT_STALL);
        discover(f, DEVICES_MAX, NULL);
        for (int i = 0; i < 50; i++)
                loop_turn(f->loop, SPAN_MS(2));
        assert_int_equal(f->proxy.n_conns, PORT_SCAN_IN_FLIGHT_MAX);
        pass(f, SPAN_S(40)); /* 120 ports, 2 s each, 8 at once */
        assert_int_equal(table_n(port_scan_table(f->scan)), DEVICES_MAX);
}

static void closed_in_every_state(void **state)
{
        Fixture *f = *state;

        script_server_set(&f->proxy, "H", SCRIPT_STALL);
        for (int when = 0; when < 5; when++) {
                discover(f, DEVICES_MAX, NULL);
                pass(f, SPAN_MS(when * 1500));
                port_scan_close(f->scan);
                pass(f, SPAN_S(1));
                open_scan(f);
        }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

static unsigned lines_about_all; /* in the log */

static void on_line(void *ctx, Str line)
{
        (void)ctx;
        lines_about_all +=
                (str_find_str(line, STR("devices than are looked at for open ports")) >= 0) ||
                (str_find_str(line, STR("all devices are looked at")) >= 0);
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

        port_scan_close(f->scan);
        f->scan = port_scan_open(&(PortScanInput){.loop = f->loop,
                                                  .log = &log,
                                                  .http = f->http,
                                                  .seed = 7,
                                                  .fn = on_change,
                                                  .owner = f});
        lines_about_all = 0;
        discover(f, PORT_SCAN_DEVICES_MAX, NULL);
        assert_int_equal(lines_about_all, 0);
        for (int i = 0; i < 2; i++) {
                discover(f, PORT_SCAN_DEVICES_MAX + 1, NULL);
                assert_int_equal(lines_about_all, 1);
        }
        discover(f, 1, NULL);
        assert_int_equal(lines_about_all, 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(an_open_port_becomes_an_endpoint),
                TEST(it_is_looked_for_once_an_interval),
                TEST(a_port_stays_until_it_was_missed_often),
                TEST(where_nobody_answers_nothing_closes),
                TEST(a_proxy_that_is_away_closes_nothing),
                TEST(a_restart_keeps_what_was_found),
                TEST(a_restart_with_no_proxy_keeps_what_was_found),
                TEST(an_edit_takes_effect),
                TEST(a_rule_goes_before_looking),
                TEST(connections_are_bounded),
                TEST(closed_in_every_state),
                TEST(what_is_beyond_the_cap_is_told_once),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
