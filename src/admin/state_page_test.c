/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/admin.h"

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

typedef struct Page {
        TestView t;
        Buf text;
        Arena arena;
        const Tree *root;
} Page;

/* The page is one JSON document (RFC 8259): json_read takes nothing else. */
static void page_open(Page *p, ViewKind kind)
{
        Err err = {0};
        test_view_open(&p->t, kind);
        buf_init(&p->text, PAGE_MAX);
        arena_init(&p->arena, PAGE_MAX * 8);
        state_page(&p->t.view, &p->text);
        assert_false(p->text.failed);
        p->root = json_read(&p->arena, buf_str(&p->text), NULL, &err);
        if (p->root == NULL)
                fail_msg("%s in: %.*s", err.text, STR_FMT(buf_str(&p->text)));
}

static void page_close(Page *p)
{
        arena_done(&p->arena);
        buf_done(&p->text);
        test_view_close(&p->t);
}

static const Tree *first(const Page *p, const char *array)
{
        const Tree *a = tree_get(p->root, str_of(array));
        assert_non_null(a);
        assert_int_equal(a->type, TREE_ARRAY);
        return a->first;
}

static void every_page_has_the_same_members(void **state)
{
        (void)state;
        static const char *const arrays[] = {"tailnets", "tailscaleGateways", "entries",
                                             "routes",   "gateways",          "otherGateways"};
        for (ViewKind k = 0; k < VIEW_KINDS; k++) {
                Page p;
                page_open(&p, k);
                for (size_t i = 0; i < LENGTH_OF(arrays); i++)
                        IGNORE(first(&p, arrays[i]), "it is there");
                assert_int_equal(tree_get(p.root, STR("complete"))->type, TREE_BOOL);
                assert_true(tree_get_bool(p.root, STR("complete"), false) == (k == VIEW_FULL));
                assert_true(str_eq(tree_get_str(p.root, STR("now")), STR("2026-11-22T21:53:20Z")));
                page_close(&p);
        }
}

static void nothing_is_made_up_before_there_is_anything(void **state)
{
        (void)state;
        Page p;
        page_open(&p, VIEW_EMPTY);
        assert_null(first(&p, "tailnets"));
        assert_null(first(&p, "gateways"));
        const Tree *dir = tree_get(p.root, STR("resources"));
        assert_int_equal(tree_get(dir, STR("lastRead"))->type, TREE_NULL);
        assert_false(tree_get_bool(dir, STR("readOnce"), true));
        page_close(&p);
        page_open(&p, VIEW_INCOMPLETE);
        const Tree *tailnet = first(&p, "tailnets");
        assert_true(str_eq(tree_get_str(tailnet, STR("sync")), STR("NeverSynced")));
        assert_false(tree_get_bool(first(&p, "gateways"), STR("programmed"), true));
        page_close(&p);
}

static void it_tells_what_is_read_of_an_api_server(void **state)
{
        (void)state;
        Page p;
        page_open(&p, VIEW_FULL);
        const Tree *kube = tree_get(p.root, STR("kubernetes"));
        const Tree *kind = tree_get(kube, STR("kinds"))->first;
        assert_false(tree_get_bool(kube, STR("readOnce"), true));
        assert_true(str_eq(tree_get_str(kind, STR("kind")), STR("TailscaleGateway")));
        assert_false(tree_get_bool(kind, STR("synced"), true));
        assert_true(str_eq(tree_get_str(kind, STR("error")), STR("r1")));
        page_close(&p);
        page_open(&p, VIEW_EMPTY);
        assert_null(tree_get(p.root, STR("kubernetes")));
        page_close(&p);
}

static void it_tells_what_was_found_left_out_and_programmed(void **state)
{
        (void)state;
        Page p;
        page_open(&p, VIEW_FULL);
        const Tree *entry = first(&p, "entries");
        const Tree *endpoint = tree_get(entry, STR("endpoints"))->first;
        assert_true(str_eq(tree_get_str(endpoint, STR("name")), STR("api")));
        assert_true(str_eq(tree_get_str(endpoint, STR("rule")), STR("api")));
        assert_non_null(tree_get(entry, STR("leftOut"))->first);
        assert_true(str_eq(tree_get_str(tree_get(entry, STR("held")), STR("digest")), STR("api")));
        size_t hosts = 0, paths = 0;
        TREE_FOREACH (r, tree_get(p.root, STR("routes"))) {
                assert_true(tree_get_bool(r, STR("programmed"), false));
                hosts += str_eq(tree_get_str(r, STR("host")), STR("api.tailscale.local"));
                paths += str_eq(tree_get_str(r, STR("path")), STR("/t/api/"));
        }
        assert_int_equal(hosts, 1);
        assert_int_equal(paths, 1);
        const Tree *gateway = first(&p, "gateways");
        assert_true(tree_get_bool(tree_get(gateway, STR("hook")), STR("owesAttempt"), false));
        assert_true(str_eq(tree_get_str(gateway, STR("revisionServed")), STR("r1")));
        assert_false(tree_get_bool(gateway, STR("programmed"), true));
        /* It calls, and nobody refers to it. */
        assert_true(str_eq(tree_get_str(first(&p, "otherGateways"), STR("name")), STR("r1")));
        page_close(&p);
}

/* What an answer was without is not said to be programmed. */
static void what_an_answer_was_without_is_not_programmed(void **state)
{
        (void)state;
        TestView t;
        test_view_open(&t, VIEW_FULL);
        view_serve(&t);
        HookFact *h = facts_hook(&t.facts, (ObjectKey){STR("demo"), STR("gw")});
        GapNotes notes = {0};
        gap_notes_add(
                &notes,
                &(AnswerGap){.reason = GAP_HOST_TAKEN, .host = STR("api.tailscale.local"), .n = 1});
        gap_notes_add(&notes, &(AnswerGap){.reason = GAP_AUTH,
                                           .paths = true,
                                           .catch_all = true,
                                           .partly = true,
                                           .host = STR("*"),
                                           .where = STR("a.b"),
                                           .n = 1});
        h->gaps = answer_gaps_update(h->gaps, &notes);
        Arena a;
        arena_init(&a, 0);
        Buf text;
        buf_init(&text, 1 << 20);
        state_page(&t.view, &text);
        TreeMark at;
        Err err;
        const Tree *root = json_read(&a, buf_str(&text), &at, &err);
        TREE_FOREACH (r, tree_get(root, STR("routes"))) {
                bool is_host = tree_get_str(r, STR("path")).n == 0;
                assert_int_equal(tree_get_bool(r, STR("programmed"), is_host), !is_host);
                assert_true(str_eq(tree_get_str(r, STR("reason")),
                                   is_host ? STR("Conflicted") : STR("AuthNotInherited")));
        }
        const Tree *entry = tree_get(root, STR("entries"))->first;
        assert_true(str_eq(tree_get(entry, STR("leftOutOfAnswer"))->text, STR("1")));
        assert_true(tree_get_bool(entry, STR("programmed"), false));
        const Tree *hook = tree_get(tree_get(root, STR("gateways"))->first, STR("hook"));
        const Tree *gap = tree_get(hook, STR("leftOutRoutes"))->first;
        assert_true(str_eq(tree_get(hook, STR("leftOut"))->text, STR("2")));
        assert_true(str_eq(tree_get_str(gap, STR("host")), STR("api.tailscale.local")));
        assert_true(
                str_eq(tree_get_str(gap, STR("text")),
                       STR("Envoy Gateway has a virtual host for api.tailscale.local already")));
        assert_true(tree_get_bool(gap->next, STR("partly"), false));
        arena_done(&a);
        buf_done(&text);
        test_view_close(&t);
}

/* Without a byte that ends a string, and as UTF-8. */
static void hostile_names_stay_inside_their_strings(void **state)
{
        (void)state;
        Page p;
        page_open(&p, VIEW_HOSTILE);
        Str text = buf_str(&p.text);
        for (size_t i = 0; i + 1 < text.n; i++)
                assert_true((unsigned char)text.p[i] >= 0x20);
        for (Str rest = text; rest.n > 0;) {
                size_t n = str_utf8(rest);
                assert_true(n > 0);
                rest = str_sub(rest, n, rest.n);
        }
        Str name = tree_get_str(first(&p, "tailnets"), STR("name"));
        assert_true(str_starts(name, STR("x\"} 1\n# TYPE y\\\x01")));
        assert_true(str_ends(name, STR("</script>")));
        assert_int_equal(table_n(p.t.world->entries), 1);
        assert_null(first(&p, "entries")->next);
        page_close(&p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_page_has_the_same_members),
                cmocka_unit_test(nothing_is_made_up_before_there_is_anything),
                cmocka_unit_test(it_tells_what_is_read_of_an_api_server),
                cmocka_unit_test(it_tells_what_was_found_left_out_and_programmed),
                cmocka_unit_test(what_an_answer_was_without_is_not_programmed),
                cmocka_unit_test(hostile_names_stay_inside_their_strings),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
