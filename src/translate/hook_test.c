/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "translate/test_request.h"
#include "translate/test_world.h"
#include "translate/xds_view.h"

#include <stdio.h>

static const ObjectKey gw = {STR_INIT("demo"), STR_INIT("gw")};

#define HOSTS "hostPattern: \"{service}.ts.local\", pathPrefix: /, protocol: HTTP"
#define PATHS "hostPattern: \"{service}.ts.local\", pathPrefix: \"/t/{service}/\", protocol: HTTP"
#define WORLD(egress)                                                    \
        FIXTURE_GATEWAY FIXTURE_TAILNET FIXTURE_OURS("ours", "", egress) \
                FIXTURE_ENDPOINTS(FIXTURE_API)
#define BINDING(revision)                                                                          \
        "{\"apiVersion\":\"gateway.tailscale.com/v1alpha1\",\"kind\":\"TailscaleGatewayBinding\"," \
        "\"metadata\":{\"name\":\"gw\",\"namespace\":\"demo\"},\"spec\":{\"attempt\":7,"           \
        "\"revision\":\"" revision "\",\"targetRefs\":[{\"kind\":\"Gateway\",\"name\":\"gw\"}]}}"

static void check_str(Str got, const char *want)
{
        if (!str_eq(got, str_of(want)))
                fail_msg("got \"%.*s\", want \"%s\"", STR_FMT(got), want);
}

/* A request with a Binding, and one RouteConfiguration with these virtual hosts of namespace demo:
 * "*domain" has authentication. */
static Request request(const char *routes, const char *const *domains, size_t n)
{
        Request r;
        request_open(&r);
        request_binding(&r, BINDING(""));
        request_routes_begin(&r, routes);
        for (size_t i = 0; i < n; i++) {
                bool auth = domains[i][0] == '!';
                request_vhost(&r, domains[i] + auth, "demo", auth);
        }
        request_routes_end(&r);
        return r;
}

/* Is that among the reasons of what was left out? */
static bool says(const HookGateway *r, const char *part)
{
        bool found = false;
        for (size_t i = 0; i < r->tally.gaps.n; i++) {
                Buf b;
                buf_init(&b, 1024);
                buf_add_str(&b, gap_reason_name(r->tally.gaps.at[i].reason));
                gap_text(&r->tally.gaps.at[i], &b);
                found = found || str_find_str(buf_str(&b), str_of(part)) >= 0;
                buf_done(&b);
        }
        return found;
}

#define REQUEST(...)                                                \
        request("demo/gw/http", (const char *const[]){__VA_ARGS__}, \
                LENGTH_OF(((const char *const[]){__VA_ARGS__})))

static void a_host_is_appended_with_its_cluster(void **state)
{
        (void)state;
        static const char *const names[] = {"demo/gw/http", "http-10080"};
        Fixture f = fixture_open(WORLD(HOSTS), NULL);
        for (size_t i = 0; i < LENGTH_OF(names); i++) {
                Request r = request(names[i], NULL, 0);
                Answer a = answer_of(f.snapshot, &r);
                assert_int_equal(a.verdict, HOOK_ANSWERED);
                assert_int_equal(a.result.tally.hosts, 1);
                assert_int_equal(a.result.clusters, 1);
                assert_int_equal(a.result.tally.gaps.total, 0);
                assert_int_equal(a.result.attempt, 7);
                check_str(a.result.eg_gateway.name, "gw");
                check_str(a.result.served, snapshot_revision(f.snapshot, gw));
                Str vhost = {0};
                assert_int_equal(answer_vhost(&a, "api.ts.local", &vhost), 1);
                Str action = pb_get(nth_route(vhost, 0), PBN_Route_route);
                Str cluster = pb_get(buf_str(&a.bytes), PBN_PostTranslateModifyResponse_clusters);
                check_str(pb_get(action, PBN_RouteAction_cluster),
                          "tailscale/egress/demo/ours/corp/api/http-8080");
                assert_true(str_eq(pb_get(cluster, PBN_Cluster_name),
                                   pb_get(action, PBN_RouteAction_cluster)));
                check_str(pb_get(action, PBN_RouteAction_host_rewrite_literal), "api.corp.ts.net");
                answer_done(&a);
                request_done(&r);
        }
        fixture_done(&f);
}

static void what_is_not_ours_comes_back_as_it_was(void **state)
{
        (void)state;
        Fixture f = fixture_open(WORLD(HOSTS), NULL);
        Request r;
        request_open(&r);
        request_binding(&r, BINDING(""));
        pb_packed(&r.w, PB_PostTranslateModifyRequest_clusters,
                  STR("\x0a\x01"
                      "a"
                      "\x98\x06\x05"));
        pb_packed(&r.w, PB_PostTranslateModifyRequest_secrets, STR("not even a message \xff"));
        pb_packed(&r.w, PB_PostTranslateModifyRequest_listeners,
                  STR("\x0a\x01"
                      "l"));
        pb_packed(&r.w, PB_PostTranslateModifyRequest_secrets, STR("not even a message \xff"));
        request_routes_begin(&r, "demo/gw/other");
        request_vhost(&r, "x.y", "demo", true);
        request_routes_end(&r);
        Answer a = answer_of(f.snapshot, &r);
        assert_int_equal(a.verdict, HOOK_ANSWERED);
        Str out = buf_str(&a.bytes), in = buf_str(&r.bytes);
        assert_int_equal(count_fields(out, PBN_PostTranslateModifyResponse_secrets), 2);
        check_str(pb_get(out, PBN_PostTranslateModifyResponse_secrets), "not even a message \xff");
        PbReader clusters = pb_reader(out);
        Str first = {0};
        assert_true(pb_next_len(&clusters, PBN_PostTranslateModifyResponse_clusters, &first));
        check_str(first, "\x0a\x01"
                         "a"
                         "\x98\x06\x05");
        assert_true(str_eq(pb_get(out, PBN_PostTranslateModifyResponse_routes),
                           pb_get(in, PBN_PostTranslateModifyRequest_routes)));
        /* The listener's RouteConfiguration is not there: it is said. */
        assert_int_equal(a.result.tally.gaps.total, 1);
        assert_true(says(&a.result, "includeAll"));
        answer_done(&a);
        request_done(&r);
        fixture_done(&f);
}

static void the_gateway_by_binding_metadata_or_name(void **state)
{
        (void)state;
        Fixture f = fixture_open(WORLD(HOSTS), NULL);
        Request r;
        request_open(&r);
        request_routes_begin(&r, "demo/gw/http");
        request_routes_end(&r);
        Answer a = answer_of(f.snapshot, &r);
        assert_int_equal(a.result.tally.hosts, 1); /* by name */
        answer_done(&a);
        request_done(&r);

        request_open(&r);
        request_routes_begin(&r, "http-10080");
        request_vhost(&r, "x.y", "demo", false);
        request_routes_end(&r);
        a = answer_of(f.snapshot, &r);
        assert_int_equal(a.result.tally.hosts, 1); /* by metadata */
        check_str(a.result.asked, "");
        answer_done(&a);
        request_done(&r);

        request_open(&r);
        request_routes_begin(&r, "demo/other/http");
        request_routes_end(&r);
        a = answer_of(f.snapshot, &r);
        assert_int_equal(a.verdict, HOOK_ANSWERED); /* nobody refers to it */
        assert_int_equal(a.result.tally.hosts, 0);
        check_str(a.result.served, "");
        check_str(a.result.eg_gateway.name, "other");
        answer_done(&a);
        request_done(&r);

        /* Nothing tells it, and the Gateway that it could be has no Binding. */
        request_open(&r);
        request_routes_begin(&r, "http-10080");
        request_routes_end(&r);
        a = answer_of(f.snapshot, &r);
        assert_int_equal(a.verdict, HOOK_UNAVAILABLE);
        answer_done(&a);
        fixture_done(&f);
        f = fixture_open(
                WORLD(HOSTS) "---\n{apiVersion: gateway.tailscale.com/v1alpha1, kind: "
                             "TailscaleGatewayBinding, metadata: {name: gw, namespace: demo}, "
                             "spec: "
                             "{revision: a, targetRefs: [{group: gateway.networking.k8s.io, kind: "
                             "Gateway, name: gw}]}}\n",
                NULL);
        a = answer_of(f.snapshot, &r);
        assert_int_equal(a.verdict, HOOK_ANSWERED); /* it has one: the call is about another */
        assert_int_equal(a.result.tally.hosts, 0);
        answer_done(&a);
        request_done(&r);
        request_open(&r);
        request_routes_begin(&r, "http-81");
        request_routes_end(&r);
        a = answer_of(f.snapshot, &r);
        assert_int_equal(a.verdict, HOOK_ANSWERED);
        answer_done(&a);
        request_done(&r);
        fixture_done(&f);
}

static void the_revision_that_is_asked_for(void **state)
{
        (void)state;
        Fixture old = fixture_open(WORLD(HOSTS), NULL);
        char first[REVISION_MAX + 1];
        memcpy(first, snapshot_revision(old.snapshot, gw), sizeof(first));
        Fixture f = fixture_open(WORLD(PATHS), old.snapshot);
        fixture_done(&old);

        Request r;
        char json[1024];
        snprintf(json, sizeof(json), BINDING("%s"), first);
        request_open(&r);
        request_binding(&r, json);
        request_routes_begin(&r, "demo/gw/http");
        request_routes_end(&r);
        Answer a = answer_of(f.snapshot, &r);
        check_str(a.result.asked, first);
        check_str(a.result.served, first);
        assert_int_equal(a.result.tally.paths, 0);
        answer_done(&a);
        request_done(&r);

        request_open(&r);
        request_binding(&r, BINDING("ffffffffffffffffffffffffffffffff"));
        request_routes_begin(&r, "demo/gw/http");
        request_routes_end(&r);
        a = answer_bytes(f.snapshot, HOOK_TRANSLATE, buf_str(&r.bytes), true);
        assert_int_equal(a.verdict, HOOK_WAIT);
        assert_int_equal(a.bytes.n, 0);
        check_str(a.result.asked, "ffffffffffffffffffffffffffffffff");
        answer_done(&a);
        a = answer_bytes(f.snapshot, HOOK_TRANSLATE, buf_str(&r.bytes), false);
        assert_int_equal(a.verdict, HOOK_ANSWERED);
        check_str(a.result.served, snapshot_revision(f.snapshot, gw));
        assert_int_equal(a.result.tally.paths, 1);
        answer_done(&a);
        fixture_done(&f);

        /* Nobody refers to the Gateway any more. */
        World *w = world_new_empty();
        w->complete = true;
        f.snapshot = snapshot_new(w, NULL, &f.report);
        leaf_unref(w);
        a = answer_bytes(f.snapshot, HOOK_TRANSLATE, buf_str(&r.bytes), true);
        assert_int_equal(a.verdict, HOOK_ANSWERED);
        check_str(a.result.served, snapshot_empty_revision(f.snapshot));
        answer_done(&a);
        request_done(&r);
        fixture_done(&f);
}

static void an_incomplete_world_answers_nothing(void **state)
{
        (void)state;
        World *w = world_new_empty();
        Fixture f = {0};
        f.snapshot = snapshot_new(w, NULL, &f.report);
        leaf_unref(w);
        Request r = REQUEST("a.b");
        const Snapshot *snapshots[] = {NULL, f.snapshot};
        for (size_t i = 0; i < LENGTH_OF(snapshots); i++) {
                Answer a = answer_bytes(snapshots[i], HOOK_TRANSLATE, buf_str(&r.bytes), true);
                assert_int_equal(a.verdict, HOOK_WAIT);
                answer_done(&a);
                a = answer_bytes(snapshots[i], HOOK_TRANSLATE, buf_str(&r.bytes), false);
                assert_int_equal(a.verdict, HOOK_UNAVAILABLE);
                answer_done(&a);
                /* The others give back what came. */
                a = answer_bytes(snapshots[i], HOOK_VIRTUAL_HOST, STR("\x0a\x03\x0a\x01h"), true);
                assert_int_equal(a.verdict, HOOK_ANSWERED);
                check_str(buf_str(&a.bytes), "\x0a\x03\x0a\x01h");
                answer_done(&a);
        }
        request_done(&r);
        fixture_done(&f);
}

static void a_domain_that_is_there_is_left_alone(void **state)
{
        (void)state;
        Fixture f = fixture_open(WORLD(HOSTS), NULL);
        Request r = REQUEST("API.ts.local", "b.c");
        Answer a = answer_of(f.snapshot, &r);
        assert_int_equal(a.result.tally.hosts, 0);
        assert_int_equal(a.result.tally.gaps.total, 1);
        assert_true(str_eq(pb_get(buf_str(&a.bytes), PBN_PostTranslateModifyResponse_routes),
                           pb_get(buf_str(&r.bytes), PBN_PostTranslateModifyRequest_routes)));
        answer_done(&a);
        request_done(&r);
        fixture_done(&f);
        /* With overrideHosts our route goes in front of the user's own. */
        f = fixture_open(WORLD(HOSTS ", overrideHosts: true"), NULL);
        r = REQUEST("api.ts.local");
        a = answer_of(f.snapshot, &r);
        assert_int_equal(a.result.tally.hosts, 1);
        Str vhost = {0};
        assert_int_equal(answer_vhost(&a, "api.ts.local", &vhost), 1);
        assert_int_equal(count_fields(vhost, PBN_VirtualHost_routes), 2);
        assert_true(xds_view_is_our_route(nth_route(vhost, 0)));
        answer_done(&a);
        request_done(&r);
        /* But not where a route there is of another namespace. */
        request_open(&r);
        request_binding(&r, BINDING(""));
        request_routes_begin(&r, "demo/gw/http");
        request_vhost(&r, "api.ts.local", "other", false);
        request_routes_end(&r);
        a = answer_of(f.snapshot, &r);
        assert_int_equal(a.result.tally.hosts, 0);
        assert_int_equal(a.result.tally.gaps.total, 1);
        answer_done(&a);
        request_done(&r);
        fixture_done(&f);
}

/* A domain that is taken is not counted again because another RouteConfiguration is missing. */
static void what_did_not_come_is_counted_once(void **state)
{
        (void)state;
        Fixture f = fixture_open(WORLD(PATHS), NULL);
        Request r;
        request_open(&r);
        request_binding(&r, BINDING(""));
        Answer a = answer_of(f.snapshot, &r);
        assert_int_equal(a.verdict, HOOK_ANSWERED);
        assert_int_equal(a.result.tally.gaps.total, 2); /* a host and a path */
        assert_true(says(&a.result, "includeAll"));
        answer_done(&a);
        request_done(&r);
        fixture_done(&f);
        f = fixture_open(
                "---\n{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: "
                "gw, namespace: demo}, spec: {gatewayClassName: eg, listeners: [{name: http, "
                "protocol: HTTP, port: 10080}, {name: two, protocol: HTTP, port: "
                "10081}]}}\n" FIXTURE_TAILNET FIXTURE_OURS("a", "", HOSTS ", sectionName: http")
                        FIXTURE_OURS("b", "", HOSTS ", sectionName: two")
                                FIXTURE_ENDPOINTS(FIXTURE_API),
                NULL);
        r = REQUEST("api.ts.local");
        a = answer_of(f.snapshot, &r);
        assert_int_equal(a.result.tally.hosts, 0);
        assert_int_equal(a.result.tally.gaps.total, 2);
        answer_done(&a);
        request_done(&r);
        fixture_done(&f);
}

/* Also with overrideHosts: a route in front would take the other domain along. */
static void check_two_domains(const char *manifests)
{
        Fixture f = fixture_open(manifests, NULL);
        Request r;
        request_open(&r);
        request_binding(&r, BINDING(""));
        request_routes_begin(&r, "demo/gw/http");
        pb_begin(&r.w, PB_RouteConfiguration_virtual_hosts);
        request_vhost_body(&r.w, "api.ts.local", "demo", false);
        pb_str(&r.w, PB_VirtualHost_domains, STR("web.ts.local"));
        pb_end(&r.w);
        request_routes_end(&r);
        Answer a = answer_of(f.snapshot, &r);
        assert_int_equal(a.result.tally.hosts, 0);
        assert_int_equal(a.result.tally.gaps.total, 2);
        assert_true(str_eq(pb_get(buf_str(&a.bytes), PBN_PostTranslateModifyResponse_routes),
                           pb_get(buf_str(&r.bytes), PBN_PostTranslateModifyRequest_routes)));
        answer_done(&a);
        request_done(&r);
        fixture_done(&f);
}

static void each_domain_of_a_virtual_host_is_taken(void **state)
{
        (void)state;
#define TWO(egress)                                                      \
        FIXTURE_GATEWAY FIXTURE_TAILNET FIXTURE_OURS("ours", "", egress) \
                FIXTURE_ENDPOINTS(FIXTURE_API ", {name: web, tailscaleIP: 100.64.0.2, port: 80}")
        check_two_domains(TWO(HOSTS));
        check_two_domains(TWO(HOSTS ", overrideHosts: true"));
}

static void paths_go_to_the_catch_all(void **state)
{
        (void)state;
        Fixture f = fixture_open(
                FIXTURE_GATEWAY FIXTURE_TAILNET FIXTURE_OURS("ours", "", PATHS) FIXTURE_ENDPOINTS(
                        FIXTURE_API
                        ", {name: api-longer, tailscaleIP: 100.64.0.2, port: 80, protocol: HTTP}"),
                NULL);
        Request r = REQUEST("b.c", "*");
        Answer a = answer_of(f.snapshot, &r);
        assert_int_equal(a.result.tally.paths, 2);
        Str vhost = {0};
        assert_int_equal(answer_vhost(&a, "*", &vhost), 1);
        check_str(pb_get(vhost, PBN_VirtualHost_name), "*");
        assert_int_equal(count_fields(vhost, PBN_VirtualHost_routes), 5);
        /* Longest first; the form without slash before the prefix; then the user's. */
        static const char *const matches[] = {"/t/api-longer", "/t/api-longer/", "/t/api",
                                              "/t/api/", "/"};
        for (size_t i = 0; i < LENGTH_OF(matches); i++) {
                Str match = pb_get(nth_route(vhost, i), PBN_Route_match);
                check_str(pb_get(match,
                                 i % 2 == 0 && i < 4 ? PBN_RouteMatch_path : PBN_RouteMatch_prefix),
                          matches[i]);
        }
        Str action = pb_get(nth_route(vhost, 1), PBN_Route_route);
        check_str(pb_get(action, PBN_RouteAction_prefix_rewrite), "/");
        assert_int_equal(answer_vhost(&a, "b.c", &vhost), 1);
        assert_int_equal(count_fields(vhost, PBN_VirtualHost_routes), 1);
        answer_done(&a);
        request_done(&r);
        /* Where there is none it is added. */
        r = REQUEST("b.c");
        a = answer_of(f.snapshot, &r);
        assert_int_equal(a.result.tally.paths, 2);
        assert_int_equal(answer_vhost(&a, "*", &vhost), 1);
        check_str(pb_get(vhost, PBN_VirtualHost_name), "tailscale/egress/demo/gw/*");
        assert_int_equal(count_fields(vhost, PBN_VirtualHost_routes), 4);
        answer_done(&a);
        request_done(&r);
        fixture_done(&f);
}

/* The gap of the row of paths in these hosts. */
static const AnswerGap *find_gap(const Fixture *f, const HookGateway *r, const char *path_host)
{
        AnswerGaps gaps = {.at = r->tally.gaps.at, .n = r->tally.gaps.n};
        const AnswerGap *found = NULL;
        TABLE_FOREACH (RouteReport, row, f->report->routes) {
                if (row->path.n > 0 && str_eq(row->host, str_of(path_host)))
                        found = answer_gaps_find(&gaps, row);
        }
        return found;
}

static void check_covered(const Fixture *f, const HookGateway *r, const char *path_host,
                          bool partly)
{
        const AnswerGap *gap = find_gap(f, r, path_host);
        assert_non_null(gap);
        assert_int_equal(gap->partly, partly);
}

static void paths_go_to_the_hosts_that_are_named(void **state)
{
        (void)state;
        Fixture f = fixture_open(WORLD(PATHS ", pathHosts: [\"*.b\", c.d, absent.x]"), NULL);
        Request r = REQUEST("a.b", "!auth.b", "!c.d", "other.d", "*");
        Answer a = answer_of(f.snapshot, &r);
        static const struct {
                const char *domain;
                size_t routes;
        } want[] = {
                {"a.b", 3},     {"auth.b", 1}, {"c.d", 3},
                {"other.d", 1}, {"*", 1},      {"api.ts.local", 1},
        };
        for (size_t i = 0; i < LENGTH_OF(want); i++) {
                Str vhost = {0};
                assert_int_equal(answer_vhost(&a, want[i].domain, &vhost), 1);
                assert_int_equal(count_fields(vhost, PBN_VirtualHost_routes), want[i].routes);
        }
        assert_int_equal(a.result.tally.paths, 2);
        assert_int_equal(a.result.tally.gaps.total, 2);
        const AnswerGap *auth = &a.result.tally.gaps.at[0], *absent = &a.result.tally.gaps.at[1];
        assert_int_equal(auth->reason, GAP_AUTH);
        check_str(auth->host, "*.b");
        check_str(auth->where, "auth.b");
        assert_true(auth->partly); /* a.b has them */
        assert_int_equal(absent->reason, GAP_NO_PATH_HOST);
        check_str(absent->host, "absent.x");
        assert_false(absent->partly);
        check_covered(&f, &a.result, "*.b", true);
        check_covered(&f, &a.result, "absent.x", false);
        assert_null(find_gap(&f, &a.result, "c.d"));
        answer_done(&a);
        request_done(&r);
        fixture_done(&f);
        /* Generated hosts take none. */
        f = fixture_open(WORLD(PATHS ", pathHosts: [\"*.local\"]"), NULL);
        r = REQUEST("x.local");
        a = answer_of(f.snapshot, &r);
        assert_int_equal(a.result.tally.paths, 1);
        Str vhost = {0};
        assert_int_equal(answer_vhost(&a, "api.ts.local", &vhost), 1);
        assert_int_equal(count_fields(vhost, PBN_VirtualHost_routes), 1);
        answer_done(&a);
        request_done(&r);
        fixture_done(&f);
}

static void a_host_that_is_named_twice_has_its_paths(void **state)
{
        (void)state;
        Fixture f = fixture_open(WORLD(PATHS ", pathHosts: [\"*.b\", a.b]"), NULL);
        Request r = REQUEST("a.b");
        Answer a = answer_of(f.snapshot, &r);
        Str vhost = {0};
        assert_int_equal(answer_vhost(&a, "a.b", &vhost), 1);
        assert_int_equal(count_fields(vhost, PBN_VirtualHost_routes), 3);
        assert_int_equal(a.result.tally.gaps.total, 0);
        answer_done(&a);
        request_done(&r);
        fixture_done(&f);
}

/* Each costs two bytes there and some dozen times that here. */
static void more_listeners_than_there_can_be(void **state)
{
        (void)state;
        Fixture f = fixture_open(WORLD(PATHS), NULL);
        Buf bytes;
        buf_init(&bytes, 1 << 20);
        for (size_t i = 0; i <= 65536; i++)
                pb_put_len(&bytes, PBN_PostTranslateModifyRequest_listeners, 0);
        Answer a = answer_bytes(f.snapshot, HOOK_TRANSLATE, buf_str(&bytes), false);
        assert_int_equal(a.verdict, HOOK_TOO_LARGE);
        answer_done(&a);
        buf_done(&bytes);
        fixture_done(&f);
}

static void authentication_is_not_undone(void **state)
{
        (void)state;
        Fixture f = fixture_open(WORLD(PATHS), NULL);
        Request all = REQUEST("!a.b", "!*"), some = REQUEST("!a.b", "c.d"),
                catch_all = REQUEST("a.b", "!*");
        Answer a = answer_of(f.snapshot, &all);
        assert_int_equal(a.result.tally.hosts + a.result.tally.paths, 0);
        assert_int_equal(a.result.tally.gaps.total, 2);
        assert_true(says(&a.result, "AuthNotInherited"));
        answer_done(&a);
        a = answer_of(f.snapshot, &some);
        assert_int_equal(a.result.tally.hosts, 1);
        assert_int_equal(a.result.tally.paths, 1);
        answer_done(&a);
        a = answer_of(f.snapshot, &catch_all);
        assert_int_equal(a.result.tally.hosts, 1);
        assert_int_equal(a.result.tally.paths, 0);
        answer_done(&a);
        fixture_done(&f);
        /* The user's word: sectionName. */
        f = fixture_open(WORLD(PATHS ", sectionName: http"), NULL);
        a = answer_of(f.snapshot, &all);
        assert_int_equal(a.result.tally.hosts, 1);
        assert_int_equal(a.result.tally.paths, 1);
        assert_int_equal(a.result.tally.gaps.total, 0);
        answer_done(&a);
        fixture_done(&f);
        request_done(&all);
        request_done(&some);
        request_done(&catch_all);
}

/* The answer as the request of a later hook. */
static Request again(const Answer *a)
{
        Request r;
        request_open(&r);
        request_binding(&r, BINDING(""));
        PbReader p = pb_reader(buf_str(&a->bytes));
        for (PbField f; pb_next(&p, &f);)
                pb_packed(&r.w, (PbMsg){f.number + 1}, f.body);
        return r;
}

static void what_an_earlier_hook_put_in_is_replaced(void **state)
{
        (void)state;
        Fixture f = fixture_open(WORLD(PATHS), NULL);
        Request r = REQUEST("a.b", "*");
        Answer once = answer_of(f.snapshot, &r);
        Request second = again(&once);
        Answer twice = answer_of(f.snapshot, &second);
        assert_int_equal(twice.result.tally.hosts, 1);
        assert_int_equal(twice.result.tally.paths, 1);
        assert_int_equal(twice.result.tally.gaps.total, 0);
        assert_true(str_eq(buf_str(&once.bytes), buf_str(&twice.bytes)));
        answer_done(&twice);
        fixture_done(&f);
        /* And goes where it is wanted no more. */
        f = fixture_open(FIXTURE_GATEWAY FIXTURE_TAILNET FIXTURE_OURS("ours", "", PATHS), NULL);
        twice = answer_of(f.snapshot, &second);
        Answer plain = answer_of(f.snapshot, &r);
        assert_true(str_eq(buf_str(&plain.bytes), buf_str(&twice.bytes)));
        answer_done(&plain);
        answer_done(&twice);
        answer_done(&once);
        request_done(&second);
        request_done(&r);
        fixture_done(&f);
}

static void a_cluster_name_that_is_taken(void **state)
{
        (void)state;
        Fixture f = fixture_open(WORLD(PATHS), NULL);
        Request r = REQUEST("*");
        r.w.out = &r.bytes; /* it has moved */
        pb_begin(&r.w, PB_PostTranslateModifyRequest_clusters);
        pb_str(&r.w, PB_Cluster_name, STR("tailscale/egress/demo/ours/corp/api/http-8080"));
        pb_end(&r.w);
        Answer a = answer_of(f.snapshot, &r);
        assert_int_equal(a.result.clusters, 0);
        assert_int_equal(a.result.tally.hosts + a.result.tally.paths, 0);
        assert_true(a.result.tally.gaps.total > 0);
        assert_int_equal(count_fields(buf_str(&a.bytes), PBN_PostTranslateModifyResponse_clusters),
                         1);
        answer_done(&a);
        request_done(&r);
        fixture_done(&f);
}

static void one_virtual_host(void **state)
{
        (void)state;
        Fixture f = fixture_open(WORLD(PATHS), NULL);
        static const struct {
                const char *domain;
                size_t routes;
        } want[] = {{"*", 3}, {"a.b", 1}, {"api.ts.local", 1}};
        for (size_t i = 0; i < LENGTH_OF(want); i++) {
                Request r;
                request_open(&r);
                pb_begin(&r.w, PB_PostVirtualHostModifyRequest_virtual_host);
                request_vhost_body(&r.w, want[i].domain, "demo", false);
                pb_end(&r.w);
                Answer a = answer_bytes(f.snapshot, HOOK_VIRTUAL_HOST, buf_str(&r.bytes), true);
                assert_int_equal(a.verdict, HOOK_ANSWERED);
                assert_int_equal(count_fields(pb_get(buf_str(&a.bytes), 1), PBN_VirtualHost_routes),
                                 want[i].routes);
                assert_int_equal(str_eq(buf_str(&a.bytes), buf_str(&r.bytes)), want[i].routes == 1);
                answer_done(&a);
                request_done(&r);
        }
        fixture_done(&f);
}

static void requests_that_are_none(void **state)
{
        (void)state;
        Fixture f = fixture_open(WORLD(PATHS), NULL);
        static const Str bad[] = {
                STR_INIT("\x12"), /* no length */
                STR_INIT("\x12\x05"
                         "a"),        /* too long */
                STR_INIT("\x10\x05"), /* clusters as a number */
                STR_INIT("\x2b\x2c"), /* routes as a group */
                STR_INIT("\x00"),
        };
        for (size_t i = 0; i < LENGTH_OF(bad); i++) {
                Answer a = answer_bytes(f.snapshot, HOOK_TRANSLATE, bad[i], true);
                assert_int_equal(a.verdict, HOOK_INVALID);
                answer_done(&a);
        }
        Answer a = answer_bytes(f.snapshot, HOOK_CLUSTER, STR("\x0a\x09"), true);
        assert_int_equal(a.verdict, HOOK_INVALID);
        assert_int_equal(a.bytes.n, 0);
        answer_done(&a);
        /* A field that the answer has no place for is dropped, a group among them. */
        a = answer_bytes(f.snapshot, HOOK_TRANSLATE, STR("\x33\x08\x01\x34\x3a\x01x"), false);
        assert_int_equal(a.verdict, HOOK_ANSWERED);
        assert_int_equal(a.bytes.n, 0);
        answer_done(&a);
        /* A RouteConfiguration of ours that cannot be read. */
        Request r;
        request_open(&r);
        request_binding(&r, BINDING(""));
        pb_packed(&r.w, PB_PostTranslateModifyRequest_routes,
                  STR("\x0a\x0c"
                      "demo/gw/http"
                      "\x12\x02\x0a\x7f"));
        a = answer_of(f.snapshot, &r);
        assert_int_equal(a.verdict, HOOK_INVALID);
        answer_done(&a);
        request_done(&r);
        fixture_done(&f);
}

static void an_answer_above_its_cap(void **state)
{
        (void)state;
        Fixture f = fixture_open(WORLD(PATHS), NULL);
        Request r = REQUEST("*");
        Buf small;
        buf_init(&small, r.bytes.n);
        HookResult result;
        assert_int_equal(
                hook_answer(f.snapshot, HOOK_TRANSLATE, buf_str(&r.bytes), false, &small, &result),
                HOOK_TOO_LARGE);
        hook_result_done(&result);
        buf_done(&small);
        request_done(&r);
        fixture_done(&f);
}

static void the_same_input_gives_the_same_bytes(void **state)
{
        (void)state;
        Fixture f = fixture_open(WORLD(PATHS), NULL), g = fixture_open(WORLD(PATHS), f.snapshot);
        Request r = REQUEST("a.b", "*");
        Answer a = answer_of(f.snapshot, &r), b = answer_of(g.snapshot, &r);
        assert_true(str_eq(buf_str(&a.bytes), buf_str(&b.bytes)));
        answer_done(&a);
        answer_done(&b);
        request_done(&r);
        fixture_done(&f);
        fixture_done(&g);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_host_is_appended_with_its_cluster),
                cmocka_unit_test(what_is_not_ours_comes_back_as_it_was),
                cmocka_unit_test(the_gateway_by_binding_metadata_or_name),
                cmocka_unit_test(the_revision_that_is_asked_for),
                cmocka_unit_test(an_incomplete_world_answers_nothing),
                cmocka_unit_test(a_domain_that_is_there_is_left_alone),
                cmocka_unit_test(what_did_not_come_is_counted_once),
                cmocka_unit_test(each_domain_of_a_virtual_host_is_taken),
                cmocka_unit_test(paths_go_to_the_catch_all),
                cmocka_unit_test(paths_go_to_the_hosts_that_are_named),
                cmocka_unit_test(a_host_that_is_named_twice_has_its_paths),
                cmocka_unit_test(more_listeners_than_there_can_be),
                cmocka_unit_test(authentication_is_not_undone),
                cmocka_unit_test(what_an_earlier_hook_put_in_is_replaced),
                cmocka_unit_test(a_cluster_name_that_is_taken),
                cmocka_unit_test(one_virtual_host),
                cmocka_unit_test(requests_that_are_none),
                cmocka_unit_test(an_answer_above_its_cap),
                cmocka_unit_test(the_same_input_gives_the_same_bytes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
