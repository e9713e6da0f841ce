/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/check_cluster.h"

#include "cli/check_state.h"
#include "cli/test_check.h"

#define CRD(labels, annotations, version, established)                                       \
        "{metadata: {name: x, labels: {" labels "}, annotations: {" annotations "}}, spec: " \
        "{versions: [{name: " version ", served: true, schema: {openAPIV3Schema: {"          \
        "x-kubernetes-preserve-unknown-fields: true}}}]}, status: {conditions: [{type: "     \
        "Established, status: \"" established "\"}]}}"
#define PART   "app.kubernetes.io/part-of: tailscale-gateway"
#define BUNDLE "gateway.tailscale.com/bundle-version: \"" TSGW_VERSION "\""

static void definitions(void **state)
{
        static const struct {
                const char *text, *says;
        } cases[] = {
                {CRD(PART, BUNDLE, "v1alpha1", "True"), "ok: of version " TSGW_VERSION "\n"},
                {CRD("", "", "v1alpha1", "True"),
                 "wrong: it is somebody else's, of the same name\n"},
                {CRD(PART, BUNDLE, "v1", "True"), "wrong: it does not serve v1alpha1\n"},
                {CRD(PART, BUNDLE, "v1alpha1", "False"),
                 "wrong: the API server has not established it\n"},
                {CRD(PART, "gateway.tailscale.com/bundle-version: \"0.0.1\"", "v1alpha1", "True"),
                 "warning: it is of version 0.0.1, this program of " TSGW_VERSION "\n"},
                {CRD(PART, "gateway.tailscale.com/bundle-version: \"99.0.1\"", "v1alpha1", "True"),
                 "ok: of version 99.0.1, newer than this program (" TSGW_VERSION ")\n"},
                {CRD(PART, "", "v1alpha1", "True"),
                 "warning: it is of version unknown, this program of " TSGW_VERSION "\n"},
                {"{metadata: {labels: {" PART
                 "}}, spec: {versions: [{name: v1alpha1, served: true}]}, "
                 "status: {conditions: [{type: Established, status: \"True\"}]}}",
                 "wrong: it is of version unknown and lacks what this program (" TSGW_VERSION
                 ") knows: apiVersion, kind, metadata, spec, status\n"},
        };
        Fixture *f = *state;
        CheckFound crd;

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                crd = found_of(f, cases[i].text);
                check_cluster_crd(&f->rows, "tailscalegateways", &crd, &f->arena);
                assert_string_equal(told(f), cases[i].says);
        }
        crd = refused(ERR_MISSING);
        check_cluster_crd(&f->rows, "tailscalegateways", &crd, &f->arena);
        assert_string_equal(told(f), "wrong: it is not there\n");
        crd = refused(ERR_DENIED);
        check_cluster_crd(&f->rows, "tailscalegateways", &crd, &f->arena);
        assert_string_equal(told(f), "unknown: it says no\n");
}

#define DEPLOYMENT(name, wanted, ready)                                                     \
        "{metadata: {namespace: ns, name: " name "}, spec: {replicas: " wanted              \
        ", template: {spec: {serviceAccountName: acct, containers: [{name: envoy-gateway, " \
        "image: \"gateway:v1.9.0\"}]}}}, status: {readyReplicas: " ready "}}"

static void what_runs(void **state)
{
        Fixture *f = *state;
        CheckFound found = found_of(f, "{items: [" DEPLOYMENT("op", "2", "2") "]}");
        Str account;

        check_cluster_deployment(&f->rows, "operator", &found, &account);
        assert_string_equal(told(f), "ok: ns/op: 2 of 2 replicas are ready\n");
        assert_true(str_eq(account, STR("acct")));
        found = found_of(f,
                         "{items: [" DEPLOYMENT("a", "2", "1") ", " DEPLOYMENT("b", "1", "0") "]}");
        check_cluster_deployment(&f->rows, "operator", &found, &account);
        assert_string_equal(told(f), "warning: ns/a: 1 of 2 replicas are ready\n"
                                     "wrong: ns/b: 0 of 1 replicas are ready\n"
                                     "wrong: there are 2, which write the same objects\n");
        found = found_of(f, "{items: []}");
        check_cluster_deployment(&f->rows, "operator", &found, &account);
        assert_string_equal(
                told(f),
                "wrong: there is none with the label app.kubernetes.io/component: operator\n");
        assert_int_equal(account.n, 0);
        found = found_of(f, DEPLOYMENT("envoy-gateway", "1", "1"));
        check_cluster_gateway(&f->rows, &found, &account);
        assert_string_equal(told(f), "ok: ns/envoy-gateway: 1 of 1 replicas are ready\nok: 1.9\n");
        found = refused(ERR_MISSING);
        check_cluster_gateway(&f->rows, &found, &account);
        assert_string_equal(told(f), "wrong: there is no Deployment envoy-gateway\n");
        assert_true(str_eq(account, STR("envoy-gateway")));
}

static void who_leads(void **state)
{
        Fixture *f = *state;
        CheckFound found = found_of(f, "{spec: {holderIdentity: op-1}}");

        check_cluster_lease(&f->rows, &found);
        assert_string_equal(told(f), "ok: op-1\n");
        found = found_of(f, "{spec: {}}");
        check_cluster_lease(&f->rows, &found);
        assert_string_equal(told(f), "wrong: nobody leads\n");
        found = refused(ERR_MISSING);
        check_cluster_lease(&f->rows, &found);
        assert_string_equal(told(f), "wrong: there is no Lease\n");
}

static void the_config_map_is_read(void **state)
{
        static const struct {
                const char *map, *says;
        } cases[] = {
                {"{data: {envoy-gateway.yaml: \"extensionManager: {}\"}}",
                 "wrong: no extensionManager has TailscaleGatewayBinding of gateway.tailscale.com "
                 "among its policyResources\n"},
                {"{data: {other: x}}", "wrong: its ConfigMap has no envoy-gateway.yaml\n"},
        };
        Fixture *f = *state;
        CheckService service;
        CheckFound found;

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                found = found_of(f, cases[i].map);
                assert_false(check_cluster_gateway_config(&f->rows, &found, &f->arena, &service));
                assert_string_equal(told(f), cases[i].says);
        }
        found = found_of(f, "{data: {envoy-gateway.yaml: \"a: [\"}}");
        assert_false(check_cluster_gateway_config(&f->rows, &found, &f->arena, &service));
        assert_int_equal(f->rows.at[0].result, CHECK_WRONG);
        f->rows.n = 0;
        found = refused(ERR_MISSING);
        assert_false(check_cluster_gateway_config(&f->rows, &found, &f->arena, &service));
        assert_string_equal(told(f), "wrong: there is no ConfigMap envoy-gateway-config\n");
}

static void rights_are_all_needed(void **state)
{
        Fixture *f = *state;
        CheckFound yes = found_of(f, "{status: {allowed: true}}");
        CheckFound no = found_of(f, "{status: {allowed: false}}"), answers[CHECK_RIGHTS_MAX];
        CheckRight rights[CHECK_RIGHTS_MAX];

        for (unsigned set = 0; set < CHECK_RIGHTS_SETS; set++) {
                size_t n = check_cluster_rights(set, true, rights);
                assert_in_range(n, 1, CHECK_RIGHTS_MAX);
                for (size_t i = 0; i < n; i++)
                        answers[i] = yes;
                check_cluster_allowed(&f->rows, set, STR("who"), rights, n, answers);
                assert_string_equal(told(f), "ok: who may all that is needed\n");
                for (size_t i = 0; i < n; i++) {
                        answers[i] = no;
                        check_cluster_allowed(&f->rows, set, STR("who"), rights, n, answers);
                        assert_true(str_starts(str_of(told(f)), STR("wrong: who may not ")));
                        answers[i] = yes;
                }
        }
        size_t n = check_cluster_rights(CHECK_RIGHTS_OF_GATEWAY, true, rights);
        answers[2] = no;
        check_cluster_allowed(&f->rows, CHECK_RIGHTS_OF_GATEWAY, STR("who"), rights, n, answers);
        assert_string_equal(told(f), "wrong: who may not update tailscalegatewaybindings/status of "
                                     "gateway.tailscale.com\n");
        answers[0] = refused(ERR_DENIED);
        check_cluster_allowed(&f->rows, CHECK_RIGHTS_OF_GATEWAY, STR("who"), rights, n, answers);
        assert_string_equal(told(f), "unknown: it says no\n");
}

static void rights_have_a_place(void **state)
{
        static const CheckRight rights[] = {
                {CHECK_IN_OWN, "update", "coordination.k8s.io", "leases", "tailscale-gateway"},
                {CHECK_IN_GATEWAYS, "create", "", "secrets", NULL},
        };
        Fixture *f = *state;
        CheckFound no = found_of(f, "{}"), answers[] = {no, no};

        check_cluster_allowed(&f->rows, CHECK_RIGHTS_OF_OPERATOR, STR("who"), rights, 2, answers);
        assert_string_equal(
                told(f), "wrong: who may not update leases tailscale-gateway of "
                         "coordination.k8s.io in its own namespace\n"
                         "wrong: who may not create secrets in the namespace of Envoy Gateway\n");
        /* Where single namespaces are watched, nothing of the cluster is needed. */
        CheckRight wide[CHECK_RIGHTS_MAX], narrow[CHECK_RIGHTS_MAX];
        size_t n = check_cluster_rights(CHECK_RIGHTS_OF_EXTENSION, false, narrow);
        assert_int_equal(check_cluster_rights(CHECK_RIGHTS_OF_EXTENSION, true, wide), n + 2);
        for (size_t i = 0; i < n; i++)
                assert_int_equal(narrow[i].place, CHECK_IN_WATCHED);
}

#define ACCEPTED "{ancestors: [{conditions: [{type: Accepted, status: \"True\"}]}]}"
#define BINDING(revision, served, fields, status)                                               \
        "{items: [{apiVersion: gateway.tailscale.com/v1alpha1, kind: TailscaleGatewayBinding, " \
        "metadata: {namespace: ns, name: gw, uid: u, resourceVersion: \"1\", annotations: "     \
        "{" served "}, managedFields: [" fields "]}, spec: {revision: " revision                \
        ", attempt: 0}, status: " status "}]}"
#define SAYS(replica, revision) "served.gateway.tailscale.com/" replica ": " revision
#define AT(replica, time)                                                                    \
        "{manager: tailscale-gateway-extension-" replica ", operation: Apply, time: \"" time \
        "\", fieldsType: FieldsV1, fieldsV1: {\"f:metadata\": {\"f:annotations\": "          \
        "{\"f:served.gateway.tailscale.com/" replica "\": {}}}}}"

static void hooks_arrive(void **state)
{
        static const struct {
                const char *list, *says;
        } cases[] = {
                {BINDING("aa", SAYS("e-1", "aa"), AT("e-1", "2026-11-23T04:00:00Z"), ACCEPTED),
                 "ok: ns/gw: revision aa was served\n"},
                {BINDING("bb", SAYS("e-1", "aa"), AT("e-1", "2026-11-23T04:00:00Z"), ACCEPTED),
                 "wrong: ns/gw: no replica has been asked for revision bb\n"},
                {BINDING("aa", SAYS("e-1", "aa"), AT("e-1", "2026-11-23T04:00:00Z"), "{}"),
                 "wrong: ns/gw: Envoy Gateway has not taken the Binding\n"
                 "ok: ns/gw: revision aa was served\n"},
                /* What another served before is no contradiction; what it served after is. */
                {BINDING("bb", SAYS("e-1", "bb") ", " SAYS("e-2", "aa"),
                         AT("e-1", "2026-11-23T04:00:05Z") ", " AT("e-2", "2026-11-23T04:00:00Z"),
                         ACCEPTED),
                 "ok: ns/gw: revision bb was served\n"},
                {BINDING("bb", SAYS("e-1", "bb") ", " SAYS("e-2", "aa"),
                         AT("e-1", "2026-11-23T04:00:00Z") ", " AT("e-2", "2026-11-23T04:00:05Z"),
                         ACCEPTED),
                 "wrong: ns/gw: replica e-2 served revision aa, others bb before it\n"},
                {"{items: []}", "warning: there is no TailscaleGatewayBinding\n"},
        };
        Fixture *f = *state;

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                CheckFound list = found_of(f, cases[i].list);

                check_cluster_bindings(&f->rows, &list);
                assert_string_equal(told(f), cases[i].says);
        }
}

static void conditions_are_told(void **state)
{
        Fixture *f = *state;
        CheckFound list = found_of(
                f,
                "{items: [{metadata: {namespace: a, name: x}, status: {conditions: [{type: "
                "Accepted, status: \"False\", reason: Invalid, message: spec.x}, {type: "
                "Conflicted, status: \"False\", reason: NoConflicts}]}}, {metadata: {namespace: a, "
                "name: y}}, {metadata: {namespace: a, name: z}, status: {conditions: [{type: "
                "Accepted, status: \"True\"}]}}, {metadata: {namespace: b, name: c}, status: "
                "{conditions: [{type: Conflicted, status: \"True\", reason: Conflicts, message: "
                "m}]}}]}");

        check_cluster_conditions(&f->rows, "TailscaleGateway", &list);
        assert_string_equal(told(f), "wrong: a/x: Accepted is False: Invalid: spec.x\n"
                                     "wrong: a/y: nobody has looked at it\n"
                                     "ok: a/z\n"
                                     "wrong: b/c: Conflicted is True: Conflicts: m\n");
}

static void rows_are_summed_up(void **state)
{
        Fixture *f = *state;

        check_rows_add(&f->rows, "A", CHECK_OK, NULL, "fine");
        check_rows_add(&f->rows, "B", CHECK_WARNING, "do %d", "so \x1b[0m");
        assert_true(check_rows_are_good(&f->rows));
        check_rows_print(&f->rows, &f->text);
        buf_add_char(&f->text, '\0');
        assert_non_null(strstr(f->text.p, "do %d"));
        assert_null(strchr(f->text.p, '\x1b'));
        assert_non_null(strstr(f->text.p, "1 ok, 1 warning, 0 wrong, 0 unknown\n"));
        check_rows_add(&f->rows, "C", CHECK_UNKNOWN, NULL, "no \"answer\"");
        assert_false(check_rows_are_good(&f->rows));
        buf_reset(&f->text);
        check_rows_json(&f->rows, &f->text);
        assert_true(str_starts(buf_str(&f->text),
                               STR("{\"good\":false,\"checks\":[{\"check\":\"A\",\"result\":\"ok\","
                                   "\"found\":\"fine\",\"change\":\"\"},")));
}

static void a_state_is_judged(void **state)
{
        Fixture *f = *state;
        const Tree *good = tree_of(
                f,
                "{complete: true, tailnets: [{namespace: n, name: t, sync: Synced, sources: "
                "[{name: api, reason: \"\"}]}], entries: [{namespace: n, gateway: g, tailnet: t, "
                "programmed: true}], gateways: [{namespace: n, name: gw, found: true, "
                "revisionWanted: aa, revisionServed: aa, hook: {calls: 3}}]}");
        const Tree *bad = tree_of(
                f,
                "{complete: false, resources: {error: \"x.yaml:1\"}, tailnets: [{namespace: n, "
                "name: t, sync: Stale, sources: [{name: api, reason: Timeout, error: slow}]}, "
                "{namespace: n, name: u, sync: Synced, warning: w}], entries: [{namespace: n, "
                "gateway: g, tailnet: t, programmed: false, reason: NoProxy, text: none}], "
                "gateways: [{namespace: n, name: a, found: false}, {namespace: n, name: b, found: "
                "true, hook: {calls: 0}}, {namespace: n, name: c, found: true, revisionWanted: bb, "
                "revisionServed: aa, hook: {calls: 1}}, {namespace: n, name: d, found: true, hook: "
                "{calls: 1, error: oh}}]}");

        check_state(&f->rows, good);
        assert_string_equal(told(f), "ok: all were read\nok: n/t: Synced\nok: n/g, tailnet t\n"
                                     "ok: n/gw: revision aa was served\n");
        check_state(&f->rows, tree_of(f, "{complete: true}"));
        assert_string_equal(told(f), "ok: all were read\nwarning: there is none\n");
        check_state(&f->rows, bad);
        assert_string_equal(told(f), "wrong: resources: x.yaml:1\n"
                                     "wrong: not everything has been read yet\n"
                                     "wrong: n/t: api: Timeout: slow\n"
                                     "warning: n/u: Synced: w\n"
                                     "wrong: n/g, tailnet t: NoProxy: none\n"
                                     "wrong: n/a: there is no such Gateway\n"
                                     "wrong: n/b: Envoy Gateway has not called us\n"
                                     "wrong: n/c: revision bb was not asked for\n"
                                     "wrong: n/d: oh\n");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(definitions),
                TEST(what_runs),
                TEST(who_leads),
                TEST(the_config_map_is_read),
                TEST(rights_are_all_needed),
                TEST(rights_have_a_place),
                TEST(hooks_arrive),
                TEST(conditions_are_told),
                TEST(rows_are_summed_up),
                TEST(a_state_is_judged),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
