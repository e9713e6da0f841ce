/* SPDX-License-Identifier: Apache-2.0 */
#include "control/plan.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const ObjectKey gateway = {STR_INIT("infra"), STR_INIT("eg")};

typedef struct Case {
        const World *world;
        Report *report;
        Facts facts;
        Outside outside;
        Plan plan;
} Case;

/* A Report that wants `revision` for the Gateway, or nothing of it where NULL. */
static Report *report_of(const char *revision)
{
        Report *r = leaf_new(sizeof *r, 0, report_drop);
        r->complete = true;
        GatewayReport *g = leaf_new(sizeof *g, 0, NULL);
        g->eg_gateway = gateway;
        g->found = true;
        IGNORE(snprintf(g->revision, sizeof g->revision, "%s", revision != NULL ? revision : ""),
               "short");
        const void *leaves[] = {g};
        r->gateways = table_new(leaves, revision != NULL ? 1 : 0, gateway_report_order);
        if (revision == NULL)
                leaf_unref(g);
        r->routes = table_new(NULL, 0, route_report_order);
        r->entries = table_new(NULL, 0, entry_report_order);
        return r;
}

static void plan(Case *c, const char *revision, const BindingWritten *written, Mono now)
{
        World *w = world_new_empty();
        w->complete = true;
        c->world = w;
        c->report = report_of(revision);
        c->outside = (Outside){.bindings = written, .n_bindings = written != NULL ? 1 : 0};
        PlanInput in = {.world = c->world,
                        .report = c->report,
                        .facts = &c->facts,
                        .outside = &c->outside,
                        .now = now,
                        .only_facts = false};
        plan_make(&in, &c->plan);
}

static void done(Case *c)
{
        plan_done(&c->plan);
        leaf_unref(c->report);
        leaf_unref(c->world);
        facts_done(&c->facts);
}

static void expect_write(const Case *c, const char *has)
{
        assert_int_equal(c->plan.n, 1);
        assert_false(c->plan.files[0].remove);
        assert_true(str_eq(c->plan.files[0].name, STR("infra.eg.yaml")));
        assert_true(str_find_str(c->plan.files[0].content, str_of(has)) >= 0);
}

static void test_first_change_is_written_at_once(void **state)
{
        (void)state;
        Case c = {0};
        facts_init(&c.facts);
        plan(&c, "r1", NULL, (Mono){1});
        expect_write(&c, "r1");
        done(&c);
}

static void test_what_stands_there_is_not_written_again(void **state)
{
        (void)state;
        Case c = {0};
        BindingWritten w = {.eg_gateway = gateway, .revision = STR("r1"), .attempt = 4, .at = {0}};
        facts_init(&c.facts);
        plan(&c, "r1", &w, (Mono){1});
        assert_int_equal(c.plan.n, 0);
        assert_int_equal(c.plan.again.ns, 0);
        done(&c);
}

static void test_changes_keep_a_second_apart(void **state)
{
        (void)state;
        Case c = {0};
        BindingWritten w = {
                .eg_gateway = gateway, .revision = STR("r1"), .attempt = 0, .at = {1000}};
        facts_init(&c.facts);
        plan(&c, "r2", &w, (Mono){1000 + SPAN_MS(400).ns});
        assert_int_equal(c.plan.n, 0);
        assert_int_equal(c.plan.again.ns, 1000 + SPAN_S(1).ns);
        done(&c);
        c = (Case){0};
        facts_init(&c.facts);
        plan(&c, "r2", &w, (Mono){1000 + SPAN_S(1).ns});
        expect_write(&c, "r2");
        done(&c);
}

static void test_an_owed_answer_raises_the_attempt_once(void **state)
{
        (void)state;
        Case c = {0};
        BindingWritten w = {.eg_gateway = gateway, .revision = STR("r1"), .attempt = 4, .at = {0}};
        facts_init(&c.facts);
        HookFact *f = facts_hook(&c.facts, gateway);
        f->owes_attempt = true;
        f->attempt = 4;
        plan(&c, "r1", &w, (Mono){1});
        expect_write(&c, "attempt: 5");
        done(&c);

        c = (Case){0};
        w.attempt = 5;
        facts_init(&c.facts);
        f = facts_hook(&c.facts, gateway);
        f->owes_attempt = true;
        f->attempt = 4; /* Envoy Gateway has not asked with 5 yet */
        plan(&c, "r1", &w, (Mono){1});
        assert_int_equal(c.plan.n, 0);
        done(&c);
}

/* What the plan is at `now`, where r2 with attempt 1 was written at second 10 and the last call, at
 * `at`, asked so. */
static void plan_after_call(Case *c, const char *asked, uint64_t attempt, Mono at, Mono now)
{
        BindingWritten w = {
                .eg_gateway = gateway, .revision = STR("r2"), .attempt = 1, .at = {SPAN_S(10).ns}};
        *c = (Case){0};
        facts_init(&c->facts);
        HookFact *f = facts_hook(&c->facts, gateway);
        IGNORE(snprintf(f->asked, sizeof f->asked, "%s", asked), "short");
        f->attempt = attempt;
        f->at = at;
        plan(c, "r2", &w, now);
}

static void test_a_change_that_was_not_seen_is_made_again(void **state)
{
        (void)state;
        Case c;
        Mono before = {SPAN_S(9).ns}, after = {SPAN_S(11).ns}, early = {SPAN_S(13).ns},
             late = {SPAN_S(14).ns};
        plan_after_call(&c, "r1", 1, after, early);
        assert_int_equal(c.plan.n, 0);
        assert_int_equal(c.plan.again.ns, late.ns);
        done(&c);
        plan_after_call(&c, "r1", 1, after, late);
        expect_write(&c, "attempt: 2");
        done(&c);
        plan_after_call(&c, "r2", 0, after, late);
        expect_write(&c, "attempt: 2");
        done(&c);

        plan_after_call(&c, "r1", 1, before, late); /* it may not have been told yet */
        assert_int_equal(c.plan.n, 0);
        done(&c);
        plan_after_call(&c, "r2", 1, after, late);
        assert_int_equal(c.plan.n, 0);
        assert_int_equal(c.plan.again.ns, 0);
        done(&c);
}

/* What the plan is at `now`, where r2 with that attempt was written at second `written` (0: by the
 * process before) and another Gateway's call came at second 11. */
static void plan_after_others(Case *c, uint64_t attempt, int64_t written, Mono now)
{
        BindingWritten w = {.eg_gateway = gateway,
                            .revision = STR("r2"),
                            .attempt = attempt,
                            .at = {SPAN_S(written).ns}};
        *c = (Case){0};
        facts_init(&c->facts);
        facts_hook(&c->facts, (ObjectKey){STR("infra"), STR("other")})->at = (Mono){SPAN_S(11).ns};
        plan(c, "r2", &w, now);
}

static void test_one_that_no_call_tells_of_is_tried_again(void **state)
{
        (void)state;
        static const struct {
                uint64_t attempt;
                int64_t written;
        } quiet[] = {{0, 12}, {0, 0}, {PLAN_BINDING_UNHEARD_MAX, 10}};
        Case c;
        Mono early = {SPAN_S(13).ns}, late = {SPAN_S(14).ns};
        plan_after_others(&c, 0, 10, early);
        assert_int_equal(c.plan.n, 0);
        assert_int_equal(c.plan.again.ns, late.ns);
        done(&c);
        plan_after_others(&c, 0, 10, late);
        expect_write(&c, "attempt: 1");
        done(&c);
        for (size_t i = 0; i < LENGTH_OF(quiet); i++) {
                plan_after_others(&c, quiet[i].attempt, quiet[i].written, late);
                assert_int_equal(c.plan.n, 0);
                assert_int_equal(c.plan.again.ns, 0);
                done(&c);
        }
}

static void test_unwanted_names_the_empty_contribution_before_it_goes(void **state)
{
        (void)state;
        Case c = {0};
        BindingWritten w = {.eg_gateway = gateway, .revision = STR("r1"), .attempt = 0, .at = {0}};
        facts_init(&c.facts);
        plan(&c, NULL, &w, (Mono){1});
        /* The Gateway is not among what was read, so there is nobody to serve. */
        assert_int_equal(c.plan.n, 1);
        assert_true(c.plan.files[0].remove);
        done(&c);
}

static EgGateway *eg_gateway(void)
{
        EgGateway *g = leaf_new(sizeof *g, 0, NULL);
        g->meta.key = gateway;
        return g;
}

static void plan_unwanted_case(Case *c, const BindingWritten *w, const char *asked)
{
        facts_init(&c->facts);
        if (asked != NULL)
                IGNORE(snprintf(facts_hook(&c->facts, gateway)->asked, REVISION_MAX, "%s", asked),
                       "short");
        World *world = world_new_empty();
        world->complete = true;
        const void *leaves[] = {eg_gateway()};
        table_unref((Table *)(uintptr_t)world->eg_gateways);
        world->eg_gateways = table_new(leaves, 1, eg_gateway_order);
        c->world = world;
        c->report = report_of(NULL);
        c->outside = (Outside){.bindings = w, .n_bindings = 1};
        PlanInput in = {.world = c->world,
                        .report = c->report,
                        .facts = &c->facts,
                        .outside = &c->outside,
                        .now = {1},
                        .only_facts = false};
        plan_make(&in, &c->plan);
}

static void test_unwanted_waits_until_the_empty_one_was_served(void **state)
{
        (void)state;
        BindingWritten w = {.eg_gateway = gateway, .revision = STR("r1"), .attempt = 2, .at = {0}};
        Case c = {0};
        plan_unwanted_case(&c, &w, "r1");
        expect_write(&c, "\"empty\"");
        done(&c);

        w.revision = STR(PLAN_REVISION_EMPTY);
        w.at = (Mono){1};
        c = (Case){0};
        plan_unwanted_case(&c, &w, "r1");
        assert_int_equal(c.plan.n, 0);
        done(&c);

        c = (Case){0};
        plan_unwanted_case(&c, &w, PLAN_REVISION_EMPTY);
        assert_int_equal(c.plan.n, 1);
        assert_true(c.plan.files[0].remove);
        done(&c);
}

/* The process that named the empty contribution is gone; this one cannot know what it saw. */
static void test_unwanted_of_another_process_asks_once_more(void **state)
{
        (void)state;
        BindingWritten w = {.eg_gateway = gateway,
                            .revision = STR(PLAN_REVISION_EMPTY),
                            .attempt = 2,
                            .at = {0}};
        Case c = {0};
        plan_unwanted_case(&c, &w, NULL);
        expect_write(&c, "attempt: 3");
        done(&c);

        w.at = (Mono){1};
        w.attempt = 3;
        c = (Case){0};
        plan_unwanted_case(&c, &w, NULL);
        assert_int_equal(c.plan.n, 0);
        done(&c);
}

static void test_files_of_long_names_fit_a_directory(void **state)
{
        (void)state;
        char name[253], file[PLAN_FILE_NAME_MAX + 1], other[PLAN_FILE_NAME_MAX + 1];
        memset(name, 'n', sizeof name);
        ObjectKey key = {str_make(name, 63), str_make(name, sizeof name)};
        assert_int_equal(plan_binding_file(key, file).n, PLAN_FILE_NAME_MAX);
        assert_true(str_ends(str_of(file), STR(".yaml")));
        key.name.n--;
        assert_false(str_eq(plan_binding_file(key, other), str_of(file)));
        key.name.n = PLAN_FILE_NAME_MAX - 63 - strlen("..yaml");
        assert_int_equal(plan_binding_file(key, other).n, PLAN_FILE_NAME_MAX);
        assert_true(str_ends(str_of(other), STR("nnn.yaml")));
}

static void test_nothing_is_planned_while_the_world_is_not_complete(void **state)
{
        (void)state;
        BindingWritten w = {.eg_gateway = gateway, .revision = STR("r1"), .attempt = 0, .at = {0}};
        Facts facts;
        facts_init(&facts);
        World *world = world_new_empty();
        Report *report = report_of("r2");
        Str file = STR("a.yaml");
        Outside outside = {
                .bindings = &w, .n_bindings = 1, .endpoints_files = &file, .n_endpoints_files = 1};
        PlanInput in = {.world = world,
                        .report = report,
                        .facts = &facts,
                        .outside = &outside,
                        .now = {1},
                        .only_facts = false};
        Plan p;
        plan_make(&in, &p);
        assert_int_equal(p.n, 0);
        plan_done(&p);
        leaf_unref(report);
        leaf_unref(world);
        facts_done(&facts);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_first_change_is_written_at_once),
                cmocka_unit_test(test_what_stands_there_is_not_written_again),
                cmocka_unit_test(test_changes_keep_a_second_apart),
                cmocka_unit_test(test_an_owed_answer_raises_the_attempt_once),
                cmocka_unit_test(test_a_change_that_was_not_seen_is_made_again),
                cmocka_unit_test(test_one_that_no_call_tells_of_is_tried_again),
                cmocka_unit_test(test_unwanted_names_the_empty_contribution_before_it_goes),
                cmocka_unit_test(test_unwanted_waits_until_the_empty_one_was_served),
                cmocka_unit_test(test_unwanted_of_another_process_asks_once_more),
                cmocka_unit_test(test_files_of_long_names_fit_a_directory),
                cmocka_unit_test(test_nothing_is_planned_while_the_world_is_not_complete),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
