/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "proto/pb_reader.h"
#include "translate/contribution.h"
#include "translate/ingress_way.h"
#include "translate/test_world.h"

#include "pb_tokens.h"

#include <stdio.h>

#define LISTENER(name, port, protocol, more) \
        "{name: " name ", protocol: " protocol ", port: " #port more "}"
#define GATEWAY(listeners)                                                                     \
        "---\n{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: gw, " \
        "namespace: demo}, spec: {gatewayClassName: eg, listeners: [" listeners "]}}\n"
#define ENTRY(name, tailnet, generation, ingress)                                                  \
        "{name: " name ", tailscaleTailnetRef: {name: " tailnet "}, routeGeneration: {" generation \
        "}, connectivity: {mode: Direct, ingress: {" ingress "}}}"
#define OURS(name, entries)                                                                     \
        "---\n{apiVersion: gateway.tailscale.com/v1alpha1, kind: TailscaleGateway, metadata: "  \
        "{name: " name ", namespace: demo}, spec: {gatewayRef: {name: gw}, tailnets: [" entries \
        "]}}\n"
#define BY(section)      "ingress: {protocol: HTTP, sectionName: " section "}"
#define SOCKET           "socket: /run/s"
#define HTTP(name, port) LISTENER(name, port, "HTTP", "")

static const WayReport *way_at(const Fixture *f, size_t i)
{
        assert_true(table_n(f->report->ways) > i);
        return f->report->ways->at[i];
}

static const ListenerPatch *guard_of(const Fixture *f, size_t i)
{
        const Contribution *c = snapshot_gateway_at(f->snapshot, 0);
        assert_true(c->n_patches > i);
        assert_int_equal(c->patches[i].kind, LISTENER_GUARDED);
        return &c->patches[i];
}

/* "127.0.0.1/32 fd00::/8 ": what the guard admits. */
static void print_trusted(const ListenerPatch *p, char *out, size_t max)
{
        Str filter = pb_get(p->packs[1]->bytes, PBN_FilterChain_filters);
        Str rules = pb_get(pb_get(pb_get(filter, PBN_Filter_typed_config), PBN_Any_value),
                           PBN_rbac_RBAC_rules);
        Str policy = pb_get(pb_get(rules, PBN_RBAC_policies), PBN_RBAC_policies_value);
        PbReader r = pb_reader(policy);
        size_t n = 0;

        out[0] = '\0';
        for (Str principal; pb_next_len(&r, PBN_Policy_principals, &principal);) {
                Str range = pb_get(principal, PBN_Principal_direct_remote_ip);
                Str address = pb_get(range, PBN_CidrRange_address_prefix);
                PbReader bits = pb_reader(pb_get(range, PBN_CidrRange_prefix_len));
                PbField f = {0};
                IGNORE(pb_next(&bits, &f), "0 where it is empty");
                n += (size_t)snprintf(out + n, max - n, "%.*s/%u ", STR_FMT(address),
                                      (unsigned)f.value);
        }
}

static void expect_trusted(const ListenerPatch *p, const char *want)
{
        char text[1024];

        print_trusted(p, text, sizeof(text));
        assert_string_equal(text, want);
}

static void test_a_named_listener_is_guarded(void **state)
{
        Fixture f = fixture_open(
                GATEWAY(HTTP("http", 80) ", " HTTP("tailnet", 10080))
                        FIXTURE_TAILNET OURS("a", ENTRY("corp", "corp", BY("tailnet"), SOCKET)),
                NULL);
        const WayReport *w = way_at(&f, 0);

        (void)state;
        assert_int_equal(w->reason.n, 0);
        assert_true(str_eq(w->listener, STR("tailnet")));
        assert_int_equal(w->port, 10080);
        const ListenerPatch *p = guard_of(&f, 0);
        assert_true(str_eq(p->name_v1, STR("demo/gw/tailnet")));
        assert_int_equal(p->port, 10080);
        Str filter = pb_get(p->packs[0]->bytes, PBN_Listener_listener_filters);
        assert_true(str_eq(pb_get(filter, PBN_ListenerFilter_name),
                           STR("envoy.filters.listener.proxy_protocol")));
        expect_trusted(p, "127.0.0.1/32 ");
        fixture_done(&f);
}

static void test_kinds_of_listeners(void **state)
{
        static const char *const worlds[] = {
                GATEWAY(LISTENER("tcp", 10022, "TCP", ""))
                        OURS("a", ENTRY("corp", "corp",
                                        "ingress: {protocol: TCP, sectionName: tcp}", SOCKET)),
                GATEWAY(LISTENER("tls", 10443, "TLS", ", tls: {mode: Passthrough}"))
                        OURS("a", ENTRY("corp", "corp",
                                        "ingress: {protocol: TLS, sectionName: tls}", SOCKET)),
                GATEWAY(LISTENER("https", 10443, "HTTPS", ""))
                        OURS("a", ENTRY("corp", "corp",
                                        "ingress: {protocol: HTTPS, sectionName: https}", SOCKET)),
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(worlds); i++) {
                Fixture f = fixture_open(worlds[i], NULL);
                assert_int_equal(way_at(&f, 0)->reason.n, 0);
                assert_int_equal(guard_of(&f, 0)->port, way_at(&f, 0)->port);
                fixture_done(&f);
        }
}

/* Without a word of it everything is as it was. */
static void test_nobody_asks(void **state)
{
        Fixture f = fixture_open(
                GATEWAY(HTTP("http", 80) ", " HTTP("tailnet", 10080))
                        FIXTURE_TAILNET OURS("a", ENTRY("corp", "corp", BY("tailnet"), "")),
                NULL);

        (void)state;
        assert_int_equal(table_n(f.report->ways), 0);
        assert_int_equal(snapshot_gateway_at(f.snapshot, 0)->n_patches, 0);
        assert_string_equal(snapshot_gateway_at(f.snapshot, 0)->revision,
                            snapshot_empty_revision(f.snapshot));
        fixture_done(&f);
}

static void test_refusals(void **state)
{
        static const struct {
                const char *about, *manifests, *reason;
        } cases[] = {
                {"no ingress",
                 GATEWAY(HTTP("http", 80))
                         OURS("a", ENTRY("corp", "corp", "egress: {protocol: HTTP}", SOCKET)),
                 "NoIngress"},
                {"no Gateway", OURS("a", ENTRY("corp", "corp", BY("http"), SOCKET)),
                 "GatewayNotFound"},
                {"no such listener",
                 GATEWAY(HTTP("http", 80)) OURS("a", ENTRY("corp", "corp", BY("other"), SOCKET)),
                 "NoMatchingListener"},
                {"the only one, and not named",
                 GATEWAY(HTTP("http", 80))
                         OURS("a", ENTRY("corp", "corp", "ingress: {protocol: HTTP}", SOCKET)),
                 "ListenerNotNamed"},
                {"two listeners of one port",
                 GATEWAY(LISTENER("pub", 443, "HTTPS", ", hostname: a.example") ", " LISTENER(
                         "tailnet", 443, "HTTPS", ", hostname: b.example"))
                         OURS("a",
                              ENTRY("corp", "corp",
                                    "ingress: {protocol: HTTPS, sectionName: tailnet}", SOCKET)),
                 "ListenerShared"},
                {"egress of the same entry",
                 GATEWAY(HTTP("http", 80))
                         OURS("a", ENTRY("corp", "corp",
                                         BY("http") ", egress: {protocol: HTTP, sectionName: http}",
                                         SOCKET)),
                 "ListenerShared"},
                {"egress of a TCP port",
                 GATEWAY(LISTENER("tcp", 10022, "TCP", ""))
                         OURS("a", ENTRY("corp", "corp",
                                         "ingress: {protocol: TCP, sectionName: tcp}, egress: "
                                         "{protocol: TCP, portMap: [{service: x, listenerPort: "
                                         "10022}]}",
                                         SOCKET)),
                 "ListenerShared"},
                {"a TCP listener without a name",
                 GATEWAY(LISTENER("tcp", 10022, "TCP", ""))
                         OURS("a", ENTRY("corp", "corp", "ingress: {protocol: TCP}", SOCKET)),
                 "NoMatchingListener"},
                {"UDP",
                 GATEWAY(LISTENER("udp", 10053, "UDP", ""))
                         OURS("a", ENTRY("corp", "corp",
                                         "ingress: {protocol: UDP, sectionName: udp}", SOCKET)),
                 "ProtocolNotSupported"},
                {"egress of another one, that finds it by itself",
                 GATEWAY(HTTP("http", 80)) OURS("a", ENTRY("corp", "corp", BY("http"), SOCKET))
                         OURS("b", ENTRY("lab", "lab", "egress: {protocol: HTTP}", "")),
                 "ListenerShared"},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                Fixture f = fixture_open(cases[i].manifests, NULL);
                const WayReport *w = way_at(&f, 0);
                print_message("%s: %.*s: %.*s\n", cases[i].about, STR_FMT(w->reason),
                              STR_FMT(w->text));
                assert_true(str_eq(w->reason, str_of(cases[i].reason)));
                assert_true(w->text.n > 0);
                assert_int_equal(snapshot_gateway_at(f.snapshot, 0)->n_patches, 0);
                fixture_done(&f);
        }
}

/* Two tailnets are told apart by their listeners; two proxies of one tailnet are not. */
static void test_one_tailnet_a_listener(void **state)
{
        Fixture f = fixture_open(
                GATEWAY(HTTP("one", 10001) ", " HTTP("two", 10002)) OURS(
                        "a",
                        ENTRY("corp", "corp", BY("two"), "trustedSources: [10.0.0.0/8]") ", " ENTRY(
                                "lab", "lab", BY("two"),
                                "trustedSources: [0.0.0.0/0]") ", " ENTRY("corp-too", "corp",
                                                                          BY("two"),
                                                                          "trustedSources: "
                                                                          "[\"fd00::/8\", "
                                                                          "10.0.0.0/8]"))
                        OURS("b", ENTRY("lab", "lab", BY("one"), SOCKET)),
                NULL);

        (void)state;
        assert_int_equal(table_n(f.report->ways), 4);
        assert_int_equal(way_at(&f, 0)->reason.n, 0);
        assert_int_equal(way_at(&f, 1)->reason.n, 0);
        assert_true(str_eq(way_at(&f, 2)->tailnet, STR("lab")));
        assert_true(str_eq(way_at(&f, 2)->reason, STR("ListenerTaken")));
        assert_int_equal(way_at(&f, 3)->reason.n, 0);
        assert_int_equal(guard_of(&f, 0)->port, 10001);
        expect_trusted(guard_of(&f, 0), "127.0.0.1/32 ");
        assert_int_equal(guard_of(&f, 1)->port, 10002);
        expect_trusted(guard_of(&f, 1), "10.0.0.0/8 fd00::/8 ");
        assert_int_equal(snapshot_gateway_at(f.snapshot, 0)->n_patches, 2);
        fixture_done(&f);
}

/* Who may say who calls is part of what is promised: another revision; the same again is the same.
 */
/* Five entries of one tailnet, of which each trusts as many ranges as one may. */
static void test_as_many_sources_as_one_guard_takes(void **state)
{
        enum {
                RANGES = 256
        };
        Buf text;
        (void)state;
        buf_init(&text, 1 << 20);
        buf_printf(&text, "%s%s%s", GATEWAY(HTTP("in", 8443)), FIXTURE_TAILNET,
                   "---\n{apiVersion: gateway.tailscale.com/v1alpha1, kind: TailscaleGateway, "
                   "metadata: {name: ours, namespace: demo}, spec: {gatewayRef: {name: gw}, "
                   "tailnets: [");
        for (int i = 0; i < 5; i++) {
                buf_printf(&text,
                           "{name: t%d, tailscaleTailnetRef: {name: corp}, routeGeneration: "
                           "{ingress: {protocol: HTTP, sectionName: in}}, connectivity: {mode: "
                           "Direct, ingress: {trustedSources: [",
                           i);
                for (int j = 0; j < RANGES; j++)
                        buf_printf(&text, "%s10.%d.%d.0/24", j > 0 ? ", " : "", i, j);
                buf_printf(&text, "]}}}%s", i < 4 ? ", " : "");
        }
        buf_printf(&text, "]}}\n");
        buf_add_char(&text, '\0');
        Fixture f = fixture_open(text.p, NULL);
        for (size_t i = 0; i < 5; i++)
                assert_int_equal(str_eq(way_at(&f, i)->reason, STR("TooManySources")), i == 4);
        assert_true(guard_of(&f, 0)->packs[1]->n > 1024 * 8);
        fixture_done(&f);
        buf_done(&text);
}

static void test_revisions(void **state)
{
#define WORLD(trusted)            \
        GATEWAY(HTTP("http", 80)) \
        OURS("a", ENTRY("corp", "corp", BY("http"), "trustedSources: [" trusted "]"))
        Fixture a = fixture_open(WORLD("10.0.0.0/8"), NULL);
        Fixture b = fixture_open(WORLD("10.0.0.0/8"), a.snapshot);
        Fixture c = fixture_open(WORLD("10.0.0.0/9"), a.snapshot);
        const char *first = snapshot_gateway_at(a.snapshot, 0)->revision;

        (void)state;
        assert_string_equal(first, snapshot_gateway_at(b.snapshot, 0)->revision);
        assert_ptr_equal(guard_of(&a, 0)->packs[0], guard_of(&b, 0)->packs[0]);
        assert_ptr_equal(guard_of(&a, 0)->packs[1], guard_of(&b, 0)->packs[1]);
        assert_string_not_equal(first, snapshot_gateway_at(c.snapshot, 0)->revision);
        World *w = fixture_world(WORLD("10.0.0.0/8"));
        Report *report;
        Snapshot *digests = snapshot_digests_new(w, NULL, &report);
        assert_string_equal(first, snapshot_gateway_at(digests, 0)->revision);
        assert_int_equal(table_n(report->ways), 1);
        leaf_unref(report);
        snapshot_unref(digests);
        leaf_unref(w);
        fixture_done(&a);
        fixture_done(&b);
        fixture_done(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_named_listener_is_guarded),
                cmocka_unit_test(test_kinds_of_listeners),
                cmocka_unit_test(test_nobody_asks),
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_one_tailnet_a_listener),
                cmocka_unit_test(test_as_many_sources_as_one_guard_takes),
                cmocka_unit_test(test_revisions),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
