/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "translate/test_world.h"

/*
 * docs/precedence.md as a table: for each pair of those who want the same thing, who has it, and
 * what the other is told. Where the rows of a Report tell it: what is decided in an answer (paths
 * in hosts of users, merged Gateways) is in hook_test and hook_merged_test.
 */

#define GROUP "apiVersion: gateway.tailscale.com/v1alpha1, "
#define LISTENERS(list)                                                                        \
        "---\n{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: gw, " \
        "namespace: demo}, spec: {listeners: [" list "]}}\n"
#define ALL           "allowedRoutes: {namespaces: {from: All}}"
#define HTTP_LISTENER "{name: http, protocol: HTTP, port: 80, " ALL "}"
#define TCP_LISTENER  "{name: db, protocol: TCP, port: 5432, " ALL "}"
#define ENTRY(name, rules)                                                                   \
        "{name: " name ", tailscaleTailnetRef: {name: corp}, connectivity: {mode: Direct}, " \
        "routeGeneration: {" rules "}}"
#define OURS(namespace, name, more, entries)                                                 \
        "---\n{" GROUP "kind: TailscaleGateway, metadata: {name: " name                      \
        ", namespace: " namespace "}, spec: {gatewayRef: {name: gw, namespace: demo}, " more \
                                  "tailnets: [" entries "]}}\n"
#define HOST_RULES(more) \
        "egress: {hostPattern: \"{service}.x\", pathPrefix: /, protocol: HTTP" more "}"
#define PATH_RULES(more)                                                                           \
        "egress: {hostPattern: \"{service}.{gateway}.{namespace}\", pathPrefix: \"/{service}/\", " \
        "protocol: HTTP" more "}"
#define PORT_RULES                                                                                 \
        "egress: {protocol: TCP, hostPattern: \"{service}.none\", portMap: [{service: api, port: " \
        "5432, listenerPort: 5432}]}"
#define POINT(name, port, protocol) \
        "{name: " name ", tailscaleIP: 100.64.0.1, port: " port ", protocol: " protocol "}"
#define FOUND(namespace, tailnet, list)                                      \
        "---\n{" GROUP "kind: TailscaleEndpoints, metadata: {name: " tailnet \
        ", namespace: " namespace "}, spec: {tailnet: " tailnet ", endpoints: [" list "]}}\n"
#define API POINT("api", "80", "HTTP")
#define USER(kind, namespace, hosts, more)                                                     \
        "---\n{apiVersion: gateway.networking.k8s.io/v1, kind: " kind                          \
        ", metadata: {name: users, namespace: " namespace "}, spec: {parentRefs: [{name: gw, " \
                                                          "namespace: demo" more               \
                                                          "}], hostnames: [" hosts             \
                                                          "], rules: [{}]}}\n"
#define TWO(more_a, more_b, rules)                      \
        OURS("demo", "a", more_a, ENTRY("corp", rules)) \
        OURS("demo", "b", more_b, ENTRY("corp", rules))

/* When each TailscaleGateway was made, in the order of their keys. */
typedef struct Ages {
        int64_t at[2];
} Ages;

typedef struct Case {
        const char *about, *manifests;
        Ages ages;
        const char *winner; /* "namespace/gateway service" of the one programmed row; NULL: none */
        size_t winners;     /* 0: one */
        const char *told;   /* reason of the others; NULL: there are none */
} Case;

static const Case hosts[] = {
        {"a user's exact host before ours",
         LISTENERS(HTTP_LISTENER) OURS("demo", "a", "", ENTRY("corp", HOST_RULES("")))
                 FOUND("demo", "corp", API) USER("HTTPRoute", "demo", "api.x", ""),
         .told = "Conflicted"},
        {"and of a GRPCRoute",
         LISTENERS(HTTP_LISTENER) OURS("demo", "a", "", ENTRY("corp", HOST_RULES("")))
                 FOUND("demo", "corp", API) USER("GRPCRoute", "demo", "api.x", ""),
         .told = "Conflicted"},
        {"overrideHosts before a user's exact host of our namespace",
         LISTENERS(HTTP_LISTENER)
                 OURS("demo", "a", "", ENTRY("corp", HOST_RULES(", overrideHosts: true")))
                         FOUND("demo", "corp", API) USER("HTTPRoute", "demo", "api.x", ""),
         .winner = "demo/a api"},
        {"and not of another namespace",
         LISTENERS(HTTP_LISTENER)
                 OURS("demo", "a", "", ENTRY("corp", HOST_RULES(", overrideHosts: true")))
                         FOUND("demo", "corp", API) USER("HTTPRoute", "other", "api.x", ""),
         .told = "Conflicted"},
        {"ours before a user's wildcard",
         LISTENERS(HTTP_LISTENER) OURS("demo", "a", "", ENTRY("corp", HOST_RULES("")))
                 FOUND("demo", "corp", API) USER("HTTPRoute", "demo", "\"*.x\"", ""),
         .winner = "demo/a api"},
        {"a user's host of another listener is none here",
         LISTENERS(HTTP_LISTENER ", {name: more, protocol: HTTP, port: 81, " ALL "}")
                 OURS("demo", "a", "", ENTRY("corp", HOST_RULES(", sectionName: http")))
                         FOUND("demo", "corp", API)
                                 USER("HTTPRoute", "demo", "api.x", ", sectionName: more"),
         .winner = "demo/a api"},
        {"and of a listener of the same port it is",
         LISTENERS(HTTP_LISTENER ", {name: more, protocol: HTTP, port: 80, hostname: \"*.x\", " ALL
                                 "}")
                 OURS("demo", "a", "", ENTRY("corp", HOST_RULES(", sectionName: http")))
                         FOUND("demo", "corp", API)
                                 USER("HTTPRoute", "demo", "api.x", ", sectionName: more"),
         .told = "Conflicted"},
        {"the namespace of the oldest claimant",
         LISTENERS(HTTP_LISTENER) OURS("alpha", "a", "priority: 9, ", ENTRY("corp", HOST_RULES("")))
                 OURS("zeta", "a", "", ENTRY("corp", HOST_RULES(""))) FOUND("alpha", "corp", API)
                         FOUND("zeta", "corp", API),
         .ages = {{2000, 1000}}, .winner = "zeta/a api", .told = "Conflicted"},
        {"of ages that are not known the namespace's name",
         LISTENERS(HTTP_LISTENER) OURS("alpha", "a", "", ENTRY("corp", HOST_RULES("")))
                 OURS("zeta", "a", "priority: 9, ", ENTRY("corp", HOST_RULES("")))
                         FOUND("alpha", "corp", API) FOUND("zeta", "corp", API),
         .winner = "alpha/a api", .told = "Conflicted"},
        {"within a namespace the higher priority before the older",
         LISTENERS(HTTP_LISTENER) TWO("", "priority: 1, ", HOST_RULES(""))
                 FOUND("demo", "corp", API),
         .ages = {{1000, 2000}}, .winner = "demo/b api", .told = "Conflicted"},
        {"of one priority the older",
         LISTENERS(HTTP_LISTENER) TWO("", "", HOST_RULES("")) FOUND("demo", "corp", API),
         .ages = {{2000, 1000}}, .winner = "demo/b api", .told = "Conflicted"},
        {"of one age the name",
         LISTENERS(HTTP_LISTENER) TWO("", "", HOST_RULES("")) FOUND("demo", "corp", API),
         .winner = "demo/a api", .told = "Conflicted"},
        {"of one TailscaleGateway the order of tailnets",
         LISTENERS(HTTP_LISTENER) OURS(
                 "demo", "a", "", ENTRY("zoo", HOST_RULES("")) ", " ENTRY("ant", HOST_RULES("")))
                 FOUND("demo", "zoo", POINT("api", "8080", "HTTP")) FOUND("demo", "ant", API),
         .winner = "demo/a api", .told = "Conflicted"},
        {"of names that become one the first by name",
         LISTENERS(HTTP_LISTENER) OURS("demo", "a", "", ENTRY("corp", HOST_RULES("")))
                 FOUND("demo", "corp", POINT("API", "80", "HTTP") ", " API),
         .winner = "demo/a API", .told = "Conflicted"},
        {"of several ports the first",
         LISTENERS(HTTP_LISTENER) OURS("demo", "a", "", ENTRY("corp", HOST_RULES("")))
                 FOUND("demo", "corp", API ", " POINT("api", "8080", "HTTP")),
         .winner = "demo/a api", .told = "NoHost"},
        {"listeners of different ports share nothing",
         LISTENERS(HTTP_LISTENER ", {name: more, protocol: HTTP, port: 81, " ALL "}")
                 OURS("demo", "a", "", ENTRY("corp", HOST_RULES(", sectionName: http")))
                         OURS("demo", "b", "", ENTRY("corp", HOST_RULES(", sectionName: more")))
                                 FOUND("demo", "corp", API),
         .winner = NULL, .winners = 2},
        {"HTTP listeners of one port share their hosts",
         LISTENERS(HTTP_LISTENER
                   ", {name: more, protocol: HTTP, port: 80, hostname: \"*.x\", " ALL
                   "}") OURS("demo", "a", "", ENTRY("corp", HOST_RULES(", sectionName: http")))
                 OURS("demo", "b", "priority: 1, ",
                      ENTRY("corp", HOST_RULES(", sectionName: more"))) FOUND("demo", "corp", API),
         .winner = "demo/b api", .told = "Conflicted"},
};

static const Case paths[] = {
        {"of one path in the same hosts the higher priority",
         LISTENERS(HTTP_LISTENER) TWO("", "priority: 1, ", PATH_RULES(""))
                 FOUND("demo", "corp", API),
         .winner = "demo/b api", .told = "Conflicted"},
        {"of several namespaces the oldest claimant's",
         LISTENERS(HTTP_LISTENER) OURS("alpha", "a", "priority: 9, ", ENTRY("corp", PATH_RULES("")))
                 OURS("zeta", "a", "", ENTRY("corp", PATH_RULES(""))) FOUND("alpha", "corp", API)
                         FOUND("zeta", "corp", API),
         .ages = {{2000, 1000}}, .winner = "zeta/a api", .told = "Conflicted"},
        {"in different hosts both",
         LISTENERS(HTTP_LISTENER)
                 OURS("demo", "a", "", ENTRY("corp", PATH_RULES(", pathHosts: [a.x]")))
                         OURS("demo", "b", "", ENTRY("corp", PATH_RULES(", pathHosts: [b.x]")))
                                 FOUND("demo", "corp", API),
         .winners = 2},
        {"a user's exact host takes no path away",
         LISTENERS(HTTP_LISTENER)
                 OURS("demo", "a", "", ENTRY("corp", PATH_RULES(", pathHosts: [api.x]")))
                         FOUND("demo", "corp", API) USER("HTTPRoute", "demo", "api.x", ""),
         .winner = "demo/a api"},
};

static const Case ports[] = {
        {"of one listener's port the higher priority",
         LISTENERS(TCP_LISTENER) TWO("", "priority: 1, ", PORT_RULES)
                 FOUND("demo", "corp", POINT("api", "5432", "TCP")),
         .winner = "demo/b api", .told = "Conflicted"},
        {"of several namespaces the oldest claimant's",
         LISTENERS(TCP_LISTENER) OURS("alpha", "a", "priority: 9, ", ENTRY("corp", PORT_RULES))
                 OURS("zeta", "a", "", ENTRY("corp", PORT_RULES))
                         FOUND("alpha", "corp", POINT("api", "5432", "TCP"))
                                 FOUND("zeta", "corp", POINT("api", "5432", "TCP")),
         .ages = {{2000, 1000}}, .winner = "zeta/a api", .told = "Conflicted"},
};

typedef bool IsMeant(const RouteReport *row);

static bool is_host(const RouteReport *row)
{
        return row->path.n == 0 && row->listener_port == 0;
}

static bool is_path(const RouteReport *row)
{
        return row->path.n > 0;
}

static bool is_port(const RouteReport *row)
{
        return row->listener_port > 0;
}

static void check_row(const Case *c, const RouteReport *row)
{
        char key[OBJECT_KEY_TEXT], who[2 * OBJECT_KEY_TEXT];
        Str gateway = object_key_text(row->gateway, key);
        snprintf(who, sizeof(who), "%.*s %.*s", STR_FMT(gateway), STR_FMT(row->service));
        if (row->programmed && c->winner != NULL && strcmp(who, c->winner) != 0)
                fail_msg("%s: %s has it, expected %s", c->about, who, c->winner);
        if (!row->programmed && (c->told == NULL || !str_eq(row->reason, str_of(c->told))))
                fail_msg("%s: %s is told %.*s (%.*s), expected %s", c->about, who,
                         STR_FMT(row->reason), STR_FMT(row->text),
                         c->told != NULL ? c->told : "nothing");
}

static void check_case(const Case *c, IsMeant *is_meant)
{
        World *w = fixture_world(c->manifests);
        for (size_t i = 0; i < table_n(w->gateways) && i < LENGTH_OF(c->ages.at); i++)
                ((GatewaySpec *)(uintptr_t)w->gateways->at[i])->meta.created.ms = c->ages.at[i];
        Report *report = NULL;
        Snapshot *s = snapshot_new(w, NULL, &report);
        size_t winners = 0, losers = 0;
        TABLE_FOREACH (RouteReport, row, report->routes) {
                if (!is_meant(row))
                        continue;
                check_row(c, row);
                winners += row->programmed;
                losers += !row->programmed;
        }
        size_t expected = c->winners > 0 ? c->winners : c->winner != NULL;
        if (winners != expected || (losers > 0) != (c->told != NULL))
                fail_msg("%s: %zu have it and %zu do not, expected %zu and %s", c->about, winners,
                         losers, expected, c->told != NULL ? "some" : "none");
        snapshot_unref(s);
        leaf_unref(report);
        leaf_unref(w);
}

static void who_has_a_host(void **state)
{
        (void)state;
        for (size_t i = 0; i < LENGTH_OF(hosts); i++)
                check_case(&hosts[i], is_host);
}

static void who_has_a_path(void **state)
{
        (void)state;
        for (size_t i = 0; i < LENGTH_OF(paths); i++)
                check_case(&paths[i], is_path);
}

static void who_has_a_port(void **state)
{
        (void)state;
        for (size_t i = 0; i < LENGTH_OF(ports); i++)
                check_case(&ports[i], is_port);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(who_has_a_host),
                cmocka_unit_test(who_has_a_path),
                cmocka_unit_test(who_has_a_port),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
