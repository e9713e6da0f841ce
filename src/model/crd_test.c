/* SPDX-License-Identifier: Apache-2.0 */
/* The tables have what a definition is made of, and the definitions keep the rules of structural
 * schemas. What an API server makes of them is shown in tests/e2e. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/arena.h"
#include "base/instant.h"
#include "model/crd.h"
#include "model/reference.h"
#include "proto/yaml.h"

enum {
        PROSE_MAX = 700 /* more belongs into a page */
};

/* The tables */

static bool is_default_good(const Field *f)
{
        char expected[EXPECTED_MAX];
        Str s = str_of(f->fallback);
        uint64_t n;
        Span span;

        switch (f->type) {
        case FIELD_STR:
        case FIELD_STRS:
                return f->check == NULL || f->check(s, expected);
        case FIELD_BOOL:
                return str_eq(s, STR("true")) || str_eq(s, STR("false"));
        case FIELD_INT:
                return str_to_u64(s, INT64_MAX, &n) && (int64_t)n >= f->min && (int64_t)n <= f->max;
        case FIELD_SPAN:
                return span_parse(s, &span) && span.ns >= SPAN_MS(f->min).ns &&
                       span.ns <= SPAN_MS(f->max).ns;
        case FIELD_ENUM:
                for (const EnumName *e = f->names; e->name != NULL; e++)
                        if (str_eq(s, str_of(e->name)))
                                return true;
                return false;
        case FIELD_INTS:
        case FIELD_CIDRS:
        case FIELD_PORTS:
        case FIELD_OBJECT:
        case FIELD_LIST:
        case FIELD_MAP:
        case FIELD_AMOUNTS:
        case FIELD_TIME:
        case FIELD_FREE:
        case FIELD_ANY:
                return false;
        }
        return false;
}

static const Field *field_of(const Schema *schema, Str name)
{
        for (size_t i = 0; i < schema->n; i++)
                if (str_eq(str_of(schema->fields[i].name), name))
                        return &schema->fields[i];
        return NULL;
}

/* Each key is a member that every item has. */
static void keys_are_always_there(const Field *list)
{
        Str rest = str_of(list->keys), key;
        bool more = list->keys != NULL;

        while (more) {
                const Field *f;

                more = str_cut(&rest, ' ', &key);
                f = field_of(list->schema, key);
                if (f == NULL || !(f->required || f->fallback != NULL))
                        fail_msg("%s: its key %.*s may be absent", list->name, STR_FMT(key));
        }
}

static void prose_is_good(const char *where, const char *about)
{
        Str s = str_of(about);

        if (s.n == 0 || s.n > PROSE_MAX || !str_ends(s, STR(".")) || !str_is_printable_utf8(s) ||
            str_find_str(s, STR("  ")) >= 0)
                fail_msg("%s: prose \"%s\"", where, about != NULL ? about : "");
}

static void table_is_good(const Schema *schema)
{
        for (size_t i = 0; i < schema->n; i++) {
                const Field *f = &schema->fields[i];

                prose_is_good(f->name, f->about);
                assert_ptr_equal(field_of(schema, str_of(f->name)), f);
                if (f->fallback != NULL && (f->required || !is_default_good(f)))
                        fail_msg("%s: default %s", f->name, f->fallback);
                if (f->type == FIELD_LIST)
                        keys_are_always_there(f);
                if (f->type == FIELD_ENUM)
                        assert_non_null(f->names);
                if (f->schema != NULL)
                        table_is_good(f->schema);
        }
        for (const SchemaRule *r = schema->rules; r != NULL && r->cel != NULL; r++) {
                assert_non_null(r->message);
                if (r->path != NULL)
                        assert_non_null(field_of(schema, str_of(r->path + 1)));
        }
}

static void test_tables(void **state)
{
        (void)state;
        for (size_t i = 0; i < RESOURCE_KINDS; i++) {
                const ResourceKind *k = &resource_kinds[i];

                prose_is_good(k->kind, k->about);
                prose_is_good(k->kind, k->about_spec);
                prose_is_good(k->kind, k->about_status);
                table_is_good(k->spec);
                table_is_good(k->status);
                for (size_t j = 0; j < k->n_columns; j++)
                        prose_is_good(k->columns[j].name, k->columns[j].about);
                if (i > 0)
                        assert_true(strcmp(resource_kinds[i - 1].kind, k->kind) < 0);
        }
}

/* The definitions */

typedef struct Page {
        Buf text;
        Arena arena;
        const Tree *root;
} Page;

static void page_open(Page *p, const ResourceKind *k)
{
        CLEANUP(yaml_cleanup) Yaml *y = NULL;
        TreeMark at;
        Err err;

        buf_init(&p->text, CRD_BYTES_MAX);
        crd_render(k, &p->text);
        assert_false(p->text.failed);
        arena_init(&p->arena, CRD_BYTES_MAX);
        y = yaml_new(buf_str(&p->text));
        assert_true(yaml_next(y, &p->arena, &p->root, &at, &err));
        assert_non_null(p->root);
}

static void page_close(Page *p)
{
        buf_done(&p->text);
        arena_done(&p->arena);
}

static const Tree *at(const Tree *t, const char *path)
{
        Str rest = str_of(path), name;
        bool more;

        do {
                more = str_cut(&rest, '.', &name);
                t = tree_get(t, name);
        } while (more);
        return t;
}

static void members_are_sorted(const Tree *t)
{
        const Tree *before = NULL;

        TREE_FOREACH (child, t) {
                if (t->type == TREE_OBJECT && before != NULL &&
                    str_cmp(before->key, child->key) >= 0)
                        fail_msg("%.*s stands before %.*s", STR_FMT(before->key),
                                 STR_FMT(child->key));
                members_are_sorted(child);
                before = child;
        }
}

static bool has(const Tree *t, const char *name)
{
        return tree_get(t, str_of(name)) != NULL;
}

static void schema_is_structural(const Tree *t, const char *name);

static void members_are_structural(const Tree *t)
{
        TREE_FOREACH (p, tree_get(t, STR("properties"))) {
                char name[128];

                snprintf(name, sizeof(name), "%.*s", STR_FMT(p->key));
                schema_is_structural(p, name);
                if (!has(p, "description"))
                        fail_msg("%s has no description", name);
        }
        TREE_FOREACH (r, tree_get(t, STR("required")))
                assert_non_null(tree_get(tree_get(t, STR("properties")), tree_str(r)));
}

static void schema_is_structural(const Tree *t, const char *name)
{
        Str type = tree_get_str(t, STR("type"));
        bool is_any = has(t, "x-kubernetes-preserve-unknown-fields");
        bool is_mixed = has(t, "x-kubernetes-int-or-string");

        if ((type.n == 0) != (is_any || is_mixed))
                fail_msg("%s has no type, or one too many", name);
        if ((str_eq(type, STR("string")) || is_mixed) && !has(t, "maxLength") && !has(t, "enum") &&
            !has(t, "format"))
                fail_msg("%s has no bound", name);
        if (str_eq(type, STR("array"))) {
                if (!has(t, "maxItems") || !has(t, "items") || !has(t, "x-kubernetes-list-type"))
                        fail_msg("%s: its items have no bound or no kind", name);
                schema_is_structural(tree_get(t, STR("items")), name);
        }
        if (str_eq(type, STR("object"))) {
                if (!has(t, "properties") &&
                    !(has(t, "additionalProperties") && has(t, "maxProperties")))
                        fail_msg("%s has no members", name);
                if (has(t, "additionalProperties"))
                        schema_is_structural(tree_get(t, STR("additionalProperties")), name);
                members_are_structural(t);
        }
}

static void test_definitions(void **state)
{
        (void)state;
        for (size_t i = 0; i < RESOURCE_KINDS; i++) {
                const ResourceKind *k = &resource_kinds[i];
                const Tree *version, *schema;
                Page p;

                page_open(&p, k);
                assert_true(str_eq(tree_str(at(p.root, "spec.names.kind")), str_of(k->kind)));
                assert_true(str_eq(tree_str(at(p.root, "spec.scope")), STR("Namespaced")));
                members_are_sorted(p.root);
                version = at(p.root, "spec.versions")->first;
                assert_non_null(at(version, "subresources.status"));
                schema = at(version, "schema.openAPIV3Schema");
                schema_is_structural(at(schema, "properties.spec"), "spec");
                schema_is_structural(at(schema, "properties.status"), "status");
                page_close(&p);
        }
}

/* Samples of what a table is turned into. */
static void test_samples(void **state)
{
        static const char root[] = "schema.openAPIV3Schema.properties.spec.properties.";
        const Tree *version, *node;
        char path[256];
        Page p;

        (void)state;
        page_open(&p, &resource_kinds[1]);
        version = at(p.root, "spec.versions")->first;
        snprintf(path, sizeof(path), "%stailnets", root);
        node = at(version, path);
        assert_true(str_eq(tree_str(at(node, "x-kubernetes-list-type")), STR("map")));
        assert_true(str_eq(at(node, "minItems")->text, STR("1")));
        node = at(node, "items.properties.serviceDiscovery.properties");
        assert_true(at(node, "enabled.default")->boolean);
        assert_true(str_eq(tree_str(at(node, "patterns.x-kubernetes-list-type")), STR("set")));
        assert_true(str_eq(tree_str(at(node, "probes.properties.interval.default")), STR("30s")));
        assert_true(at(node, "ports.items.properties.port.x-kubernetes-int-or-string")->boolean);
        assert_non_null(at(node, "ports.items.x-kubernetes-validations"));
        page_close(&p);
}

static void test_the_reference_names_every_field(void **state)
{
        CLEANUP(buf_done) Buf out;

        (void)state;
        buf_init(&out, REFERENCE_BYTES_MAX);
        reference_render(&out);
        assert_false(out.failed);
        assert_true(str_find_str(buf_str(&out),
                                 STR("| `tailnets[].serviceDiscovery.ports[].port` | port, or "
                                     "string of ports | *required* | ")) > 0);
        assert_true(str_find_str(buf_str(&out), STR("\n- `credentials`: must be exactly one")) > 0);
        assert_true(str_find_str(buf_str(&out), STR("`[\"*\"]`")) > 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_tables),
                cmocka_unit_test(test_definitions),
                cmocka_unit_test(test_samples),
                cmocka_unit_test(test_the_reference_names_every_field),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
