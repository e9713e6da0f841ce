/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* FdLimit: how many descriptors this process may have open at once. */

#include "base/macros.h"

#include <stdint.h>

typedef struct FdLimit {
        uint64_t before, now, most; /* soft at first, soft by now, hard */
} FdLimit;

/* Raises the soft limit to `wanted`, or as far as the hard one lets it; one that is higher stays as
 * it is. What a process begins with is often 1,024, for the sake of programs that select(). */
FdLimit fd_limit_raise(uint64_t wanted);
