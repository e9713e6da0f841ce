/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line is built on the stack, out of pieces that go in whole or not at all: one character with
 * its escape, one key. The first that does not fit ends the content; what closes the line (the
 * mark, a quote, a brace, the newline) has its room set aside, so a cut line is valid JSON too.
 */
#include "base/log.h"

enum {
        TAIL_MAX = 8,   /* "…", quote, brace, newline */
        VALUE_MIN = 20, /* any number, or an opening quote */
};

typedef struct Line {
        char b[LOG_LINE_MAX];
        size_t n;
        bool cut, marked; /* marked: the "…" of a cut is there already */
} Line;

static bool put(Line *l, Str s)
{
        if (l->cut || l->n + s.n > sizeof(l->b) - TAIL_MAX) {
                l->cut = true;
                return false;
        }
        memcpy(l->b + l->n, s.p, s.n);
        l->n += s.n;
        return true;
}

static void put_tail(Line *l, Str s)
{
        memcpy(l->b + l->n, s.p, s.n);
        l->n += s.n;
}

static void put_mark(Line *l)
{
        if (!l->marked)
                put_tail(l, STR("\xe2\x80\xa6"));
        l->marked = true;
}

/* A control character: \n, \t, \r, else \xNN in text and \u00NN in JSON. */
static bool put_control(Line *l, unsigned char c, bool json)
{
        static const char hex[] = "0123456789abcdef";
        char esc[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};

        if (c == '\n')
                return put(l, STR("\\n"));
        if (c == '\t')
                return put(l, STR("\\t"));
        if (c == '\r')
                return put(l, STR("\\r"));
        if (json)
                return put(l, (Str){esc, sizeof(esc)});
        esc[2] = '\\';
        esc[3] = 'x';
        return put(l, (Str){esc + 2, 4});
}

/* With the escapes that JSON and quoted text share; invalid UTF-8 becomes U+FFFD. */
static void put_escaped(Line *l, Str s, bool json)
{
        while (s.n > 0 && !l->cut) {
                size_t len = str_utf8(s);
                unsigned char c = (unsigned char)s.p[0];

                if (len == 0)
                        put(l, STR("\xef\xbf\xbd"));
                else if (c == '"' || c == '\\')
                        put(l, c == '"' ? STR("\\\"") : STR("\\\\"));
                else if (c < 0x20 || c == 0x7f)
                        put_control(l, c, json);
                else
                        put(l, str_sub(s, 0, len));
                s = str_sub(s, len > 0 ? len : 1, s.n);
        }
}

/* A JSON string, or quoted text. */
static void put_quoted(Line *l, Str s, bool json)
{
        if (!put(l, STR("\"")))
                return;
        put_escaped(l, s, json);
        if (l->cut)
                put_mark(l);
        put_tail(l, STR("\""));
}

static void put_int(Line *l, int64_t v)
{
        char digits[20];
        size_t at = sizeof(digits);
        uint64_t u = v < 0 ? -(uint64_t)v : (uint64_t)v;

        do
                digits[--at] = (char)('0' + u % 10);
        while ((u /= 10) > 0);
        if (v < 0)
                digits[--at] = '-';
        put(l, (Str){digits + at, sizeof(digits) - at});
}

static bool needs_quotes(Str s)
{
        for (size_t i = 0; i < s.n; i++) {
                if (s.p[i] == ' ' || s.p[i] == '"' || s.p[i] == '=' || s.p[i] == '\\')
                        return true;
        }
        return s.n == 0 || !str_is_printable_utf8(s);
}

/* What stands before a value must not be left without one, so both go in together. */
static bool put_key(Line *l, Str before, Str key, Str after)
{
        size_t n = l->n;

        if (put(l, before) && put(l, key) && put(l, after) &&
            l->n + VALUE_MIN <= sizeof(l->b) - TAIL_MAX)
                return true;
        l->n = n;
        l->cut = true;
        return false;
}

static void put_text_field(Line *l, const LogField *f)
{
        if (!put_key(l, STR(" "), str_of(f->key), STR("=")))
                return;
        if (f->kind == LOG_FIELD_INT)
                put_int(l, f->num);
        else if (needs_quotes(f->str))
                put_quoted(l, f->str, false);
        else
                put_escaped(l, f->str, false);
}

static void put_json_field(Line *l, const LogField *f)
{
        if (!put_key(l, STR(",\""), str_of(f->key), STR("\":")))
                return;
        if (f->kind == LOG_FIELD_INT)
                put_int(l, f->num);
        else
                put_quoted(l, f->str, true);
}

static void text_line(Line *l, const char *time, LogLevel level, const char *msg,
                      const LogField *fields, size_t n)
{
        static const Str names[] = {STR_INIT(" ERROR "), STR_INIT(" WARN  "), STR_INIT(" INFO  "),
                                    STR_INIT(" DEBUG ")};

        put(l, str_of(time));
        put(l, names[level]);
        put_escaped(l, str_of(msg), false);
        for (size_t i = 0; i < n && !l->cut; i++)
                put_text_field(l, &fields[i]);
        if (l->cut)
                put_mark(l);
        put_tail(l, STR("\n"));
}

static const Str level_names[] = {STR_INIT("error"), STR_INIT("warn"), STR_INIT("info"),
                                  STR_INIT("debug")};

static void json_line(Line *l, const char *time, LogLevel level, const char *msg,
                      const LogField *fields, size_t n)
{
        put(l, STR("{\"time\":\""));
        put(l, str_of(time));
        put(l, STR("\",\"level\":\""));
        put(l, level_names[level]);
        put(l, STR("\",\"msg\":"));
        put_quoted(l, str_of(msg), true);
        for (size_t i = 0; i < n && !l->cut; i++)
                put_json_field(l, &fields[i]);
        put_tail(l, STR("}\n"));
}

void log_write(Log *log, LogLevel level, const char *msg, const LogField *fields, size_t n)
{
        char time[WALL_TEXT];
        Line line = {.n = 0};

        if (log == NULL || log->write == NULL || level > log->level)
                return;
        if (n > LOG_FIELDS_MAX)
                n = LOG_FIELDS_MAX;
        wall_format(log->now(log->ctx), time);
        if (log->json)
                json_line(&line, time, level, msg, fields, n);
        else
                text_line(&line, time, level, msg, fields, n);
        log->write(log->ctx, (Str){line.b, line.n});
}

Str log_level_name(LogLevel level)
{
        return level_names[level];
}

bool log_level_parse(Str s, LogLevel *ret)
{
        for (size_t i = 0; i < LENGTH_OF(level_names); i++) {
                if (str_eq(s, level_names[i])) {
                        *ret = (LogLevel)i;
                        return true;
                }
        }
        return false;
}
