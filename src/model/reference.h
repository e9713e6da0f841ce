/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The reference page: every field of our kinds, of the tables that the decoder reads. */

#include "base/buf.h"

enum {
        REFERENCE_BYTES_MAX = 1 << 20
};

/* All kinds as one page of Markdown. The same bytes each time. */
void reference_render(Buf *out);
