/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yajl tells no positions; what it has consumed of the current piece, read inside a callback, is
 * the end of the token that is being told. With the sum of the earlier pieces that is an offset.
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
        char error[JSON_SAX_ERROR_MAX];
};

static size_t end_of(const JsonSax *s)
{
        return s->before + yajl_get_bytes_consumed(s->yajl);
}

static int value(void *ctx, TreeType type, Str text)
{
        JsonSax *s = ctx;

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
        return value(ctx, TREE_STRING, str_make(p, n));
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

        return s->handler->on_key(s->ctx, str_make(p, n), end_of(s));
}

static int on_close(void *ctx)
{
        JsonSax *s = ctx;

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
        if (status == yajl_status_client_canceled)
                return JSON_SAX_STOPPED;
        keep_error(s);
        return JSON_SAX_INVALID;
}

JsonSaxResult json_sax_feed(JsonSax *s, Str bytes)
{
        JsonSaxResult r =
                result_of(s, yajl_parse(s->yajl, (const unsigned char *)bytes.p, bytes.n));

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
