/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "control/test_cluster.h"

/* A Binding of ours with what replicas said of it: `"served.…/pod": "r1"`, or nothing. */
static void stands(TestCluster *c, const char *revision, unsigned attempt, const char *served,
                   const char *managed)
{
        char text[4096], tried[32] = "";
        if (attempt > 0)
                snprintf(tried, sizeof tried, ",\"attempt\":%u", attempt);
        INSIST(snprintf(text, sizeof text,
                        "{\"metadata\":{\"namespace\":\"infra\",\"name\":\"eg\",\"uid\":\"uid-b\","
                        "\"labels\":{\"app.kubernetes.io/managed-by\":\"tailscale-gateway\"},"
                        "\"annotations\":{%s},\"managedFields\":[%s]},\"spec\":{\"targetRefs\":[{"
                        "\"group\":\"gateway.networking.k8s.io\",\"kind\":\"Gateway\","
                        "\"name\":\"eg\"}],\"revision\":\"%s\"%s}}",
                        served, managed, revision, tried) < (int)sizeof text);
        if (c->n_observed > 0)
                leaf_unref(c->observed[--c->n_observed]);
        IGNORE(cluster_stands(c, OBSERVED_BINDING, text), "not looked at");
        c->written.eg_gateway = cluster_eg;
        c->written.revision = str_of(revision);
        c->written.attempt = attempt;
}

#define SERVED(pod, revision) "\"served.gateway.tailscale.com/" pod "\":\"" revision "\""
#define MANAGED(pod, time) \
        "{\"manager\":\"tailscale-gateway-extension-" pod "\",\"time\":\"" time "\"}"

static const PlanObject *only(const TestCluster *c, PlanVerb verb)
{
        assert_int_equal(c->plan.n_objects, 1);
        assert_int_equal(c->plan.objects[0].kind, OBSERVED_BINDING);
        assert_int_equal(c->plan.objects[0].verb, verb);
        return &c->plan.objects[0];
}

static HookFact *call(TestCluster *c, const char *asked, const char *served, uint64_t attempt)
{
        HookFact *f = facts_hook(&c->facts, cluster_eg);
        snprintf(f->asked, sizeof f->asked, "%s", asked);
        snprintf(f->served, sizeof f->served, "%s", served);
        f->attempt = attempt;
        f->owes_attempt = strcmp(asked, served) != 0;
        return f;
}

/* ---- operator ---- */

static void the_operator_names_the_revision_alone(void **state)
{
        TestCluster *c = *state;
        cluster_wish(c, "r1");
        cluster_plan(c);
        const PlanObject *o = only(c, PLAN_APPLY);
        assert_true(str_eq(o->manager, STR("tailscale-gateway")));
        assert_true(cluster_says(o, "\"revision\":\"r1\"") && cluster_says(o, "targetRefs"));
        assert_false(cluster_says(o, "attempt"));
        assert_int_equal(o->role, PLAN_OPERATOR);
        assert_true(o->moves_revision);
        stands(c, "r1", 7, "", "");
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 0);
        stands(c, "r0", 7, "", "");
        cluster_plan(c);
        assert_false(cluster_says(only(c, PLAN_APPLY), "attempt"));
}

static void changes_keep_a_second_apart(void **state)
{
        TestCluster *c = *state;
        cluster_wish(c, "r2");
        stands(c, "r1", 0, "", "");
        c->written.at = (Mono){c->in.now.ns - SPAN_MS(400).ns};
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 0);
        assert_int_equal(c->plan.again.ns, c->in.now.ns + SPAN_MS(600).ns);
        c->in.now.ns += SPAN_MS(600).ns;
        cluster_plan(c);
        assert_true(cluster_says(only(c, PLAN_APPLY), "r2"));
}

static void what_another_hand_changed_is_mended(void **state)
{
        TestCluster *c = *state;
        cluster_wish(c, "r1");
        IGNORE(cluster_stands(c, OBSERVED_BINDING,
                              "{\"metadata\":{\"namespace\":\"infra\",\"name\":\"eg\"},\"spec\":{"
                              "\"revision\":\"r1\"}}"),
               "without label and target");
        cluster_plan(c);
        assert_true(cluster_says(only(c, PLAN_APPLY), "managed-by"));
}

static void a_gateway_that_is_not_there_gets_none(void **state)
{
        TestCluster *c = *state;
        cluster_wish(c, "r1");
        ((GatewayReport *)(uintptr_t)c->report->gateways->at[0])->found = false;
        cluster_replace(&c->world->eg_gateways, table_new(NULL, 0, eg_gateway_order));
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 0);
        stands(c, "r1", 0, "", "");
        cluster_plan(c);
        assert_true(str_eq(only(c, PLAN_DELETE)->uid, STR("uid-b")));
}

static void before_it_goes_it_names_the_empty_contribution(void **state)
{
        TestCluster *c = *state;
        stands(c, "r1", 0, SERVED("pod-a", "r1"), "");
        cluster_plan(c);
        assert_true(cluster_says(only(c, PLAN_APPLY), "\"revision\":\"empty\""));
        stands(c, "empty", 0, SERVED("pod-a", "r1"), "");
        c->written.since = c->in.now;
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 0);
        assert_int_equal(c->plan.again.ns, c->in.now.ns + SPAN_S(PLAN_BINDING_UNANSWERED_S).ns);
        stands(c, "empty", 0, SERVED("pod-a", "empty"), "");
        cluster_plan(c);
        assert_true(str_eq(only(c, PLAN_DELETE)->uid, STR("uid-b")));
}

/* Nobody is left who would ask. */
static void after_a_while_it_goes_unanswered(void **state)
{
        TestCluster *c = *state;
        stands(c, "empty", 0, "", "");
        c->written.since = (Mono){c->in.now.ns - SPAN_S(PLAN_BINDING_UNANSWERED_S).ns};
        cluster_plan(c);
        IGNORE(only(c, PLAN_DELETE), "that is all");
}

/* A TailscaleGateway that is not valid may refer to it. */
static void what_may_be_wanted_stays(void **state)
{
        TestCluster *c = *state;
        stands(c, "r1", 0, "", "");
        cluster_fault(c, OBSERVED_GATEWAY, (ObjectKey){STR("demo"), STR("other")}, "spec: no");
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 0);
}

/* But not where it says to which it does. */
static void what_a_faulty_one_refers_to_stays_alone(void **state)
{
        TestCluster *c = *state;
        stands(c, "r1", 0, "", "");
        cluster_fault_of(c, OBSERVED_GATEWAY, (ObjectKey){STR("demo"), STR("other")}, "spec: no",
                         (ObjectKey){STR("infra"), STR("another")});
        cluster_plan(c);
        assert_true(cluster_says(only(c, PLAN_APPLY), "\"revision\":\"empty\""));
        cluster_fault_of(c, OBSERVED_GATEWAY, (ObjectKey){STR("demo"), STR("third")}, "spec: no",
                         cluster_eg);
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 0);
}

/* Whoever refers to a Gateway that admits nothing of theirs puts no Binding beside it. */
static void a_gateway_that_admits_nothing_gets_none(void **state)
{
        TestCluster *c = *state;
        cluster_wish(c, "r0");
        ((GatewayReport *)(uintptr_t)c->report->gateways->at[0])->refused = true;
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 0);
        /* One that was there goes when its last words were heard. */
        stands(c, "r1", 0, SERVED("pod-a", "r1"), "");
        cluster_plan(c);
        assert_true(cluster_says(only(c, PLAN_APPLY), "\"revision\":\"r0\""));
        stands(c, "r0", 0, SERVED("pod-a", "r0"), "");
        cluster_plan(c);
        assert_true(str_eq(only(c, PLAN_DELETE)->uid, STR("uid-b")));
}

static void what_is_a_strangers_stays(void **state)
{
        TestCluster *c = *state;
        IGNORE(cluster_stands(c, OBSERVED_BINDING,
                              "{\"metadata\":{\"namespace\":\"infra\",\"name\":\"mine\"},"
                              "\"spec\":{\"revision\":\"r1\"}}"),
               "not ours");
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 0);
}

static void what_is_being_deleted_is_left_alone(void **state)
{
        TestCluster *c = *state;
        cluster_wish(c, "r1");
        IGNORE(cluster_stands(c, OBSERVED_BINDING,
                              "{\"metadata\":{\"namespace\":\"infra\",\"name\":\"eg\","
                              "\"deletionTimestamp\":\"2027-01-01T00:00:00Z\",\"labels\":{"
                              "\"app.kubernetes.io/managed-by\":\"tailscale-gateway\"}},"
                              "\"spec\":{\"revision\":\"r0\"}}"),
               "not looked at");
        c->in.roles = PLAN_OPERATOR | PLAN_REPLICA;
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 0);
}

/* c->in.wall is 2027-01-15T08:00:00Z. */
static void what_replicas_said_that_are_gone_is_taken_away(void **state)
{
        TestCluster *c = *state;
        static const char both[] = SERVED("pod-a", "r2") "," SERVED("pod-b", "r1");
        cluster_wish(c, "r2");
        stands(c, "r2", 0, both, MANAGED("pod-b", "2027-01-15T07:30:00Z"));
        cluster_plan(c);
        const PlanObject *o = only(c, PLAN_APPLY);
        assert_true(str_eq(o->manager, STR("tailscale-gateway-extension-pod-b")));
        assert_false(cluster_says(o, "annotations"));
        assert_true(cluster_says(o, "\"uid\":\"uid-b\""));
        /* Not yet: it may only be slow. */
        stands(c, "r2", 0, both, MANAGED("pod-b", "2027-01-15T07:55:00Z"));
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 0);
        assert_int_equal(c->plan.again.ns, c->in.now.ns + SPAN_S(300).ns);
        /* Nobody has served what is wanted, or it is not known when it was said. */
        stands(c, "r2", 0, SERVED("pod-b", "r1"), MANAGED("pod-b", "2027-01-15T01:00:00Z"));
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 0);
        stands(c, "r2", 0, both, "");
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 0);
}

static void what_many_replicas_said_is_thinned_out(void **state)
{
        TestCluster *c = *state;
        Buf served CLEANUP(buf_done), managed CLEANUP(buf_done);
        buf_init(&served, 8192);
        buf_init(&managed, 8192);
        for (int i = 0; i < PLAN_SERVED_MAX + 2; i++) {
                buf_printf(&served, "%s" SERVED("pod-%02d", "r2"), i > 0 ? "," : "", i);
                buf_printf(&managed, "%s" MANAGED("pod-%02d", "2027-01-15T0%d:00:00Z"),
                           i > 0 ? "," : "", i, i < 5 ? 7 : 1);
        }
        buf_add_char(&served, '\0');
        buf_add_char(&managed, '\0');
        cluster_wish(c, "r2");
        stands(c, "r2", 0, served.p, managed.p);
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 2);
}

/* ---- replicas ---- */

static void a_replica_says_what_it_served(void **state)
{
        TestCluster *c = *state;
        c->in.roles = PLAN_REPLICA;
        cluster_wish(c, "r1");
        stands(c, "r1", 0, SERVED("pod-b", "r1"), "");
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 0);
        call(c, "r1", "r1", 0);
        cluster_plan(c);
        const PlanObject *o = only(c, PLAN_APPLY);
        assert_true(str_eq(o->manager, STR("tailscale-gateway-extension-pod-a")));
        assert_true(cluster_says(o, SERVED("pod-a", "r1")));
        assert_false(cluster_says(o, "pod-b") || cluster_says(o, "spec"));
        assert_int_equal(o->role, PLAN_REPLICA);
        stands(c, "r1", 0, SERVED("pod-b", "r1") "," SERVED("pod-a", "r1"), "");
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 0);
        /* It is behind: what it served last is of no interest. */
        stands(c, "r2", 0, SERVED("pod-b", "r1"), "");
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 0);
}

static void a_long_name_of_a_replica_fits_an_annotation(void **state)
{
        TestCluster *c = *state;
        char name[254] = {0};
        memset(name, 'p', sizeof name - 1);
        c->in.roles = PLAN_REPLICA;
        c->in.replica = str_of(name);
        cluster_wish(c, "r1");
        stands(c, "r1", 0, "", "");
        call(c, "r1", "r1", 0);
        cluster_plan(c);
        const PlanObject *o = only(c, PLAN_APPLY);
        assert_in_range(o->manager.n, 28, 128);
        ptrdiff_t at = str_find_str(o->body, STR("served.gateway.tailscale.com/"));
        Str rest = str_sub(o->body, (size_t)at + strlen("served.gateway.tailscale.com/"), 300);
        assert_int_equal(str_find(rest, '"'), 63);
}

static void an_owed_attempt_is_raised_once(void **state)
{
        TestCluster *c = *state;
        c->in.roles = PLAN_REPLICA;
        cluster_wish(c, "r1");
        stands(c, "r1", 4, "", "");
        call(c, "r1", "r0", 4);
        cluster_plan(c);
        const PlanObject *o = only(c, PLAN_APPLY);
        assert_true(str_eq(o->manager, STR("tailscale-gateway-extension")));
        assert_true(cluster_says(o, "\"attempt\":5") && cluster_says(o, "\"uid\":\"uid-b\""));
        assert_false(cluster_says(o, "revision"));
        assert_true(o->raises_attempt);
        stands(c, "r1", 5, "", "");
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 0);
        /* Not answered as it asked again: again, a second later. */
        call(c, "r1", "r0", 5);
        c->written.attempt_at = c->in.now;
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 0);
        assert_int_equal(c->plan.again.ns, c->in.now.ns + SPAN_S(1).ns);
        c->in.now = c->plan.again;
        cluster_plan(c);
        assert_true(cluster_says(only(c, PLAN_APPLY), "\"attempt\":6"));
}

static void nothing_is_owed_that_cannot_be_answered_yet(void **state)
{
        TestCluster *c = *state;
        c->in.roles = PLAN_REPLICA;
        /* The Binding is ahead of what this replica has. */
        cluster_wish(c, "r1");
        stands(c, "r2", 0, "", "");
        call(c, "r2", "r1", 0);
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 0);
        cluster_wish(c, "r2");
        cluster_plan(c);
        assert_true(cluster_says(only(c, PLAN_APPLY), "\"attempt\":1"));
        /* What was refused is owed whatever it asked for. */
        cluster_wish(c, "r1");
        HookFact *f = call(c, "r2", "", 0);
        snprintf(f->error, sizeof f->error, "not all has been read");
        cluster_plan(c);
        assert_true(cluster_says(only(c, PLAN_APPLY), "\"attempt\":1"));
        /* Envoy Gateway has not asked for what stands there by now: it is about to. */
        call(c, "r1", "r0", 0);
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 0);
}

static void the_empty_contribution_is_served_by_an_answer_without_anything(void **state)
{
        TestCluster *c = *state;
        c->in.roles = PLAN_REPLICA;
        stands(c, "empty", 0, "", "");
        HookFact *f = call(c, "empty", "digest-of-nothing", 0);
        cluster_plan(c);
        assert_true(cluster_says(only(c, PLAN_APPLY), SERVED("pod-a", "empty")));
        /* This replica did not know yet that nobody refers to it; now it does. */
        f->hosts = 3;
        cluster_plan(c);
        const PlanObject *o = only(c, PLAN_APPLY);
        assert_true(cluster_says(o, "\"attempt\":1") && !cluster_says(o, "annotations"));
        cluster_wish(c, "r1");
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 0);
}

static void a_call_of_an_unknown_gateway_raises_each_once(void **state)
{
        TestCluster *c = *state;
        c->in.roles = PLAN_REPLICA;
        cluster_wish(c, "r1");
        stands(c, "r1", 2, "", "");
        HookFact *f = facts_hook(&c->facts, (ObjectKey){0});
        f->owes_attempt = true;
        cluster_plan(c);
        assert_true(cluster_says(only(c, PLAN_APPLY), "\"attempt\":3"));
        c->written.attempt_at = (Mono){1};
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 0);
}

/* Who answered otherwise may be gone, and with it what it owed. */
static void what_nobody_served_is_asked_for_once(void **state)
{
        TestCluster *c = *state;
        c->in.roles = PLAN_REPLICA;
        cluster_wish(c, "r1");
        stands(c, "r1", 2, "", "");
        c->written.since = (Mono){SPAN_S(100).ns};
        c->in.now = (Mono){SPAN_S(119).ns};
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 0);
        assert_true(c->plan.again.ns >= SPAN_S(120).ns && c->plan.again.ns <= SPAN_S(140).ns);
        c->in.now = c->plan.again;
        cluster_plan(c);
        assert_true(cluster_says(only(c, PLAN_APPLY), "\"attempt\":3"));
        c->written.attempt_at = c->in.now;
        c->in.now = (Mono){SPAN_S(1000).ns};
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 0);
        c->written.attempt_at = (Mono){SPAN_S(99).ns};
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 1);
        stands(c, "r1", 2, SERVED("another", "r1"), "");
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 0);
        cluster_wish(c, "r2");
        stands(c, "r1", 2, "", "");
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 0);
}

/* ---- both, and neither ---- */

static void each_role_plans_its_own(void **state)
{
        TestCluster *c = *state;
        cluster_wish(c, "r2");
        stands(c, "r1", 0, "", "");
        call(c, "r1", "r1", 0);
        c->in.roles = 0;
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 0);
        c->in.roles = PLAN_OPERATOR | PLAN_REPLICA;
        cluster_plan(c);
        assert_int_equal(cluster_count(c, OBSERVED_BINDING, PLAN_APPLY), 2);
        c->world->complete = false;
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, cluster_setup, cluster_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(the_operator_names_the_revision_alone),
                TEST(changes_keep_a_second_apart),
                TEST(what_another_hand_changed_is_mended),
                TEST(a_gateway_that_is_not_there_gets_none),
                TEST(before_it_goes_it_names_the_empty_contribution),
                TEST(after_a_while_it_goes_unanswered),
                TEST(what_may_be_wanted_stays),
                TEST(what_a_faulty_one_refers_to_stays_alone),
                TEST(a_gateway_that_admits_nothing_gets_none),
                TEST(what_is_a_strangers_stays),
                TEST(what_is_being_deleted_is_left_alone),
                TEST(what_replicas_said_that_are_gone_is_taken_away),
                TEST(what_many_replicas_said_is_thinned_out),
                TEST(a_replica_says_what_it_served),
                TEST(a_long_name_of_a_replica_fits_an_annotation),
                TEST(an_owed_attempt_is_raised_once),
                TEST(nothing_is_owed_that_cannot_be_answered_yet),
                TEST(the_empty_contribution_is_served_by_an_answer_without_anything),
                TEST(a_call_of_an_unknown_gateway_raises_each_once),
                TEST(what_nobody_served_is_asked_for_once),
                TEST(each_role_plans_its_own),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
