/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * JsonWriter: compact JSON into a Buf, commas by itself. What would not be JSON (a value without
 * key in an object, an end too many) is the programmer's fault and aborts; whether all fitted is
 * asked once, of the Buf. Bytes that are not UTF-8 become U+FFFD.
 *
 *     json_object_begin(w); json_key(w, STR("n")); json_u64(w, 3); json_object_end(w);  {"n":3}
 */

#include "base/buf.h"
#include "base/instant.h"
#include "proto/tree.h"

enum {
        JSON_WRITER_DEPTH_MAX = 64
};

typedef struct JsonWriter {
        Buf *out;         /* borrowed */
        uint64_t objects; /* bit per depth: it is an object */
        uint64_t filled;  /* bit per depth: it has a member */
        unsigned depth;
        bool has_key;
} JsonWriter;

/* Writes behind what `out` holds already. */
void json_writer_init(JsonWriter *w, Buf *out);
/* Begin and end what holds others; a key comes before each value in an object. */
void json_object_begin(JsonWriter *w);
void json_object_end(JsonWriter *w);
void json_array_begin(JsonWriter *w);
void json_array_end(JsonWriter *w);
void json_key(JsonWriter *w, Str key);
/* A value: where one may stand. */
void json_str(JsonWriter *w, Str s);
void json_u64(JsonWriter *w, uint64_t v);
void json_bool(JsonWriter *w, bool v);
void json_null(JsonWriter *w);
/* With six decimals; not a finite number: null. */
void json_double(JsonWriter *w, double v);
/* A number that is text already, or any other whole JSON value. */
void json_raw(JsonWriter *w, Str json);
/* An array of strings. */
void json_strlist(JsonWriter *w, StrList l);
/* All of it as it was read, members that come twice, too. Its depth is that of a Tree, which fits
 * where not much is around it. */
void json_tree(JsonWriter *w, const Tree *node);
/* Its members alone, into an object that is begun, but for those of that name. */
void json_tree_members(JsonWriter *w, const Tree *object, StrList without);

/* Key and value. */
void json_key_str(JsonWriter *w, Str key, Str s);
void json_key_u64(JsonWriter *w, Str key, uint64_t v);
void json_key_bool(JsonWriter *w, Str key, bool v);
/* RFC 3339; null where it is 0. */
void json_key_wall(JsonWriter *w, Str key, Wall t);
void json_key_object_begin(JsonWriter *w, Str key);
void json_key_array_begin(JsonWriter *w, Str key);
