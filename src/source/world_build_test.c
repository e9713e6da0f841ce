/* SPDX-License-Identifier: Apache-2.0 */
/* Tables in, the next World out: when it is complete, when it is another one, and what it holds. */
#include "source/world_build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/mem.h"
#include "discovery/discover.h"
#include "model/manifest.h"

static const char manifests[] =
        "apiVersion: gateway.tailscale.com/v1alpha1\n"
        "kind: TailscaleTailnet\n"
        "metadata: {name: corp, namespace: team}\n"
        "spec: {file: {path: d.list}}\n"
        "---\n"
        "apiVersion: gateway.tailscale.com/v1alpha1\n"
        "kind: TailscaleGateway\n"
        "metadata: {name: gw, namespace: team}\n"
        "spec:\n"
        "  gatewayRef: {name: eg}\n"
        "  tailnets:\n"
        "  - name: corp\n"
        "    tailscaleTailnetRef: {name: corp}\n"
        "    serviceDiscovery: {defaultPort: {port: 80}}\n"
        "---\n"
        "apiVersion: gateway.tailscale.com/v1alpha1\n"
        "kind: TailscaleEndpoints\n"
        "metadata: {name: %s, namespace: %s%s}\n"
        "spec: {tailnet: %s, endpoints: [{name: own, tailscaleIP: 100.64.0.9, port: 1, protocol: "
        "TCP}]}\n";

typedef struct Fixture {
        Table *tables[MANIFEST_KINDS];
        Table *nothing;
        const void *devices;
        Table *states;
        const World *world;
        WorldInput in;
        uint64_t polls;
} Fixture;

static void read_manifests(Fixture *f, const char *namespace, const char *labels,
                           const char *tailnet)
{
        char text[2048];
        CLEANUP(manifest_set_done) ManifestSet set;
        CLEANUP(faults_done) Faults faults;
        manifest_set_init(&set);
        faults_init(&faults);
        IGNORE(snprintf(text, sizeof text, manifests, "own", namespace, labels, tailnet), "fits");
        assert_true(manifest_read(&set, STR("/x/m.yaml"), str_of(text), &faults));
        for (size_t k = 0; k < MANIFEST_KINDS; k++) {
                Table *fresh = manifest_table(&set, (ManifestKind)k, f->tables[k]);
                table_unref(f->tables[k]);
                f->tables[k] = fresh;
        }
        f->in.tailnets = f->tables[MANIFEST_TAILNET];
        f->in.gateways = f->tables[MANIFEST_GATEWAY];
        f->in.endpoints = f->tables[MANIFEST_ENDPOINTS];
        f->in.eg_gateways = f->tables[MANIFEST_EG_GATEWAY];
        f->in.eg_routes = f->tables[MANIFEST_EG_ROUTE];
        f->in.resources_read = true;
}

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof *f);
        f->nothing = table_new(NULL, 0, NULL);
        f->world = world_new_empty();
        f->in = (WorldInput){.cache = f->nothing,
                             .tailnets = f->nothing,
                             .gateways = f->nothing,
                             .endpoints = f->nothing,
                             .eg_gateways = f->nothing,
                             .eg_routes = f->nothing,
                             .tailnet_states = f->nothing,
                             .bindings = f->nothing,
                             .proxy_names = f->nothing,
                             .proxies_resolved = true,
                             .now = {INT64_C(1795381081000)}};
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;
        for (size_t k = 0; k < MANIFEST_KINDS; k++)
                table_unref(f->tables[k]);
        table_unref(f->states);
        table_unref(f->nothing);
        leaf_unref(f->world);
        mem_free(f);
        return 0;
}

/* True where it is another World. */
static bool build(Fixture *f)
{
        const World *before = f->world;
        f->in.before = before;
        f->world = world_build(&f->in);
        bool is_new = f->world != before;
        leaf_unref(before);
        return is_new;
}

/* The state of the tailnet, for the next build. */
static void set_state(Fixture *f, TailnetState *s)
{
        const void *leaf = s;
        table_unref(f->states);
        f->states = table_new(&leaf, 1, tailnet_state_order);
        f->in.tailnet_states = f->states;
}

static TailnetState *new_state(Fixture *f, SyncState sync, const Table *devices)
{
        TailnetState *s = leaf_new(sizeof *s, 64, tailnet_state_drop);
        s->key = (ObjectKey){STR("team"), STR("corp")};
        s->sync = sync;
        s->poll = ++f->polls;
        s->last_sync = (Wall){INT64_C(1795381081000) + (int64_t)f->polls};
        s->devices = table_ref(devices);
        s->n_devices = table_n(devices);
        return s;
}

/* The tailnet was asked once more. */
static void answer(Fixture *f, SyncState sync, const Table *devices)
{
        set_state(f, new_state(f, sync, devices));
}

/* Its control server did not answer, a tailscaled did. */
static void answer_in_part(Fixture *f, const Table *devices)
{
        TailnetState *s = new_state(f, SYNC_STALE, devices);
        s->partial = true;
        s->last_sync = (Wall){0};
        set_state(f, s);
}

static Table *one_device(void)
{
        Device d = {.node_id = STR("1"),
                    .name = STR("api"),
                    .short_name = STR("api"),
                    .ip4 = STR("100.64.0.1"),
                    .online = DEVICE_ONLINE,
                    .authorized = true};
        const void *leaf = device_new(&d);
        return table_new(&leaf, 1, device_order);
}

static const EntryView *entry(const Fixture *f)
{
        EntryKey key = {{STR("team"), STR("gw")}, STR("corp")};
        return table_find(f->world->entries, &key, entry_view_find);
}

/* ---- complete ---- */

static void nothing_read_is_not_complete_however_long(void **state)
{
        Fixture *f = *state;
        build(f);
        f->in.waited = true;
        assert_false(build(f));
        assert_false(f->world->complete);
}

static void a_tailnet_that_never_answered_keeps_it_incomplete_until_waited(void **state)
{
        Fixture *f = *state;
        read_manifests(f, "team", "", "corp");
        assert_true(build(f));
        assert_true(f->world->resources_read);
        assert_false(f->world->complete);
        answer(f, SYNC_NEVER, NULL);
        build(f);
        assert_false(f->world->complete);
        f->in.waited = true;
        assert_true(build(f));
        assert_true(f->world->complete);
}

static void an_answer_completes_it(void **state)
{
        Fixture *f = *state;
        CLEANUP(leaf_cleanup) Table *devices = one_device();
        read_manifests(f, "team", "", "corp");
        answer(f, SYNC_DONE, devices);
        build(f);
        assert_true(f->world->complete);
}

static void a_cache_completes_it(void **state)
{
        Fixture *f = *state;
        CLEANUP(leaf_cleanup) Table *devices = one_device();
        read_manifests(f, "team", "", "corp");
        answer(f, SYNC_DONE, devices);
        build(f);
        /* What was found is what another process finds in its cache. */
        const World *first = f->world;
        f->world = world_new_empty();
        f->in.cache = first->entries;
        f->in.tailnet_states = f->nothing;
        build(f);
        assert_true(f->world->complete);
        assert_true(entry(f)->known);
        leaf_unref(first);
}

/* It serves what a tailscaled sees, and waits for what the control server may know beside it. */
static void what_a_tailscaled_sees_does_not_complete_it(void **state)
{
        Fixture *f = *state;
        CLEANUP(leaf_cleanup) Table *devices = one_device();
        read_manifests(f, "other", "", "corp");
        answer_in_part(f, devices);
        build(f);
        assert_int_equal(table_n(entry(f)->endpoints), 1);
        assert_false(f->world->complete);
        f->in.waited = true;
        build(f);
        assert_true(f->world->complete);
}

/* The cache has what it may lack. */
static void a_cache_and_a_tailscaled_complete_it(void **state)
{
        Fixture *f = *state;
        CLEANUP(leaf_cleanup) Table *devices = one_device();
        CLEANUP(leaf_cleanup) Table *empty = table_new(NULL, 0, device_order);
        read_manifests(f, "other", "", "corp");
        answer(f, SYNC_DONE, devices);
        build(f);
        const EntryView *v = entry(f);
        EntryView *cached = leaf_new(sizeof *cached, 256, entry_view_drop);
        cached->gateway = v->gateway;
        cached->tailnet = v->tailnet;
        cached->source = leaf_str(&cached->leaf, v->source);
        cached->known = cached->from_cache = true;
        cached->endpoints = table_ref(v->endpoints);
        const void *leaf = cached;
        CLEANUP(leaf_cleanup) Table *cache = table_new(&leaf, 1, entry_view_order);
        const World *first = f->world;
        f->world = world_new_empty();
        f->in.cache = cache;
        answer_in_part(f, empty);
        build(f);
        assert_true(f->world->complete);
        assert_int_equal(table_n(entry(f)->endpoints), 1);
        leaf_unref(first); /* the cache has its strings */
}

/* The tailscaled that tells is a proxy of ours, and no device of the tailnet's. */
static void our_own_node_is_never_taken(void **state)
{
        Fixture *f = *state;
        CLEANUP(leaf_cleanup) Table *devices = one_device();
        read_manifests(f, "other", "", "corp");
        TailnetState *s = new_state(f, SYNC_DONE, devices);
        s->self_node = STR("1");
        set_state(f, s);
        build(f);
        assert_int_equal(table_n(entry(f)->endpoints), 0);
        LeftOut l = left_out_at(entry(f)->left_out, 0);
        assert_true(str_eq(l.reason, STR("OwnNode")));
}

static void a_proxy_without_an_address_keeps_it_incomplete(void **state)
{
        Fixture *f = *state;
        CLEANUP(leaf_cleanup) Table *devices = one_device();
        read_manifests(f, "team", "", "corp");
        answer(f, SYNC_DONE, devices);
        f->in.proxies_resolved = false;
        build(f);
        assert_false(f->world->complete);
        f->in.waited = true;
        build(f);
        assert_true(f->world->complete);
}

/* New resources at runtime are not a start. */
static void complete_is_for_ever(void **state)
{
        Fixture *f = *state;
        CLEANUP(leaf_cleanup) Table *devices = one_device();
        read_manifests(f, "team", "", "corp");
        answer(f, SYNC_DONE, devices);
        build(f);
        f->in.proxies_resolved = false;
        f->in.tailnet_states = f->nothing;
        build(f);
        assert_true(f->world->complete);
}

/* ---- another World, or the same ---- */

static void polls_without_news_make_no_world(void **state)
{
        Fixture *f = *state;
        CLEANUP(leaf_cleanup) Table *devices = one_device();
        read_manifests(f, "team", "", "corp");
        answer(f, SYNC_DONE, devices);
        assert_true(build(f));
        uint64_t generation = f->world->generation;
        for (int i = 0; i < 5; i++) {
                answer(f, SYNC_DONE, devices);
                assert_false(build(f));
        }
        assert_int_equal(f->world->generation, generation);
}

static void a_failure_changes_the_state_and_no_endpoint(void **state)
{
        Fixture *f = *state;
        CLEANUP(leaf_cleanup) Table *devices = one_device();
        read_manifests(f, "team", "", "corp");
        answer(f, SYNC_DONE, devices);
        build(f);
        const Table *endpoints = table_ref(entry(f)->endpoints);
        answer(f, SYNC_STALE, devices);
        assert_true(build(f));
        assert_ptr_equal(entry(f)->endpoints, endpoints);
        table_unref(endpoints);
}

/* ---- static endpoints ---- */

static size_t n_static(Fixture *f, const char *namespace, const char *labels, const char *tailnet)
{
        size_t n = 0;
        CLEANUP(leaf_cleanup) Table *devices = one_device();
        read_manifests(f, namespace, labels, tailnet);
        answer(f, SYNC_DONE, devices);
        build(f);
        TABLE_FOREACH (Endpoint, e, entry(f)->endpoints)
                n += e->origin == ENDPOINT_STATIC;
        return n;
}

static void static_endpoints_are_those_of_the_namespace_and_tailnet(void **state)
{
        Fixture *f = *state;
        assert_int_equal(n_static(f, "team", "", "corp"), 1);
        assert_int_equal(n_static(f, "other", "", "corp"), 0);
        assert_int_equal(n_static(f, "team", "", "dev"), 0);
        /* Ours, copied by somebody into his directory. */
        assert_int_equal(
                n_static(f, "team", ", labels: {gateway.tailscale.com/gateway: gw}", "corp"), 0);
}

/* ---- approval ---- */

static void what_is_approved_replaces_what_was_there(void **state)
{
        Fixture *f = *state;
        CLEANUP(leaf_cleanup) Table *devices = one_device();
        CLEANUP(leaf_cleanup) Table *empty = table_new(NULL, 0, device_order);
        read_manifests(f, "other", "", "corp");
        answer(f, SYNC_DONE, devices);
        build(f);
        answer(f, SYNC_DONE, empty);
        build(f);
        assert_int_equal(entry(f)->held.n, 1);
        assert_int_equal(table_n(entry(f)->endpoints), 1);
        const void *approved = discover_approve(entry(f), entry(f)->held.digest);
        assert_non_null(approved);
        Table *table = table_new(&approved, 1, entry_view_order);
        f->in.approved = table;
        assert_true(build(f));
        f->in.approved = NULL;
        table_unref(table);
        assert_int_equal(table_n(entry(f)->endpoints), 0);
        assert_int_equal(entry(f)->held.n, 0);
        build(f);
        assert_int_equal(table_n(entry(f)->endpoints), 0);
}

/* ---- a suffix that is found ---- */

static const EntryView *entry_of_gateway(const Fixture *f, const char *name)
{
        EntryKey key = {{STR("team"), str_of(name)}, STR("corp")};
        return table_find(f->world->entries, &key, entry_view_find);
}

static Table *read_kind(const char *text, ManifestKind kind)
{
        CLEANUP(manifest_set_done) ManifestSet set;
        CLEANUP(faults_done) Faults faults;
        manifest_set_init(&set);
        faults_init(&faults);
        assert_true(manifest_read(&set, STR("/x/m.yaml"), str_of(text), &faults));
        return manifest_table(&set, kind, NULL);
}

#define TAKES_NONE(name, pattern)                                                              \
        "---\napiVersion: gateway.tailscale.com/v1alpha1\nkind: TailscaleGateway\nmetadata: "  \
        "{name: " name ", namespace: team}\nspec: {gatewayRef: {name: eg}, tailnets: [{name: " \
        "corp, tailscaleTailnetRef: {name: corp}, serviceDiscovery: {patterns: [" pattern      \
        "]}}]}\n"

static void what_two_entries_leave_out_is_there_once(void **state)
{
        Fixture *f = *state;
        CLEANUP(leaf_cleanup) Table *devices = one_device();
        CLEANUP(leaf_cleanup)
        Table *gateways = read_kind(TAKES_NONE("a", "nobody") TAKES_NONE("b", "nobody")
                                            TAKES_NONE("c", "none"),
                                    MANIFEST_GATEWAY);
        read_manifests(f, "team", "", "corp");
        f->in.gateways = gateways;
        answer(f, SYNC_DONE, devices);
        build(f);
        const LeftOutList *a = entry_of_gateway(f, "a")->left_out;
        const LeftOutList *b = entry_of_gateway(f, "b")->left_out;
        const LeftOutList *c = entry_of_gateway(f, "c")->left_out;
        assert_int_equal(left_out_n(a), 1);
        assert_ptr_equal(a, b);
        /* With another reason it is another list, of the same device. */
        assert_int_equal(left_out_n(c), 1);
        assert_ptr_equal(left_out_at(a, 0).name.p, left_out_at(c, 0).name.p);
        assert_false(str_eq(left_out_at(a, 0).text, left_out_at(c, 0).text));
        /* It stays what it was. */
        const void *before = leaf_ref(c);
        answer(f, SYNC_DONE, devices);
        build(f);
        assert_ptr_equal(entry_of_gateway(f, "c")->left_out, before);
        leaf_unref(before);
}

static void who_follows_has_the_endpoints_that_were_read(void **state)
{
        Fixture *f = *state;
        static const char text[] =
                "apiVersion: gateway.tailscale.com/v1alpha1\nkind: TailscaleEndpoints\nmetadata: "
                "{name: gw-corp-1, namespace: team, labels: {gateway.tailscale.com/gateway: gw}}\n"
                "spec: {tailnet: corp, endpoints: [{name: api, tailscaleIP: 100.64.0.1, port: 80, "
                "protocol: HTTP, portSource: defaultPort, rule: no pattern}]}\n";
        CLEANUP(leaf_cleanup) Table *found = read_kind(text, MANIFEST_ENDPOINTS);
        const EndpointsSpec *shard = found->at[0];
        read_manifests(f, "other", "", "corp");
        f->in.found = found;
        f->in.follows = true;
        build(f);
        assert_int_equal(table_n(entry(f)->endpoints), 1);
        assert_ptr_equal(entry(f)->endpoints->at[0], shard->endpoints[0]);
}

static void answer_with_suffix(Fixture *f, const Table *devices, const char *suffix)
{
        TailnetState *s = new_state(f, SYNC_DONE, devices);
        s->suffix = str_of(suffix);
        set_state(f, s);
}

static void expect_suffix(const Fixture *f, const char *suffix, unsigned held)
{
        const TailnetState *s = f->world->tailnet_states->at[0];
        if (!str_eq(s->suffix, str_of(suffix)))
                fail_msg("the suffix is '%.*s'", STR_FMT(s->suffix));
        assert_int_equal(entry(f)->held.n, held);
}

/* Six of corp.ts.net, or one of somebody else's. */
static Table *devices_of(bool foreign)
{
        const void *leaves[6];
        size_t n = foreign ? 1 : LENGTH_OF(leaves);
        for (size_t i = 0; i < n; i++) {
                char id[8], label[8], name[32], ip[16];
                IGNORE(snprintf(id, sizeof id, "%s%zu", foreign ? "x" : "n", i), "fits");
                IGNORE(snprintf(label, sizeof label, "%s-%zu", foreign ? "o" : "d", i), "fits");
                IGNORE(snprintf(name, sizeof name, "%s.%s.ts.net", label,
                                foreign ? "other" : "corp"),
                       "fits");
                IGNORE(snprintf(ip, sizeof ip, "100.64.%d.%zu", foreign, i + 1), "fits");
                leaves[i] = device_new(&(Device){.node_id = str_of(id),
                                                 .name = str_of(name),
                                                 .short_name = str_of(label),
                                                 .ip4 = str_of(ip),
                                                 .online = DEVICE_ONLINE,
                                                 .authorized = true});
        }
        return table_new(leaves, n, device_order);
}

static void the_suffix_stays_while_a_removal_is_held(void **state)
{
        Fixture *f = *state;
        CLEANUP(leaf_cleanup) Table *ours = devices_of(false);
        CLEANUP(leaf_cleanup) Table *theirs = devices_of(true);
        CLEANUP(leaf_cleanup) Table *empty = table_new(NULL, 0, device_order);
        read_manifests(f, "other", "", "corp");
        answer_with_suffix(f, ours, "corp.ts.net");
        build(f);
        expect_suffix(f, "corp.ts.net", 0);
        answer_with_suffix(f, theirs, "other.ts.net");
        build(f);
        expect_suffix(f, "corp.ts.net", 6);
        assert_int_equal(entry(f)->held.confirmations, 1);
        assert_int_equal(table_n(entry(f)->endpoints), 7);
        answer_with_suffix(f, empty, "");
        build(f);
        assert_true(entry(f)->held.n > 0);
        expect_suffix(f, "corp.ts.net", entry(f)->held.n);
        answer_with_suffix(f, ours, "corp.ts.net");
        build(f);
        expect_suffix(f, "corp.ts.net", 0);
        for (unsigned i = 1; i < 3; i++) {
                answer_with_suffix(f, theirs, "other.ts.net");
                build(f);
                expect_suffix(f, "corp.ts.net", 6);
                assert_int_equal(entry(f)->held.confirmations, i);
        }
        answer_with_suffix(f, theirs, "other.ts.net");
        build(f);
        expect_suffix(f, "other.ts.net", 0);
        assert_int_equal(table_n(entry(f)->endpoints), 1);
}

/* A tailnet that is renamed keeps its devices. */
static void a_suffix_changes_at_once_where_nothing_is_held(void **state)
{
        Fixture *f = *state;
        CLEANUP(leaf_cleanup) Table *ours = devices_of(false);
        read_manifests(f, "other", "", "corp");
        answer_with_suffix(f, ours, "corp.ts.net");
        build(f);
        answer_with_suffix(f, ours, "renamed.ts.net");
        assert_true(build(f));
        expect_suffix(f, "renamed.ts.net", 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(nothing_read_is_not_complete_however_long),
                TEST(a_tailnet_that_never_answered_keeps_it_incomplete_until_waited),
                TEST(an_answer_completes_it),
                TEST(a_cache_completes_it),
                TEST(what_a_tailscaled_sees_does_not_complete_it),
                TEST(a_cache_and_a_tailscaled_complete_it),
                TEST(our_own_node_is_never_taken),
                TEST(a_proxy_without_an_address_keeps_it_incomplete),
                TEST(complete_is_for_ever),
                TEST(polls_without_news_make_no_world),
                TEST(a_failure_changes_the_state_and_no_endpoint),
                TEST(static_endpoints_are_those_of_the_namespace_and_tailnet),
                TEST(what_is_approved_replaces_what_was_there),
                TEST(what_two_entries_leave_out_is_there_once),
                TEST(who_follows_has_the_endpoints_that_were_read),
                TEST(the_suffix_stays_while_a_removal_is_held),
                TEST(a_suffix_changes_at_once_where_nothing_is_held),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
