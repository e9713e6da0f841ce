/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/check_rows.h"

#include "base/mem.h"
#include "cli/columns.h"
#include "proto/json_writer.h"

#include <stdarg.h>
#include <stdio.h>

enum {
        TEXT_MAX = 1024, /* of what was found; more is cut */
        RESULTS = CHECK_UNKNOWN + 1,
};

static const Str result_names[RESULTS] = {STR_INIT("ok"), STR_INIT("warning"), STR_INIT("wrong"),
                                          STR_INIT("unknown")};

void check_rows_init(CheckRows *rows)
{
        *rows = (CheckRows){0};
        arena_init(&rows->arena, 0);
}

void check_rows_done(CheckRows *rows)
{
        rows->at = mem_free(rows->at);
        rows->n = rows->room = 0;
        arena_done(&rows->arena);
}

void check_rows_add(CheckRows *rows, const char *check, CheckResult result, const char *change,
                    const char *found, ...)
{
        char text[TEXT_MAX];
        va_list ap;

        va_start(ap, found);
        IGNORE(vsnprintf(text, sizeof(text), found, ap), "cut at its size");
        va_end(ap);
        if (rows->n == rows->room) {
                rows->room = rows->room > 0 ? 2 * rows->room : 32;
                rows->at = mem_resize(rows->at, rows->room * sizeof(*rows->at));
        }
        rows->at[rows->n++] = (CheckRow){arena_str(&rows->arena, str_of(check)), result,
                                         arena_str(&rows->arena, str_of(text)),
                                         arena_str(&rows->arena, str_of(change))};
}

static size_t count(const CheckRows *rows, CheckResult result)
{
        size_t n = 0;

        for (size_t i = 0; i < rows->n; i++)
                n += rows->at[i].result == result;
        return n;
}

bool check_rows_are_good(const CheckRows *rows)
{
        return count(rows, CHECK_WRONG) + count(rows, CHECK_UNKNOWN) == 0;
}

void check_rows_print(const CheckRows *rows, Buf *out)
{
        CLEANUP(columns_done) Columns c;

        columns_init(&c, "CHECK|RESULT|FOUND|CHANGE");
        for (size_t i = 0; i < rows->n; i++) {
                const CheckRow *r = &rows->at[i];

                columns_row(&c, (Str[]){r->check, result_names[r->result], r->found, r->change});
        }
        columns_print(&c, "Checks", out);
        for (size_t i = 0; i < RESULTS; i++)
                buf_printf(out, "%s%zu %s", i > 0 ? ", " : "", count(rows, (CheckResult)i),
                           result_names[i].p);
        buf_add_char(out, '\n');
}

void check_rows_json(const CheckRows *rows, Buf *out)
{
        JsonWriter w;

        json_writer_init(&w, out);
        json_object_begin(&w);
        json_key_bool(&w, STR("good"), check_rows_are_good(rows));
        json_key_array_begin(&w, STR("checks"));
        for (size_t i = 0; i < rows->n; i++) {
                const CheckRow *r = &rows->at[i];

                json_object_begin(&w);
                json_key_str(&w, STR("check"), r->check);
                json_key_str(&w, STR("result"), result_names[r->result]);
                json_key_str(&w, STR("found"), r->found);
                json_key_str(&w, STR("change"), r->change);
                json_object_end(&w);
        }
        json_array_end(&w);
        json_object_end(&w);
}
