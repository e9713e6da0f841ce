/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * JsonStream: a long list, `{"devices": [ {…}, {…}, … ]}`, fed in pieces of any size. Each element
 * of the one named array at the top is delivered as a Tree and then forgotten, so memory is that of
 * one element. Other members of the top object are skipped.
 */

#include "proto/tree.h"

enum {
        /* One device with every field that Tailscale's API has is below 4 KiB; routes and posture
         * may make it longer. */
        JSON_ELEMENT_MAX = 256 << 10,
};

typedef struct JsonStream JsonStream;

/* One element; `element` and all in it is valid until the return. Lines and columns are 0. False
 * with `err` filled ends the reading. Called only inside json_stream_feed. */
typedef bool JsonStreamElement(void *ctx, const Tree *element, Err *err);

/* `array` is the name of the top member whose elements are delivered (copied). */
JsonStream *json_stream_new(Str array, JsonStreamElement *on_element, void *ctx) MUST_USE;
/* NULL is welcome; returns NULL. */
JsonStream *json_stream_free(JsonStream *s);
/* Takes the next bytes. False: not JSON, no object at the top, the array named twice or no array,
 * an element above JSON_ELEMENT_MAX or TREE_DEPTH_MAX, or on_element said so; texts name the byte
 * offset. After false every call fails with the same error. */
bool json_stream_feed(JsonStream *s, Str bytes, Err *err) MUST_USE;
/* The end of the input: false where the document is cut off or never had the array. */
bool json_stream_finish(JsonStream *s, Err *err) MUST_USE;
/* Elements delivered so far. */
size_t json_stream_count(const JsonStream *s);

static inline void json_stream_cleanup(JsonStream **s)
{
        json_stream_free(*s);
}
