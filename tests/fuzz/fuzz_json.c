/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First byte: the size of the pieces; the rest: JSON. The whole document and the streams in pieces
 * agree on what is JSON, on the list "devices" and on the members of "Peer"; what was read is
 * written and read again the same.
 */

#include <stddef.h>
#include <stdint.h>

#include "proto/json.h"
#include "proto/json_stream.h"
#include "proto/json_writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool trees_same(const Tree *a, const Tree *b)
{
        if (a->type != b->type || a->n != b->n || a->duplicate != b->duplicate ||
            !str_eq(a->key, b->key) || !str_eq(a->text, b->text))
                return false;
        for (const Tree *x = a->first, *y = b->first; x != NULL; x = x->next, y = y->next)
                if (!trees_same(x, y))
                        return false;
        return true;
}

static void write_and_read(const Tree *root, size_t size)
{
        Buf out;
        JsonWriter w;
        Arena arena;
        const Tree *again;

        buf_init(&out, 16 * size + 64);
        arena_init(&arena, 0);
        json_writer_init(&w, &out);
        json_tree(&w, root);
        INSIST(!out.failed);
        again = json_read(&arena, buf_str(&out), NULL, NULL);
        INSIST(again != NULL && trees_same(root, again));
        arena_done(&arena);
        buf_done(&out);
}

static bool on_element(void *ctx, const Tree *element, Err *err)
{
        (void)err;
        *(size_t *)ctx += element->n + 1;
        return true;
}

/* Feeds `s` and frees it. */
static bool stream(JsonStream *s, Str text, size_t piece)
{
        Err err;
        bool ok = true;

        while (ok && text.n > 0) {
                ok = json_stream_feed(s, str_sub(text, 0, piece), &err);
                text = str_sub(text, piece, text.n);
        }
        ok = ok && json_stream_finish(s, &err);
        json_stream_free(s);
        return ok;
}

static bool on_whole(void *ctx, const Tree *element, Err *err)
{
        (void)err;
        *(size_t *)ctx += element->n;
        return true;
}

/* The first member with each name that is kept is there, and nothing else. */
static bool on_member(void *ctx, const Tree *member, Err *err)
{
        (void)err;
        TREE_FOREACH (child, member)
                INSIST(member->type != TREE_OBJECT || str_eq(child->key, STR("a")));
        *(size_t *)ctx += 1;
        return true;
}

static void check_parts(Str text, size_t piece, const Tree *root)
{
        static const Str kept[] = {STR_INIT("a")};
        static const JsonStreamPart parts[] = {
                {.name = STR_INIT("Peer"),
                 .take = JSON_STREAM_MEMBERS,
                 .on_element = on_member,
                 .keep = {kept, 1}},
                {.name = STR_INIT("devices"),
                 .take = JSON_STREAM_WHOLE,
                 .optional = true,
                 .on_element = on_whole},
        };
        size_t streamed = 0;
        const Tree *peer = tree_get(root, STR("Peer")), *list = tree_get(root, STR("devices"));

        if (!stream(json_stream_new_parts(parts, LENGTH_OF(parts), &streamed), text, piece))
                return;
        INSIST(root != NULL && peer != NULL);
        INSIST(streamed == peer->n + (list != NULL ? list->n : 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        size_t piece = size > 0 ? 1 + (size_t)data[0] : 1, streamed = 0, whole = 0;
        Str text = size > 0 ? str_make(data + 1, size - 1) : STR("");
        Arena arena;
        TreeMark at = {0};
        Err err = {0};
        const Tree *root;
        bool ok;

        arena_init(&arena, 0);
        root = json_read(&arena, text, &at, &err);
        ok = stream(json_stream_new(STR("devices"), on_element, &streamed), text, piece);
        INSIST(root != NULL || (at.line > 0 && at.column > 0 && err.kind != ERR_NONE));
        INSIST(!ok || root != NULL);
        if (root != NULL)
                write_and_read(root, size);
        if (ok) {
                TREE_FOREACH (element, tree_get(root, STR("devices")))
                        whole += element->n + 1;
                INSIST(whole == streamed);
        }
        check_parts(text, piece, root);
        arena_done(&arena);
        return 0;
}
