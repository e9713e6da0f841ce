/* SPDX-License-Identifier: Apache-2.0 */
/*
 * States by depth: 0 before and behind the top object, 1 inside it, 2 inside the wanted array,
 * deeper inside an element (built) or inside what is skipped (only counted). Invariants:
 *
 * 1. `builder` is in use exactly while `in_element`; its arena is emptied when the element ends.
 * 2. The parser buffers an unfinished token. So what it may hold without telling us anything is
 *    bounded: more than JSON_ELEMENT_MAX bytes behind the last token end the reading, as does an
 *    element longer than that. Pieces are cut so that this is seen early.
 */
#include "proto/json_stream.h"

#include "base/mem.h"
#include "proto/json_sax.h"

enum {
        PIECE_MAX = 64 << 10,
        /* Nodes and strings of an element; a node is some twenty times the shortest value "1,". */
        ELEMENT_MEMORY_MAX = 8 << 20,
};

struct JsonStream {
        JsonSax *sax; /* owned */
        char *array;  /* owned */
        Str name;
        JsonStreamElement *on_element;
        void *ctx;
        Arena arena; /* of the one element */
        TreeBuilder builder;
        unsigned depth;
        bool key_matches; /* the last key of the top object names the array */
        bool in_array, in_element, seen;
        size_t element_start; /* offset */
        size_t last;          /* offset behind the last token */
        size_t fed;
        size_t count;
        bool failed;
        Err err;
};

static bool fail(JsonStream *s, ErrKind kind, const char *reason, const char *what, size_t offset)
{
        s->failed = true;
        return err_set(&s->err, kind, reason, "%s, at byte %zu", what, offset);
}

static bool too_large(JsonStream *s, size_t offset)
{
        s->failed = true;
        return err_set(&s->err, ERR_LIMIT, "TooLarge",
                       "an element of more than %d bytes, at byte %zu", JSON_ELEMENT_MAX, offset);
}

static bool deliver(JsonStream *s)
{
        bool ok = s->on_element(s->ctx, s->builder.root, &s->err);

        s->count++;
        s->in_element = false;
        arena_done(&s->arena);
        s->failed = !ok;
        return ok;
}

/* The error that the builder filled gets the offset. */
static bool built(JsonStream *s, bool ok, size_t end)
{
        if (!ok) {
                s->failed = true;
                err_prefix(&s->err, "at byte %zu", end);
        }
        return ok;
}

static bool element_value(JsonStream *s, TreeType type, Str text, size_t end)
{
        bool opens = type == TREE_ARRAY || type == TREE_OBJECT;

        if (!s->in_element) {
                tree_builder_init(&s->builder, &s->arena);
                s->builder.keys_unchecked = true;
                s->in_element = true;
                s->element_start = end - (opens ? 1 : text.n);
        }
        if (end - s->element_start > JSON_ELEMENT_MAX)
                return too_large(s, end);
        if (!built(s, tree_builder_value(&s->builder, type, text, (TreeMark){0}, &s->err), end))
                return false;
        if (opens)
                s->depth++;
        else if (tree_builder_is_whole(&s->builder))
                return deliver(s);
        return true;
}

/* A value that is not inside an element: the top object, the array itself, or skipped. */
static bool outer_value(JsonStream *s, TreeType type, size_t end)
{
        bool opens = type == TREE_ARRAY || type == TREE_OBJECT;

        if (s->depth == 0 && type != TREE_OBJECT)
                return fail(s, ERR_INVALID, "InvalidJson", "not an object at the top", end);
        if (s->depth == 1 && s->key_matches) {
                if (type != TREE_ARRAY)
                        return fail(s, ERR_INVALID, "InvalidJson", "the named member is no list",
                                    end);
                if (s->seen)
                        return fail(s, ERR_INVALID, "InvalidJson", "the named list comes twice",
                                    end);
                s->seen = s->in_array = true;
        }
        if (!opens)
                return true;
        if (s->depth >= TREE_DEPTH_MAX)
                return fail(s, ERR_LIMIT, "TooLarge", "nested too deep", end);
        s->depth++;
        return true;
}

static bool on_value(void *ctx, TreeType type, Str text, size_t end)
{
        JsonStream *s = ctx;

        s->last = end;
        if (s->in_array)
                return element_value(s, type, text, end);
        return outer_value(s, type, end);
}

static bool on_key(void *ctx, Str key, size_t end)
{
        JsonStream *s = ctx;

        s->last = end;
        if (s->in_element)
                return built(s, tree_builder_key(&s->builder, key, (TreeMark){0}, &s->err), end);
        if (s->depth == 1)
                s->key_matches = str_eq(key, s->name);
        return true;
}

static bool on_end(void *ctx, size_t end)
{
        JsonStream *s = ctx;

        s->last = end;
        s->depth--;
        if (s->in_element) {
                if (end - s->element_start > JSON_ELEMENT_MAX)
                        return too_large(s, end);
                if (!built(s, tree_builder_end(&s->builder, &s->err), end))
                        return false;
                return tree_builder_is_whole(&s->builder) ? deliver(s) : true;
        }
        if (s->in_array && s->depth == 1)
                s->in_array = false;
        return true;
}

JsonStream *json_stream_new(Str array, JsonStreamElement *on_element, void *ctx)
{
        static const JsonSaxHandler handler = {on_value, on_key, on_end};
        JsonStream *s = mem_new(sizeof(*s));

        s->array = mem_new(array.n + 1);
        memcpy(s->array, array.p, array.n);
        s->name = str_make(s->array, array.n);
        s->on_element = on_element;
        s->ctx = ctx;
        s->sax = json_sax_new(&handler, s);
        arena_init(&s->arena, ELEMENT_MEMORY_MAX);
        return s;
}

JsonStream *json_stream_free(JsonStream *s)
{
        if (s == NULL)
                return NULL;
        json_sax_free(s->sax);
        arena_done(&s->arena);
        mem_free(s->array);
        return mem_free(s);
}

static bool failed(const JsonStream *s, Err *err)
{
        if (err != NULL)
                *err = s->err;
        return false;
}

static bool feed_piece(JsonStream *s, Str piece)
{
        JsonSaxResult r = json_sax_feed(s->sax, piece);

        s->fed += piece.n;
        if (r == JSON_SAX_STOPPED)
                return false;
        if (r == JSON_SAX_INVALID)
                return fail(s, ERR_INVALID, "InvalidJson", json_sax_error(s->sax),
                            json_sax_offset(s->sax));
        if (s->fed - s->last > JSON_ELEMENT_MAX)
                return too_large(s, s->fed);
        return true;
}

bool json_stream_feed(JsonStream *s, Str bytes, Err *err)
{
        while (!s->failed && bytes.n > 0) {
                Str piece = str_sub(bytes, 0, PIECE_MAX);

                if (!feed_piece(s, piece))
                        s->failed = true;
                bytes = str_sub(bytes, piece.n, bytes.n);
        }
        return s->failed ? failed(s, err) : true;
}

bool json_stream_finish(JsonStream *s, Err *err)
{
        JsonSaxResult r = s->failed ? JSON_SAX_STOPPED : json_sax_finish(s->sax);

        if (r == JSON_SAX_INVALID)
                fail(s, ERR_INVALID, "InvalidJson", json_sax_error(s->sax), s->fed);
        if (r == JSON_SAX_OK && !s->seen) {
                s->failed = true;
                err_set(&s->err, ERR_INVALID, "InvalidJson", "no list \"%.*s\" in it",
                        STR_FMT(s->name));
        }
        return s->failed ? failed(s, err) : true;
}

size_t json_stream_count(const JsonStream *s)
{
        return s->count;
}
