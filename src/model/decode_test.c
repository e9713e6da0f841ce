/* SPDX-License-Identifier: Apache-2.0 */
/* Every field of every schema of ours, with every wrong type and every hostile text in its place:
 * the fault stands at the field's own path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "model/endpoints_spec.h"
#include "model/gateway_spec.h"
#include "model/manifest.h"
#include "model/schema.h"
#include "model/tailnet_spec.h"

enum {
        TEXT_MAX = 8192,
        DEPTH_MAX = 8
};

typedef struct Place {
        const char *kind;
        char before[TEXT_MAX], after[TEXT_MAX], path[TEXT_MAX];
        size_t n_fields;
} Place;

static bool has_fault_at(const Faults *f, Str path)
{
        for (size_t i = 0; i < f->n; i++)
                if (str_starts(f->at[i].path, path))
                        return true;
        return false;
}

/* Does a document with `value` there have a fault at that path or below? */
static bool is_refused(const Place *p, const char *value)
{
        CLEANUP(manifest_set_done) ManifestSet set;
        CLEANUP(faults_done) Faults faults;
        static char text[4 * TEXT_MAX];
        bool ok;

        manifest_set_init(&set);
        faults_init(&faults);
        snprintf(text, sizeof(text),
                 "apiVersion: gateway.tailscale.com/v1alpha1\nkind: %s\nmetadata: {name: x}\n"
                 "spec: %s%s%s\n",
                 p->kind, p->before, value, p->after);
        ok = manifest_read(&set, STR("x.yaml"), str_of(text), &faults);
        assert_int_equal(ok, faults.n_total == 0);
        return has_fault_at(&faults, str_of(p->path));
}

static void assert_refused(const Place *p, const char *value)
{
        if (!is_refused(p, value))
                fail_msg("%s: %s takes %s", p->kind, p->path, value);
}

static void scalars_are_checked(const Place *p, const Field *f)
{
        static const char *const not_a_string[] = {
                "7", "true", "[]", "{}", "[a]", "{a: b}", "\"a\\u0007b\"", "\"\\u0000\""};
        static const char *const not_a_number[] = {
                "x", "\"7\"", "true", "[]", "{}", "1.5", "1e99", "99999999999999999999999", "\"\""};
        static const char *const not_a_bool[] = {"x", "1", "\"true\"", "[]", "{}", "y"};
        static const char *const not_of_a_set[] = {"nosuch", "1", "true", "[]", "{}", "\"\""};
        static const char *const not_a_span[] = {"x",  "1",  "30", "-1s",      "true",
                                                 "[]", "{}", "1y", "99999999h"};
        static const char *const no_ports[] = {
                "x",     "\"\"",   "true", "[]",    "{}",        "1.5",          "0",
                "65536", "udp:53", "80-",  "80-70", "\"80,,1\"", "\"8\\u0000\"", "tcp:icmp"};
        const char *const *values = not_a_string;
        size_t n = LENGTH_OF(not_a_string);

        if (f->type == FIELD_INT) {
                values = not_a_number;
                n = LENGTH_OF(not_a_number);
        } else if (f->type == FIELD_BOOL) {
                values = not_a_bool;
                n = LENGTH_OF(not_a_bool);
        } else if (f->type == FIELD_ENUM) {
                values = not_of_a_set;
                n = LENGTH_OF(not_of_a_set);
        } else if (f->type == FIELD_SPAN) {
                values = not_a_span;
                n = LENGTH_OF(not_a_span);
        } else if (f->type == FIELD_PORTS) {
                values = no_ports;
                n = LENGTH_OF(no_ports);
        }
        for (size_t i = 0; i < n; i++)
                assert_refused(p, values[i]);
}

static void long_text_is_refused(const Place *p)
{
        char text[STRING_MAX + 8];

        memset(text, 'a', sizeof(text));
        text[sizeof(text) - 1] = '\0';
        assert_refused(p, text);
}

static void lists_are_checked(const Place *p, const Field *f)
{
        static const char *const not_a_list[] = {"x", "1", "true", "{}", "{a: b}", "\"\""};
        static char many[TEXT_MAX];
        size_t n = 0;

        for (size_t i = 0; i < LENGTH_OF(not_a_list); i++)
                assert_refused(p, not_a_list[i]);
        assert_refused(p, "[null]");
        assert_refused(p, "[[]]");
        n = (size_t)snprintf(many, sizeof(many), "[");
        for (size_t i = 0; i <= (f->max_items > 0 ? f->max_items : ITEMS_MAX); i++)
                n += (size_t)snprintf(many + n, sizeof(many) - n, "a,");
        snprintf(many + n, sizeof(many) - n, "]");
        assert_refused(p, many);
        if (f->min_items > 0)
                assert_refused(p, "[]");
        if (f->is_set)
                assert_refused(p, f->type == FIELD_INTS ? "[80, 80]" : "[\"::1\", \"::1\"]");
}

static void objects_are_checked(const Place *p, const Field *f)
{
        static const char *const not_an_object[] = {"x", "1", "true", "[]", "[a]", "\"\""};

        for (size_t i = 0; i < LENGTH_OF(not_an_object); i++)
                assert_refused(p, not_an_object[i]);
        if (f->type == FIELD_OBJECT)
                assert_refused(p, "{noSuchMember: 1}");
        if (f->type == FIELD_MAP)
                assert_refused(p, "{a: 1}");
        if (f->type == FIELD_AMOUNTS)
                assert_refused(p, "{a: 1x}");
}

static void field_is_checked(const Place *p, const Field *f)
{
        switch (f->type) {
        case FIELD_PORTS:
        case FIELD_STR:
                long_text_is_refused(p);
                scalars_are_checked(p, f);
                break;
        case FIELD_BOOL:
        case FIELD_INT:
        case FIELD_ENUM:
        case FIELD_SPAN:
                scalars_are_checked(p, f);
                break;
        case FIELD_STRS:
        case FIELD_INTS:
        case FIELD_CIDRS:
        case FIELD_LIST:
                lists_are_checked(p, f);
                break;
        case FIELD_OBJECT:
        case FIELD_MAP:
        case FIELD_AMOUNTS:
        case FIELD_FREE:
                objects_are_checked(p, f);
                break;
        case FIELD_TIME:
        case FIELD_ANY:
                break;
        }
        /* As Kubernetes has it: null is absent. */
        assert_int_equal(is_refused(p, "null"), f->required);
}

static void enter(Place *to, const Place *from, const char *name, bool list)
{
        int a = snprintf(to->before, TEXT_MAX, "%s{%s: %s", from->before, name, list ? "[" : "");
        int b = snprintf(to->after, TEXT_MAX, "%s}%s", list ? "]" : "", from->after);
        int c = snprintf(to->path, TEXT_MAX, "%s.%s%s", from->path, name, list ? "[0]" : "");

        assert_true(a < TEXT_MAX && b < TEXT_MAX && c < TEXT_MAX);
        to->kind = from->kind;
}

static void schema_is_checked(Place *places, size_t depth, const Schema *schema)
{
        INSIST(depth + 1 < DEPTH_MAX);
        for (size_t i = 0; i < schema->n; i++) {
                const Field *f = &schema->fields[i];

                enter(&places[depth + 1], &places[depth], f->name, false);
                field_is_checked(&places[depth + 1], f);
                places[0].n_fields++;
                if (f->schema == NULL)
                        continue;
                enter(&places[depth + 1], &places[depth], f->name, f->type == FIELD_LIST);
                schema_is_checked(places, depth + 1, f->schema);
        }
}

static size_t kind_is_checked(const char *kind, const Schema *schema)
{
        static Place places[DEPTH_MAX];

        places[0] = (Place){.kind = kind, .path = "spec"};
        schema_is_checked(places, 0, schema);
        return places[0].n_fields;
}

static void test_tailnets(void **state)
{
        (void)state;
        assert_in_range(kind_is_checked("TailscaleTailnet", &tailnet_spec_schema), 20, 40);
}

static void test_gateways(void **state)
{
        (void)state;
        assert_in_range(kind_is_checked("TailscaleGateway", &gateway_spec_schema), 60, 120);
}

static void test_endpoints(void **state)
{
        (void)state;
        assert_in_range(kind_is_checked("TailscaleEndpoints", &endpoints_spec_schema), 14, 30);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_tailnets),
                cmocka_unit_test(test_gateways),
                cmocka_unit_test(test_endpoints),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
