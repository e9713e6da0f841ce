/* SPDX-License-Identifier: Apache-2.0 */
#include "execute/definitions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#define HOW "; apply deploy/crds of version " TSGW_VERSION ", or helm upgrade the chart"

static const KubeResource ours = {"apis/gateway.tailscale.com/v1alpha1", "tailscaleendpoints",
                                  "TailscaleEndpoints"},
                          theirs = {"apis/apps/v1", "deployments", "Deployment"};

static void a_person_reads_what_lacks(void **state)
{
        static const struct {
                const char *misfit, *says;
        } cases[] = {
                {".spec.x: field not declared in schema",
                 "older than this program: it lacks spec.x"},
                {".spec.a[name=\"b]\\\"]\",port=80].c[\"d\"].e: field not declared in schema",
                 "older than this program: it lacks spec.a[].c[].e"},
                {".spec.a: expected list, got &{str}",
                 "another than this program's: .spec.a: expected list, got &{str}"},
                {".spec.a[\"b: field not declared in schema",
                 "older than this program: it lacks spec.a["},
        };
        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                char expected[ERR_TEXT_MAX];
                Err err = {0};
                snprintf(expected, sizeof expected,
                         "CustomResourceDefinition tailscaleendpoints.gateway.tailscale.com is "
                         "%s" HOW,
                         cases[i].says);
                definitions_explain(&ours, str_of(cases[i].misfit), &err);
                assert_string_equal(err.text, expected);
                assert_string_equal(err.reason, "DefinitionOutdated");
        }
}

static void it_is_about_ours_alone(void **state)
{
        KubeStatus refusal = {.misfit = STR("x")}, other = {.message = STR("x")};
        (void)state;
        assert_true(definitions_is_misfit(&ours, &refusal));
        assert_false(definitions_is_misfit(&theirs, &refusal));
        assert_false(definitions_is_misfit(&ours, &other));
        assert_false(definitions_is_misfit(&ours, NULL));
}

static int64_t n_at(Definitions *d, int64_t s)
{
        definitions_look(d, (Mono){SPAN_S(s).ns});
        return d->n;
}

static void it_is_news_once(void **state)
{
        Definitions d = {0};
        (void)state;
        assert_int_equal(n_at(&d, 1), 0);
        assert_true(definitions_refused(&d, OBSERVED_ENDPOINTS, (Mono){SPAN_S(1).ns}));
        assert_true(definitions_refused(&d, OBSERVED_TAILNET, (Mono){SPAN_S(1).ns}));
        assert_false(definitions_refused(&d, OBSERVED_ENDPOINTS, (Mono){SPAN_S(60).ns}));
        assert_int_equal(n_at(&d, 61), 2);
        definitions_taken(&d, OBSERVED_TAILNET);
        assert_int_equal(n_at(&d, 61), 1);
        assert_int_equal(n_at(&d, 59 + DEFINITIONS_KEPT_S), 1);
        assert_int_equal(n_at(&d, 60 + DEFINITIONS_KEPT_S), 0);
        assert_true(definitions_refused(&d, OBSERVED_ENDPOINTS, (Mono){SPAN_S(1000).ns}));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_person_reads_what_lacks),
                cmocka_unit_test(it_is_about_ours_alone),
                cmocka_unit_test(it_is_news_once),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
