/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* JSON (RFC 8259, UTF-8, no comments): a whole document into a Tree. */

#include "proto/tree.h"

enum {
        JSON_BYTES_MAX = 16 << 20 /* a whole document in memory; lists go through json_stream */
};

/* Of one document; its depth is bounded by tree.h, its strings and nodes together by the arena. */
typedef struct JsonLimits {
        size_t bytes, nodes;
} JsonLimits;

/* The one value that `bytes` hold, in `arena`; lines and columns are set. At most JSON_BYTES_MAX
 * bytes and TREE_NODES_MAX nodes. NULL: not JSON (reason "InvalidJson") or above a cap
 * ("TooLarge"), with the place in `ret_at` (may be NULL). */
const Tree *json_read(Arena *arena, Str bytes, TreeMark *ret_at, Err *err) MUST_USE;
/* The same with limits of the caller's own, for what our own program wrote. */
const Tree *json_read_within(Arena *arena, Str bytes, const JsonLimits *limits, TreeMark *ret_at,
                             Err *err) MUST_USE;
