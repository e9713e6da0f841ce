/* SPDX-License-Identifier: Apache-2.0 */
#include "control/managed_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/mem.h"
#include "model/manifest.h"
#include "proto/json.h"

enum {
        OBJECTS = 3,
        TEXT_MAX = 64 << 10,
};

typedef struct Case {
        ManagedSettings settings;
        World *world;
        const Table *observed;
        Plan plan;
        PlanInput in;
} Case;

static int setup(void **state)
{
        Case *c = mem_new(sizeof(*c));

        c->settings = (ManagedSettings){.namespace = STR("tsgw"),
                                        .image = STR("own.io/x:1"),
                                        .service_account = STR("ext")};
        c->world = world_new_empty();
        c->world->resources_read = true;
        c->in = (PlanInput){.world = c->world, .in_kubernetes = true, .roles = PLAN_OPERATOR};
        *state = c;
        return 0;
}

static int teardown(void **state)
{
        Case *c = *state;

        plan_done(&c->plan);
        table_unref(c->observed);
        leaf_unref(c->world);
        mem_free(c);
        return 0;
}

static void plan(Case *c)
{
        plan_done(&c->plan);
        c->plan = (Plan){0};
        arena_init(&c->plan.arena, 0);
        c->in.observed = c->observed;
        plan_managed(&c->in, &c->settings, &c->plan);
}

static const PlanObject *object(const Case *c, ObservedKind kind)
{
        static const PlanObject none;

        for (size_t i = 0; i < c->plan.n_objects; i++)
                if (c->plan.objects[i].kind == kind)
                        return &c->plan.objects[i];
        fail_msg("no object of kind %d", (int)kind);
        return &none;
}

static Str body(const Case *c, ObservedKind kind)
{
        return object(c, kind)->body;
}

static const Tree *read(Case *c, Str json)
{
        const Tree *t = json_read(&c->plan.arena, json, NULL, NULL);

        assert_non_null(t);
        return t;
}

static void expect(const Case *c, ObservedKind kind, const char *text)
{
        if (str_find_str(body(c, kind), str_of(text)) < 0)
                fail_msg("%s\nis not in\n%.*s", text, STR_FMT(body(c, kind)));
}

static void expect_not(const Case *c, ObservedKind kind, const char *text)
{
        assert_true(str_find_str(body(c, kind), str_of(text)) < 0);
}

/* `s` without the value of the annotation. */
static void cut_digest(Str s, char *to)
{
        ptrdiff_t at = str_find_str(s, STR("\"" OBSERVED_APPLIED "\":\""));
        size_t from;

        assert_true(at > 0);
        from = (size_t)at + strlen("\"" OBSERVED_APPLIED "\":\"");
        assert_int_equal(s.p[from + 32], '"');
        snprintf(to, TEXT_MAX, "%.*s*%.*s", (int)from, s.p, (int)(s.n - from - 32),
                 s.p + from + 32);
}

#define METADATA                                                                               \
        "\"metadata\":{\"annotations\":{\"gateway.tailscale.com/applied\":\"*\"},\"labels\":{" \
        "\"app.kubernetes.io/component\":\"extension\",\"app.kubernetes.io/managed-by\":"      \
        "\"tailscale-gateway\",\"app.kubernetes.io/name\":\"tailscale-gateway\"},\"name\":"    \
        "\"tailscale-gateway-extension\",\"namespace\":\"tsgw\"}"
#define SELECTOR                                                                     \
        "{\"app.kubernetes.io/component\":\"extension\",\"app.kubernetes.io/name\":" \
        "\"tailscale-gateway\"}"

static void the_bytes_are_these(void **state)
{
        Case *c = *state;
        char *text = mem_new(TEXT_MAX);

        plan(c);
        assert_int_equal(c->plan.n_objects, OBJECTS);
        cut_digest(body(c, OBSERVED_SERVICE), text);
        assert_string_equal(text, "{\"apiVersion\":\"v1\",\"kind\":\"Service\"," METADATA
                                  ",\"spec\":{\"ports\":[{\"name\":\"grpc\",\"port\":5005,"
                                  "\"protocol\":\"TCP\",\"targetPort\":\"grpc\"}],"
                                  "\"selector\":" SELECTOR ",\"type\":\"ClusterIP\"}}");
        cut_digest(body(c, OBSERVED_PDB), text);
        assert_string_equal(
                text, "{\"apiVersion\":\"policy/v1\",\"kind\":\"PodDisruptionBudget\"," METADATA
                      ",\"spec\":{\"maxUnavailable\":1,\"selector\":{\"matchLabels\":" SELECTOR
                      "},\"unhealthyPodEvictionPolicy\":\"AlwaysAllow\"}}");
        cut_digest(body(c, OBSERVED_DEPLOYMENT), text);
        assert_true(str_starts(
                str_of(text),
                STR("{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\"," METADATA
                    ",\"spec\":{\"replicas\":2,\"revisionHistoryLimit\":3,\"selector\":{"
                    "\"matchLabels\":" SELECTOR "},\"strategy\":{\"rollingUpdate\":{\"maxSurge\":1,"
                    "\"maxUnavailable\":0},\"type\":\"RollingUpdate\"},\"template\":{")));
        mem_free(text);
}

static void each_is_applied_by_the_operator(void **state)
{
        Case *c = *state;

        plan(c);
        for (size_t i = 0; i < c->plan.n_objects; i++) {
                const PlanObject *o = &c->plan.objects[i];

                assert_int_equal(o->verb, PLAN_APPLY);
                assert_int_equal(o->role, PLAN_OPERATOR);
                assert_true(str_eq(o->manager, STR(OBSERVED_MANAGER)));
                assert_true(str_eq(o->key.namespace, STR("tsgw")));
                assert_true(str_eq(o->key.name, STR(MANAGED_NAME)));
        }
}

/* What Pod Security asks for at its level `restricted` (kubernetes.io, Pod Security Standards). */
static void it_is_restricted(void **state)
{
        Case *c = *state;

        plan(c);
        expect(c, OBSERVED_DEPLOYMENT,
               "\"securityContext\":{\"fsGroup\":65532,\"runAsGroup\":65532,\"runAsNonRoot\":true,"
               "\"runAsUser\":65532,\"seccompProfile\":{\"type\":\"RuntimeDefault\"}}");
        expect(c, OBSERVED_DEPLOYMENT,
               "\"securityContext\":{\"allowPrivilegeEscalation\":false,\"capabilities\":{\"drop\":"
               "[\"ALL\"]},\"readOnlyRootFilesystem\":true}");
        expect_not(c, OBSERVED_DEPLOYMENT, "hostPath");
        expect_not(c, OBSERVED_DEPLOYMENT, "hostNetwork");
        expect_not(c, OBSERVED_DEPLOYMENT, "hostPort");
        expect_not(c, OBSERVED_DEPLOYMENT, "privileged");
}

static void it_serves_over_mutual_tls_and_ends_in_time(void **state)
{
        Case *c = *state;

        plan(c);
        expect(c, OBSERVED_DEPLOYMENT,
               "\"args\":[\"extension\",\"--extension-address=tcp://0.0.0.0:5005\","
               "\"--extension-tls-cert=/etc/tailscale-gateway/tls/tls.crt\","
               "\"--extension-tls-key=/etc/tailscale-gateway/tls/tls.key\","
               "\"--extension-tls-client-ca=/etc/tailscale-gateway/tls/ca.crt\","
               "\"--metrics-address=tcp://0.0.0.0:19006\"]");
        expect(c, OBSERVED_DEPLOYMENT,
               "\"volumeMounts\":[{\"mountPath\":\"/etc/tailscale-gateway/tls\",\"name\":\"tls\","
               "\"readOnly\":true}]");
        expect(c, OBSERVED_DEPLOYMENT,
               "\"volumes\":[{\"name\":\"tls\",\"secret\":{\"defaultMode\":288,\"secretName\":"
               "\"tailscale-gateway-extension-tls\"}}]");
        expect(c, OBSERVED_DEPLOYMENT, "\"terminationGracePeriodSeconds\":30");
        expect(c, OBSERVED_DEPLOYMENT, "\"serviceAccountName\":\"ext\"");
        expect(c, OBSERVED_DEPLOYMENT, "\"path\":\"/healthz\",\"port\":\"metrics\"");
        expect(c, OBSERVED_DEPLOYMENT, "\"path\":\"/readyz\",\"port\":\"metrics\"");
        expect(c, OBSERVED_DEPLOYMENT,
               "\"topologyKey\":\"kubernetes.io/hostname\"},\"weight\":100");
        expect(c, OBSERVED_DEPLOYMENT,
               "\"topologyKey\":\"topology.kubernetes.io/zone\"},\"weight\":50");
        expect(c, OBSERVED_DEPLOYMENT,
               "\"resources\":{\"limits\":{},\"requests\":{\"cpu\":\"50m\",\"memory\":\"64Mi\"}}");
}

static void settings_go_where_they_belong(void **state)
{
        Case *c = *state;
        static const Str args[] = {STR_INIT("--allowed-cidrs=10.0.0.0/8"),
                                   STR_INIT("--log-level=debug")};

        c->settings.args = (StrList){args, 2};
        c->settings.listens_on_ipv6 = true;
        plan(c);
        expect(c, OBSERVED_DEPLOYMENT, "--extension-address=tcp://[::]:5005");
        expect(c, OBSERVED_DEPLOYMENT,
               "\"--metrics-address=tcp://[::]:19006\",\"--allowed-cidrs=10.0.0.0/8\","
               "\"--log-level=debug\"]");
}

static void set_gateways(Case *c, const char *asks)
{
        ManifestSet set;
        Faults faults;
        char text[1024];

        manifest_set_init(&set);
        faults_init(&faults);
        snprintf(text, sizeof(text),
                 "apiVersion: gateway.tailscale.com/v1alpha1\nkind: TailscaleGateway\n"
                 "metadata: {name: a, namespace: ns}\nspec: {gatewayRef: {name: eg}, tailnets: "
                 "[{name: t, tailscaleTailnetRef: {name: t}}], extensionServer: %s}\n",
                 asks);
        assert_true(manifest_read(&set, STR("f.yaml"), str_of(text), &faults));
        table_unref(c->world->gateways);
        c->world->gateways = manifest_table(&set, MANIFEST_GATEWAY, NULL);
        faults_done(&faults);
        manifest_set_done(&set);
}

static void wishes_are_honoured(void **state)
{
        Case *c = *state;

        set_gateways(c, "{image: other.io/y, replicas: 7, resources: {limits: {cpu: 2}}}");
        plan(c);
        expect(c, OBSERVED_DEPLOYMENT, "\"replicas\":7");
        expect(c, OBSERVED_DEPLOYMENT, "\"limits\":{\"cpu\":\"2\"}");
        expect(c, OBSERVED_DEPLOYMENT, "\"image\":\"other.io/y\"");
}

static void nothing_is_planned_where_it_must_not_be(void **state)
{
        Case *c = *state;

        c->in.roles = PLAN_REPLICA;
        plan(c);
        assert_int_equal(c->plan.n_objects, 0);
        c->in.roles = PLAN_OPERATOR | PLAN_REPLICA;
        c->world->resources_read = false;
        plan(c);
        assert_int_equal(c->plan.n_objects, 0);
        c->world->resources_read = true;
        c->settings.image = (Str){0};
        plan(c);
        assert_int_equal(c->plan.n_objects, 0);
}

/* Tailnets may take their time: Envoy Gateway has somebody to call all the same. */
static void it_is_there_before_the_world_is_complete(void **state)
{
        Case *c = *state;

        c->world->complete = false;
        c->in.managed = &c->settings;
        plan_done(&c->plan);
        plan_make(&c->in, &c->plan);
        assert_int_equal(c->plan.n_objects, OBJECTS);
        c->in.only_facts = true;
        plan_done(&c->plan);
        plan_make(&c->in, &c->plan);
        assert_int_equal(c->plan.n_objects, 0);
}

/* --- what stands there --- */

static void set_observed(Case *c, const Str *bodies)
{
        static const ObservedKind kinds[OBJECTS] = {OBSERVED_SERVICE, OBSERVED_PDB,
                                                    OBSERVED_DEPLOYMENT};
        const void *leaves[OBJECTS];

        for (size_t i = 0; i < OBJECTS; i++) {
                Arena arena;

                arena_init(&arena, 0);
                leaves[i] = observed_new(kinds[i], json_read(&arena, bodies[i], NULL, NULL));
                assert_non_null(leaves[i]);
                arena_done(&arena);
        }
        table_unref(c->observed);
        c->observed = table_new(leaves, OBJECTS, observed_order);
}

/* `from` becomes `to` where `at` is; else the bodies as they are. */
static void stand_there(Case *c, ObservedKind at, const char *from, const char *to)
{
        static const ObservedKind kinds[OBJECTS] = {OBSERVED_SERVICE, OBSERVED_PDB,
                                                    OBSERVED_DEPLOYMENT};
        Str bodies[OBJECTS];
        Buf text;

        buf_init(&text, TEXT_MAX);
        table_unref(c->observed);
        c->observed = NULL;
        plan(c);
        for (size_t i = 0; i < OBJECTS; i++) {
                bodies[i] = body(c, kinds[i]);
                if (kinds[i] == at && from != NULL) {
                        ptrdiff_t where = str_find_str(bodies[i], str_of(from));

                        assert_true(where >= 0);
                        buf_add_str(&text, str_sub(bodies[i], 0, (size_t)where));
                        buf_add_str(&text, str_of(to));
                        buf_add_str(&text,
                                    str_sub(bodies[i], (size_t)where + strlen(from), SIZE_MAX));
                        bodies[i] = buf_str(&text);
                        assert_non_null(read(c, bodies[i]));
                }
        }
        set_observed(c, bodies);
        buf_done(&text);
        plan(c);
}

static void what_stands_there_is_not_written(void **state)
{
        Case *c = *state;

        stand_there(c, OBSERVED_SERVICE, NULL, NULL);
        assert_int_equal(c->plan.n_objects, 0);
        c->settings.image = STR("ghcr.io/x/y:2");
        plan(c);
        assert_int_equal(c->plan.n_objects, 1);
        assert_int_equal(c->plan.objects[0].kind, OBSERVED_DEPLOYMENT);
}

/* What the API server and others put in beside ours is theirs. */
static void what_is_filled_up_is_no_change(void **state)
{
        static const struct {
                ObservedKind kind;
                const char *from, *to;
        } cases[] = {
                {OBSERVED_SERVICE, "\"type\":\"ClusterIP\"",
                 "\"type\":\"ClusterIP\",\"clusterIP\":\"10.0.0.1\",\"sessionAffinity\":\"None\""},
                {OBSERVED_SERVICE, "\"port\":5005", "\"port\":5005,\"nodePort\":1"},
                {OBSERVED_DEPLOYMENT, "\"imagePullPolicy\"",
                 "\"terminationMessagePath\":\"/dev/x\",\"imagePullPolicy\""},
                {OBSERVED_DEPLOYMENT, "\"containers\":[", "\"containers\":[{\"name\":\"mesh\"},"},
                {OBSERVED_DEPLOYMENT, "\"volumes\":[", "\"volumes\":[{\"name\":\"mesh\"},"},
                {OBSERVED_DEPLOYMENT, "\"limits\":{},", ""},
                {OBSERVED_DEPLOYMENT, "\"labels\":{", "\"labels\":{\"theirs\":\"x\","},
        };
        Case *c = *state;

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                stand_there(c, cases[i].kind, cases[i].from, cases[i].to);
                if (c->plan.n_objects != 0)
                        fail_msg("%s -> %s", cases[i].from, cases[i].to);
        }
}

static void what_another_hand_changed_is_put_back(void **state)
{
        static const struct {
                ObservedKind kind;
                const char *from, *to;
        } cases[] = {
                {OBSERVED_SERVICE, "\"port\":5005", "\"port\":5006"},
                {OBSERVED_SERVICE, "\"port\":5005", "\"port\":\"5005\""},
                {OBSERVED_SERVICE, "managed-by\":\"tailscale-gateway\"", "managed-by\":\"me\""},
                {OBSERVED_SERVICE, "\"metadata\":{", "\"metadata\":{\"deletionTimestamp\":\"x\","},
                {OBSERVED_SERVICE, "\"" OBSERVED_APPLIED "\":\"", "\"" OBSERVED_APPLIED "\":\"0"},
                {OBSERVED_PDB, "\"maxUnavailable\":1", "\"minAvailable\":1"},
                {OBSERVED_DEPLOYMENT, "\"replicas\":2", "\"replicas\":0"},
                {OBSERVED_DEPLOYMENT, "\"drop\":[\"ALL\"]", "\"drop\":[]"},
                {OBSERVED_DEPLOYMENT, "\"drop\":[\"ALL\"]", "\"drop\":[\"ALL\",\"X\"]"},
                {OBSERVED_DEPLOYMENT, "\"drop\":[\"ALL\"]", "\"drop\":[\"X\",\"ALL\"]"},
                {OBSERVED_DEPLOYMENT, "\"drop\":[\"ALL\"]", "\"drop\":\"ALL\""},
                {OBSERVED_DEPLOYMENT, "\"runAsNonRoot\":true", "\"runAsNonRoot\":false"},
                {OBSERVED_DEPLOYMENT, "\"image\":\"own.io/x:1\"", "\"image\":\"evil.io/x\""},
                {OBSERVED_DEPLOYMENT, "\"args\":[\"extension\",", "\"args\":["},
                {OBSERVED_DEPLOYMENT, "\"spec\":{", "\"spec\":null,\"spec2\":{"},
        };
        Case *c = *state;

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                stand_there(c, cases[i].kind, cases[i].from, cases[i].to);
                if (c->plan.n_objects != 1 || c->plan.objects[0].kind != cases[i].kind)
                        fail_msg("%s -> %s", cases[i].from, cases[i].to);
        }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(the_bytes_are_these),
                TEST(each_is_applied_by_the_operator),
                TEST(it_is_restricted),
                TEST(it_serves_over_mutual_tls_and_ends_in_time),
                TEST(settings_go_where_they_belong),
                TEST(wishes_are_honoured),
                TEST(nothing_is_planned_where_it_must_not_be),
                TEST(it_is_there_before_the_world_is_complete),
                TEST(what_stands_there_is_not_written),
                TEST(what_is_filled_up_is_no_change),
                TEST(what_another_hand_changed_is_put_back),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
