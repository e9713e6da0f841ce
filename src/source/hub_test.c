/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hub over real directories and a file tailnet: what becomes a World, and what keeps the one in
 * force.
 */
#include "source/hub.h"

#include "io/file.h"
#include "net/http_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const char manifests[] =
        "apiVersion: gateway.tailscale.com/v1alpha1\n"
        "kind: TailscaleTailnet\n"
        "metadata: {name: corp}\n"
        "spec: {pollInterval: 1s, file: {path: devices.list}}\n"
        "---\n"
        "apiVersion: gateway.tailscale.com/v1alpha1\n"
        "kind: TailscaleGateway\n"
        "metadata: {name: gw}\n"
        "spec:\n"
        "  gatewayRef: {name: eg}\n"
        "  tailnets:\n"
        "  - name: corp\n"
        "    tailscaleTailnetRef: {name: corp}\n"
        "    serviceDiscovery: {patterns: ['%s'], defaultPort: {port: 80}}\n";

static const char devices[] =
        "{\"devices\":[{\"nodeId\":\"n1\",\"name\":\"api.corp.ts.net\",\"addresses\":[\"100.64.0."
        "1\"]},"
        "{\"nodeId\":\"n2\",\"name\":\"web.corp.ts.net\",\"addresses\":[\"100.64.0.2\"]}]}";

typedef struct Fixture {
        char dir[64];
        const char *cache; /* NULL: none */
        Loop *loop;
        HttpClient *http;
        Facts facts;
        Hub *hub;
        unsigned worlds;
} Fixture;

static void on_world(void *owner, const World *world)
{
        (void)world;
        ((Fixture *)owner)->worlds++;
}

static void write_file(const Fixture *f, const char *name, const char *text)
{
        Err err = {0};
        if (!file_write_atomic(f->dir, name, str_of(text), 0644, false, &err))
                fail_msg("%s", err.text);
}

static void write_manifests(const Fixture *f, const char *pattern)
{
        char text[2048];
        snprintf(text, sizeof text, manifests, pattern);
        write_file(f, "m.yaml", text);
}

static void open_hub(Fixture *f)
{
        f->hub = hub_open(&(HubInput){
                .loop = f->loop,
                .http = f->http,
                .facts = &f->facts,
                .resources = f->dir,
                .cache = f->cache,
                .seed = 1,
                .fn = on_world,
                .owner = f,
        });
}

static int setup(void **state)
{
        Fixture *f = calloc(1, sizeof *f);
        snprintf(f->dir, sizeof f->dir, "/tmp/tsgw-hub-XXXXXX");
        assert_non_null(mkdtemp(f->dir));
        f->loop = loop_new(NULL);
        f->http = http_client_new(f->loop, NULL);
        facts_init(&f->facts);
        write_file(f, "devices.list", devices);
        *state = f;
        return 0;
}

static bool remove_one(void *ctx, Str name, Err *err)
{
        return file_remove(ctx, name.p, err);
}

static int teardown(void **state)
{
        Fixture *f = *state;
        hub_close(f->hub);
        http_client_free(f->http);
        loop_free(f->loop);
        facts_done(&f->facts);
        IGNORE(file_list_dir(f->dir, 100, remove_one, f->dir, NULL), "rmdir tells");
        assert_int_equal(rmdir(f->dir), 0);
        free(f);
        return 0;
}

/* Turns the loop until `is` or for some 10 s of turns. */
static void wait_for(Fixture *f, bool (*is)(const Fixture *f))
{
        for (int i = 0; i < 1000 && !is(f); i++)
                loop_turn(f->loop, SPAN_MS(10));
        assert_true(is(f));
}

static const EntryView *entry(const Fixture *f)
{
        EntryKey key = {{STR(MODEL_DEFAULT_NAMESPACE), STR("gw")}, STR("corp")};
        return table_find(hub_world(f->hub)->entries, &key, entry_view_find);
}

static bool is_complete(const Fixture *f)
{
        return hub_world(f->hub)->complete;
}

static bool has_one(const Fixture *f)
{
        return entry(f) != NULL && table_n(entry(f)->endpoints) == 1;
}

static bool has_two(const Fixture *f)
{
        return entry(f) != NULL && table_n(entry(f)->endpoints) == 2;
}

static bool is_broken(const Fixture *f)
{
        return f->facts.resources.failures > 0;
}

static void test_directory_and_tailnet_become_a_world(void **state)
{
        Fixture *f = *state;
        write_manifests(f, "api*");
        open_hub(f);
        assert_false(hub_world(f->hub)->complete);
        wait_for(f, is_complete);
        assert_true(has_one(f));
        assert_int_equal(entry(f)->n_left_out, 1);
}

static void test_an_edit_takes_effect(void **state)
{
        Fixture *f = *state;
        write_manifests(f, "api*");
        open_hub(f);
        wait_for(f, has_one);
        write_manifests(f, "*");
        wait_for(f, has_two);
}

static void test_a_broken_file_keeps_what_was_good(void **state)
{
        Fixture *f = *state;
        write_manifests(f, "api*");
        open_hub(f);
        wait_for(f, has_one);
        write_file(f, "n.yaml",
                   "apiVersion: gateway.tailscale.com/v1alpha1\nkind: TailscaleGateway\nmetadata: "
                   "{name: x}\nspec: 3\n");
        write_manifests(f, "*");
        wait_for(f, is_broken);
        assert_true(has_one(f));
        assert_true(str_find_str(str_of(f->facts.resources.error), STR("n.yaml:4")) >= 0);
        assert_true(file_remove(f->dir, "n.yaml", NULL));
        wait_for(f, has_two);
        assert_int_equal(f->facts.resources.error[0], '\0');
}

static void test_a_directory_that_was_never_good_is_not_complete(void **state)
{
        Fixture *f = *state;
        write_file(f, "m.yaml", "kind: [\n");
        open_hub(f);
        for (int i = 0; i < 20; i++)
                loop_turn(f->loop, SPAN_MS(10));
        assert_false(hub_world(f->hub)->resources_read);
        assert_false(hub_world(f->hub)->complete);
        write_manifests(f, "api*");
        wait_for(f, is_complete);
}

static uint64_t last_poll(const Fixture *f)
{
        ObjectKey key = {STR(MODEL_DEFAULT_NAMESPACE), STR("corp")};
        const TailnetFact *t = facts_find_tailnet(&f->facts, key);
        return t != NULL ? t->sources[SOURCE_PRIMARY].polls : 0;
}

static bool has_polled_again(const Fixture *f)
{
        return last_poll(f) >= 2;
}

/* Polls that tell nothing new make no World. */
static void test_a_poll_without_news_makes_no_world(void **state)
{
        Fixture *f = *state;
        write_manifests(f, "api*");
        open_hub(f);
        wait_for(f, has_one);
        unsigned worlds = f->worlds;
        wait_for(f, has_polled_again);
        for (int i = 0; i < 10; i++)
                loop_turn(f->loop, SPAN_MS(30));
        assert_int_equal(f->worlds, worlds);
}

static bool has_failed(const Fixture *f)
{
        ObjectKey key = {STR(MODEL_DEFAULT_NAMESPACE), STR("corp")};
        const TailnetFact *t = facts_find_tailnet(&f->facts, key);
        return t != NULL && t->sources[SOURCE_PRIMARY].failures > 0;
}

static void test_a_source_that_fails_removes_nothing(void **state)
{
        Fixture *f = *state;
        write_manifests(f, "*");
        open_hub(f);
        wait_for(f, has_two);
        write_file(f, "devices.list", "{\"devices\":[{\"nodeId\":");
        wait_for(f, has_failed);
        assert_true(has_two(f));
}

static void test_a_tailnet_that_goes_takes_its_poll_along(void **state)
{
        Fixture *f = *state;
        write_manifests(f, "*");
        open_hub(f);
        wait_for(f, has_two);
        write_file(f, "m.yaml", "---\n");
        for (int i = 0; i < 1000 && f->facts.n_tailnets > 0; i++)
                loop_turn(f->loop, SPAN_MS(10));
        assert_int_equal(f->facts.n_tailnets, 0);
        assert_int_equal(table_n(hub_world(f->hub)->entries), 0);
}

static const char cached[] =
        "apiVersion: gateway.tailscale.com/v1alpha1\n"
        "kind: TailscaleEndpoints\n"
        "metadata: {name: gw-corp-1, labels: {gateway.tailscale.com/gateway: gw}}\n"
        "spec:\n"
        "  tailnet: corp\n"
        "  endpoints:\n"
        "  - {name: old, tailscaleIP: 100.64.0.9, port: 80, nodeID: n9, portSource: defaultPort}\n";

static bool is_cached(const Fixture *f)
{
        return entry(f) != NULL && entry(f)->from_cache;
}

static bool is_gone(const Fixture *f)
{
        return f->facts.n_tailnets == 0 && table_n(hub_world(f->hub)->entries) == 0;
}

/* What was read at start is of the start: it does not come back with an entry. */
static void test_the_cache_serves_the_start_alone(void **state)
{
        Fixture *f = *state;
        f->cache = f->dir;
        write_file(f, "c.yaml", cached);
        write_file(f, "devices.list", "{\"devices\":[{\"nodeId\":");
        write_manifests(f, "*");
        open_hub(f);
        wait_for(f, is_cached);
        assert_int_equal(table_n(entry(f)->endpoints), 1);
        write_file(f, "devices.list", devices);
        wait_for(f, has_two);
        write_file(f, "m.yaml", "---\n");
        wait_for(f, is_gone);
        write_file(f, "devices.list", "{\"devices\":[{\"nodeId\":");
        write_manifests(f, "*");
        wait_for(f, has_failed);
        for (int i = 0; i < 10; i++)
                loop_turn(f->loop, SPAN_MS(10));
        assert_non_null(entry(f));
        assert_false(entry(f)->known);
        assert_int_equal(table_n(entry(f)->endpoints), 0);
}

static const EntryView *second_entry(const Fixture *f)
{
        EntryKey key = {{STR(MODEL_DEFAULT_NAMESPACE), STR("gw")}, STR("more")};
        return table_find(hub_world(f->hub)->entries, &key, entry_view_find);
}

static bool are_held(const Fixture *f)
{
        return entry(f) != NULL && entry(f)->held.n > 0 && second_entry(f)->held.n > 0;
}

static bool are_let_go(const Fixture *f)
{
        return table_n(entry(f)->endpoints) == 0 && table_n(second_entry(f)->endpoints) == 0;
}

static void test_removals_of_two_entries_are_approved_at_once(void **state)
{
        Fixture *f = *state;
        char text[2048];
        snprintf(text, sizeof text, manifests, "*");
        size_t n = strlen(text);
        snprintf(text + n, sizeof text - n,
                 "  - name: more\n"
                 "    tailscaleTailnetRef: {name: corp}\n"
                 "    serviceDiscovery: {defaultPort: {port: 81}}\n");
        char *at = strstr(text, "pollInterval: 1s");
        assert_non_null(at);
        char guarded[4096];
        snprintf(guarded, sizeof guarded, "%.*sremovalGuard: {confirmations: 1000}, %s",
                 (int)(at - text), text, at);
        write_file(f, "m.yaml", guarded);
        open_hub(f);
        wait_for(f, has_two);
        write_file(f, "devices.list", "{\"devices\":[]}");
        wait_for(f, are_held);
        Err err = {0};
        EntryKey first = {entry(f)->gateway, entry(f)->tailnet};
        EntryKey second = {second_entry(f)->gateway, second_entry(f)->tailnet};
        assert_true(hub_approve(f->hub, first, entry(f)->held.digest, &err));
        assert_true(hub_approve(f->hub, second, second_entry(f)->held.digest, &err));
        wait_for(f, are_let_go);
}

static const Table *bindings_of(const char *name)
{
        BindingSpec *b = leaf_new(sizeof *b, 0, NULL);
        b->meta.key = (ObjectKey){STR("infra"), str_of(name)};
        const void *leaves[] = {b};
        return table_new(leaves, 1, binding_spec_order);
}

static void test_bindings_are_known_by_their_keys(void **state)
{
        Fixture *f = *state;
        write_manifests(f, "*");
        open_hub(f);
        wait_for(f, has_two);
        assert_int_equal(table_n(hub_world(f->hub)->bindings), 0);
        for (int i = 0; i < 2; i++) {
                const Table *t = bindings_of("eg");
                hub_tell_bindings(f->hub, t);
                table_unref(t);
                unsigned worlds = f->worlds;
                for (int j = 0; j < 10; j++)
                        loop_turn(f->loop, SPAN_MS(10));
                assert_int_equal(f->worlds - worlds, i == 0 ? 1 : 0);
                ObjectKey key = {STR("infra"), STR("eg")};
                assert_non_null(table_find(hub_world(f->hub)->bindings, &key, binding_spec_find));
        }
        const Table *t = bindings_of("other");
        hub_tell_bindings(f->hub, t);
        table_unref(t);
        for (int j = 0; j < 10; j++)
                loop_turn(f->loop, SPAN_MS(10));
        ObjectKey key = {STR("infra"), STR("eg")};
        assert_null(table_find(hub_world(f->hub)->bindings, &key, binding_spec_find));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_directory_and_tailnet_become_a_world, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_an_edit_takes_effect, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_broken_file_keeps_what_was_good, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(
                        test_a_directory_that_was_never_good_is_not_complete, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_poll_without_news_makes_no_world, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_a_source_that_fails_removes_nothing, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_the_cache_serves_the_start_alone, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_removals_of_two_entries_are_approved_at_once,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(test_bindings_are_known_by_their_keys, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_a_tailnet_that_goes_takes_its_poll_along,
                                                setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
