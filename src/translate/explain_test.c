/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/json.h"
#include "translate/explain.h"
#include "translate/test_world.h"

#include <stdio.h>

#define EGRESS "hostPattern: \"{service}.ts.local\", pathPrefix: \"/t/{service}/\", protocol: HTTP"
#define WORLD                                                            \
        FIXTURE_GATEWAY FIXTURE_TAILNET FIXTURE_OURS("ours", "", EGRESS) \
                FIXTURE_ENDPOINTS(FIXTURE_API)

typedef struct Told {
        Arena arena;
        const Tree *root;
} Told;

/* What is told of a URL once Envoy Gateway was given `served` (NULL: it never called). */
static Told tell(const Fixture *f, const char *url, const char *served)
{
        Facts facts;
        facts_init(&facts);
        if (served != NULL) {
                HookFact *h = facts_hook(&facts, (ObjectKey){STR("demo"), STR("gw")});
                snprintf(h->served, sizeof(h->served), "%s", served);
        }
        Buf json;
        buf_init(&json, 1 << 20);
        explain_url(f->snapshot, f->report, &facts, str_of(url), &json);
        Told t;
        arena_init(&t.arena, 0);
        t.root = json_read(&t.arena, buf_str(&json), NULL, NULL);
        assert_non_null(t.root);
        buf_done(&json);
        facts_done(&facts);
        return t;
}

/* The last step must be `what`, ok or not, with `text` in it. */
static void check_last(const Told *t, const char *what, bool ok, const char *text)
{
        const Tree *last = NULL;
        TREE_FOREACH (step, tree_get(t->root, STR("steps")))
                last = step;
        assert_non_null(last);
        assert_true(str_eq(tree_get_str(last, STR("what")), str_of(what)));
        assert_int_equal(tree_get_bool(last, STR("ok"), !ok), ok);
        if (str_find_str(tree_get_str(last, STR("text")), str_of(text)) < 0)
                fail_msg("\"%s\" is not in \"%.*s\"", text,
                         STR_FMT(tree_get_str(last, STR("text"))));
        assert_int_equal(tree_get_bool(t->root, STR("answers"), !ok), ok);
}

static void tell_and_check(const Fixture *f, const char *url, const char *served, const char *what,
                           const char *text)
{
        Told t = tell(f, url, served);
        check_last(&t, what, false, text);
        arena_done(&t.arena);
}

static void every_form_of_a_url_that_answers(void **state)
{
        (void)state;
        static const char *const urls[] = {
                "http://api.ts.local/",
                "api.ts.local",
                "API.ts.local:8080/x?y=/t/z/",
                "http://gw/t/api/x?y#z",
                "http://gw:10080/t/api",
                "anything/t/api/",
                "/t/api/x",
        };
        Fixture f = fixture_open(WORLD, NULL);
        const GatewayReport *g = f.report->gateways->at[0];
        for (size_t i = 0; i < LENGTH_OF(urls); i++) {
                Told t = tell(&f, urls[i], g->revision);
                check_last(&t, "proxy", true, "127.0.0.1:1055");
                assert_true(str_eq(tree_get_str(t.root, STR("url")), str_of(urls[i])));
                assert_true(str_eq(tree_get_str(t.root, STR("verdict")),
                                   STR("answered by service api")));
                arena_done(&t.arena);
        }
        fixture_done(&f);
}

static void what_stops_a_request(void **state)
{
        (void)state;
        Fixture f = fixture_open(WORLD, NULL);
        const GatewayReport *g = f.report->gateways->at[0];
        tell_and_check(&f, "http://other.ts.local/", g->revision, "route", "no service");
        tell_and_check(&f, "http://gw/", g->revision, "route", "no service");
        static const char *const none[] = {"", "http://", "ftp://api.ts.local/", "a b",
                                           "http:///t/api/"};
        for (size_t i = 0; i < LENGTH_OF(none); i++)
                tell_and_check(&f, none[i], g->revision, "url", "expected http://host/path");
        tell_and_check(&f, "https://api.ts.local/", g->revision, "listener", "the URL says https");
        tell_and_check(&f, "http://api.ts.local/", NULL, "revision", "has not called");
        tell_and_check(&f, "http://api.ts.local/", "", "revision", "none was served");
        tell_and_check(&f, "http://api.ts.local/", "0123", "revision", "0123 was served");
        fixture_done(&f);
        f = fixture_open(WORLD "---\n{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, "
                               "metadata: {name: web, "
                               "namespace: demo}, spec: {parentRefs: [{name: gw}], hostnames: "
                               "[api.ts.local], rules: "
                               "[{}]}}\n",
                         NULL);
        tell_and_check(&f, "http://api.ts.local/", NULL, "conflict", "HTTPRoute demo/web");
        fixture_done(&f);
        f = fixture_open(FIXTURE_TAILNET FIXTURE_OURS("ours", "", EGRESS)
                                 FIXTURE_ENDPOINTS(FIXTURE_API),
                         NULL);
        tell_and_check(&f, "http://api.ts.local/", NULL, "route", "GatewayNotFound");
        fixture_done(&f);
        World *w = world_new_empty();
        f.snapshot = snapshot_new(w, NULL, &f.report);
        leaf_unref(w);
        tell_and_check(&f, "http://api.ts.local/", NULL, "world", "not everything");
        fixture_done(&f);
}

#define USERS_ROUTE(host, section)                                                                \
        "---\n{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: web, " \
        "namespace: demo}, spec: {parentRefs: [{name: gw" section "}], hostnames: [\"" host       \
        "\"], rules: [{}]}}\n"

/* The catch-all host has the paths; a host that somebody names is another. */
static void a_path_in_a_users_host(void **state)
{
        (void)state;
        static const struct {
                const char *world, *url;
                bool answers;
        } cases[] = {
                {WORLD USERS_ROUTE("www.mine.com", ""), "http://www.mine.com/t/api/", false},
                {WORLD USERS_ROUTE("*.mine.com", ""), "http://www.mine.com/t/api/", false},
                {WORLD USERS_ROUTE("*.mine.com", ""), "http://mine.com/t/api/", true},
                {WORLD USERS_ROUTE("www.mine.com", ""), "http://other.com/t/api/", true},
                {WORLD USERS_ROUTE("www.mine.com", ", sectionName: http"),
                 "http://www.mine.com/t/api/", false},
                {WORLD USERS_ROUTE("www.mine.com", ", sectionName: another"),
                 "http://www.mine.com/t/api/", true},
        };
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                Fixture f = fixture_open(cases[i].world, NULL);
                const GatewayReport *g = f.report->gateways->at[0];
                Told t = tell(&f, cases[i].url, g->revision);
                if (cases[i].answers)
                        check_last(&t, "proxy", true, "127.0.0.1:1055");
                else
                        check_last(&t, "host", false, "is a host of HTTPRoute demo/web");
                arena_done(&t.arena);
                fixture_done(&f);
        }
        Fixture f = fixture_open(WORLD USERS_ROUTE("www.mine.com", ""), NULL);
        tell_and_check(&f, "http://www.mine.com/", "", "route", "that of HTTPRoute demo/web");
        fixture_done(&f);
}

static void check_says(const Fixture *f, const Facts *facts, const char *url, const char *wanted)
{
        Buf json;
        buf_init(&json, 1 << 20);
        explain_url(f->snapshot, f->report, facts, str_of(url), &json);
        if (str_find_str(buf_str(&json), str_of(wanted)) < 0)
                fail_msg("%s: %s is not in %.*s", url, wanted, STR_FMT(buf_str(&json)));
        buf_done(&json);
}

static void hold_gap(HookFact *h, const AnswerGap *gap, size_t times)
{
        GapNotes notes = {0};
        for (size_t i = 0; i < times; i++)
                gap_notes_add(&notes, gap);
        h->gaps = answer_gaps_update(h->gaps, &notes);
}

/* What the last answer was without, with its reason, where it is this. */
static void an_endpoint_that_left(void **state)
{
        (void)state;
        Fixture f = fixture_open(WORLD, NULL);
        Facts facts;
        facts_init(&facts);
        Departure d = {.at = {INT64_C(1795384300000)},
                       .gateway = {STR("demo"), STR("ours")},
                       .tailnet = STR("corp"),
                       .service = STR("web"),
                       .address = STR("100.64.0.9"),
                       .reason = STR("Missing"),
                       .text = STR("the tailnet's list lacked it for 3 polls in a row")};
        departures_add(&facts.departures, &d);
        d.service = STR("api"); /* it is back */
        departures_add(&facts.departures, &d);
        check_says(&f, &facts, "http://web.ts.local/",
                   "device: web (100.64.0.9) left at 2026-11-22T21:51:40Z: Missing: the tailnet's "
                   "list lacked it for 3 polls");
        check_says(&f, &facts, "http://x/t/web/y", "device: web (100.64.0.9) left at");
        check_says(&f, &facts, "http://other.ts.local/", "no service has this host");
        check_says(&f, &facts, "http://api.ts.local/", "\"device\",\"ok\":true");
        facts_done(&facts);
        fixture_done(&f);
}

static void what_the_answer_was_without(void **state)
{
        (void)state;
        Fixture f = fixture_open(WORLD, NULL);
        Facts facts;
        facts_init(&facts);
        HookFact *h = facts_hook(&facts, (ObjectKey){STR("demo"), STR("gw")});
        snprintf(h->served, sizeof(h->served), "%s",
                 ((const GatewayReport *)f.report->gateways->at[0])->revision);
        hold_gap(h,
                 &(AnswerGap){.reason = GAP_AUTH,
                              .listener = STR("http"),
                              .host = STR("api.ts.local"),
                              .n = 1},
                 1);
        check_says(&f, &facts, "http://api.ts.local/",
                   "answer: left out: AuthNotInherited: all routes of listener http");
        check_says(&f, &facts, "http://api.ts.local/", "\"answers\":false");
        check_says(&f, &facts, "http://x/t/api/", "\"answers\":true");
        hold_gap(h,
                 &(AnswerGap){.reason = GAP_OTHER_NAMESPACE,
                              .paths = true,
                              .catch_all = true,
                              .partly = true,
                              .host = STR("*"),
                              .where = STR("*.b.c"),
                              .namespace = STR("demo"),
                              .n = 1},
                 1);
        check_says(&f, &facts, "http://a.b.c/t/api/",
                   "OtherNamespace: host *.b.c has a route of another namespace than demo");
        check_says(&f, &facts, "http://a.d/t/api/", "\"answers\":true");
        check_says(&f, &facts, "http://api.ts.local/", "\"answers\":true");
        /* More than have names: it may be among them. */
        hold_gap(h, &(AnswerGap){.reason = GAP_HOST_TAKEN, .host = STR("else.ts.local"), .n = 1},
                 70);
        check_says(&f, &facts, "http://api.ts.local/", "70 hosts and paths were left out");
        check_says(&f, &facts, "http://api.ts.local/", "api, unless it is among");
        facts_done(&facts);
        fixture_done(&f);
}

/* The step before the verdict of an unknown host shows how hosts are made, and what is not read. */
static void what_is_not_in_force_is_told(void **state)
{
        (void)state;
        Fixture f = fixture_open(WORLD, NULL);
        Facts facts;
        facts_init(&facts);
        snprintf(facts.resources.error, sizeof(facts.resources.error), "a.yaml:1:1: broken");
        Buf json;
        buf_init(&json, 1 << 20);
        explain_url(f.snapshot, f.report, &facts, STR("http://api.corp.ts.net/"), &json);
        assert_true(str_find_str(buf_str(&json), STR("a.yaml:1:1: broken")) > 0);
        assert_true(str_find_str(buf_str(&json), STR("hosts {service}.ts.local")) > 0);
        assert_true(str_find_str(buf_str(&json), STR("\"answers\":false")) > 0);
        buf_done(&json);
        facts_done(&facts);
        fixture_done(&f);
}

/* Traffic goes by Envoy's checks, but where all of ours fail the reader should know. */
static void probes_are_told(void **state)
{
        (void)state;
        Fixture f = fixture_open(WORLD, NULL);
        const RouteReport *r = f.report->routes->at[0];
        ProbeFact probe = {.gateway = r->gateway,
                           .tailnet = STR("corp"),
                           .service = STR("api"),
                           .ip = STR("100.64.0.1"),
                           .port = 8080,
                           .protocol = PROTOCOL_HTTP,
                           .error = "the proxy answered 500"};
        const ProbeFact *probes[] = {&probe};
        Facts facts;
        facts_init(&facts);
        check_says(&f, &facts, "http://api.ts.local/", "endpoint");
        facts.probes = probes;
        facts.n_probes = 1;
        probe.verdict = PROBE_HEALTHY;
        check_says(&f, &facts, "http://api.ts.local/", "1 of 1 endpoints are healthy");
        probe.verdict = PROBE_UNHEALTHY;
        check_says(&f, &facts, "http://api.ts.local/",
                   "0 of 1 endpoints are healthy by our own probes; 100.64.0.1: the proxy answered "
                   "500");
        check_says(&f, &facts, "http://api.ts.local/", "\"answers\":false");
        facts_done(&facts);
        fixture_done(&f);
}

/* How the tailnet is doing stands before the device. */
static void what_the_tailnets_sources_say(void **state)
{
        static const struct {
                SyncState sync;
                Str reason, text, warning;
                const char *told;
        } cases[] = {
                {SYNC_DONE, STR_INIT(""), STR_INIT(""), STR_INIT("no services:read"),
                 "corp is synced, 7 devices; no services:read"},
                {SYNC_STALE, STR_INIT("Timeout"), STR_INIT("too slow"), STR_INIT(""),
                 "the last poll failed: Timeout: too slow (what is known serves)"},
                /* The control server has not answered, a tailscaled has. */
                {SYNC_STALE, STR_INIT(""), STR_INIT(""), STR_INIT(""),
                 "corp has not answered yet; what its tailscaled sees serves"},
        };
        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                World *w = fixture_world(WORLD);
                TailnetState *s = leaf_new(sizeof(*s), 0, tailnet_state_drop);
                s->key = (ObjectKey){STR("demo"), STR("corp")};
                s->n_devices = 7;
                s->sync = cases[i].sync;
                s->error_reason = cases[i].reason;
                s->error_text = cases[i].text;
                s->warning = cases[i].warning;
                const void *states[] = {s};
                table_unref(w->tailnet_states);
                w->tailnet_states = table_new(states, 1, tailnet_state_order);
                Fixture f = {0};
                f.snapshot = snapshot_new(w, NULL, &f.report);
                leaf_unref(w);
                check_says(&f, NULL, "http://api.ts.local/", cases[i].told);
                fixture_done(&f);
        }
}

/* As discovery leaves a device out. */
static void a_device_that_was_left_out(void **state)
{
        (void)state;
        World *w = fixture_world(FIXTURE_GATEWAY FIXTURE_TAILNET FIXTURE_OURS("ours", "", EGRESS));
        LeftOut like = {STR("1"), STR("proxy-db.corp.ts.net"), STR("Excluded"),
                        STR("excludePatterns[0] proxy-* matches")};
        LeftOutRow row = left_out_row(&like, NULL, 0, &(LeftOutRow){0});
        EntryView *v = leaf_new(sizeof(*v), 0, entry_view_drop);
        v->gateway = (ObjectKey){STR("demo"), STR("ours")};
        v->tailnet = STR("corp");
        v->known = true;
        v->endpoints = table_new(NULL, 0, endpoint_order);
        v->left_out = left_out_list_new(&row, 1, NULL, 0);
        const void *views[] = {v};
        table_unref(w->entries);
        w->entries = table_new(views, 1, entry_view_order);
        Fixture f = {0};
        f.snapshot = snapshot_new(w, NULL, &f.report);
        leaf_unref(w);
        tell_and_check(&f, "http://proxy-db.ts.local/", NULL, "device", "proxy-* matches");
        tell_and_check(&f, "http://gw/t/proxy-db/x", NULL, "device", "Excluded");
        tell_and_check(&f, "http://proxy.ts.local/", NULL, "route", "no service");
        fixture_done(&f);
}

/* Why it is warned of stands among the steps; what answers answers all the same. */
static void what_is_said_of_an_endpoints_health(void **state)
{
        (void)state;
        Fixture f = fixture_open(
                FIXTURE_GATEWAY FIXTURE_TAILNET FIXTURE_OURS("ours", "", EGRESS) FIXTURE_ENDPOINTS(
                        "{name: api, tailscaleIP: 100.64.0.1, port: 8080, health: NotVisible, "
                        "healthText: \"not to be reached; Offline: gone\", nodeID: \"svc:api\", "
                        "rule: no pattern}, {name: api, tailscaleIP: 100.64.0.2, port: 8080, "
                        "health: Healthy}"),
                NULL);
        Told t = tell(&f, "http://api.ts.local/", NULL);
        size_t n = 0;
        TREE_FOREACH (step, tree_get(t.root, STR("steps"))) {
                if (str_eq(tree_get_str(step, STR("what")), STR("device")))
                        assert_true(str_eq(tree_get_str(step, STR("text")),
                                           STR("Tailscale Service svc:api (100.64.0.1) was taken "
                                               "by no pattern")));
                if (!str_eq(tree_get_str(step, STR("what")), STR("health")))
                        continue;
                n++;
                assert_true(tree_get_bool(step, STR("ok"), false));
                assert_true(str_eq(tree_get_str(step, STR("text")),
                                   STR("100.64.0.1 is NotVisible: not to be reached; Offline: "
                                       "gone")));
        }
        assert_int_equal(n, 1);
        arena_done(&t.arena);
        fixture_done(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_form_of_a_url_that_answers),
                cmocka_unit_test(what_is_said_of_an_endpoints_health),
                cmocka_unit_test(what_stops_a_request),
                cmocka_unit_test(a_path_in_a_users_host),
                cmocka_unit_test(what_is_not_in_force_is_told),
                cmocka_unit_test(what_the_answer_was_without),
                cmocka_unit_test(an_endpoint_that_left),
                cmocka_unit_test(probes_are_told),
                cmocka_unit_test(what_the_tailnets_sources_say),
                cmocka_unit_test(a_device_that_was_left_out),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
