/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * LeftOut: a device, or a port of one, that no endpoint was made of, and why. Each of many entries
 * may leave out nearly all devices of a tailnet, so a list holds two pointers for each: whom, which
 * lists share, and why, which is the same of many.
 */

#include "base/leaf.h"

/* As it is told; all borrowed. */
typedef struct LeftOut {
        Str node_id, name; /* of the device */
        Str reason; /* CamelCase: "NotSelected", "Excluded", "NoPort", "Expired", "AddressRefused",
                       … */
        Str text;   /* e.g. "excludePatterns[0] proxy-* matches" */
} LeftOut;

enum {
        LEFT_OUT_MAX = 1000, /* per entry; more are counted only */
};

/* One of a list; each with one reference. */
typedef struct LeftOutRow {
        const struct LeftOutWhom *whom;
        const struct LeftOutWhy *why;
} LeftOutRow;

/* By name, node id, reason, text; none twice. A leaf, immutable. */
typedef struct LeftOutList LeftOutList;

/* Says what `like` says: of what a list of `known` (n of them; any may be NULL), or `last` (an
 * empty row where there is none), holds already, that is used again. */
LeftOutRow left_out_row(const LeftOut *like, const LeftOutList *const *known, size_t n,
                        const LeftOutRow *last);
void left_out_row_drop(const LeftOutRow *row);

/* Takes over the references in `rows` (not the array, which is sorted). The first list of `known`
 * (as above) that says the same, with one more reference. Never NULL. */
const LeftOutList *left_out_list_new(LeftOutRow *rows, size_t n, const LeftOutList *const *known,
                                     size_t n_known) MUST_USE;
/* How many; 0 for NULL. */
size_t left_out_n(const LeftOutList *list);
/* Borrowed from the list. */
LeftOut left_out_at(const LeftOutList *list, size_t i);

/* for (each `const LeftOut *var` of `list`); as TABLE_FOREACH. */
#define LEFT_OUT_FOREACH(var, list)                                                                \
        for (size_t i_##var = 0, in_##var = 0; !in_##var && i_##var < left_out_n(list); i_##var++) \
                for (const LeftOut at_##var = left_out_at((list), i_##var),                        \
                                   *var = (in_##var = 1, &at_##var);                               \
                     (void)var, in_##var; in_##var = 0)
