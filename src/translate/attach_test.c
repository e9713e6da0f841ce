/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "translate/attach.h"
#include "translate/test_world.h"

#include <stdio.h>

/* A Gateway of another namespace than ours, with these listeners. */
#define GATEWAY(listeners)                                                                     \
        "---\n{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: gw, " \
        "namespace: infra}, spec: {gatewayClassName: eg, listeners: [" listeners "]}}\n"
#define LISTENER(name, port, allowed) \
        "{name: " name ", protocol: HTTP, port: " port ", allowedRoutes: {" allowed "}}"
#define SELECTOR(selector) "namespaces: {from: Selector, selector: " selector "}"
#define ALL                "namespaces: {from: All}"
#define NAMESPACE(labels) \
        "---\n{apiVersion: v1, kind: Namespace, metadata: {name: demo, labels: {" labels "}}}\n"
#define OURS(section)                                                                           \
        "---\n{apiVersion: gateway.tailscale.com/v1alpha1, kind: TailscaleGateway, metadata: "  \
        "{name: ours, namespace: demo}, spec: {gatewayRef: {name: gw, namespace: infra" section \
        "}, tailnets: [{name: corp, tailscaleTailnetRef: {name: corp}}]}}\n"

typedef struct Case {
        const char *listeners, *namespaces;
        bool knows_labels; /* of Envoy Gateway: with Kubernetes */
        const char *section;
        const char *listener;      /* that is chosen; NULL: none, and: */
        const char *reason, *text; /* is part of it */
} Case;

static void check(const Case *c)
{
        char manifests[4096];
        IGNORE(snprintf(manifests, sizeof(manifests), GATEWAY("%s") "%s" OURS("%s%s"), c->listeners,
                        c->namespaces != NULL ? c->namespaces : "",
                        c->section != NULL ? ", sectionName: " : "",
                        c->section != NULL ? c->section : ""),
               "cases are short");
        World *w = fixture_world(manifests);
        w->eg_knows_labels = c->knows_labels;
        const GatewaySpec *spec = table_at(w->gateways, 0);
        const EgGateway *gateway = table_at(w->eg_gateways, 0);
        Arena a;
        arena_init(&a, 0);
        Attached is = attach_choose(&a, w, spec, &spec->tailnets[0].egress, gateway);
        Str listener = is.listener != NULL ? is.listener->name : (Str){0};
        Str reason = str_of(is.reason);
        if (!str_eq(listener, str_of(c->listener)) || !str_eq(reason, str_of(c->reason)) ||
            (c->text != NULL && str_find_str(is.text, str_of(c->text)) < 0))
                fail_msg("%s: \"%.*s\" %.*s: %.*s", c->listeners, STR_FMT(listener),
                         STR_FMT(reason), STR_FMT(is.text));
        assert_int_equal(is.named, is.listener != NULL && c->section != NULL);
        arena_done(&a);
        leaf_unref(w);
}

static void check_all(const Case *cases, size_t n)
{
        for (size_t i = 0; i < n; i++)
                check(&cases[i]);
}

static const char no[] = "NotAllowedByListeners";

static void namespaces_as_a_route(void **state)
{
        static const Case cases[] = {
                {LISTENER("a", "80", ALL), NULL, false, NULL, "a", NULL, NULL},
                {LISTENER("a", "80", ""), NULL, false, NULL, NULL, no,
                 "listener a does not admit namespace demo (allowedRoutes): it admits the "
                 "Gateway's own namespace alone"},
                {LISTENER("a", "80", "namespaces: {from: Same}"), NULL, false, "a", NULL, no,
                 "own namespace"},
                {LISTENER("a", "80", "namespaces: {from: None}"), NULL, false, NULL, NULL, no,
                 "no namespace"},
                {LISTENER("a", "80", "") "," LISTENER("b", "81", ALL), NULL, false, NULL, "b", NULL,
                 NULL},
                {LISTENER("a", "80", ALL) "," LISTENER("b", "81", ALL), NULL, false, NULL, NULL,
                 "ListenerAmbiguous", "2 listeners fit (a, b)"},
                {LISTENER("a", "80", ALL) "," LISTENER("b", "81", ALL), NULL, false, "b", "b", NULL,
                 NULL},
        };
        (void)state;
        check_all(cases, LENGTH_OF(cases));
}

/* Another Gateway's, merged with this one, may have the port and hostname. */
static void a_listener_that_is_not_served(void **state)
{
        (void)state;
        World *w = fixture_world(GATEWAY(LISTENER("a", "80", ALL) "," LISTENER("b", "81", ALL))
                                         OURS(""));
        const GatewaySpec *spec = table_at(w->gateways, 0);
        const EgGateway *gateway = table_at(w->eg_gateways, 0);
        EgListener *at = (EgListener *)(uintptr_t)gateway->listeners;
        Arena a;
        arena_init(&a, 0);
        at[0].is_conflicted = true;
        Attached is = attach_choose(&a, w, spec, &spec->tailnets[0].egress, gateway);
        assert_true(is.listener == &at[1]);
        at[1].is_conflicted = true;
        is = attach_choose(&a, w, spec, &spec->tailnets[0].egress, gateway);
        assert_null(is.listener);
        assert_string_equal(is.reason, "NoMatchingListener");
        assert_true(str_find_str(is.text, STR("does not serve listener b (Conflicted)")) >= 0);
        arena_done(&a);
        leaf_unref(w);
}

/* Where Envoy Gateway reads files: no Namespace has a label. */
static void selectors_without_labels(void **state)
{
        static const Case cases[] = {
                {LISTENER("a", "80", SELECTOR("{matchLabels: {x: y}}")), NULL, false, NULL, NULL,
                 no,
                 "it admits namespaces with x=y; the Namespace demo is not among what was read; "
                 "Envoy Gateway's file mode knows no labels"},
                {LISTENER("a", "80", SELECTOR("{matchLabels: {x: y}}")), NAMESPACE("x: y"), false,
                 "a", NULL, no,
                 "the Namespace demo is one of them; Envoy Gateway's file mode "
                 "knows no labels"},
                {LISTENER("a", "80", SELECTOR("{matchLabels: {x: y}}")), NAMESPACE("x: z"), false,
                 NULL, NULL, no, "is none of them"},
                /* The API server would imply it. */
                {LISTENER("a", "80",
                          SELECTOR("{matchLabels: {kubernetes.io/metadata.name: demo}}")),
                 NAMESPACE(""), false, NULL, NULL, no, "kubernetes.io/metadata.name=demo"},
                {LISTENER("a", "80", SELECTOR("{matchExpressions: [{key: x, operator: Exists}]}")),
                 NAMESPACE("x: y"), false, NULL, NULL, no, "namespaces with x;"},
                {LISTENER("a", "80",
                          SELECTOR("{matchExpressions: [{key: x, operator: NotIn, values: [y]}]}")),
                 NAMESPACE("x: y"), false, NULL, "a", NULL, NULL},
                {LISTENER("a", "80",
                          SELECTOR("{matchExpressions: [{key: x, operator: DoesNotExist}]}")),
                 NULL, false, NULL, "a", NULL, NULL},
                {LISTENER("a", "80", SELECTOR("{}")), NULL, false, NULL, "a", NULL, NULL},
                {LISTENER("a", "80", "namespaces: {from: Selector}"), NULL, false, NULL, NULL, no,
                 "its selector is none: missing"},
                {LISTENER("a", "80", SELECTOR("{matchExpressions: [{key: x, operator: In}]}")),
                 NULL, false, NULL, NULL, no, "its selector is none: In or NotIn without values"},
                /* The one that our namespace may have been meant for is not passed over. */
                {LISTENER("a", "80", SELECTOR("{matchLabels: {x: y}}")) "," LISTENER("b", "81",
                                                                                     ALL),
                 NULL, false, NULL, NULL, "ListenerAmbiguous", "2 listeners may fit (a, b)"},
                {LISTENER("a", "80", SELECTOR("{matchLabels: {x: y}}")) "," LISTENER("b", "81",
                                                                                     ALL),
                 NAMESPACE("x: y"), false, NULL, NULL, "ListenerAmbiguous", "(a, b)"},
                {LISTENER("a", "80", SELECTOR("{matchLabels: {x: y}}")) "," LISTENER("b", "81",
                                                                                     ALL),
                 NAMESPACE("x: z"), false, NULL, "b", NULL, NULL},
                {LISTENER("a", "80", SELECTOR("{matchLabels: {x: y}}")) "," LISTENER("b", "81", ""),
                 NULL, false, NULL, NULL, no, "listener a does not"},
        };
        (void)state;
        check_all(cases, LENGTH_OF(cases));
}

static void selectors_with_labels(void **state)
{
        static const Case cases[] = {
                {LISTENER("a", "80", SELECTOR("{matchLabels: {x: y}}")), NAMESPACE("x: y"), true,
                 NULL, "a", NULL, NULL},
                {LISTENER("a", "80", SELECTOR("{matchLabels: {x: y}}")), NAMESPACE("x: z"), true,
                 NULL, NULL, no,
                 "it admits namespaces with x=y; the Namespace demo is none of "
                 "them"},
                {LISTENER("a", "80", SELECTOR("{matchLabels: {x: y}}")), NULL, true, NULL, NULL, no,
                 "the Namespace demo is not among what was read"},
                {LISTENER("a", "80", SELECTOR("{}")), NULL, true, NULL, NULL, no, "everything"},
                {LISTENER("a", "80",
                          SELECTOR("{matchExpressions: [{key: x, operator: NotIn, values: [y]}]}")),
                 NAMESPACE("x: y"), true, NULL, NULL, no, "x notin (y)"},
                {LISTENER("a", "80", SELECTOR("{matchLabels: {x: y}}")) "," LISTENER("b", "81",
                                                                                     ALL),
                 NAMESPACE("x: z"), true, NULL, "b", NULL, NULL},
                {LISTENER("a", "80", SELECTOR("{matchLabels: {x: y}}")) "," LISTENER("b", "81",
                                                                                     ALL),
                 NAMESPACE("x: y"), true, NULL, NULL, "ListenerAmbiguous", "2 listeners fit"},
        };
        (void)state;
        check_all(cases, LENGTH_OF(cases));
}

static void kinds_of_routes(void **state)
{
        static const Case cases[] = {
                {LISTENER("a", "80", ALL ", kinds: []"), NULL, false, NULL, "a", NULL, NULL},
                {LISTENER("a", "80", ALL ", kinds: [{kind: HTTPRoute}]"), NULL, false, NULL, "a",
                 NULL, NULL},
                {LISTENER("a", "80",
                          ALL ", kinds: [{group: gateway.networking.k8s.io, kind: HTTPRoute}]"),
                 NULL, false, NULL, "a", NULL, NULL},
                /* Only hosts of GRPC endpoints: claims.c. */
                {LISTENER("a", "80", ALL ", kinds: [{kind: GRPCRoute}]"), NULL, false, NULL, "a",
                 NULL, NULL},
                {LISTENER("a", "80", ALL ", kinds: [{kind: GRPCRoute}]") "," LISTENER(
                         "b", "81", ALL ", kinds: [{kind: HTTPRoute}]"),
                 NULL, false, NULL, "b", NULL, NULL},
                {LISTENER("a", "80", ALL ", kinds: [{kind: GRPCRoute}]") "," LISTENER(
                         "b", "81", ALL ", kinds: [{kind: GRPCRoute}]"),
                 NULL, false, NULL, NULL, "ListenerAmbiguous", "(a, b)"},
                {LISTENER("a", "80", ALL ", kinds: [{kind: HTTPRoute}, {kind: TCPRoute}]"), NULL,
                 false, NULL, NULL, no, "its kinds hold TCPRoute, for which Envoy Gateway"},
                {LISTENER("a", "80", ALL ", kinds: [{group: x.io, kind: HTTPRoute}]"), NULL, false,
                 "a", NULL, no, "HTTPRoute"},
                {LISTENER("a", "80", ALL ", kinds: [{kind: 7}]"), NULL, false, NULL, NULL, no,
                 "a kind without name"},
        };
        (void)state;
        check_all(cases, LENGTH_OF(cases));
}

#define GRPC_ONLY                                                                              \
        "---\n{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: gw, " \
        "namespace: demo}, spec: {gatewayClassName: eg, listeners: [{name: http, protocol: "   \
        "HTTP, port: 10080, allowedRoutes: {kinds: [{kind: GRPCRoute}]}}]}}\n"

static void a_listener_for_grpc_takes_hosts_of_grpc(void **state)
{
        (void)state;
        Fixture f = fixture_open(
                GRPC_ONLY FIXTURE_TAILNET FIXTURE_OURS(
                        "ours", "",
                        "hostPattern: \"{service}.ts.local\", pathPrefix: \"/t/{service}/\", "
                        "protocol: HTTP")
                        FIXTURE_ENDPOINTS(FIXTURE_API ", {name: rpc, tailscaleIP: 100.64.0.2, "
                                                      "port: 9090, protocol: GRPC}"),
                NULL);
        assert_true(fixture_row(&f, "ours", "rpc", NULL)->programmed);
        const RouteReport *lost[] = {fixture_row(&f, "ours", "rpc", "/t/rpc/"),
                                     fixture_row(&f, "ours", "api", NULL),
                                     fixture_row(&f, "ours", "api", "/t/api/")};
        for (size_t i = 0; i < LENGTH_OF(lost); i++) {
                assert_false(lost[i]->programmed);
                assert_true(str_eq(lost[i]->reason, STR("NotAllowedByListeners")));
                assert_true(str_find_str(lost[i]->text, STR("GRPCRoute alone")) > 0);
        }
        fixture_done(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(namespaces_as_a_route),
                cmocka_unit_test(a_listener_that_is_not_served),
                cmocka_unit_test(selectors_without_labels),
                cmocka_unit_test(selectors_with_labels),
                cmocka_unit_test(kinds_of_routes),
                cmocka_unit_test(a_listener_for_grpc_takes_hosts_of_grpc),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
