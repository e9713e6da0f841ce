/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Allocation, and the policy of running out of it: sizes that we choose abort (the kernel kills a
 * container before malloc fails; state is rebuilt from outside), sizes that the outside chooses are
 * capped by their caller and fallible.
 */

#include "base/macros.h"

#include <stddef.h>

/* Zeroed memory of a size that this program chose. Never NULL; aborts with a message. */
void *mem_new(size_t size) MUST_USE;
/* An array of `n` zeroed members; overflow of n * size aborts. */
void *mem_new_array(size_t n, size_t size) MUST_USE;
/* Resizes what mem_new gave; the grown part is not zeroed. Aborts like mem_new. */
void *mem_resize(void *p, size_t size) MUST_USE;
/* Memory of a size that came from outside: NULL where there is none. Not zeroed. */
void *mem_try(size_t size) MUST_USE;
/* Resizes to an outside size; NULL where there is none, and then `p` is still valid. */
void *mem_try_resize(void *p, size_t size) MUST_USE;
/* Frees; NULL is welcome. Always returns NULL, for `x = mem_free(x)`. */
void *mem_free(void *p);

/* Gives what is free to the system, also from between what is in use. Takes some milliseconds: for
 * after the work is done. */
void mem_trim(void);

/* For libraries that hold secrets of ours and let allocation be replaced: free and realloc that
 * wipe what they give back, as large as it is. Both take what malloc gave, and NULL;
 * mem_resize_wiped gives NULL where there is no memory (then `p` is still valid), and frees for a
 * size of 0. */
void mem_free_wiped(void *p);
void *mem_resize_wiped(void *p, size_t size) MUST_USE;

/* For CLEANUP(mem_cleanup) on any local pointer that mem_ or malloc gave. */
static inline void mem_cleanup(void *pp)
{
        mem_free(*(void **)pp);
}
