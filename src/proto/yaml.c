/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libyaml's events into a TreeBuilder. Invariants:
 *
 * 1. One event is held at a time, and freed before the next is asked for.
 * 2. An alias stands for a value that is whole, so there are no cycles; it counts with all its
 * nodes and its depth against the builder's caps, so that ten lines cannot become a billion.
 * 3. A scalar without quotes or tag is classed by its text alone, by the rules of the YAML reader
 *    that Kubernetes uses.
 */
#include "proto/yaml.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

struct Yaml {
        yaml_parser_t parser;
        Str bytes;
        bool ended, failed;
};

Yaml *yaml_new(Str bytes)
{
        Yaml *y = mem_new(sizeof(*y));

        INSIST(yaml_parser_initialize(&y->parser) == 1);
        y->bytes = bytes;
        yaml_parser_set_input_string(&y->parser, (const unsigned char *)bytes.p, bytes.n);
        return y;
}

Yaml *yaml_free(Yaml *y)
{
        if (y != NULL)
                yaml_parser_delete(&y->parser);
        return mem_free(y);
}

static TreeMark mark_of(yaml_mark_t m)
{
        return (TreeMark){(unsigned)m.line + 1, (unsigned)m.column + 1};
}

/* A reader's error (bad UTF-8) has an offset instead of a mark. */
static TreeMark mark_of_offset(Str bytes, size_t offset)
{
        TreeMark m = {1, 1};

        for (size_t i = 0; i < offset && i < bytes.n; i++) {
                m.column++;
                if (bytes.p[i] == '\n')
                        m = (TreeMark){m.line + 1, 1};
        }
        return m;
}

/* What stands at the place that the parser stopped at. The problem's index counts characters, so it
 * is not used where the text before it is not ASCII; then a tab is reported in libyaml's words. */
static bool is_tab(const Yaml *y, const yaml_parser_t *p)
{
        size_t at = p->problem_mark.index;

        return p->error == YAML_SCANNER_ERROR && at < y->bytes.n && y->bytes.p[at] == '\t';
}

static bool parser_error(const Yaml *y, TreeMark *ret_at, Err *err)
{
        const yaml_parser_t *p = &y->parser;
        const char *problem = p->problem != NULL ? p->problem : "cannot be read";

        *ret_at = p->error == YAML_READER_ERROR ? mark_of_offset(y->bytes, p->problem_offset)
                                                : mark_of(p->problem_mark);
        if (is_tab(y, p))
                return err_set(err, ERR_INVALID, "InvalidYaml",
                               "not YAML: a tab, expected spaces: YAML is not indented by tabs");
        if (p->context != NULL && p->error != YAML_READER_ERROR)
                return err_set(err, ERR_INVALID, "InvalidYaml",
                               "not YAML: %s (%s, begun at %zu:%zu)", problem, p->context,
                               p->context_mark.line + 1, p->context_mark.column + 1);
        return err_set(err, ERR_INVALID, "InvalidYaml", "not YAML: %s", problem);
}

static bool is_one_of(Str s, const char *const *words)
{
        for (; *words != NULL; words++)
                if (str_eq(s, str_of(*words)))
                        return true;
        return false;
}

static bool is_null(Str s)
{
        static const char *const words[] = {"", "~", "null", "Null", "NULL", NULL};

        return is_one_of(s, words);
}

static bool is_true(Str s)
{
        static const char *const words[] = {"true", "True", "TRUE", "yes", "Yes",
                                            "YES",  "on",   "On",   "ON",  NULL};

        return is_one_of(s, words);
}

static bool is_false(Str s)
{
        static const char *const words[] = {"false", "False", "FALSE", "no",  "No",
                                            "NO",    "off",   "Off",   "OFF", NULL};

        return is_one_of(s, words);
}

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

/* Skips digits and, behind the first, underscores; returns how many bytes. */
static size_t skip_digits(Str s, size_t from)
{
        size_t i = from;

        while (i < s.n && (is_digit(s.p[i]) || (s.p[i] == '_' && i > from)))
                i++;
        return i - from;
}

/* [-+]? (digits (. digits?)? | . digits) ([eE] [-+]? digits)? */
static bool is_decimal(Str s)
{
        size_t i = 0, whole, fraction = 0;

        if (i < s.n && (s.p[i] == '-' || s.p[i] == '+'))
                i++;
        whole = skip_digits(s, i);
        i += whole;
        if (i < s.n && s.p[i] == '.') {
                fraction = skip_digits(s, i + 1);
                i += 1 + fraction;
        }
        if (whole + fraction == 0)
                return false;
        if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
                size_t digits;

                i++;
                if (i < s.n && (s.p[i] == '-' || s.p[i] == '+'))
                        i++;
                digits = skip_digits(s, i);
                if (digits == 0)
                        return false;
                i += digits;
        }
        return i == s.n;
}

enum {
        NUMBER_MAX = 64 /* longer ones stay strings */
};

/* The base of 0x, 0o, 0b and 0 before digits, and how long the prefix is; 10 and 0 otherwise. */
static int base_of(Str digits, size_t *ret_prefix)
{
        static const struct {
                const char *prefix;
                int base;
        } bases[] = {{"0x", 16}, {"0X", 16}, {"0o", 8}, {"0b", 2}, {"0B", 2}, {"0", 8}};

        *ret_prefix = 0;
        for (size_t i = 0; i < LENGTH_OF(bases); i++) {
                Str prefix = str_of(bases[i].prefix);

                if (str_starts(digits, prefix) && digits.n > prefix.n) {
                        *ret_prefix = prefix.n;
                        return bases[i].base;
                }
        }
        return 10;
}

/* Numbers in another base than ten become decimal text in `buf`. */
static bool other_base(Str s, char buf[NUMBER_MAX], Str *ret)
{
        bool negative = str_starts(s, STR("-"));
        char digits[NUMBER_MAX], *end;
        size_t prefix, n = 0;
        unsigned long long v;
        int base;

        if (negative || str_starts(s, STR("+")))
                s = str_sub(s, 1, s.n);
        base = base_of(s, &prefix);
        s = str_sub(s, prefix, s.n);
        if (base == 10 || s.n == 0 || s.n >= NUMBER_MAX || s.p[0] == '-' || s.p[0] == '+' ||
            s.p[0] == ' ')
                return false;
        for (size_t i = 0; i < s.n; i++)
                if (s.p[i] != '_')
                        digits[n++] = s.p[i];
        digits[n] = '\0';
        v = strtoull(digits, &end, base);
        if (n == 0 || end != digits + n || v > INT64_MAX)
                return false;
        *ret = str_make(buf, (size_t)snprintf(buf, NUMBER_MAX, "%s%llu", negative ? "-" : "", v));
        return true;
}

/* Underscores and a leading plus are not part of what others read as a number. */
static Str plain_number(Str s, char buf[NUMBER_MAX])
{
        size_t n = 0;

        for (size_t i = s.p[0] == '+' ? 1 : 0; i < s.n; i++)
                if (s.p[i] != '_')
                        buf[n++] = s.p[i];
        return str_make(buf, n);
}

/* What a plain scalar means; `s` is replaced by canonical text of booleans and numbers. */
static TreeType classify(Str *s, char buf[NUMBER_MAX])
{
        if (is_null(*s))
                return TREE_NULL;
        if (is_true(*s)) {
                *s = STR("true");
                return TREE_BOOL;
        }
        if (is_false(*s)) {
                *s = STR("false");
                return TREE_BOOL;
        }
        if (s->n >= NUMBER_MAX)
                return TREE_STRING;
        if (other_base(*s, buf, s))
                return TREE_NUMBER;
        if (!is_decimal(*s))
                return TREE_STRING;
        *s = plain_number(*s, buf);
        return TREE_NUMBER;
}

static bool refuse(const char *what, Err *err)
{
        return err_set(err, ERR_INVALID, "InvalidYaml", "%s", what);
}

typedef struct Anchor {
        Str name; /* arena */
        const Tree *node;
        bool is_whole;
} Anchor;

typedef struct Document {
        TreeBuilder builder;
        Anchor anchors[YAML_ANCHORS_MAX];
        size_t n_anchors;
} Document;

static bool expects_key(const TreeBuilder *b)
{
        return b->depth > 0 && b->open[b->depth - 1].node->type == TREE_OBJECT && !b->has_key;
}

static bool check_tag(const yaml_char_t *tag, const char *standard, Err *err)
{
        if (tag != NULL && strcmp((const char *)tag, standard) != 0 &&
            strcmp((const char *)tag, "!") != 0)
                return refuse("tags (!name) are not taken here", err);
        return true;
}

/* Names what was added last. */
static bool add_anchor(Document *d, const yaml_char_t *name, bool is_whole, Err *err)
{
        size_t n;
        char *copy;

        if (name == NULL)
                return true;
        n = strlen((const char *)name);
        copy = d->n_anchors < YAML_ANCHORS_MAX ? arena_try(d->builder.arena, n + 1) : NULL;
        if (copy == NULL)
                return err_set(err, ERR_LIMIT, "TooLarge", "more than %d anchors in one document",
                               YAML_ANCHORS_MAX);
        memcpy(copy, name, n + 1);
        d->anchors[d->n_anchors++] =
                (Anchor){str_make(copy, n), tree_builder_last(&d->builder), is_whole};
        return true;
}

static bool add_alias(Document *d, const yaml_event_t *e, Err *err)
{
        Str name = str_of((const char *)e->data.alias.anchor);

        if (expects_key(&d->builder))
                return refuse("an alias as a key", err);
        /* The last of a name counts. */
        for (size_t i = d->n_anchors; i > 0; i--) {
                const Anchor *a = &d->anchors[i - 1];

                if (str_eq(a->name, name) && a->is_whole)
                        return tree_builder_again(&d->builder, a->node, mark_of(e->start_mark),
                                                  err);
        }
        return refuse("an alias (*name) without an anchor (&name) before it", err);
}

static bool add_scalar(Document *d, const yaml_event_t *e, Err *err)
{
        Str s = str_make(e->data.scalar.value, e->data.scalar.length);
        TreeMark at = mark_of(e->start_mark);
        TreeType type = TREE_STRING;
        char buf[NUMBER_MAX];

        if (!check_tag(e->data.scalar.tag, YAML_STR_TAG, err))
                return false;
        if (expects_key(&d->builder))
                return tree_builder_key(&d->builder, s, at, err);
        if (e->data.scalar.tag == NULL && e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
                type = classify(&s, buf);
        return tree_builder_value(&d->builder, type, s, at, err) &&
               add_anchor(d, e->data.scalar.anchor, true, err);
}

static bool add_opening(Document *d, const yaml_event_t *e, Err *err)
{
        bool object = e->type == YAML_MAPPING_START_EVENT;
        const yaml_char_t *anchor =
                object ? e->data.mapping_start.anchor : e->data.sequence_start.anchor;
        const yaml_char_t *tag = object ? e->data.mapping_start.tag : e->data.sequence_start.tag;

        if (expects_key(&d->builder))
                return refuse("a list or an object as a key", err);
        return check_tag(tag, object ? YAML_MAP_TAG : YAML_SEQ_TAG, err) &&
               tree_builder_value(&d->builder, object ? TREE_OBJECT : TREE_ARRAY, STR(""),
                                  mark_of(e->start_mark), err) &&
               add_anchor(d, anchor, false, err);
}

static bool add_end(Document *d, Err *err)
{
        const Tree *node = d->builder.open[d->builder.depth - 1].node;

        for (size_t i = 0; i < d->n_anchors; i++)
                if (d->anchors[i].node == node)
                        d->anchors[i].is_whole = true;
        return tree_builder_end(&d->builder, err);
}

static bool add_event(Document *d, const yaml_event_t *e, Err *err)
{
        switch (e->type) {
        case YAML_SCALAR_EVENT:
                return add_scalar(d, e, err);
        case YAML_SEQUENCE_START_EVENT:
        case YAML_MAPPING_START_EVENT:
                return add_opening(d, e, err);
        case YAML_SEQUENCE_END_EVENT:
        case YAML_MAPPING_END_EVENT:
                return add_end(d, err);
        case YAML_ALIAS_EVENT:
                return add_alias(d, e, err);
        case YAML_NO_EVENT:
        case YAML_STREAM_START_EVENT:
        case YAML_STREAM_END_EVENT:
        case YAML_DOCUMENT_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
                return true;
        }
        return true;
}

/* Reads events up to the end of a document, or of the text. */
static bool read_document(Yaml *y, Document *d, TreeMark *ret_at, Err *err)
{
        for (;;) {
                yaml_event_t e;
                yaml_event_type_t type;
                bool ok;

                if (yaml_parser_parse(&y->parser, &e) != 1)
                        return parser_error(y, ret_at, err);
                type = e.type;
                ok = add_event(d, &e, err);
                if (!ok)
                        *ret_at = mark_of(e.start_mark);
                yaml_event_delete(&e);
                if (!ok)
                        return false;
                y->ended = type == YAML_STREAM_END_EVENT;
                if (y->ended || type == YAML_DOCUMENT_END_EVENT)
                        return true;
        }
}

bool yaml_next(Yaml *y, Arena *arena, const Tree **ret, TreeMark *ret_at, Err *err)
{
        TreeMark at = {1, 1};
        Document d;
        bool ok;

        d.n_anchors = 0;
        tree_builder_init(&d.builder, arena);
        if (y->failed)
                return refuse("not YAML", err);
        if (y->bytes.n > YAML_BYTES_MAX)
                ok = err_set(err, ERR_LIMIT, "TooLarge", "more than %d bytes", YAML_BYTES_MAX);
        else
                ok = y->ended || read_document(y, &d, &at, err);
        if (ok) {
                *ret = d.builder.root;
                return true;
        }
        y->failed = true;
        if (ret_at != NULL)
                *ret_at = at;
        return false;
}
