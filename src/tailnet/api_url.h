/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* ApiUrl: addresses of requests, and what goes into them. */

#include "base/buf.h"

/* `base` without slashes at its end, then `path`, then `segment` so escaped that it is one segment,
 * then `rest`; any of the last three may be empty. The caller frees it with mem_free. */
char *api_url_new(Str base, Str path, Str segment, Str rest) MUST_USE;
/* All but unreserved bytes (RFC 3986 2.3) and those of `also` as %XX: with none of them also right
 * for application/x-www-form-urlencoded. */
void api_url_escape(Buf *b, Str s, Str also);
