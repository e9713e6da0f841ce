/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hub on a clock that stands still unless a test moves it: how long the first World is held up,
 * and that nothing is delivered after a close, whatever is under way.
 */
#include "source/hub.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/file.h"
#include "io/testing.h"
#include "net/http_client.h"
#include "net/script_server.h"

static const char manifests[] = "apiVersion: gateway.tailscale.com/v1alpha1\n"
                                "kind: TailscaleTailnet\n"
                                "metadata: {name: corp}\n"
                                "spec:\n"
                                "  apiURL: http://127.0.0.1:%u\n"
                                "  type: Headscale\n"
                                "  credentials: {secretRef: {name: key}}\n"
                                "%s"
                                "---\n"
                                "apiVersion: v1\n"
                                "kind: Secret\n"
                                "metadata: {name: key}\n"
                                "stringData: {api_key: k}\n"
                                "---\n"
                                "apiVersion: gateway.tailscale.com/v1alpha1\n"
                                "kind: TailscaleGateway\n"
                                "metadata: {name: gw}\n"
                                "spec:\n"
                                "  gatewayRef: {name: eg}\n"
                                "  tailnets:\n"
                                "  - name: corp\n"
                                "    tailscaleTailnetRef: {name: corp}\n"
                                "    serviceDiscovery: {defaultPort: {port: 80}}\n";

#define LIST                                                                     \
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"nodes\":[{\"id\":\"1\"," \
        "\"givenName\":\"api\",\"ipAddresses\":[\"100.64.0.1\"],\"online\":true}]}"

typedef struct Fixture {
        TestClock time;
        Clock clock;
        Loop *loop;
        HttpClient *http;
        ScriptServer server;
        Facts facts;
        TestDir dir;
        Hub *hub;
        bool close_inside;
        unsigned worlds;
} Fixture;

static void on_world(void *owner, const World *world)
{
        Fixture *f = owner;
        assert_non_null(world);
        f->worlds++;
        if (f->close_inside)
                f->hub = hub_close(f->hub);
}

static void write_manifests(const Fixture *f, const char *more)
{
        char text[2048];
        snprintf(text, sizeof text, manifests, f->server.port, more);
        assert_true(file_write_atomic(f->dir.path, "m.yaml", str_of(text), 0600, false, NULL));
}

static void open_hub(Fixture *f)
{
        f->hub = hub_open(&(HubInput){.loop = f->loop,
                                      .http = f->http,
                                      .facts = &f->facts,
                                      .resources = f->dir.path,
                                      .seed = 1,
                                      .fn = on_world,
                                      .owner = f});
}

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof *f);
        f->time = (TestClock){{SPAN_S(1000).ns}, {INT64_C(1795381081000)}, 0};
        f->clock = test_clock(&f->time);
        f->loop = loop_new(&f->clock);
        f->http = http_client_new(f->loop, NULL);
        script_server_open(&f->server, f->loop);
        script_server_set(&f->server, LIST, SCRIPT_STALL);
        facts_init(&f->facts);
        test_dir_init(&f->dir);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;
        hub_close(f->hub);
        http_client_free(f->http);
        script_server_close(&f->server);
        loop_turn(f->loop, SPAN_MS(0));
        loop_free(f->loop);
        facts_done(&f->facts);
        test_dir_done(&f->dir);
        mem_free(f);
        return 0;
}

static void turns(Fixture *f, int n)
{
        while (n-- > 0)
                loop_turn(f->loop, SPAN_MS(0));
}

static void pass(Fixture *f, int64_t ms)
{
        while (ms > 0) {
                test_clock_advance(&f->time, SPAN_MS(ms < 100 ? ms : 100));
                ms -= 100;
                turns(f, 5);
        }
}

static bool is_complete(const Fixture *f)
{
        return hub_world(f->hub)->complete;
}

/* ---- the first World ---- */

static void a_tailnet_that_never_answers_holds_it_up_for_ten_seconds(void **state)
{
        Fixture *f = *state;
        script_server_set(&f->server, "H", SCRIPT_STALL);
        write_manifests(f, "");
        open_hub(f);
        pass(f, 9900);
        assert_false(is_complete(f));
        assert_true(hub_world(f->hub)->resources_read);
        pass(f, 400);
        assert_true(is_complete(f));
}

/* The ten seconds are the tailnet's: before its manifest is read nobody could ask it. */
static void the_wait_begins_when_there_is_something_to_ask(void **state)
{
        Fixture *f = *state;
        script_server_set(&f->server, "H", SCRIPT_STALL);
        assert_true(file_write_atomic(f->dir.path, "m.yaml", STR("kind: [\n"), 0600, false, NULL));
        open_hub(f);
        pass(f, 30000);
        assert_false(hub_world(f->hub)->resources_read);
        write_manifests(f, "");
        for (int i = 0; i < 50 && !hub_world(f->hub)->resources_read; i++)
                pass(f, 100);
        assert_true(hub_world(f->hub)->resources_read);
        assert_false(is_complete(f));
        pass(f, 8000);
        assert_false(is_complete(f));
        pass(f, 3000);
        assert_true(is_complete(f));
}

static void an_answer_ends_the_wait(void **state)
{
        Fixture *f = *state;
        script_server_set(&f->server, LIST, SCRIPT_CLOSE);
        write_manifests(f, "");
        open_hub(f);
        for (int i = 0; i < 50 && !is_complete(f); i++)
                pass(f, 20);
        assert_true(is_complete(f));
        assert_int_equal(table_n(hub_world(f->hub)->entries), 1);
}

/* ---- closing ---- */

typedef enum Moment {
        BEFORE_THE_FIRST_TURN,
        WHILE_A_TAILNET_IS_ASKED,
        WHILE_A_NAME_IS_LOOKED_UP,
        WHILE_A_CHANGE_IS_HELD_OFF,
        WHILE_A_WORLD_IS_HELD_OFF,
        WHEN_ALL_IS_QUIET,
        MOMENTS,
} Moment;

static void reach(Fixture *f, Moment m)
{
        script_server_set(&f->server, LIST,
                          m == WHILE_A_TAILNET_IS_ASKED ? SCRIPT_STALL : SCRIPT_CLOSE);
        if (m == WHILE_A_TAILNET_IS_ASKED)
                f->server.answer = STR("H");
        write_manifests(f, m == WHILE_A_NAME_IS_LOOKED_UP ? "  proxyAddresses: ['localhost:1']\n"
                                                          : "");
        open_hub(f);
        if (m == BEFORE_THE_FIRST_TURN)
                return;
        if (m == WHILE_A_NAME_IS_LOOKED_UP) {
                turns(f, 1);
                test_clock_advance(&f->time, SPAN_MS(20));
                loop_turn(f->loop, SPAN_MS(0));
                return;
        }
        for (int i = 0;
             i < 50 && (f->worlds == 0 || (m != WHILE_A_TAILNET_IS_ASKED && !is_complete(f))); i++)
                pass(f, 20);
        pass(f, 500);
        if (m == WHILE_A_CHANGE_IS_HELD_OFF || m == WHILE_A_WORLD_IS_HELD_OFF)
                write_manifests(f, "  magicDNSSuffix: x.example\n");
        turns(f, 3);
        if (m == WHILE_A_WORLD_IS_HELD_OFF)
                hub_reread(f->hub);
}

static void closed_at_any_moment(void **state)
{
        Fixture *f = *state;
        for (Moment m = 0; m < MOMENTS; m++) {
                f->worlds = 0;
                reach(f, m);
                unsigned worlds = f->worlds;
                f->hub = hub_close(f->hub);
                assert_int_equal(f->facts.n_tailnets, 0);
                pass(f, 12000);
                assert_int_equal(f->worlds, worlds);
        }
}

typedef struct Closer {
        Timer timer;
        Fixture *f;
        unsigned worlds; /* at that moment */
} Closer;

static void on_closer(Timer *t)
{
        Closer *c = CONTAINER_OF(t, Closer, timer);
        c->worlds = c->f->worlds;
        c->f->hub = hub_close(c->f->hub);
}

/* Everything that is due is due in the same turn; the closer is delivered before it or after. */
static void closed_inside_the_delivery_of_another(void **state)
{
        Fixture *f = *state;
        for (unsigned m = 0; m < 2 * MOMENTS; m++) {
                Closer c = {.f = f};
                f->worlds = 0;
                reach(f, (Moment)(m / 2));
                timer_init(&c.timer, f->loop, on_closer);
                timer_set_in(&c.timer, m % 2 == 0 ? SPAN_MS(0) : SPAN_S(40));
                test_clock_advance(&f->time, SPAN_S(40));
                while (f->hub != NULL)
                        loop_turn(f->loop, SPAN_MS(0));
                pass(f, 1000);
                assert_int_equal(f->worlds, c.worlds);
        }
}

static void closed_inside_its_own_delivery(void **state)
{
        Fixture *f = *state;
        f->close_inside = true;
        write_manifests(f, "");
        open_hub(f);
        pass(f, 1000);
        assert_null(f->hub);
        assert_int_equal(f->worlds, 1);
        pass(f, 12000);
        assert_int_equal(f->worlds, 1);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_tailnet_that_never_answers_holds_it_up_for_ten_seconds),
                TEST(the_wait_begins_when_there_is_something_to_ask),
                TEST(an_answer_ends_the_wait),
                TEST(closed_at_any_moment),
                TEST(closed_inside_the_delivery_of_another),
                TEST(closed_inside_its_own_delivery),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
