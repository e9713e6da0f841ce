/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hub over an API server: what one that follows has in force, what one that leads begins with,
 * and what makes no World.
 */
#include "source/hub.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/file.h"
#include "source/kube_test_api.h"

#define OURS        "/apis/gateway.tailscale.com/v1alpha1/"
#define GATEWAY_API "/apis/gateway.networking.k8s.io/v1/"
#define TAILNETS    OURS "tailscaletailnets"
#define GATEWAYS    OURS "tailscalegateways"
#define ENDPOINTS   OURS "tailscaleendpoints"
#define BINDINGS    OURS "tailscalegatewaybindings"

typedef struct Fixture {
        TestApi api;
        TestDir dir;
        Facts facts;
        Hub *hub;
        unsigned worlds, observed;
} Fixture;

static void on_world(void *owner, const World *world)
{
        (void)world;
        ((Fixture *)owner)->worlds++;
}

static void on_observed(void *owner)
{
        ((Fixture *)owner)->observed++;
}

static void write_devices(const Fixture *f, unsigned n)
{
        Buf text CLEANUP(buf_done);
        buf_init(&text, 1 << 16);
        buf_add_str(&text, STR("{\"devices\":["));
        for (unsigned i = 0; i < n; i++)
                buf_printf(&text,
                           "%s{\"nodeId\":\"n%u\",\"name\":\"api-%u.corp.ts.net\",\"addresses\":["
                           "\"100.64.0.%u\"]}",
                           i > 0 ? "," : "", i, i, i + 1);
        buf_add_str(&text, STR("]}"));
        assert_true(
                file_write_atomic(f->dir.path, "devices.list", buf_str(&text), 0644, false, NULL));
}

static void put_tailnet(Fixture *f, const char *credentials)
{
        char body[512];
        snprintf(body, sizeof body,
                 ",\"spec\":{\"pollInterval\":\"1s\",\"file\":{\"path\":\"%s/devices.list\"}%s}",
                 f->dir.path, credentials);
        test_api_put(&f->api, TAILNETS, "team", "corp", "", body);
}

static void put_gateway(Fixture *f, const char *more)
{
        char body[512];
        snprintf(body, sizeof body,
                 ",\"spec\":{\"gatewayRef\":{\"name\":\"eg\"},\"tailnets\":[{\"name\":\"corp\","
                 "\"tailscaleTailnetRef\":{\"name\":\"corp\"}%s}]}",
                 more);
        test_api_put(&f->api, GATEWAYS, "team", "gw", "", body);
}

/* As a leader wrote it: shard `shard` of `shards`, with one endpoint. */
static void put_shard(Fixture *f, unsigned shard, unsigned shards, const char *service)
{
        char name[32], meta[768], body[512];
        snprintf(name, sizeof name, "gw-corp-%u", shard);
        snprintf(meta, sizeof meta,
                 ",\"labels\":{\"gateway.tailscale.com/gateway\":\"gw\"},\"annotations\":{"
                 "\"gateway.tailscale.com/tailscale-tailnet\":\"corp\","
                 "\"gateway.tailscale.com/magic-dns-suffix\":\"corp.ts.net\","
                 "\"gateway.tailscale.com/shards\":\"%u\"},\"ownerReferences\":[{\"apiVersion\":"
                 "\"gateway.tailscale.com/v1alpha1\",\"kind\":\"TailscaleGateway\",\"name\":\"gw\","
                 "\"uid\":\"u%u\"}]",
                 shards, test_api_object(&f->api, GATEWAYS, "team", "gw")->uid);
        snprintf(body, sizeof body,
                 ",\"spec\":{\"tailnet\":\"corp\",\"endpoints\":[{\"name\":\"%s\",\"tailscaleIP\":"
                 "\"100.64.0.9\",\"port\":80,\"protocol\":\"HTTP\",\"nodeID\":\"%s\","
                 "\"portSource\":\"defaultPort\",\"rule\":\"no pattern\"}]}",
                 service, service);
        test_api_put(&f->api, ENDPOINTS, "team", name, meta, body);
}

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof *f);
        test_api_init(&f->api);
        test_dir_init(&f->dir);
        facts_init(&f->facts);
        write_devices(f, 2);
        test_api_put(&f->api, "/api/v1/namespaces", "", "team", "", "");
        test_api_put(&f->api, GATEWAY_API "gateways", "team", "eg", "",
                     ",\"spec\":{\"listeners\":[]}");
        put_tailnet(f, "");
        put_gateway(f, ",\"serviceDiscovery\":{\"defaultPort\":{\"port\":80}}");
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;
        hub_close(f->hub);
        facts_done(&f->facts);
        test_api_done(&f->api);
        test_dir_done(&f->dir);
        mem_free(f);
        return 0;
}

static void open_hub(Fixture *f)
{
        f->hub = hub_open(&(HubInput){
                .loop = f->api.w.loop,
                .http = f->api.w.http,
                .facts = &f->facts,
                .kube = f->api.w.api,
                .own_namespace = STR(""),
                .seed = 1,
                .fn = on_world,
                .on_observed = on_observed,
                .owner = f,
        });
}

static void pass(Fixture *f, unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                loop_turn(f->api.w.loop, SPAN_MS(1));
                test_clock_advance(&f->api.w.time, SPAN_MS(10));
        }
}

static void wait_for(Fixture *f, bool (*is)(const Fixture *f))
{
        for (int i = 0; i < 2000 && !is(f); i++)
                pass(f, 1);
        assert_true(is(f));
}

static const EntryView *entry(const Fixture *f)
{
        EntryKey key = {{STR("team"), STR("gw")}, STR("corp")};
        return table_find(hub_world(f->hub)->entries, &key, entry_view_find);
}

static size_t n_endpoints(const Fixture *f)
{
        return entry(f) != NULL ? table_n(entry(f)->endpoints) : 0;
}

static bool has_service(const Fixture *f, const char *name)
{
        TABLE_FOREACH (Endpoint, e, entry(f) != NULL ? entry(f)->endpoints : NULL) {
                if (str_eq(e->service, str_of(name)))
                        return true;
        }
        return false;
}

static bool is_complete(const Fixture *f)
{
        return hub_world(f->hub)->complete;
}

static bool has_discovered(const Fixture *f)
{
        return has_service(f, "api-0") && has_service(f, "api-1");
}

/* ---- who follows ---- */

static void who_follows_asks_nobody_and_has_what_stands_there(void **state)
{
        Fixture *f = *state;
        put_shard(f, 0, 1, "old");
        open_hub(f);
        wait_for(f, is_complete);
        pass(f, 300);
        assert_false(hub_leads(f->hub));
        assert_true(hub_world(f->hub)->eg_knows_labels);
        assert_int_equal(f->facts.n_tailnets, 0);
        assert_int_equal(n_endpoints(f), 1);
        assert_true(has_service(f, "old"));
        assert_true(str_eq(entry(f)->suffix, STR("corp.ts.net")));
        put_shard(f, 0, 1, "new");
        pass(f, 50);
        assert_true(has_service(f, "new"));
        assert_false(has_service(f, "old"));
        assert_int_equal(table_n(hub_world(f->hub)->tailnet_states), 0);
}

static void nothing_that_stands_there_holds_up_the_start_for_ten_seconds(void **state)
{
        Fixture *f = *state;
        open_hub(f);
        pass(f, 500);
        assert_true(hub_world(f->hub)->resources_read);
        assert_false(is_complete(f));
        pass(f, 600);
        assert_true(is_complete(f));
        assert_false(entry(f)->known);
}

static void while_it_is_written_anew_what_was_whole_stays(void **state)
{
        Fixture *f = *state;
        put_shard(f, 0, 1, "one");
        open_hub(f);
        wait_for(f, is_complete);
        put_shard(f, 0, 2, "two");
        pass(f, 50);
        assert_true(has_service(f, "one"));
        assert_false(has_service(f, "two"));
        put_shard(f, 1, 2, "three");
        pass(f, 50);
        assert_int_equal(n_endpoints(f), 2);
        assert_true(has_service(f, "two") && has_service(f, "three"));
        /* Fewer again: the first is there before the other is gone. */
        put_shard(f, 0, 1, "four");
        pass(f, 50);
        assert_int_equal(n_endpoints(f), 1);
        assert_true(has_service(f, "four"));
        test_api_remove(&f->api, ENDPOINTS, "team", "gw-corp-1");
        pass(f, 50);
        assert_true(has_service(f, "four"));
        /* Nobody said that they are gone. */
        test_api_remove(&f->api, ENDPOINTS, "team", "gw-corp-0");
        pass(f, 50);
        assert_true(has_service(f, "four"));
}

static void what_a_gateway_of_the_same_name_left_is_not_taken(void **state)
{
        Fixture *f = *state;
        put_shard(f, 0, 1, "old");
        test_api_object(&f->api, GATEWAYS, "team", "gw")->uid += 100;
        put_gateway(f, "");
        open_hub(f);
        pass(f, 300);
        assert_false(entry(f)->known);
        assert_int_equal(n_endpoints(f), 0);
}

static void static_endpoints_are_merged_by_who_follows(void **state)
{
        Fixture *f = *state;
        put_shard(f, 0, 1, "old");
        test_api_put(&f->api, ENDPOINTS, "team", "mine", "",
                     ",\"spec\":{\"tailnet\":\"corp\",\"endpoints\":[{\"name\":\"old\","
                     "\"tailscaleIP\":\"100.64.0.77\",\"port\":80},{\"name\":\"db\","
                     "\"tailscaleIP\":\"100.64.0.78\",\"port\":5432,\"protocol\":\"TCP\"},"
                     "{\"name\":\"in\",\"tailscaleIP\":\"10.0.0.1\",\"port\":1}]}");
        open_hub(f);
        wait_for(f, is_complete);
        pass(f, 50);
        assert_int_equal(n_endpoints(f), 2);
        const Endpoint *old = entry(f)->endpoints->at[1];
        assert_true(str_eq(old->ip, STR("100.64.0.77")));
        assert_int_equal(old->origin, ENDPOINT_STATIC);
        assert_int_equal(entry(f)->n_left_out, 1);
}

/* ---- who leads ---- */

static void who_leads_begins_with_what_stands_there(void **state)
{
        Fixture *f = *state;
        put_shard(f, 0, 1, "old");
        open_hub(f);
        wait_for(f, is_complete);
        hub_lead(f->hub, true);
        wait_for(f, has_discovered);
        assert_true(hub_leads(f->hub));
        assert_int_equal(f->facts.n_tailnets, 1);
        assert_true(is_complete(f));
        /* One of three is missing: that is below what the guard looks at. */
        assert_false(has_service(f, "old"));
        assert_int_equal(table_n(hub_world(f->hub)->tailnet_states), 1);
}

/* A watch of which nothing comes shows what stood there long ago: before it leads, it lists again,
 * and while that takes it follows. */
static void who_leads_lists_again_before(void **state)
{
        Fixture *f = *state;
        put_shard(f, 0, 1, "old");
        assert_true(file_remove(f->dir.path, "devices.list", NULL));
        open_hub(f);
        wait_for(f, is_complete);
        f->api.is_mute = true;
        put_shard(f, 0, 1, "newer");
        pass(f, 50);
        assert_true(has_service(f, "old"));
        unsigned lists = f->api.n_lists;
        hub_lead(f->hub, true);
        assert_false(hub_leads(f->hub));
        for (int i = 0; i < 100 && !hub_leads(f->hub); i++)
                pass(f, 10);
        assert_true(hub_leads(f->hub));
        assert_true(f->api.n_lists > lists);
        pass(f, 50);
        assert_true(has_service(f, "newer"));
        hub_lead(f->hub, false);
        hub_lead(f->hub, true);
        hub_lead(f->hub, false);
        pass(f, 50);
        assert_false(hub_leads(f->hub));
}

static void who_leads_at_once_finds_what_stands_there(void **state)
{
        Fixture *f = *state;
        put_shard(f, 0, 1, "old");
        assert_true(file_remove(f->dir.path, "devices.list", NULL));
        open_hub(f);
        hub_lead(f->hub, true);
        wait_for(f, is_complete);
        pass(f, 100);
        /* The tailnet does not answer: what was found by whoever led stays. */
        assert_true(has_service(f, "old"));
        assert_true(entry(f)->from_cache);
        write_devices(f, 2);
        wait_for(f, has_discovered);
}

static void who_leads_no_more_has_what_stands_there(void **state)
{
        Fixture *f = *state;
        put_shard(f, 0, 1, "old");
        open_hub(f);
        hub_lead(f->hub, true);
        wait_for(f, has_discovered);
        hub_lead(f->hub, false);
        pass(f, 50);
        assert_int_equal(f->facts.n_tailnets, 0);
        assert_int_equal(n_endpoints(f), 1);
        assert_true(has_service(f, "old"));
        Err err = {0};
        EntryKey key = {{STR("team"), STR("gw")}, STR("corp")};
        assert_false(hub_approve(f->hub, key, STR("x"), &err));
        assert_string_equal(err.reason, "NotLeading");
        hub_lead(f->hub, true);
        wait_for(f, has_discovered);
}

static void what_who_leads_writes_makes_no_world(void **state)
{
        Fixture *f = *state;
        put_shard(f, 0, 1, "old");
        open_hub(f);
        hub_lead(f->hub, true);
        wait_for(f, has_discovered);
        pass(f, 50);
        unsigned worlds = f->worlds, observed = f->observed;
        put_shard(f, 0, 1, "api-0");
        put_tailnet(f, "");
        test_api_put(&f->api, TAILNETS, "team", "corp",
                     ",\"managedFields\":[{\"manager\":\"tailscale-gateway\"}]", "");
        pass(f, 50);
        assert_true(f->observed > observed);
        assert_int_equal(f->worlds, worlds + 1); /* another generation of the tailnet */
}

static void put_binding(Fixture *f, const char *revision)
{
        char body[128];
        snprintf(body, sizeof body,
                 ",\"spec\":{\"targetRefs\":[{\"name\":\"eg\"}],\"revision\":\"%s\"}", revision);
        test_api_put(&f->api, BINDINGS, "team", "eg", "", body);
}

static void bindings_are_known_by_their_keys(void **state)
{
        Fixture *f = *state;
        put_shard(f, 0, 1, "old");
        open_hub(f);
        wait_for(f, is_complete);
        put_binding(f, "r1");
        pass(f, 50);
        assert_int_equal(table_n(hub_world(f->hub)->bindings), 1);
        unsigned worlds = f->worlds;
        put_binding(f, "r2");
        pass(f, 50);
        assert_int_equal(f->worlds, worlds);
        test_api_remove(&f->api, BINDINGS, "team", "eg");
        pass(f, 50);
        assert_int_equal(table_n(hub_world(f->hub)->bindings), 0);
}

static void a_tailnet_waits_until_its_secret_is_known(void **state)
{
        Fixture *f = *state;
        f->api.refuse_path = "secrets";
        f->api.refuse_answer = KUBE_SAYS("500 No", "");
        test_api_put(&f->api, TAILNETS, "team", "corp", "",
                     ",\"spec\":{\"credentials\":{\"secretRef\":{\"name\":\"oauth\"}}}");
        put_shard(f, 0, 1, "old");
        open_hub(f);
        wait_for(f, is_complete);
        hub_lead(f->hub, true);
        pass(f, 200);
        assert_int_equal(f->facts.n_tailnets, 0);
        assert_true(has_service(f, "old"));
        f->api.refuse_path = NULL;
        for (int i = 0; i < 40 && f->facts.n_tailnets == 0; i++)
                pass(f, 100);
        assert_int_equal(f->facts.n_tailnets, 1);
        pass(f, 100);
        assert_string_equal(f->facts.tailnets[0].sources[SOURCE_PRIMARY].reason,
                            "CredentialMissing");
        assert_true(has_service(f, "old"));
}

static void closed_while_it_leads_and_follows(void **state)
{
        Fixture *f = *state;
        put_shard(f, 0, 1, "old");
        for (unsigned turns = 0; turns < 40; turns++) {
                open_hub(f);
                hub_lead(f->hub, turns % 2 == 0);
                pass(f, turns);
                if (turns % 3 == 0)
                        hub_lead(f->hub, turns % 2 != 0);
                f->hub = hub_close(f->hub);
                f->facts.kube = (KubeFact){0};
        }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(who_follows_asks_nobody_and_has_what_stands_there),
                TEST(nothing_that_stands_there_holds_up_the_start_for_ten_seconds),
                TEST(while_it_is_written_anew_what_was_whole_stays),
                TEST(what_a_gateway_of_the_same_name_left_is_not_taken),
                TEST(static_endpoints_are_merged_by_who_follows),
                TEST(who_leads_begins_with_what_stands_there),
                TEST(who_leads_lists_again_before),
                TEST(who_leads_at_once_finds_what_stands_there),
                TEST(who_leads_no_more_has_what_stands_there),
                TEST(what_who_leads_writes_makes_no_world),
                TEST(bindings_are_known_by_their_keys),
                TEST(a_tailnet_waits_until_its_secret_is_known),
                TEST(closed_while_it_leads_and_follows),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
