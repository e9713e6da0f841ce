/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML: a scalar is quoted unless it can only be read as a string. Lists stand at the indent of
 * their key, as `kubectl` prints them.
 */
#include "model/doc_writer.h"

/* Words that some reader of YAML 1.1 takes for something else. */
static bool is_special_word(Str s)
{
        static const char *const words[] = {"null", "true", "false", "yes", "no", "on",
                                            "off",  "y",    "n",     "nan", "inf"};

        for (size_t i = 0; i < LENGTH_OF(words); i++)
                if (str_eq_fold(s, str_of(words[i])))
                        return true;
        return false;
}

/* Begins with a letter, holds nothing that YAML gives a meaning to. */
static bool is_plain(Str s)
{
        if (s.n == 0 || s.n > 200 || is_special_word(s))
                return false;
        for (size_t i = 0; i < s.n; i++) {
                char c = s.p[i];
                bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
                bool inner = (c >= '0' && c <= '9') || strchr("-._/", c) != NULL;

                if (c == '\0' || (!letter && (i == 0 || !inner)))
                        return false;
        }
        return true;
}

/* What libyaml does not read back, or takes for the end of a line: C1 controls, U+2028, U+2029, the
 * byte order mark and non-characters. `s` begins with a sequence of `n` bytes; 0 where it may stand
 * as it is. */
static unsigned must_escape(Str s, size_t n)
{
        const unsigned char *p = (const unsigned char *)s.p;
        unsigned c = 0;

        if (n == 1)
                c = p[0];
        else if (n == 2)
                c = (p[0] & 0x1fU) << 6 | (p[1] & 0x3fU);
        else if (n == 3)
                c = (p[0] & 0xfU) << 12 | (p[1] & 0x3fU) << 6 | (p[2] & 0x3fU);
        if ((n == 1 && c < 0x20) || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 ||
            c == 0xfeff || c >= 0xfffe)
                return c;
        return 0;
}

static void quoted(Buf *out, Str s)
{
        buf_add_char(out, '"');
        while (s.n > 0) {
                size_t n = str_utf8(s);
                unsigned char c = (unsigned char)s.p[0];

                if (c == '"' || c == '\\')
                        buf_printf(out, "\\%c", c);
                else if (n == 0)
                        buf_add_str(out, STR("\xef\xbf\xbd"));
                else if (c == 0 || must_escape(s, n) != 0)
                        buf_printf(out, "\\u%04x", must_escape(s, n));
                else
                        buf_add(out, s.p, n);
                s = str_sub(s, n > 0 ? n : 1, s.n);
        }
        buf_add_char(out, '"');
}

void doc_yaml_scalar(Buf *out, Str s)
{
        if (is_plain(s))
                buf_add_str(out, s);
        else
                quoted(out, s);
}

void doc_yaml_init(DocWriter *d, Buf *out)
{
        *d = (DocWriter){.yaml = true};
        json_writer_init(&d->json, out);
}

void doc_json_init(DocWriter *d, Buf *out)
{
        *d = (DocWriter){0};
        json_writer_init(&d->json, out);
}

static void indent(DocWriter *d, unsigned depth)
{
        for (unsigned i = 0; i < depth; i++)
                buf_add_str(d->json.out, STR("  "));
}

/* YAML: what stands before a member's value, without the space. Ours are plain. */
static void yaml_key(DocWriter *d, Str key)
{
        indent(d, d->depth - (d->begins_item ? 1 : 0));
        if (d->begins_item)
                buf_add_str(d->json.out, STR("- "));
        d->begins_item = false;
        buf_add_str(d->json.out, key);
        buf_add_char(d->json.out, ':');
}

/* YAML: a member whose value follows on further lines. */
static void yaml_begin(DocWriter *d, Str key)
{
        yaml_key(d, key);
        buf_add_char(d->json.out, '\n');
}

void doc_begin(DocWriter *d)
{
        if (!d->yaml)
                json_object_begin(&d->json);
}

void doc_end(DocWriter *d)
{
        if (!d->yaml)
                json_object_end(&d->json);
}

void doc_object(DocWriter *d, Str key)
{
        if (!d->yaml) {
                json_key_object_begin(&d->json, key);
                return;
        }
        yaml_begin(d, key);
        d->depth++;
}

void doc_object_end(DocWriter *d)
{
        if (d->yaml)
                d->depth--;
        else
                json_object_end(&d->json);
}

void doc_list(DocWriter *d, Str key, size_t n)
{
        if (!d->yaml) {
                json_key_array_begin(&d->json, key);
        } else if (n > 0) {
                yaml_begin(d, key);
        } else {
                yaml_key(d, key);
                buf_add_str(d->json.out, STR(" []\n"));
        }
}

void doc_list_end(DocWriter *d)
{
        if (!d->yaml)
                json_array_end(&d->json);
}

void doc_item(DocWriter *d)
{
        if (!d->yaml) {
                json_object_begin(&d->json);
                return;
        }
        d->depth++;
        d->begins_item = true;
}

void doc_item_end(DocWriter *d)
{
        if (d->yaml)
                d->depth--;
        else
                json_object_end(&d->json);
}

void doc_item_str(DocWriter *d, Str value)
{
        if (!d->yaml) {
                json_str(&d->json, value);
                return;
        }
        indent(d, d->depth);
        buf_add_str(d->json.out, STR("- "));
        doc_yaml_scalar(d->json.out, value);
        buf_add_char(d->json.out, '\n');
}

void doc_str(DocWriter *d, Str key, Str value)
{
        if (!d->yaml) {
                json_key_str(&d->json, key, value);
                return;
        }
        yaml_key(d, key);
        buf_add_char(d->json.out, ' ');
        doc_yaml_scalar(d->json.out, value);
        buf_add_char(d->json.out, '\n');
}

void doc_optional_str(DocWriter *d, Str key, Str value)
{
        if (value.n > 0)
                doc_str(d, key, value);
}

void doc_quoted(DocWriter *d, Str key, Str value)
{
        if (!d->yaml) {
                json_key_str(&d->json, key, value);
                return;
        }
        yaml_key(d, key);
        buf_add_char(d->json.out, ' ');
        quoted(d->json.out, value);
        buf_add_char(d->json.out, '\n');
}

void doc_u64(DocWriter *d, Str key, uint64_t value)
{
        if (!d->yaml) {
                json_key_u64(&d->json, key, value);
                return;
        }
        yaml_key(d, key);
        buf_printf(d->json.out, " %llu\n", (unsigned long long)value);
}

void doc_bool(DocWriter *d, Str key, bool value)
{
        if (!d->yaml) {
                json_key_bool(&d->json, key, value);
                return;
        }
        yaml_key(d, key);
        buf_add_str(d->json.out, value ? STR(" true\n") : STR(" false\n"));
}

void doc_wall(DocWriter *d, Str key, Wall value)
{
        char text[WALL_TEXT];
        if (value.ms != 0)
                doc_quoted(d, key, str_of(wall_format(value, text)));
}
