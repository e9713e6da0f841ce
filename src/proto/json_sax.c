/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yajl tells no positions; what it has consumed of the current piece, read inside a callback, is
 * the end of the token that is being told. With the sum of the earlier pieces that is an offset.
 *
 * Its check of UTF-8 lets overlong forms and surrogates pass, and an escape of half a surrogate
 * pair comes out as three bytes that are no UTF-8. So strings are checked here: what was half a
 * pair becomes U+FFFD, which has three bytes too; anything else is refused.
 */
#include "proto/json_sax.h"

#include "base/mem.h"

#include <stdio.h>
#include <yajl/yajl_parse.h>

struct JsonSax {
        yajl_handle yajl; /* owned */
        const JsonSaxHandler *handler;
        void *ctx;
        size_t before; /* bytes of earlier pieces */
        size_t offset;
        unsigned depth;
        bool is_whole;   /* the one value of the input has ended */
        size_t whole_at; /* behind it */
        char *clean;     /* owned; the string that is being told, where it had to be changed */
        char error[JSON_SAX_ERROR_MAX];
};

/* Eight bytes at a time, the last eight once more: all of a long list goes through here. */
static bool is_ascii(Str s)
{
        uint64_t all = 0, word;

        if (s.n < sizeof(word)) {
                for (size_t i = 0; i < s.n; i++)
                        all |= (unsigned char)s.p[i];
                return all < 0x80;
        }
        for (size_t i = 0; i < s.n; i += sizeof(word)) {
                size_t at = i < s.n - sizeof(word) ? i : s.n - sizeof(word);

                memcpy(&word, s.p + at, sizeof(word));
                all |= word;
        }
        return (all & 0x8080808080808080) == 0;
}

/* ED A0 80 to ED BF BF, the bytes of a surrogate. */
static bool is_surrogate(Str s)
{
        return s.n >= 3 && (unsigned char)s.p[0] == 0xed && (unsigned char)s.p[1] >= 0xa0 &&
               (unsigned char)s.p[1] < 0xc0 && ((unsigned char)s.p[2] & 0xc0) == 0x80;
}

static bool refuse(JsonSax *s, const char *why)
{
        IGNORE(snprintf(s->error, sizeof(s->error), "%s", why), "short");
        return false;
}

/* A copy of the text that may be written to, once. */
static bool make_clean(JsonSax *s, Str *text)
{
        if (s->clean != NULL)
                return true;
        s->clean = mem_try(text->n);
        if (s->clean == NULL)
                return refuse(s, "no memory for a string");
        memcpy(s->clean, text->p, text->n);
        text->p = s->clean;
        return true;
}

static void drop_clean(JsonSax *s)
{
        if (s->clean != NULL)
                s->clean = mem_free(s->clean);
}

/* Leaves valid UTF-8 in *text, or false with an error. */
static bool clean_text(JsonSax *s, Str *text)
{
        size_t at = 0;

        if (is_ascii(*text))
                return true;
        while (at < text->n) {
                Str rest = str_sub(*text, at, text->n);
                size_t n = str_utf8(rest);

                if (n == 0) {
                        if (!is_surrogate(rest))
                                return refuse(s, "invalid bytes in UTF8 string");
                        if (!make_clean(s, text))
                                return false;
                        n = 3;
                        memcpy(s->clean + at, "\xef\xbf\xbd", n);
                }
                at += n;
        }
        return true;
}

static size_t end_of(const JsonSax *s)
{
        return s->before + yajl_get_bytes_consumed(s->yajl);
}

static void note_end(JsonSax *s)
{
        if (s->depth > 0)
                return;
        s->is_whole = true;
        s->whole_at = end_of(s);
}

static int value(void *ctx, TreeType type, Str text)
{
        JsonSax *s = ctx;

        if (type == TREE_OBJECT || type == TREE_ARRAY)
                s->depth++;
        else
                note_end(s);
        return s->handler->on_value(s->ctx, type, text, end_of(s));
}

static int on_null(void *ctx)
{
        return value(ctx, TREE_NULL, STR("null"));
}

static int on_boolean(void *ctx, int v)
{
        return value(ctx, TREE_BOOL, v != 0 ? STR("true") : STR("false"));
}

static int on_number(void *ctx, const char *p, size_t n)
{
        return value(ctx, TREE_NUMBER, str_make(p, n));
}

static int on_string(void *ctx, const unsigned char *p, size_t n)
{
        JsonSax *s = ctx;
        Str text = str_make(p, n);
        bool ok = clean_text(s, &text) && value(ctx, TREE_STRING, text);

        drop_clean(s);
        return ok;
}

static int on_map_begin(void *ctx)
{
        return value(ctx, TREE_OBJECT, STR(""));
}

static int on_array_begin(void *ctx)
{
        return value(ctx, TREE_ARRAY, STR(""));
}

static int on_map_key(void *ctx, const unsigned char *p, size_t n)
{
        JsonSax *s = ctx;
        Str text = str_make(p, n);
        bool ok = clean_text(s, &text) && s->handler->on_key(s->ctx, text, end_of(s));

        drop_clean(s);
        return ok;
}

static int on_close(void *ctx)
{
        JsonSax *s = ctx;

        s->depth--;
        note_end(s);
        return s->handler->on_end(s->ctx, end_of(s));
}

static const yajl_callbacks callbacks = {
        .yajl_null = on_null,
        .yajl_boolean = on_boolean,
        .yajl_number = on_number,
        .yajl_string = on_string,
        .yajl_start_map = on_map_begin,
        .yajl_map_key = on_map_key,
        .yajl_end_map = on_close,
        .yajl_start_array = on_array_begin,
        .yajl_end_array = on_close,
};

JsonSax *json_sax_new(const JsonSaxHandler *handler, void *ctx)
{
        JsonSax *s = mem_new(sizeof(*s));

        s->handler = handler;
        s->ctx = ctx;
        s->yajl = yajl_alloc(&callbacks, NULL, s);
        INSIST(s->yajl != NULL);
        return s;
}

JsonSax *json_sax_free(JsonSax *s)
{
        if (s != NULL)
                yajl_free(s->yajl);
        return mem_free(s);
}

/* yajl's words carry their own prefix and a line end. */
static void keep_error(JsonSax *s)
{
        unsigned char *text = yajl_get_error(s->yajl, 0, NULL, 0);
        Str t = str_trim(str_of((const char *)text)), head;

        if (str_starts(t, STR("parse error:")) || str_starts(t, STR("lexical error:")))
                IGNORE(str_cut(&t, ':', &head), "there is a colon");
        t = str_trim(t);
        IGNORE(snprintf(s->error, sizeof(s->error), "%.*s", STR_FMT(t)), "cut where too long");
        if (text != NULL)
                yajl_free_error(s->yajl, text);
}

static JsonSaxResult result_of(JsonSax *s, yajl_status status)
{
        s->offset = end_of(s);
        if (status == yajl_status_ok)
                return JSON_SAX_OK;
        if (status == yajl_status_client_canceled && s->error[0] == '\0')
                return JSON_SAX_STOPPED;
        if (status != yajl_status_client_canceled)
                keep_error(s);
        return JSON_SAX_INVALID;
}

/* Of a string that only begins behind the value yajl says nothing, as of any token that is not
 * whole yet, also at the end. */
static bool has_garbage(const JsonSax *s, Str bytes)
{
        size_t from = s->whole_at > s->before ? s->whole_at - s->before : 0;

        return s->is_whole && str_trim(str_sub(bytes, from, bytes.n)).n > 0;
}

JsonSaxResult json_sax_feed(JsonSax *s, Str bytes)
{
        JsonSaxResult r =
                result_of(s, yajl_parse(s->yajl, (const unsigned char *)bytes.p, bytes.n));

        if (r == JSON_SAX_OK && has_garbage(s, bytes)) {
                s->offset = s->whole_at;
                refuse(s, "trailing garbage");
                r = JSON_SAX_INVALID;
        }
        if (r == JSON_SAX_OK)
                s->before += bytes.n;
        return r;
}

JsonSaxResult json_sax_finish(JsonSax *s)
{
        JsonSaxResult r = result_of(s, yajl_complete_parse(s->yajl));

        /* The last piece has been counted; yajl feeds itself a space behind it. */
        s->offset = s->before;
        return r;
}

size_t json_sax_offset(const JsonSax *s)
{
        return s->offset;
}

const char *json_sax_error(const JsonSax *s)
{
        return s->error;
}
