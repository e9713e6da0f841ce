/* SPDX-License-Identifier: Apache-2.0 */
/* One tailnet, as its sources go well and badly, on both pages. */
#include "admin/tailnet_pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/mem.h"
#include "model/manifest.h"
#include "proto/json.h"

static const char manifests[] = "apiVersion: gateway.tailscale.com/v1alpha1\n"
                                "kind: TailscaleTailnet\n"
                                "metadata: {name: corp, namespace: team}\n"
                                "spec:\n"
                                "  apiURL: https://headscale.example\n"
                                "  credentials: {secretRef: {name: key}}\n"
                                "  localAPI: {socket: /run/tailscaled.sock}\n";

enum {
        PAGE_MAX = 1 << 16,
        HOUR_MS = 3600 * 1000,
};

static const Wall now = {INT64_C(1795384400000)}, last_sync = {INT64_C(1795384300000)};

typedef struct Fixture {
        World *world;
        Facts facts;
        AdminView view;
        Buf out;
        Arena arena;
        const Tree *tailnet; /* of the page that was read last */
} Fixture;

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof *f);
        CLEANUP(manifest_set_done) ManifestSet set;
        CLEANUP(faults_done) Faults faults;
        manifest_set_init(&set);
        faults_init(&faults);
        assert_true(manifest_read(&set, STR("/x/m.yaml"), str_of(manifests), &faults));
        f->world = world_new_empty();
        table_unref(f->world->tailnets);
        f->world->tailnets = manifest_table(&set, MANIFEST_TAILNET, NULL);
        facts_init(&f->facts);
        f->view = (AdminView){.world = f->world, .facts = &f->facts, .now = now};
        buf_init(&f->out, PAGE_MAX);
        arena_init(&f->arena, 0);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;
        arena_done(&f->arena);
        buf_done(&f->out);
        facts_done(&f->facts);
        leaf_unref(f->world);
        mem_free(f);
        return 0;
}

static void set_state(Fixture *f, SyncState sync)
{
        TailnetState *s = leaf_new(sizeof *s, 0, tailnet_state_drop);
        s->key = (ObjectKey){STR("team"), STR("corp")};
        s->sync = sync;
        s->n_devices = 7;
        s->suffix = STR("corp.example");
        s->scopes = STR("devices:core:read");
        s->warning = STR("no services:read");
        const void *leaf = s;
        table_unref(f->world->tailnet_states);
        f->world->tailnet_states = table_new(&leaf, 1, tailnet_state_order);
}

static SourceFact *source(Fixture *f, SourceRole role)
{
        return &facts_tailnet(&f->facts, (ObjectKey){STR("team"), STR("corp")})->sources[role];
}

static void add_sources(Fixture *f)
{
        SourceFact *api = source(f, SOURCE_PRIMARY), *local = source(f, SOURCE_LOCAL);
        api->name = "api";
        api->via = "headscale-v1";
        api->polls = 9;
        api->devices = 7;
        api->last_sync = last_sync;
        local->name = "local";
        local->polls = local->failures = local->failures_in_a_row = 3;
        local->triggers = 2;
        IGNORE(snprintf(local->reason, sizeof local->reason, "ConnectFailed"), "it fits");
        IGNORE(snprintf(local->error, sizeof local->error, "no such socket"), "it fits");
}

/* Two TailscaleGateways take devices of it, one those of another tailnet. */
static void add_entries(Fixture *f)
{
        static const struct {
                Str gateway, source;
                int64_t expires;
        } entries[] = {{STR_INIT("a"), STR_INIT("corp"), INT64_C(1795384500000)},
                       {STR_INIT("b"), STR_INIT("corp"), INT64_C(1795384450000)},
                       {STR_INIT("c"), STR_INIT("corp"), 0},
                       {STR_INIT("d"), STR_INIT("other"), 1000}};
        const void *at[LENGTH_OF(entries)];
        for (size_t i = 0; i < LENGTH_OF(entries); i++) {
                EntryView *v = leaf_new(sizeof *v, 0, entry_view_drop);
                v->gateway = (ObjectKey){STR("team"), entries[i].gateway};
                v->tailnet = STR("t");
                v->source = entries[i].source;
                v->next_key_expiry = (Wall){entries[i].expires};
                at[i] = v;
        }
        table_unref(f->world->entries);
        f->world->entries = table_new(at, LENGTH_OF(entries), entry_view_order);
}

static void read_state(Fixture *f)
{
        JsonWriter w;
        Err err = {0};
        buf_reset(&f->out);
        json_writer_init(&w, &f->out);
        json_object_begin(&w);
        tailnet_pages_state(&f->view, &w);
        json_object_end(&w);
        const Tree *root = json_read(&f->arena, buf_str(&f->out), NULL, &err);
        if (root == NULL)
                fail_msg("%s in: %.*s", err.text, STR_FMT(buf_str(&f->out)));
        f->tailnet = tree_get(root, STR("tailnets"))->first;
        assert_non_null(f->tailnet);
}

static void expect(const Tree *of, Str key, const char *value)
{
        const Tree *t = tree_get(of, key);
        assert_non_null(t);
        if (!str_eq(t->text, str_of(value)))
                fail_msg("%.*s is %.*s, not %s", STR_FMT(key), STR_FMT(t->text), value);
}

static void expect_sample(Fixture *f, const char *sample)
{
        buf_reset(&f->out);
        tailnet_pages_metrics(&f->view, &f->out);
        if (str_find_str(buf_str(&f->out), str_of(sample)) < 0)
                fail_msg("no %s in:\n%.*s", sample, STR_FMT(buf_str(&f->out)));
}

/* "True Accepted" and so on, of the condition. */
static void expect_condition(Fixture *f, Str type, const char *status, const char *reason)
{
        read_state(f);
        TREE_FOREACH (c, tree_get(f->tailnet, STR("conditions"))) {
                if (!str_eq(tree_get_str(c, STR("type")), type))
                        continue;
                expect(c, STR("status"), status);
                expect(c, STR("reason"), reason);
                return;
        }
        fail_msg("no condition %.*s", STR_FMT(type));
}

#define OF  "{tailnet=\"team/corp\"}"
#define API "{tailnet=\"team/corp\",source=\"api\"}"
#define TSD "{tailnet=\"team/corp\",source=\"local\"}"
#define P   "tailscale_gateway_tailnet_"

static void before_anything_was_asked(void **state)
{
        Fixture *f = *state;
        read_state(f);
        expect(f->tailnet, STR("sync"), "NeverSynced");
        expect(f->tailnet, STR("source"), "https://headscale.example");
        assert_null(tree_get(f->tailnet, STR("sources")));
        assert_int_equal(tree_get(f->tailnet, STR("nextKeyExpiry"))->type, TREE_NULL);
        expect_sample(f, P "stale" OF " 0\n");
}

static void each_source_is_told_of(void **state)
{
        Fixture *f = *state;
        add_sources(f);
        add_entries(f);
        set_state(f, SYNC_DONE);
        read_state(f);
        expect(f->tailnet, STR("sync"), "Synced");
        expect(f->tailnet, STR("via"), "headscale-v1");
        expect(f->tailnet, STR("devices"), "7");
        expect(f->tailnet, STR("magicDNSSuffix"), "corp.example");
        expect(f->tailnet, STR("scopes"), "devices:core:read");
        expect(f->tailnet, STR("warning"), "no services:read");
        expect(f->tailnet, STR("nextKeyExpiry"), "2026-11-22T21:54:10Z");
        expect(f->tailnet, STR("error"), "");
        const Tree *api = tree_get(f->tailnet, STR("sources"))->first, *local = api->next;
        expect(api, STR("name"), "api");
        expect(api, STR("polls"), "9");
        expect(local, STR("name"), "local");
        expect(local, STR("via"), "");
        expect(local, STR("reason"), "ConnectFailed");
        expect(local, STR("error"), "no such socket");
        assert_int_equal(tree_get(local, STR("lastSync"))->type, TREE_NULL);
        assert_null(local->next);
        expect_sample(f, P "up" API " 1\n");
        expect_sample(f, P "up" TSD " 0\n");
        expect_sample(f, P "triggers_total" TSD " 2\n");
        expect_sample(f, P "next_key_expiry_timestamp_seconds" OF " 1795384450\n");
}

static void fail_with(Fixture *f, ErrKind kind, const char *reason)
{
        SourceFact *api = source(f, SOURCE_PRIMARY);
        api->polls++;
        api->kind = kind;
        IGNORE(snprintf(api->reason, sizeof api->reason, "%s", reason), "it fits");
}

static void conditions_follow_the_last_poll(void **state)
{
        Fixture *f = *state;
        expect_condition(f, STR("Accepted"), "True", "Valid");
        expect_condition(f, STR("Authenticated"), "Unknown", "NeverSynced");
        expect_condition(f, STR("Synced"), "Unknown", "NeverSynced");
        source(f, SOURCE_PRIMARY)->name = "api";
        fail_with(f, ERR_MISSING, "CredentialMissing");
        expect_condition(f, STR("Authenticated"), "False", "CredentialMissing");
        expect_condition(f, STR("Synced"), "False", "NeverSynced");
        fail_with(f, ERR_TRANSIENT, "ConnectFailed");
        expect_condition(f, STR("Authenticated"), "Unknown", "NeverSynced");
        add_sources(f);
        fail_with(f, ERR_NONE, "");
        set_state(f, SYNC_DONE);
        expect_condition(f, STR("Authenticated"), "True", "Accepted");
        expect_condition(f, STR("Synced"), "True", "Synced");
        set_state(f, SYNC_STALE);
        fail_with(f, ERR_TRANSIENT, "ServerError");
        expect_condition(f, STR("Authenticated"), "True", "Accepted");
        expect_condition(f, STR("Synced"), "False", "Failing");
        fail_with(f, ERR_DENIED, "Unauthorized");
        expect_condition(f, STR("Authenticated"), "False", "Unauthorized");
}

/* Computed when it is shown: nothing else depends on the clock. */
static void stale_is_a_day_of_failing(void **state)
{
        Fixture *f = *state;
        add_sources(f);
        set_state(f, SYNC_STALE);
        read_state(f);
        expect(f->tailnet, STR("sync"), "Failing");
        f->view.now.ms = last_sync.ms + INT64_C(24) * HOUR_MS;
        read_state(f);
        expect(f->tailnet, STR("sync"), "Failing");
        expect_sample(f, P "stale" OF " 0\n");
        f->view.now.ms++;
        read_state(f);
        expect(f->tailnet, STR("sync"), "Stale");
        expect_sample(f, P "stale" OF " 1\n");
        set_state(f, SYNC_DONE);
        read_state(f);
        expect(f->tailnet, STR("sync"), "Synced");
        expect_sample(f, P "stale" OF " 0\n");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(before_anything_was_asked),
                TEST(each_source_is_told_of),
                TEST(conditions_follow_the_last_poll),
                TEST(stale_is_a_day_of_failing),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
