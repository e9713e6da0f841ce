/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "control/serve_plan.h"

#include <stdio.h>

enum {
        GATEWAYS_MAX = 80
};

static const ObjectKey eg = {STR_INIT("infra"), STR_INIT("eg")};

typedef struct Fixture {
        World *world;
        Report *report;
        const void *gateways[GATEWAYS_MAX], *ways[GATEWAYS_MAX];
        size_t n;
        ServePlan plan;
} Fixture;

static void replace(const Table **slot, const void **leaves, size_t n, TableOrder *order)
{
        table_unref(*slot);
        *slot = table_new(leaves, n, order);
}

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof(*f));
        EgGateway *g = leaf_new(sizeof(*g), 0, NULL);
        const void *leaves[] = {g};

        f->world = world_new_empty();
        f->report = leaf_new(sizeof(*f->report), 0, report_drop);
        g->meta.key = eg;
        replace(&f->world->eg_gateways, leaves, 1, eg_gateway_order);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        serve_plan_done(&f->plan);
        leaf_unref(f->world);
        leaf_unref(f->report);
        mem_free(f);
        return 0;
}

/* One TailscaleGateway with one entry, "corp". */
static TailnetEntry *ask(Fixture *f, const char *name, const char *socket, uint16_t listener_port)
{
        GatewaySpec *g = leaf_new(sizeof(*g), sizeof(TailnetEntry) + 64, NULL);
        WayReport *w = leaf_new(sizeof(*w), 0, NULL);
        TailnetEntry *e = leaf_alloc(&g->leaf, sizeof(*e));

        e->name = STR("corp");
        e->connectivity.ingress.socket = str_of(socket);
        g->meta.key = (ObjectKey){STR("demo"), str_of(name)};
        g->gateway = eg;
        g->tailnets = e;
        g->n_tailnets = 1;
        w->gateway = g->meta.key;
        w->tailnet = e->name;
        w->eg_gateway = eg;
        w->listener = STR("tailnet");
        w->port = listener_port;
        f->gateways[f->n] = g;
        f->ways[f->n++] = w;
        return e;
}

static const ServePlan *plan(Fixture *f)
{
        replace(&f->world->gateways, f->gateways, f->n, gateway_spec_order);
        replace(&f->report->ways, f->ways, f->n, way_report_order);
        f->n = 0;
        serve_plan_done(&f->plan);
        serve_plan_make(f->world, f->report, &f->plan);
        return &f->plan;
}

static void expect(const ServeItem *i, const char *name, uint16_t port, const char *target,
                   const char *reason)
{
        assert_true(str_eq(i->gateway.name, str_of(name)));
        assert_int_equal(i->forward.port, port);
        assert_true(str_eq(i->forward.target, str_of(target)));
        assert_string_equal(i->reason != NULL ? i->reason : "", reason);
        assert_int_equal(i->reason != NULL, i->text.n > 0);
}

static void use_policy(Fixture *f, const char *dir)
{
        PolicyInput in = {.in_kubernetes = true, .local_sources_dir = str_of(dir)};
        f->world->policy = policy_new(&in, NULL);
        assert_non_null(f->world->policy);
}

static void test_ports_of_the_listener_and_others(void **state)
{
        static const uint16_t ports[] = {80, 443};
        Fixture *f = *state;
        TailnetEntry *e = ask(f, "b", "/run/b", 10443);

        e->connectivity.ingress.ports = ports;
        e->connectivity.ingress.n_ports = LENGTH_OF(ports);
        ask(f, "a", "/run/a", 443);
        const ServePlan *p = plan(f);
        assert_int_equal(p->n, 3);
        expect(&p->items[0], "a", 443, "127.0.0.1:443", "");
        expect(&p->items[1], "b", 80, "127.0.0.1:10443", "");
        expect(&p->items[2], "b", 443, "127.0.0.1:10443", "");
        assert_int_equal(p->sockets.n, 2);
        Arena a;
        arena_init(&a, 0);
        ServeForwards at = serve_plan_forwards(p, &a, STR("/run/b"));
        assert_int_equal(at.n, 2);
        assert_int_equal(at.at[0].port, 80);
        assert_int_equal(serve_plan_forwards(p, &a, STR("/run/c")).n, 0);
        arena_done(&a);
}

static void test_nothing_where_nobody_asks(void **state)
{
        Fixture *f = *state;

        ask(f, "a", "", 443);
        ask(f, "b", "/run/b", 443);
        ((WayReport *)(uintptr_t)f->ways[1])->reason = STR("ListenerShared");
        assert_int_equal(plan(f)->n, 0);
        assert_int_equal(f->plan.sockets.n, 0);
        table_unref(f->report->ways);
        f->report->ways = NULL;
        serve_plan_done(&f->plan);
        serve_plan_make(f->world, f->report, &f->plan);
        assert_int_equal(f->plan.n, 0);
}

static void test_the_older_has_a_port(void **state)
{
        Fixture *f = *state;

        for (unsigned aged = 0; aged < 2; aged++) {
                ask(f, "a", "/run/s", 10443)->connectivity.ingress.ports = (uint16_t[]){443};
                ask(f, "b", "/run/s", 20443)->connectivity.ingress.ports = (uint16_t[]){443};
                ask(f, "c", "/run/s", 20443)->connectivity.ingress.ports = (uint16_t[]){443};
                for (size_t i = 0; i < f->n; i++) {
                        GatewaySpec *g = (GatewaySpec *)(uintptr_t)f->gateways[i];
                        ((TailnetEntry *)(uintptr_t)g->tailnets)->connectivity.ingress.n_ports = 1;
                        /* The others' is not known. */
                        g->meta.created.ms = aged > 0 && i == 1 ? 5 : 0;
                }
                const ServePlan *p = plan(f);
                assert_int_equal(p->n, 3);
                expect(&p->items[0], "a", 443, "127.0.0.1:10443", aged > 0 ? "PortTaken" : "");
                expect(&p->items[1], "b", 443, "127.0.0.1:20443", aged > 0 ? "" : "PortTaken");
                /* What two ask for alike both have. */
                expect(&p->items[2], "c", 443, "127.0.0.1:20443", aged > 0 ? "" : "PortTaken");
                Arena a;
                arena_init(&a, 0);
                ServeForwards at = serve_plan_forwards(p, &a, STR("/run/s"));
                assert_int_equal(at.n, 1);
                assert_true(str_starts(at.at[0].target,
                                       aged > 0 ? STR("127.0.0.1:2") : STR("127.0.0.1:1")));
                arena_done(&a);
        }
}

static void test_in_kubernetes_the_gateways_address(void **state)
{
        static const struct {
                const char *address, *target;
        } cases[] = {{"10.0.0.7", "10.0.0.7:443"},
                     {"fd00::7", "[fd00::7]:443"},
                     {"lb.example.com", "lb.example.com:443"},
                     {"", NULL}};
        Fixture *f = *state;

        use_policy(f, "/var/run/tailnets");
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                EgGateway *g = (EgGateway *)(uintptr_t)f->world->eg_gateways->at[0];
                g->address = str_of(cases[i].address);
                ask(f, "a", "/var/run/tailnets/corp/s", 443);
                const ServePlan *p = plan(f);
                assert_int_equal(p->n, 1);
                if (cases[i].target != NULL)
                        expect(&p->items[0], "a", 443, cases[i].target, "");
                else
                        expect(&p->items[0], "a", 0, "", "NoGatewayAddress");
        }
}

static void test_sockets_that_are_refused(void **state)
{
        static const struct {
                const char *dir, *socket, *reason;
        } cases[] = {{NULL, "run/s", "BadSocketPath"},
                     {NULL,
                      "/0123456789012345678901234567890123456789012345678901234567890123456789"
                      "012345678901234567890123456789012345",
                      ""},
                     {NULL,
                      "/0123456789012345678901234567890123456789012345678901234567890123456789"
                      "0123456789012345678901234567890123456",
                      "BadSocketPath"},
                     {"", "/run/s", "PathRefused"},
                     {"/run/tailnets", "/run/s", "PathRefused"},
                     {"/run/tailnets", "/run/tailnets/../s", "PathRefused"}};
        Fixture *f = *state;

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                if (cases[i].dir != NULL) {
                        leaf_unref(f->world->policy);
                        use_policy(f, cases[i].dir);
                }
                ask(f, "a", cases[i].socket, 443);
                const ServePlan *p = plan(f);
                assert_int_equal(p->n, 1);
                assert_string_equal(p->items[0].reason != NULL ? p->items[0].reason : "",
                                    cases[i].reason);
                assert_int_equal(p->sockets.n, p->items[0].reason == NULL);
        }
}

static void test_too_many_sockets(void **state)
{
        Fixture *f = *state;
        char names[GATEWAYS_MAX][8], sockets[GATEWAYS_MAX][16];

        for (unsigned i = 0; i < SERVE_SOCKETS_MAX + 2; i++) {
                IGNORE(snprintf(names[i], sizeof(names[i]), "g%02u", i), "they fit");
                IGNORE(snprintf(sockets[i], sizeof(sockets[i]), "/run/s%02u", i), "they fit");
                ask(f, names[i], sockets[i], 443);
        }
        const ServePlan *p = plan(f);
        assert_int_equal(p->sockets.n, SERVE_SOCKETS_MAX);
        expect(&p->items[SERVE_SOCKETS_MAX - 1], "g63", 443, "127.0.0.1:443", "");
        expect(&p->items[SERVE_SOCKETS_MAX], "g64", 443, "127.0.0.1:443", "TooManySockets");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_ports_of_the_listener_and_others),
                TEST(test_nothing_where_nobody_asks),
                TEST(test_the_older_has_a_port),
                TEST(test_in_kubernetes_the_gateways_address),
                TEST(test_sockets_that_are_refused),
                TEST(test_too_many_sockets),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
