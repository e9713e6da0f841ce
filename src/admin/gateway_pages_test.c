/* SPDX-License-Identifier: Apache-2.0 */
/* When a TailscaleGateway is said to be programmed, and what its conditions say else. */
#include "admin/gateway_pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "admin/admin_test_view.h"
#include "proto/json.h"

enum {
        PAGE_MAX = 1 << 20
};

typedef struct Fixture {
        TestView t;
        Buf text;
        Arena arena;
        const Tree *root; /* of the page that was read last */
} Fixture;

static Fixture *open_view(ViewKind kind)
{
        Fixture *f = mem_new(sizeof *f);
        test_view_open(&f->t, kind);
        buf_init(&f->text, PAGE_MAX);
        arena_init(&f->arena, PAGE_MAX * 8);
        return f;
}

static void close_view(Fixture *f)
{
        arena_done(&f->arena);
        buf_done(&f->text);
        test_view_close(&f->t);
        mem_free(f);
}

static void read_page(Fixture *f)
{
        Err err = {0};
        buf_reset(&f->text);
        state_page(&f->t.view, &f->text);
        assert_false(f->text.failed);
        f->root = json_read(&f->arena, buf_str(&f->text), NULL, &err);
        assert_non_null(f->root);
}

static void expect(const Tree *t, Str key, const char *value)
{
        if (!str_eq(tree_get_str(t, key), str_of(value)))
                fail_msg("%.*s is '%.*s', not '%s'", STR_FMT(key), STR_FMT(tree_get_str(t, key)),
                         value);
}

/* Of the first TailscaleGateway, on the page that was read last. */
static const Tree *condition(Fixture *f, const char *type)
{
        const Tree *g = tree_get(f->root, STR("tailscaleGateways"))->first;
        expect(g, STR("namespace"), "demo");
        expect(g, STR("name"), "tg");
        TREE_FOREACH (c, tree_get(g, STR("conditions"))) {
                if (str_eq(tree_get_str(c, STR("type")), str_of(type)))
                        return c;
        }
        fail_msg("no condition %s", type);
        return NULL;
}

static void expect_condition(Fixture *f, const char *type, const char *status, const char *reason)
{
        const Tree *c = condition(f, type);
        expect(c, STR("status"), status);
        expect(c, STR("reason"), reason);
}

static void expect_entry(Fixture *f, bool programmed, const char *reason)
{
        const Tree *e = tree_get(f->root, STR("entries"))->first;
        assert_int_equal(tree_get_bool(e, STR("programmed"), !programmed), programmed);
        expect(e, STR("reason"), reason);
}

static HookFact *hook_of(Fixture *f)
{
        return facts_hook(&f->t.facts, (ObjectKey){STR("demo"), STR("gw")});
}

static void nothing_is_programmed_before_it_was_served(void **state)
{
        (void)state;
        Fixture *f = open_view(VIEW_FULL);
        const GatewayReport *g = f->t.report->gateways->at[0];
        facts_forget_hook(&f->t.facts, g->eg_gateway);
        read_page(f);
        expect_entry(f, false, "Pending");
        char text[REVISION_MAX + 80];
        IGNORE(snprintf(text, sizeof text, "Envoy Gateway has not asked for revision %s yet",
                        g->revision),
               "it fits");
        expect(tree_get(f->root, STR("entries"))->first, STR("text"), text);
        expect_condition(f, "Accepted", "True", "Valid");
        expect_condition(f, "ResolvedRefs", "True", "ResolvedRefs");
        expect_condition(f, "Programmed", "False", "Pending");
        expect_condition(f, "Conflicted", "False", "NoConflict");
        assert_true(str_starts(tree_get_str(condition(f, "Programmed"), STR("message")),
                               STR("tailnet corp: Envoy Gateway has not asked for")));
        /* What translate decided stands. */
        assert_true(tree_get_bool(tree_get(f->root, STR("routes"))->first, STR("programmed"), 0));
        close_view(f);
}

static void it_is_programmed_while_the_wanted_revision_is_the_last_served(void **state)
{
        (void)state;
        Fixture *f = open_view(VIEW_FULL);
        view_serve(&f->t);
        read_page(f);
        expect_entry(f, true, "");
        expect_condition(f, "Programmed", "True", "Programmed");
        HookFact *h = hook_of(f);
        view_copy(h->served, sizeof h->served, STR("older"));
        read_page(f);
        expect_entry(f, false, "Pending");
        assert_true(str_starts(tree_get_str(tree_get(f->root, STR("entries"))->first, STR("text")),
                               STR("Envoy Gateway asked for revision ")));
        expect_condition(f, "Programmed", "False", "Pending");
        close_view(f);
}

static void what_the_answer_had_no_room_for_is_a_conflict(void **state)
{
        (void)state;
        Fixture *f = open_view(VIEW_FULL);
        view_serve(&f->t);
        GapNotes notes = {0};
        gap_notes_add(&notes, &(AnswerGap){.reason = GAP_HOST_TAKEN, .n = 2});
        HookFact *h = hook_of(f);
        h->gaps = answer_gaps_update(h->gaps, &notes);
        read_page(f);
        expect_entry(f, false, "");
        expect_condition(f, "Programmed", "False", "NothingLeft");
        expect_condition(f, "Conflicted", "True", "Conflicted");
        assert_true(str_starts(tree_get_str(condition(f, "Conflicted"), STR("message")),
                               STR("2, the first of them ")));
        close_view(f);
}

/* The Report holds one entry, and one row where `row` says why that is not programmed. */
static void report(Fixture *f, const char *reason, uint64_t selected, const char *row)
{
        ObjectKey key = {STR("demo"), STR("tg")};
        Report *r = leaf_new(sizeof *r, 0, report_drop);
        EntryReport *e = leaf_new(sizeof *e, 0, NULL);
        *e = (EntryReport){.leaf = e->leaf, .gateway = key, .tailnet = STR("corp")};
        e->selected = selected;
        e->reason = str_of(reason);
        e->text = STR("because");
        RouteReport *route = leaf_new(sizeof *route, 0, NULL);
        *route = (RouteReport){.leaf = route->leaf,
                               .gateway = key,
                               .eg_gateway = {STR("demo"), STR("gw")},
                               .tailnet = STR("corp"),
                               .host = STR("a.b"),
                               .reason = str_of(row),
                               .text = STR("somebody has it")};
        const void *none = NULL;
        r->routes = view_table(route, route_report_order);
        r->entries = view_table(e, entry_report_order);
        r->gateways = table_new(&none, 0, gateway_report_order);
        leaf_unref(f->t.report);
        f->t.report = r;
        f->t.view.report = r;
        read_page(f);
}

static void each_reason_has_its_condition(void **state)
{
        (void)state;
        static const struct {
                const char *reason;
                uint64_t selected;
                const char *row, *accepted, *resolved, *programmed, *conflicted;
        } rows[] = {
                {"ListenerAmbiguous", 1, "ListenerAmbiguous", "ListenerAmbiguous", "ResolvedRefs",
                 "ListenerAmbiguous", "NoConflict"},
                {"GatewayNotFound", 1, "GatewayNotFound", "Valid", "GatewayNotFound",
                 "GatewayNotFound", "NoConflict"},
                {"TailnetNotFound", 0, "", "Valid", "TailnetNotFound", "TailnetNotFound",
                 "NoConflict"},
                {"RefNotPermitted", 1, "", "Valid", "RefNotPermitted", "RefNotPermitted",
                 "NoConflict"},
                {"", 0, "", "Valid", "ResolvedRefs", "NothingSelected", "NoConflict"},
                {"", 1, "Conflicted", "Valid", "ResolvedRefs", "NothingLeft", "Conflicted"},
        };
        for (size_t i = 0; i < LENGTH_OF(rows); i++) {
                Fixture *f = open_view(VIEW_FULL);
                report(f, rows[i].reason, rows[i].selected, rows[i].row);
                bool is_valid = strcmp(rows[i].accepted, "Valid") == 0;
                bool is_resolved = strcmp(rows[i].resolved, "ResolvedRefs") == 0;
                bool has_conflict = strcmp(rows[i].conflicted, "Conflicted") == 0;
                expect_condition(f, "Accepted", is_valid ? "True" : "False", rows[i].accepted);
                expect_condition(f, "ResolvedRefs", is_resolved ? "True" : "False",
                                 rows[i].resolved);
                expect_condition(f, "Programmed", "False", rows[i].programmed);
                expect_condition(f, "Conflicted", has_conflict ? "True" : "False",
                                 rows[i].conflicted);
                if (has_conflict)
                        expect(condition(f, "Conflicted"), STR("message"),
                               "1, the first of them a.b: somebody has it");
                if (!is_resolved)
                        expect(condition(f, "ResolvedRefs"), STR("message"),
                               "tailnet corp: because");
                close_view(f);
        }
}

static void nothing_is_said_before_there_is_a_report(void **state)
{
        (void)state;
        static const char *const types[] = {"Accepted", "ResolvedRefs", "Programmed", "Conflicted"};
        Fixture *f = open_view(VIEW_FULL);
        f->t.view.report = NULL;
        read_page(f);
        for (size_t i = 0; i < LENGTH_OF(types); i++)
                expect_condition(f, types[i], "Unknown", "Pending");
        close_view(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(nothing_is_programmed_before_it_was_served),
                cmocka_unit_test(it_is_programmed_while_the_wanted_revision_is_the_last_served),
                cmocka_unit_test(what_the_answer_had_no_room_for_is_a_conflict),
                cmocka_unit_test(each_reason_has_its_condition),
                cmocka_unit_test(nothing_is_said_before_there_is_a_report),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
