/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariants: n <= room <= max; the allocation is one byte longer than room, for the NUL that
 * vsnprintf and buf_take write; once `failed`, nothing is added.
 */
#include "base/buf.h"

#include "base/mem.h"

#include <stdio.h>

enum {
        ROOM_MIN = 64
};

void buf_init(Buf *b, size_t max)
{
        INSIST(max < SIZE_MAX);
        *b = (Buf){.max = max};
}

void buf_done(Buf *b)
{
        mem_free(b->p);
        buf_init(b, b->max);
}

void buf_reset(Buf *b)
{
        b->n = 0;
        b->failed = false;
}

static bool fail(Buf *b)
{
        b->failed = true;
        return false;
}

bool buf_reserve(Buf *b, size_t n)
{
        size_t room;
        char *p;

        if (b->failed || n > b->max - b->n)
                return fail(b);
        if (b->p != NULL && n <= b->room - b->n)
                return true;
        room = b->room < ROOM_MIN ? ROOM_MIN : b->room;
        while (room - b->n < n && room <= b->max / 2)
                room *= 2;
        if (room > b->max || room - b->n < n)
                room = b->max;
        p = mem_try_resize(b->p, room + 1);
        if (p == NULL)
                return fail(b);
        b->p = p;
        b->room = room;
        return true;
}

void buf_add(Buf *b, const void *p, size_t n)
{
        if (n == 0 || !buf_reserve(b, n))
                return;
        memcpy(b->p + b->n, p, n);
        b->n += n;
}

void buf_add_str(Buf *b, Str s)
{
        buf_add(b, s.p, s.n);
}

void buf_add_char(Buf *b, char c)
{
        buf_add(b, &c, 1);
}

void buf_vprintf(Buf *b, const char *fmt, va_list ap)
{
        va_list again;
        size_t have;
        int n;

        if (!buf_reserve(b, 0))
                return;
        have = b->room - b->n;
        va_copy(again, ap);
        n = vsnprintf(b->p + b->n, have + 1, fmt, ap);
        if (n < 0)
                fail(b);
        else if ((size_t)n <= have)
                b->n += (size_t)n;
        else if (buf_reserve(b, (size_t)n))
                b->n += (size_t)vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
        va_end(again);
}

void buf_printf(Buf *b, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        buf_vprintf(b, fmt, ap);
        va_end(ap);
}

void buf_consume(Buf *b, size_t n)
{
        INSIST(n <= b->n);
        if (n == 0)
                return;
        b->n -= n;
        memmove(b->p, b->p + n, b->n);
}

char *buf_take(Buf *b, size_t *ret_n)
{
        char *p;

        if (!buf_reserve(b, 0))
                return NULL;
        b->p[b->n] = '\0';
        if (ret_n != NULL)
                *ret_n = b->n;
        p = TAKE(b->p);
        buf_init(b, b->max);
        return p;
}
