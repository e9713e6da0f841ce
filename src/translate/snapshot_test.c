/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "translate/contribution.h"
#include "translate/test_world.h"

#include <stdio.h>

static const ObjectKey gw = {STR_INIT("demo"), STR_INIT("gw")};

#define PLAIN                                                                  \
        FIXTURE_GATEWAY FIXTURE_TAILNET FIXTURE_OURS("ours", "", FIXTURE_HOST) \
                FIXTURE_ENDPOINTS(FIXTURE_API)

static void check_str(Str got, const char *want)
{
        if (!str_eq(got, str_of(want)))
                fail_msg("got \"%.*s\", want \"%s\"", STR_FMT(got), want);
}

/* Who answers no hooks says the same of the same Worlds, one after the other, without the bytes. */
static void digests_alone_give_the_same_revisions(void **state)
{
        (void)state;
        static const char other[] =
                FIXTURE_GATEWAY FIXTURE_TAILNET FIXTURE_OURS("ours", "", FIXTURE_HOST)
                        FIXTURE_ENDPOINTS("{name: api, tailscaleIP: 100.64.0.9, port: 8080, "
                                          "protocol: HTTP}");
        const char *const texts[] = {PLAIN, PLAIN, other, PLAIN};
        Fixture whole = {0}, alone = {0};
        char first[REVISION_MAX + 1] = "";
        for (size_t i = 0; i < LENGTH_OF(texts); i++) {
                Fixture w = fixture_open(texts[i], whole.snapshot), a = {0};
                a.snapshot =
                        snapshot_digests_new(snapshot_world(w.snapshot), alone.snapshot, &a.report);
                const char *revision = snapshot_revision(a.snapshot, gw);
                check_str(str_of(revision), snapshot_revision(w.snapshot, gw));
                const GatewayReport *g = w.report->gateways->at[0], *h = a.report->gateways->at[0];
                assert_int_equal(g->bytes, h->bytes);
                assert_int_equal(g->hosts, h->hosts);
                assert_true(fixture_row(&a, "ours", "api", NULL)->programmed);
                assert_true(snapshot_bytes(a.snapshot, NULL) + h->bytes <=
                            snapshot_bytes(w.snapshot, NULL));
                /* The same again is the same host; a cluster is of its endpoints' leaves. */
                if (i == 1)
                        assert_true(snapshot_bytes(a.snapshot, alone.snapshot) <
                                    snapshot_bytes(a.snapshot, NULL));
                if (i == 0)
                        memcpy(first, revision, sizeof first);
                if (i == 2) {
                        assert_string_not_equal(revision, first);
                        assert_true(snapshot_has(w.snapshot, gw, str_of(first)));
                        assert_false(snapshot_has(a.snapshot, gw, str_of(first)));
                }
                fixture_done(&whole);
                fixture_done(&alone);
                whole = w;
                alone = a;
        }
        check_str(str_of(first), snapshot_revision(alone.snapshot, gw));
        fixture_done(&whole);
        fixture_done(&alone);
}

static void check_lost(const char *manifests, const char *reason)
{
        Fixture f = fixture_open(manifests, NULL);
        const EntryReport *e = f.report->entries->at[0];
        const GatewayReport *g = f.report->gateways->at[0];
        check_str(e->reason, reason);
        assert_false(e->programmed);
        /* Without a proxy it is attached all the same. */
        assert_int_equal(g->refused, g->found && strcmp(reason, "NoProxy") != 0);
        assert_int_equal(e->hosts + e->paths, 0);
        check_str(str_of(snapshot_revision(f.snapshot, gw)), snapshot_empty_revision(f.snapshot));
        TABLE_FOREACH (RouteReport, r, f.report->routes) {
                assert_false(r->programmed);
                check_str(r->reason, reason);
        }
        fixture_done(&f);
}

static void one_service_has_a_host_and_a_cluster(void **state)
{
        (void)state;
        Fixture f = fixture_open(PLAIN, NULL);
        const RouteReport *r = fixture_row(&f, "ours", "api", NULL);
        assert_true(r->programmed);
        check_str(r->host, "api.ts.local");
        check_str(r->listener, "http");
        check_str(r->cluster, "tailscale/egress/demo/ours/corp/api/http-8080");
        const GatewayReport *g = f.report->gateways->at[0];
        assert_true(g->found);
        assert_false(g->refused);
        assert_int_equal(g->hosts, 1);
        assert_int_equal(g->clusters, 1);
        assert_int_equal(strlen(g->revision), REVISION_MAX);
        assert_true(snapshot_has(f.snapshot, gw, str_of(g->revision)));
        assert_false(snapshot_has(f.snapshot, gw, STR("0123")));
        assert_null(snapshot_revision(f.snapshot, (ObjectKey){STR("demo"), STR("other")}));
        fixture_done(&f);
}

static void why_an_entry_is_not_programmed(void **state)
{
        (void)state;
        check_lost(FIXTURE_TAILNET FIXTURE_OURS("ours", "", FIXTURE_HOST)
                           FIXTURE_ENDPOINTS(FIXTURE_API),
                   "GatewayNotFound");
        check_lost(FIXTURE_GATEWAY FIXTURE_TAILNET FIXTURE_OURS(
                           "ours", "", "hostPattern: \"{service}.x\", protocol: HTTPS")
                           FIXTURE_ENDPOINTS(FIXTURE_API),
                   "NoMatchingListener");
        check_lost(
                FIXTURE_GATEWAY FIXTURE_TAILNET FIXTURE_OURS(
                        "ours", "", "hostPattern: \"{service}.x\", protocol: HTTP, sectionName: b")
                        FIXTURE_ENDPOINTS(FIXTURE_API),
                "NoMatchingListener");
        check_lost("---\n{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: "
                   "{name: gw, namespace: "
                   "demo}, spec: {gatewayClassName: eg, listeners: [{name: a, protocol: HTTP, "
                   "port: 80}, {name: b, "
                   "protocol: HTTP, port: 81}]}}\n" FIXTURE_TAILNET FIXTURE_OURS(
                           "ours", "", FIXTURE_HOST) FIXTURE_ENDPOINTS(FIXTURE_API),
                   "ListenerAmbiguous");
        /* Which of both is the public one, its selector would say. */
        check_lost(
                "---\n{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: "
                "{name: gw, namespace: demo}, spec: {gatewayClassName: eg, listeners: [{name: a, "
                "protocol: HTTP, port: 80, allowedRoutes: {namespaces: {from: Selector, "
                "selector: {matchLabels: {x: y}}}}}, {name: b, protocol: HTTP, port: 81, "
                "allowedRoutes: {namespaces: {from: All}}}]}}\n" FIXTURE_TAILNET FIXTURE_OURS(
                        "ours", "", FIXTURE_HOST) FIXTURE_ENDPOINTS(FIXTURE_API),
                "ListenerAmbiguous");
        check_lost("---\n{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: "
                   "{name: gw, namespace: "
                   "demo}, spec: {gatewayClassName: eg, listeners: [{name: a, protocol: HTTP, "
                   "port: 80, "
                   "allowedRoutes: {namespaces: {from: None}}}]}}\n" FIXTURE_TAILNET FIXTURE_OURS(
                           "ours", "", FIXTURE_HOST) FIXTURE_ENDPOINTS(FIXTURE_API),
                   "NotAllowedByListeners");
        check_lost(FIXTURE_GATEWAY "---\n{apiVersion: gateway.tailscale.com/v1alpha1, kind: "
                                   "TailscaleTailnet, metadata: {name: corp, "
                                   "namespace: demo}, spec: {file: {path: d.json}}}\n" FIXTURE_OURS(
                                           "ours", "", FIXTURE_HOST) FIXTURE_ENDPOINTS(FIXTURE_API),
                   "NoProxy");
        check_lost(FIXTURE_GATEWAY
                   "---\n{apiVersion: gateway.tailscale.com/v1alpha1, kind: TailscaleTailnet, "
                   "metadata: {name: corp, "
                   "namespace: demo}, spec: {file: {path: d.json}, proxyAddresses: "
                   "[\"proxy.example:1055\"]}}\n" FIXTURE_OURS("ours", "", FIXTURE_HOST)
                           FIXTURE_ENDPOINTS(FIXTURE_API),
                   "NoProxy");
}

/* The World of `manifests` in which the proxy "proxy.example:1055" stands for `addresses`. */
static Fixture with_policy(const char *manifests, StrList addresses, const Policy *policy)
{
        World *w = fixture_world(manifests);
        w->policy = leaf_ref(policy);
        ProxyName *name = leaf_new(sizeof(*name), 256, NULL);
        name->name = leaf_str(&name->leaf, STR("proxy.example:1055"));
        name->addresses = leaf_strlist(&name->leaf, addresses);
        const void *leaves[] = {name};
        table_unref(w->proxy_names);
        w->proxy_names = table_new(leaves, 1, proxy_name_order);
        Fixture f = {0};
        f.snapshot = snapshot_new(w, NULL, &f.report);
        leaf_unref(w);
        return f;
}

static Fixture with_resolved(const char *manifests, StrList addresses)
{
        return with_policy(manifests, addresses, NULL);
}

#define PROXIES(list)                                                                          \
        FIXTURE_GATEWAY                                                                        \
        "---\n{apiVersion: gateway.tailscale.com/v1alpha1, kind: TailscaleTailnet, metadata: " \
        "{name: corp, namespace: demo}, spec: {file: {path: d.json}, magicDNSSuffix: "         \
        "corp.ts.net, proxyAddresses: [" list "]}}\n" FIXTURE_OURS("ours", "", FIXTURE_HOST)   \
                FIXTURE_ENDPOINTS(FIXTURE_API)

static void a_proxy_by_name_is_what_it_stands_for(void **state)
{
        (void)state;
        static const Str addresses[] = {STR_INIT("10.0.0.1:1055"), STR_INIT("[fd00::1]:1055")};
        Fixture by_name = with_resolved(PROXIES("\"proxy.example:1055\""),
                                        (StrList){addresses, LENGTH_OF(addresses)});
        Fixture by_address = fixture_open(PROXIES("\"10.0.0.1:1055\", \"[fd00::1]:1055\""), NULL);
        assert_true(fixture_row(&by_name, "ours", "api", NULL)->programmed);
        assert_string_equal(snapshot_revision(by_name.snapshot, gw),
                            snapshot_revision(by_address.snapshot, gw));
        fixture_done(&by_name);
        /* Each is used once, however often it is named. */
        by_name = with_resolved(PROXIES("\"10.0.0.1:1055\", \"proxy.example:1055\", "
                                        "\"[fd00::1]:1055\""),
                                (StrList){addresses, LENGTH_OF(addresses)});
        assert_string_equal(snapshot_revision(by_name.snapshot, gw),
                            snapshot_revision(by_address.snapshot, gw));
        fixture_done(&by_name);
        fixture_done(&by_address);
}

/* What a proxy comes to counts, not how it is written, and not who names it. */
static void a_cluster_has_a_say_in_proxies(void **state)
{
        (void)state;
        static const Str ranges[] = {STR_INIT("10.0.0.1, fd00::/8")};
        static const Str good[] = {STR_INIT("10.0.0.1:1055")};
        static const Str both[] = {STR_INIT("10.0.0.1:1055"), STR_INIT("10.96.0.1:443")};
        static const Str bad[] = {STR_INIT("10.96.0.1:443")};
        static const Str mapped[] = {STR_INIT("[::ffff:10.96.0.1]:443")};
        static const struct {
                StrList addresses;
                bool programmed;
                const char *reason;
        } cases[] = {
                {{good, 1}, true, ""},
                {{both, 2}, true, "ProxyRefused"},
                {{bad, 1}, false, "ProxyRefused"},
                {{mapped, 1}, false, "ProxyRefused"},
        };
        PolicyInput in = {.in_kubernetes = true, .lists = {[POLICY_PROXIES] = {ranges, 1}}};
        CLEANUP(leaf_cleanup) const Policy *policy = policy_new(&in, NULL);
        Fixture alone = with_resolved(PROXIES("\"10.0.0.1:1055\""), (StrList){good, 1});
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                Fixture f =
                        with_policy(PROXIES("\"proxy.example:1055\""), cases[i].addresses, policy);
                const EntryReport *r = f.report->entries->at[0];
                assert_true(r->programmed == cases[i].programmed);
                check_str(r->reason, cases[i].reason);
                if (cases[i].programmed)
                        assert_string_equal(snapshot_revision(f.snapshot, gw),
                                            snapshot_revision(alone.snapshot, gw));
                if (cases[i].reason[0] != '\0')
                        assert_true(str_find_str(r->text, STR("proxyAddresses: proxy.example:1055: "
                                                              "proxy ")) >= 0);
                fixture_done(&f);
        }
        fixture_done(&alone);
}

/* Who may write TailscaleEndpoints may not write any address into Envoy. */
static void an_address_that_is_refused_never_gets_to_envoy(void **state)
{
        (void)state;
        static const Str any[] = {STR_INIT("127.0.0.1")};
        PolicyInput in = {.in_kubernetes = true, .lists = {[POLICY_PROXIES] = {any, 1}}};
        CLEANUP(leaf_cleanup) const Policy *policy = policy_new(&in, NULL);
        static const char *const text =
                FIXTURE_GATEWAY FIXTURE_TAILNET FIXTURE_OURS("ours", "", FIXTURE_HOST)
                        FIXTURE_ENDPOINTS("{name: api, tailscaleIP: 10.96.0.1, port: 443, "
                                          "protocol: HTTPS}");
        Fixture f = with_policy(text, (StrList){any, 1}, policy);
        assert_int_equal(table_n(f.report->routes), 0);
        fixture_done(&f);
        f = with_resolved(text, (StrList){any, 1});
        assert_true(fixture_row(&f, "ours", "api", NULL)->programmed);
        fixture_done(&f);
}

#define OTHER_TAILNET(proxy)                                                                   \
        "---\n{apiVersion: gateway.tailscale.com/v1alpha1, kind: TailscaleTailnet, metadata: " \
        "{name: other, namespace: demo}, spec: {file: {path: o.json}, proxyAddresses: "        \
        "[\"" proxy "\"]}}\n"

/* However it is written, a proxy leads into one tailnet. */
static void a_proxy_of_two_tailnets_is_none(void **state)
{
        (void)state;
        static const Str addresses[] = {STR_INIT("10.0.0.1:1055"), STR_INIT("[fd00::1]:1055")};
        StrList list = {addresses, LENGTH_OF(addresses)};
        Fixture f = with_resolved(
                PROXIES("\"proxy.example:1055\"") OTHER_TAILNET("[fd00:0::1]:1055"), list);
        const RouteReport *r = fixture_row(&f, "ours", "api", NULL);
        assert_false(r->programmed);
        check_str(r->reason, "ProxyShared");
        assert_true(str_find_str(r->text, STR("demo/other")) >= 0);
        fixture_done(&f);
        f = with_resolved(PROXIES("\"proxy.example:1055\"") OTHER_TAILNET("10.0.0.1:1056"), list);
        assert_true(fixture_row(&f, "ours", "api", NULL)->programmed);
        fixture_done(&f);
}

static void section_names_choose_the_listener(void **state)
{
        (void)state;
        Fixture f = fixture_open(
                "---\n{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: "
                "gw, namespace: "
                "demo}, spec: {gatewayClassName: eg, listeners: [{name: a, protocol: HTTP, port: "
                "80}, {name: b, "
                "protocol: HTTP, port: 81}]}}\n" FIXTURE_TAILNET
                "---\n{apiVersion: gateway.tailscale.com/v1alpha1, kind: TailscaleGateway, "
                "metadata: {name: ours, "
                "namespace: demo}, spec: {gatewayRef: {name: gw, sectionName: a}, tailnets: "
                "[{name: corp, "
                "tailscaleTailnetRef: {name: corp}, routeGeneration: {egress: {hostPattern: "
                "\"{service}.a\", "
                "protocol: HTTP}}}]}}\n"
                "---\n{apiVersion: gateway.tailscale.com/v1alpha1, kind: TailscaleGateway, "
                "metadata: {name: theirs, "
                "namespace: demo}, spec: {gatewayRef: {name: gw, sectionName: a}, tailnets: "
                "[{name: corp, "
                "tailscaleTailnetRef: {name: corp}, routeGeneration: {egress: {hostPattern: "
                "\"{service}.a\", "
                "protocol: HTTP, sectionName: b}}}]}}\n" FIXTURE_ENDPOINTS(FIXTURE_API),
                NULL);
        check_str(fixture_row(&f, "ours", "api", NULL)->listener, "a");
        check_str(fixture_row(&f, "theirs", "api", NULL)->listener, "b");
        /* The same host on another port is no conflict. */
        assert_true(fixture_row(&f, "ours", "api", NULL)->programmed);
        assert_true(fixture_row(&f, "theirs", "api", NULL)->programmed);
        const Contribution *c = snapshot_contribution(f.snapshot, gw, (Str){0});
        assert_int_equal(c->n_targets, 2);
        check_str(c->targets[0].name_v1, "demo/gw/a");
        check_str(c->targets[0].name_v2, "http-80");
        fixture_done(&f);
}

static void conflicts_among_ours(void **state)
{
        (void)state;
        Fixture f = fixture_open(FIXTURE_GATEWAY FIXTURE_TAILNET FIXTURE_OURS("a", "", FIXTURE_HOST)
                                         FIXTURE_OURS("b", "priority: 1, ", FIXTURE_HOST)
                                                 FIXTURE_ENDPOINTS(FIXTURE_API),
                                 NULL);
        assert_true(fixture_row(&f, "b", "api", NULL)->programmed);
        const RouteReport *lost = fixture_row(&f, "a", "api", NULL);
        assert_false(lost->programmed);
        check_str(lost->reason, "Conflicted");
        assert_true(str_find_str(lost->text, STR("demo/b")) >= 0);
        const EntryReport *e = f.report->entries->at[0];
        assert_int_equal(e->conflicts, 1);
        fixture_done(&f);
        /* Two names that become one. */
        f = fixture_open(
                FIXTURE_GATEWAY FIXTURE_TAILNET FIXTURE_OURS("a", "", FIXTURE_HOST)
                        FIXTURE_ENDPOINTS(
                                FIXTURE_API
                                ", {name: API, tailscaleIP: 100.64.0.2, port: 80, protocol: HTTP}"),
                NULL);
        assert_true(fixture_row(&f, "a", "API", NULL)->programmed);
        check_str(fixture_row(&f, "a", "api", NULL)->reason, "Conflicted");
        fixture_done(&f);
}

/* ---- of several namespaces ---- */

#define SHARED_GATEWAY                                                                         \
        "---\n{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: gw, " \
        "namespace: demo}, spec: {listeners: [{name: http, protocol: HTTP, port: 80, "         \
        "allowedRoutes: {namespaces: {from: All}}}]}}\n"
#define CLAIMANT(namespace, name, more)                                                         \
        "---\n{apiVersion: gateway.tailscale.com/v1alpha1, kind: TailscaleGateway, metadata: "  \
        "{name: " name                                                                          \
        ", namespace: " namespace "}, spec: {gatewayRef: {name: gw, namespace: "                \
                                  "demo}, " more                                                \
                                  "tailnets: [{name: corp, tailscaleTailnetRef: {name: corp}, " \
                                  "connectivity: {mode: Direct}, routeGeneration: {egress: "    \
                                  "{" FIXTURE_HOST "}}}]}}\n"
#define FOUND(namespace)                                                                         \
        "---\n{apiVersion: gateway.tailscale.com/v1alpha1, kind: TailscaleEndpoints, metadata: " \
        "{name: e, namespace: " namespace "}, spec: {tailnet: corp, endpoints: [" FIXTURE_API    \
                                          "]}}\n"

/* When each was made, in the order of the TailscaleGateways' keys. */
typedef struct Ages {
        int64_t at[3];
} Ages;

/* "namespace/name" of who has the host. */
static void expect_winner(const char *manifests, Ages ages, const char *winner)
{
        World *w = fixture_world(manifests);
        Report *report = NULL;
        assert_in_range(table_n(w->gateways), 1, LENGTH_OF(ages.at));
        for (size_t i = 0; i < table_n(w->gateways); i++)
                ((GatewaySpec *)(uintptr_t)w->gateways->at[i])->meta.created.ms = ages.at[i];
        Snapshot *s = snapshot_new(w, NULL, &report);
        size_t programmed = 0;
        TABLE_FOREACH (RouteReport, r, report->routes) {
                char key[OBJECT_KEY_TEXT];
                if (r->programmed)
                        assert_string_equal(object_key_text(r->gateway, key).p, winner);
                programmed += r->programmed;
        }
        assert_int_equal(programmed, 1);
        snapshot_unref(s);
        leaf_unref(report);
        leaf_unref(w);
}

static void the_oldest_claimants_namespace_wins(void **state)
{
        (void)state;
        static const char two[] = SHARED_GATEWAY CLAIMANT("alpha", "gw", "priority: 9, ")
                CLAIMANT("zeta", "gw", "") FOUND("alpha") FOUND("zeta");
        expect_winner(two, (Ages){{2000, 1000}}, "zeta/gw");
        expect_winner(two, (Ages){{1000, 2000}}, "alpha/gw");
        /* Of one age, or where it is not known, by name. */
        expect_winner(two, (Ages){{1000, 1000}}, "alpha/gw");
        expect_winner(two, (Ages){{0, 0}}, "alpha/gw");
        expect_winner(two, (Ages){{0, 1000}}, "zeta/gw");
        /* Within it the higher priority has it, though another is older. */
        static const char three[] =
                SHARED_GATEWAY CLAIMANT("alpha", "gw", "") CLAIMANT("zeta", "new", "priority: 1, ")
                        CLAIMANT("zeta", "old", "") FOUND("alpha") FOUND("zeta");
        expect_winner(three, (Ages){{2000, 3000, 1000}}, "zeta/new");
        static const char same[] =
                SHARED_GATEWAY CLAIMANT("zeta", "a", "") CLAIMANT("zeta", "b", "") FOUND("zeta");
        expect_winner(same, (Ages){{3000, 1000}}, "zeta/b");
        /* An old one that asks for something else does not help its namespace. */
        static const char other[] = SHARED_GATEWAY CLAIMANT("alpha", "gw", "") CLAIMANT(
                "zeta", "new",
                "") "---\n{apiVersion: gateway.tailscale.com/v1alpha1, kind: TailscaleGateway, "
                    "metadata: {name: old, namespace: zeta}, spec: {gatewayRef: {name: gw, "
                    "namespace: demo}, tailnets: [{name: none, tailscaleTailnetRef: {name: "
                    "corp}}]}}\n" FOUND("alpha") FOUND("zeta");
        expect_winner(other, (Ages){{2000, 3000, 1000}}, "alpha/gw");
}

#define USER_ROUTE(namespace)                                                                      \
        "---\n{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: web, "  \
        "namespace: " namespace "}, spec: {parentRefs: [{name: gw, namespace: demo}], hostnames: " \
                                "[api.ts.local], rules: [{}]}}\n"

static void a_users_host_stays_the_users(void **state)
{
        (void)state;
        Fixture f = fixture_open(PLAIN USER_ROUTE("demo"), NULL);
        check_str(fixture_row(&f, "ours", "api", NULL)->reason, "Conflicted");
        assert_true(str_find_str(fixture_row(&f, "ours", "api", NULL)->text,
                                 STR("HTTPRoute demo/web")) >= 0);
        fixture_done(&f);
#define OVERRIDING                                    \
        FIXTURE_GATEWAY FIXTURE_TAILNET FIXTURE_OURS( \
                "ours", "", FIXTURE_HOST ", overrideHosts: true") FIXTURE_ENDPOINTS(FIXTURE_API)
        f = fixture_open(OVERRIDING USER_ROUTE("demo"), NULL);
        assert_true(fixture_row(&f, "ours", "api", NULL)->programmed);
        fixture_done(&f);
        f = fixture_open(OVERRIDING USER_ROUTE("other"), NULL);
        check_str(fixture_row(&f, "ours", "api", NULL)->reason, "Conflicted");
        fixture_done(&f);
}

static void one_port_of_a_service_has_the_host(void **state)
{
        (void)state;
#define PORTS                                                                                 \
        FIXTURE_ENDPOINTS(                                                                    \
                "{name: api, tailscaleIP: 100.64.0.1, port: 22, protocol: TCP}, {name: api, " \
                "tailscaleIP: 100.64.0.1, port: 80, protocol: HTTP}, {name: api, "            \
                "tailscaleIP: 100.64.0.1, port: 90, protocol: HTTP}")
        Fixture f = fixture_open(
                FIXTURE_GATEWAY FIXTURE_TAILNET FIXTURE_OURS("ours", "", FIXTURE_HOST) PORTS, NULL);
        assert_int_equal(f.report->routes->n, 3);
        size_t programmed = 0;
        TABLE_FOREACH (RouteReport, r, f.report->routes) {
                programmed += r->programmed;
                assert_int_equal(r->programmed, r->port == 80);
                check_str(r->reason, r->port == 80 ? "" : "NoHost");
        }
        assert_int_equal(programmed, 1);
        fixture_done(&f);
        f = fixture_open(
                FIXTURE_GATEWAY FIXTURE_TAILNET FIXTURE_OURS(
                        "ours", "",
                        "hostPattern: \"{service}-{port}.x\", pathPrefix: /, protocol: HTTP") PORTS,
                NULL);
        const GatewayReport *g = f.report->gateways->at[0];
        assert_int_equal(g->hosts, 2);
        fixture_done(&f);
}

/* Members of a group have a port by rules of their own: the earliest of any of them counts, not
 * that of whoever has the lowest address. */
static void the_earliest_rule_of_any_member_has_the_host(void **state)
{
        (void)state;
#define MEMBER(id, port, source)                                                       \
        "{name: web, shortName: web-" id ", tailscaleIP: 100.64.0." id ", port: " port \
        ", portSource: \"" source "\"}"
        Fixture f = fixture_open(
                FIXTURE_GATEWAY FIXTURE_TAILNET FIXTURE_OURS("ours", "", FIXTURE_HOST)
                        FIXTURE_ENDPOINTS(MEMBER("1", "80", "ports[1]") ", " MEMBER(
                                "2", "8080", "defaultPort") ", " MEMBER("3", "8080", "ports[0]")),
                NULL);
        assert_int_equal(f.report->routes->n, 2);
        TABLE_FOREACH (RouteReport, r, f.report->routes)
                check_str(r->reason, r->port == 8080 ? "" : "NoHost");
        fixture_done(&f);
}

static void hosts_stay_within_the_listeners_hostname(void **state)
{
        (void)state;
        Fixture f = fixture_open(
                "---\n{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: "
                "gw, namespace: "
                "demo}, spec: {gatewayClassName: eg, listeners: [{name: a, protocol: HTTP, port: "
                "80, hostname: "
                "\"*.inner.local\"}]}}\n" FIXTURE_TAILNET FIXTURE_OURS(
                        "in", "",
                        "hostPattern: \"{service}.inner.local\", protocol: HTTP, pathPrefix: "
                        "\"/t/{service}/\"") FIXTURE_OURS("out", "", FIXTURE_HOST)
                        FIXTURE_ENDPOINTS(FIXTURE_API),
                NULL);
        assert_true(fixture_row(&f, "in", "api", NULL)->programmed);
        check_str(fixture_row(&f, "out", "api", NULL)->reason, "NoMatchingListenerHostname");
        /* The catch-all of a listener with a hostname is that hostname. */
        check_str(fixture_row(&f, "in", "api", "/t/api/")->host, "*.inner.local");
        fixture_done(&f);
}

static void ingress_is_told_of_where_it_was_asked_for(void **state)
{
        (void)state;
        Fixture f = fixture_open(
                FIXTURE_GATEWAY FIXTURE_TAILNET
                "---\n{apiVersion: gateway.tailscale.com/v1alpha1, kind: TailscaleGateway, "
                "metadata: {name: ours, "
                "namespace: demo}, spec: {gatewayRef: {name: gw}, tailnets: [{name: corp, "
                "tailscaleTailnetRef: "
                "{name: corp}, routeGeneration: {ingress: {hostPattern: \"{service}.in\"}, egress: "
                "{hostPattern: "
                "\"{service}.ts.local\", protocol: HTTP}}}]}}\n" FIXTURE_ENDPOINTS(FIXTURE_API),
                NULL);
        const EntryReport *e = f.report->entries->at[0];
        assert_true(e->programmed);
        /* Its listener would be one of HTTPS. */
        check_str(e->reason, "NoMatchingListener");
        assert_true(str_starts(e->text, STR("ingress: ")));
        fixture_done(&f);
        f = fixture_open(PLAIN, NULL);
        e = f.report->entries->at[0];
        check_str(e->reason, "");
        fixture_done(&f);
}

static size_t count_rows(const Fixture *f, const char *path, bool programmed)
{
        size_t n = 0;
        TABLE_FOREACH (RouteReport, r, f->report->routes)
                n += str_eq(r->path, str_of(path)) && r->programmed == programmed;
        return n;
}

static void path_hosts_that_say_the_same_are_one(void **state)
{
        (void)state;
#define TWICE                                                                                   \
        "hostPattern: \"{service}.inner.local\", protocol: HTTP, pathPrefix: \"/{service}/\", " \
        "pathHosts: [\"*.Inner.local\", \"*.inner.local\", \"*\"]"
        Fixture f = fixture_open(
                "---\n{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: "
                "gw, namespace: demo}, spec: {gatewayClassName: eg, listeners: [{name: a, "
                "protocol: HTTP, port: 80, hostname: \"*.inner.local\"}]}}\n" FIXTURE_TAILNET
                        FIXTURE_OURS("ours", "", TWICE) FIXTURE_ENDPOINTS(FIXTURE_API),
                NULL);
        /* The listener's hostname is its catch-all, and all hosts below it are more than that. */
        assert_int_equal(count_rows(&f, "/api/", true), 2);
        assert_int_equal(count_rows(&f, "/api/", false), 0);
        const EntryReport *e = f.report->entries->at[0];
        assert_int_equal(e->conflicts, 0);
        const Contribution *c = snapshot_contribution(f.snapshot, gw, (Str){0});
        assert_int_equal(c->targets[0].n_groups, 2);
        fixture_done(&f);
}

/* World number `i`: one endpoint that moves. */
static Fixture nth(unsigned i, const Snapshot *before)
{
        char text[4096];
        snprintf(text, sizeof(text),
                 FIXTURE_GATEWAY FIXTURE_TAILNET FIXTURE_OURS("ours", "", FIXTURE_HOST)
                         FIXTURE_ENDPOINTS(FIXTURE_API ", {name: web, tailscaleIP: 100.64.1.%u, "
                                                       "port: 80, protocol: HTTP}"),
                 i);
        return fixture_open(text, before);
}

static void the_last_revisions_are_kept(void **state)
{
        (void)state;
        char seen[SNAPSHOT_REVISIONS + 3][REVISION_MAX + 1];
        Fixture f = {0};
        for (unsigned i = 0; i < LENGTH_OF(seen); i++) {
                Fixture next = nth(i + 1, f.snapshot);
                fixture_done(&f);
                f = next;
                memcpy(seen[i], snapshot_revision(f.snapshot, gw), sizeof(seen[i]));
                for (unsigned j = 0; j <= i; j++)
                        assert_int_equal(snapshot_has(f.snapshot, gw, str_of(seen[j])),
                                         i - j < SNAPSHOT_REVISIONS);
        }
        /* A change that is taken back gives the old revision, and nothing comes twice. */
        Fixture back = nth(LENGTH_OF(seen) - 1, f.snapshot);
        assert_string_equal(snapshot_revision(back.snapshot, gw), seen[LENGTH_OF(seen) - 2]);
        assert_true(snapshot_has(back.snapshot, gw, str_of(seen[LENGTH_OF(seen) - 1])));
        fixture_done(&back);
        fixture_done(&f);
}

static void a_revision_depends_on_what_is_served_alone(void **state)
{
        (void)state;
        Fixture a = fixture_open(PLAIN, NULL), b = fixture_open(PLAIN, a.snapshot);
        assert_string_equal(snapshot_revision(a.snapshot, gw), snapshot_revision(b.snapshot, gw));
        fixture_done(&b);
        /* Tags, health and a static's origin are not served. */
        b = fixture_open(
                FIXTURE_GATEWAY FIXTURE_TAILNET FIXTURE_OURS("ours", "", FIXTURE_HOST)
                        FIXTURE_ENDPOINTS("{name: api, tailscaleIP: 100.64.0.1, "
                                          "tailscaleFQDN: api.corp.ts.net, port: 8080, "
                                          "protocol: HTTP, tags: [\"tag:x\"], health: Offline, "
                                          "healthText: gone}"),
                a.snapshot);
        assert_string_equal(snapshot_revision(a.snapshot, gw), snapshot_revision(b.snapshot, gw));
        fixture_done(&b);
        b = fixture_open(FIXTURE_GATEWAY FIXTURE_TAILNET FIXTURE_OURS("ours", "", FIXTURE_HOST)
                                 FIXTURE_ENDPOINTS("{name: api, tailscaleIP: 100.64.0.1, "
                                                   "tailscaleFQDN: api.corp.ts.net, port: 8080, "
                                                   "protocol: HTTP, weight: 2}"),
                         a.snapshot);
        assert_string_not_equal(snapshot_revision(a.snapshot, gw),
                                snapshot_revision(b.snapshot, gw));
        fixture_done(&b);
        fixture_done(&a);
}

/* A row that says what it said is the row that it was. */
static void rows_of_reports_are_shared(void **state)
{
        (void)state;
        static const char other[] =
                FIXTURE_GATEWAY FIXTURE_TAILNET FIXTURE_OURS("ours", "", FIXTURE_HOST)
                        FIXTURE_ENDPOINTS(FIXTURE_API ", {name: new, tailscaleIP: 100.64.0.9, "
                                                      "port: 80, protocol: HTTP}");
        Fixture a = fixture_open(PLAIN, NULL);
        Fixture b = fixture_open(other, a.snapshot);
        assert_int_equal(table_n(a.report->routes), 1);
        assert_int_equal(table_n(b.report->routes), 2);
        assert_ptr_equal(fixture_row(&a, "ours", "api", NULL),
                         fixture_row(&b, "ours", "api", NULL));
        fixture_done(&a);
        fixture_done(&b);
}

static void packs_are_shared(void **state)
{
        (void)state;
        World *w = fixture_world(PLAIN);
        Report *r = NULL;
        Snapshot *a = snapshot_new(w, NULL, &r);
        leaf_unref(r);
        Snapshot *b = snapshot_new(w, a, &r);
        leaf_unref(r);
        const Contribution *x = snapshot_contribution(a, gw, (Str){0});
        const Contribution *y = snapshot_contribution(b, gw, (Str){0});
        assert_ptr_equal(x->clusters[0], y->clusters[0]);
        assert_ptr_equal(x->targets[0].hosts[0], y->targets[0].hosts[0]);
        assert_true(snapshot_bytes(b, a) < snapshot_bytes(b, NULL));
        snapshot_unref(a);
        snapshot_unref(b);
        leaf_unref(w);
        /* Of two services, that which did not change is shared though its World was read anew. */
        Fixture f = nth(1, NULL), g = nth(2, f.snapshot);
        x = snapshot_contribution(f.snapshot, gw, (Str){0});
        y = snapshot_contribution(g.snapshot, gw, (Str){0});
        assert_ptr_equal(x->targets[0].hosts[0], y->targets[0].hosts[0]);
        assert_true(digest_eq(&x->clusters[0]->digest, &y->clusters[0]->digest));
        assert_false(digest_eq(&x->clusters[1]->digest, &y->clusters[1]->digest));
        fixture_done(&f);
        fixture_done(&g);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(one_service_has_a_host_and_a_cluster),
                cmocka_unit_test(digests_alone_give_the_same_revisions),
                cmocka_unit_test(why_an_entry_is_not_programmed),
                cmocka_unit_test(a_proxy_by_name_is_what_it_stands_for),
                cmocka_unit_test(a_cluster_has_a_say_in_proxies),
                cmocka_unit_test(an_address_that_is_refused_never_gets_to_envoy),
                cmocka_unit_test(a_proxy_of_two_tailnets_is_none),
                cmocka_unit_test(section_names_choose_the_listener),
                cmocka_unit_test(conflicts_among_ours),
                cmocka_unit_test(the_oldest_claimants_namespace_wins),
                cmocka_unit_test(a_users_host_stays_the_users),
                cmocka_unit_test(one_port_of_a_service_has_the_host),
                cmocka_unit_test(the_earliest_rule_of_any_member_has_the_host),
                cmocka_unit_test(hosts_stay_within_the_listeners_hostname),
                cmocka_unit_test(ingress_is_told_of_where_it_was_asked_for),
                cmocka_unit_test(path_hosts_that_say_the_same_are_one),
                cmocka_unit_test(the_last_revisions_are_kept),
                cmocka_unit_test(a_revision_depends_on_what_is_served_alone),
                cmocka_unit_test(rows_of_reports_are_shared),
                cmocka_unit_test(packs_are_shared),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
