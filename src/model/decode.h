/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Decode: a Tree into a struct, by a Schema, with every fault on the way. */

#include "base/leaf.h"
#include "model/fault.h"
#include "model/schema.h"
#include "proto/tree.h"

enum {
        DECODE_PATH_MAX = 256
};

typedef struct Decoder {
        Str file;       /* borrowed: to print */
        Faults *faults; /* borrowed */
        Leaf *leaf;     /* borrowed: strings and arrays go there */
        char path[DECODE_PATH_MAX];
        size_t path_n;
} Decoder;

void decoder_init(Decoder *d, Str file, Faults *faults, Leaf *leaf);

/* Into a member or item; gives what decode_leave takes to come back. */
size_t decode_enter(Decoder *d, Str member);
size_t decode_enter_item(Decoder *d, size_t index);
void decode_leave(Decoder *d, size_t where);

/* A fault of what stands at `at`, with the present path. */
void decode_fault(Decoder *d, TreeMark at, const char *fmt, ...) PRINTF(3, 4);
/* A fault of `node`: "<what it is>, expected <expected>". */
void decode_unexpected(Decoder *d, const Tree *node, const char *expected);

/* Fills `out` (zeroed, of schema->size; NULL where the schema keeps nothing) from `node`; NULL is
 * an absent object: defaults alone. `null` is taken for absent, as Kubernetes does. */
void decode_object(Decoder *d, const Schema *schema, const Tree *node, void *out);
/* Faults of the members of `object` that are not `known`, and of those that come twice. */
void decode_strangers(Decoder *d, const Tree *object, StrList known);
/* The name of the member that is nearest to `name`, as text to put behind a message:
 * ", did you mean x?", or empty. */
const char *decode_suggestion(Str name, const Str *known, size_t n, char buf[EXPECTED_MAX]);
/* A number of bytes that is enough for the strings of `node`: for the `room` of leaf_new. */
size_t decode_room(const Tree *node);
