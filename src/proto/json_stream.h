/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * JsonStream: a long list, `{"devices": [ {…}, {…}, … ]}`, fed in pieces of any size. Each element
 * of a named array at the top, or each member of a named object, is delivered as a Tree and then
 * forgotten, so memory is that of one element. Small members may be asked for beside it. Other
 * members of the top object are skipped.
 */

#include "proto/tree.h"

enum {
        /* One device with every field that Tailscale's API has is below 4 KiB; routes and posture
         * may make it longer. What is not kept of an element does not count, but for each token. */
        JSON_ELEMENT_MAX = 256 << 10,
        /* One string of an element that need not end the reading. */
        JSON_TOKEN_MAX = 2 << 20,
        JSON_CORE_MAX = 8,
        JSON_CORE_TEXT_MAX = 255,
        /* Members of the top object that one stream delivers. */
        JSON_STREAM_PARTS_MAX = 8,
};

typedef struct JsonStream JsonStream;

/* One element; `element` and all in it is valid until the return. Lines and columns are 0. False
 * with `err` filled ends the reading. Called only inside json_stream_feed. */
typedef bool JsonStreamElement(void *ctx, const Tree *element, Err *err);

typedef enum JsonStreamTake {
        JSON_STREAM_ELEMENTS,         /* a list: each element */
        JSON_STREAM_ELEMENTS_OR_NULL, /* the same; null is an empty list, as some encoders write one
                                       */
        JSON_STREAM_MEMBERS, /* an object: the value of each member, without its key; null is an
                                object without members */
        JSON_STREAM_WHOLE,   /* anything: the value itself, as one element */
} JsonStreamTake;

/* A member of the top object that is delivered. */
typedef struct JsonStreamPart {
        Str name;
        JsonStreamTake take;
        bool optional;                 /* else it is an error where it is not there */
        JsonStreamElement *on_element; /* gets the `ctx` of the stream */
        StrList keep; /* of an element that is an object only these members are built, whatever
                         else it holds; none: all */
        /* An element that is too large is not the end: it is delivered here, in place of
         * on_element, with the member `core` alone, and of that the scalars that `core_keep` names,
         * where they are at most JSON_CORE_TEXT_MAX long. NULL: it is. */
        JsonStreamElement *on_large;
        Str core;          /* one of `keep`, where that names any */
        StrList core_keep; /* at most JSON_CORE_MAX */
        size_t max;        /* bytes of an element; 0: JSON_ELEMENT_MAX */
} JsonStreamPart;

/* `array` is the name of the top member whose elements are delivered (copied). */
JsonStream *json_stream_new(Str array, JsonStreamElement *on_element, void *ctx) MUST_USE;
/* Several, in whatever order they come; at most JSON_STREAM_PARTS_MAX, borrowed until the stream is
 * freed. */
JsonStream *json_stream_new_parts(const JsonStreamPart *parts, size_t n, void *ctx) MUST_USE;
/* NULL is welcome; returns NULL. */
JsonStream *json_stream_free(JsonStream *s);
/* Takes the next bytes. False: not JSON, no object at the top, a part named twice or of another
 * type, an element above `max` or TREE_DEPTH_MAX without an on_large, or on_element said so; texts
 * name the byte offset. After false every call fails with the same error. */
bool json_stream_feed(JsonStream *s, Str bytes, Err *err) MUST_USE;
/* The end of the input: false where the document is cut off or never had a part that is not
 * optional. */
bool json_stream_finish(JsonStream *s, Err *err) MUST_USE;
/* Was that part there so far, be it empty? */
bool json_stream_has(const JsonStream *s, size_t part);
/* Was it there as null? */
bool json_stream_was_null(const JsonStream *s, size_t part);
/* Elements delivered so far, of all parts. */
size_t json_stream_count(const JsonStream *s);

static inline void json_stream_cleanup(JsonStream **s)
{
        json_stream_free(*s);
}
