/* SPDX-License-Identifier: Apache-2.0 */
/* What an API server holds, as Tables: what is kept of it, what is told, and what stays as it was.
 */
#include "source/kube_source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "model/endpoints_spec.h"
#include "model/gateway_spec.h"
#include "model/secret_spec.h"
#include "model/tailnet_spec.h"
#include "source/kube_test_api.h"

#define OURS        "/apis/gateway.tailscale.com/v1alpha1/"
#define GATEWAY_API "/apis/gateway.networking.k8s.io/v1/"
#define TAILNETS    OURS "tailscaletailnets"
#define GATEWAYS    OURS "tailscalegateways"
#define ENDPOINTS   OURS "tailscaleendpoints"
#define BINDINGS    OURS "tailscalegatewaybindings"
#define EG_GATEWAYS GATEWAY_API "gateways"
#define ROUTES      GATEWAY_API "httproutes"
#define NAMESPACES  "/api/v1/namespaces"
#define SECRETS     "/api/v1/secrets"
#define SERVICES    "/api/v1/services"
#define GRANTS      "/apis/gateway.networking.k8s.io/v1beta1/referencegrants"

enum {
        ROUNDS = 2000
};

typedef struct Fixture {
        TestApi api;
        Facts facts;
        KubeSource *source;
        unsigned n_told;
        bool close_in_fn;
} Fixture;

static void on_source(KubeSource *k)
{
        Fixture *f = kube_source_owner(k);
        f->n_told++;
        if (f->close_in_fn)
                f->source = kube_source_close(f->source);
}

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof *f);
        test_api_init(&f->api);
        facts_init(&f->facts);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;
        kube_source_close(f->source);
        facts_done(&f->facts);
        test_api_done(&f->api);
        mem_free(f);
        return 0;
}

static void open_in(Fixture *f, StrList namespaces, const char *own)
{
        f->source = kube_source_open(&(KubeSourceInput){
                .loop = f->api.w.loop,
                .api = f->api.w.api,
                .namespaces = namespaces,
                .own_namespace = str_of(own),
                .fact = &f->facts.kube,
                .seed = 1,
                .fn = on_source,
                .owner = f,
        });
}

static void open_source(Fixture *f)
{
        open_in(f, (StrList){0}, "");
}

static const Table *table(const Fixture *f, ManifestKind kind)
{
        return kube_source_table(f->source, kind);
}

/* Turns, and lets time pass, until `is`. */
static void wait_for(Fixture *f, bool (*is)(const Fixture *f))
{
        for (int i = 0; i < ROUNDS && !is(f); i++) {
                loop_turn(f->api.w.loop, SPAN_MS(1));
                test_clock_advance(&f->api.w.time, SPAN_MS(10));
        }
        assert_true(is(f));
}

static bool is_read(const Fixture *f)
{
        return kube_source_is_read(f->source);
}

/* Whatever is under way comes to an end. */
static void settle(Fixture *f)
{
        for (int i = 0; i < 200; i++) {
                loop_turn(f->api.w.loop, SPAN_MS(1));
                test_clock_advance(&f->api.w.time, SPAN_MS(10));
        }
}

static void put_tailnet(Fixture *f, const char *ns, const char *name, const char *secret)
{
        char body[256];
        snprintf(body, sizeof body, ",\"spec\":{\"credentials\":{\"secretRef\":{\"name\":\"%s\"}}}",
                 secret);
        test_api_put(&f->api, TAILNETS, ns, name, "", body);
}

static void put_gateway(Fixture *f, const char *ns, const char *name, const char *eg)
{
        char body[512];
        snprintf(body, sizeof body,
                 ",\"spec\":{\"gatewayRef\":{\"name\":\"%s\",\"namespace\":\"eg\"},\"tailnets\":[{"
                 "\"name\":\"corp\",\"tailscaleTailnetRef\":{\"name\":\"corp\"}}]}",
                 eg);
        test_api_put(&f->api, GATEWAYS, ns, name, ",\"creationTimestamp\":\"2026-01-02T03:04:05Z\"",
                     body);
}

static void put_eg_gateway(Fixture *f, const char *name)
{
        test_api_put(&f->api, EG_GATEWAYS, "eg", name, "",
                     ",\"spec\":{\"listeners\":[{\"name\":\"http\",\"port\":80,\"protocol\":"
                     "\"HTTP\"}]}");
}

static void put_route(Fixture *f, const char *name, const char *eg)
{
        char body[512];
        snprintf(body, sizeof body,
                 ",\"kind\":\"HTTPRoute\",\"spec\":{\"hostnames\":[\"%s.example\"],\"parentRefs\":"
                 "[{\"name\":\"%s\",\"namespace\":\"eg\"}],\"rules\":[{}]}",
                 name, eg);
        test_api_put(&f->api, ROUTES, "apps", name, "", body);
}

static void put_namespace(Fixture *f, const char *name)
{
        test_api_put(&f->api, NAMESPACES, "", name, ",\"labels\":{\"a\":\"b\"}", "");
}

/* All that a TailscaleGateway of team-a needs. */
static void put_team(Fixture *f)
{
        put_namespace(f, "team-a");
        put_namespace(f, "apps");
        put_eg_gateway(f, "eg");
        put_eg_gateway(f, "other");
        put_gateway(f, "team-a", "gw", "eg");
}

static const GatewaySpec *gateway(const Fixture *f, const char *name)
{
        ObjectKey key = {STR("team-a"), str_of(name)};
        return table_find(table(f, MANIFEST_GATEWAY), &key, gateway_spec_find);
}

static bool was_asked(const Fixture *f, const char *target)
{
        for (size_t i = 0; i < f->api.n_collections; i++) {
                if (strcmp(f->api.collections[i].target, target) == 0)
                        return true;
        }
        return false;
}

static const KubeKindFact *fact(const Fixture *f, const char *kind)
{
        for (size_t i = 0; i < f->facts.kube.n_kinds; i++) {
                if (strcmp(f->facts.kube.kinds[i].kind, kind) == 0)
                        return &f->facts.kube.kinds[i];
        }
        fail_msg("no fact of %s", kind);
        return NULL;
}

/* ---- what is read ---- */

static void an_empty_server_is_read_without_other_peoples_kinds(void **state)
{
        Fixture *f = *state;
        open_source(f);
        assert_false(is_read(f));
        wait_for(f, is_read);
        settle(f);
        assert_true(was_asked(f, GATEWAYS));
        assert_false(was_asked(f, ROUTES));
        assert_false(was_asked(f, NAMESPACES));
        assert_false(was_asked(f, SECRETS));
        assert_int_equal(table_n(table(f, MANIFEST_GATEWAY)), 0);
        assert_true(fact(f, "TailscaleGateway")->synced);
}

static void objects_become_leaves_with_their_origin(void **state)
{
        Fixture *f = *state;
        put_team(f);
        put_tailnet(f, "team-a", "corp", "oauth");
        open_source(f);
        wait_for(f, is_read);
        const GatewaySpec *g = gateway(f, "gw");
        Wall created;
        assert_true(wall_parse(STR("2026-01-02T03:04:05Z"), &created));
        assert_non_null(g);
        assert_int_equal(g->meta.created.ms, created.ms);
        assert_true(str_starts(g->meta.uid, STR("u")));
        assert_int_equal(table_n(table(f, MANIFEST_TAILNET)), 1);
        /* Of our own kinds it is known what stands there. */
        assert_non_null(
                observed_at(kube_source_observed(f->source), OBSERVED_GATEWAY, g->meta.key));
        assert_int_equal(fact(f, "TailscaleGateway")->objects, 1);
}

/* Also of watches that are no longer there. */
static void what_became_of_watches_is_counted(void **state)
{
        Fixture *f = *state;
        const char *labels;
        put_team(f);
        open_source(f);
        wait_for(f, is_read);
        settle(f);
        put_eg_gateway(f, "new");
        put_gateway(f, "team-a", "second", "new");
        for (int i = 0; i < 4; i++)
                settle(f);
        uint64_t lists = 0;
        for (size_t i = 0; i < kube_source_n_counts(f->source); i++) {
                const KubeWatchCounts *c = kube_source_counts(f->source, i, &labels);
                if (c == NULL || strcmp(labels, "kind=\"Gateway\"") != 0)
                        continue;
                lists = c->lists;
                assert_int_equal(c->objects, 2);
                assert_int_equal(c->synced, 1);
        }
        assert_int_equal(lists, 2);
}

static void what_does_not_bear_on_us_is_not_kept(void **state)
{
        Fixture *f = *state;
        put_team(f);
        put_route(f, "ours", "eg");
        put_route(f, "theirs", "other");
        open_source(f);
        wait_for(f, is_read);
        assert_int_equal(table_n(table(f, MANIFEST_EG_GATEWAY)), 1);
        assert_int_equal(table_n(table(f, MANIFEST_EG_ROUTE)), 1);
        assert_int_equal(table_n(table(f, MANIFEST_NAMESPACE)), 1);
        assert_int_equal(fact(f, "HTTPRoute")->objects, 1);
        settle(f);
        unsigned told = f->n_told;
        put_route(f, "more", "other");
        put_route(f, "theirs", "other");
        put_namespace(f, "elsewhere");
        settle(f);
        assert_int_equal(f->n_told, told);
        put_route(f, "theirs", "eg");
        settle(f);
        assert_int_equal(table_n(table(f, MANIFEST_EG_ROUTE)), 2);
        put_route(f, "ours", "other");
        settle(f);
        assert_int_equal(table_n(table(f, MANIFEST_EG_ROUTE)), 1);
}

static void put_ingress(Fixture *f, const char *name, const char *discovery)
{
        char body[512];
        snprintf(body, sizeof body,
                 ",\"spec\":{\"gatewayRef\":{\"name\":\"eg\",\"namespace\":\"eg\"},\"tailnets\":[{"
                 "\"name\":\"corp\",\"tailscaleTailnetRef\":{\"name\":\"corp\"},%s"
                 "\"routeGeneration\":{\"ingress\":{}}}]}",
                 discovery);
        test_api_put(&f->api, GATEWAYS, "team-a", name, "", body);
}

static void put_service(Fixture *f, const char *ns, const char *name, const char *label)
{
        test_api_put(&f->api, SERVICES, ns, name, label,
                     ",\"spec\":{\"ports\":[{\"name\":\"http\",\"port\":80}]}");
}

static void put_grant(Fixture *f, const char *ns, const char *from)
{
        char body[512];
        snprintf(body, sizeof body,
                 ",\"spec\":{\"from\":[{\"group\":\"gateway.tailscale.com\",\"kind\":"
                 "\"TailscaleGateway\",\"namespace\":\"%s\"}],\"to\":[{\"group\":\"\",\"kind\":"
                 "\"Service\"}]}",
                 from);
        test_api_put(&f->api, GRANTS, ns, "g", "", body);
}

static size_t services(const Fixture *f)
{
        return table_n(table(f, MANIFEST_SERVICE));
}

#define EXPOSED ",\"labels\":{\"gateway.tailscale.com/expose\":\"true\"}"

static void services_and_grants_are_read_where_somebody_takes_services(void **state)
{
        Fixture *f = *state;
        put_team(f);
        put_service(f, "team-a", "shown", EXPOSED);
        put_service(f, "team-b", "far", EXPOSED);
        put_service(f, "team-a", "plain", "");
        put_service(f, "team-b", "other", "");
        put_grant(f, "team-b", "team-a");
        put_grant(f, "team-c", "team-x");
        open_source(f);
        wait_for(f, is_read);
        settle(f);
        assert_false(was_asked(f, SERVICES));
        /* Those with the label, wherever they are; grants for us. */
        put_ingress(f, "gw", "");
        for (int i = 0; i < 4; i++)
                settle(f);
        assert_int_equal(services(f), 2);
        assert_int_equal(table_n(table(f, MANIFEST_GRANT)), 1);
        unsigned told = f->n_told;
        put_service(f, "team-a", "more", "");
        settle(f);
        assert_int_equal(f->n_told, told);
        /* A selector: all of its namespace, and of those that let it in. */
        put_ingress(f, "gw", "\"serviceDiscovery\":{\"services\":{}},");
        for (int i = 0; i < 8; i++)
                settle(f);
        assert_int_equal(services(f), 5);
        test_api_remove(&f->api, GRANTS, "team-b", "g");
        settle(f);
        assert_int_equal(services(f), 4);
        /* Nobody takes any more. */
        put_gateway(f, "team-a", "gw", "eg");
        settle(f);
        assert_int_equal(services(f), 0);
        assert_int_equal(table_n(table(f, MANIFEST_GRANT)), 0);
}

static void routes_that_were_made_are_observed(void **state)
{
        Fixture *f = *state;
        put_team(f);
        open_in(f, (StrList){0}, "system");
        wait_for(f, is_read);
        assert_true(was_asked(f, ROUTES "?labelSelector=app.kubernetes.io%2Fmanaged-by%3D"
                                        "tailscale-gateway"));
}

/* It has a way to go before it is deleted, which depends on whether its Gateway is there. */
static void a_gateway_is_known_while_it_has_a_binding(void **state)
{
        Fixture *f = *state;
        put_team(f);
        test_api_put(&f->api, BINDINGS, "eg", "eg",
                     ",\"labels\":{\"app.kubernetes.io/managed-by\":\"tailscale-gateway\"}",
                     ",\"spec\":{\"targetRefs\":[{\"name\":\"eg\"}],\"revision\":\"r1\"}");
        test_api_put(&f->api, BINDINGS, "eg", "other", "",
                     ",\"spec\":{\"targetRefs\":[{\"name\":\"other\"}],\"revision\":\"r1\"}");
        open_source(f);
        wait_for(f, is_read);
        test_api_remove(&f->api, GATEWAYS, "team-a", "gw");
        settle(f);
        assert_int_equal(table_n(table(f, MANIFEST_GATEWAY)), 0);
        assert_int_equal(table_n(table(f, MANIFEST_EG_GATEWAY)), 1);
        assert_int_equal(table_n(table(f, MANIFEST_NAMESPACE)), 0);
        test_api_remove(&f->api, BINDINGS, "eg", "eg");
        settle(f);
        assert_int_equal(table_n(table(f, MANIFEST_EG_GATEWAY)), 0);
}

/* Also where nobody was there when the last TailscaleGateway went. */
static void a_gateway_is_read_where_a_binding_is_left(void **state)
{
        Fixture *f = *state;
        put_team(f);
        test_api_remove(&f->api, GATEWAYS, "team-a", "gw");
        test_api_put(&f->api, BINDINGS, "eg", "eg",
                     ",\"labels\":{\"app.kubernetes.io/managed-by\":\"tailscale-gateway\"}",
                     ",\"spec\":{\"targetRefs\":[{\"name\":\"eg\"}],\"revision\":\"r1\"}");
        open_source(f);
        wait_for(f, is_read);
        assert_int_equal(table_n(table(f, MANIFEST_EG_GATEWAY)), 1);
}

static bool has_second(const Fixture *f)
{
        return gateway(f, "second") != NULL;
}

static void a_gateway_waits_for_the_routes_of_what_it_refers_to(void **state)
{
        Fixture *f = *state;
        put_team(f);
        put_route(f, "theirs", "other");
        open_source(f);
        wait_for(f, is_read);
        settle(f);
        f->api.refuse_path = "httproutes";
        f->api.refuse_answer = KUBE_SAYS("500 No", "");
        put_gateway(f, "team-a", "second", "other");
        settle(f);
        assert_null(gateway(f, "second"));
        assert_non_null(gateway(f, "gw"));
        assert_int_equal(table_n(table(f, MANIFEST_EG_ROUTE)), 0);
        f->api.refuse_path = NULL;
        wait_for(f, has_second);
        assert_int_equal(table_n(table(f, MANIFEST_EG_ROUTE)), 1);
        assert_int_equal(table_n(table(f, MANIFEST_EG_GATEWAY)), 2);
        /* One that refers elsewhere stays as it was until that is known. */
        put_eg_gateway(f, "third");
        f->api.refuse_path = "gateways";
        put_gateway(f, "team-a", "gw", "third");
        settle(f);
        assert_true(str_eq(gateway(f, "gw")->gateway.name, STR("eg")));
        /* Nobody refers to it any more: it is forgotten. */
        f->api.refuse_path = NULL;
        test_api_remove(&f->api, GATEWAYS, "team-a", "second");
        settle(f);
        for (int i = 0; i < 30; i++)
                settle(f);
        assert_true(str_eq(gateway(f, "gw")->gateway.name, STR("third")));
        assert_int_equal(table_n(table(f, MANIFEST_EG_ROUTE)), 0);
        assert_int_equal(table_n(table(f, MANIFEST_EG_GATEWAY)), 1);
}

static bool has_nine(const Fixture *f)
{
        return table_n(table(f, MANIFEST_GATEWAY)) == 9;
}

/* Each refers to another Gateway, and they come while lists are under way. */
static void many_that_come_at_once_are_read_for_together(void **state)
{
        Fixture *f = *state;
        put_team(f);
        open_source(f);
        wait_for(f, is_read);
        settle(f);
        unsigned before = f->api.n_lists;
        for (int i = 0; i < 8; i++) {
                char name[16];
                snprintf(name, sizeof name, "more-%d", i);
                put_eg_gateway(f, name);
                put_gateway(f, "team-a", name, name);
                for (int n = 0; n < 5; n++)
                        loop_turn(f->api.w.loop, SPAN_MS(1));
        }
        wait_for(f, has_nine);
        settle(f);
        assert_int_equal(table_n(table(f, MANIFEST_EG_GATEWAY)), 9);
        /* Four kinds, twice at most. */
        assert_in_range(f->api.n_lists - before, 4, 8);
}

/* Whoever edits a TailscaleGateway without end waits for himself, and keeps nobody else waiting. */
static void who_refers_elsewhere_without_end_is_not_waited_for(void **state)
{
        Fixture *f = *state;
        put_team(f);
        put_gateway(f, "team-a", "restless", "other");
        open_source(f);
        for (int i = 0; i < 2 * (KUBE_SOURCE_FIRST_S * 100); i++) {
                char name[16];
                snprintf(name, sizeof name, "there-%d", i);
                put_gateway(f, "team-a", "restless", name);
                loop_turn(f->api.w.loop, SPAN_MS(1));
                test_clock_advance(&f->api.w.time, SPAN_MS(10));
                if (i < KUBE_SOURCE_FIRST_S * 100 / 2)
                        assert_false(is_read(f));
        }
        assert_true(is_read(f));
        assert_non_null(gateway(f, "gw"));
        settle(f);
        settle(f);
        assert_non_null(gateway(f, "restless"));
}

static void what_is_the_same_keeps_its_table(void **state)
{
        Fixture *f = *state;
        put_team(f);
        put_route(f, "ours", "eg");
        open_source(f);
        wait_for(f, is_read);
        settle(f);
        const Table *routes = table(f, MANIFEST_EG_ROUTE);
        const Table *namespaces = table(f, MANIFEST_NAMESPACE);
        put_route(f, "ours", "eg"); /* another resourceVersion and generation */
        put_namespace(f, "team-a");
        settle(f);
        assert_ptr_equal(table(f, MANIFEST_EG_ROUTE), routes);
        assert_ptr_equal(table(f, MANIFEST_NAMESPACE), namespaces);
}

/* ---- what is wrong ---- */

static void a_fault_is_told_and_takes_nothing_away(void **state)
{
        Fixture *f = *state;
        put_team(f);
        open_source(f);
        wait_for(f, is_read);
        settle(f);
        const char *bad = ",\"spec\":{\"gatewayRef\":{\"name\":\"other\"},\"priority\":\"x\","
                          "\"tailnets\":[{\"name\":\"A B\"}]}";
        test_api_put(&f->api, GATEWAYS, "team-a", "gw", "", bad);
        test_api_put(&f->api, GATEWAYS, "team-a", "new", "", bad);
        settle(f);
        assert_true(str_eq(gateway(f, "gw")->gateway.name, STR("eg")));
        assert_null(gateway(f, "new"));
        const Table *faults = kube_source_faults(f->source);
        assert_int_equal(table_n(faults), 2);
        const ObjectFault *fault = faults->at[0];
        assert_int_equal(fault->kind, OBSERVED_GATEWAY);
        assert_true(str_eq(fault->key.name, STR("gw")));
        assert_true(fault->generation > 0);
        assert_true(str_eq(fault->gateway.namespace, STR("team-a")));
        assert_true(str_eq(fault->gateway.name, STR("other")));
        assert_true(str_find_str(fault->text, STR("spec.priority: ")) >= 0);
        assert_true(str_find_str(fault->text, STR("\nspec.tailnets[0].name: ")) >= 0);
        assert_int_equal(fact(f, "TailscaleGateway")->invalid, 2);
        put_gateway(f, "team-a", "gw", "eg");
        test_api_remove(&f->api, GATEWAYS, "team-a", "new");
        settle(f);
        assert_int_equal(table_n(kube_source_faults(f->source)), 0);
}

/* A spec of more values than any of ours has. */
static char *large_spec(void)
{
        Buf text;
        buf_init(&text, 1 << 20);
        buf_add_str(&text, STR(",\"spec\":{\"tailnets\":[0"));
        for (int i = 0; i < 150000; i++)
                buf_add_str(&text, STR(",1"));
        buf_add_str(&text, STR("]}"));
        buf_add_char(&text, '\0');
        assert_false(text.failed);
        return buf_take(&text, NULL);
}

static const ObjectFault *fault_of(const Fixture *f, const char *ns, const char *name)
{
        ObservedKey key = {OBSERVED_GATEWAY, {str_of(ns), str_of(name)}};
        return table_find(kube_source_faults(f->source), &key, object_fault_find);
}

/* As a user may write it who has one namespace: nobody else's objects are the worse for it. */
static void one_that_is_too_large_is_told_and_takes_nothing_away(void **state)
{
        Fixture *f = *state;
        CLEANUP(mem_cleanup) char *large = large_spec();
        put_team(f);
        test_api_put(&f->api, GATEWAYS, "team-b", "large", "", large);
        test_api_put(&f->api, ROUTES, "team-b", "large", "", large);
        put_route(f, "ours", "eg");
        open_source(f);
        wait_for(f, is_read);
        settle(f);
        assert_non_null(gateway(f, "gw"));
        assert_int_equal(table_n(table(f, MANIFEST_GATEWAY)), 1);
        assert_int_equal(table_n(table(f, MANIFEST_EG_ROUTE)), 1);
        const ObjectFault *fault = fault_of(f, "team-b", "large");
        assert_non_null(fault);
        assert_true(fault->generation > 0);
        assert_true(str_starts(fault->text, STR("it is larger than can be read")));
        assert_int_equal(fact(f, "HTTPRoute")->err, ERR_NONE);
        /* By an event, and one that was good. */
        test_api_put(&f->api, GATEWAYS, "team-a", "gw", "", large);
        test_api_put(&f->api, ROUTES, "apps", "ours", "", large);
        settle(f);
        assert_non_null(gateway(f, "gw"));
        assert_non_null(fault_of(f, "team-a", "gw"));
        assert_int_equal(table_n(table(f, MANIFEST_EG_ROUTE)), 1);
        assert_int_equal(fact(f, "TailscaleGateway")->failures, 0);
        put_gateway(f, "team-a", "gw", "other");
        test_api_remove(&f->api, GATEWAYS, "team-b", "large");
        settle(f);
        settle(f);
        assert_true(str_eq(gateway(f, "gw")->gateway.name, STR("other")));
        assert_int_equal(table_n(kube_source_faults(f->source)), 0);
}

static void a_kind_that_is_not_there_is_told_and_waited_for(void **state)
{
        Fixture *f = *state;
        f->api.refuse_path = "tailscaletailnets";
        f->api.refuse_answer = KUBE_SAYS("404 Not Found", "404 page not found\n");
        open_source(f);
        settle(f);
        assert_false(is_read(f));
        const KubeKindFact *k = fact(f, "TailscaleTailnet");
        assert_false(k->synced);
        assert_int_equal(k->err, ERR_MISSING);
        assert_true(str_find_str(str_of(k->error), STR("TailscaleTailnet")) >= 0);
        assert_true(str_find_str(str_of(k->error), STR("CustomResourceDefinition")) >= 0);
        f->api.refuse_path = NULL;
        wait_for(f, is_read);
        assert_int_equal(fact(f, "TailscaleTailnet")->err, ERR_NONE);
}

static void what_may_not_be_read_names_the_verbs(void **state)
{
        Fixture *f = *state;
        f->api.refuse_path = "tailscaleendpoints";
        f->api.refuse_answer = KUBE_SAYS(
                "403 Forbidden", "{\"kind\":\"Status\",\"reason\":\"Forbidden\",\"message\":"
                                 "\"User x cannot list\",\"code\":403}");
        open_source(f);
        settle(f);
        assert_false(is_read(f));
        Str error = str_of(fact(f, "TailscaleEndpoints")->error);
        assert_true(str_find_str(error, STR("get, list and watch")) >= 0);
        assert_true(str_find_str(error, STR("tailscaleendpoints.gateway.tailscale.com")) >= 0);
        assert_true(str_find_str(error, STR("User x cannot list")) >= 0);
}

static void without_grpc_routes_we_go_on(void **state)
{
        Fixture *f = *state;
        put_team(f);
        f->api.refuse_path = "grpcroutes";
        f->api.refuse_answer = KUBE_SAYS("404 Not Found", "404 page not found\n");
        open_source(f);
        wait_for(f, is_read);
        assert_non_null(gateway(f, "gw"));
        assert_true(fact(f, "GRPCRoute")->optional);
}

/* ---- Secrets ---- */

static bool knows_oauth(const Fixture *f)
{
        ObjectKey key = {STR("team-a"), STR("oauth")};
        return kube_source_knows_secret(f->source, key);
}

static void secrets_are_read_by_name_while_they_are_wanted(void **state)
{
        Fixture *f = *state;
        ObjectKey key = {STR("team-a"), STR("oauth")};
        put_tailnet(f, "team-a", "corp", "oauth");
        put_tailnet(f, "team-a", "again", "oauth");
        put_tailnet(f, "team-b", "corp", "absent");
        test_api_put(&f->api, SECRETS, "team-a", "oauth", "", ",\"data\":{\"api_key\":\"b25l\"}");
        test_api_put(&f->api, SECRETS, "team-a", "other", "", ",\"data\":{\"api_key\":\"dHdv\"}");
        open_source(f);
        wait_for(f, is_read);
        settle(f);
        assert_int_equal(table_n(table(f, MANIFEST_SECRET)), 0);
        assert_false(knows_oauth(f));
        kube_source_want_secrets(f->source, true);
        wait_for(f, knows_oauth);
        /* What is known stands in the Table: nobody is told that it is not there. */
        assert_int_equal(table_n(table(f, MANIFEST_SECRET)), 1);
        settle(f);
        assert_int_equal(table_n(table(f, MANIFEST_SECRET)), 1);
        const SecretSpec *s = table_find(table(f, MANIFEST_SECRET), &key, secret_spec_find);
        Secret *one = secret_new(STR("one"));
        assert_true(secret_eq(s->api_key, one));
        /* It is known that there is none. */
        assert_true(kube_source_knows_secret(f->source, (ObjectKey){STR("team-b"), STR("absent")}));
        assert_false(kube_source_knows_secret(f->source, (ObjectKey){STR("team-a"), STR("other")}));
        assert_false(was_asked(f, SECRETS));
        assert_false(was_asked(f, "/api/v1/namespaces/team-a/secrets"));
        /* Rotated. */
        unsigned told = f->n_told;
        test_api_put(&f->api, SECRETS, "team-a", "oauth", "", ",\"data\":{\"api_key\":\"dHdv\"}");
        settle(f);
        assert_true(f->n_told > told);
        s = table_find(table(f, MANIFEST_SECRET), &key, secret_spec_find);
        assert_false(secret_eq(s->api_key, one));
        secret_free(one);
        /* Another is named; then none is wanted. */
        put_tailnet(f, "team-b", "corp", "oauth");
        settle(f);
        assert_false(
                kube_source_knows_secret(f->source, (ObjectKey){STR("team-b"), STR("absent")}));
        kube_source_want_secrets(f->source, false);
        settle(f);
        assert_int_equal(table_n(table(f, MANIFEST_SECRET)), 0);
        assert_false(knows_oauth(f));
}

static bool has_plain_secret(const Fixture *f)
{
        const Table *t = table(f, MANIFEST_SECRET);
        return table_n(t) == 1 && ((const SecretSpec *)t->at[0])->denied.n == 0;
}

static void a_secret_that_may_not_be_read_says_so(void **state)
{
        Fixture *f = *state;
        put_tailnet(f, "team-a", "corp", "oauth");
        f->api.refuse_path = "secrets";
        f->api.refuse_answer = KUBE_SAYS("403 Forbidden", "no");
        open_source(f);
        kube_source_want_secrets(f->source, true);
        wait_for(f, knows_oauth);
        /* What is known stands in the Table: nobody is told that it is not there. */
        assert_int_equal(table_n(table(f, MANIFEST_SECRET)), 1);
        settle(f);
        assert_int_equal(table_n(table(f, MANIFEST_SECRET)), 1);
        const SecretSpec *s = table(f, MANIFEST_SECRET)->at[0];
        assert_true(str_eq(s->meta.key.name, STR("oauth")));
        assert_true(str_find_str(s->denied, STR("secrets in team-a")) >= 0);
        assert_null(s->api_key);
        test_api_put(&f->api, SECRETS, "team-a", "oauth", "", ",\"data\":{\"api_key\":\"b25l\"}");
        f->api.refuse_path = NULL;
        wait_for(f, has_plain_secret);
}

static void put_verifying(Fixture *f)
{
        test_api_put(&f->api, GATEWAYS, "team-a", "gw",
                     ",\"creationTimestamp\":\"2026-01-02T03:04:05Z\"",
                     ",\"spec\":{\"gatewayRef\":{\"name\":\"eg\",\"namespace\":\"eg\"},"
                     "\"tailnets\":[{\"name\":\"corp\",\"tailscaleTailnetRef\":{\"name\":"
                     "\"corp\"},\"routeGeneration\":{\"egress\":{\"tls\":{\"caSecretRef\":{"
                     "\"name\":\"ca\"}}}}}]}");
}

static bool verifies(const Fixture *f)
{
        const GatewaySpec *g = gateway(f, "gw");
        return g != NULL && str_eq(g->tailnets[0].egress.tls_ca_secret, STR("ca"));
}

/* Whoever answers Envoy Gateway reads it, also who wants no credentials; what is in force stays
 * until it was read, and without it nothing is complete. */
static void a_gateway_waits_for_the_authority_that_it_names(void **state)
{
        Fixture *f = *state;
        put_team(f);
        open_source(f);
        wait_for(f, is_read);
        settle(f);
        assert_non_null(gateway(f, "gw"));
        f->api.refuse_path = "secrets";
        f->api.refuse_answer = KUBE_SAYS("500 No", "");
        put_verifying(f);
        settle(f);
        assert_false(verifies(f));
        assert_non_null(gateway(f, "gw"));
        test_api_put(&f->api, SECRETS, "team-a", "ca", "", ",\"data\":{\"ca.crt\":\"b25l\"}");
        f->api.refuse_path = NULL;
        wait_for(f, verifies);
        assert_int_equal(table_n(table(f, MANIFEST_SECRET)), 1);
        const SecretSpec *s = table(f, MANIFEST_SECRET)->at[0];
        assert_true(str_starts(s->ca_fault, STR("ca.crt: ")));
        /* From the start. */
        kube_source_close(f->source);
        f->api.refuse_path = "secrets";
        facts_done(&f->facts);
        facts_init(&f->facts);
        open_source(f);
        settle(f);
        assert_false(is_read(f));
        f->api.refuse_path = NULL;
        wait_for(f, is_read);
        assert_true(verifies(f));
}

/* ---- ours and theirs ---- */

static void endpoints_are_ours_where_a_gateway_owns_them(void **state)
{
        Fixture *f = *state;
        const char *spec = ",\"spec\":{\"tailnet\":\"corp\",\"endpoints\":[]}";
        const char *label = ",\"labels\":{\"gateway.tailscale.com/gateway\":\"gw\"}";
        const char *owned =
                ",\"labels\":{\"gateway.tailscale.com/gateway\":\"gw\"},\"annotations\":{"
                "\"gateway.tailscale.com/tailscale-tailnet\":\"corp\","
                "\"gateway.tailscale.com/shards\":\"2\","
                "\"gateway.tailscale.com/magic-dns-suffix\":\"corp.ts.net\"},"
                "\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"name\":\"gw\"},{"
                "\"apiVersion\":\"gateway.tailscale.com/v1alpha1\",\"kind\":\"TailscaleGateway\","
                "\"name\":\"gw\",\"uid\":\"u7\"}]";
        test_api_put(&f->api, ENDPOINTS, "team-a", "copied", label, spec);
        test_api_put(&f->api, ENDPOINTS, "team-a", "owned", owned, spec);
        test_api_put(&f->api, ENDPOINTS, "team-a", "static", "", spec);
        open_source(f);
        wait_for(f, is_read);
        const Table *t = table(f, MANIFEST_ENDPOINTS);
        assert_int_equal(table_n(t), 3);
        const EndpointsSpec *copied = t->at[0], *ours = t->at[1], *user = t->at[2];
        assert_int_equal(copied->gateway.n, 0);
        assert_int_equal(user->gateway.n, 0);
        assert_true(str_eq(ours->gateway, STR("gw")));
        assert_true(str_eq(ours->owner, STR("u7")));
        assert_true(str_eq(ours->source, STR("corp")));
        assert_true(str_eq(ours->suffix, STR("corp.ts.net")));
        assert_int_equal(ours->shards, 2);
}

static void what_is_being_deleted_is_gone(void **state)
{
        Fixture *f = *state;
        put_team(f);
        open_source(f);
        wait_for(f, is_read);
        settle(f);
        test_api_put(&f->api, GATEWAYS, "team-a", "gw",
                     ",\"deletionTimestamp\":\"2026-01-02T03:04:05Z\"",
                     ",\"spec\":{\"gatewayRef\":{\"name\":\"eg\"},\"tailnets\":[]}");
        settle(f);
        assert_null(gateway(f, "gw"));
        const Observed *o = observed_at(kube_source_observed(f->source), OBSERVED_GATEWAY,
                                        (ObjectKey){STR("team-a"), STR("gw")});
        assert_non_null(o);
        assert_true(o->deleting);
}

static void managed_objects_are_observed_in_our_namespace(void **state)
{
        Fixture *f = *state;
        open_in(f, (StrList){0}, "system");
        wait_for(f, is_read);
        assert_true(was_asked(f, "/apis/apps/v1/namespaces/system/deployments?labelSelector=app."
                                 "kubernetes.io%2Fmanaged-by%3Dtailscale-gateway"));
        assert_true(fact(f, "own Deployment")->synced);
}

/* ---- single namespaces ---- */

static void in_single_namespaces_nothing_cluster_wide_is_needed(void **state)
{
        Fixture *f = *state;
        static const Str names[] = {STR_INIT("team-a"), STR_INIT("eg")};
        put_team(f);
        put_gateway(f, "team-b", "gw", "eg");
        f->api.refuse_path = "/api/v1/namespaces";
        f->api.refuse_answer = KUBE_SAYS("403 Forbidden", "no");
        open_in(f, (StrList){names, 2}, "");
        wait_for(f, is_read);
        assert_false(was_asked(f, GATEWAYS));
        assert_false(was_asked(f, ROUTES));
        assert_int_equal(table_n(table(f, MANIFEST_GATEWAY)), 1);
        assert_int_equal(table_n(table(f, MANIFEST_EG_GATEWAY)), 1);
        assert_int_equal(table_n(table(f, MANIFEST_NAMESPACE)), 0);
        assert_true(fact(f, "Namespace")->optional);
}

/* ---- the server's trouble ---- */

static void a_server_that_is_away_changes_nothing(void **state)
{
        Fixture *f = *state;
        put_team(f);
        open_source(f);
        wait_for(f, is_read);
        settle(f);
        f->api.refuse_path = "/";
        f->api.refuse_answer = KUBE_SAYS("500 No", "");
        for (size_t i = 0; i < f->api.n_collections; i++)
                script_server_drop(&f->api.w.server, &f->api.collections[i].watch);
        for (int i = 0; i < 10; i++)
                settle(f);
        assert_non_null(gateway(f, "gw"));
        assert_true(is_read(f));
        assert_int_equal(table_n(table(f, MANIFEST_EG_GATEWAY)), 1);
        assert_int_equal(fact(f, "TailscaleGateway")->err, ERR_TRANSIENT);
        f->api.refuse_path = NULL;
        test_api_put(
                &f->api, GATEWAYS, "team-a", "gw", "",
                ",\"spec\":{\"gatewayRef\":{\"name\":\"eg\",\"namespace\":\"eg\"},\"priority\":"
                "7,\"tailnets\":[{\"name\":\"corp\",\"tailscaleTailnetRef\":{\"name\":"
                "\"corp\"}}]}");
        for (int i = 0; i < 40; i++)
                settle(f);
        assert_int_equal(gateway(f, "gw")->priority, 7);
        for (int n = 0; n < 4; n++)
                settle(f);
        assert_int_equal(fact(f, "TailscaleGateway")->err, ERR_NONE);
}

static void closed_at_any_moment(void **state)
{
        Fixture *f = *state;
        put_team(f);
        put_tailnet(f, "team-a", "corp", "oauth");
        for (int turns = 0; turns < 60; turns++) {
                open_source(f);
                kube_source_want_secrets(f->source, true);
                for (int i = 0; i < turns; i++)
                        loop_turn(f->api.w.loop, SPAN_MS(1));
                f->source = kube_source_close(f->source);
                f->facts.kube = (KubeFact){0};
        }
        f->close_in_fn = true;
        open_source(f);
        for (int i = 0; i < ROUNDS && f->source != NULL; i++)
                loop_turn(f->api.w.loop, SPAN_MS(1));
        assert_null(f->source);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(an_empty_server_is_read_without_other_peoples_kinds),
                TEST(objects_become_leaves_with_their_origin),
                TEST(what_became_of_watches_is_counted),
                TEST(what_does_not_bear_on_us_is_not_kept),
                TEST(services_and_grants_are_read_where_somebody_takes_services),
                TEST(routes_that_were_made_are_observed),
                TEST(a_gateway_is_known_while_it_has_a_binding),
                TEST(a_gateway_is_read_where_a_binding_is_left),
                TEST(a_gateway_waits_for_the_routes_of_what_it_refers_to),
                TEST(many_that_come_at_once_are_read_for_together),
                TEST(who_refers_elsewhere_without_end_is_not_waited_for),
                TEST(what_is_the_same_keeps_its_table),
                TEST(a_fault_is_told_and_takes_nothing_away),
                TEST(one_that_is_too_large_is_told_and_takes_nothing_away),
                TEST(a_kind_that_is_not_there_is_told_and_waited_for),
                TEST(what_may_not_be_read_names_the_verbs),
                TEST(without_grpc_routes_we_go_on),
                TEST(secrets_are_read_by_name_while_they_are_wanted),
                TEST(a_secret_that_may_not_be_read_says_so),
                TEST(a_gateway_waits_for_the_authority_that_it_names),
                TEST(endpoints_are_ours_where_a_gateway_owns_them),
                TEST(what_is_being_deleted_is_gone),
                TEST(managed_objects_are_observed_in_our_namespace),
                TEST(in_single_namespaces_nothing_cluster_wide_is_needed),
                TEST(a_server_that_is_away_changes_nothing),
                TEST(closed_at_any_moment),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
