/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static NORETURN void out_of_memory(size_t size)
{
        fprintf(stderr, "out of memory: %zu bytes\n", size);
        abort();
}

/* malloc(0) may be NULL, which here would mean failure. */
static size_t at_least_one(size_t size)
{
        return size > 0 ? size : 1;
}

void *mem_new(size_t size)
{
        void *p = calloc(1, at_least_one(size));
        if (p == NULL)
                out_of_memory(size);
        return p;
}

void *mem_new_array(size_t n, size_t size)
{
        size_t total;

        if (__builtin_mul_overflow(n, size, &total))
                out_of_memory(SIZE_MAX);
        return mem_new(total);
}

void *mem_resize(void *p, size_t size)
{
        void *q = realloc(p, at_least_one(size));
        if (q == NULL)
                out_of_memory(size);
        return q;
}

void *mem_try(size_t size)
{
        return malloc(at_least_one(size));
}

void *mem_try_resize(void *p, size_t size)
{
        return realloc(p, at_least_one(size));
}

void *mem_free(void *p)
{
        free(p);
        return NULL;
}

void mem_trim(void)
{
        malloc_trim(0);
}

void mem_free_wiped(void *p)
{
        if (p != NULL)
                explicit_bzero(p, malloc_usable_size(p));
        free(p);
}

void *mem_resize_wiped(void *p, size_t size)
{
        size_t old = p != NULL ? malloc_usable_size(p) : 0;
        void *q = size > 0 ? malloc(size) : NULL;

        if (q != NULL && old > 0)
                memcpy(q, p, old < size ? old : size);
        if (q != NULL || size == 0)
                mem_free_wiped(p);
        return q;
}
