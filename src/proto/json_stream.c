/* SPDX-License-Identifier: Apache-2.0 */
/*
 * States by depth: 0 before and behind the top object, 1 inside it, 2 inside a list that is wanted,
 * deeper inside an element (built) or inside what is skipped (only counted). Invariants:
 *
 * 1. `builder` is in use exactly while `in_element`; its arena is emptied when the element ends.
 * 2. The parser buffers an unfinished token. So what it may hold without telling us anything is
 *    bounded: more than JSON_ELEMENT_MAX bytes behind the last token end the reading, as does an
 *    element of which more than that is built. Pieces are cut so that this is seen early.
 * 3. `part` is the one that the last key of the top object names, so NULL outside of all parts.
 * 4. An element that is too large and has an on_large is `drained`: what was built is dropped, its
 *    tokens are counted and go by. `core` is noted of every element, as nobody knows how it ends.
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
        char *array;  /* owned; name of the only part of json_stream_new, else NULL */
        JsonStreamPart only;
        const JsonStreamPart *parts, *part;
        size_t n_parts;
        bool seen[JSON_STREAM_PARTS_MAX], was_null[JSON_STREAM_PARTS_MAX];
        void *ctx;
        Arena arena; /* of the one element */
        TreeBuilder builder;
        unsigned depth;
        bool in_list, in_element;
        bool drains;    /* the element is too large */
        unsigned base;  /* depth outside of the element */
        bool in_core;   /* its last key is `core` */
        size_t core_at; /* the last key in there, of core_keep; else JSON_CORE_MAX */
        struct JsonStreamCore {
                size_t n;
                char text[JSON_CORE_TEXT_MAX];
        } core[JSON_CORE_MAX];
        bool skips_value;     /* the next value of the element is not kept */
        unsigned skip_depth;  /* how deep inside such a value */
        size_t element_start; /* offset */
        size_t skip_start;    /* offset behind the key of what is not kept */
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

static size_t max_of(const JsonStream *s)
{
        return s->part != NULL && s->part->max > 0 ? s->part->max : JSON_ELEMENT_MAX;
}

/* True where the reading goes on. */
static bool drain(JsonStream *s)
{
        if (!s->in_element || s->part->on_large == NULL)
                return false;
        s->drains = true;
        s->skips_value = false;
        arena_reset(&s->arena);
        return true;
}

static bool too_large(JsonStream *s, size_t offset)
{
        if (drain(s))
                return true;
        s->failed = true;
        return err_set(&s->err, ERR_LIMIT, "TooLarge",
                       "an element of more than %zu bytes, at byte %zu", max_of(s), offset);
}

static bool delivered(JsonStream *s, bool ok)
{
        s->count++;
        s->in_element = s->drains = false;
        arena_reset(&s->arena);
        s->failed = !ok;
        return ok;
}

static bool deliver(JsonStream *s)
{
        return delivered(s, s->part->on_element(s->ctx, s->builder.root, &s->err));
}

/* Small, so that no cap is met. */
static bool deliver_large(JsonStream *s)
{
        const JsonStreamPart *p = s->part;
        TreeBuilder *b = &s->builder;
        TreeMark none = {0};

        tree_builder_init(b, &s->arena);
        INSIST(tree_builder_value(b, TREE_OBJECT, (Str){0}, none, NULL) &&
               tree_builder_key(b, p->core, none, NULL) &&
               tree_builder_value(b, TREE_OBJECT, (Str){0}, none, NULL));
        for (size_t i = 0; i < p->core_keep.n; i++) {
                Str text = str_make(s->core[i].text, s->core[i].n);

                if (text.n > 0)
                        INSIST(tree_builder_key(b, p->core_keep.at[i], none, NULL) &&
                               tree_builder_value(b, TREE_STRING, text, none, NULL));
        }
        INSIST(tree_builder_end(b, NULL) && tree_builder_end(b, NULL));
        return delivered(s, p->on_large(s->ctx, b->root, &s->err));
}

/* The error that the builder filled gets the offset. */
static bool built(JsonStream *s, bool ok, size_t end)
{
        if (!ok && s->err.kind == ERR_LIMIT && drain(s)) {
                s->err = (Err){0};
                return true;
        }
        if (!ok) {
                s->failed = true;
                err_prefix(&s->err, "at byte %zu", end);
        }
        return ok;
}

/* What is noted of the core. */

static void note_key(JsonStream *s, Str key)
{
        unsigned inside = s->depth - s->base;

        if (inside == 1)
                s->in_core = s->part->core.n > 0 && str_eq(key, s->part->core);
        if (inside == 1 || (inside == 2 && s->in_core))
                s->core_at = JSON_CORE_MAX;
        for (size_t i = 0; inside == 2 && s->in_core && i < s->part->core_keep.n; i++)
                if (str_eq(key, s->part->core_keep.at[i]))
                        s->core_at = i;
}

static void note_value(JsonStream *s, TreeType type, Str text)
{
        struct JsonStreamCore *c = &s->core[s->core_at % JSON_CORE_MAX];
        bool is_core = s->in_core && s->depth - s->base == 2 && s->core_at < JSON_CORE_MAX;

        if (!is_core || (type != TREE_STRING && type != TREE_NUMBER) || text.n == 0 ||
            text.n > JSON_CORE_TEXT_MAX)
                return;
        memcpy(c->text, text.p, text.n);
        c->n = text.n;
}

static bool is_opening(TreeType type)
{
        return type == TREE_ARRAY || type == TREE_OBJECT;
}

static void begin_element(JsonStream *s, TreeType type, Str text, size_t end)
{
        tree_builder_init(&s->builder, &s->arena);
        s->builder.keys_unchecked = true;
        s->in_element = true;
        s->base = s->depth;
        s->in_core = false;
        s->core_at = JSON_CORE_MAX;
        for (size_t i = 0; i < JSON_CORE_MAX; i++)
                s->core[i].n = 0;
        s->element_start = end - (is_opening(type) ? 1 : text.n);
}

static bool element_value(JsonStream *s, TreeType type, Str text, size_t end)
{
        if (!s->in_element)
                begin_element(s, type, text, end);
        note_value(s, type, text);
        if (!s->drains && end - s->element_start > max_of(s) && !too_large(s, end))
                return false;
        if (!s->drains &&
            !built(s, tree_builder_value(&s->builder, type, text, (TreeMark){0}, &s->err), end))
                return false;
        if (is_opening(type))
                s->depth++;
        else if (s->depth == s->base)
                return s->drains ? deliver_large(s) : deliver(s);
        return true;
}

/* What is not kept is as if it had not been there. */
static void end_skip(JsonStream *s, size_t end)
{
        s->element_start += end - s->skip_start;
        s->skips_value = false;
}

static bool open_outer(JsonStream *s, size_t end)
{
        if (s->depth + s->skip_depth >= TREE_DEPTH_MAX)
                return fail(s, ERR_LIMIT, "TooLarge", "nested too deep", end);
        return true;
}

static bool skipped_value(JsonStream *s, TreeType type, size_t end)
{
        if (is_opening(type)) {
                if (!open_outer(s, end))
                        return false;
                s->skip_depth++;
        } else if (s->skip_depth == 0) {
                end_skip(s, end);
        }
        return true;
}

/* The value of a member of the top object that is wanted. */
static bool begin_part(JsonStream *s, TreeType type, Str text, size_t end)
{
        static const TreeType expected[] = {
                [JSON_STREAM_ELEMENTS] = TREE_ARRAY,
                [JSON_STREAM_ELEMENTS_OR_NULL] = TREE_ARRAY,
                [JSON_STREAM_MEMBERS] = TREE_OBJECT,
        };
        bool *seen = &s->seen[s->part - s->parts];

        if (*seen)
                return fail(s, ERR_INVALID, "InvalidJson", "the named list comes twice", end);
        *seen = true;
        if (s->part->take == JSON_STREAM_WHOLE)
                return element_value(s, type, text, end);
        if (s->part->take != JSON_STREAM_ELEMENTS && type == TREE_NULL) {
                s->was_null[s->part - s->parts] = true;
                return true;
        }
        if (type != expected[s->part->take])
                return fail(s, ERR_INVALID, "InvalidJson", "the named member is no list", end);
        s->in_list = true;
        s->depth++;
        return true;
}

/* A value that is not inside an element: the top object, a part, or skipped. */
static bool outer_value(JsonStream *s, TreeType type, Str text, size_t end)
{
        if (s->depth == 0 && type != TREE_OBJECT)
                return fail(s, ERR_INVALID, "InvalidJson", "not an object at the top", end);
        if (s->depth == 1 && s->part != NULL)
                return begin_part(s, type, text, end);
        if (!is_opening(type))
                return true;
        if (!open_outer(s, end))
                return false;
        s->depth++;
        return true;
}

static bool on_value(void *ctx, TreeType type, Str text, size_t end)
{
        JsonStream *s = ctx;

        s->last = end;
        if (s->skips_value)
                return skipped_value(s, type, end);
        if (s->in_list || s->in_element)
                return element_value(s, type, text, end);
        return outer_value(s, type, text, end);
}

static const JsonStreamPart *find_part(const JsonStream *s, Str name)
{
        for (size_t i = 0; i < s->n_parts; i++)
                if (str_eq(s->parts[i].name, name))
                        return &s->parts[i];
        return NULL;
}

static bool on_key(void *ctx, Str key, size_t end)
{
        JsonStream *s = ctx;

        s->last = end;
        if (s->skips_value)
                return true;
        if (s->in_element)
                note_key(s, key);
        if (s->drains)
                return true;
        if (s->in_element && s->builder.depth == 1 && s->part->keep.n > 0 &&
            !strlist_has(s->part->keep, key)) {
                s->skips_value = true;
                s->skip_start = end;
                return true;
        }
        if (s->in_element)
                return built(s, tree_builder_key(&s->builder, key, (TreeMark){0}, &s->err), end);
        if (s->depth == 1)
                s->part = find_part(s, key);
        return true;
}

static bool end_in_element(JsonStream *s, size_t end)
{
        s->depth--;
        if (!s->drains && end - s->element_start > max_of(s) && !too_large(s, end))
                return false;
        if (!s->drains && !built(s, tree_builder_end(&s->builder, &s->err), end))
                return false;
        if (s->depth > s->base)
                return true;
        return s->drains ? deliver_large(s) : deliver(s);
}

static bool on_end(void *ctx, size_t end)
{
        JsonStream *s = ctx;

        s->last = end;
        if (s->skips_value) {
                if (--s->skip_depth == 0)
                        end_skip(s, end);
                return true;
        }
        if (s->in_element)
                return end_in_element(s, end);
        s->depth--;
        if (s->depth == 1)
                s->in_list = false;
        return true;
}

JsonStream *json_stream_new_parts(const JsonStreamPart *parts, size_t n, void *ctx)
{
        static const JsonSaxHandler handler = {on_value, on_key, on_end};
        JsonStream *s = mem_new(sizeof(*s));

        INSIST(n <= JSON_STREAM_PARTS_MAX);
        s->parts = parts;
        s->n_parts = n;
        s->ctx = ctx;
        s->sax = json_sax_new(&handler, s);
        arena_init(&s->arena, ELEMENT_MEMORY_MAX);
        return s;
}

JsonStream *json_stream_new(Str array, JsonStreamElement *on_element, void *ctx)
{
        JsonStream *s = json_stream_new_parts(NULL, 0, ctx);

        s->array = mem_new(array.n + 1);
        memcpy(s->array, array.p, array.n);
        s->only = (JsonStreamPart){.name = str_make(s->array, array.n), .on_element = on_element};
        s->parts = &s->only;
        s->n_parts = 1;
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

/* Bytes that the parser may hold. */
static size_t token_max(const JsonStream *s)
{
        for (size_t i = 0; i < s->n_parts; i++)
                if (s->parts[i].on_large != NULL)
                        return JSON_TOKEN_MAX;
        return JSON_ELEMENT_MAX;
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
        if (s->fed - s->last > token_max(s))
                return fail(s, ERR_LIMIT, "TooLarge", "a token that does not end", s->fed);
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
        for (size_t i = 0; r == JSON_SAX_OK && i < s->n_parts && !s->failed; i++) {
                if (s->seen[i] || s->parts[i].optional)
                        continue;
                s->failed = true;
                err_set(&s->err, ERR_INVALID, "InvalidJson", "no list \"%.*s\" in it",
                        STR_FMT(s->parts[i].name));
        }
        return s->failed ? failed(s, err) : true;
}

bool json_stream_has(const JsonStream *s, size_t part)
{
        return s->seen[part];
}

bool json_stream_was_null(const JsonStream *s, size_t part)
{
        return s->was_null[part];
}

size_t json_stream_count(const JsonStream *s)
{
        return s->count;
}
