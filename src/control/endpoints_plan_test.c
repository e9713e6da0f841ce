/* SPDX-License-Identifier: Apache-2.0 */
#include "control/plan.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef struct Case {
        World *world;
        Report *report;
        Facts facts;
        Plan plan;
} Case;

/* One entry `tailnet` of TailscaleGateway demo/`gateway` with n endpoints. */
static EntryView *entry(const char *gateway, const char *tailnet, unsigned n, bool known)
{
        EntryView *v = leaf_new(sizeof *v, 0, entry_view_drop);
        const void *leaves[1000];
        v->gateway = (ObjectKey){STR("demo"), str_of(gateway)};
        v->tailnet = str_of(tailnet);
        v->known = known;
        for (unsigned i = 0; i < n; i++) {
                char name[16], ip[24];
                IGNORE(snprintf(name, sizeof name, "s%03u", i), "fits");
                IGNORE(snprintf(ip, sizeof ip, "100.64.%u.%u", i / 250, i % 250), "fits");
                Endpoint e = {.service = str_of(name),
                              .ip = str_of(ip),
                              .node_id = str_of(name),
                              .port = 80,
                              .protocol = PROTOCOL_HTTP,
                              .weight = 1};
                leaves[i] = endpoint_new(&e);
        }
        v->endpoints = table_new(leaves, n, endpoint_order);
        return v;
}

static void plan(Case *c, EntryView *const *views, size_t n, const Str *files, size_t n_files)
{
        const void *leaves[4];
        for (size_t i = 0; i < n; i++)
                leaves[i] = views[i];
        *c = (Case){.world = world_new_empty(),
                    .report = leaf_new(sizeof *c->report, 0, report_drop)};
        facts_init(&c->facts);
        c->world->complete = c->report->complete = true;
        table_unref(c->world->entries);
        c->world->entries = table_new(leaves, n, entry_view_order);
        c->report->routes = table_new(NULL, 0, route_report_order);
        c->report->entries = table_new(NULL, 0, entry_report_order);
        c->report->gateways = table_new(NULL, 0, gateway_report_order);
        Outside outside = {.endpoints_files = files, .n_endpoints_files = n_files};
        PlanInput in = {.world = c->world,
                        .report = c->report,
                        .facts = &c->facts,
                        .outside = &outside,
                        .now = {1},
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

static const PlanFile *find(const Case *c, Str name)
{
        for (size_t i = 0; i < c->plan.n; i++) {
                if (str_eq(c->plan.files[i].name, name))
                        return &c->plan.files[i];
        }
        return NULL;
}

static size_t count(Str text, Str what)
{
        size_t n = 0;
        for (ptrdiff_t at; (at = str_find_str(text, what)) >= 0; n++)
                text = str_sub(text, (size_t)at + what.n, text.n);
        return n;
}

static void an_entry_has_shards_of_250(void **state)
{
        (void)state;
        Case c;
        EntryView *v = entry("gw", "corp", 501, true);
        plan(&c, &v, 1, NULL, 0);
        assert_int_equal(c.plan.n, 4);
        size_t all = 0;
        for (size_t i = 0; i < c.plan.n; i++) {
                char end[32];
                IGNORE(snprintf(end, sizeof end, "-%zu.yaml", i), "fits");
                assert_true(str_starts(c.plan.files[i].name, STR("demo.gw-corp-")));
                assert_true(str_ends(c.plan.files[i].name, str_of(end)));
                assert_false(c.plan.files[i].remove);
                size_t n = count(c.plan.files[i].content, STR("  - name: "));
                assert_in_range(n, 1, ENDPOINTS_MAX);
                all += n;
        }
        assert_int_equal(all, 501);
        done(&c);
}

/* Members stay in their shard: one that joins changes the spec of one object. */
static void one_that_joins_changes_one_shard(void **state)
{
        (void)state;
        Case before, after;
        EntryView *v = entry("gw", "corp", 600, true), *w = entry("gw", "corp", 601, true);
        plan(&before, &v, 1, NULL, 0);
        plan(&after, &w, 1, NULL, 0);
        assert_int_equal(before.plan.n, after.plan.n);
        size_t changed = 0;
        for (size_t i = 0; i < after.plan.n; i++) {
                Str a = before.plan.files[i].content, b = after.plan.files[i].content;
                a.n = (size_t)str_find_str(a, STR("\nstatus:"));
                b.n = (size_t)str_find_str(b, STR("\nstatus:"));
                changed += !str_eq(a, b);
        }
        assert_int_equal(changed, 1);
        done(&before);
        done(&after);
}

/* Facts bear on Bindings alone: what a hook call tells makes no file of endpoints anew, and removes
 * none. */
static void facts_alone_plan_no_endpoints(void **state)
{
        (void)state;
        Case c;
        EntryView *v = entry("gw", "corp", 3, true);
        Str stranger = STR("demo.gw-gone-0123abcd-0.yaml");
        plan(&c, &v, 1, &stranger, 1);
        assert_int_equal(c.plan.n, 2);
        plan_done(&c.plan);
        Outside outside = {.endpoints_files = &stranger, .n_endpoints_files = 1};
        PlanInput in = {.world = c.world,
                        .report = c.report,
                        .facts = &c.facts,
                        .outside = &outside,
                        .now = {1},
                        .only_facts = true};
        plan_make(&in, &c.plan);
        assert_int_equal(c.plan.n, 0);
        done(&c);
}

/* It says that nothing was found, which is not the same as not being there. */
static void an_entry_without_endpoints_has_a_file(void **state)
{
        (void)state;
        Case c;
        EntryView *v = entry("gw", "corp", 0, true);
        plan(&c, &v, 1, NULL, 0);
        assert_int_equal(c.plan.n, 1);
        assert_true(str_find_str(c.plan.files[0].content, STR("endpoints: []")) > 0);
        done(&c);
}

/* a-b of c and b-c of a would both be a-b-c. */
static void names_that_run_together_are_told_apart(void **state)
{
        (void)state;
        Case c;
        EntryView *v[] = {entry("a-b", "c", 1, true), entry("a", "b-c", 1, true)};
        plan(&c, v, 2, NULL, 0);
        assert_int_equal(c.plan.n, 2);
        assert_false(str_eq(c.plan.files[0].name, c.plan.files[1].name));
        done(&c);
}

static void what_is_no_longer_wanted_is_removed(void **state)
{
        (void)state;
        Case c;
        EntryView *v = entry("gw", "corp", 251, true);
        plan(&c, &v, 1, NULL, 0);
        Str files[3];
        char names[2][128];
        for (size_t i = 0; i < 2; i++) {
                IGNORE(snprintf(names[i], sizeof names[i], "%.*s", STR_FMT(c.plan.files[i].name)),
                       "fits");
                files[i] = str_of(names[i]);
        }
        files[2] = STR("demo.gone-corp-0123abcd-0.yaml");
        done(&c);
        v = entry("gw", "corp", 250, true);
        plan(&c, &v, 1, files, LENGTH_OF(files));
        assert_false(find(&c, files[0])->remove);
        assert_true(find(&c, files[1])->remove);
        assert_true(find(&c, files[2])->remove);
        done(&c);
        /* Not known yet: it keeps what it has. */
        v = entry("gw", "corp", 0, false);
        plan(&c, &v, 1, files, LENGTH_OF(files));
        assert_null(find(&c, files[0]));
        assert_null(find(&c, files[1]));
        assert_true(find(&c, files[2])->remove);
        done(&c);
}

/* Nothing that a user wrote is ever removed, wherever he put it. */
static void what_is_not_ours_stays(void **state)
{
        (void)state;
        static const Str files[] = {
                STR_INIT("README.md"),
                STR_INIT("mine.yaml"),
                STR_INIT("demo.gw-corp-0123abcd-0.yaml.bak"),
                STR_INIT("demo.gw-corp-0123ABCD-0.yaml"),
                STR_INIT("demo.gw-corp-0123abc-0.yaml"),
                STR_INIT("demo.gw-corp-0123abcd-.yaml"),
                STR_INIT("demo.gw-corp-0123abcd-x.yaml"),
                STR_INIT("-0.yaml"),
                STR_INIT(".yaml"),
        };
        Case c;
        plan(&c, NULL, 0, files, LENGTH_OF(files));
        assert_int_equal(c.plan.n, 0);
        done(&c);
}

static void the_longest_names_fit_a_directory(void **state)
{
        (void)state;
        char name[254] = {0}, tailnet[64] = {0};
        memset(name, 'n', sizeof name - 1);
        memset(tailnet, 't', sizeof tailnet - 1);
        EntryView *v = entry(name, tailnet, 1, true);
        v->gateway.namespace = str_of(tailnet);
        Case c;
        plan(&c, &v, 1, NULL, 0);
        assert_int_equal(c.plan.n, 1);
        assert_in_range(c.plan.files[0].name.n, 200, PLAN_FILE_NAME_MAX - 4);
        done(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_entry_has_shards_of_250),
                cmocka_unit_test(one_that_joins_changes_one_shard),
                cmocka_unit_test(facts_alone_plan_no_endpoints),
                cmocka_unit_test(an_entry_without_endpoints_has_a_file),
                cmocka_unit_test(names_that_run_together_are_told_apart),
                cmocka_unit_test(what_is_no_longer_wanted_is_removed),
                cmocka_unit_test(what_is_not_ours_stays),
                cmocka_unit_test(the_longest_names_fit_a_directory),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
