/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A structural schema as `apiextensions.k8s.io/v1` wants it. Invariants:
 *
 * 1. Members stand in the order of their names, properties too, so that a change is a small diff.
 * 2. Every string has maxLength, every list maxItems, every map maxProperties: of what has no
 * bound, the API server's estimate for rules is so high that it refuses the definition.
 * 3. Nothing is refused that the decoder takes.
 * 4. A default is the decoder's own. Where it is not the same for all objects (a namespace, the
 *    protocol of a port) there is none, since what an API server filled in cannot be told from what
 *    a user wrote.
 */
#include "model/crd.h"

#include "base/instant.h"
#include "model/object.h"
#include "model/value_form.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
        PROSE_COLUMNS = 110,
        FIELDS_MAX = 64, /* of the largest schema */
        SPAN_TEXT_MAX = 32,
        RULE_MAX = 320,
        PORT_MAX = 65535,
};

typedef struct Out {
        Buf *buf;
        unsigned depth;
        bool is_status; /* of what this program writes no text is refused */
} Out;

static void indent(Out *o)
{
        for (unsigned i = 0; i < o->depth; i++)
                buf_add_str(o->buf, STR("  "));
}

static void line(Out *o, const char *fmt, ...) PRINTF(2, 3);
static void line(Out *o, const char *fmt, ...)
{
        va_list ap;

        indent(o);
        va_start(ap, fmt);
        buf_vprintf(o->buf, fmt, ap);
        va_end(ap);
        buf_add_char(o->buf, '\n');
}

/* In single quotes nothing has a meaning but they themselves: expressions stay as they are. */
static void put_quoted(Buf *out, Str s)
{
        buf_add_char(out, '\'');
        for (size_t i = 0; i < s.n; i++) {
                if (s.p[i] == '\'')
                        buf_add_char(out, '\'');
                buf_add_char(out, s.p[i]);
        }
        buf_add_char(out, '\'');
}

static void text(Out *o, const char *key, const char *value)
{
        indent(o);
        buf_printf(o->buf, "%s: ", key);
        put_quoted(o->buf, str_of(value));
        buf_add_char(o->buf, '\n');
}

/* A folded scalar: the lines are one when it is read. */
static void prose(Out *o, const char *key, Str s)
{
        size_t room = PROSE_COLUMNS - 2 * (size_t)(o->depth + 1), at = 0;
        Str word;

        if (s.n == 0)
                return;
        line(o, "%s: >-", key);
        o->depth++;
        while (s.n > 0) {
                IGNORE(str_cut(&s, ' ', &word), "the last word has no space behind it");
                if (at > 0 && at + 1 + word.n > room) {
                        buf_add_char(o->buf, '\n');
                        at = 0;
                }
                if (at == 0)
                        indent(o);
                else
                        buf_add_char(o->buf, ' ');
                at += (at > 0) + word.n;
                buf_add_str(o->buf, word);
        }
        buf_add_char(o->buf, '\n');
        o->depth--;
}

static void put_rules(Out *o, const SchemaRule *rules)
{
        if (rules == NULL || rules->cel == NULL)
                return;
        line(o, "x-kubernetes-validations:");
        for (; rules->cel != NULL; rules++) {
                indent(o);
                buf_add_str(o->buf, STR("- "));
                o->depth++;
                if (rules->path != NULL) {
                        buf_add_str(o->buf, STR("fieldPath: "));
                        put_quoted(o->buf, str_of(rules->path));
                        buf_add_char(o->buf, '\n');
                        indent(o);
                }
                buf_add_str(o->buf, STR("message: "));
                put_quoted(o->buf, str_of(rules->message));
                buf_add_char(o->buf, '\n');
                line(o, "rule: |-");
                line(o, "  %s", rules->cel);
                o->depth--;
        }
}

/* A scalar, whatever its type. */
typedef struct Scalar {
        const char *type, *format, *pattern;
        bool has_min, has_max, is_number_or_text;
        int64_t min, max;
        size_t min_length, max_length; /* max 0: none */
        const SchemaRule *rules;
} Scalar;

static Scalar scalar_of_form(const ValueForm *form)
{
        return (Scalar){.type = "string",
                        .pattern = form->pattern,
                        .min_length = form->min,
                        .max_length = form->max,
                        .rules = form->rules};
}

static Scalar scalar_of_string(const Out *o, const Field *f)
{
        Scalar s = scalar_of_form(value_form(f->check));

        if (!o->is_status)
                return s;
        s.pattern = f->pattern;
        s.min_length = f->min_length;
        s.max_length = f->max_length > 0 ? f->max_length : STRING_MAX;
        return s;
}

static Scalar scalar_of_int(const Field *f)
{
        return (Scalar){.type = "integer",
                        .format = f->size == sizeof(int64_t) ? "int64" : "int32",
                        .has_min = true,
                        .min = f->min,
                        .has_max = f->max != INT64_MAX,
                        .max = f->max};
}

/* Written as a rule: its message says the range. `rule` is for two. */
static Scalar scalar_of_span(const Field *f, SchemaRule rule[2], char cel[RULE_MAX],
                             char message[EXPECTED_MAX])
{
        char low[WALL_TEXT], high[WALL_TEXT];

        span_format(SPAN_MS(f->min), low);
        span_format(SPAN_MS(f->max), high);
        INSIST(f->max > 0);
        IGNORE(snprintf(cel, RULE_MAX,
                        "self.matches(r'^([0-9]+(\\.[0-9]+)?(ns|us|\xc2\xb5s|\xce\xbcs|ms|s|m|h))"
                        "+$') && duration(self) >= duration('%s') && duration(self) <= "
                        "duration('%s')",
                        low, high),
               "short");
        IGNORE(snprintf(message, EXPECTED_MAX,
                        "must be a duration from %s to %s, such as 30s or 1m30s", low, high),
               "short");
        rule[0] = (SchemaRule){cel, message, NULL};
        rule[1] = (SchemaRule){0};
        return (Scalar){
                .type = "string", .min_length = 1, .max_length = SPAN_TEXT_MAX, .rules = rule};
}

static void put_default(Out *o, const Field *f)
{
        if (f->fallback == NULL)
                return;
        if (f->type == FIELD_STRS) {
                line(o, "default:");
                indent(o);
                buf_add_str(o->buf, STR("- "));
                put_quoted(o->buf, str_of(f->fallback));
                buf_add_char(o->buf, '\n');
        } else if (f->type == FIELD_INT || f->type == FIELD_BOOL) {
                line(o, "default: %s", f->fallback);
        } else {
                text(o, "default", f->fallback);
        }
}

static void put_enum(Out *o, const EnumName *names)
{
        if (names == NULL)
                return;
        line(o, "enum:");
        for (; names->name != NULL; names++) {
                indent(o);
                buf_add_str(o->buf, STR("- "));
                put_quoted(o->buf, str_of(names->name));
                buf_add_char(o->buf, '\n');
        }
}

static void put_limits(Out *o, const Scalar *s)
{
        if (s->max_length > 0)
                line(o, "maxLength: %zu", s->max_length);
        if (s->has_max)
                line(o, "maximum: %lld", (long long)s->max);
        if (s->min_length > 0)
                line(o, "minLength: %zu", s->min_length);
        if (s->has_min)
                line(o, "minimum: %lld", (long long)s->min);
        if (s->pattern != NULL)
                text(o, "pattern", s->pattern);
}

/* `f` is NULL for what has no prose, default and names of its own: the items of lists and maps. */
static void put_scalar(Out *o, const Field *f, const Scalar *s)
{
        if (s->is_number_or_text) {
                line(o, "anyOf:");
                line(o, "- type: integer");
                line(o, "- type: string");
        }
        if (f != NULL) {
                put_default(o, f);
                prose(o, "description", str_of(f->about));
                put_enum(o, f->names);
        }
        if (s->format != NULL)
                line(o, "format: %s", s->format);
        put_limits(o, s);
        if (s->is_number_or_text)
                line(o, "x-kubernetes-int-or-string: true");
        else
                line(o, "type: %s", s->type);
        put_rules(o, s->rules);
}

static Scalar scalar_of_amount(void)
{
        Scalar s = scalar_of_form(value_form_amount());

        s.is_number_or_text = true;
        return s;
}

static Scalar scalar_of_ports(void)
{
        Scalar s = scalar_of_form(value_form_ports());

        s.is_number_or_text = s.has_min = s.has_max = true;
        s.min = 1;
        s.max = PORT_MAX;
        return s;
}

static void put_scalar_field(Out *o, const Field *f)
{
        char cel[RULE_MAX], message[EXPECTED_MAX];
        SchemaRule rule[2];
        Scalar s = {0};

        if (f->type == FIELD_STR)
                s = scalar_of_string(o, f);
        else if (f->type == FIELD_BOOL)
                s.type = "boolean";
        else if (f->type == FIELD_INT)
                s = scalar_of_int(f);
        else if (f->type == FIELD_ENUM)
                s.type = "string";
        else if (f->type == FIELD_SPAN)
                s = scalar_of_span(f, rule, cel, message);
        else if (f->type == FIELD_TIME)
                s = (Scalar){.type = "string", .format = "date-time"};
        else
                s = scalar_of_ports();
        put_scalar(o, f, &s);
}

static void put_object(Out *o, Str about, const Schema *schema);

static void put_item(Out *o, const Field *f)
{
        Scalar s;

        if (f->type == FIELD_LIST) {
                put_object(o, (Str){0}, f->schema);
                return;
        }
        if (f->type == FIELD_STRS)
                s = scalar_of_string(o, f);
        else if (f->type == FIELD_INTS)
                s = scalar_of_int(f);
        else
                s = scalar_of_form(value_form_cidr());
        put_scalar(o, NULL, &s);
}

static size_t max_items(const Field *f)
{
        return f->max_items > 0 ? f->max_items : ITEMS_MAX;
}

static void put_keys(Out *o, const char *keys)
{
        Str rest = str_of(keys), key;
        bool more;

        line(o, "x-kubernetes-list-map-keys:");
        do {
                more = str_cut(&rest, ' ', &key);
                line(o, "- %.*s", STR_FMT(key));
        } while (more);
}

static void put_list(Out *o, const Field *f)
{
        put_default(o, f);
        prose(o, "description", str_of(f->about));
        line(o, "items:");
        o->depth++;
        put_item(o, f);
        o->depth--;
        line(o, "maxItems: %zu", max_items(f));
        if (f->min_items > 0)
                line(o, "minItems: %zu", f->min_items);
        line(o, "type: array");
        if (f->keys != NULL)
                put_keys(o, f->keys);
        line(o, "x-kubernetes-list-type: %s",
             f->keys != NULL ? "map"
             : f->is_set     ? "set"
                             : "atomic");
}

static void put_map(Out *o, const Field *f)
{
        Scalar s = f->type == FIELD_AMOUNTS ? scalar_of_amount() : scalar_of_form(value_form(NULL));

        line(o, "additionalProperties:");
        o->depth++;
        put_scalar(o, NULL, &s);
        o->depth--;
        prose(o, "description", str_of(f->about));
        line(o, "maxProperties: %zu", max_items(f));
        line(o, "type: object");
}

static void put_field(Out *o, const Field *f)
{
        switch (f->type) {
        case FIELD_STR:
        case FIELD_BOOL:
        case FIELD_INT:
        case FIELD_ENUM:
        case FIELD_SPAN:
        case FIELD_TIME:
        case FIELD_PORTS:
                put_scalar_field(o, f);
                break;
        case FIELD_STRS:
        case FIELD_INTS:
        case FIELD_CIDRS:
        case FIELD_LIST:
                put_list(o, f);
                break;
        case FIELD_OBJECT:
                put_object(o, str_of(f->about), f->schema);
                break;
        case FIELD_MAP:
        case FIELD_AMOUNTS:
                put_map(o, f);
                break;
        case FIELD_FREE:
        case FIELD_ANY:
                prose(o, "description", str_of(f->about));
                put_enum(o, f->names);
                if (f->type == FIELD_FREE)
                        line(o, "type: object");
                line(o, "x-kubernetes-preserve-unknown-fields: true");
                break;
        }
}

static int by_name(const void *a, const void *b)
{
        const Field *x = *(const Field *const *)a, *y = *(const Field *const *)b;

        return strcmp(x->name, y->name);
}

static void put_object(Out *o, Str about, const Schema *schema)
{
        const Field *sorted[FIELDS_MAX];
        bool any_required = false;

        INSIST(schema->n <= FIELDS_MAX);
        for (size_t i = 0; i < schema->n; i++) {
                sorted[i] = &schema->fields[i];
                any_required = any_required || sorted[i]->required;
        }
        qsort(sorted, schema->n, sizeof(*sorted), by_name);
        prose(o, "description", about);
        line(o, "properties:");
        o->depth++;
        for (size_t i = 0; i < schema->n; i++) {
                line(o, "%s:", sorted[i]->name);
                o->depth++;
                put_field(o, sorted[i]);
                o->depth--;
        }
        o->depth--;
        if (any_required)
                line(o, "required:");
        for (size_t i = 0; i < schema->n; i++)
                if (sorted[i]->required)
                        line(o, "- %s", sorted[i]->name);
        line(o, "type: object");
        put_rules(o, schema->rules);
}

static void put_columns(Out *o, const ResourceKind *k)
{
        line(o, "- additionalPrinterColumns:");
        o->depth++;
        for (size_t i = 0; i < k->n_columns; i++) {
                const PrintColumn *c = &k->columns[i];

                indent(o);
                buf_add_str(o->buf, STR("- description: "));
                put_quoted(o->buf, str_of(c->about));
                buf_add_char(o->buf, '\n');
                o->depth++;
                text(o, "jsonPath", c->path);
                text(o, "name", c->name);
                if (c->is_wide)
                        line(o, "priority: 1");
                line(o, "type: %s", c->type);
                o->depth--;
        }
        o->depth--;
}

static void put_root(Out *o, const ResourceKind *k)
{
        prose(o, "description", str_of(k->about));
        line(o, "properties:");
        o->depth++;
        line(o, "apiVersion:");
        o->depth++;
        prose(o, "description", STR("Always " MODEL_API_VERSION "."));
        line(o, "type: string");
        o->depth--;
        line(o, "kind:");
        o->depth++;
        indent(o);
        buf_printf(o->buf, "description: Always %s.\n", k->kind);
        line(o, "type: string");
        o->depth--;
        line(o, "metadata:");
        line(o, "  type: object");
        line(o, "spec:");
        o->depth++;
        put_object(o, str_of(k->about_spec), k->spec);
        o->depth--;
        line(o, "status:");
        o->depth++;
        o->is_status = true;
        put_object(o, str_of(k->about_status), k->status);
        o->depth -= 2;
        line(o, "required:");
        line(o, "- spec");
        line(o, "type: object");
}

void crd_render(const ResourceKind *k, Buf *out)
{
        Out o = {.buf = out};

        buf_add_str(out, STR("---\napiVersion: apiextensions.k8s.io/v1\n"
                             "kind: CustomResourceDefinition\nmetadata:\n  annotations:\n"
                             "    " CRD_VERSION_ANNOTATION ": \"" TSGW_VERSION "\"\n"
                             "    helm.sh/resource-policy: keep\n  labels:\n"
                             "    " CRD_PART_OF_LABEL ": " CRD_PART_OF "\n"));
        buf_printf(out, "  name: %s." MODEL_GROUP "\nspec:\n  group: " MODEL_GROUP "\n  names:\n",
                   k->plural);
        buf_printf(out, "    categories:\n    - " CRD_PART_OF "\n    kind: %s\n", k->kind);
        buf_printf(out, "    listKind: %sList\n    plural: %s\n", k->kind, k->plural);
        buf_printf(out, "    shortNames:\n    - %s\n    singular: %s\n", k->short_name,
                   k->singular);
        buf_add_str(out, STR("  scope: Namespaced\n  versions:\n"));
        o.depth = 1;
        put_columns(&o, k);
        o.depth = 2;
        line(&o, "name: v1alpha1");
        line(&o, "schema:");
        line(&o, "  openAPIV3Schema:");
        o.depth = 4;
        put_root(&o, k);
        o.depth = 2;
        line(&o, "served: true");
        line(&o, "storage: true");
        line(&o, "subresources:");
        line(&o, "  status: {}");
}
