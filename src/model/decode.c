/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One walk over the schema's fields and one over the object's members: the first decodes what is
 * known, the second finds what is not. Invariants:
 *
 * 1. A field that is wrong adds a fault and leaves its default or zero; the walk goes on, so all
 *    faults are found at once.
 * 2. Defaults go through the same code as values: a default is a scalar at the place of its object.
 * 3. Recursion follows the schema, never the manifest.
 */
#include "model/decode.h"

#include "base/instant.h"
#include "model/cidr.h"
#include "model/port_spec.h"
#include "model/value_check.h"

#include <stdarg.h>
#include <stdio.h>

enum {
        VALUE_SHOWN_MAX = 64, /* bytes of a value that a fault repeats */
        KNOWN_MAX = 64,       /* fields of the largest schema */
};

void decoder_init(Decoder *d, Str file, Faults *faults, Leaf *leaf)
{
        *d = (Decoder){.file = file, .faults = faults, .leaf = leaf};
}

/* What does not fit is cut: it is for people, and only unknown members can be so long. */
static void path_printf(Decoder *d, const char *fmt, ...) PRINTF(2, 3);
static void path_printf(Decoder *d, const char *fmt, ...)
{
        size_t room = sizeof(d->path) - d->path_n;
        va_list ap;
        int n;

        va_start(ap, fmt);
        n = vsnprintf(d->path + d->path_n, room, fmt, ap);
        va_end(ap);
        INSIST(n >= 0);
        d->path_n += (size_t)n < room ? (size_t)n : room - 1;
}

size_t decode_enter(Decoder *d, Str member)
{
        size_t where = d->path_n;

        path_printf(d, "%s%.*s", where > 0 ? "." : "", STR_FMT(member));
        return where;
}

size_t decode_enter_item(Decoder *d, size_t index)
{
        size_t where = d->path_n;

        path_printf(d, "[%zu]", index);
        return where;
}

void decode_leave(Decoder *d, size_t where)
{
        d->path_n = where;
}

void decode_fault(Decoder *d, TreeMark at, const char *fmt, ...)
{
        char text[FAULT_TEXT_MAX];
        va_list ap;

        va_start(ap, fmt);
        IGNORE(vsnprintf(text, sizeof(text), fmt, ap), "cut where too long");
        va_end(ap);
        faults_add(d->faults, d->file, at.line, at.column, str_make(d->path, d->path_n), "%s",
                   text);
}

/* An address with userinfo, or what looks like a key of a control server: not repeated. */
static bool may_be_secret(Str s)
{
        return str_find(s, '@') >= 0 || str_find_str(s, STR("key-")) >= 0;
}

static const char *describe(const Tree *node, bool is_private, char buf[EXPECTED_MAX])
{
        Str shown = str_sub(node->text, 0, VALUE_SHOWN_MAX);
        const char *more = shown.n < node->text.n ? "…" : "";

        if (node->type == TREE_STRING && !is_private && !may_be_secret(node->text))
                IGNORE(snprintf(buf, EXPECTED_MAX, "\"%.*s%s\"", STR_FMT(shown), more), "short");
        else if (node->type == TREE_NUMBER || node->type == TREE_BOOL)
                IGNORE(snprintf(buf, EXPECTED_MAX, "%.*s%s", STR_FMT(shown), more), "short");
        else
                IGNORE(snprintf(buf, EXPECTED_MAX, "%s", tree_type_name(node->type)), "short");
        return buf;
}

static void unexpected(Decoder *d, const Tree *node, bool is_private, const char *expected)
{
        char what[EXPECTED_MAX];

        decode_fault(d, node->at, "%s, expected %s", describe(node, is_private, what), expected);
}

void decode_unexpected(Decoder *d, const Tree *node, const char *expected)
{
        unexpected(d, node, false, expected);
}

const char *decode_suggestion(Str name, const Str *known, size_t n, char buf[EXPECTED_MAX])
{
        Str nearest = {0};

        for (size_t i = 0; i < n; i++)
                if (str_eq_fold(name, known[i]))
                        nearest = known[i];
        if (nearest.n == 0)
                nearest = str_nearest(name, known, n);

        buf[0] = '\0';
        if (nearest.n > 0)
                IGNORE(snprintf(buf, EXPECTED_MAX, ", did you mean %.*s?", STR_FMT(nearest)),
                       "names of ours are short");
        return buf;
}

size_t decode_room(const Tree *node)
{
        size_t room = node != NULL ? node->text.n + 2 * sizeof(Str) : 0;

        TREE_FOREACH (child, node)
                room += child->first != NULL ? decode_room(child) : child->text.n + 2 * sizeof(Str);
        return room;
}

static bool is_absent(const Tree *node)
{
        return node == NULL || node->type == TREE_NULL;
}

/* A string that can be printed, of a bounded length. */
static bool good_string(Decoder *d, const Field *f, const Tree *node)
{
        char expected[EXPECTED_MAX] = "";

        if (node->type == TREE_NUMBER || node->type == TREE_BOOL) {
                unexpected(d, node, f->is_private, "a string: put it in quotes");
                return false;
        }
        if (node->type != TREE_STRING) {
                unexpected(d, node, f->is_private, "a string");
                return false;
        }
        if (node->text.n > STRING_MAX) {
                decode_fault(d, node->at, "%zu bytes, expected at most %d", node->text.n,
                             STRING_MAX);
                return false;
        }
        if (!str_is_printable_utf8(node->text)) {
                decode_fault(d, node->at,
                             "control characters in it, expected printable text in UTF-8");
                return false;
        }
        if (f->check != NULL && !f->check(node->text, expected)) {
                unexpected(d, node, f->is_private, expected);
                return false;
        }
        return true;
}

static void decode_string(Decoder *d, const Field *f, const Tree *node, void *to)
{
        if (good_string(d, f, node) && to != NULL)
                *(Str *)to = leaf_str(d->leaf, node->text);
}

static void decode_bool(Decoder *d, const Tree *node, void *to)
{
        if (node->type != TREE_BOOL)
                decode_unexpected(d, node, "true or false");
        else if (to != NULL)
                *(bool *)to = node->boolean;
}

static void store_int(void *to, size_t size, int64_t v)
{
        switch (size) {
        case sizeof(uint16_t):
                *(uint16_t *)to = (uint16_t)v;
                break;
        case sizeof(uint32_t):
                *(uint32_t *)to = (uint32_t)v;
                break;
        default:
                INSIST(size == sizeof(uint64_t));
                *(uint64_t *)to = (uint64_t)v;
        }
}

static void number_range(const Field *f, char expected[EXPECTED_MAX])
{
        IGNORE(snprintf(expected, EXPECTED_MAX, "a whole number from %lld to %lld",
                        (long long)f->min, (long long)f->max),
               "short");
}

static void decode_int(Decoder *d, const Field *f, const Tree *node, void *to)
{
        char expected[EXPECTED_MAX];
        int64_t v;

        if (tree_i64(node, f->min, f->max, false, &v)) {
                if (to != NULL)
                        store_int(to, f->size, v);
                return;
        }
        number_range(f, expected);
        if (node->type == TREE_STRING)
                strncat(expected, ", without quotes", sizeof(expected) - strlen(expected) - 1);
        decode_unexpected(d, node, expected);
}

/* As Kubernetes' integer or string. */
static void decode_ports(Decoder *d, const Field *f, const Tree *node, void *to)
{
        char expected[EXPECTED_MAX] =
                "a port from 1 to 65535, or ports such as \"tcp:80-90\" or \"tcp:443,tcp:8080\"";
        PortSpec s;
        int64_t port;

        if (node->type == TREE_STRING) {
                if (!good_string(d, f, node))
                        return;
                if (!port_spec_parse(node->text, &s, expected)) {
                        decode_unexpected(d, node, expected);
                        return;
                }
        } else if (tree_i64(node, 1, UINT16_MAX, false, &port)) {
                s = port_spec_of((uint16_t)port);
        } else {
                decode_unexpected(d, node, expected);
                return;
        }
        if (to != NULL)
                *(PortSpec *)to = s;
}

static void list_names(const EnumName *names, Str value, char expected[EXPECTED_MAX])
{
        Str known[KNOWN_MAX];
        size_t n = 0, at;
        char suggestion[EXPECTED_MAX];

        at = (size_t)snprintf(expected, EXPECTED_MAX, "one of");
        for (; names[n].name != NULL && n < KNOWN_MAX; n++) {
                known[n] = str_of(names[n].name);
                at += (size_t)snprintf(expected + at, EXPECTED_MAX - at, "%s %s", n > 0 ? "," : "",
                                       names[n].name);
                INSIST(at < EXPECTED_MAX);
        }
        IGNORE(snprintf(expected + at, EXPECTED_MAX - at, "%s",
                        decode_suggestion(value, known, n, suggestion)),
               "cut where too long");
}

static void decode_enum(Decoder *d, const Field *f, const Tree *node, void *to)
{
        char expected[EXPECTED_MAX];

        for (const EnumName *e = f->names; e->name != NULL; e++) {
                if (node->type != TREE_STRING || !str_eq(node->text, str_of(e->name)))
                        continue;
                if (to != NULL)
                        *(int *)to = e->value;
                return;
        }
        list_names(f->names, tree_str(node), expected);
        decode_unexpected(d, node, expected);
}

static void decode_span(Decoder *d, const Field *f, const Tree *node, void *to)
{
        char low[WALL_TEXT], high[WALL_TEXT], expected[EXPECTED_MAX];
        Span v;
        bool good = node->type == TREE_STRING && span_parse(node->text, &v);

        if (good && v.ns >= SPAN_MS(f->min).ns && (f->max == 0 || v.ns <= SPAN_MS(f->max).ns)) {
                if (to != NULL)
                        *(Span *)to = v;
                return;
        }
        if (f->max > 0)
                IGNORE(snprintf(expected, sizeof(expected),
                                "a duration from %s to %s, such as \"30s\"",
                                span_format(SPAN_MS(f->min), low),
                                span_format(SPAN_MS(f->max), high)),
                       "short");
        else
                IGNORE(snprintf(expected, sizeof(expected),
                                "a duration of at least %s, such as \"30s\" or \"1m30s\"",
                                span_format(SPAN_MS(f->min), low)),
                       "short");
        decode_unexpected(d, node, expected);
}

static size_t max_items(const Field *f)
{
        return f->max_items > 0 ? f->max_items : ITEMS_MAX;
}

/* None of a set comes twice: server-side apply has a name for each item in its value. */
static void check_set(Decoder *d, const Tree *list)
{
        size_t i = 0;

        TREE_FOREACH (item, list) {
                bool again = false;

                for (const Tree *t = list->first; t != item && !again; t = t->next)
                        again = t->type == item->type && str_eq(t->text, item->text);
                if (again) {
                        size_t where = decode_enter_item(d, i);

                        decode_unexpected(d, item, "each once");
                        decode_leave(d, where);
                }
                i++;
        }
}

/* Is it a list of no more than its field allows? */
static bool good_list(Decoder *d, const Field *f, const Tree *node)
{
        if (node->type != TREE_ARRAY) {
                decode_unexpected(d, node, "a list");
                return false;
        }
        if (node->n > max_items(f)) {
                decode_fault(d, node->at, "%zu items, expected at most %zu", node->n, max_items(f));
                return false;
        }
        if (node->n < f->min_items)
                decode_unexpected(d, node, "at least one item");
        if (f->is_set)
                check_set(d, node);
        return true;
}

static void decode_strings(Decoder *d, const Field *f, const Tree *node, void *to)
{
        Str *at;
        size_t n = 0, i = 0;

        if (!good_list(d, f, node))
                return;
        at = leaf_alloc(d->leaf, (node->n + 1) * sizeof(Str));
        TREE_FOREACH (item, node) {
                size_t where = decode_enter_item(d, i++);

                if (good_string(d, f, item))
                        at[n++] = leaf_str(d->leaf, item->text);
                decode_leave(d, where);
        }
        if (to != NULL)
                *(StrList *)to = (StrList){at, n};
}

static void store_counted(const Field *f, void *out, void *array, size_t n)
{
        *(void **)(void *)((char *)out + f->offset) = array;
        *(size_t *)(void *)((char *)out + f->n_offset) = n;
}

static void decode_ints(Decoder *d, const Field *f, const Tree *node, void *out)
{
        Field one = *f;
        size_t i = 0;
        uint16_t *at;

        if (!good_list(d, f, node))
                return;
        INSIST(f->min >= 0 && f->max <= UINT16_MAX);
        one.size = sizeof(*at);
        at = leaf_alloc(d->leaf, (node->n + 1) * sizeof(*at));
        TREE_FOREACH (item, node) {
                size_t where = decode_enter_item(d, i);

                decode_int(d, &one, item, &at[i++]);
                decode_leave(d, where);
        }
        if (out != NULL && f->kept)
                store_counted(f, out, at, i);
}

static void decode_cidrs(Decoder *d, const Field *f, const Tree *node, void *out)
{
        static const char expected[] = "a range such as \"10.0.0.0/8\" or \"fd00::/8\", host bits "
                                       "zero";
        size_t n = 0, i = 0;
        Cidr *at;

        if (!good_list(d, f, node))
                return;
        at = leaf_alloc(d->leaf, (node->n + 1) * sizeof(Cidr));
        TREE_FOREACH (item, node) {
                size_t where = decode_enter_item(d, i++);

                if (item->type == TREE_STRING && cidr_parse(item->text, &at[n]))
                        n++;
                else
                        decode_unexpected(d, item, expected);
                decode_leave(d, where);
        }
        if (out != NULL && f->kept)
                store_counted(f, out, at, n);
}

static void decode_list(Decoder *d, const Field *f, const Tree *node, void *out)
{
        size_t i = 0;
        char *at = NULL;

        if (!good_list(d, f, node))
                return;
        if (out != NULL && f->kept)
                at = leaf_alloc(d->leaf, (node->n + 1) * f->schema->size);
        TREE_FOREACH (item, node) {
                size_t where = decode_enter_item(d, i);

                if (is_absent(item))
                        decode_unexpected(d, item, "an object");
                else
                        decode_object(d, f->schema, item,
                                      at != NULL ? at + i * f->schema->size : NULL);
                decode_leave(d, where);
                i++;
        }
        if (at != NULL)
                store_counted(f, out, at, i);
}

static bool good_map(Decoder *d, const Field *f, const Tree *node)
{
        if (node->type != TREE_OBJECT) {
                decode_unexpected(d, node, "an object of strings");
                return false;
        }
        if (node->n > max_items(f))
                decode_fault(d, node->at, "%zu members, expected at most %zu", node->n,
                             max_items(f));
        return true;
}

static void decode_map(Decoder *d, const Field *f, const Tree *node)
{
        if (!good_map(d, f, node))
                return;
        TREE_FOREACH (member, node) {
                size_t where = decode_enter(d, member->key);

                decode_string(d, f, member, NULL);
                decode_leave(d, where);
        }
}

static void decode_amounts(Decoder *d, const Field *f, const Tree *node)
{
        char expected[EXPECTED_MAX];

        if (!good_map(d, f, node))
                return;
        TREE_FOREACH (member, node) {
                size_t where = decode_enter(d, member->key);

                IGNORE(check_amount(STR(""), expected), "asked for its words");
                if ((member->type != TREE_STRING && member->type != TREE_NUMBER) ||
                    !check_amount(member->text, expected))
                        decode_unexpected(d, member, expected);
                decode_leave(d, where);
        }
}

/* A value that is there, or the default. */
static void decode_value(Decoder *d, const Field *f, const Tree *node, void *out)
{
        void *to = out != NULL && f->kept ? (char *)out + f->offset : NULL;

        switch (f->type) {
        case FIELD_STR:
        case FIELD_TIME:
                decode_string(d, f, node, to);
                break;
        case FIELD_BOOL:
                decode_bool(d, node, to);
                break;
        case FIELD_INT:
                decode_int(d, f, node, to);
                break;
        case FIELD_ENUM:
                decode_enum(d, f, node, to);
                break;
        case FIELD_SPAN:
                decode_span(d, f, node, to);
                break;
        case FIELD_STRS:
                decode_strings(d, f, node, to);
                break;
        case FIELD_INTS:
                decode_ints(d, f, node, out);
                break;
        case FIELD_CIDRS:
                decode_cidrs(d, f, node, out);
                break;
        case FIELD_PORTS:
                decode_ports(d, f, node, to);
                break;
        case FIELD_OBJECT:
                decode_object(d, f->schema, node, to);
                break;
        case FIELD_LIST:
                decode_list(d, f, node, out);
                break;
        case FIELD_MAP:
                decode_map(d, f, node);
                break;
        case FIELD_AMOUNTS:
                decode_amounts(d, f, node);
                break;
        case FIELD_FREE:
                if (node->type != TREE_OBJECT)
                        decode_unexpected(d, node, "an object");
                break;
        case FIELD_ANY:
                break;
        }
}

static void decode_default(Decoder *d, const Field *f, void *out)
{
        static const TreeType types[] = {
                [FIELD_STR] = TREE_STRING,  [FIELD_BOOL] = TREE_BOOL,   [FIELD_INT] = TREE_NUMBER,
                [FIELD_ENUM] = TREE_STRING, [FIELD_SPAN] = TREE_STRING, [FIELD_STRS] = TREE_STRING,
        };
        Str text = str_of(f->fallback);
        Tree scalar = {.text = text}, list = {.type = TREE_ARRAY, .n = 1, .first = &scalar};

        INSIST(f->type < LENGTH_OF(types));
        scalar.type = types[f->type];
        scalar.boolean = str_eq(text, STR("true"));
        decode_value(d, f, f->type == FIELD_STRS ? &list : &scalar, out);
}

/* What a required field would hold, in the words of its own check. */
static void missing(Decoder *d, const Field *f, const Tree *object)
{
        char expected[EXPECTED_MAX] = "a value";

        if (f->type == FIELD_LIST || f->type == FIELD_STRS)
                IGNORE(snprintf(expected, sizeof(expected), "a list"), "short");
        else if (f->type == FIELD_OBJECT)
                IGNORE(snprintf(expected, sizeof(expected), "an object"), "short");
        else if (f->type == FIELD_INT)
                number_range(f, expected);
        else if (f->type == FIELD_PORTS)
                IGNORE(snprintf(expected, sizeof(expected), "a port from 1 to 65535"), "short");
        else if (f->check != NULL)
                IGNORE(f->check(STR(""), expected), "asked for its words");
        decode_fault(d, object->at, "missing, expected %s", expected);
}

static void decode_field(Decoder *d, const Field *f, const Tree *object, void *out)
{
        const Tree *node = tree_get(object, str_of(f->name));
        size_t where = decode_enter(d, str_of(f->name));

        if (out != NULL && f->has_here)
                *(bool *)((char *)out + f->here_offset) = !is_absent(node);
        if (!is_absent(node))
                decode_value(d, f, node, out);
        else if (f->required && object != NULL)
                missing(d, f, object);
        else if (f->type == FIELD_OBJECT && f->kept && out != NULL)
                decode_object(d, f->schema, NULL, (char *)out + f->offset);
        else if (f->fallback != NULL && f->kept && out != NULL)
                decode_default(d, f, out);
        decode_leave(d, where);
}

/* ", did you mean x?" or, where nothing is near, ", expected a, b, c". */
static void fault_stranger(Decoder *d, const Tree *member, StrList known)
{
        char text[EXPECTED_MAX];
        size_t n = 0;

        IGNORE(decode_suggestion(member->key, known.at, known.n, text), "it is in text");
        for (size_t i = 0; text[0] == '\0' || i > 0; i++) {
                if (i == known.n || n + known.at[i].n + 16 > sizeof(text))
                        break;
                n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%.*s",
                                      i == 0 ? ", expected " : ", ", STR_FMT(known.at[i]));
        }
        decode_fault(d, member->key_at, "unknown field %.*s%s",
                     STR_FMT(str_sub(member->key, 0, VALUE_SHOWN_MAX)), text);
}

void decode_strangers(Decoder *d, const Tree *object, StrList known)
{
        TREE_FOREACH (member, object) {
                bool is_known = strlist_has(known, member->key);

                if (is_known && !member->duplicate)
                        continue;
                /* Looking for the nearest name is dear: not for faults that are only counted. */
                if (is_known || d->faults->n >= FAULTS_MAX)
                        decode_fault(d, member->key_at,
                                     "field %.*s a second time, expected it once",
                                     STR_FMT(str_sub(member->key, 0, VALUE_SHOWN_MAX)));
                else
                        fault_stranger(d, member, known);
        }
}

static void find_strangers(Decoder *d, const Schema *schema, const Tree *node)
{
        Str known[KNOWN_MAX];

        INSIST(schema->n <= KNOWN_MAX);
        for (size_t i = 0; i < schema->n; i++)
                known[i] = str_of(schema->fields[i].name);
        decode_strangers(d, node, (StrList){known, schema->n});
}

void decode_object(Decoder *d, const Schema *schema, const Tree *node, void *out)
{
        if (node != NULL && node->type != TREE_OBJECT) {
                decode_unexpected(d, node, "an object");
                node = NULL;
        }
        for (size_t i = 0; i < schema->n; i++)
                decode_field(d, &schema->fields[i], node, out);
        if (node != NULL)
                find_strangers(d, schema, node);
        if (schema->after != NULL)
                schema->after(d, node, out);
}
