/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* For unit tests only: documents that are merged as server-side apply merges what several field
 * managers say, with lists that are atomic. Header only, because test code is in no library. */

#include "proto/json_writer.h"
#include "proto/tree.h"

enum {
        API_TREES_MAX = 16
};

/* A document as it was read. */
static inline void api_put(JsonWriter *w, const Tree *t);

static inline void api_put_members(JsonWriter *w, const Tree *t)
{
        TREE_FOREACH (m, t) {
                json_key(w, m->key);
                api_put(w, m);
        }
}

static inline void api_put(JsonWriter *w, const Tree *t)
{
        switch (t->type) {
        case TREE_NULL:
                json_null(w);
                break;
        case TREE_BOOL:
                json_bool(w, t->boolean);
                break;
        case TREE_NUMBER:
                json_raw(w, t->text);
                break;
        case TREE_STRING:
                json_str(w, t->text);
                break;
        case TREE_ARRAY:
                json_array_begin(w);
                TREE_FOREACH (e, t)
                        api_put(w, e);
                json_array_end(w);
                break;
        case TREE_OBJECT:
                json_object_begin(w);
                api_put_members(w, t);
                json_object_end(w);
                break;
        }
}

/* Members of all, objects merged, of all else the last one. */
static inline void api_merge(JsonWriter *w, const Tree *const *trees, size_t n);

/* The member `key`, where trees[i] is the first that has it. */
static inline void api_merge_member(JsonWriter *w, const Tree *const *trees, size_t n, size_t i,
                                    const Tree *m)
{
        const Tree *same[API_TREES_MAX];
        size_t n_same = 0;
        for (size_t j = 0; j < n; j++) {
                const Tree *t = tree_get(trees[j], m->key);
                if (t != NULL && j < i)
                        return;
                if (t != NULL)
                        same[n_same++] = t;
        }
        json_key(w, m->key);
        if (m->type == TREE_OBJECT)
                api_merge(w, same, n_same);
        else
                api_put(w, same[n_same - 1]);
}

static inline void api_merge(JsonWriter *w, const Tree *const *trees, size_t n)
{
        json_object_begin(w);
        for (size_t i = 0; i < n; i++) {
                TREE_FOREACH (m, trees[i])
                        api_merge_member(w, trees, n, i, m);
        }
        json_object_end(w);
}
