/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/columns.h"

#include "base/mem.h"
#include "cli/printable.h"

static Str clean(Arena *a, Str s)
{
        if (s.n == 0)
                return STR("-");
        CLEANUP(buf_done) Buf b;
        buf_init(&b, s.n);
        printable_add(&b, s);
        return arena_str(a, buf_str(&b));
}

void columns_row(Columns *c, const Str *cells)
{
        if (c->n_rows == c->room) {
                c->room = c->room != 0 ? 2 * c->room : 16;
                c->cells = mem_resize(c->cells, c->room * c->n * sizeof *c->cells);
        }
        for (size_t i = 0; i < c->n; i++)
                c->cells[c->n_rows * c->n + i] = clean(&c->arena, cells[i]);
        c->n_rows++;
}

void columns_init(Columns *c, const char *header)
{
        *c = (Columns){0};
        arena_init(&c->arena, 0);
        Str rest = str_of(header), names[COLUMNS_MAX];
        bool more = true;
        while (more) {
                INSIST(c->n < COLUMNS_MAX);
                more = str_cut(&rest, '|', &names[c->n++]);
        }
        columns_row(c, names);
}

void columns_done(Columns *c)
{
        mem_free(c->cells);
        arena_done(&c->arena);
}

/* UTF-8 continuation bytes take no column. */
static size_t width_of(Str s)
{
        size_t n = 0;
        for (size_t i = 0; i < s.n; i++)
                n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
        return n;
}

void columns_print(const Columns *c, const char *title, Buf *out)
{
        if (c->n_rows < 2)
                return;
        size_t widths[COLUMNS_MAX] = {0};
        for (size_t i = 0; i < c->n_rows * c->n; i++) {
                size_t w = width_of(c->cells[i]);
                if (w > widths[i % c->n])
                        widths[i % c->n] = w;
        }
        buf_printf(out, "%s\n", title);
        for (size_t i = 0; i < c->n_rows * c->n; i++) {
                bool is_last = i % c->n == c->n - 1;
                buf_add_str(out, c->cells[i]);
                for (size_t w = width_of(c->cells[i]); !is_last && w < widths[i % c->n] + 3; w++)
                        buf_add_char(out, ' ');
                if (is_last)
                        buf_add_char(out, '\n');
        }
        buf_add_char(out, '\n');
}
