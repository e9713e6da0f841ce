/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/manifest.h"
#include "model/render.h"
#include "proto/yaml.h"

static void assert_bytes(const Buf *b, const char *want)
{
        if (!str_eq(buf_str(b), str_of(want)))
                fail_msg("%.*s", STR_FMT(buf_str(b)));
}

static void test_binding(void **state)
{
        CLEANUP(buf_done) Buf b;

        (void)state;
        buf_init(&b, 4096);
        render_binding((ObjectKey){STR("envoy-gateway-system"), STR("eg-gateway")}, STR("123e4567"),
                       0, &b);
        assert_bytes(&b, "apiVersion: gateway.tailscale.com/v1alpha1\n"
                         "kind: TailscaleGatewayBinding\n"
                         "metadata:\n"
                         "  name: eg-gateway\n"
                         "  namespace: envoy-gateway-system\n"
                         "spec:\n"
                         "  targetRefs:\n"
                         "  - group: gateway.networking.k8s.io\n"
                         "    kind: Gateway\n"
                         "    name: eg-gateway\n"
                         "  revision: \"123e4567\"\n");
}

static void test_binding_comes_back(void **state)
{
        CLEANUP(manifest_set_done) ManifestSet set;
        CLEANUP(faults_done) Faults faults;
        CLEANUP(buf_done) Buf b;
        const BindingSpec *s;

        (void)state;
        buf_init(&b, 4096);
        manifest_set_init(&set);
        faults_init(&faults);
        render_binding((ObjectKey){STR("true"), STR("1")}, STR("00000000"), 7, &b);
        assert_true(manifest_read(&set, STR("b.yaml"), buf_str(&b), &faults));
        s = set.kinds[MANIFEST_BINDING].at[0];
        assert_true(str_eq(s->revision, STR("00000000")));
        assert_int_equal(s->attempt, 7);
        assert_true(str_eq(s->meta.key.namespace, STR("true")));
        assert_true(str_eq(s->meta.key.name, STR("1")));
}

static const Endpoint *endpoint(const char *service, uint16_t port, Protocol protocol)
{
        static const Str tags[] = {STR_INIT("tag:a"), STR_INIT("tag:b")};

        return endpoint_new(&(Endpoint){
                .service = str_of(service),
                .short_name = port == 1 ? STR("other: #name") : str_of(service),
                .ip = STR("100.64.0.1"),
                .fqdn = port == 2 ? STR("") : STR("a.ts.net"),
                .node_id = STR("12345"),
                .port_source = STR("ports[1]"),
                .rule = STR("pattern \"api-*\" {x}"),
                .health = STR("Healthy"),
                .health_text = port == 3 ? STR("") : STR("SharedIn: shared in: \"x\""),
                .tags = {tags, port % 3},
                .port = port,
                .protocol = protocol,
                .weight = port,
                .origin = ENDPOINT_DISCOVERED,
        });
}

static EntryView *view(void)
{
        const void *leaves[] = {endpoint("null", 3, PROTOCOL_GRPC), endpoint("b", 1, PROTOCOL_TCP),
                                endpoint("a'\"\\ \xe2\x80\xa8\xc2\x80", 2, PROTOCOL_HTTP)};
        EntryView *v = leaf_new(sizeof(*v), 256, entry_view_drop);

        v->gateway = (ObjectKey){STR("team-a"), STR("corp-gateway")};
        v->tailnet = STR("corp");
        v->source = STR("corp-tailnet");
        v->known = true;
        v->last_sync = (Wall){1795384636000};
        v->next_key_expiry = (Wall){1795470000000};
        v->held = (HeldRemoval){2, 1, STR("12ab"), STR("TooManyRemoved")};
        v->endpoints = table_new(leaves, LENGTH_OF(leaves), endpoint_order);
        return v;
}

static void test_endpoints_bytes(void **state)
{
        CLEANUP(leaf_cleanup) EntryView *v = view();
        CLEANUP(buf_done) Buf b;

        (void)state;
        buf_init(&b, 1 << 16);
        render_endpoints(v, STR("corp-gateway-corp-0-0"),
                         (const Endpoint *const *)v->endpoints->at + 1, 1, &b);
        assert_bytes(&b, "apiVersion: gateway.tailscale.com/v1alpha1\n"
                         "kind: TailscaleEndpoints\n"
                         "metadata:\n"
                         "  name: corp-gateway-corp-0-0\n"
                         "  namespace: team-a\n"
                         "  labels:\n"
                         "    gateway.tailscale.com/gateway: corp-gateway\n"
                         "    gateway.tailscale.com/tailnet: corp\n"
                         "  annotations:\n"
                         "    gateway.tailscale.com/tailscale-tailnet: corp-tailnet\n"
                         "spec:\n"
                         "  tailnet: corp\n"
                         "  endpoints:\n"
                         "  - name: b\n"
                         "    tailscaleIP: \"100.64.0.1\"\n"
                         "    tailscaleFQDN: a.ts.net\n"
                         "    port: 1\n"
                         "    protocol: TCP\n"
                         "    tags:\n"
                         "    - \"tag:a\"\n"
                         "    nodeID: \"12345\"\n"
                         "    shortName: \"other: #name\"\n"
                         "    portSource: \"ports[1]\"\n"
                         "    rule: \"pattern \\\"api-*\\\" {x}\"\n"
                         "    health: Healthy\n"
                         "    healthText: \"SharedIn: shared in: \\\"x\\\"\"\n"
                         "    weight: 1\n"
                         "status:\n"
                         "  discoveredEndpoints: 1\n"
                         "  lastSync: \"2026-11-22T21:57:16Z\"\n"
                         "  nextKeyExpiry: \"2026-11-23T21:40:00Z\"\n"
                         "  held:\n"
                         "    count: 2\n"
                         "    confirmations: 1\n"
                         "    digest: \"12ab\"\n"
                         "    reason: TooManyRemoved\n"
                         "  conditions:\n"
                         "  - type: Synced\n"
                         "    status: \"True\"\n"
                         "    reason: DiscoverySuccessful\n"
                         "  - type: RemovalHeld\n"
                         "    status: \"True\"\n"
                         "    reason: TooManyRemoved\n");
}

/* What is written is read back the same, and is written the same again. */
static void test_endpoints_come_back(void **state)
{
        CLEANUP(manifest_set_done) ManifestSet set;
        CLEANUP(leaf_cleanup) EntryView *v = view();
        CLEANUP(faults_done) Faults faults;
        CLEANUP(buf_done) Buf b;
        const EndpointsSpec *s;

        (void)state;
        buf_init(&b, 1 << 16);
        manifest_set_init(&set);
        faults_init(&faults);
        render_endpoints(v, STR("x"), (const Endpoint *const *)v->endpoints->at, 3, &b);
        if (!manifest_read(&set, STR("e.yaml"), buf_str(&b), &faults))
                fail_msg("%.*s", STR_FMT(faults.at[0].text));
        s = set.kinds[MANIFEST_ENDPOINTS].at[0];
        assert_true(str_eq(s->gateway, STR("corp-gateway")));
        assert_true(str_eq(s->tailnet, STR("corp")));
        assert_true(str_eq(s->source, STR("corp-tailnet")));
        assert_true(str_eq(s->held_digest, STR("12ab")));
        assert_int_equal(s->held_confirmations, 1);
        assert_int_equal(s->held_n, 2);
        assert_true(str_eq(s->held_reason, STR("TooManyRemoved")));
        assert_int_equal(s->last_sync.ms, 1795384636000);
        assert_int_equal(s->next_key_expiry.ms, 1795470000000);
        assert_int_equal(s->n, 3);
        for (size_t i = 0; i < s->n; i++)
                assert_true(endpoint_same(s->endpoints[i], v->endpoints->at[i]));
}

static void test_an_empty_shard(void **state)
{
        CLEANUP(manifest_set_done) ManifestSet set;
        CLEANUP(leaf_cleanup) EntryView *v = leaf_new(sizeof(*v), 0, entry_view_drop);
        CLEANUP(faults_done) Faults faults;
        CLEANUP(buf_done) Buf b;

        (void)state;
        buf_init(&b, 1 << 16);
        manifest_set_init(&set);
        faults_init(&faults);
        v->gateway = (ObjectKey){STR("n"), STR("g")};
        v->tailnet = STR("t");
        render_endpoints(v, STR("x"), NULL, 0, &b);
        assert_true(manifest_read(&set, STR("e.yaml"), buf_str(&b), &faults));
        assert_int_equal(((const EndpointsSpec *)set.kinds[MANIFEST_ENDPOINTS].at[0])->n, 0);
}

/* Every scalar comes back as the string that it was, whatever it looks like. */
static void test_scalars_come_back(void **state)
{
        static const Str words[] = {
                STR_INIT(""),
                STR_INIT("null"),
                STR_INIT("~"),
                STR_INIT("Yes"),
                STR_INIT("1"),
                STR_INIT("1e3"),
                STR_INIT("0x1f"),
                STR_INIT("-"),
                STR_INIT("a: b"),
                STR_INIT("a #b"),
                STR_INIT("#a"),
                STR_INIT("'a'"),
                STR_INIT("\"a\""),
                STR_INIT("\\"),
                STR_INIT("a\nb"),
                STR_INIT(" a "),
                STR_INIT("*a"),
                STR_INIT("&a"),
                STR_INIT("!a"),
                STR_INIT("{a}"),
                STR_INIT("[a]"),
                STR_INIT("a,b"),
                STR_INIT("@a"),
                STR_INIT("%a"),
                STR_INIT("---"),
                STR_INIT("..."),
                STR_INIT("\xc2\x85"),
                STR_INIT("\xc2\x9f"),
                STR_INIT("\xe2\x80\xa9"),
                STR_INIT("\xef\xbb\xbf"),
                STR_INIT("\xef\xbf\xbf"),
                STR_INIT("\xf0\x9f\x98\x80"),
                STR_INIT("a\0b"),
                STR_INIT("\t"),
                STR_INIT("\x7f"),
                STR_INIT("plain-Word_1.x/y"),
                STR_INIT("inf"),
                STR_INIT(".nan"),
                STR_INIT("n"),
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(words) + 128; i++) {
                CLEANUP(buf_done) Buf b;
                char letter = (char)(i - LENGTH_OF(words));
                Str word = i < LENGTH_OF(words) ? words[i] : str_make(&letter, 1);
                const Tree *t;
                Arena arena;
                Err err = {0};

                buf_init(&b, 4096);
                arena_init(&arena, 0);
                buf_add_str(&b, STR("k: "));
                doc_yaml_scalar(&b, word);
                buf_add_char(&b, '\n');
                CLEANUP(yaml_cleanup) Yaml *y = yaml_new(buf_str(&b));
                if (!yaml_next(y, &arena, &t, NULL, &err))
                        fail_msg("%.*s: %s", STR_FMT(buf_str(&b)), err.text);
                if (t->first->type != TREE_STRING || !str_eq(t->first->text, word))
                        fail_msg("%.*s", STR_FMT(buf_str(&b)));
                arena_done(&arena);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_binding),         cmocka_unit_test(test_binding_comes_back),
                cmocka_unit_test(test_endpoints_bytes), cmocka_unit_test(test_endpoints_come_back),
                cmocka_unit_test(test_an_empty_shard),  cmocka_unit_test(test_scalars_come_back),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
