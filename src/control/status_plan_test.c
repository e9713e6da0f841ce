/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "control/test_cluster.h"

static SourceFact *source(TestCluster *c)
{
        TailnetFact *f = facts_tailnet(&c->facts, cluster_tailnet);
        f->sources[SOURCE_PRIMARY].name = "api";
        return &f->sources[SOURCE_PRIMARY];
}

static TailnetState *sync_state(TestCluster *c, SyncState sync)
{
        TailnetState *s = leaf_new(sizeof *s, 0, tailnet_state_drop);
        s->key = cluster_tailnet;
        s->sync = sync;
        s->n_devices = 5;
        s->suffix = STR("corp.ts.net");
        s->scopes = STR("devices:core:read  services:read");
        cluster_replace(&c->world->tailnet_states, cluster_one(s, tailnet_state_order));
        return s;
}

static EntryReport *entry_report(TestCluster *c)
{
        EntryReport *e = leaf_new(sizeof *e, 0, NULL);
        e->gateway = cluster_gateway;
        e->tailnet = STR("corp");
        e->selected = 4;
        e->excluded = 3;
        e->hosts = 2;
        e->programmed = true;
        cluster_replace(&c->report->entries, cluster_one(e, entry_report_order));
        return e;
}

/* `n` hosts of which the first two are programmed, the others somebody else's. */
static void routes(TestCluster *c, unsigned n)
{
        const void **leaves = mem_new_array(n, sizeof *leaves);
        for (unsigned i = 0; i < n; i++) {
                RouteReport *r = leaf_new(sizeof *r, 64, NULL);
                char host[32];
                snprintf(host, sizeof host, "h%02u.local", i);
                r->gateway = cluster_gateway;
                r->eg_gateway = cluster_eg;
                r->tailnet = STR("corp");
                r->service = r->host = leaf_str(&r->leaf, str_of(host));
                r->programmed = i < 2;
                r->reason = i < 2 ? (Str){0} : STR("Conflicted");
                r->text = i < 2 ? (Str){0} : STR("with demo/other");
                leaves[i] = r;
        }
        cluster_replace(&c->report->routes, table_new(leaves, n, route_report_order));
        mem_free(leaves);
}

static const PlanObject *status(TestCluster *c, ObservedKind kind)
{
        cluster_plan(c);
        assert_int_equal(cluster_count(c, kind, PLAN_APPLY), 0);
        return cluster_planned(c, kind, PLAN_APPLY_STATUS, 0);
}

static void assert_condition(const PlanObject *o, const char *type, const char *value,
                             const char *reason)
{
        char text[256];
        snprintf(text, sizeof text, "{\"type\":\"%s\",\"status\":\"%s\",\"reason\":\"%s\"", type,
                 value, reason);
        assert_non_null(o);
        if (!cluster_says(o, text))
                fail_msg("not %s in %.*s", text, STR_FMT(o->body));
}

static const PlanEvent *event(const TestCluster *c, const char *action)
{
        const PlanEvent *found = NULL;
        for (size_t i = 0; i < c->plan.n_events; i++) {
                if (!str_eq(c->plan.events[i].action, str_of(action)))
                        continue;
                assert_null(found);
                found = &c->plan.events[i];
        }
        return found;
}

static void later(TestCluster *c, int64_t seconds)
{
        c->in.wall.ms += seconds * 1000;
        c->in.now.ns += SPAN_S(seconds).ns;
}

/* ---- TailscaleTailnets ---- */

static void a_tailnet_says_what_was_found(void **state)
{
        TestCluster *c = *state;
        cluster_stands_tailnet(c);
        source(c)->last_sync = c->in.wall;
        source(c)->polls = 1;
        sync_state(c, SYNC_DONE);
        const PlanObject *o = status(c, OBSERVED_TAILNET);
        assert_condition(o, "Accepted", "True", "Valid");
        assert_condition(o, "Authenticated", "True", "Accepted");
        assert_condition(o, "Synced", "True", "Synced");
        assert_condition(o, "Stale", "False", "Fresh");
        assert_true(cluster_says(o, "\"observedGeneration\":2"));
        assert_true(cluster_says(o, "\"lastSync\":\"2027-01-15T08:00:00Z\""));
        assert_true(cluster_says(o, "\"lastTransitionTime\":\"2027-01-15T08:00:00Z\""));
        assert_true(cluster_says(o, "\"devices\":5"));
        assert_true(cluster_says(o, "\"magicDNSSuffix\":\"corp.ts.net\""));
        assert_true(cluster_says(o, "\"scopes\":[\"devices:core:read\",\"services:read\"]"));
        assert_true(cluster_says(o, "\"uid\":\"uid-corp\""));
        assert_false(cluster_says(o, "\"spec\""));
        assert_int_equal(c->plan.n_events, 3);
        assert_false(event(c, "Synced")->is_warning);
}

static void a_status_is_written_on_change_and_every_ten_minutes(void **state)
{
        TestCluster *c = *state;
        cluster_stands_tailnet(c);
        source(c)->last_sync = c->in.wall;
        source(c)->polls = 1;
        sync_state(c, SYNC_DONE);
        assert_non_null(status(c, OBSERVED_TAILNET));
        cluster_perform(c);
        for (int i = 0; i < 19; i++) {
                later(c, 30);
                source(c)->last_sync = c->in.wall;
                assert_null(status(c, OBSERVED_TAILNET));
                assert_true(c->plan.again.ns > c->in.now.ns);
        }
        later(c, 30);
        source(c)->last_sync = c->in.wall;
        const PlanObject *o = status(c, OBSERVED_TAILNET);
        assert_true(cluster_says(o, "\"lastSync\":\"2027-01-15T08:10:00Z\""));
        /* The conditions are as they were, and since when they were. */
        assert_true(cluster_says(o, "\"lastTransitionTime\":\"2027-01-15T08:00:00Z\""));
        assert_false(cluster_says(o, "\"lastTransitionTime\":\"2027-01-15T08:10:00Z\""));
        assert_int_equal(c->plan.n_events, 0);
        cluster_perform(c);
        assert_null(status(c, OBSERVED_TAILNET));
        later(c, 1);
        sync_state(c, SYNC_DONE)->n_devices = 6;
        assert_true(cluster_says(status(c, OBSERVED_TAILNET), "\"devices\":6"));
}

static void a_source_that_fails_is_told_and_stale_after_a_day(void **state)
{
        TestCluster *c = *state;
        cluster_stands_tailnet(c);
        source(c)->last_sync = c->in.wall;
        source(c)->polls = 1;
        sync_state(c, SYNC_DONE);
        assert_non_null(status(c, OBSERVED_TAILNET));
        cluster_perform(c);
        later(c, 60);
        sync_state(c, SYNC_STALE);
        SourceFact *f = source(c);
        f->kind = ERR_DENIED;
        snprintf(f->reason, sizeof f->reason, "Unauthorized");
        snprintf(f->error, sizeof f->error, "401");
        const PlanObject *o = status(c, OBSERVED_TAILNET);
        assert_condition(o, "Authenticated", "False", "Unauthorized");
        assert_condition(o, "Synced", "False", "Failing");
        assert_condition(o, "Stale", "False", "Fresh");
        assert_true(cluster_says(o, "\"lastSync\":\"2027-01-15T08:00:00Z\""));
        assert_true(event(c, "Authenticated")->is_warning);
        assert_true(str_eq(event(c, "Authenticated")->note, STR("Authenticated is False: 401")));
        cluster_perform(c);
        later(c, 3600);
        assert_null(status(c, OBSERVED_TAILNET));
        later(c, 24 * 3600);
        o = status(c, OBSERVED_TAILNET);
        assert_condition(o, "Stale", "True", "NoGoodAnswer");
        assert_condition(o, "Synced", "False", "Stale");
        assert_true(event(c, "Stale")->is_warning);
}

/* Another operator has become the leader and has not asked anybody yet. */
static void a_new_leader_takes_back_nothing_before_it_has_asked(void **state)
{
        TestCluster *c = *state;
        cluster_stands_tailnet(c);
        source(c)->last_sync = c->in.wall;
        source(c)->polls = 1;
        sync_state(c, SYNC_DONE);
        assert_non_null(status(c, OBSERVED_TAILNET));
        cluster_perform(c);
        *source(c) = (SourceFact){.name = "api"};
        cluster_replace(&c->world->tailnet_states, table_new(NULL, 0, tailnet_state_order));
        later(c, 3600);
        assert_null(status(c, OBSERVED_TAILNET));
        source(c)->polls = 1;
        sync_state(c, SYNC_STALE);
        assert_condition(status(c, OBSERVED_TAILNET), "Synced", "False", "Failing");
        source(c)->polls = 0;
        ((TailnetSpec *)(uintptr_t)c->world->tailnets->at[0])->meta.generation++;
        assert_condition(status(c, OBSERVED_TAILNET), "Synced", "Unknown", "Failing");
}

/* A reason that is in no list (a server's own word) is "Other", and the message tells. */
static void reasons_are_of_a_closed_list(void **state)
{
        TestCluster *c = *state;
        cluster_stands_tailnet(c);
        SourceFact *f = source(c);
        f->kind = ERR_DENIED;
        f->polls = 1;
        snprintf(f->reason, sizeof f->reason, "Strange-Word");
        snprintf(f->error, sizeof f->error, "strange");
        const PlanObject *o = status(c, OBSERVED_TAILNET);
        assert_condition(o, "Authenticated", "False", "Other");
        assert_true(cluster_says(o, "\"message\":\"strange\""));
}

static void what_the_administrator_forbids_is_not_accepted(void **state)
{
        TestCluster *c = *state;
        cluster_stands_tailnet(c);
        SourceFact *f = source(c);
        f->kind = ERR_DENIED;
        f->polls = 1;
        snprintf(f->reason, sizeof f->reason, "PathRefused");
        const PlanObject *o = status(c, OBSERVED_TAILNET);
        assert_condition(o, "Accepted", "False", "PathRefused");
        assert_condition(o, "Authenticated", "Unknown", "NeverSynced");
}

/* Also where a leader before asked it. */
static void a_tailnet_that_is_one_too_many_is_told(void **state)
{
        TestCluster *c = *state;
        cluster_stands_tailnet(c);
        source(c)->last_sync = c->in.wall;
        source(c)->polls = 1;
        sync_state(c, SYNC_DONE);
        assert_non_null(status(c, OBSERVED_TAILNET));
        cluster_perform(c);
        facts_done(&c->facts);
        facts_init(&c->facts);
        cluster_replace(&c->world->tailnet_states, table_new(NULL, 0, tailnet_state_order));
        for (unsigned i = 0; i < FACTS_TAILNETS_MAX; i++) {
                char name[16];
                assert_null(status(c, OBSERVED_TAILNET));
                snprintf(name, sizeof name, "t%u", i);
                assert_non_null(facts_tailnet(&c->facts, (ObjectKey){STR("other"), str_of(name)}));
        }
        const PlanObject *o = status(c, OBSERVED_TAILNET);
        assert_condition(o, "Synced", "False", "TooManyTailnets");
        assert_true(cluster_says(o, "256"));
}

/* ---- TailscaleGateways ---- */

/* The Binding names one revision, and a replica says that it served another, or the same. */
static void serve(TestCluster *c, const char *stands, const char *served)
{
        char text[512];
        snprintf(text, sizeof text,
                 "{\"metadata\":{\"namespace\":\"infra\",\"name\":\"eg\",\"uid\":\"b\",\"labels\":{"
                 "\"app.kubernetes.io/managed-by\":\"tailscale-gateway\"},"
                 "\"annotations\":{\"served.gateway.tailscale.com/pod-b\":\"%s\"}},"
                 "\"spec\":{\"revision\":\"%s\"}}",
                 served, stands);
        for (size_t i = 0; i < c->n_observed; i++) {
                if (c->observed[i]->kind != OBSERVED_BINDING)
                        continue;
                leaf_unref(c->observed[i]);
                c->observed[i] = c->observed[--c->n_observed];
        }
        IGNORE(cluster_stands(c, OBSERVED_BINDING, text), "not looked at");
        c->written = (BindingWritten){
                .eg_gateway = cluster_eg, .revision = str_of(stands), .since = c->in.now};
}

static void a_gateway_says_what_is_programmed(void **state)
{
        TestCluster *c = *state;
        cluster_stands_gateway(c);
        entry_report(c);
        routes(c, 2);
        cluster_wish(c, "r1");
        const PlanObject *o = status(c, OBSERVED_GATEWAY);
        assert_condition(o, "Accepted", "True", "Valid");
        assert_condition(o, "ResolvedRefs", "True", "ResolvedRefs");
        assert_condition(o, "Programmed", "False", "Pending");
        assert_condition(o, "Conflicted", "False", "NoConflict");
        assert_true(cluster_says(o, "\"observedGeneration\":3"));
        assert_true(cluster_says(o,
                                 "\"tailnets\":[{\"name\":\"corp\",\"selected\":4,\"excluded\":3,"
                                 "\"hosts\":2,\"paths\":0,\"ports\":0,\"conflicts\":0}]"));
        assert_false(cluster_says(o, "\"conflicts\":["));
        cluster_perform(c);
        /* A replica says that it served it: this process has no hooks. */
        serve(c, "r1", "r1");
        later(c, 3);
        o = status(c, OBSERVED_GATEWAY);
        assert_condition(o, "Programmed", "True", "Programmed");
        assert_true(cluster_says(o, "\"lastTransitionTime\":\"2027-01-15T08:00:03Z\""));
        assert_int_equal(c->plan.n_events, 1);
        assert_false(event(c, "Programmed")->is_warning);
        cluster_perform(c);
        assert_null(status(c, OBSERVED_GATEWAY));
}

/* Another operator has become the leader: it follows what is exposed, and has counted nothing yet.
 */
static void a_new_leader_takes_back_no_counts_before_it_has_asked(void **state)
{
        TestCluster *c = *state;
        cluster_stands_gateway(c);
        EntryReport *e = entry_report(c);
        routes(c, 2);
        cluster_wish(c, "r1");
        serve(c, "r1", "r1");
        source(c)->polls = 1;
        sync_state(c, SYNC_DONE);
        assert_condition(status(c, OBSERVED_GATEWAY), "Programmed", "True", "Programmed");
        cluster_perform(c);
        *source(c) = (SourceFact){.name = "api"};
        cluster_replace(&c->world->tailnet_states, table_new(NULL, 0, tailnet_state_order));
        e->excluded = 0;
        assert_null(status(c, OBSERVED_GATEWAY));
        e->programmed = false; /* what is another for its users is told at once */
        e->reason = STR("GatewayNotFound");
        assert_non_null(status(c, OBSERVED_GATEWAY));
        e->programmed = true;
        e->reason = (Str){0};
        sync_state(c, SYNC_DONE);
        assert_true(cluster_says(status(c, OBSERVED_GATEWAY), "\"excluded\":0"));
}

/* What is planned was written now, and the revision is served as before. */
static void perform_and_serve(TestCluster *c)
{
        cluster_perform(c);
        serve(c, "r1", "r1");
        c->status = (StatusWritten){cluster_gateway, c->in.now};
}

/* Other devices of its tailnet move what it excludes, and nothing else of it. */
static void what_is_excluded_is_told_with_news_or_ten_minutes_later(void **state)
{
        TestCluster *c = *state;
        cluster_stands_gateway(c);
        entry_report(c);
        routes(c, 2);
        cluster_wish(c, "r1");
        serve(c, "r1", "r1");
        source(c)->polls = 1;
        sync_state(c, SYNC_DONE);
        assert_non_null(status(c, OBSERVED_GATEWAY));
        perform_and_serve(c);
        Mono written = c->in.now;
        for (unsigned i = 0; i < 20; i++) {
                later(c, 29);
                entry_report(c)->excluded = 4 + i;
                assert_null(status(c, OBSERVED_GATEWAY));
                assert_int_equal(c->plan.again.ns, mono_add(written, SPAN_S(PLAN_HEARTBEAT_S)).ns);
        }
        later(c, 20);
        assert_true(cluster_says(status(c, OBSERVED_GATEWAY), "\"excluded\":23"));
        assert_int_equal(c->plan.n_events, 0);
        perform_and_serve(c);
        assert_null(status(c, OBSERVED_GATEWAY));
        /* What it takes is told at once, and with it what it does not. */
        later(c, 1);
        EntryReport *e = entry_report(c);
        e->excluded = 30;
        assert_null(status(c, OBSERVED_GATEWAY));
        e->selected = 5;
        assert_true(cluster_says(status(c, OBSERVED_GATEWAY), "\"selected\":5,\"excluded\":30"));
        perform_and_serve(c);
        /* Who leads since a minute has not written it himself. */
        entry_report(c)->selected = 5;
        c->status = (StatusWritten){0};
        c->since = c->in.now;
        later(c, PLAN_HEARTBEAT_S - 1);
        assert_null(status(c, OBSERVED_GATEWAY));
        later(c, 1);
        assert_true(cluster_says(status(c, OBSERVED_GATEWAY), "\"excluded\":3,"));
}

/* An edit of which Envoy hears nothing: the revision that is served is the one that is wanted. */
static void an_edit_that_leaves_the_revision_is_written_once(void **state)
{
        TestCluster *c = *state;
        cluster_stands_gateway(c);
        entry_report(c);
        routes(c, 2);
        cluster_wish(c, "r1");
        serve(c, "r1", "r1");
        assert_non_null(status(c, OBSERVED_GATEWAY));
        perform_and_serve(c);
        later(c, 60);
        ((GatewaySpec *)(uintptr_t)c->world->gateways->at[0])->meta.generation = 4;
        const PlanObject *o = status(c, OBSERVED_GATEWAY);
        assert_condition(o, "Programmed", "True", "Programmed");
        /* Of all conditions the generation moves at once, and nothing else. */
        assert_false(cluster_says(o, "\"observedGeneration\":3"));
        assert_true(cluster_says(o, "\"lastTransitionTime\":\"2027-01-15T08:00:00Z\""));
        assert_false(cluster_says(o, "\"lastTransitionTime\":\"2027-01-15T08:01:00Z\""));
        assert_int_equal(c->plan.n_events, 0);
        perform_and_serve(c);
        assert_null(status(c, OBSERVED_GATEWAY));
}

static void conflicts_are_told_the_first_of_them_by_name(void **state)
{
        TestCluster *c = *state;
        cluster_stands_gateway(c);
        entry_report(c);
        routes(c, 22);
        cluster_wish(c, "r1");
        const PlanObject *o = status(c, OBSERVED_GATEWAY);
        assert_condition(o, "Conflicted", "True", "Conflicted");
        assert_true(cluster_says(o, "20, the first of them h02.local: with demo/other"));
        assert_true(cluster_says(o, "\"host\":\"h17.local\",\"reason\":\"Conflicted\","
                                    "\"message\":\"with demo/other\""));
        assert_false(cluster_says(o, "h18.local"));
        assert_true(event(c, "Conflicted")->is_warning);
}

static void what_refers_to_nothing_is_told(void **state)
{
        TestCluster *c = *state;
        cluster_stands_gateway(c);
        EntryReport *e = entry_report(c);
        e->programmed = false;
        e->reason = STR("GatewayNotFound");
        e->text = STR("there is no Gateway infra/eg");
        const PlanObject *o = status(c, OBSERVED_GATEWAY);
        assert_condition(o, "Accepted", "True", "Valid");
        assert_condition(o, "ResolvedRefs", "False", "GatewayNotFound");
        assert_condition(o, "Programmed", "False", "GatewayNotFound");
        assert_true(cluster_says(o, "tailnet corp: there is no Gateway infra/eg"));
}

/* Also where hosts of what was found before are programmed still. */
static void a_tailnet_that_is_not_there_is_told(void **state)
{
        TestCluster *c = *state;
        cluster_stands_gateway(c);
        entry_report(c);
        routes(c, 2);
        cluster_wish(c, "r1");
        serve(c, "r1", "r1");
        assert_condition(status(c, OBSERVED_GATEWAY), "ResolvedRefs", "True", "ResolvedRefs");
        cluster_replace(&c->world->tailnets, table_new(NULL, 0, tailnet_spec_order));
        const PlanObject *o = status(c, OBSERVED_GATEWAY);
        assert_condition(o, "ResolvedRefs", "False", "TailnetNotFound");
        assert_condition(o, "Programmed", "True", "Programmed");
        assert_true(cluster_says(o, "there is no TailscaleTailnet demo/"));
}

/* A device that comes changes the revision; nobody is told that all has gone meanwhile. */
static void a_revision_on_its_way_takes_nothing_back(void **state)
{
        TestCluster *c = *state;
        cluster_stands_gateway(c);
        entry_report(c);
        routes(c, 2);
        cluster_wish(c, "r1");
        serve(c, "r1", "r1");
        assert_non_null(status(c, OBSERVED_GATEWAY));
        cluster_perform(c);
        later(c, 60);
        cluster_wish(c, "r2");
        assert_null(status(c, OBSERVED_GATEWAY));
        serve(c, "r2", "r1");
        later(c, 4);
        assert_null(status(c, OBSERVED_GATEWAY));
        assert_int_equal(c->plan.again.ns, c->written.since.ns + SPAN_S(PLAN_PENDING_S).ns);
        /* It takes too long. */
        later(c, 1);
        const PlanObject *o = status(c, OBSERVED_GATEWAY);
        assert_condition(o, "Programmed", "False", "Pending");
        /* The user changed it: of that nothing is programmed yet. */
        later(c, -1);
        ((GatewaySpec *)(uintptr_t)c->world->gateways->at[0])->meta.generation = 4;
        assert_condition(status(c, OBSERVED_GATEWAY), "Programmed", "False", "Pending");
}

/* ---- what is not valid ---- */

static void what_is_not_valid_is_told_with_its_path(void **state)
{
        TestCluster *c = *state;
        cluster_stands_gateway(c);
        cluster_stands_tailnet(c);
        source(c)->last_sync = c->in.wall;
        sync_state(c, SYNC_DONE);
        cluster_fault(c, OBSERVED_TAILNET, cluster_tailnet, "spec.pollInterval: \"1\"");
        cluster_fault(c, OBSERVED_GATEWAY, cluster_gateway, "spec.priority: x");
        /* What was good of it stays in force, and is told of as before. */
        const PlanObject *o = status(c, OBSERVED_TAILNET);
        assert_true(cluster_says(o, "\"type\":\"Accepted\",\"status\":\"False\",\"reason\":"
                                    "\"Invalid\",\"message\":\"spec.pollInterval: \\\"1\\\"\","
                                    "\"lastTransitionTime\":\"2027-01-15T08:00:00Z\","
                                    "\"observedGeneration\":9"));
        assert_condition(o, "Synced", "True", "Synced");
        o = cluster_planned(c, OBSERVED_GATEWAY, PLAN_APPLY_STATUS, 0);
        assert_condition(o, "Accepted", "False", "Invalid");
        assert_condition(o, "Programmed", "Unknown", "Pending");
        /* Nothing of it is in force. */
        cluster_replace(&c->world->gateways, table_new(NULL, 0, gateway_spec_order));
        cluster_replace(&c->world->tailnets, table_new(NULL, 0, tailnet_spec_order));
        o = status(c, OBSERVED_TAILNET);
        assert_condition(o, "Accepted", "False", "Invalid");
        assert_condition(o, "Synced", "Unknown", "Invalid");
        assert_false(cluster_says(o, "lastSync"));
        o = cluster_planned(c, OBSERVED_GATEWAY, PLAN_APPLY_STATUS, 0);
        assert_condition(o, "Programmed", "Unknown", "Invalid");
        cluster_perform(c);
        assert_null(status(c, OBSERVED_TAILNET));
        assert_null(status(c, OBSERVED_GATEWAY));
}

static void a_users_endpoints_have_a_status_since_they_were_not_valid(void **state)
{
        static const ObjectKey mine = {STR_INIT("demo"), STR_INIT("mine")};
        TestCluster *c = *state;
        IGNORE(cluster_stands(c, OBSERVED_ENDPOINTS,
                              "{\"metadata\":{\"namespace\":\"demo\",\"name\":\"mine\","
                              "\"generation\":4}}"),
               "not looked at");
        assert_null(status(c, OBSERVED_ENDPOINTS));
        cluster_fault(c, OBSERVED_ENDPOINTS, mine, "spec.endpoints[0].port: 0");
        assert_condition(status(c, OBSERVED_ENDPOINTS), "Accepted", "False", "Invalid");
        assert_true(event(c, "Accepted")->is_warning);
        cluster_perform(c);
        assert_null(status(c, OBSERVED_ENDPOINTS));
        leaf_unref(c->faults[--c->n_faults]);
        assert_condition(status(c, OBSERVED_ENDPOINTS), "Accepted", "True", "Valid");
}

static void what_is_being_deleted_or_not_read_yet_is_left_alone(void **state)
{
        TestCluster *c = *state;
        IGNORE(cluster_stands(c, OBSERVED_GATEWAY,
                              "{\"metadata\":{\"namespace\":\"demo\",\"name\":\"gw\","
                              "\"deletionTimestamp\":\"2027-01-01T00:00:00Z\"}}"),
               "not looked at");
        IGNORE(cluster_stands(c, OBSERVED_TAILNET,
                              "{\"metadata\":{\"namespace\":\"demo\",\"name\":\"new\"}}"),
               "not looked at");
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 0);
        c->in.roles = PLAN_REPLICA;
        cluster_stands_tailnet(c);
        cluster_plan(c);
        assert_int_equal(c->plan.n_objects, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, cluster_setup, cluster_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_tailnet_says_what_was_found),
                TEST(a_status_is_written_on_change_and_every_ten_minutes),
                TEST(a_source_that_fails_is_told_and_stale_after_a_day),
                TEST(a_new_leader_takes_back_nothing_before_it_has_asked),
                TEST(reasons_are_of_a_closed_list),
                TEST(what_the_administrator_forbids_is_not_accepted),
                TEST(a_tailnet_that_is_one_too_many_is_told),
                TEST(a_gateway_says_what_is_programmed),
                TEST(a_new_leader_takes_back_no_counts_before_it_has_asked),
                TEST(what_is_excluded_is_told_with_news_or_ten_minutes_later),
                TEST(an_edit_that_leaves_the_revision_is_written_once),
                TEST(conflicts_are_told_the_first_of_them_by_name),
                TEST(what_refers_to_nothing_is_told),
                TEST(a_tailnet_that_is_not_there_is_told),
                TEST(a_revision_on_its_way_takes_nothing_back),
                TEST(what_is_not_valid_is_told_with_its_path),
                TEST(a_users_endpoints_have_a_status_since_they_were_not_valid),
                TEST(what_is_being_deleted_or_not_read_yet_is_left_alone),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
