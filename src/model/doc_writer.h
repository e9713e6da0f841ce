/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * DocWriter: one document by one function, as YAML for a file or as JSON for an API server. What is
 * begun is ended; an object in a list is an item. The same calls give the same bytes.
 *
 *     doc_begin(d); doc_list(d, STR("a"), 1); doc_item(d); doc_str(d, STR("b"), v);
 *     doc_item_end(d); doc_list_end(d); doc_end(d);             a:\n- b: v\n      {"a":[{"b":"v"}]}
 */

#include "proto/json_writer.h"

typedef struct DocWriter {
        JsonWriter json; /* of JSON; its `out` of both */
        bool yaml;
        bool begins_item; /* YAML: the next member is the first of its item */
        unsigned depth;   /* YAML: of indent */
} DocWriter;

/* Both write behind what `out` holds already. */
void doc_yaml_init(DocWriter *d, Buf *out);
void doc_json_init(DocWriter *d, Buf *out);

/* The document itself. */
void doc_begin(DocWriter *d);
void doc_end(DocWriter *d);
/* An object that is a member. It is not empty in YAML. */
void doc_object(DocWriter *d, Str key);
void doc_object_end(DocWriter *d);
/* A list of `n`. */
void doc_list(DocWriter *d, Str key, size_t n);
void doc_list_end(DocWriter *d);
/* An object in a list; it has a member. */
void doc_item(DocWriter *d);
void doc_item_end(DocWriter *d);
void doc_item_str(DocWriter *d, Str value);

/* Members. */
void doc_str(DocWriter *d, Str key, Str value);
/* Nothing where it is empty. */
void doc_optional_str(DocWriter *d, Str key, Str value);
/* Quoted in YAML whatever it holds: what looks like a number to some reader is none. */
void doc_quoted(DocWriter *d, Str key, Str value);
void doc_u64(DocWriter *d, Str key, uint64_t value);
void doc_bool(DocWriter *d, Str key, bool value);
/* RFC 3339; nothing where it is 0. */
void doc_wall(DocWriter *d, Str key, Wall value);

/* A YAML scalar: plain where that is safe, else double-quoted. */
void doc_yaml_scalar(Buf *out, Str s);
