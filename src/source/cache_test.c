/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What discovery found, written as TailscaleEndpoints and read back by the next process, is the
 * same; and what the removal guard was counting goes on.
 */
#include "source/cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "discovery/discover.h"
#include "io/file.h"
#include "io/testing.h"
#include "model/manifest.h"
#include "model/render.h"

static const char manifests[] = "apiVersion: gateway.tailscale.com/v1alpha1\n"
                                "kind: TailscaleTailnet\n"
                                "metadata: {name: corp, namespace: team}\n"
                                "spec: {file: {path: d.list}, removalGuard: {confirmations: 4}}\n"
                                "---\n"
                                "apiVersion: gateway.tailscale.com/v1alpha1\n"
                                "kind: TailscaleGateway\n"
                                "metadata: {name: gw, namespace: team}\n"
                                "spec:\n"
                                "  gatewayRef: {name: eg}\n"
                                "  tailnets:\n"
                                "  - name: corp\n"
                                "    tailscaleTailnetRef: {name: corp}\n"
                                "    serviceDiscovery: {defaultPort: {port: 8080}}\n";

typedef struct Fixture {
        TestDir dir;
        ManifestSet set;
        Faults faults;
        TailnetState state;
        DiscoverInput in;
        EntryView *view;
} Fixture;

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof *f);
        test_dir_init(&f->dir);
        manifest_set_init(&f->set);
        faults_init(&f->faults);
        assert_true(manifest_read(&f->set, STR("/x/m.yaml"), str_of(manifests), &f->faults));
        const GatewaySpec *g = f->set.kinds[MANIFEST_GATEWAY].at[0];
        f->in = (DiscoverInput){.gateway = g,
                                .entry = &g->tailnets[0],
                                .tailnet = f->set.kinds[MANIFEST_TAILNET].at[0],
                                .state = &f->state,
                                .now = {INT64_C(1795381081000)}};
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;
        leaf_unref(f->view);
        table_unref(f->state.devices);
        manifest_set_done(&f->set);
        faults_done(&f->faults);
        test_dir_done(&f->dir);
        mem_free(f);
        return 0;
}

/* The next poll: a good answer with n devices. */
static void poll(Fixture *f, unsigned n)
{
        const void *leaves[600];
        Str tags[] = {STR("tag:db"), STR("tag:web")};
        for (unsigned i = 0; i < n; i++) {
                char id[16], name[32], ip[24];
                IGNORE(snprintf(id, sizeof id, "%u", i), "fits");
                IGNORE(snprintf(name, sizeof name, "host-%u.corp.example", i), "fits");
                IGNORE(snprintf(ip, sizeof ip, "100.64.%u.%u", i / 250, i % 250 + 1), "fits");
                Device d = {.node_id = str_of(id),
                            .name = str_of(name),
                            .short_name = str_sub(str_of(name), 0, strcspn(name, ".")),
                            .ip4 = str_of(ip),
                            .tags = {tags, i % 3},
                            .online = i % 2 == 0 ? DEVICE_ONLINE : DEVICE_OFFLINE,
                            .authorized = true};
                leaves[i] = device_new(&d);
        }
        table_unref(f->state.devices);
        f->state.devices = table_new(leaves, n, device_order);
        f->state.sync = SYNC_DONE;
        f->state.last_sync = f->in.now;
        f->state.poll++;
        f->in.before = f->view;
        EntryView *next = discover_entry(&f->in);
        leaf_unref(f->view);
        f->view = next;
}

static void write_shards(const Fixture *f, const EntryView *v, const char *base)
{
        size_t n = table_n(v->endpoints);
        for (size_t from = 0, shard = 0; shard == 0 || from < n; from += ENDPOINTS_MAX, shard++) {
                char name[64], file[80];
                Buf b;
                IGNORE(snprintf(name, sizeof name, "%s-%zu", base, shard), "fits");
                IGNORE(snprintf(file, sizeof file, "%s.yaml", name), "fits");
                buf_init(&b, 4 << 20);
                render_endpoints(v, str_of(name), (const Endpoint *const *)v->endpoints->at + from,
                                 n - from < ENDPOINTS_MAX ? n - from : ENDPOINTS_MAX, &b);
                assert_false(b.failed);
                assert_true(file_write_atomic(f->dir.path, file, buf_str(&b), 0600, false, NULL));
                buf_done(&b);
        }
}

static void expect_same(const EntryView *a, const EntryView *b)
{
        assert_true(object_key_eq(a->gateway, b->gateway));
        assert_true(str_eq(a->tailnet, b->tailnet));
        assert_true(b->known);
        assert_int_equal(table_n(a->endpoints), table_n(b->endpoints));
        for (size_t i = 0; i < table_n(a->endpoints); i++) {
                Endpoint x = *(const Endpoint *)a->endpoints->at[i],
                         y = *(const Endpoint *)b->endpoints->at[i];
                /* Which ones are held the next answer tells. */
                x.held = y.held = false;
                assert_true(endpoint_same(&x, &y));
        }
        assert_int_equal(a->held.n, b->held.n);
        assert_int_equal(a->held.confirmations, b->held.confirmations);
        assert_true(str_eq(a->held.digest, b->held.digest));
        assert_true(str_eq(a->held.reason, b->held.reason));
}

/* Through files and back. */
static EntryView *round_trip(const Fixture *f)
{
        write_shards(f, f->view, "team.gw-corp");
        Table *read = cache_read(f->dir.path, NULL);
        assert_int_equal(table_n(read), 1);
        EntryView *v = leaf_ref(read->at[0]);
        table_unref(read);
        assert_true(v->from_cache);
        expect_same(f->view, v);
        return v;
}

static void what_was_found_comes_back(void **state)
{
        Fixture *f = *state;
        poll(f, 7);
        leaf_unref(round_trip(f));
}

static void several_shards_are_one_entry(void **state)
{
        Fixture *f = *state;
        poll(f, 520);
        leaf_unref(round_trip(f));
}

/* Nothing was found, and that is known. */
static void an_empty_entry_comes_back_as_known(void **state)
{
        Fixture *f = *state;
        poll(f, 0);
        leaf_unref(round_trip(f));
}

/* A restart neither forgets what the guard holds nor lets it through sooner or later. */
static void a_held_removal_goes_on_where_it_was(void **state)
{
        Fixture *f = *state;
        poll(f, 10);
        poll(f, 2);
        poll(f, 2);
        assert_int_equal(f->view->held.n, 8);
        assert_int_equal(f->view->held.confirmations, 2);
        EntryView *v = round_trip(f);
        leaf_unref(f->view);
        f->view = v;
        /* A new process counts its polls anew. */
        f->state.poll = 0;
        poll(f, 2);
        assert_int_equal(table_n(f->view->endpoints), 10);
        assert_int_equal(f->view->held.confirmations, 3);
        poll(f, 2);
        assert_int_equal(table_n(f->view->endpoints), 2);
        assert_int_equal(f->view->held.n, 0);
}

static void an_empty_answer_that_is_held_keeps_its_reason(void **state)
{
        Fixture *f = *state;
        poll(f, 3);
        poll(f, 0);
        assert_true(str_eq(f->view->held.reason, STR("EmptyAnswer")));
        leaf_unref(round_trip(f));
}

static void a_directory_that_is_not_there_is_an_empty_cache(void **state)
{
        (void)state;
        Table *read = cache_read("/nowhere/at/all", NULL);
        assert_int_equal(table_n(read), 0);
        table_unref(read);
}

/* What cannot be read is left out, and only that; a user's own is no cache of ours. */
static void only_what_is_ours_and_whole_is_taken(void **state)
{
        Fixture *f = *state;
        poll(f, 3);
        write_shards(f, f->view, "team.gw-corp");
        assert_true(
                file_write_atomic(f->dir.path, "broken.yaml", STR("kind: [\n"), 0600, false, NULL));
        assert_true(file_write_atomic(
                f->dir.path, "own.yaml",
                STR("apiVersion: gateway.tailscale.com/v1alpha1\nkind: TailscaleEndpoints\n"
                    "metadata: {name: own, namespace: team}\nspec: {tailnet: corp, endpoints: "
                    "[{name: x, tailscaleIP: 100.64.9.9, port: 80, protocol: HTTP}]}\n"),
                0600, false, NULL));
        Table *read = cache_read(f->dir.path, NULL);
        assert_int_equal(table_n(read), 1);
        expect_same(f->view, read->at[0]);
        table_unref(read);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(what_was_found_comes_back),
                TEST(several_shards_are_one_entry),
                TEST(an_empty_entry_comes_back_as_known),
                TEST(a_held_removal_goes_on_where_it_was),
                TEST(an_empty_answer_that_is_held_keeps_its_reason),
                TEST(a_directory_that_is_not_there_is_an_empty_cache),
                TEST(only_what_is_ours_and_whole_is_taken),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
