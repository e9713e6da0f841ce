/* SPDX-License-Identifier: Apache-2.0 */
#include "model/reference.h"

#include "base/instant.h"
#include "model/object.h"
#include "model/resource_kind.h"

#include <stdio.h>

enum {
        PATH_MAX_BYTES = 128
};

/* Where a row stands, and how to say "of each item". */
typedef struct Place {
        char path[PATH_MAX_BYTES];
        const Field *of; /* NULL: the top */
} Place;

/* In a table a bar ends the cell. */
static void put_cell(Buf *out, Str s)
{
        for (size_t i = 0; i < s.n; i++) {
                if (s.p[i] == '|')
                        buf_add_char(out, '\\');
                buf_add_char(out, s.p[i]);
        }
}

static void put_names(Buf *out, const EnumName *names)
{
        for (const EnumName *e = names; e != NULL && e->name != NULL; e++)
                buf_printf(out, "%s`%s`", e > names ? ", " : "", e->name);
}

static void put_range(Buf *out, const Field *f)
{
        if (f->max >= INT32_MAX)
                buf_printf(out, "number from %lld", (long long)f->min);
        else
                buf_printf(out, "number, %lld to %lld", (long long)f->min, (long long)f->max);
}

static void put_span_range(Buf *out, const Field *f)
{
        char low[WALL_TEXT], high[WALL_TEXT];

        buf_printf(out, "duration, %s to %s", span_format(SPAN_MS(f->min), low),
                   span_format(SPAN_MS(f->max), high));
}

static void put_list_type(Buf *out, const Field *f)
{
        static const char *const of[] = {
                [FIELD_STRS] = "strings",
                [FIELD_INTS] = "numbers",
                [FIELD_CIDRS] = "address ranges",
                [FIELD_LIST] = "objects",
        };

        buf_printf(out, "list of %s, ", of[f->type]);
        if (f->min_items > 0)
                buf_printf(out, "%zu to ", f->min_items);
        else
                buf_add_str(out, STR("at most "));
        buf_printf(out, "%zu", f->max_items > 0 ? f->max_items : ITEMS_MAX);
        if (f->is_set)
                buf_add_str(out, STR(", each once"));
}

static void put_type(Buf *out, const Field *f)
{
        switch (f->type) {
        case FIELD_STR:
                buf_add_str(out, STR("string"));
                break;
        case FIELD_BOOL:
                buf_add_str(out, STR("`true`, `false`"));
                break;
        case FIELD_INT:
                put_range(out, f);
                break;
        case FIELD_ENUM:
                put_names(out, f->names);
                break;
        case FIELD_SPAN:
                put_span_range(out, f);
                break;
        case FIELD_TIME:
                buf_add_str(out, STR("time"));
                break;
        case FIELD_PORTS:
                buf_add_str(out, STR("port, or string of ports"));
                break;
        case FIELD_STRS:
        case FIELD_INTS:
        case FIELD_CIDRS:
        case FIELD_LIST:
                put_list_type(out, f);
                break;
        case FIELD_MAP:
                buf_add_str(out, STR("strings by name"));
                break;
        case FIELD_AMOUNTS:
                buf_add_str(out, STR("quantities by name"));
                break;
        case FIELD_OBJECT:
        case FIELD_FREE:
                buf_add_str(out, STR("object"));
                break;
        case FIELD_ANY:
                put_names(out, f->names);
                break;
        }
}

static Place below(const Place *above, const Field *f)
{
        Place at = {.of = f};
        const char *dot = above->path[0] != '\0' ? "." : "";
        const char *items = f->type == FIELD_LIST ? "[]" : "";
        int n = snprintf(at.path, sizeof(at.path), "%s%s%s%s", above->path, dot, f->name, items);

        INSIST(n > 0 && (size_t)n < sizeof(at.path));
        return at;
}

static void put_row(Buf *out, const Place *at, const Field *f)
{
        buf_printf(out, "| `%s` | ", at->path);
        put_type(out, f);
        buf_add_str(out, STR(" | "));
        if (f->required)
                buf_add_str(out, STR("*required*"));
        else if (f->fallback != NULL)
                buf_printf(out, f->type == FIELD_STRS ? "`[\"%s\"]`" : "`%s`", f->fallback);
        buf_add_str(out, STR(" | "));
        put_cell(out, str_of(f->about));
        buf_add_str(out, STR(" |\n"));
}

static void put_rows(Buf *out, const Place *above, const Schema *schema)
{
        for (size_t i = 0; i < schema->n; i++) {
                const Field *f = &schema->fields[i];
                Place at = below(above, f);

                put_row(out, &at, f);
                if (f->schema != NULL)
                        put_rows(out, &at, f->schema);
        }
}

/* Those of the schema and of all below it. */
static void put_rules(Buf *out, const Place *at, const Schema *schema, bool *is_first)
{
        for (const SchemaRule *r = schema->rules; r != NULL && r->cel != NULL; r++) {
                if (*is_first)
                        buf_add_str(out, STR("\nBesides:\n\n"));
                *is_first = false;
                buf_printf(out, "- `%s%s`: %s\n", at->path[0] != '\0' ? at->path : "spec",
                           r->path != NULL ? r->path : "", r->message);
        }
        for (size_t i = 0; i < schema->n; i++) {
                const Field *f = &schema->fields[i];

                if (f->schema == NULL)
                        continue;
                Place inner = below(at, f);
                put_rules(out, &inner, f->schema, is_first);
        }
}

static void put_table(Buf *out, const char *title, const char *about, const Schema *schema)
{
        Place top = {0};
        bool is_first = true;

        buf_printf(out, "\n### `%s`\n\n%s\n\n| field | type | default | |\n|---|---|---|---|\n",
                   title, about);
        put_rows(out, &top, schema);
        put_rules(out, &top, schema, &is_first);
}

static void put_columns(Buf *out, const ResourceKind *k)
{
        buf_add_str(out, STR("\n### Columns of `kubectl get`\n\n| column | |\n|---|---|\n"));
        for (size_t i = 0; i < k->n_columns; i++)
                buf_printf(out, "| `%s`%s | %s |\n", k->columns[i].name,
                           k->columns[i].is_wide ? " (`-o wide`)" : "", k->columns[i].about);
}

void reference_render(Buf *out)
{
        buf_add_str(out, STR("<!-- Made by `tailscale-gateway render --reference`: the prose is in "
                             "src/model. -->\n"
                             "# Reference\n\n"
                             "Every field of our kinds, of the tables that decode them. Group and "
                             "version: `" MODEL_API_VERSION "`.\n"
                             "What they are for, and how they go together: "
                             "[Resources](resources.md).\n"));
        for (size_t i = 0; i < RESOURCE_KINDS; i++) {
                const ResourceKind *k = &resource_kinds[i];

                buf_printf(out, "\n## %s\n\n%s\n\nShort name: `%s`.\n", k->kind, k->about,
                           k->short_name);
                put_table(out, "spec", k->about_spec, k->spec);
                put_table(out, "status", k->about_status, k->status);
                put_columns(out, k);
        }
}
