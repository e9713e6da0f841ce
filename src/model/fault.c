/* SPDX-License-Identifier: Apache-2.0 */
#include "model/fault.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

void faults_init(Faults *f)
{
        *f = (Faults){0};
        arena_init(&f->arena, 0);
}

void faults_done(Faults *f)
{
        mem_free(f->at);
        arena_done(&f->arena);
        *f = (Faults){0};
}

/* What is printed holds one line of valid UTF-8, whatever the manifest held; cut to whole letters.
 */
static Str clean(Arena *a, Str s)
{
        char *p = arena_new(a, s.n + 1);
        size_t n = 0;

        while (s.n > 0) {
                size_t letter = str_utf8(s);
                bool good = letter > 0 && str_is_printable_utf8(str_sub(s, 0, letter));

                if (letter == 0)
                        letter = 1;
                if (good) {
                        memcpy(p + n, s.p, letter);
                        n += letter;
                } else {
                        p[n++] = '?';
                }
                s = str_sub(s, letter, s.n);
        }
        return str_make(p, n);
}

void faults_add(Faults *f, Str file, unsigned line, unsigned column, Str path, const char *fmt, ...)
{
        char text[FAULT_TEXT_MAX];
        va_list ap;
        int n;

        f->n_total++;
        if (f->n >= FAULTS_MAX)
                return;
        if (f->at == NULL)
                f->at = mem_new_array(FAULTS_MAX, sizeof(Fault));
        va_start(ap, fmt);
        n = vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        INSIST(n >= 0);
        f->at[f->n++] = (Fault){
                .file = clean(&f->arena, file),
                .line = line,
                .column = column,
                .path = clean(&f->arena, str_sub(path, 0, FAULT_TEXT_MAX)),
                .text = clean(&f->arena, str_of(text)),
        };
}

static int number_order(unsigned a, unsigned b)
{
        return a < b ? -1 : a > b;
}

static int fault_order(const void *a, const void *b)
{
        const Fault *x = a, *y = b;
        int c = str_cmp(x->file, y->file);

        if (c == 0)
                c = number_order(x->line, y->line);
        if (c == 0)
                c = number_order(x->column, y->column);
        if (c == 0)
                c = str_cmp(x->path, y->path);
        return c != 0 ? c : str_cmp(x->text, y->text);
}

static void print_one(const Fault *f, Buf *out)
{
        buf_add_str(out, f->file);
        if (f->line > 0)
                buf_printf(out, ":%u:%u", f->line, f->column);
        buf_add_str(out, STR(": "));
        if (f->path.n > 0) {
                buf_add_str(out, f->path);
                buf_add_str(out, STR(": "));
        }
        buf_add_str(out, f->text);
        buf_add_char(out, '\n');
}

void faults_print(const Faults *f, Buf *out)
{
        CLEANUP(mem_cleanup) Fault *sorted = NULL;

        if (f->n == 0)
                return;
        sorted = mem_new_array(f->n, sizeof(Fault));
        memcpy(sorted, f->at, f->n * sizeof(Fault));
        qsort(sorted, f->n, sizeof(Fault), fault_order);
        for (size_t i = 0; i < f->n; i++)
                print_one(&sorted[i], out);
        if (f->n_total > f->n)
                buf_printf(out, "and %zu more\n", f->n_total - f->n);
}
