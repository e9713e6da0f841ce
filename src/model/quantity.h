/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Quantity: an amount as Kubernetes writes it ("250m", "1.5", "128Mi", "2e3"), so that amounts can
 * be compared; written back in the one form that an API server writes (apimachinery's
 * resource.Quantity): what was sent otherwise would be read back as another text.
 */

#include "base/str.h"

enum {
        QUANTITY_TEXT = 32
};

/* Thousandths of a core, of a byte, …; what is finer is rounded up. False: it is none, or above
 * INT64_MAX of them (some 8 PiB). */
bool quantity_parse(Str s, int64_t *ret);
/* `milli` is not negative. `is_bytes`: rounded up to whole ones, with a binary suffix where one
 * divides it ("128Mi"), else as any other: with the largest decimal one that does ("129M", "250m").
 * Returns buf. */
const char *quantity_format(int64_t milli, bool is_bytes, char buf[QUANTITY_TEXT]);
