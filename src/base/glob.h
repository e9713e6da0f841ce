/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Globs of `*` (any run), `?` (one byte), `[abc]`, `[a-z]`, `[!x]`; ASCII case folded; whole
 * string. Linear in |pattern| x |text|, no recursion. */

#include "base/str.h"

enum {
        GLOB_MAX = 253
};

/* True where the whole of `text` matches; a malformed pattern matches nothing. */
bool glob_match(Str pattern, Str text);
/* Is it well-formed, not empty and at most GLOB_MAX bytes? */
bool glob_is_valid(Str pattern);
