/* SPDX-License-Identifier: Apache-2.0 */
#include "model/label_selector.h"

enum {
        LABEL_NAME_MAX = 63,    /* of a value, and of a key behind its prefix */
        LABEL_PREFIX_MAX = 253, /* a DNS name */
};

static bool is_alnum(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Letters, digits and, inside, '-', '_' and '.'. */
static bool is_name(Str s, size_t max)
{
        if (s.n == 0 || s.n > max || !is_alnum(s.p[0]) || !is_alnum(s.p[s.n - 1]))
                return false;
        for (size_t i = 0; i < s.n; i++)
                if (!is_alnum(s.p[i]) && strchr("-_.", s.p[i]) == NULL)
                        return false;
        return true;
}

static bool is_key(Str s)
{
        Str rest = s, prefix;

        if (!str_cut(&rest, '/', &prefix))
                return is_name(s, LABEL_NAME_MAX);
        return is_name(prefix, LABEL_PREFIX_MAX) && str_find(prefix, '_') < 0 &&
               is_name(rest, LABEL_NAME_MAX);
}

static bool is_value(Str s)
{
        return s.n == 0 || is_name(s, LABEL_NAME_MAX);
}

bool labels_read(Leaf *leaf, const Tree *object, LabelList *ret)
{
        size_t max = object != NULL && object->type == TREE_OBJECT ? object->n : 0, n = 0;
        ObjectLabel *at;

        if (max > OBJECT_LABELS_MAX)
                return false;
        at = leaf_alloc(leaf, (max + 1) * sizeof(*at));
        TREE_FOREACH (node, max > 0 ? object : NULL) {
                if (node->type != TREE_STRING)
                        return false;
                at[n++] = (ObjectLabel){leaf_str(leaf, node->key), leaf_str(leaf, node->text)};
        }
        *ret = (LabelList){at, n};
        return true;
}

bool labels_same(LabelList a, LabelList b)
{
        if (a.n != b.n)
                return false;
        for (size_t i = 0; i < a.n; i++)
                if (!str_eq(a.at[i].key, b.at[i].key) || !str_eq(a.at[i].value, b.at[i].value))
                        return false;
        return true;
}

/* -- Reading --------------------------------------------------------------------------------- */

typedef struct Reading {
        Leaf *leaf;
        LabelRule *rules;
        size_t n;
        const char *fault; /* the first */
} Reading;

static void fail(Reading *r, const char *fault)
{
        if (r->fault == NULL)
                r->fault = fault;
}

/* Values of one rule, from the children of `list`. */
static StrList read_values(Reading *r, const Tree *list)
{
        size_t max = list != NULL && list->type == TREE_ARRAY ? list->n : 0, n = 0;
        Str *at;

        if (max > LABEL_VALUES_MAX) {
                fail(r, "more than 64 values");
                return (StrList){0};
        }
        at = leaf_alloc(r->leaf, (max + 1) * sizeof(*at));
        TREE_FOREACH (node, max > 0 ? list : NULL) {
                if (node->type != TREE_STRING || !is_value(node->text))
                        fail(r, "a value that no label has");
                else
                        at[n++] = leaf_str(r->leaf, node->text);
        }
        return (StrList){at, n};
}

static void add(Reading *r, Str key, LabelOperator op, StrList values)
{
        bool counted = op == LABEL_IN || op == LABEL_NOT_IN;

        if (!is_key(key))
                fail(r, "a key that no label has");
        else if (counted != (values.n > 0))
                fail(r,
                     counted ? "In or NotIn without values" : "Exists or DoesNotExist with values");
        else
                r->rules[r->n++] = (LabelRule){leaf_str(r->leaf, key), op, values};
}

static void read_labels(Reading *r, const Tree *labels)
{
        TREE_FOREACH (node, labels) {
                Str *value = leaf_alloc(r->leaf, sizeof(*value));

                if (node->type != TREE_STRING || !is_value(node->text)) {
                        fail(r, "a value that no label has");
                        return;
                }
                *value = leaf_str(r->leaf, node->text);
                add(r, node->key, LABEL_IN, (StrList){value, 1});
        }
}

static void read_expression(Reading *r, const Tree *node)
{
        static const Str names[] = {[LABEL_IN] = STR_INIT("In"),
                                    [LABEL_NOT_IN] = STR_INIT("NotIn"),
                                    [LABEL_EXISTS] = STR_INIT("Exists"),
                                    [LABEL_DOES_NOT_EXIST] = STR_INIT("DoesNotExist")};
        Str name = tree_get_str(node, STR("operator"));

        for (size_t i = 0; i < LENGTH_OF(names); i++) {
                if (!str_eq(name, names[i]))
                        continue;
                add(r, tree_get_str(node, STR("key")), (LabelOperator)i,
                    read_values(r, tree_get(node, STR("values"))));
                return;
        }
        fail(r, "an operator that is none of In, NotIn, Exists, DoesNotExist");
}

LabelSelector label_selector_read(Leaf *leaf, const Tree *node)
{
        const Tree *labels = tree_get(node, STR("matchLabels"));
        const Tree *expressions = tree_get(node, STR("matchExpressions"));
        Reading r = {.leaf = leaf};
        size_t max;

        if (node == NULL || node->type != TREE_OBJECT)
                return (LabelSelector){.fault = "missing"};
        max = (labels != NULL ? labels->n : 0) + (expressions != NULL ? expressions->n : 0);
        if (max > LABEL_RULES_MAX)
                return (LabelSelector){.fault = "more than 64 rules"};
        r.rules = leaf_alloc(leaf, (max + 1) * sizeof(*r.rules));
        read_labels(&r, labels);
        TREE_FOREACH (expression, expressions)
                read_expression(&r, expression);
        return (LabelSelector){r.rules, r.n, r.fault};
}

/* -- Use ------------------------------------------------------------------------------------- */

bool label_selector_same(const LabelSelector *a, const LabelSelector *b)
{
        if (a->n != b->n || (a->fault == NULL) != (b->fault == NULL) ||
            (a->fault != NULL && strcmp(a->fault, b->fault) != 0))
                return false;
        for (size_t i = 0; i < a->n; i++)
                if (!str_eq(a->rules[i].key, b->rules[i].key) || a->rules[i].op != b->rules[i].op ||
                    !strlist_eq(a->rules[i].values, b->rules[i].values))
                        return false;
        return true;
}

static const ObjectLabel *find(const ObjectLabel *labels, size_t n, Str key)
{
        for (size_t i = 0; i < n; i++)
                if (str_eq(labels[i].key, key))
                        return &labels[i];
        return NULL;
}

static bool holds(const LabelRule *r, LabelList labels)
{
        const ObjectLabel *l = find(labels.at, labels.n, r->key);

        switch (r->op) {
        case LABEL_IN:
                return l != NULL && strlist_has(r->values, l->value);
        case LABEL_NOT_IN:
                return l == NULL || !strlist_has(r->values, l->value);
        case LABEL_EXISTS:
                return l != NULL;
        case LABEL_DOES_NOT_EXIST:
                return l == NULL;
        }
        return false;
}

bool label_selector_matches(const LabelSelector *s, LabelList labels)
{
        if (s->fault != NULL)
                return false;
        for (size_t i = 0; i < s->n; i++)
                if (!holds(&s->rules[i], labels))
                        return false;
        return true;
}

static void print_rule(const LabelRule *r, Buf *out)
{
        buf_printf(out, "%s%.*s", r->op == LABEL_DOES_NOT_EXIST ? "!" : "", STR_FMT(r->key));
        if (r->values.n == 0)
                return;
        if (r->op == LABEL_IN && r->values.n == 1) {
                buf_printf(out, "=%.*s", STR_FMT(r->values.at[0]));
                return;
        }
        buf_add_str(out, r->op == LABEL_IN ? STR(" in (") : STR(" notin ("));
        for (size_t i = 0; i < r->values.n; i++)
                buf_printf(out, "%s%.*s", i > 0 ? "," : "", STR_FMT(r->values.at[i]));
        buf_add_str(out, STR(")"));
}

void label_selector_print(const LabelSelector *s, Buf *out)
{
        for (size_t i = 0; i < s->n; i++) {
                if (i > 0)
                        buf_add_str(out, STR(","));
                print_rule(&s->rules[i], out);
        }
        if (s->n == 0)
                buf_add_str(out, STR("everything"));
}
