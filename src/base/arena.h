/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Arena: memory for what is over when the turn is (a request, a document, a plan). Allocation is
 * a pointer bump, freeing is all at once. Under AddressSanitizer what was freed is poisoned.
 */

#include "base/str.h"

typedef struct ArenaChunk ArenaChunk;

typedef struct Arena {
        ArenaChunk *chunks; /* owned */
        size_t used, room;  /* of the newest chunk, in bytes */
        size_t total;       /* bytes held in all chunks */
        size_t max;         /* cap for arena_try; 0: none */
} Arena;

/* An empty arena whose outside-sized allocations are refused above `max` bytes in total (0: no
 * cap). */
void arena_init(Arena *a, size_t max);
/* Frees everything; the arena is empty and usable again. */
void arena_done(Arena *a);
/* Frees all that was handed out, and keeps one chunk for what comes next: for work that begins anew
 * many times. */
void arena_reset(Arena *a);
/* Zeroed, aligned for any type, size chosen by us. Never NULL. */
void *arena_new(Arena *a, size_t size) MUST_USE;
void *arena_new_array(Arena *a, size_t n, size_t size) MUST_USE;
/* As arena_new for sizes of the outside: NULL above the cap or without memory. */
void *arena_try(Arena *a, size_t size) MUST_USE;
/* A copy, NUL-terminated behind its length. */
Str arena_str(Arena *a, Str s) MUST_USE;
Str arena_printf(Arena *a, const char *fmt, ...) PRINTF(2, 3) MUST_USE;
/* A copy of the list with copies of its strings. */
StrList arena_strlist(Arena *a, StrList l) MUST_USE;

#define ARENA_NEW(a, type) ((type *)arena_new((a), sizeof(type)))
