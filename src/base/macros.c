/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macros.h"

#include <stdio.h>
#include <stdlib.h>

void insist_failed(const char *cond, const char *file, int line)
{
        fprintf(stderr, "%s:%d: broken promise: %s\n", file, line, cond);
        abort();
}
