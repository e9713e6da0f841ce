/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* For unit tests only: documents that are merged as server-side apply merges what several field
 * managers say, with lists that are atomic. Header only, because test code is in no library. */

#include "proto/json_writer.h"
#include "proto/tree.h"

enum {
        API_TREES_MAX = 16
};

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
                json_tree(w, same[n_same - 1]);
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
