/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The extension server as Envoy Gateway sees it: real calls over a unix socket. Time stands still
 * unless a test moves it, so what waits 500 ms waits no time.
 */
#include "extension/extension.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/testing.h"
#include "model/manifest.h"
#include "net/grpc_test_peer.h"
#include "proto/pb_writer.h"

#define METHOD(name) "/envoygateway.extension.EnvoyGatewayExtension/" name
#define TRANSLATE    METHOD("PostTranslateModify")
#define CHECK        "/grpc.health.v1.Health/Check"
#define WATCH        "/grpc.health.v1.Health/Watch"
#define SERVICE      "envoygateway.extension.EnvoyGatewayExtension"

static const ObjectKey ours = {STR_INIT("demo"), STR_INIT("gw")};
static const ObjectKey foreign = {STR_INIT("demo"), STR_INIT("other")};

typedef struct Fixture {
        TestClock time;
        Clock clock;
        Loop *loop;
        TestDir dir;
        Address address;
        Facts facts;
        Extension *x;
        const Snapshot *snapshot; /* the newest that was made */
        Peer peer;
        int n_facts, n_drained;
} Fixture;

/* ---- what is answered from ---- */

static const char manifests[] =
        "apiVersion: gateway.networking.k8s.io/v1\n"
        "kind: Gateway\n"
        "metadata: {name: gw, namespace: demo}\n"
        "spec: {gatewayClassName: eg, listeners: [{name: http, port: 80, protocol: HTTP}]}\n"
        "---\n"
        "apiVersion: gateway.networking.k8s.io/v1\n"
        "kind: Gateway\n"
        "metadata: {name: other, namespace: demo}\n"
        "spec: {gatewayClassName: eg, listeners: [{name: http, port: 81, protocol: HTTP}]}\n"
        "---\n"
        "apiVersion: gateway.tailscale.com/v1alpha1\n"
        "kind: TailscaleTailnet\n"
        "metadata: {name: corp, namespace: demo}\n"
        "spec: {file: {path: d.list}, proxyAddresses: ['127.0.0.1:1055']}\n"
        "---\n"
        "apiVersion: gateway.tailscale.com/v1alpha1\n"
        "kind: TailscaleGateway\n"
        "metadata: {name: tg, namespace: demo}\n"
        "spec:\n"
        "  gatewayRef: {name: gw}\n"
        "  tailnets:\n"
        "  - name: corp\n"
        "    tailscaleTailnetRef: {name: corp}\n"
        "---\n"
        "apiVersion: gateway.tailscale.com/v1alpha1\n"
        "kind: TailscaleEndpoints\n"
        "metadata: {name: corp, namespace: demo}\n"
        "spec:\n"
        "  tailnet: corp\n"
        "  endpoints:\n"
        "  - {name: api, tailscaleIP: 100.64.0.%u, port: 80, protocol: HTTP}\n";

static const Table *entries_of(const ManifestSet *set)
{
        const EndpointsSpec *e = set->kinds[MANIFEST_ENDPOINTS].at[0];
        EntryView *v = leaf_new(sizeof *v, 64, entry_view_drop);
        v->gateway = (ObjectKey){STR("demo"), STR("tg")};
        v->tailnet = STR("corp");
        v->known = true;
        const void *endpoint = leaf_ref(e->endpoints[0]);
        v->endpoints = table_new(&endpoint, 1, endpoint_order);
        const void *view = v;
        return table_new(&view, 1, entry_view_order);
}

typedef enum Progress {
        NOTHING_READ,
        NOT_COMPLETE,
        COMPLETE
} Progress;

static const World *world_of(unsigned device, Progress progress)
{
        char text[4096];
        CLEANUP(manifest_set_done) ManifestSet set;
        CLEANUP(faults_done) Faults faults;
        if (progress == NOTHING_READ)
                return world_new_empty();
        manifest_set_init(&set);
        faults_init(&faults);
        IGNORE(snprintf(text, sizeof text, manifests, device), "fits");
        assert_true(manifest_read(&set, STR("/x/m.yaml"), str_of(text), &faults));
        World *w = leaf_new(sizeof *w, 0, world_drop);
        w->resources_read = true;
        w->complete = progress == COMPLETE;
        w->tailnets = manifest_table(&set, MANIFEST_TAILNET, NULL);
        w->gateways = manifest_table(&set, MANIFEST_GATEWAY, NULL);
        w->eg_gateways = manifest_table(&set, MANIFEST_EG_GATEWAY, NULL);
        w->eg_routes = manifest_table(&set, MANIFEST_EG_ROUTE, NULL);
        w->namespaces = manifest_table(&set, MANIFEST_NAMESPACE, NULL);
        w->tailnet_states = table_new(NULL, 0, tailnet_state_order);
        w->entries = entries_of(&set);
        w->proxy_names = table_new(NULL, 0, proxy_name_order);
        return w;
}

/* Makes the next Snapshot, in which that device is found. */
static void make(Fixture *f, unsigned device, Progress progress)
{
        Report *report = NULL;
        const World *w = world_of(device, progress);
        const Snapshot *before = f->snapshot;
        f->snapshot = snapshot_new(w, before, &report);
        snapshot_unref(before);
        leaf_unref(report);
        leaf_unref(w);
}

static void publish(Fixture *f, unsigned device, Progress progress)
{
        make(f, device, progress);
        extension_publish(f->x, f->snapshot);
}

/* ---- calls ---- */

/* One field of wire type 2. */
static void put(Buf *b, uint32_t field, Str body)
{
        pb_put_len(b, field, body.n);
        buf_add_str(b, body);
}

/* The same in a message of its own. */
static void put_in(Buf *b, uint32_t outer, uint32_t inner, Str body)
{
        pb_put_len(b, outer, pb_len_size(inner, body.n) + body.n);
        put(b, inner, body);
}

/* A cluster and a RouteConfiguration that are not ours, as those fields; each has its name in field
 * 1. */
static void put_theirs(Buf *b, uint32_t clusters, uint32_t routes, ObjectKey gateway)
{
        char name[64];
        IGNORE(snprintf(name, sizeof name, "%.*s/%.*s/http", STR_FMT(gateway.namespace),
                        STR_FMT(gateway.name)),
               "fits");
        put_in(b, clusters, 1, STR("theirs"));
        put_in(b, routes, 1, str_of(name));
}

static void put_binding(Buf *b, ObjectKey gateway, const char *revision, unsigned attempt)
{
        char json[1024];
        Buf resource;
        IGNORE(snprintf(json, sizeof json,
                        "{\"apiVersion\":\"gateway.tailscale.com/v1alpha1\",\"kind\":"
                        "\"TailscaleGatewayBinding\",\"metadata\":{\"name\":\"%.*s\","
                        "\"namespace\":\"%.*s\"},\"spec\":{\"targetRefs\":[{\"group\":"
                        "\"gateway.networking.k8s.io\",\"kind\":\"Gateway\",\"name\":"
                        "\"%.*s\"}],\"revision\":\"%s\",\"attempt\":%u}}",
                        STR_FMT(gateway.name), STR_FMT(gateway.namespace), STR_FMT(gateway.name),
                        revision, attempt),
               "fits");
        buf_init(&resource, sizeof json + 16);
        put(&resource, 1, str_of(json)); /* ExtensionResource.unstructured_bytes */
        put_in(b, 1, 1, buf_str(&resource));
        buf_done(&resource);
}

/* What Envoy Gateway sends for a Gateway (proto/extension/service.proto: context 1, clusters 2,
 * routes 5). Without `revision` there is no Binding. */
static void request_of(Buf *b, ObjectKey gateway, const char *revision, unsigned attempt)
{
        buf_init(b, PEER_BYTES_MAX);
        if (revision != NULL)
                put_binding(b, gateway, revision, attempt);
        put_theirs(b, 2, 5, gateway);
}

static PeerCall *ask(Fixture *f, ObjectKey gateway, const char *revision, unsigned attempt)
{
        Buf b;
        request_of(&b, gateway, revision, attempt);
        PeerCall *c = peer_call(&f->peer, TRANSLATE, buf_str(&b));
        buf_done(&b);
        return c;
}

/* Asks, and lets the call arrive. */
static PeerCall *ask_and_wait(Fixture *f, const char *revision, unsigned attempt)
{
        PeerCall *c = ask(f, ours, revision, attempt);
        peer_settle(&f->peer);
        return c;
}

static const HookFact *fact(const Fixture *f, ObjectKey gateway)
{
        return facts_find_hook(&f->facts, gateway);
}

static const char *newest(const Fixture *f)
{
        return snapshot_revision(f->snapshot, ours);
}

static void pass(Fixture *f, int64_t ms)
{
        test_clock_advance(&f->time, SPAN_MS(ms));
        peer_settle(&f->peer);
}

static void expect_status(Fixture *f, const PeerCall *c, int status)
{
        PEER_UNTIL(&f->peer, c->closed);
        if (c->grpc != status)
                fail_msg("status %d, expected %d: %s", c->grpc, status, c->text);
}

static void expect_served(Fixture *f, const PeerCall *c, const char *revision, bool owes)
{
        expect_status(f, c, GRPC_OK);
        const HookFact *h = fact(f, ours);
        assert_non_null(h);
        assert_string_equal(h->served, revision);
        assert_string_equal(h->error, "");
        assert_int_equal(h->owes_attempt, owes);
}

/* The input as an answer: the same bytes, but for the tags of the fields. */
static void expect_unchanged(const PeerCall *c, ObjectKey gateway)
{
        Buf b;
        buf_init(&b, PEER_BYTES_MAX);
        put_theirs(&b, 1, 4, gateway);
        assert_true(str_eq(peer_answer(c), buf_str(&b)));
        buf_done(&b);
}

/* ---- life ---- */

static void on_facts(void *owner)
{
        ((Fixture *)owner)->n_facts++;
}

static void on_drained(void *owner)
{
        ((Fixture *)owner)->n_drained++;
}

static void open_it(Fixture *f)
{
        Err err = {0};
        f->x = extension_open(&(ExtensionInput){.loop = f->loop,
                                                .clock = &f->clock,
                                                .addresses = &f->address,
                                                .n_addresses = 1,
                                                .facts = &f->facts,
                                                .on_facts = on_facts,
                                                .on_drained = on_drained,
                                                .owner = f},
                              &err);
        if (f->x == NULL)
                fail_msg("%s", err.text);
}

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof *f);
        char text[TEST_PATH + 16];
        f->time = (TestClock){{SPAN_S(1000).ns}, {INT64_C(1795381081000)}, 0};
        f->clock = test_clock(&f->time);
        f->loop = loop_new(&f->clock);
        facts_init(&f->facts);
        test_dir_init(&f->dir);
        IGNORE(snprintf(text, sizeof text, "unix://%s/s", f->dir.path), "fits");
        assert_true(address_parse(str_of(text), &f->address, NULL));
        open_it(f);
        peer_open(&f->peer, f->loop, &f->address);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;
        peer_close(&f->peer);
        extension_close(f->x);
        snapshot_unref(f->snapshot);
        loop_free(f->loop);
        facts_done(&f->facts);
        test_dir_done(&f->dir);
        mem_free(f);
        return 0;
}

/* ---- waiting ---- */

static void without_a_snapshot_it_waits_then_refuses_and_owes(void **state)
{
        Fixture *f = *state;
        PeerCall *c = ask_and_wait(f, "r1", 7);
        pass(f, EXTENSION_PARK_MS - 1);
        assert_false(c->closed);
        assert_int_equal(f->facts.counters.parked, 1);
        pass(f, 1);
        expect_status(f, c, GRPC_UNAVAILABLE);
        const HookFact *h = fact(f, ours);
        assert_non_null(h);
        assert_true(h->owes_attempt);
        assert_int_equal(h->attempt, 7);
        assert_string_equal(h->asked, "r1");
        assert_int_equal(h->failures, 1);
        assert_true(h->error[0] != '\0');
        assert_int_equal(f->n_facts, 1);
        assert_int_equal(f->facts.counters.unavailable, 1);
}

static void a_snapshot_in_time_answers_it(void **state)
{
        Fixture *f = *state;
        make(f, 1, COMPLETE);
        PeerCall *c = ask_and_wait(f, newest(f), 0);
        pass(f, EXTENSION_PARK_MS - 1);
        extension_publish(f->x, f->snapshot);
        expect_served(f, c, newest(f), false);
        pass(f, EXTENSION_PARK_MS);
        assert_int_equal(f->n_facts, 1);
}

static void an_incomplete_world_keeps_it_waiting(void **state)
{
        Fixture *f = *state;
        PeerCall *c = ask_and_wait(f, "r1", 0);
        publish(f, 1, NOT_COMPLETE);
        peer_settle(&f->peer);
        assert_false(c->closed);
        pass(f, EXTENSION_PARK_MS);
        expect_status(f, c, GRPC_UNAVAILABLE);
        assert_true(fact(f, ours)->owes_attempt);
}

static void a_revision_that_is_held_is_answered_at_once(void **state)
{
        Fixture *f = *state;
        char first[REVISION_MAX + 1];
        publish(f, 1, COMPLETE);
        IGNORE(snprintf(first, sizeof first, "%s", newest(f)), "same size");
        publish(f, 2, COMPLETE);
        assert_string_not_equal(first, newest(f));
        expect_served(f, ask(f, ours, first, 0), first, false);
        expect_served(f, ask(f, ours, newest(f), 0), newest(f), false);
        assert_int_equal(f->facts.counters.parked, 0);
}

static void a_revision_that_never_comes_is_answered_by_the_newest_and_owed(void **state)
{
        Fixture *f = *state;
        publish(f, 1, COMPLETE);
        PeerCall *c = ask_and_wait(f, "nobody-knows-it", 3);
        publish(f, 2, COMPLETE);
        pass(f, EXTENSION_PARK_MS - 1);
        assert_false(c->closed);
        pass(f, 1);
        expect_served(f, c, newest(f), true);
        assert_int_equal(fact(f, ours)->attempt, 3);
}

static void a_revision_that_comes_is_answered_at_once(void **state)
{
        Fixture *f = *state;
        publish(f, 1, COMPLETE);
        make(f, 2, COMPLETE);
        PeerCall *c = ask_and_wait(f, newest(f), 0);
        assert_false(c->closed);
        extension_publish(f->x, f->snapshot);
        expect_served(f, c, newest(f), false);
}

/* Merged Gateways: one call, and what happened is told of each. */
static void a_call_for_several_gateways_is_told_of_each(void **state)
{
        Fixture *f = *state;
        Buf b;
        publish(f, 1, COMPLETE);
        buf_init(&b, PEER_BYTES_MAX);
        put_binding(&b, foreign, "r7", 7);
        put_binding(&b, ours, "nobody-knows-it", 3);
        put_theirs(&b, 2, 5, foreign);
        PeerCall *c = peer_call(&f->peer, TRANSLATE, buf_str(&b));
        peer_settle(&f->peer);
        assert_false(c->closed);
        pass(f, EXTENSION_PARK_MS);
        expect_served(f, c, newest(f), true);
        const HookFact *other = fact(f, foreign);
        assert_non_null(other);
        assert_string_equal(other->asked, "r7");
        assert_int_equal(other->attempt, 7);
        assert_string_equal(other->served, snapshot_empty_revision(f->snapshot));
        assert_int_equal(other->calls, 1);
        assert_int_equal(fact(f, ours)->calls, 1);
        assert_int_equal(f->facts.counters.calls[5], 1);

        /* One that is given up is owed to each. */
        PeerCall *given_up = peer_call(&f->peer, TRANSLATE, buf_str(&b));
        peer_settle(&f->peer);
        int before = f->n_facts;
        peer_reset(&f->peer, given_up);
        PEER_UNTIL(&f->peer, f->n_facts > before);
        assert_true(fact(f, ours)->owes_attempt);
        assert_true(fact(f, foreign)->owes_attempt);
        buf_done(&b);
}

/* Each waits from its own arrival. */
static void each_waits_its_own_time(void **state)
{
        Fixture *f = *state;
        PeerCall *a = ask_and_wait(f, "r1", 0);
        pass(f, 300);
        PeerCall *b = ask_and_wait(f, "r1", 0);
        pass(f, 200);
        expect_status(f, a, GRPC_UNAVAILABLE);
        peer_settle(&f->peer);
        assert_false(b->closed);
        pass(f, 300);
        expect_status(f, b, GRPC_UNAVAILABLE);
}

static void only_so_many_wait(void **state)
{
        Fixture *f = *state;
        PeerCall *c[EXTENSION_PARKED_MAX + 1];
        for (size_t i = 0; i < LENGTH_OF(c); i++)
                c[i] = ask_and_wait(f, "r1", 0);
        expect_status(f, c[EXTENSION_PARKED_MAX], GRPC_UNAVAILABLE);
        for (size_t i = 0; i < EXTENSION_PARKED_MAX; i++)
                assert_false(c[i]->closed);
        pass(f, EXTENSION_PARK_MS);
        for (size_t i = 0; i < EXTENSION_PARKED_MAX; i++)
                expect_status(f, c[i], GRPC_UNAVAILABLE);
        assert_int_equal(f->facts.counters.parked, EXTENSION_PARKED_MAX);
        /* There is room again. */
        PeerCall *later = ask_and_wait(f, "r1", 0);
        assert_false(later->closed);
        publish(f, 1, COMPLETE);
        pass(f, EXTENSION_PARK_MS);
        expect_status(f, later, GRPC_OK);
}

/* ---- peers that go ---- */

static void a_call_that_is_given_up_is_forgotten_and_owed(void **state)
{
        Fixture *f = *state;
        PeerCall *c = ask_and_wait(f, "r1", 5);
        peer_reset(&f->peer, c);
        PEER_UNTIL(&f->peer, f->n_facts > 0);
        assert_true(fact(f, ours)->owes_attempt);
        assert_int_equal(fact(f, ours)->attempt, 5);
        publish(f, 1, COMPLETE);
        pass(f, EXTENSION_PARK_MS);
        assert_int_equal(f->n_facts, 1);
        expect_served(f, ask(f, ours, newest(f), 6), newest(f), false);
}

static void a_peer_that_hangs_up_is_forgotten(void **state)
{
        Fixture *f = *state;
        for (int i = 0; i < 3; i++)
                IGNORE(ask_and_wait(f, "r1", 0), "it is never answered");
        peer_close(&f->peer);
        for (int i = 0; i < 10; i++)
                loop_turn(f->loop, SPAN_MS(1));
        publish(f, 1, COMPLETE);
        test_clock_advance(&f->time, SPAN_S(1));
        for (int i = 0; i < 10; i++)
                loop_turn(f->loop, SPAN_MS(1));
        assert_int_equal(extension_counters(f->x)->calls_ok, 0);
        assert_int_equal(extension_counters(f->x)->calls_cancelled, 3);
}

typedef struct Meanwhile {
        Timer timer;
        Fixture *f;
} Meanwhile;

static void on_meanwhile(Timer *t)
{
        Fixture *f = CONTAINER_OF(t, Meanwhile, timer)->f;
        extension_publish(f->x, f->snapshot);
}

/* The reset is read, and before anybody is told of it, there is an answer. */
static void an_answer_between_a_reset_and_its_delivery(void **state)
{
        Fixture *f = *state;
        Meanwhile m = {.f = f};
        make(f, 1, COMPLETE);
        timer_init(&m.timer, f->loop, on_meanwhile);
        PeerCall *c = ask_and_wait(f, newest(f), 0);
        peer_reset(&f->peer, c);
        timer_set(&m.timer, loop_now(f->loop));
        peer_settle(&f->peer);
        assert_true(c->closed);
        assert_string_equal(fact(f, ours)->asked, newest(f));
        expect_served(f, ask(f, ours, newest(f), 0), newest(f), false);
}

/* ---- the end ---- */

static void closed_while_calls_wait(void **state)
{
        Fixture *f = *state;
        IGNORE(ask_and_wait(f, "r1", 0), "it is never answered");
        IGNORE(ask_and_wait(f, "r2", 0), "it is never answered");
        f->x = extension_close(f->x);
        pass(f, EXTENSION_PARK_MS);
        assert_true(f->peer.eof);
        assert_int_equal(f->n_facts, 0);
        assert_int_equal(f->n_drained, 0);
}

static void a_drain_lets_those_that_wait_be_answered(void **state)
{
        Fixture *f = *state;
        PeerCall *c = ask_and_wait(f, "r1", 0);
        extension_drain(f->x, SPAN_S(10));
        peer_settle(&f->peer);
        assert_true(f->peer.goaway);
        assert_int_equal(f->n_drained, 0);
        pass(f, EXTENSION_PARK_MS);
        expect_status(f, c, GRPC_UNAVAILABLE);
        for (int i = 0; i < 10 && f->n_drained == 0; i++)
                pass(f, 1000);
        assert_int_equal(f->n_drained, 1);
}

static void closed_while_it_drains(void **state)
{
        Fixture *f = *state;
        IGNORE(ask_and_wait(f, "r1", 0), "it is never answered");
        extension_drain(f->x, SPAN_S(10));
        peer_settle(&f->peer);
        f->x = extension_close(f->x);
        pass(f, 10000);
        assert_int_equal(f->n_drained, 0);
}

/* ---- what is not ours ---- */

static void every_method_gives_its_object_back(void **state)
{
        Fixture *f = *state;
        static const char *const methods[] = {
                METHOD("PostRouteModify"), METHOD("PostVirtualHostModify"),
                METHOD("PostHTTPListenerModify"), METHOD("PostClusterModify"),
                METHOD("PostEndpointsModify")};
        /* Field 1 with an object, field 2 with what the answer has no place for. */
        Str request = STR("\x0a\x05\x0a\x03"
                          "abc\x12\x02xy"),
            object = STR("\x0a\x05\x0a\x03"
                         "abc");
        for (int round = 0; round < 2; round++) {
                for (size_t i = 0; i < LENGTH_OF(methods); i++) {
                        PeerCall *c = peer_call(&f->peer, methods[i], request);
                        expect_status(f, c, GRPC_OK);
                        assert_true(str_eq(peer_answer(c), object));
                }
                /* The second time with something to serve. */
                publish(f, 1, COMPLETE);
        }
        PeerCall *c = ask(f, foreign, NULL, 0);
        expect_status(f, c, GRPC_OK);
        expect_unchanged(c, foreign);
        assert_string_equal(fact(f, foreign)->served, "");
        assert_false(fact(f, foreign)->owes_attempt);
        for (size_t m = 0; m < LENGTH_OF(methods); m++)
                assert_int_equal(f->facts.counters.calls[m], 2);
        assert_int_equal(f->facts.counters.calls[LENGTH_OF(methods)], 1);
}

/* Once the directories are read, it is known that nobody refers to it. */
static void a_gateway_that_is_not_ours_needs_no_complete_world(void **state)
{
        Fixture *f = *state;
        PeerCall *before = ask(f, foreign, NULL, 0);
        peer_settle(&f->peer);
        publish(f, 1, NOTHING_READ);
        peer_settle(&f->peer);
        assert_false(before->closed);
        publish(f, 1, NOT_COMPLETE);
        expect_status(f, before, GRPC_OK);
        expect_unchanged(before, foreign);
        PeerCall *bound = ask(f, foreign, "empty", 0);
        expect_status(f, bound, GRPC_OK);
        expect_unchanged(bound, foreign);
        /* Ours does. */
        PeerCall *c = ask(f, ours, NULL, 0);
        peer_settle(&f->peer);
        assert_false(c->closed);
        pass(f, EXTENSION_PARK_MS);
        expect_status(f, c, GRPC_UNAVAILABLE);
}

static void nonsense_is_refused_and_not_owed(void **state)
{
        Fixture *f = *state;
        PeerCall *c = peer_call(&f->peer, TRANSLATE, STR("\x0a\x7f"));
        expect_status(f, c, GRPC_INVALID_ARGUMENT);
        c = peer_call(&f->peer, METHOD("PostRouteModify"), STR("\x0a\x7f"));
        expect_status(f, c, GRPC_INVALID_ARGUMENT);
        assert_int_equal(f->facts.counters.invalid, 2);
        for (size_t i = 0; i < f->facts.n_hooks; i++)
                assert_false(f->facts.hooks[i].owes_attempt);
}

static void an_unknown_method_is_unimplemented(void **state)
{
        Fixture *f = *state;
        expect_status(f, peer_call(&f->peer, METHOD("PostEverythingModify"), (Str){0}),
                      GRPC_UNIMPLEMENTED);
        expect_status(f, peer_call(&f->peer, "/x.Y/Z", (Str){0}), GRPC_UNIMPLEMENTED);
}

/* Names that come and go leave their place to those that are there. */
static void many_gateways_do_not_take_the_place_of_ours(void **state)
{
        Fixture *f = *state;
        publish(f, 1, COMPLETE);
        for (unsigned i = 0; i < FACTS_GATEWAYS_MAX; i++) {
                char name[32];
                IGNORE(snprintf(name, sizeof name, "gone-%u", i), "fits");
                assert_non_null(facts_hook(&f->facts, (ObjectKey){STR("demo"), str_of(name)}));
        }
        expect_served(f, ask(f, ours, newest(f), 0), newest(f), false);
        assert_true(f->facts.n_hooks <= FACTS_GATEWAYS_MAX);
}

/* ---- health ---- */

static void health_request(Buf *b, const char *service)
{
        buf_init(b, 256);
        if (service[0] == '\0')
                return;
        put(b, 1, str_of(service));
}

static PeerCall *health(Fixture *f, const char *method, const char *service)
{
        Buf b;
        health_request(&b, service);
        PeerCall *c = peer_call(&f->peer, method, buf_str(&b));
        buf_done(&b);
        return c;
}

/* The last of the messages that came: an enum as field 1. */
static int last_status(const PeerCall *c)
{
        return c->body.n >= 7 ? c->body.p[c->body.n - 1] : -1;
}

static size_t n_messages(const PeerCall *c)
{
        return c->body.n / 7;
}

static void expect_health(Fixture *f, const char *service, int status)
{
        PeerCall *c = health(f, CHECK, service);
        expect_status(f, c, GRPC_OK);
        assert_int_equal(n_messages(c), 1);
        assert_int_equal(last_status(c), status);
}

static void health_is_checked(void **state)
{
        Fixture *f = *state;
        expect_health(f, "", 2);
        expect_health(f, SERVICE, 2);
        publish(f, 1, NOT_COMPLETE);
        expect_health(f, "", 2);
        publish(f, 1, COMPLETE);
        expect_health(f, "", 1);
        expect_health(f, SERVICE, 1);
        expect_status(f, health(f, CHECK, "a.B"), GRPC_NOT_FOUND);
        expect_status(f, peer_call(&f->peer, CHECK, STR("\x0a\x7f")), GRPC_INVALID_ARGUMENT);
        expect_status(f, peer_call(&f->peer, WATCH, STR("\x0a\x7f")), GRPC_INVALID_ARGUMENT);
}

static void health_is_watched(void **state)
{
        Fixture *f = *state;
        PeerCall *all = health(f, WATCH, ""), *one = health(f, WATCH, SERVICE),
                 *unknown = health(f, WATCH, "a.B");
        PEER_UNTIL(&f->peer,
                   last_status(all) == 2 && last_status(one) == 2 && last_status(unknown) == 3);
        publish(f, 1, COMPLETE);
        PEER_UNTIL(&f->peer, last_status(all) == 1 && last_status(one) == 1);
        publish(f, 2, COMPLETE);
        extension_drain(f->x, SPAN_S(10));
        PEER_UNTIL(&f->peer, last_status(all) == 2 && last_status(one) == 2);
        peer_settle(&f->peer);
        assert_int_equal(n_messages(all), 3);
        assert_int_equal(n_messages(unknown), 1);
        assert_false(unknown->closed);
}

static void a_watch_that_goes_is_forgotten(void **state)
{
        Fixture *f = *state;
        PeerCall *c = health(f, WATCH, "");
        PEER_UNTIL(&f->peer, n_messages(c) == 1);
        peer_reset(&f->peer, c);
        peer_settle(&f->peer);
        publish(f, 1, COMPLETE);
        peer_settle(&f->peer);
        assert_int_equal(n_messages(c), 1);
}

static void only_so_many_watch(void **state)
{
        Fixture *f = *state;
        PeerCall *first = health(f, WATCH, "");
        for (int i = 1; i < EXTENSION_WATCHERS_MAX; i++)
                IGNORE(health(f, WATCH, ""), "it stays open");
        peer_settle(&f->peer);
        expect_status(f, health(f, WATCH, ""), GRPC_RESOURCE_EXHAUSTED);
        assert_false(first->closed);
        peer_reset(&f->peer, first);
        peer_settle(&f->peer);
        PeerCall *c = health(f, WATCH, "");
        PEER_UNTIL(&f->peer, n_messages(c) == 1);
        assert_false(c->closed);
}

/* While it drains it serves nobody new, whatever is published meanwhile. */
static void a_drain_is_not_taken_back_by_a_new_world(void **state)
{
        Fixture *f = *state;
        publish(f, 1, COMPLETE);
        PeerCall *c = health(f, WATCH, "");
        PEER_UNTIL(&f->peer, last_status(c) == 1);
        extension_drain(f->x, SPAN_S(10));
        publish(f, 2, COMPLETE);
        peer_settle(&f->peer);
        assert_int_equal(last_status(c), 2);
        assert_int_equal(n_messages(c), 2);
}

/* ---- opening ---- */

static void an_address_that_is_taken_is_told(void **state)
{
        Fixture *f = *state;
        char text[TEST_PATH + 16];
        Address two[2];
        Err err = {0};
        IGNORE(snprintf(text, sizeof text, "unix://%s/t", f->dir.path), "fits");
        assert_true(address_parse(str_of(text), &two[0], NULL));
        IGNORE(snprintf(text, sizeof text, "unix://%s/none/t", f->dir.path), "fits");
        assert_true(address_parse(str_of(text), &two[1], NULL));
        assert_null(extension_open(&(ExtensionInput){.loop = f->loop,
                                                     .clock = &f->clock,
                                                     .addresses = two,
                                                     .n_addresses = 2,
                                                     .facts = &f->facts},
                                   &err));
        assert_true(err.text[0] != '\0');
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(without_a_snapshot_it_waits_then_refuses_and_owes),
                TEST(a_snapshot_in_time_answers_it),
                TEST(an_incomplete_world_keeps_it_waiting),
                TEST(a_revision_that_is_held_is_answered_at_once),
                TEST(a_revision_that_never_comes_is_answered_by_the_newest_and_owed),
                TEST(a_revision_that_comes_is_answered_at_once),
                TEST(a_call_for_several_gateways_is_told_of_each),
                TEST(each_waits_its_own_time),
                TEST(only_so_many_wait),
                TEST(a_call_that_is_given_up_is_forgotten_and_owed),
                TEST(a_peer_that_hangs_up_is_forgotten),
                TEST(an_answer_between_a_reset_and_its_delivery),
                TEST(closed_while_calls_wait),
                TEST(a_drain_lets_those_that_wait_be_answered),
                TEST(closed_while_it_drains),
                TEST(every_method_gives_its_object_back),
                TEST(a_gateway_that_is_not_ours_needs_no_complete_world),
                TEST(nonsense_is_refused_and_not_owed),
                TEST(an_unknown_method_is_unimplemented),
                TEST(many_gateways_do_not_take_the_place_of_ours),
                TEST(health_is_checked),
                TEST(health_is_watched),
                TEST(a_watch_that_goes_is_forgotten),
                TEST(only_so_many_watch),
                TEST(a_drain_is_not_taken_back_by_a_new_world),
                TEST(an_address_that_is_taken_is_told),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
