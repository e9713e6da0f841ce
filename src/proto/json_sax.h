/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* JsonSax: JSON bytes in pieces into events, for json and json_stream. The only file that knows
 * yajl. */

#include "proto/tree.h"

/* Each takes `end`, the offset in the whole input behind the token; strings are valid until the
 * return. False ends the reading. */
typedef struct JsonSaxHandler {
        /* A scalar (text as written, a string decoded), or the beginning of a list or object. */
        bool (*on_value)(void *ctx, TreeType type, Str text, size_t end);
        bool (*on_key)(void *ctx, Str key, size_t end);
        /* The end of a list or object. */
        bool (*on_end)(void *ctx, size_t end);
} JsonSaxHandler;

typedef enum JsonSaxResult {
        JSON_SAX_OK,
        JSON_SAX_STOPPED, /* the handler said false */
        JSON_SAX_INVALID, /* not JSON: json_sax_error, json_sax_offset */
} JsonSaxResult;

enum {
        JSON_SAX_ERROR_MAX = 120
};

typedef struct JsonSax JsonSax;

/* Borrows `handler`; `ctx` is handed to it. The other frees it; NULL is welcome. */
JsonSax *json_sax_new(const JsonSaxHandler *handler, void *ctx) MUST_USE;
JsonSax *json_sax_free(JsonSax *s);
/* The next bytes; anything but JSON_SAX_OK is final. */
JsonSaxResult json_sax_feed(JsonSax *s, Str bytes) MUST_USE;
/* The end of the input: whether a whole value was there. */
JsonSaxResult json_sax_finish(JsonSax *s) MUST_USE;
/* Offset that was reached: behind the last token, or where the fault is. */
size_t json_sax_offset(const JsonSax *s);
/* What is wrong, in one line. */
const char *json_sax_error(const JsonSax *s);

static inline void json_sax_cleanup(JsonSax **s)
{
        json_sax_free(*s);
}
