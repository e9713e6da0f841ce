/* SPDX-License-Identifier: Apache-2.0 */
/* Plans of a whole small world, performed at a server of the test's own. */
#include "execute/kube_objects.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "execute/kube_known.h"
#include "execute/test_api_server.h"

#define API      "/apis/gateway.tailscale.com/v1alpha1/namespaces/"
#define GATEWAY  API "demo/tailscalegateways/gw"
#define TAILNET  API "demo/tailscaletailnets/corp"
#define BINDING  API "infra/tailscalegatewaybindings/eg"
#define REVISION "0123456789abcdef0123456789abcdef"

static const ObjectKey gateway = {STR_INIT("demo"), STR_INIT("gw")},
                       tailnet = {STR_INIT("demo"), STR_INIT("corp")},
                       eg = {STR_INIT("infra"), STR_INIT("eg")};

typedef struct Fixture {
        ApiServer server;
        Log log;
        KubeObjects *objects;
        Facts facts;
        World *world;
        Report *report;
        unsigned roles;
        bool may_write;
        bool is_watch_late; /* it shows nothing new */
        size_t n_done;
        size_t n_planned; /* objects of the last plan */
} Fixture;

static Table *one(const void *leaf, TableOrder *order)
{
        const void *leaves[] = {leaf};
        return table_new(leaves, 1, order);
}

static const Endpoint *endpoint(const char *name)
{
        Endpoint e = {.service = str_of(name),
                      .ip = STR("100.64.0.1"),
                      .node_id = str_of(name),
                      .short_name = str_of(name),
                      .port = 80,
                      .protocol = PROTOCOL_HTTP,
                      .weight = 1};
        return endpoint_new(&e);
}

/* demo/gw at infra/eg takes one endpoint of demo/corp. */
static void make_world(Fixture *f, const char *service)
{
        static const TailnetEntry entries[] = {
                {.name = STR_INIT("corp"), .tailnet_name = STR_INIT("corp")}};
        GatewaySpec *g = leaf_new(sizeof *g, 0, NULL);
        TailnetSpec *t = leaf_new(sizeof *t, 0, NULL);
        EgGateway *e = leaf_new(sizeof *e, 0, NULL);
        EntryView *v = leaf_new(sizeof *v, 0, entry_view_drop);
        *g = (GatewaySpec){g->leaf,       .meta.key = gateway, .meta.generation = 1,
                           .gateway = eg, .tailnets = entries, .n_tailnets = 1};
        *t = (TailnetSpec){t->leaf, .meta.key = tailnet, .meta.generation = 1};
        *e = (EgGateway){e->leaf, .meta.key = eg};
        v->gateway = gateway;
        v->tailnet = v->source = STR("corp");
        v->known = true;
        v->next_key_expiry = (Wall){INT64_C(1800000000000) + service[0] * INT64_C(1000)};
        v->endpoints = one(endpoint(service), endpoint_order);
        f->world = leaf_unref(f->world);
        f->world = world_new_empty();
        f->world->complete = true;
        table_unref(f->world->gateways);
        table_unref(f->world->tailnets);
        table_unref(f->world->eg_gateways);
        table_unref(f->world->entries);
        f->world->gateways = one(g, gateway_spec_order);
        f->world->tailnets = one(t, tailnet_spec_order);
        f->world->eg_gateways = one(e, eg_gateway_order);
        f->world->entries = one(v, entry_view_order);
        TailnetState *heard = leaf_new(sizeof *heard, 0, tailnet_state_drop);
        heard->key = tailnet;
        heard->sync = SYNC_DONE;
        table_unref(f->world->tailnet_states);
        f->world->tailnet_states = one(heard, tailnet_state_order);
}

static void make_report(Fixture *f, const char *revision)
{
        Report *r = leaf_new(sizeof *r, 0, report_drop);
        GatewayReport *g = leaf_new(sizeof *g, 0, NULL);
        EntryReport *e = leaf_new(sizeof *e, 0, NULL);
        g->eg_gateway = eg;
        g->found = true;
        snprintf(g->revision, sizeof g->revision, "%s", revision);
        *e = (EntryReport){e->leaf,       gateway,    STR("corp"),
                           .selected = 1, .hosts = 1, .programmed = true};
        r->complete = true;
        r->gateways = one(g, gateway_report_order);
        r->routes = table_new(NULL, 0, route_report_order);
        r->entries = one(e, entry_report_order);
        leaf_unref(f->report);
        f->report = r;
}

static Span may_write(void *owner, PlanRole role)
{
        const Fixture *f = owner;
        return f->may_write || role == PLAN_REPLICA ? SPAN_S(5) : (Span){0};
}

static void on_done(void *owner)
{
        Fixture *f = owner;
        f->n_done++;
}

static bool plan_once(Fixture *f)
{
        if (!f->is_watch_late) {
                const Table *t = api_observed(&f->server);
                kube_objects_tell(f->objects, t);
                table_unref(t);
        }
        Plan plan;
        PlanInput in = {.world = f->world,
                        .report = f->report,
                        .facts = &f->facts,
                        .outside = kube_objects_outside(f->objects),
                        .now = loop_now(f->server.w.loop),
                        .in_kubernetes = true,
                        .roles = f->roles,
                        .observed = kube_objects_observed(f->objects),
                        .wall = loop_wall(f->server.w.loop),
                        .replica = STR("pod-a")};
        plan_make(&in, &plan);
        f->n_planned = plan.n_objects;
        bool taken = kube_objects_run(f->objects, &plan);
        plan_done(&plan);
        return taken;
}

/* As app does: plans again whenever it is told to, until nothing is written any more. */
static void plan_until_quiet(Fixture *f)
{
        for (int i = 0; i < 50; i++) {
                size_t before = f->n_done;
                IGNORE(plan_once(f), "on_done follows");
                if (!kube_objects_is_writing(f->objects))
                        return;
                kube_turn_until(&f->server.w, &f->n_done, before + 1);
        }
        fail_msg("never quiet");
}

static void pass(Fixture *f, Span time)
{
        test_clock_advance(&f->server.w.time, time);
        kube_turns(&f->server.w, 3);
}

/* Anew, where they were open: as a process that has just started. */
static void open_objects(Fixture *f)
{
        kube_objects_close(f->objects);
        f->objects = kube_objects_open(&(KubeObjectsInput){
                .loop = f->server.w.loop,
                .log = &f->log,
                .api = f->server.w.api,
                .fact = &f->facts.generated,
                .seed = 7,
                .may_write = may_write,
                .on_done = on_done,
                .owner = f,
        });
}

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof *f);
        api_server_init(&f->server);
        IGNORE(api_apply(&f->server, STR(GATEWAY), "kubectl", false,
                         STR("{\"metadata\":{\"namespace\":\"demo\",\"name\":\"gw\"}}")),
               "new");
        IGNORE(api_apply(&f->server, STR(TAILNET), "kubectl", false,
                         STR("{\"metadata\":{\"namespace\":\"demo\",\"name\":\"corp\"}}")),
               "new");
        facts_init(&f->facts);
        SourceFact *source = &facts_tailnet(&f->facts, tailnet)->sources[SOURCE_PRIMARY];
        source->name = "api";
        source->polls = 1;
        source->last_sync = loop_wall(f->server.w.loop);
        make_world(f, "api");
        make_report(f, REVISION);
        f->roles = PLAN_OPERATOR;
        f->may_write = true;
        open_objects(f);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;
        f->objects = kube_objects_close(f->objects);
        leaf_unref(f->world);
        leaf_unref(f->report);
        facts_done(&f->facts);
        api_server_done(&f->server);
        mem_free(f);
        return 0;
}

static ptrdiff_t request(const Fixture *f, const char *has)
{
        for (size_t i = 0; i < f->server.n; i++)
                if (strstr(f->server.log[i], has) != NULL)
                        return (ptrdiff_t)i;
        return -1;
}

static Str binding_revision(Fixture *f, const Table **ret_table)
{
        *ret_table = api_observed(&f->server);
        const Observed *o = observed_at(*ret_table, OBSERVED_BINDING, eg);
        return o != NULL ? o->revision : (Str){0};
}

static void assert_revision(Fixture *f, const char *revision)
{
        const Table *t;
        assert_true(str_eq(binding_revision(f, &t), str_of(revision)));
        table_unref(t);
}

static void a_plan_is_performed_in_its_order(void **state)
{
        Fixture *f = *state;
        plan_until_quiet(f);
        ptrdiff_t endpoints = request(f, "/tailscaleendpoints/"), binding = request(f, BINDING);
        assert_true(endpoints >= 0 && binding > endpoints);
        assert_true(request(f, GATEWAY "/status") >= 0);
        assert_true(request(f, TAILNET "/status") >= 0);
        assert_revision(f, REVISION);
        assert_int_equal(f->n_planned, 0);
        assert_int_equal(f->facts.generated.failures, 0);
        assert_int_equal(f->facts.generated.writes, f->server.n);
        assert_int_equal(f->server.n_writes, f->server.n);
}

static void what_is_as_wished_is_not_written(void **state)
{
        Fixture *f = *state;
        plan_until_quiet(f);
        size_t before = f->server.n;
        pass(f, SPAN_S(60));
        plan_until_quiet(f);
        pass(f, SPAN_S(3600));
        plan_until_quiet(f);
        assert_int_equal(f->server.n, before);
}

/* Its own answers tell what stands there: a watch that is late changes nothing. */
static void nothing_is_written_twice_where_the_watch_is_late(void **state)
{
        Fixture *f = *state;
        const Table *t = api_observed(&f->server);
        kube_objects_tell(f->objects, t);
        table_unref(t);
        f->is_watch_late = true;
        plan_until_quiet(f);
        assert_int_equal(f->n_planned, 0);
        assert_int_equal(f->server.n_writes, f->server.n);
        size_t before = f->server.n;
        plan_until_quiet(f);
        assert_int_equal(f->server.n, before);
        /* Not shown for half a minute: the watch is believed, and a write changes nothing. */
        size_t done = f->n_done;
        pass(f, SPAN_S(31));
        assert_true(f->n_done > done);
        plan_until_quiet(f);
        assert_true(f->server.n > before);
}

/* Another hand deletes an object, and the watch hangs: what we made anew is what stands there,
 * though the status that was planned beside it was for the one that is gone. */
static void what_was_made_anew_is_believed_where_the_watch_hangs(void **state)
{
        Fixture *f = *state;
        plan_until_quiet(f);
        f->is_watch_late = true;
        for (size_t i = 0; i < API_OBJECTS_MAX; i++)
                if (strstr(f->server.objects[i].path, "/tailscaleendpoints/") != NULL)
                        api_forget(&f->server.objects[i]);
        make_world(f, "web");
        make_report(f, "other");
        size_t before = f->server.n;
        plan_until_quiet(f);
        pass(f, SPAN_S(2));
        plan_until_quiet(f);
        assert_revision(f, "other");
        for (int i = 0; i < 10; i++) {
                pass(f, SPAN_S(1));
                plan_until_quiet(f);
        }
        assert_in_range(f->server.n - before, 1, 10);
}

static void a_change_by_another_hand_is_mended(void **state)
{
        Fixture *f = *state;
        plan_until_quiet(f);
        pass(f, SPAN_S(5));
        IGNORE(api_apply(&f->server, STR(BINDING), "tailscale-gateway", false,
                         STR("{\"metadata\":{\"namespace\":\"infra\",\"name\":\"eg\"},"
                             "\"spec\":{\"revision\":\"x\"}}")),
               "changed");
        plan_until_quiet(f);
        assert_revision(f, REVISION);
}

/* Somebody else says more than we do in a status: it is written once, not for ever. */
static void what_does_not_become_as_wished_is_written_once(void **state)
{
        Fixture *f = *state;
        plan_until_quiet(f);
        pass(f, SPAN_S(60));
        IGNORE(api_apply(&f->server, STR(TAILNET), "somebody", true,
                         STR("{\"status\":{\"mood\":\"good\"}}")),
               "changed");
        size_t before = f->server.n;
        plan_until_quiet(f);
        assert_int_equal(f->server.n, before + 1);
        plan_until_quiet(f);
        assert_int_equal(f->server.n, before + 1);
}

static void a_stale_object_goes(void **state)
{
        Fixture *f = *state;
        plan_until_quiet(f);
        pass(f, SPAN_S(5));
        f->world->entries = table_unref(f->world->entries);
        f->world->entries = table_new(NULL, 0, entry_view_order);
        plan_until_quiet(f);
        const Table *t = api_observed(&f->server);
        TABLE_FOREACH (Observed, o, t)
                assert_true(o->kind != OBSERVED_ENDPOINTS);
        table_unref(t);
        assert_true(request(f, "DELETE") >= 0);
}

static void nothing_is_sent_without_the_lease(void **state)
{
        Fixture *f = *state;
        f->may_write = false;
        plan_until_quiet(f);
        assert_int_equal(f->server.n, 0);
        assert_int_equal(f->facts.generated.failures, 0);
        f->may_write = true;
        plan_until_quiet(f);
        assert_revision(f, REVISION);
}

static void a_plan_that_is_superseded_ends_after_what_is_in_flight(void **state)
{
        Fixture *f = *state;
        assert_true(plan_once(f));
        assert_true(kube_objects_is_writing(f->objects));
        make_report(f, "other");
        assert_false(plan_once(f));
        kube_turn_until(&f->server.w, &f->n_done, 1);
        assert_false(kube_objects_is_writing(f->objects));
        assert_true(request(f, BINDING) < 0);
        plan_until_quiet(f);
        assert_revision(f, "other");
}

/* All that is wished stands there, whatever was refused or lost once. */
static void after_any_one_failure_the_next_plans_heal(void **state)
{
        Fixture *f = *state;
        plan_until_quiet(f);
        size_t n = f->server.n;
        assert_int_equal(teardown(state), 0);
        for (size_t at = 0; at < n; at++) {
                for (ApiFault fault = API_REFUSED_500; fault < API_FAULTS; fault++) {
                        assert_int_equal(setup(state), 0);
                        f = *state;
                        f->server.fault_at = at;
                        f->server.fault = fault;
                        plan_until_quiet(f);
                        assert_int_equal(f->facts.generated.failures, 1);
                        /* Where only the answer was lost, all is well. */
                        if (fault != API_UNANSWERED)
                                assert_true(f->facts.generated.error[0] != '\0');
                        size_t done = f->n_done;
                        pass(f, SPAN_S(KUBE_OBJECTS_REST_S));
                        assert_true(f->n_done > done);
                        plan_until_quiet(f);
                        assert_revision(f, REVISION);
                        assert_int_equal(f->n_planned, 0);
                        assert_int_equal(f->facts.generated.failures, 1);
                        assert_string_equal(f->facts.generated.error, "");
                        if (at + 1 < n || fault + 1 < API_FAULTS)
                                assert_int_equal(teardown(state), 0);
                }
        }
}

/* A Binding never names what is not there. */
static void a_binding_waits_for_its_endpoints(void **state)
{
        Fixture *f = *state;
        f->server.fault_at = 0;
        f->server.fault = API_REFUSED_422;
        plan_until_quiet(f);
        assert_non_null(strstr(f->server.log[0], "/tailscaleendpoints/"));
        assert_true(request(f, BINDING) < 0);
        /* What does not hang on it was written. */
        assert_true(request(f, GATEWAY "/status") >= 0);
        assert_true(request(f, TAILNET "/status") >= 0);
}

/* Told once as what it is, asked again at leisure, and forgotten when it was updated. */
static void an_older_definition_holds_up_its_kind_alone(void **state)
{
        Fixture *f = *state;
        f->server.fault_in = "/tailscaleendpoints/";
        f->server.fault = API_REFUSED_MISFIT;
        plan_until_quiet(f);
        assert_int_equal(kube_objects_counts(f->objects)->definitions.n, 1);
        assert_non_null(strstr(f->facts.generated.error,
                               "CustomResourceDefinition tailscaleendpoints.gateway.tailscale.com "
                               "is older than this program: it lacks spec.list[].new"));
        assert_true(request(f, GATEWAY "/status") >= 0);
        assert_true(request(f, TAILNET "/status") >= 0);
        assert_true(request(f, BINDING) < 0);
        size_t before = f->server.n;
        for (int i = 0; i < 10; i++) {
                pass(f, SPAN_S(KUBE_OBJECTS_REST_S));
                plan_until_quiet(f);
        }
        assert_in_range(f->server.n - before, 5, 10);
        assert_int_equal(kube_objects_counts(f->objects)->definitions.n, 1);
        f->server.fault_in = NULL;
        pass(f, SPAN_S(KUBE_OBJECTS_REST_S));
        plan_until_quiet(f);
        assert_revision(f, REVISION);
        assert_int_equal(kube_objects_counts(f->objects)->definitions.n, 0);
        assert_string_equal(f->facts.generated.error, "");
}

/* Its TailscaleGateway is deleted; the Gateway stays. */
static void forget_gateway(Fixture *f)
{
        World *w = f->world;
        Report *r = leaf_new(sizeof *r, 0, report_drop);
        table_unref(w->gateways);
        table_unref(w->entries);
        w->gateways = table_new(NULL, 0, gateway_spec_order);
        w->entries = table_new(NULL, 0, entry_view_order);
        r->complete = true;
        r->gateways = table_new(NULL, 0, gateway_report_order);
        r->routes = table_new(NULL, 0, route_report_order);
        r->entries = table_new(NULL, 0, entry_report_order);
        leaf_unref(f->report);
        f->report = r;
        api_forget(api_find(&f->server, STR(GATEWAY)));
}

/* Whatever was under way when it went, however late the watch shows the Binding, and whoever leads
 * by then: it goes. */
static void a_binding_that_nobody_saw_goes(void **state)
{
        static const int late_s[] = {0, KUBE_KNOWN_SHOWN_S / 2, 2 * KUBE_KNOWN_SHOWN_S};
        size_t n_written = 0;
        assert_int_equal(teardown(state), 0);
        for (unsigned turns = 0; turns < 60; turns += 6) {
                for (size_t i = 0; i < 2 * LENGTH_OF(late_s); i++) {
                        assert_int_equal(setup(state), 0);
                        Fixture *f = *state;
                        f->is_watch_late = true;
                        IGNORE(plan_once(f), "on_done follows");
                        kube_turns(&f->server.w, turns);
                        forget_gateway(f);
                        n_written += api_find(&f->server, STR(BINDING)) != NULL;
                        plan_until_quiet(f);
                        pass(f, SPAN_S(late_s[i / 2]));
                        if (i % 2 == 1)
                                open_objects(f);
                        f->is_watch_late = false;
                        /* It names `empty` first, a second after the last change. */
                        for (int step = 0; step < 4; step++) {
                                plan_until_quiet(f);
                                pass(f, SPAN_S(PLAN_BINDING_UNANSWERED_S));
                        }
                        plan_until_quiet(f);
                        assert_null(api_find(&f->server, STR(BINDING)));
                        assert_int_equal(f->n_planned, 0);
                        assert_int_equal(teardown(state), 0);
                }
        }
        assert_true(n_written > 0);
        assert_int_equal(setup(state), 0);
}

static void two_replicas_keep_what_each_has_said(void **state)
{
        Fixture *f = *state;
        plan_until_quiet(f);
        IGNORE(api_apply(&f->server, STR(BINDING), "tailscale-gateway-extension-pod-b", false,
                         STR("{\"metadata\":{\"annotations\":{"
                             "\"served.gateway.tailscale.com/pod-b\":\"old\"}}}")),
               "another replica");
        f->roles = PLAN_REPLICA;
        HookFact *h = facts_hook(&f->facts, eg);
        snprintf(h->asked, sizeof h->asked, REVISION);
        snprintf(h->served, sizeof h->served, REVISION);
        plan_until_quiet(f);
        const Table *t = api_observed(&f->server);
        const Observed *o = observed_at(t, OBSERVED_BINDING, eg);
        assert_int_equal(o->n_served, 2);
        assert_true(str_eq(o->served[0].revision, STR(REVISION)));
        assert_true(str_eq(o->served[1].revision, STR("old")));
        assert_true(str_eq(o->revision, STR(REVISION)));
        table_unref(t);
        /* The operator sees that it was served, and writes nothing over it. */
        f->roles = PLAN_OPERATOR;
        plan_until_quiet(f);
        t = api_observed(&f->server);
        o = observed_at(t, OBSERVED_GATEWAY, gateway);
        assert_true(str_eq(observed_condition(o, STR("Programmed"))->status, STR("True")));
        assert_int_equal(observed_at(t, OBSERVED_BINDING, eg)->n_served, 2);
        table_unref(t);
}

static void an_owed_attempt_is_raised_once(void **state)
{
        Fixture *f = *state;
        plan_until_quiet(f);
        f->roles = PLAN_REPLICA;
        HookFact *h = facts_hook(&f->facts, eg);
        snprintf(h->asked, sizeof h->asked, REVISION);
        snprintf(h->error, sizeof h->error, "not all has been read");
        h->owes_attempt = true;
        plan_until_quiet(f);
        plan_until_quiet(f);
        const Table *t = api_observed(&f->server);
        assert_int_equal(observed_at(t, OBSERVED_BINDING, eg)->attempt, 1);
        table_unref(t);
        /* The operator's next revision keeps it. */
        f->roles = PLAN_OPERATOR;
        make_report(f, "next");
        pass(f, SPAN_S(2));
        plan_until_quiet(f);
        t = api_observed(&f->server);
        assert_int_equal(observed_at(t, OBSERVED_BINDING, eg)->attempt, 1);
        table_unref(t);
        assert_revision(f, "next");
}

static void close_at(Fixture *f, size_t turns)
{
        IGNORE(plan_once(f), "first");
        kube_turns(&f->server.w, (unsigned)turns);
        f->objects = kube_objects_close(f->objects);
        size_t done = f->n_done;
        kube_turns(&f->server.w, 20);
        assert_int_equal(f->n_done, done);
}

static void nothing_is_told_after_the_close(void **state)
{
        Fixture *f = *state;
        for (size_t turns = 0; turns < 12; turns++) {
                close_at(f, turns);
                assert_int_equal(teardown(state), 0);
                assert_int_equal(setup(state), 0);
                f = *state;
        }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_plan_is_performed_in_its_order),
                TEST(what_is_as_wished_is_not_written),
                TEST(nothing_is_written_twice_where_the_watch_is_late),
                TEST(what_was_made_anew_is_believed_where_the_watch_hangs),
                TEST(a_change_by_another_hand_is_mended),
                TEST(what_does_not_become_as_wished_is_written_once),
                TEST(a_stale_object_goes),
                TEST(nothing_is_sent_without_the_lease),
                TEST(a_plan_that_is_superseded_ends_after_what_is_in_flight),
                TEST(after_any_one_failure_the_next_plans_heal),
                TEST(a_binding_waits_for_its_endpoints),
                TEST(a_binding_that_nobody_saw_goes),
                TEST(an_older_definition_holds_up_its_kind_alone),
                TEST(two_replicas_keep_what_each_has_said),
                TEST(an_owed_attempt_is_raised_once),
                TEST(nothing_is_told_after_the_close),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
