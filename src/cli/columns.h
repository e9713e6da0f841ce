/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Columns: rows of text under a header, aligned as kubectl aligns them. Cells go through
 * printable.h. */

#include "base/arena.h"
#include "base/buf.h"

enum {
        COLUMNS_MAX = 12
};

typedef struct Columns {
        Arena arena;
        Str *cells; /* owned; n_rows * n of them */
        size_t n, n_rows, room;
} Columns;

/* `header` names the columns, separated by "|". */
void columns_init(Columns *c, const char *header);
void columns_done(Columns *c);
/* Adds one row of exactly n cells, copied; an empty one is shown as "-". */
void columns_row(Columns *c, const Str *cells);
/* Prints a title line, the header and the rows, and an empty line; nothing where there are no rows.
 */
void columns_print(const Columns *c, const char *title, Buf *out);
