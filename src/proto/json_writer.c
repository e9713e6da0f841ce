/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/json_writer.h"

#include <math.h>

_Static_assert(JSON_WRITER_DEPTH_MAX <= 64, "one bit per depth");

void json_writer_init(JsonWriter *w, Buf *out)
{
        *w = (JsonWriter){.out = out};
}

static uint64_t bit(const JsonWriter *w)
{
        return UINT64_C(1) << (w->depth - 1);
}

/* The comma before a value, where one belongs there. */
static void before_value(JsonWriter *w)
{
        if (w->depth == 0)
                return;
        if ((w->objects & bit(w)) != 0) {
                INSIST(w->has_key);
                w->has_key = false;
                return;
        }
        if ((w->filled & bit(w)) != 0)
                buf_add_char(w->out, ',');
        w->filled |= bit(w);
}

static void begin(JsonWriter *w, bool object)
{
        before_value(w);
        INSIST(w->depth < JSON_WRITER_DEPTH_MAX);
        w->depth++;
        w->filled &= ~bit(w);
        w->objects = object ? w->objects | bit(w) : w->objects & ~bit(w);
        buf_add_char(w->out, object ? '{' : '[');
}

static void end(JsonWriter *w, bool object)
{
        INSIST(w->depth > 0 && !w->has_key && object == ((w->objects & bit(w)) != 0));
        w->depth--;
        buf_add_char(w->out, object ? '}' : ']');
}

void json_object_begin(JsonWriter *w)
{
        begin(w, true);
}

void json_object_end(JsonWriter *w)
{
        end(w, true);
}

void json_array_begin(JsonWriter *w)
{
        begin(w, false);
}

void json_array_end(JsonWriter *w)
{
        end(w, false);
}

static void escape(Buf *out, unsigned char c)
{
        static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
        const char *at = c != 0 ? strchr(plain, c) : NULL;

        if (at != NULL) {
                buf_add_char(out, '\\');
                buf_add_char(out, letter[at - plain]);
        } else {
                buf_printf(out, "\\u%04x", c);
        }
}

/* `<`, `>` and `&` are escaped as well: the text may be pasted into a page. */
static bool is_plain(unsigned char c)
{
        return c >= 0x20 && c < 0x7f && strchr("\"\\<>&", c) == NULL;
}

static void quoted(Buf *out, Str s)
{
        buf_add_char(out, '"');
        while (s.n > 0) {
                size_t n = 0;

                while (n < s.n && is_plain((unsigned char)s.p[n]))
                        n++;
                buf_add(out, s.p, n);
                s = str_sub(s, n, s.n);
                if (s.n == 0)
                        break;
                n = 1;
                if ((unsigned char)s.p[0] < 0x80) {
                        escape(out, (unsigned char)s.p[0]);
                } else if ((n = str_utf8(s)) > 0) {
                        buf_add(out, s.p, n);
                } else {
                        buf_add_str(out, STR("\xef\xbf\xbd"));
                        n = 1;
                }
                s = str_sub(s, n, s.n);
        }
        buf_add_char(out, '"');
}

void json_key(JsonWriter *w, Str key)
{
        INSIST(w->depth > 0 && (w->objects & bit(w)) != 0 && !w->has_key);
        if ((w->filled & bit(w)) != 0)
                buf_add_char(w->out, ',');
        w->filled |= bit(w);
        quoted(w->out, key);
        buf_add_char(w->out, ':');
        w->has_key = true;
}

void json_str(JsonWriter *w, Str s)
{
        before_value(w);
        quoted(w->out, s);
}

void json_u64(JsonWriter *w, uint64_t v)
{
        before_value(w);
        buf_printf(w->out, "%llu", (unsigned long long)v);
}

void json_bool(JsonWriter *w, bool v)
{
        json_raw(w, v ? STR("true") : STR("false"));
}

void json_null(JsonWriter *w)
{
        json_raw(w, STR("null"));
}

void json_double(JsonWriter *w, double v)
{
        before_value(w);
        if (isfinite(v))
                buf_printf(w->out, "%.6f", v);
        else
                buf_add_str(w->out, STR("null"));
}

void json_raw(JsonWriter *w, Str json)
{
        before_value(w);
        buf_add_str(w->out, json);
}

void json_strlist(JsonWriter *w, StrList l)
{
        json_array_begin(w);
        for (size_t i = 0; i < l.n; i++)
                json_str(w, l.at[i]);
        json_array_end(w);
}

void json_key_str(JsonWriter *w, Str key, Str s)
{
        json_key(w, key);
        json_str(w, s);
}

void json_key_u64(JsonWriter *w, Str key, uint64_t v)
{
        json_key(w, key);
        json_u64(w, v);
}

void json_key_wall(JsonWriter *w, Str key, Wall t)
{
        char buf[WALL_TEXT];

        json_key(w, key);
        if (t.ms == 0)
                json_null(w);
        else
                json_str(w, str_of(wall_format(t, buf)));
}

void json_key_bool(JsonWriter *w, Str key, bool v)
{
        json_key(w, key);
        json_bool(w, v);
}

void json_key_object_begin(JsonWriter *w, Str key)
{
        json_key(w, key);
        json_object_begin(w);
}

void json_key_array_begin(JsonWriter *w, Str key)
{
        json_key(w, key);
        json_array_begin(w);
}

void json_tree_members(JsonWriter *w, const Tree *object, StrList without)
{
        TREE_FOREACH (member, object) {
                if (strlist_has(without, member->key))
                        continue;
                json_key(w, member->key);
                json_tree(w, member);
        }
}

void json_tree(JsonWriter *w, const Tree *node)
{
        switch (node->type) {
        case TREE_NULL:
                json_null(w);
                break;
        case TREE_BOOL:
                json_bool(w, node->boolean);
                break;
        case TREE_NUMBER:
                json_raw(w, node->text);
                break;
        case TREE_STRING:
                json_str(w, node->text);
                break;
        case TREE_ARRAY:
                json_array_begin(w);
                TREE_FOREACH (child, node)
                        json_tree(w, child);
                json_array_end(w);
                break;
        case TREE_OBJECT:
                json_object_begin(w);
                json_tree_members(w, node, (StrList){0});
                json_object_end(w);
                break;
        }
}
