/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* RequestPath: a path as Envoy sees it once it has been made normal, which Envoy Gateway asks for
 * on every listener (normalize_path, merge_slashes; EG 1.9): routes are matched with that. */

#include "base/arena.h"

/* `path` without query and fragment, beginning with '/'. Percent-encoded letters, digits and -._~
 * are decoded, "." and ".." resolved (RFC 3986 6.2.2), a backslash is a slash, and slashes that
 * follow one another are one. An encoded slash stays: Envoy answers it with a redirect. In the
 * arena. */
Str request_path_normal(Arena *a, Str path);
