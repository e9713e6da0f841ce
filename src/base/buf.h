/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Buf: a growing run of bytes with a maximum that is named when it is made. What would pass the
 * maximum is refused as a whole, and the buffer is `failed` from then on, so a run of writes is
 * checked once.
 */

#include "base/str.h"

#include <stdarg.h>

typedef struct Buf {
        char *p; /* owned */
        size_t n, room, max;
        bool failed;
} Buf;

void buf_init(Buf *b, size_t max);
/* Frees the bytes; the buffer is as after buf_init. Safe on a zeroed Buf. */
void buf_done(Buf *b);
/* Forgets the content (and `failed`), keeps the memory. */
void buf_reset(Buf *b);
/* Room for `n` more bytes in one piece; false (and failed) above max or without memory. */
bool buf_reserve(Buf *b, size_t n);
void buf_add(Buf *b, const void *p, size_t n);
void buf_add_str(Buf *b, Str s);
void buf_add_char(Buf *b, char c);
void buf_printf(Buf *b, const char *fmt, ...) PRINTF(2, 3);
void buf_vprintf(Buf *b, const char *fmt, va_list ap) PRINTF(2, 0);
/* Drops the first `n` bytes. */
void buf_consume(Buf *b, size_t n);
/* Moves the bytes out, with a NUL behind them; the caller frees them with mem_free. The buffer is
 * empty after. NULL where it has failed. `ret_n` may be NULL. */
char *buf_take(Buf *b, size_t *ret_n) MUST_USE;
static inline Str buf_str(const Buf *b)
{
        return (Str){b->p, b->n};
}
