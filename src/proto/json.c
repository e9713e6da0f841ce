/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places: the parser tells where a token ends; it begins behind the end of the token before it and
 * what may stand between two (white space, comma, colon). One cursor walks the text once and counts
 * lines.
 */
#include "proto/json.h"

#include "proto/json_sax.h"

typedef struct Reader {
        TreeBuilder builder;
        Str bytes;
        size_t offset;     /* of the cursor */
        size_t line_start; /* offset of the first byte of its line */
        unsigned line;
        TreeMark last; /* begin of the token that is being told */
        Err *err;
} Reader;

static TreeMark mark_of(const Reader *r)
{
        return (TreeMark){r->line, (unsigned)(r->offset - r->line_start) + 1};
}

static void advance(Reader *r, size_t to)
{
        for (; r->offset < to && r->offset < r->bytes.n; r->offset++) {
                if (r->bytes.p[r->offset] == '\n') {
                        r->line++;
                        r->line_start = r->offset + 1;
                }
        }
}

/* The place of the token that ends at `end`; the cursor is behind it after. */
static TreeMark next_mark(Reader *r, size_t end)
{
        while (r->offset < end && strchr(" \t\r\n,:", r->bytes.p[r->offset]) != NULL)
                advance(r, r->offset + 1);
        r->last = mark_of(r);
        advance(r, end);
        return r->last;
}

static bool on_value(void *ctx, TreeType type, Str text, size_t end)
{
        Reader *r = ctx;
        TreeMark at = next_mark(r, end);

        return tree_builder_value(&r->builder, type, text, at, r->err);
}

static bool on_key(void *ctx, Str key, size_t end)
{
        Reader *r = ctx;
        TreeMark at = next_mark(r, end);

        return tree_builder_key(&r->builder, key, at, r->err);
}

static bool on_end(void *ctx, size_t end)
{
        Reader *r = ctx;

        IGNORE(next_mark(r, end), "only moves the cursor");
        return tree_builder_end(&r->builder, r->err);
}

const Tree *json_read(Arena *arena, Str bytes, TreeMark *ret_at, Err *err)
{
        static const JsonLimits limits = {JSON_BYTES_MAX, TREE_NODES_MAX};

        return json_read_within(arena, bytes, &limits, ret_at, err);
}

const Tree *json_read_within(Arena *arena, Str bytes, const JsonLimits *limits, TreeMark *ret_at,
                             Err *err)
{
        static const JsonSaxHandler handler = {on_value, on_key, on_end};
        Reader r = {.bytes = bytes, .line = 1, .last = {1, 1}, .err = err};
        CLEANUP(json_sax_cleanup) JsonSax *sax = json_sax_new(&handler, &r);
        JsonSaxResult result;

        tree_builder_init(&r.builder, arena);
        r.builder.nodes_max = limits->nodes;
        if (bytes.n > limits->bytes) {
                err_set(err, ERR_LIMIT, "TooLarge", "more than %zu bytes", limits->bytes);
                if (ret_at != NULL)
                        *ret_at = r.last;
                return NULL;
        }
        result = json_sax_feed(sax, bytes);
        if (result == JSON_SAX_OK)
                result = json_sax_finish(sax);
        if (result == JSON_SAX_OK && tree_builder_is_whole(&r.builder))
                return r.builder.root;
        if (result != JSON_SAX_STOPPED) {
                advance(&r, json_sax_offset(sax));
                r.last = mark_of(&r);
                err_set(err, ERR_INVALID, "InvalidJson", "not JSON: %s",
                        result == JSON_SAX_OK ? "nothing in it" : json_sax_error(sax));
        }
        if (ret_at != NULL)
                *ret_at = r.last;
        return NULL;
}
