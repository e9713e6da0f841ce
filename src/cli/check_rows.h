/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* CheckRows: what `check` found: one row for each thing that was looked at. */

#include "base/arena.h"
#include "base/buf.h"

typedef enum CheckResult {
        CHECK_OK,
        CHECK_WARNING, /* it works, and is not as it should be */
        CHECK_WRONG,
        CHECK_UNKNOWN, /* we may not look, or nobody answers */
} CheckResult;

typedef struct CheckRow {
        Str check; /* what was looked at: "CustomResourceDefinitions" */
        CheckResult result;
        Str found;
        Str change; /* what to do; empty where nothing is */
} CheckRow;

typedef struct CheckRows {
        Arena arena;
        CheckRow *at; /* owned */
        size_t n, room;
} CheckRows;

void check_rows_init(CheckRows *rows);
void check_rows_done(CheckRows *rows);
/* Adds a row; all is copied. `change` may be NULL. */
void check_rows_add(CheckRows *rows, const char *check, CheckResult result, const char *change,
                    const char *found, ...) PRINTF(5, 6);
/* Nothing is wrong, and nothing is unknown? */
bool check_rows_are_good(const CheckRows *rows);
/* As a table, then one line that says how many of each there are. */
void check_rows_print(const CheckRows *rows, Buf *out);
/* {"good": …, "checks": [{"check", "result", "found", "change"}]} */
void check_rows_json(const CheckRows *rows, Buf *out);
