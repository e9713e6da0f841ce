/* SPDX-License-Identifier: Apache-2.0 */
/* Which Services a tailnet sees, under which host, and who has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/mem.h"
#include "translate/explain.h"
#include "translate/snapshot.h"
#include "translate/test_world.h"

#define EG                                                                                      \
        "---\n{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: gw, "  \
        "namespace: demo}, spec: {gatewayClassName: eg, listeners: [{name: a, protocol: HTTP, " \
        "port: 80, allowedRoutes: {namespaces: {from: All}}}]}}\n"
#define OURS_IN(ns, name, discovery, directions)                                                \
        "---\n{apiVersion: gateway.tailscale.com/v1alpha1, kind: TailscaleGateway, metadata: "  \
        "{name: " name ", namespace: " ns "}, spec: {gatewayRef: {name: gw, namespace: demo}, " \
        "tailnets: [{name: corp, tailscaleTailnetRef: {name: corp}, connectivity: {mode: "      \
        "Direct}, " discovery "routeGeneration: {" directions "}}]}}\n"
#define IN           "ingress: {hostPattern: \"{service}.in\", protocol: HTTP}"
#define OURS         OURS_IN("demo", "ours", "", IN)
#define LABEL(value) "labels: {gateway.tailscale.com/expose: \"" value "\"}"
#define SERVICE(ns, name, meta)                                                                    \
        "---\n{apiVersion: v1, kind: Service, metadata: {name: " name ", namespace: " ns ", " meta \
        "}, spec: {ports: [{name: http, port: 80}]}}\n"
#define NOTED(key, value) "annotations: {gateway.tailscale.com/" key ": \"" value "\"}"
#define GRANT(ns, from)                                                               \
        "---\n{apiVersion: gateway.networking.k8s.io/v1beta1, kind: ReferenceGrant, " \
        "metadata: {name: g, namespace: " ns "}, spec: {from: [" from                 \
        "], to: [{group: \"\", kind: Service}]}}\n"
#define FROM_US    "{group: gateway.tailscale.com, kind: TailscaleGateway, namespace: demo}"
#define FROM_ROUTE "{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: demo}"

static Fixture in_kubernetes(const char *manifests)
{
        PolicyInput in = {.in_kubernetes = true};
        World *w = fixture_world(manifests);
        Fixture f = {0};
        w->policy = policy_new(&in, NULL);
        f.snapshot = snapshot_new(w, NULL, &f.report);
        leaf_unref(w);
        return f;
}

static void check_str(Str s, const char *expected)
{
        if (!str_eq(s, str_of(expected)))
                fail_msg("\"%.*s\", expected \"%s\"", STR_FMT(s), expected);
}

/* What becomes of one Service, of which nothing is injected. */
typedef struct Case {
        const char *manifests;
        const char *service; /* as it is shown; NULL: nobody looks at it */
        const char *host, *path, *reason, *entry_reason;
} Case;

static const Case cases[] = {
        {OURS SERVICE("demo", "web", LABEL("true")), "web", "web.in", "", "", ""},
        {OURS SERVICE("demo", "web", LABEL("corp")), "web", "web.in", "", "", ""},
        {OURS SERVICE("demo", "web", LABEL("dev.corp.x")), "web", "web.in", "", "", ""},
        {OURS SERVICE("demo", "web", LABEL("dev")), NULL, "", "", "", ""},
        {OURS SERVICE("demo", "web", LABEL("false")), NULL, "", "", "", ""},
        {OURS SERVICE("demo", "web", "labels: {a: b}"), NULL, "", "", "", ""},
        {OURS SERVICE("demo", "web", LABEL("true") ", " NOTED("tailnets", "a, corp")), "web",
         "web.in", "", "", ""},
        {OURS SERVICE("demo", "web", LABEL("true") ", " NOTED("tailnets", "a,b")), NULL, "", "", "",
         ""},
        {OURS SERVICE("demo", "web", LABEL("true") ", " NOTED("host", "X.{tailnet}.in")), "web",
         "x.corp.in", "", "", ""},
        {OURS SERVICE("demo", "web", LABEL("true") ", " NOTED("host", "no host")), "web", "", "",
         "InvalidHost", ""},
        {OURS SERVICE("demo", "web", LABEL("true") ", " NOTED("path", "/a/b/")), "web", "web.in",
         "/a/b", "", ""},
        {OURS SERVICE("demo", "web", LABEL("true") ", " NOTED("path", "a?b")), "web", "web.in", "",
         "InvalidPath", ""},
        {OURS SERVICE("demo", "web", LABEL("true") ", " NOTED("port", "2")), "web", "", "",
         "NoPort", ""},
        {OURS SERVICE("demo", "web",
                      LABEL("true") ", annotations: {gateway.tailscale.com/protocol: GRPC, "
                                    "gateway.tailscale.com/path: /x}"),
         "web", "web.in", "/x", "InvalidPath", ""},
        /* A selector of the entry. */
        {OURS_IN("demo", "ours", "serviceDiscovery: {services: {matchLabels: {a: b}}}, ", IN)
                 SERVICE("demo", "web", "labels: {a: b}"),
         "web", "web.in", "", "", ""},
        {OURS_IN("demo", "ours", "serviceDiscovery: {services: {}}, ", IN)
                 SERVICE("demo", "web", LABEL("false")),
         NULL, "", "", "", ""},
        /* Another namespace. */
        {OURS SERVICE("far", "web", LABEL("true")), "far/web", "", "", "RefNotPermitted",
         "RefNotPermitted"},
        {OURS SERVICE("far", "web", LABEL("true")) GRANT("far", FROM_US), "far/web", "", "",
         "RefNotPermitted", "RefNotPermitted"},
        {OURS SERVICE("far", "web", LABEL("true")) GRANT("far", FROM_ROUTE), "far/web", "", "",
         "RefNotPermitted", "RefNotPermitted"},
        {OURS SERVICE("far", "web", LABEL("true")) GRANT("far", FROM_US ", " FROM_ROUTE), "far/web",
         "web.in", "", "", ""},
        {OURS SERVICE("far", "web", LABEL("true")) GRANT("near", FROM_US ", " FROM_ROUTE),
         "far/web", "", "", "RefNotPermitted", "RefNotPermitted"},
        {OURS SERVICE("far", "web", LABEL("true") ", " NOTED("host", "login.in"))
                 GRANT("far", FROM_US ", " FROM_ROUTE),
         "far/web", "web.in", "", "", ""},
        /* It is meant for a TailscaleGateway that is nearer. */
        {OURS OURS_IN("far", "theirs", "", IN) SERVICE("far", "web", LABEL("true")), "web",
         "web.in", "", "", ""},
        /* A selector reaches no further than grants, and says nothing of the rest. */
        {OURS_IN("demo", "ours", "serviceDiscovery: {services: {}}, ", IN)
                 SERVICE("far", "web", "labels: {a: b}"),
         NULL, "", "", "", ""},
        {OURS_IN("demo", "ours", "serviceDiscovery: {services: {}}, ", IN)
                 SERVICE("far", "web", "labels: {a: b}") GRANT("far", FROM_US ", " FROM_ROUTE),
         "far/web", "web.in", "", "", ""},
        /* What the listener, or this version, does not take. */
        {OURS_IN("demo", "ours", "", "ingress: {hostPattern: \"{service}.in\", protocol: TCP}")
                 SERVICE("demo", "web", LABEL("true")),
         "web", "web.in", "", "ProtocolNotSupported", "ProtocolNotSupported"},
};

static void each_service(void **state)
{
        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                const Case *c = &cases[i];
                char text[8192];
                snprintf(text, sizeof text, "%s%s", EG FIXTURE_TAILNET, c->manifests);
                Fixture f = in_kubernetes(text);
                const RouteReport *r =
                        table_n(f.report->routes) > 0 ? f.report->routes->at[0] : NULL;
                const EntryReport *e = table_at(f.report->entries, table_n(f.report->entries) - 1);
                check_str(e->reason, c->entry_reason);
                assert_int_equal(table_n(f.report->routes), c->service != NULL);
                if (c->service != NULL && r != NULL) {
                        check_str(r->service, c->service);
                        check_str(r->host, c->host);
                        check_str(r->path, c->path);
                        check_str(r->reason, c->reason);
                        assert_true(r->programmed == (c->reason[0] == '\0'));
                        assert_non_null(r->backend);
                        assert_int_equal(r->cluster.n, 0);
                }
                fixture_done(&f);
        }
}

/* Of two that ask for one host, and of a route of a user. */
static void hosts_are_had_once(void **state)
{
        (void)state;
        static const struct {
                const char *manifests;
                const char *gateway, *service;
                bool programmed;
        } pairs[] = {
                /* The first by name has it, whatever the path of another TailscaleGateway. */
                {OURS OURS_IN("demo", "later", "", IN) SERVICE("demo", "web", LABEL("true")),
                 "later", "web", true},
                {OURS OURS_IN("demo", "later", "", IN) SERVICE("demo", "web", LABEL("true")),
                 "ours", "web", false},
                /* Two Services of one namespace below different paths. */
                {OURS SERVICE("demo", "a", LABEL("true") ", " NOTED("host", "x.in"))
                         SERVICE("demo", "b",
                                 LABEL("true") ", annotations: {gateway.tailscale.com/host: "
                                               "x.in, gateway.tailscale.com/path: /b}"),
                 "ours", "b", true},
                {OURS SERVICE("demo", "a", LABEL("true") ", " NOTED("host", "x.in"))
                         SERVICE("demo", "b", LABEL("true") ", " NOTED("host", "x.in")),
                 "ours", "b", false},
                /* A Service of another namespace gets no host but that of its name, and takes none
                 * of ours. */
                {OURS SERVICE("demo", "web", LABEL("true")) SERVICE("far", "web", LABEL("true"))
                         GRANT("far", FROM_US ", " FROM_ROUTE),
                 "ours", "far/web", false},
                {OURS SERVICE("demo", "web", LABEL("true")) SERVICE("far", "web", LABEL("true"))
                         GRANT("far", FROM_US ", " FROM_ROUTE),
                 "ours", "web", true},
                {OURS SERVICE("demo", "web", LABEL("true"))
                         SERVICE("far", "web",
                                 LABEL("true") ", annotations: {gateway.tailscale.com/host: "
                                               "web.in, gateway.tailscale.com/path: /login}")
                                 GRANT("far", FROM_US ", " FROM_ROUTE),
                 "ours", "far/web", false},
                /* A host of egress. */
                {OURS_IN("demo", "a", "", "egress: {hostPattern: \"{service}.in\", protocol: HTTP}")
                         OURS SERVICE("demo", "api", LABEL("true")) FIXTURE_ENDPOINTS(FIXTURE_API),
                 "a", "api", true},
                {OURS_IN("demo", "a", "", "egress: {hostPattern: \"{service}.in\", protocol: HTTP}")
                         OURS SERVICE("demo", "api", LABEL("true")) FIXTURE_ENDPOINTS(FIXTURE_API),
                 "ours", "api", false},
                /* A user's route, and one that was made. */
                {OURS SERVICE("demo", "web",
                              LABEL("true")) "---\n{apiVersion: "
                                             "gateway.networking.k8s.io/v1, kind: HTTPRoute, "
                                             "metadata: {name: r, namespace: "
                                             "else}, spec: {parentRefs: [{name: gw, namespace: "
                                             "demo}], hostnames: [web.in]}}\n",
                 "ours", "web", false},
                {OURS SERVICE("demo", "web",
                              LABEL("true")) "---\n{apiVersion: "
                                             "gateway.networking.k8s.io/v1, kind: HTTPRoute, "
                                             "metadata: {name: r, namespace: "
                                             "demo, labels: {app.kubernetes.io/managed-by: "
                                             "tailscale-gateway}, "
                                             "ownerReferences: [{apiVersion: "
                                             "gateway.tailscale.com/v1alpha1, kind: "
                                             "TailscaleGateway, name: ours, uid: u}]}, spec: "
                                             "{parentRefs: [{name: gw, "
                                             "namespace: demo}], hostnames: [web.in]}}\n",
                 "ours", "web", true},
        };
        for (size_t i = 0; i < LENGTH_OF(pairs); i++) {
                char text[8192];
                snprintf(text, sizeof text, "%s%s", EG FIXTURE_TAILNET, pairs[i].manifests);
                Fixture f = in_kubernetes(text);
                const RouteReport *found = NULL;
                TABLE_FOREACH (RouteReport, r, f.report->routes) {
                        if (str_eq(r->gateway.name, str_of(pairs[i].gateway)) &&
                            str_eq(r->service, str_of(pairs[i].service)))
                                found = r;
                }
                assert_non_null(found);
                assert_true(found->programmed == pairs[i].programmed);
                check_str(found->reason, pairs[i].programmed ? "" : "Conflicted");
                fixture_done(&f);
        }
}

static void it_is_explained(void **state)
{
        (void)state;
        CLEANUP(buf_done) Buf json;
        buf_init(&json, 1 << 16);
        Fixture f = in_kubernetes(EG FIXTURE_TAILNET OURS SERVICE("demo", "web", LABEL("true")));
        explain_url(f.snapshot, f.report, NULL, STR("http://web.in/x"), &json);
        assert_true(str_find_str(buf_str(&json), STR("HTTPRoute demo/ours-web-")) > 0);
        assert_true(str_find_str(buf_str(&json), STR("Service demo/web, port 80")) > 0);
        assert_true(str_find_str(buf_str(&json), STR("\"answers\":true")) > 0);
        fixture_done(&f);
}

/* Nothing of it is in what Envoy Gateway is given. */
static void an_object_is_not_injected(void **state)
{
        (void)state;
        Fixture without = in_kubernetes(EG FIXTURE_TAILNET OURS);
        Fixture with = in_kubernetes(EG FIXTURE_TAILNET OURS SERVICE("demo", "web", LABEL("true")));
        const EntryReport *e = with.report->entries->at[0];
        ObjectKey gw = {STR("demo"), STR("gw")};
        assert_int_equal(e->hosts, 1);
        assert_true(e->programmed);
        assert_string_equal(snapshot_revision(without.snapshot, gw),
                            snapshot_revision(with.snapshot, gw));
        fixture_done(&without);
        fixture_done(&with);
}

#define STATIC                                                                                   \
        "---\n{apiVersion: gateway.tailscale.com/v1alpha1, kind: TailscaleEndpoints, metadata: " \
        "{name: in, namespace: demo}, spec: {tailnet: corp, direction: Ingress, endpoints: "     \
        "[{name: web, tailscaleIP: 10.0.0.5, port: 3000}]}}\n"

static void without_kubernetes_it_is(void **state)
{
        (void)state;
        Fixture f = fixture_open(EG FIXTURE_TAILNET OURS STATIC, NULL);
        const RouteReport *r = fixture_row(&f, "ours", "web", NULL);
        assert_true(r->programmed);
        assert_null(r->backend);
        check_str(r->host, "web.in");
        check_str(r->cluster, "tailscale/ingress/demo/ours/corp/web/http-3000");
        fixture_done(&f);
        /* It is none of the tailnet's. */
        f = fixture_open(EG FIXTURE_TAILNET OURS_IN("demo", "ours", "",
                                                    "egress: {hostPattern: \"{service}.out\", "
                                                    "protocol: HTTP}") STATIC,
                         NULL);
        assert_int_equal(table_n(f.report->routes), 0);
        fixture_done(&f);
        /* Nor may it lead into a cluster. */
        f = in_kubernetes(EG FIXTURE_TAILNET OURS STATIC);
        assert_int_equal(table_n(f.report->routes), 0);
        fixture_done(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_service),
                cmocka_unit_test(hosts_are_had_once),
                cmocka_unit_test(an_object_is_not_injected),
                cmocka_unit_test(it_is_explained),
                cmocka_unit_test(without_kubernetes_it_is),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
