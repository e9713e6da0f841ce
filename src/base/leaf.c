/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first allocation holds the object and the room behind it; `used` runs through both. What
 * does not fit goes into chunks, newest first, each with its own `used`. Strings take their bytes
 * and one NUL, unaligned; the rest is aligned.
 */
#include "base/leaf.h"

#include "base/mem.h"

#include <limits.h>

enum {
        CHUNK_MIN = 256
};

struct LeafChunk {
        LeafChunk *next; /* older */
        size_t room, used;
        _Alignas(max_align_t) char bytes[];
};

void *leaf_new(size_t size, size_t room, LeafDrop *drop)
{
        Leaf *leaf;
        size_t total;

        INSIST(size >= sizeof(Leaf));
        INSIST(!__builtin_add_overflow(size, room, &total) && total <= UINT_MAX);
        leaf = mem_new(total);
        leaf->refs = 1;
        leaf->size = (unsigned)total;
        leaf->used = (unsigned)size;
        leaf->drop = drop;
        return leaf;
}

/* Bytes [ret, ret + size) of a block of `room` of which `used` are taken, or SIZE_MAX. */
static size_t fit(size_t used, size_t room, size_t size, size_t align)
{
        size_t at = (used + align - 1) & ~(align - 1);

        return at <= room && size <= room - at ? at : SIZE_MAX;
}

static void *take(Leaf *leaf, size_t size, size_t align)
{
        LeafChunk *c = leaf->chunks;
        size_t at = fit(leaf->used, leaf->size, size, align);
        size_t room = size > CHUNK_MIN ? size : CHUNK_MIN;
        size_t total;

        INSIST(leaf->refs == 1);
        if (at != SIZE_MAX) {
                leaf->used = (unsigned)(at + size);
                return (char *)leaf + at;
        }
        if (c != NULL)
                at = fit(c->used, c->room, size, align);
        if (at == SIZE_MAX) {
                INSIST(!__builtin_add_overflow(room, sizeof(LeafChunk), &total));
                c = mem_new(total);
                c->room = room;
                c->next = leaf->chunks;
                leaf->chunks = c;
                at = 0;
        }
        c->used = at + size;
        return c->bytes + at;
}

void *leaf_alloc(Leaf *leaf, size_t size)
{
        return take(leaf, size, _Alignof(max_align_t));
}

Str leaf_str(Leaf *leaf, Str s)
{
        char *p;

        if (s.n == 0)
                return STR("");
        p = take(leaf, s.n + 1, 1);
        memcpy(p, s.p, s.n);
        return (Str){p, s.n};
}

StrList leaf_strlist(Leaf *leaf, StrList l)
{
        Str *at;

        if (l.n == 0)
                return (StrList){0};
        INSIST(l.n <= SIZE_MAX / sizeof(Str));
        at = take(leaf, l.n * sizeof(Str), _Alignof(Str));
        for (size_t i = 0; i < l.n; i++)
                at[i] = leaf_str(leaf, l.at[i]);
        return (StrList){at, l.n};
}

size_t leaf_room_str(Str s)
{
        return s.n > 0 ? s.n + 1 : 0;
}

size_t leaf_room_strlist(StrList l)
{
        size_t room = l.n > 0 ? l.n * sizeof(Str) + _Alignof(Str) - 1 : 0;

        for (size_t i = 0; i < l.n; i++)
                room += leaf_room_str(l.at[i]);
        return room;
}

/* The count is the one part of a leaf that changes after it was handed out. */
static Leaf *writable(const void *leaf)
{
        return (Leaf *)(uintptr_t)leaf;
}

void *leaf_ref(const void *leaf)
{
        Leaf *l = writable(leaf);

        if (l != NULL) {
                INSIST(l->refs > 0 && l->refs < UINT_MAX);
                l->refs++;
        }
        return l;
}

void *leaf_unref(const void *leaf)
{
        Leaf *l = writable(leaf);

        if (l == NULL)
                return NULL;
        INSIST(l->refs > 0);
        if (--l->refs > 0)
                return NULL;
        if (l->drop != NULL)
                l->drop(l);
        for (LeafChunk *c = l->chunks, *next; c != NULL; c = next) {
                next = c->next;
                mem_free(c);
        }
        return mem_free(l);
}

size_t leaf_bytes(const void *leaf)
{
        const Leaf *l = leaf;
        size_t n = l->size;

        for (const LeafChunk *c = l->chunks; c != NULL; c = c->next)
                n += sizeof(LeafChunk) + c->room;
        return n;
}
