/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Leaf: what outlives a turn of the loop. One refcounted object, immutable once its maker has
 * handed it out, with its strings inside. A type embeds Leaf as its first member.
 *
 * With the right `room` a leaf is one allocation; what does not fit goes into chunks that are
 * freed with it. A leaf that holds references to others names a `drop`.
 */

#include "base/str.h"

typedef struct Leaf Leaf;
typedef void LeafDrop(Leaf *leaf);
typedef struct LeafChunk LeafChunk;

struct Leaf {
        unsigned refs;
        unsigned size;     /* bytes of the first allocation */
        unsigned used;     /* of it, while it is being made */
        LeafChunk *chunks; /* owned; what did not fit */
        LeafDrop *drop;    /* releases references held inside; may be NULL */
};

/* A zeroed object of `size` bytes that begins with Leaf, with `room` further bytes for leaf_alloc;
 * one reference, the caller's. */
void *leaf_new(size_t size, size_t room, LeafDrop *drop) MUST_USE;
/* Memory that lives as long as the leaf. Only while it is being made. Zeroed, aligned. */
void *leaf_alloc(Leaf *leaf, size_t size) MUST_USE;
/* A copy of `s` inside the leaf, NUL-terminated. */
Str leaf_str(Leaf *leaf, Str s) MUST_USE;
StrList leaf_strlist(Leaf *leaf, StrList l) MUST_USE;
/* How much room leaf_str and leaf_strlist take of it, for the `room` of leaf_new. */
size_t leaf_room_str(Str s);
size_t leaf_room_strlist(StrList l);

/* One more reference; returns its argument. NULL gives NULL. */
void *leaf_ref(const void *leaf);
/* Gives one back; the last frees. NULL is welcome. Always returns NULL. */
void *leaf_unref(const void *leaf);
/* For CLEANUP(leaf_cleanup) on any leaf pointer. */
static inline void leaf_cleanup(void *pp)
{
        leaf_unref(*(void **)pp);
}
/* Bytes that the leaf holds, for accounting. */
size_t leaf_bytes(const void *leaf);
