/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* JSON (RFC 8259, UTF-8, no comments): a whole document into a Tree. */

#include "proto/tree.h"

enum {
        JSON_BYTES_MAX = 16 << 20 /* a whole document in memory; lists go through json_stream */
};

/* The one value that `bytes` hold, in `arena`; lines and columns are set. Depth and nodes are
 * capped by tree.h, strings by `arena`. NULL: not JSON (reason "InvalidJson") or above a cap
 * ("TooLarge"), with the place in `ret_at` (may be NULL). */
const Tree *json_read(Arena *arena, Str bytes, TreeMark *ret_at, Err *err) MUST_USE;
