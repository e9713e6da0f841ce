/* SPDX-License-Identifier: Apache-2.0 */
#include "model/extension_ask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "model/gateway_spec.h"
#include "model/gateway_status.h"
#include "model/manifest.h"
#include "model/policy.h"

typedef struct Asked {
        ManifestSet set;
        const Table *gateways;
        const Policy *policy;
        ExtensionWish base, wish;
} Asked;

static ExtensionCaps caps; /* of the next one that asks */

/* TailscaleGateways a, b, … of these ages (ms; 0: not known) that ask so (YAML in flow style). */
static void ask(Asked *a, size_t n, const char *const *asks, const int64_t *ages)
{
        const Str images[] = {STR_INIT("good.io/*")};
        PolicyInput policy = {.in_kubernetes = true};
        Faults faults;
        Err err = {0};

        policy.lists[POLICY_IMAGES] = (StrList){images, 1};
        *a = (Asked){.policy = policy_new(&policy, &err)};
        assert_non_null(a->policy);
        a->base = (ExtensionWish){.image = STR("own.io/x:1"), .replicas = 2};
        a->base.caps = caps;
        a->base.resources.at[AMOUNT_REQUEST][AMOUNT_MEMORY] = 64000;
        manifest_set_init(&a->set);
        faults_init(&faults);
        for (size_t i = 0; i < n; i++) {
                char text[1024];

                snprintf(text, sizeof(text),
                         "apiVersion: gateway.tailscale.com/v1alpha1\nkind: TailscaleGateway\n"
                         "metadata: {name: %c, namespace: ns}\n"
                         "spec: {gatewayRef: {name: eg}, tailnets: [{name: t, tailscaleTailnetRef: "
                         "{name: t}}]%s%s}\n",
                         (char)('a' + i), asks[i][0] != '\0' ? ", extensionServer: " : "", asks[i]);
                if (!manifest_read(&a->set, STR("f.yaml"), str_of(text), &faults))
                        fail_msg("%s", text);
                if (ages != NULL) {
                        const void *leaf = a->set.kinds[MANIFEST_GATEWAY].at[i];

                        ((GatewaySpec *)(uintptr_t)leaf)->meta.created.ms = ages[i];
                }
        }
        faults_done(&faults);
        a->gateways = manifest_table(&a->set, MANIFEST_GATEWAY, NULL);
        extension_wish_make(a->gateways, a->policy, &a->base, &a->wish);
}

static void done(Asked *a)
{
        table_unref(a->gateways);
        leaf_unref(a->policy);
        manifest_set_done(&a->set);
}

static bool is_ignored(const Asked *a, size_t i, Err *err)
{
        *err = (Err){0};
        return extension_wish_ignores(&a->wish, table_at(a->gateways, i), a->policy, err);
}

static void nobody_asks(void **state)
{
        Asked a;

        (void)state;
        ask(&a, 0, NULL, NULL);
        assert_true(str_eq(a.wish.image, STR("own.io/x:1")));
        assert_int_equal(a.wish.replicas, 2);
        assert_int_equal(a.wish.resources.at[AMOUNT_REQUEST][AMOUNT_MEMORY], 64000);
        done(&a);
}

static void the_largest_counts(void **state)
{
        static const char *const asks[] = {
                "{replicas: 3, resources: {requests: {cpu: 100m, memory: 1Ki}, limits: {memory: "
                "2Ki}}}",
                "{replicas: 5, resources: {requests: {cpu: 0.2, ephemeral-storage: 1Gi}}}"};
        Asked a;
        Err err;

        (void)state;
        ask(&a, 2, asks, NULL);
        assert_int_equal(a.wish.replicas, 5);
        assert_int_equal(a.wish.resources.at[AMOUNT_REQUEST][AMOUNT_CPU], 200);
        assert_int_equal(a.wish.resources.at[AMOUNT_REQUEST][AMOUNT_MEMORY], 1024000);
        assert_int_equal(a.wish.resources.at[AMOUNT_REQUEST][AMOUNT_STORAGE],
                         INT64_C(1073741824000));
        assert_int_equal(a.wish.resources.at[AMOUNT_LIMIT][AMOUNT_MEMORY], 2048000);
        assert_int_equal(a.wish.resources.at[AMOUNT_LIMIT][AMOUNT_CPU], 0);
        assert_false(is_ignored(&a, 0, &err));
        assert_false(is_ignored(&a, 1, &err));
        done(&a);
}

static void nobody_has_more_than_the_administrator_allows(void **state)
{
        static const char *const asks[] = {
                "{replicas: 5, resources: {requests: {cpu: 2, memory: 1Ti}}}", "{replicas: 100}",
                "{resources: {limits: {memory: 3Gi, cpu: 1}}}",
                "{replicas: 10, resources: {requests: {cpu: 2, memory: 2Gi}}}"};
        static const int64_t gib = INT64_C(1073741824000);
        Asked a;
        Err err;

        (void)state;
        caps = (ExtensionCaps){
                .replicas = 10,
                .amounts = {[AMOUNT_CPU] = 2000, [AMOUNT_MEMORY] = 2 * gib, [AMOUNT_STORAGE] = 1}};
        ask(&a, LENGTH_OF(asks), asks, NULL);
        caps = (ExtensionCaps){0};
        assert_int_equal(a.wish.replicas, 10);
        assert_int_equal(a.wish.resources.at[AMOUNT_REQUEST][AMOUNT_MEMORY], 2 * gib);
        assert_int_equal(a.wish.resources.at[AMOUNT_LIMIT][AMOUNT_MEMORY], 2 * gib);
        assert_int_equal(a.wish.resources.at[AMOUNT_REQUEST][AMOUNT_CPU], 2000);
        assert_true(is_ignored(&a, 0, &err));
        assert_string_equal(err.reason, "ExtensionServerIgnored");
        assert_string_equal(err.text, "extensionServer.resources.requests.memory: 2Gi at most "
                                      "(--max-extension-memory)");
        assert_true(is_ignored(&a, 1, &err));
        assert_string_equal(err.text,
                            "extensionServer.replicas: 10 at most (--max-extension-replicas)");
        assert_true(is_ignored(&a, 2, &err));
        assert_false(is_ignored(&a, 3, &err));
        done(&a);
}

/* One that does not ask wishes for what the operator is set to. */
static void less_than_usual_counts_where_all_ask_for_it(void **state)
{
        static const char *const asks[] = {"{replicas: 1, resources: {requests: {memory: 1m}}}",
                                           ""};
        Asked a;

        (void)state;
        ask(&a, 1, asks, NULL);
        assert_int_equal(a.wish.replicas, 1);
        assert_int_equal(a.wish.resources.at[AMOUNT_REQUEST][AMOUNT_MEMORY], 1);
        done(&a);
        ask(&a, 2, asks, NULL);
        assert_int_equal(a.wish.replicas, 2);
        assert_int_equal(a.wish.resources.at[AMOUNT_REQUEST][AMOUNT_MEMORY], 64000);
        done(&a);
}

static void no_limit_is_below_its_request(void **state)
{
        static const char *const asks[] = {"{resources: {limits: {memory: 10}}}",
                                           "{resources: {requests: {memory: 20}}}"};
        Asked a;

        (void)state;
        ask(&a, 2, asks, NULL);
        assert_int_equal(a.wish.resources.at[AMOUNT_LIMIT][AMOUNT_MEMORY],
                         a.wish.resources.at[AMOUNT_REQUEST][AMOUNT_MEMORY]);
        assert_int_equal(a.wish.resources.at[AMOUNT_LIMIT][AMOUNT_MEMORY], 64000);
        done(&a);
}

static void the_image_is_that_of_the_oldest_who_may(void **state)
{
        static const char *const asks[] = {"{image: 'bad.io/x'}", "{image: 'good.io/young'}",
                                           "{image: 'good.io/old'}", "{image: 'good.io/old'}"};
        static const int64_t ages[] = {1000, 3000, 2000, 4000};
        Asked a;
        Err err;

        (void)state;
        ask(&a, 4, asks, ages);
        assert_true(str_eq(a.wish.image, STR("good.io/old")));
        assert_true(is_ignored(&a, 0, &err));
        assert_string_equal(err.reason, "ExtensionServerIgnored");
        assert_string_equal(err.text, "extensionServer: image bad.io/x is not one of the "
                                      "operator's --allowed-images");
        assert_true(is_ignored(&a, 1, &err));
        assert_string_equal(err.text,
                            "extensionServer.image: there is one for the whole cluster, and ns/c, "
                            "which is older, asks for good.io/old");
        assert_false(is_ignored(&a, 2, &err));
        assert_false(is_ignored(&a, 3, &err));
        done(&a);
        /* Where ages are not known: by name. */
        ask(&a, 4, asks, NULL);
        assert_true(str_eq(a.wish.image, STR("good.io/young")));
        done(&a);
}

static void what_is_not_known_is_said_so(void **state)
{
        static const char *const asks[] = {"{resources: {limits: {nvidia.com/gpu: 1}}}",
                                           "{resources: {limits: {memory: 9Ei}}}", "{}", ""};
        Asked a;
        Err err;

        (void)state;
        ask(&a, 4, asks, NULL);
        assert_true(is_ignored(&a, 0, &err));
        assert_non_null(strstr(err.text, "extensionServer.resources: "));
        assert_true(is_ignored(&a, 1, &err));
        assert_false(is_ignored(&a, 2, &err));
        assert_false(is_ignored(&a, 3, &err));
        assert_int_equal(a.wish.resources.at[AMOUNT_LIMIT][AMOUNT_MEMORY], 0);
        done(&a);
}

static void where_none_is_managed_nothing_is_honoured(void **state)
{
        static const char *const asks[] = {"{replicas: 1}", "", "{image: 'good.io/x'}"};
        Asked a;
        Err err;

        (void)state;
        ask(&a, 3, asks, NULL);
        a.base.image = (Str){0};
        extension_wish_make(a.gateways, a.policy, &a.base, &a.wish);
        assert_int_equal(a.wish.image.n, 0);
        assert_true(is_ignored(&a, 0, &err));
        assert_string_equal(err.text, "extensionServer: none is managed here");
        assert_false(is_ignored(&a, 1, &err));
        assert_true(is_ignored(&a, 2, &err));
        done(&a);
}

static void expect_accepted(const Asked *a, size_t i, const char *before, const char *reason)
{
        GatewayStatus s = {.spec = table_at(a->gateways, i)};

        buf_init(&s.texts[0], 4096);
        s.conditions[0] = (Condition){"Accepted", before, .reason = STR("Valid")};
        gateway_status_extension(&s, &a->wish, a->policy);
        assert_string_equal(s.conditions[0].status, before);
        if (!str_eq(s.conditions[0].reason, str_of(reason)))
                fail_msg("%.*s", STR_FMT(s.conditions[0].reason));
        assert_int_equal(s.conditions[0].message.n > 0, strcmp(reason, "Valid") != 0);
        gateway_status_done(&s);
}

static void its_condition_says_so(void **state)
{
        static const char *const asks[] = {"{image: 'bad.io/x'}", "{replicas: 1}"};
        Asked a;

        (void)state;
        ask(&a, 2, asks, NULL);
        expect_accepted(&a, 0, "True", "ExtensionServerIgnored");
        expect_accepted(&a, 0, "False", "Valid");
        expect_accepted(&a, 1, "True", "Valid");
        done(&a);
}

/* An edit of any of it makes another leaf. */
static void what_is_asked_is_part_of_the_spec(void **state)
{
        static const char *const asks[] = {"",
                                           "{image: x}",
                                           "{replicas: 3}",
                                           "{resources: {limits: {cpu: 1}}}",
                                           "{resources: {requests: {cpu: 1}}}",
                                           "{resources: {requests: {gpu: 1}}}"};

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(asks); i++) {
                for (size_t k = 0; k < LENGTH_OF(asks); k++) {
                        Asked a, b;

                        ask(&a, 1, &asks[i], NULL);
                        ask(&b, 1, &asks[k], NULL);
                        assert_int_equal(
                                gateway_spec_same(table_at(a.gateways, 0), table_at(b.gateways, 0)),
                                i == k);
                        done(&a);
                        done(&b);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(nobody_asks),
                cmocka_unit_test(the_largest_counts),
                cmocka_unit_test(nobody_has_more_than_the_administrator_allows),
                cmocka_unit_test(less_than_usual_counts_where_all_ask_for_it),
                cmocka_unit_test(no_limit_is_below_its_request),
                cmocka_unit_test(the_image_is_that_of_the_oldest_who_may),
                cmocka_unit_test(what_is_not_known_is_said_so),
                cmocka_unit_test(where_none_is_managed_nothing_is_honoured),
                cmocka_unit_test(its_condition_says_so),
                cmocka_unit_test(what_is_asked_is_part_of_the_spec),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
