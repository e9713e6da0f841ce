/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recursion is bounded by TREE_DEPTH_MAX, which every parser of Trees keeps to.
 */
#include "cli/tree_print.h"

#include "proto/json_writer.h"

static void indent(Buf *out, unsigned depth)
{
        for (unsigned i = 0; i < depth; i++)
                buf_add_str(out, STR("  "));
}

/* A JSON string is a YAML string, too. */
static void put_string(Buf *out, Str s)
{
        JsonWriter w;
        json_writer_init(&w, out);
        json_str(&w, s);
}

static void put_scalar(Buf *out, const Tree *t)
{
        switch (t->type) {
        case TREE_NULL:
                buf_add_str(out, STR("null"));
                break;
        case TREE_BOOL:
                buf_add_str(out, t->boolean ? STR("true") : STR("false"));
                break;
        case TREE_NUMBER:
                buf_add_str(out, t->text);
                break;
        case TREE_STRING:
                put_string(out, t->text);
                break;
        case TREE_ARRAY:
                buf_add_str(out, STR("[]"));
                break;
        case TREE_OBJECT:
                buf_add_str(out, STR("{}"));
                break;
        }
}

static void put_json(Buf *out, const Tree *t, unsigned depth)
{
        if (t->first == NULL) {
                put_scalar(out, t);
                return;
        }
        bool is_object = t->type == TREE_OBJECT;
        buf_add_char(out, is_object ? '{' : '[');
        TREE_FOREACH (child, t) {
                buf_add_str(out, child == t->first ? STR("\n") : STR(",\n"));
                indent(out, depth + 1);
                if (is_object) {
                        put_string(out, child->key);
                        buf_add_str(out, STR(": "));
                }
                put_json(out, child, depth + 1);
        }
        buf_add_char(out, '\n');
        indent(out, depth);
        buf_add_char(out, is_object ? '}' : ']');
}

/* Writes the value that stands behind "key:" or "-". */
static void put_yaml(Buf *out, const Tree *t, unsigned depth)
{
        if (t->first == NULL) {
                buf_add_char(out, ' ');
                put_scalar(out, t);
                buf_add_char(out, '\n');
                return;
        }
        buf_add_char(out, '\n');
        TREE_FOREACH (child, t) {
                indent(out, depth);
                if (t->type == TREE_ARRAY) {
                        buf_add_char(out, '-');
                } else {
                        put_string(out, child->key);
                        buf_add_char(out, ':');
                }
                put_yaml(out, child, depth + 1);
        }
}

void tree_print_json(const Tree *root, Buf *out)
{
        put_json(out, root, 0);
        buf_add_char(out, '\n');
}

void tree_print_yaml(const Tree *root, Buf *out)
{
        buf_add_str(out, STR("---"));
        put_yaml(out, root, 0);
}
