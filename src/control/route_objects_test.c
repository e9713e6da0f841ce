/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "control/test_cluster.h"
#include "model/made_route.h"

enum {
        ROWS_MAX = 8
};

typedef struct Row {
        const char *namespace, *service, *kind, *host, *path, *tailnet;
        uint16_t port;
        bool programmed;
} Row;

static const Row grafana = {"demo", "grafana", "HTTPRoute", "grafana.corp.local",
                            "/",    "corp",    80,          true};

static RouteReport *new_row(const Row *from)
{
        RouteReport *r = leaf_new(sizeof *r, 1024, NULL);
        RouteBackend *b = leaf_alloc(&r->leaf, sizeof *b);
        *b = (RouteBackend){.service = {str_of(from->namespace), str_of(from->service)},
                            .kind = str_of(from->kind),
                            .path = str_of(from->path)};
        r->gateway = cluster_gateway;
        r->eg_gateway = cluster_eg;
        r->tailnet = str_of(from->tailnet);
        r->service = str_of(from->service);
        r->listener = STR("https");
        r->host = str_of(from->host);
        r->path = strlen(from->path) > 1 ? str_of(from->path) : (Str){0};
        r->port = from->port;
        r->programmed = from->programmed;
        r->backend = b;
        return r;
}

static void report(TestCluster *c, const Row *rows, size_t n)
{
        const void *leaves[ROWS_MAX];
        for (size_t i = 0; i < n; i++)
                leaves[i] = new_row(&rows[i]);
        cluster_replace(&c->report->routes, table_new(leaves, n, route_report_order));
}

static size_t count_writes(TestCluster *c)
{
        size_t n = 0;
        cluster_plan(c);
        for (size_t i = 0; i < c->plan.n_objects; i++)
                n += made_route_is_one(c->plan.objects[i].kind);
        return n;
}

static void a_service_has_a_route_that_its_gateway_owns(void **state)
{
        TestCluster *c = *state;
        cluster_stands_gateway(c);
        report(c, &grafana, 1);
        assert_int_equal(count_writes(c), 1);
        const PlanObject *o = cluster_planned(c, OBSERVED_HTTP_ROUTE, PLAN_APPLY, 0);
        assert_true(str_eq(o->key.namespace, STR("demo")));
        assert_true(str_starts(o->key.name, STR("gw-grafana-")));
        assert_true(made_route_name_is_ours(o->key.name));
        assert_true(cluster_says(o, "\"uid\":\"uid-gw\",\"controller\":true"));
        assert_true(cluster_says(o, "\"app.kubernetes.io/managed-by\":\"tailscale-gateway\""));
        assert_true(cluster_says(o, "\"gateway.tailscale.com/service\":\"demo/grafana\""));
        assert_true(cluster_says(o, "\"parentRefs\":[{\"group\":\"gateway.networking.k8s.io\","
                                    "\"kind\":\"Gateway\",\"name\":\"eg\",\"namespace\":\"infra\","
                                    "\"sectionName\":\"https\"}]"));
        assert_true(cluster_says(o, "\"hostnames\":[\"grafana.corp.local\"]"));
        assert_true(cluster_says(o, "\"path\":{\"type\":\"PathPrefix\",\"value\":\"/\"}"));
        assert_true(cluster_says(o, "\"backendRefs\":[{\"group\":\"\",\"kind\":\"Service\","
                                    "\"name\":\"grafana\",\"port\":80,\"weight\":1}]"));
        cluster_perform(c);
        assert_int_equal(count_writes(c), 0);
}

static void another_namespace_is_named(void **state)
{
        TestCluster *c = *state;
        Row far = grafana;
        far.namespace = "far";
        cluster_stands_gateway(c);
        report(c, &far, 1);
        assert_int_equal(count_writes(c), 1);
        assert_true(cluster_says(cluster_planned(c, OBSERVED_HTTP_ROUTE, PLAN_APPLY, 0),
                                 "\"name\":\"grafana\",\"namespace\":\"far\",\"port\":80"));
}

/* gRPC has no paths, and a kind of its own. */
static void a_route_of_grpc(void **state)
{
        TestCluster *c = *state;
        Row rpc = grafana;
        rpc.kind = "GRPCRoute";
        cluster_stands_gateway(c);
        report(c, &rpc, 1);
        assert_int_equal(count_writes(c), 1);
        const PlanObject *o = cluster_planned(c, OBSERVED_GRPC_ROUTE, PLAN_APPLY, 0);
        assert_false(cluster_says(o, "\"matches\""));
        assert_true(cluster_says(o, "\"kind\":\"GRPCRoute\""));
}

static void what_is_not_programmed_has_none(void **state)
{
        TestCluster *c = *state;
        Row rows[] = {grafana, grafana};
        rows[1].service = "lost";
        rows[1].programmed = false;
        cluster_stands_gateway(c);
        report(c, rows, LENGTH_OF(rows));
        assert_int_equal(count_writes(c), 1);
        /* A TailscaleGateway that is not there, or goes, owns nothing. */
        leaf_unref(c->observed[--c->n_observed]);
        assert_int_equal(count_writes(c), 0);
}

/* Entries of one TailscaleGateway may ask for the same; another host or path is another. */
static void the_same_route_is_one_object(void **state)
{
        TestCluster *c = *state;
        Row rows[] = {grafana, grafana, grafana, grafana};
        rows[1].tailnet = "dev";
        rows[2].path = "/api";
        rows[3].host = "other.corp.local";
        cluster_stands_gateway(c);
        report(c, rows, LENGTH_OF(rows));
        assert_int_equal(count_writes(c), 3);
        cluster_perform(c);
        assert_int_equal(count_writes(c), 0);
}

static void a_port_moves_in_place(void **state)
{
        TestCluster *c = *state;
        Row moved = grafana;
        moved.port = 8080;
        cluster_stands_gateway(c);
        report(c, &grafana, 1);
        assert_int_equal(count_writes(c), 1);
        cluster_perform(c);
        report(c, &moved, 1);
        assert_int_equal(count_writes(c), 1);
        assert_non_null(cluster_planned(c, OBSERVED_HTTP_ROUTE, PLAN_APPLY, 0));
        cluster_perform(c);
        assert_int_equal(count_writes(c), 0);
}

/* The new one comes before the old one goes. */
static void a_host_that_moves_is_a_new_object(void **state)
{
        TestCluster *c = *state;
        Row moved = grafana;
        moved.host = "new.corp.local";
        cluster_stands_gateway(c);
        report(c, &grafana, 1);
        assert_int_equal(count_writes(c), 1);
        cluster_perform(c);
        report(c, &moved, 1);
        assert_int_equal(count_writes(c), 2);
        size_t apply = 0, gone = 0;
        for (size_t i = 0; i < c->plan.n_objects; i++) {
                const PlanObject *o = &c->plan.objects[i];
                if (!made_route_is_one(o->kind))
                        continue;
                *(o->verb == PLAN_DELETE ? &gone : &apply) = i + 1;
        }
        assert_true(apply > 0 && gone > apply);
        cluster_perform(c);
        report(c, NULL, 0);
        assert_int_equal(count_writes(c), 1);
        cluster_perform(c);
        assert_int_equal(count_writes(c), 0);
}

#define STANDS(meta)                                                                               \
        "{\"metadata\":{\"namespace\":\"demo\",\"uid\":\"u1\",\"resourceVersion\":\"3\"," meta "}" \
        "}"
#define LABEL "\"labels\":{\"app.kubernetes.io/managed-by\":\"tailscale-gateway\"}"
#define OWNER                                                                               \
        "\"ownerReferences\":[{\"apiVersion\":\"gateway.tailscale.com/v1alpha1\",\"kind\":" \
        "\"TailscaleGateway\",\"name\":\"gw\",\"uid\":\"x\"}]"

static void only_ours_goes(void **state)
{
        TestCluster *c = *state;
        static const char *const users[] = {
                STANDS("\"name\":\"gw-grafana-0123456789\"," LABEL),
                STANDS("\"name\":\"gw-grafana-0123456789\"," OWNER),
                STANDS("\"name\":\"gw-grafana\"," LABEL "," OWNER),
                STANDS("\"name\":\"gw-grafana-0123456789\",\"deletionTimestamp\":"
                       "\"2026-01-01T00:00:00Z\"," LABEL "," OWNER),
        };
        for (size_t i = 0; i < LENGTH_OF(users); i++) {
                IGNORE(cluster_stands(c, OBSERVED_HTTP_ROUTE, users[i]), "not looked at");
                assert_int_equal(count_writes(c), 0);
                leaf_unref(c->observed[--c->n_observed]);
        }
        IGNORE(cluster_stands(c, OBSERVED_GRPC_ROUTE,
                              STANDS("\"name\":\"gw-grafana-0123456789\"," LABEL "," OWNER)),
               "not looked at");
        assert_int_equal(count_writes(c), 1);
        const PlanObject *o = cluster_planned(c, OBSERVED_GRPC_ROUTE, PLAN_DELETE, 0);
        assert_true(str_eq(o->uid, STR("u1")));
}

static void a_gateway_of_which_nothing_is_in_force_keeps_its_routes(void **state)
{
        TestCluster *c = *state;
        IGNORE(cluster_stands(c, OBSERVED_HTTP_ROUTE,
                              STANDS("\"name\":\"gw-grafana-0123456789\"," LABEL "," OWNER)),
               "not looked at");
        cluster_replace(&c->world->gateways, cluster_one(NULL, gateway_spec_order));
        cluster_fault(c, OBSERVED_GATEWAY, cluster_gateway, "spec: bad");
        assert_int_equal(count_writes(c), 0);
}

static void long_names_are_bounded(void **state)
{
        (void)state;
        char longest[254], buf[MADE_ROUTE_NAME_MAX + 1], again[MADE_ROUTE_NAME_MAX + 1];
        memset(longest, 'a', sizeof longest - 1);
        longest[62] = '.';
        longest[253] = '\0';
        RouteReport *r = new_row(&grafana);
        r->gateway.name = str_of(longest);
        Str name = made_route_name(r, buf);
        assert_true(name.n <= MADE_ROUTE_NAME_MAX && made_route_name_is_ours(name));
        assert_true(str_find_str(name, STR(".-")) < 0);
        r->port = 1;
        assert_true(str_eq(name, made_route_name(r, again)));
        r->listener = STR("http");
        assert_false(str_eq(name, made_route_name(r, again)));
        leaf_unref(r);
}

static int setup(void **state)
{
        TestCluster *c = mem_new(sizeof *c);
        cluster_init(c);
        c->in.roles = PLAN_OPERATOR;
        *state = c;
        return 0;
}

static int teardown(void **state)
{
        cluster_done(*state);
        mem_free(*state);
        return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_service_has_a_route_that_its_gateway_owns),
                TEST(another_namespace_is_named),
                TEST(a_route_of_grpc),
                TEST(what_is_not_programmed_has_none),
                TEST(the_same_route_is_one_object),
                TEST(a_port_moves_in_place),
                TEST(a_host_that_moves_is_a_new_object),
                TEST(only_ours_goes),
                TEST(a_gateway_of_which_nothing_is_in_force_keeps_its_routes),
                cmocka_unit_test(long_names_are_bounded),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
