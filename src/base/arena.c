/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chunks on a list, the newest first; allocation bumps inside the newest. Invariants:
 *
 * 1. used <= room, both of the first chunk on the list; 0 where there is none.
 * 2. total is the sum of the room of all chunks.
 * 3. What is not handed out is zero (calloc), so handing out need not clear; under ASan it is
 *    poisoned until then, so that a write past an allocation is seen.
 */
#include "base/arena.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#endif

#ifdef HAS_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

enum {
        CHUNK_MIN = 1024,
        CHUNK_MAX = 64 * 1024, /* above it doubling wastes more than it saves */
        ALIGN = _Alignof(max_align_t),
};

struct ArenaChunk {
        ArenaChunk *next; /* older */
        size_t room;
        _Alignas(max_align_t) char bytes[];
};

void arena_init(Arena *a, size_t max)
{
        *a = (Arena){.max = max};
}

static void free_chunks(ArenaChunk *c)
{
        for (ArenaChunk *next; c != NULL; c = next) {
                next = c->next;
                ASAN_UNPOISON_MEMORY_REGION(c->bytes, c->room);
                mem_free(c);
        }
}

void arena_done(Arena *a)
{
        free_chunks(a->chunks);
        arena_init(a, a->max);
}

/* The newest chunk is the largest but for those of their own. */
void arena_reset(Arena *a)
{
        ArenaChunk *c = a->chunks;

        if (c == NULL)
                return;
        if (c->room > CHUNK_MAX) {
                arena_done(a);
                return;
        }
        free_chunks(c->next);
        c->next = NULL;
        ASAN_UNPOISON_MEMORY_REGION(c->bytes, a->used);
        memset(c->bytes, 0, a->used);
        ASAN_POISON_MEMORY_REGION(c->bytes, c->room);
        a->used = 0;
        a->total = c->room;
}

static ArenaChunk *chunk_new(size_t room)
{
        size_t size;
        ArenaChunk *c;

        if (__builtin_add_overflow(room, sizeof(ArenaChunk), &size))
                return NULL;
        c = calloc(1, size);
        if (c == NULL)
                return NULL;
        c->room = room;
        ASAN_POISON_MEMORY_REGION(c->bytes, room);
        return c;
}

/* What is larger than half a chunk gets one of its own behind the first, so that the rest of the
 * first stays in use. */
static void *allocate_large(Arena *a, size_t size)
{
        ArenaChunk *c = chunk_new(size);

        if (c == NULL)
                return NULL;
        if (a->chunks == NULL) {
                a->chunks = c;
                a->used = a->room = size;
        } else {
                c->next = a->chunks->next;
                a->chunks->next = c;
        }
        a->total += size;
        return c->bytes;
}

/* A new first chunk with room for `least`, of no more than the cap leaves. */
static bool grow(Arena *a, size_t least)
{
        size_t room = a->room * 2;
        ArenaChunk *c;

        if (room < CHUNK_MIN)
                room = CHUNK_MIN;
        if (room > CHUNK_MAX)
                room = CHUNK_MAX;
        if (a->max > a->total && room > a->max - a->total)
                room = a->max - a->total;
        if (room < least)
                room = least;
        c = chunk_new(room);
        if (c == NULL)
                return false;
        c->next = a->chunks;
        a->chunks = c;
        a->used = 0;
        a->room = room;
        a->total += room;
        return true;
}

/* NULL without memory. `align` is a power of two. */
static void *allocate(Arena *a, size_t size, size_t align)
{
        size_t at = (a->used + align - 1) & ~(align - 1);
        char *p;

        if (at > a->room || size > a->room - at) {
                if (size > CHUNK_MIN / 2) {
                        p = allocate_large(a, size);
                        if (p != NULL)
                                ASAN_UNPOISON_MEMORY_REGION(p, size);
                        return p;
                }
                if (!grow(a, size))
                        return NULL;
                at = 0;
        }
        p = a->chunks->bytes + at;
        a->used = at + size;
        ASAN_UNPOISON_MEMORY_REGION(p, size);
        return p;
}

static void *must(void *p)
{
        if (p == NULL) {
                fputs("out of memory in an arena\n", stderr);
                abort();
        }
        return p;
}

void *arena_new(Arena *a, size_t size)
{
        return must(allocate(a, size > 0 ? size : 1, ALIGN));
}

void *arena_new_array(Arena *a, size_t n, size_t size)
{
        size_t total;

        if (__builtin_mul_overflow(n, size, &total))
                return must(NULL);
        return arena_new(a, total);
}

void *arena_try(Arena *a, size_t size)
{
        if (a->max > 0 && (a->total > a->max || size > a->max - a->total)) {
                /* It may still fit into what is already held. */
                size_t at = (a->used + ALIGN - 1) & ~(size_t)(ALIGN - 1);

                if (at > a->room || size > a->room - at)
                        return NULL;
        }
        return allocate(a, size > 0 ? size : 1, ALIGN);
}

Str arena_str(Arena *a, Str s)
{
        char *p = must(allocate(a, s.n + 1, 1));

        if (s.n > 0)
                memcpy(p, s.p, s.n);
        return (Str){p, s.n};
}

/* Writes into what is left of the newest chunk; NULL, and the chunk as before, where that is too
 * little. */
PRINTF(2, 0)
static char *print_into_chunk(Arena *a, const char *fmt, va_list ap, int *ret_n)
{
        size_t left = a->room - a->used;
        char *p = left > 0 ? a->chunks->bytes + a->used : NULL;

        if (left > 0)
                ASAN_UNPOISON_MEMORY_REGION(p, left);
        *ret_n = vsnprintf(p, left, fmt, ap);
        INSIST(*ret_n >= 0);
        if ((size_t)*ret_n < left) {
                a->used += (size_t)*ret_n + 1;
                ASAN_POISON_MEMORY_REGION(a->chunks->bytes + a->used, a->room - a->used);
                return p;
        }
        if (left > 0) {
                memset(p, 0, left);
                ASAN_POISON_MEMORY_REGION(p, left);
        }
        return NULL;
}

Str arena_printf(Arena *a, const char *fmt, ...)
{
        va_list ap;
        char *p;
        int n;

        va_start(ap, fmt);
        p = print_into_chunk(a, fmt, ap, &n);
        va_end(ap);
        if (p != NULL)
                return (Str){p, (size_t)n};
        p = must(allocate(a, (size_t)n + 1, 1));
        va_start(ap, fmt);
        IGNORE(vsnprintf(p, (size_t)n + 1, fmt, ap), "measured above");
        va_end(ap);
        return (Str){p, (size_t)n};
}

StrList arena_strlist(Arena *a, StrList l)
{
        Str *at = arena_new_array(a, l.n, sizeof(Str));

        for (size_t i = 0; i < l.n; i++)
                at[i] = arena_str(a, l.at[i]);
        return (StrList){at, l.n};
}
