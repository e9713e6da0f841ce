/* SPDX-License-Identifier: Apache-2.0 */
#include "model/trust_bundle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/manifest.h"

#define GATEWAY(ca)                                                                            \
        "---\n{apiVersion: gateway.tailscale.com/v1alpha1, kind: TailscaleGateway, metadata: " \
        "{name: g, namespace: demo}, spec: {gatewayRef: {name: gw}, tailnets: [{name: a, "     \
        "tailscaleTailnetRef: {name: t}, routeGeneration: {egress: {tls: {caSecretRef: "       \
        "{name: " ca "}}}}}, {name: b, tailscaleTailnetRef: {name: t}}]}}\n"
#define SECRET(ca) \
        "---\n{apiVersion: v1, kind: Secret, metadata: {name: ca, namespace: demo}, " ca "}\n"

/* The only bundle of these manifests. */
static Table *read_bundles(const char *manifests, const Table *old)
{
        ManifestSet set;
        Faults faults;
        manifest_set_init(&set);
        faults_init(&faults);
        assert_true(manifest_read(&set, STR("t.yaml"), str_of(manifests), &faults));
        Table *gateways = manifest_table(&set, MANIFEST_GATEWAY, NULL);
        Table *secrets = manifest_table(&set, MANIFEST_SECRET, NULL);
        Table *bundles = trust_bundles(gateways, secrets, old);
        table_unref(gateways);
        table_unref(secrets);
        faults_done(&faults);
        manifest_set_done(&set);
        return bundles;
}

static void check(const char *manifests, const char *reason, const char *text)
{
        Table *t = read_bundles(manifests, NULL);
        assert_int_equal(table_n(t), 1);
        const TrustBundle *b = t->at[0];
        assert_true(str_eq(b->key.namespace, STR("demo")));
        assert_int_equal(b->pem.n, 0);
        assert_string_equal(b->reason, reason);
        assert_true(str_find_str(b->text, str_of(text)) >= 0);
        table_unref(t);
}

static void why_there_is_none_is_told(void **state)
{
        (void)state;
        check(GATEWAY("gone") SECRET("stringData: {ca.crt: x}"), "CASecretNotFound", "no such");
        check(GATEWAY("ca") SECRET("stringData: {api_key: x}"), "BadCASecret", "has no ca.crt");
        check(GATEWAY("ca") SECRET("stringData: {ca.crt: x}"), "BadCASecret", "ca.crt: ");
        check(GATEWAY("ca") SECRET("data: {ca.crt: '*'}"), "BadCASecret", "not base64");
        check(GATEWAY("ca") SECRET("stringData: {ca.crt: [x]}"), "BadCASecret", "not a string");
        /* As Kubernetes has it, stringData counts. */
        check(GATEWAY("ca") SECRET("data: {ca.crt: '*'}, stringData: {ca.crt: x}"), "BadCASecret",
              "no certificate");
}

static void what_is_the_same_keeps_its_table(void **state)
{
        (void)state;
        Table *one = read_bundles(GATEWAY("ca") SECRET("stringData: {ca.crt: x}"), NULL);
        Table *two = read_bundles(GATEWAY("ca") SECRET("stringData: {ca.crt: y}"), one);
        assert_ptr_equal(one, two);
        Table *three = read_bundles(GATEWAY("ca"), two);
        assert_ptr_not_equal(two, three);
        table_unref(one);
        table_unref(two);
        table_unref(three);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(why_there_is_none_is_told),
                cmocka_unit_test(what_is_the_same_keeps_its_table),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
