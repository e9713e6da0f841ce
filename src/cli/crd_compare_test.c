/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/crd_compare.h"

#include "cli/test_check.h"
#include "model/crd.h"

/* The definition of that plural with `from` made `to`, once; both empty: as it is. */
static const Tree *definition(Fixture *f, const char *plural, const char *from, const char *to)
{
        CLEANUP(buf_done) Buf own, changed;
        Str text;
        ptrdiff_t at;

        buf_init(&own, CRD_BYTES_MAX);
        buf_init(&changed, 2 * CRD_BYTES_MAX);
        crd_render(crd_compare_kind(plural), &own);
        text = buf_str(&own);
        at = str_find_str(text, str_of(from));
        assert_true(at >= 0);
        buf_add_str(&changed, str_sub(text, 0, (size_t)at));
        buf_add_str(&changed, str_of(to));
        buf_add_str(&changed, str_sub(text, (size_t)at + strlen(from), text.n));
        buf_add_char(&changed, '\0');
        return tree_of(f, arena_str(&f->arena, buf_str(&changed)).p);
}

static void assert_lacks(Fixture *f, const char *plural, const Tree *installed, size_t n,
                         const char *text)
{
        CLEANUP(buf_done) Buf out;

        buf_init(&out, 1 << 16);
        assert_int_equal(crd_compare_lacks(crd_compare_kind(plural), installed, &f->arena, &out),
                         n);
        buf_add_char(&out, '\0');
        assert_string_equal(out.p, text);
}

static void our_own_lack_nothing(void **state)
{
        Fixture *f = *state;

        for (size_t i = 0; i < RESOURCE_KINDS; i++)
                assert_lacks(f, resource_kinds[i].plural,
                             definition(f, resource_kinds[i].plural, "", ""), 0, "");
        assert_null(crd_compare_kind("pods"));
}

static void what_lacks_is_named(void **state)
{
        static const struct {
                const char *plural, *from, *to, *says;
                size_t n;
        } cases[] = {
                {"tailscaleendpoints", "nodeID:", "nodeName:", "spec.endpoints[].nodeID", 1},
                {"tailscaleendpoints", "nodeID:",
                 "future:\n                      type: string\n                    nodeID:", "", 0},
                {"tailscalegateways", "- 'Proxy'", "- 'Tunnel'",
                 "spec.tailnets[].connectivity.mode: no value Proxy", 1},
                {"tailscaletailnets", "credentials:", "other:", "spec.credentials", 1},
                {"tailscaleendpoints",
                 "openAPIV3Schema:", "schemaOfOld:", "apiVersion, kind, metadata, spec, status", 5},
        };
        Fixture *f = *state;

        for (size_t i = 0; i < LENGTH_OF(cases); i++)
                assert_lacks(f, cases[i].plural,
                             definition(f, cases[i].plural, cases[i].from, cases[i].to), cases[i].n,
                             cases[i].says);
}

static void many_are_counted(void **state)
{
        Fixture *f = *state;
        const Tree *bare = tree_of(
                f, "{spec: {versions: [{name: v1alpha1, schema: {openAPIV3Schema: {properties: "
                   "{apiVersion: {}, kind: {}, metadata: {}, spec: {}, status: {}}}}}]}}");
        CLEANUP(buf_done) Buf out;
        size_t n;

        buf_init(&out, 1 << 16);
        n = crd_compare_lacks(crd_compare_kind("tailscaletailnets"), bare, &f->arena, &out);
        assert_true(n > CRD_COMPARE_NAMED);
        assert_true(str_ends(buf_str(&out), STR(" more")));
        assert_true(str_starts(buf_str(&out), STR("spec.")));
}

static void versions_are_numbers(void **state)
{
        (void)state;
        assert_true(crd_compare_versions(STR("0.9.0"), STR("0.10.0")) < 0);
        assert_true(crd_compare_versions(STR("1.0.0"), STR("0.10.9")) > 0);
        assert_int_equal(crd_compare_versions(STR("1.2.3"), STR("1.2.3")), 0);
        assert_int_equal(crd_compare_versions(STR("1.2"), STR("9.9.9")), 0);
        assert_int_equal(crd_compare_versions(STR("1.2.3.4"), STR("9.9.9")), 0);
        assert_int_equal(crd_compare_versions(STR(""), STR("9.9.9")), 0);
        assert_int_equal(crd_compare_versions(STR("9.9.9"), STR("1.x.3")), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(our_own_lack_nothing, setup, teardown),
                cmocka_unit_test_setup_teardown(what_lacks_is_named, setup, teardown),
                cmocka_unit_test_setup_teardown(many_are_counted, setup, teardown),
                cmocka_unit_test(versions_are_numbers),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
