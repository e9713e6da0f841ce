/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "control/test_cluster.h"

#include <stdlib.h>

/* demo/gw has one entry, corp, with so many endpoints. */
static EntryView *entry(TestCluster *c, unsigned n)
{
        EntryView *v = cluster_entry(cluster_gateway, "corp", n);
        cluster_replace(&c->world->entries, cluster_one(v, entry_view_order));
        return v;
}

static void sync_at(TestCluster *c, int64_t seconds_ago)
{
        TailnetFact *f = facts_tailnet(&c->facts, cluster_tailnet);
        f->sources[SOURCE_PRIMARY].name = "api";
        f->sources[SOURCE_PRIMARY].last_sync = (Wall){c->in.wall.ms - seconds_ago * 1000};
}

static void later(TestCluster *c, int64_t seconds)
{
        c->in.wall.ms += seconds * 1000;
        c->in.now.ns += SPAN_S(seconds).ns;
}

/* Nothing more is to be done about TailscaleEndpoints. */
static void assert_quiet(TestCluster *c)
{
        cluster_plan(c);
        assert_int_equal(cluster_count(c, OBSERVED_ENDPOINTS, PLAN_APPLY), 0);
        assert_int_equal(cluster_count(c, OBSERVED_ENDPOINTS, PLAN_APPLY_STATUS), 0);
        assert_int_equal(cluster_count(c, OBSERVED_ENDPOINTS, PLAN_DELETE), 0);
}

static void an_entry_has_shards_that_its_gateway_owns(void **state)
{
        TestCluster *c = *state;
        cluster_stands_gateway(c);
        entry(c, 501);
        cluster_plan(c);
        assert_int_equal(cluster_count(c, OBSERVED_ENDPOINTS, PLAN_APPLY), 4);
        assert_int_equal(cluster_count(c, OBSERVED_ENDPOINTS, PLAN_APPLY_STATUS), 4);
        const PlanObject *o = cluster_planned(c, OBSERVED_ENDPOINTS, PLAN_APPLY, 0);
        assert_true(str_starts(o->key.name, STR("gw-corp-")));
        assert_true(str_ends(o->key.name, STR("-0")));
        assert_true(object_key_eq(o->eg_gateway, cluster_eg));
        assert_true(str_eq(o->manager, STR("tailscale-gateway")));
        assert_true(cluster_says(o, "\"uid\":\"uid-gw\",\"controller\":true"));
        assert_true(cluster_says(o, "\"app.kubernetes.io/managed-by\":\"tailscale-gateway\""));
        assert_true(cluster_says(o, "\"gateway.tailscale.com/gateway\":\"gw\""));
        assert_true(cluster_says(o, "\"gateway.tailscale.com/tailnet\":\"corp\""));
        assert_true(cluster_says(o, "\"gateway.tailscale.com/shards\":\"4\""));
        assert_false(cluster_says(o, "\"status\""));
        /* Each tells how many it has itself. */
        unsigned long sum = 0;
        for (size_t i = 0; i < 4; i++) {
                Str body = cluster_planned(c, OBSERVED_ENDPOINTS, PLAN_APPLY_STATUS, i)->body;
                Str key = STR("\"discoveredEndpoints\":");
                sum += strtoul(body.p + str_find_str(body, key) + key.n, NULL, 10);
        }
        assert_int_equal(sum, 501);
}

static void what_stands_there_is_not_written_again(void **state)
{
        TestCluster *c = *state;
        cluster_stands_gateway(c);
        entry(c, 501);
        cluster_plan(c);
        cluster_perform(c);
        assert_quiet(c);
        /* One that joins changes one shard, and its status. */
        entry(c, 502);
        cluster_plan(c);
        assert_int_equal(cluster_count(c, OBSERVED_ENDPOINTS, PLAN_APPLY), 1);
        assert_int_equal(cluster_count(c, OBSERVED_ENDPOINTS, PLAN_APPLY_STATUS), 1);
        assert_true(str_eq(cluster_planned(c, OBSERVED_ENDPOINTS, PLAN_APPLY, 0)->key.name,
                           cluster_planned(c, OBSERVED_ENDPOINTS, PLAN_APPLY_STATUS, 0)->key.name));
        cluster_perform(c);
        assert_quiet(c);
}

/* Conditions are of the spec that is written before them; one that did not become another (labels
 * alone were) is told of in a further write. */
static void conditions_are_of_a_generation(void **state)
{
        TestCluster *c = *state;
        cluster_stands_gateway(c);
        entry(c, 1);
        cluster_plan(c);
        const PlanObject *o = cluster_planned(c, OBSERVED_ENDPOINTS, PLAN_APPLY_STATUS, 0);
        assert_true(cluster_says(o, "\"observedGeneration\":1}"));
        cluster_perform(c);
        assert_quiet(c);
        entry(c, 2);
        cluster_plan(c);
        o = cluster_planned(c, OBSERVED_ENDPOINTS, PLAN_APPLY_STATUS, 0);
        assert_true(cluster_says(o, "\"observedGeneration\":2}"));
        cluster_perform(c);
        assert_quiet(c);
        for (size_t i = 0; i < c->n_observed; i++) {
                if (c->observed[i]->kind == OBSERVED_ENDPOINTS)
                        ((Observed *)(uintptr_t)c->observed[i])->generation = 1;
        }
        cluster_plan(c);
        assert_int_equal(cluster_count(c, OBSERVED_ENDPOINTS, PLAN_APPLY), 0);
        o = cluster_planned(c, OBSERVED_ENDPOINTS, PLAN_APPLY_STATUS, 0);
        assert_true(cluster_says(o, "\"observedGeneration\":1}"));
}

static void facts_alone_plan_no_endpoints(void **state)
{
        TestCluster *c = *state;
        cluster_stands_gateway(c);
        entry(c, 3);
        c->in.only_facts = true;
        assert_quiet(c);
        assert_int_equal(c->plan.again.ns, 0);
}

/* A plan of facts alone does not put off what it leaves out. */
static void facts_alone_put_no_heartbeat_off(void **state)
{
        TestCluster *c = *state;
        cluster_stands_gateway(c);
        entry(c, 3);
        sync_at(c, 0);
        cluster_plan(c);
        cluster_perform(c);
        Mono written = c->in.now;
        later(c, 100);
        c->in.only_facts = true;
        assert_quiet(c);
        assert_int_equal(c->plan.again.ns, written.ns + SPAN_S(PLAN_HEARTBEAT_S).ns);
        later(c, 3600);
        assert_quiet(c);
        assert_int_equal(c->plan.again.ns, c->in.now.ns + SPAN_S(60).ns);
}

static void what_is_no_longer_wanted_is_deleted(void **state)
{
        TestCluster *c = *state;
        cluster_stands_gateway(c);
        entry(c, 251);
        cluster_plan(c);
        cluster_perform(c);
        entry(c, 250);
        cluster_plan(c);
        assert_int_equal(cluster_count(c, OBSERVED_ENDPOINTS, PLAN_DELETE), 1);
        assert_true(str_ends(cluster_planned(c, OBSERVED_ENDPOINTS, PLAN_DELETE, 0)->key.name,
                             STR("-1")));
        cluster_perform(c);
        assert_quiet(c);
        /* Not known yet: it keeps what it has. */
        entry(c, 0)->known = false;
        assert_quiet(c);
        cluster_replace(&c->world->entries, table_new(NULL, 0, entry_view_order));
        cluster_plan(c);
        assert_int_equal(cluster_count(c, OBSERVED_ENDPOINTS, PLAN_DELETE), 1);
}

#define STANDS(name, more)                                                                   \
        "{\"metadata\":{\"namespace\":\"demo\",\"name\":\"" name "\",\"uid\":\"uid-e\"" more \
        "},\"spec\":{\"tailnet\":\"corp\"}}"
#define OURS ",\"labels\":{\"app.kubernetes.io/managed-by\":\"tailscale-gateway\"}"
#define OWNED                                                                       \
        ",\"ownerReferences\":[{\"apiVersion\":\"gateway.tailscale.com/v1alpha1\"," \
        "\"kind\":\"TailscaleGateway\",\"name\":\"other\",\"uid\":\"uid-o\"}]"

static void only_what_is_ours_is_deleted(void **state)
{
        static const char *const strangers[] = {
                STANDS("mine", ""),
                STANDS("mine", OURS),
                STANDS("gone-corp-0123abcd-0", ""),
                STANDS("gone-corp-0123ABCD-0", OURS),
                STANDS("gone-corp-0123abcd-1",
                       OURS ",\"deletionTimestamp\":\"2027-01-01T00:00:00Z\""),
        };
        TestCluster *c = *state;
        for (size_t i = 0; i < LENGTH_OF(strangers); i++)
                IGNORE(cluster_stands(c, OBSERVED_ENDPOINTS, strangers[i]), "not looked at");
        assert_quiet(c);
        IGNORE(cluster_stands(c, OBSERVED_ENDPOINTS, STANDS("gone-corp-89abcdef-0", OURS OWNED)),
               "not looked at");
        cluster_plan(c);
        const PlanObject *o = cluster_planned(c, OBSERVED_ENDPOINTS, PLAN_DELETE, 0);
        assert_true(str_eq(o->key.name, STR("gone-corp-89abcdef-0")));
        assert_true(str_eq(o->uid, STR("uid-e")));
        assert_int_equal(cluster_count(c, OBSERVED_ENDPOINTS, PLAN_DELETE), 1);
        /* Its TailscaleGateway is there, and not valid: what it wants is not known. */
        cluster_fault(c, OBSERVED_GATEWAY, (ObjectKey){STR("demo"), STR("other")}, "spec: no");
        assert_quiet(c);
}

/* The API server collects what a TailscaleGateway owns; nothing new is made for it meanwhile. */
static void a_gateway_that_goes_gets_nothing_new(void **state)
{
        TestCluster *c = *state;
        entry(c, 3);
        assert_quiet(c);
        IGNORE(cluster_stands(c, OBSERVED_GATEWAY,
                              "{\"metadata\":{\"namespace\":\"demo\",\"name\":\"gw\",\"uid\":\"u\","
                              "\"deletionTimestamp\":\"2027-01-01T00:00:00Z\"}}"),
               "not looked at");
        assert_quiet(c);
}

static void names_and_labels_are_valid_however_long(void **state)
{
        TestCluster *c = *state;
        char name[254] = {0}, tailnet[64] = {0}, stands[600];
        memset(name, 'n', sizeof name - 1);
        memset(tailnet, 't', sizeof tailnet - 1);
        /* Where it is cut it would end in what no label ends in. */
        memset(name + 80, '.', 40);
        snprintf(stands, sizeof stands,
                 "{\"metadata\":{\"namespace\":\"demo\",\"name\":\"%s\",\"uid\":\"u\"}}", name);
        IGNORE(cluster_stands(c, OBSERVED_GATEWAY, stands), "not looked at");
        EntryView *v = cluster_entry((ObjectKey){STR("demo"), str_of(name)}, tailnet, 1);
        cluster_replace(&c->world->entries, cluster_one(v, entry_view_order));
        cluster_plan(c);
        const PlanObject *o = cluster_planned(c, OBSERVED_ENDPOINTS, PLAN_APPLY, 0);
        assert_in_range(o->key.name.n, 100, 253);
        assert_true(str_find_str(o->key.name, STR(".-")) < 0);
        ptrdiff_t at = str_find_str(o->body, STR("gateway.tailscale.com/gateway\":\""));
        Str label = str_sub(o->body, (size_t)at + strlen("gateway.tailscale.com/gateway\":\""), 64);
        assert_int_equal(str_find(label, '"'), 63);
        cluster_perform(c);
        assert_quiet(c);
}

/* ---- status ---- */

/* No write for a sync that found the same, but one every ten minutes. */
static void last_sync_moves_with_a_change_or_every_ten_minutes(void **state)
{
        TestCluster *c = *state;
        cluster_stands_gateway(c);
        entry(c, 3);
        sync_at(c, 0);
        cluster_plan(c);
        cluster_perform(c);
        Mono written = c->in.now;
        later(c, 300);
        sync_at(c, 0);
        assert_quiet(c);
        assert_int_equal(c->plan.again.ns, written.ns + SPAN_S(PLAN_HEARTBEAT_S).ns);
        later(c, 300);
        sync_at(c, 10);
        cluster_plan(c);
        assert_int_equal(cluster_count(c, OBSERVED_ENDPOINTS, PLAN_APPLY), 0);
        assert_int_equal(cluster_count(c, OBSERVED_ENDPOINTS, PLAN_APPLY_STATUS), 1);
        assert_int_equal(c->plan.n_events, 0);
        cluster_perform(c);
        assert_quiet(c);
        /* A change is written at once, with the time of now. */
        later(c, 20);
        sync_at(c, 0);
        entry(c, 4);
        cluster_plan(c);
        char text[WALL_TEXT];
        assert_true(cluster_says(cluster_planned(c, OBSERVED_ENDPOINTS, PLAN_APPLY_STATUS, 0),
                                 wall_format(c->in.wall, text)));
        cluster_perform(c);
        /* A source that fails moves nothing, for ever. */
        later(c, 3600);
        assert_quiet(c);
}

/* Of an entry that nothing happens to, one object is written every ten minutes, not each. */
static void the_first_shard_alone_tells_that_nothing_happened(void **state)
{
        TestCluster *c = *state;
        cluster_stands_gateway(c);
        entry(c, 600);
        sync_at(c, 0);
        cluster_plan(c);
        cluster_perform(c);
        for (int i = 0; i < 3; i++) {
                later(c, PLAN_HEARTBEAT_S);
                sync_at(c, 0);
                cluster_plan(c);
                assert_int_equal(cluster_count(c, OBSERVED_ENDPOINTS, PLAN_APPLY_STATUS), 1);
                assert_true(str_ends(
                        cluster_planned(c, OBSERVED_ENDPOINTS, PLAN_APPLY_STATUS, 0)->key.name,
                        STR("-0")));
                cluster_perform(c);
                assert_quiet(c);
                /* Nor do the others, of hours ago, make a plan of facts come again soon. */
                c->in.only_facts = true;
                assert_quiet(c);
                assert_int_equal(c->plan.again.ns,
                                 mono_add(c->in.now, SPAN_S(PLAN_HEARTBEAT_S)).ns);
                c->in.only_facts = false;
        }
}

static void what_is_held_is_told_once(void **state)
{
        TestCluster *c = *state;
        cluster_stands_gateway(c);
        entry(c, 600);
        cluster_plan(c);
        cluster_perform(c);
        entry(c, 600)->held = (HeldRemoval){
                .n = 12, .confirmations = 1, .digest = STR("d1"), .reason = STR("TooManyRemoved")};
        cluster_plan(c);
        assert_int_equal(cluster_count(c, OBSERVED_ENDPOINTS, PLAN_APPLY_STATUS), 4);
        assert_true(cluster_says(cluster_planned(c, OBSERVED_ENDPOINTS, PLAN_APPLY_STATUS, 0),
                                 "\"held\":{\"count\":12"));
        assert_int_equal(c->plan.n_events, 1);
        const PlanEvent *e = &c->plan.events[0];
        assert_int_equal(e->kind, OBSERVED_GATEWAY);
        assert_true(object_key_eq(e->key, cluster_gateway) && str_eq(e->uid, STR("uid-gw")));
        assert_true(e->is_warning && str_eq(e->reason, STR("TooManyRemoved")));
        assert_true(str_find_str(e->note, STR("12 endpoints")) > 0);
        assert_true(str_find_str(e->note, STR("d1")) > 0);
        assert_int_equal(c->plan.objects[e->after].verb, PLAN_APPLY_STATUS);
}

/* What is remembered of the plan before changes nothing in the next. */
static void a_plan_is_the_same_without_what_is_remembered(void **state)
{
        TestCluster *c = *state;
        ObjectKey other = {STR("demo"), STR("hw")};
        EntryView *views[] = {cluster_entry(cluster_gateway, "corp", 300),
                              cluster_entry(cluster_gateway, "dev", 2),
                              cluster_entry(other, "corp", 5)};
        cluster_stands_gateway(c);
        IGNORE(cluster_stands(
                       c, OBSERVED_GATEWAY,
                       "{\"metadata\":{\"namespace\":\"demo\",\"name\":\"hw\",\"uid\":\"u\"}}"),
               "not looked at");
        /* Each subset of them, after each other one. */
        for (unsigned round = 0; round < 64; round++) {
                const void *leaves[3];
                size_t n = 0, n_objects;
                for (unsigned i = 0; i < 3; i++) {
                        if (((round * 5) >> i & 1) != 0)
                                leaves[n++] = leaf_ref(views[i]);
                }
                cluster_replace(&c->world->entries, table_new(leaves, n, entry_view_order));
                cluster_plan(c);
                n_objects = c->plan.n_objects;
                Digester *with = digester_new(), *without = digester_new();
                for (size_t i = 0; i < n_objects; i++)
                        digester_add(with, c->plan.objects[i].body);
                EntryMemo *memo = c->memo;
                c->memo = NULL;
                cluster_plan(c);
                c->memo = memo;
                assert_int_equal(c->plan.n_objects, n_objects);
                for (size_t i = 0; i < n_objects; i++)
                        digester_add(without, c->plan.objects[i].body);
                Digest a = digester_finish(with), b = digester_finish(without);
                assert_true(digest_eq(&a, &b));
        }
        for (size_t i = 0; i < LENGTH_OF(views); i++)
                leaf_unref(views[i]);
}

/* Another TailscaleGateway of the same name owns other objects. */
static void a_gateway_that_was_made_anew_owns_its_shards(void **state)
{
        TestCluster *c = *state;
        cluster_stands_gateway(c);
        entry(c, 3);
        cluster_plan(c);
        leaf_unref(c->observed[0]);
        c->n_observed = 0;
        IGNORE(cluster_stands(c, OBSERVED_GATEWAY,
                              "{\"metadata\":{\"namespace\":\"demo\",\"name\":\"gw\","
                              "\"uid\":\"uid-new\"}}"),
               "not looked at");
        cluster_plan(c);
        const PlanObject *o = cluster_planned(c, OBSERVED_ENDPOINTS, PLAN_APPLY, 0);
        assert_true(cluster_says(o, "\"uid\":\"uid-new\""));
        cluster_perform(c);
        assert_quiet(c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, cluster_setup, cluster_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(an_entry_has_shards_that_its_gateway_owns),
                TEST(what_stands_there_is_not_written_again),
                TEST(conditions_are_of_a_generation),
                TEST(facts_alone_plan_no_endpoints),
                TEST(facts_alone_put_no_heartbeat_off),
                TEST(what_is_no_longer_wanted_is_deleted),
                TEST(only_what_is_ours_is_deleted),
                TEST(a_gateway_that_goes_gets_nothing_new),
                TEST(names_and_labels_are_valid_however_long),
                TEST(last_sync_moves_with_a_change_or_every_ten_minutes),
                TEST(the_first_shard_alone_tells_that_nothing_happened),
                TEST(what_is_held_is_told_once),
                TEST(a_plan_is_the_same_without_what_is_remembered),
                TEST(a_gateway_that_was_made_anew_owns_its_shards),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
