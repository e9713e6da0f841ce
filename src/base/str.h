/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Str: a borrowed run of bytes with a length; never owns, need not end in NUL, may hold any byte.
 * {NULL, 0} is the empty string. Comparison is memcmp with the shorter first, the order of all
 * that is sorted in this tree. Case folding is ASCII only.
 */

#include "base/macros.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef struct Str {
        const char *p; /* borrowed */
        size_t n;
} Str;

/* A list of strings; the array and what it points to belong to whoever made it. */
typedef struct StrList {
        const Str *at;
        size_t n;
} StrList;

/* From a literal, at compile time or in an expression. */
#define STR(literal) ((Str){"" literal, sizeof(literal) - 1})
#define STR_INIT(literal)                       \
        {                                       \
                "" literal, sizeof(literal) - 1 \
        }
/* For printf's "%.*s". */
#define STR_FMT(s) (int)(s).n, (s).p != NULL ? (s).p : ""

static inline Str str_of(const char *z)
{
        return (Str){z, z != NULL ? strlen(z) : 0};
}

static inline Str str_make(const void *p, size_t n)
{
        return (Str){p, n};
}

/* Same length, same bytes. */
bool str_eq(Str a, Str b);
/* Equal where A-Z and a-z are the same letter. */
bool str_eq_fold(Str a, Str b);
/* < 0, 0, > 0; the total order. */
int str_cmp(Str a, Str b);
bool str_starts(Str s, Str prefix);
bool str_ends(Str s, Str suffix);
bool str_ends_fold(Str s, Str suffix);
/* Index of the first `c`, or -1. */
ptrdiff_t str_find(Str s, char c);
/* Index of the first occurrence of `needle`, or -1; an empty needle is at 0. */
ptrdiff_t str_find_str(Str s, Str needle);
/* From `from` (capped at the length) for at most `n` bytes. */
Str str_sub(Str s, size_t from, size_t n);
/* White space (space, tab, CR, LF) off both ends. */
Str str_trim(Str s);
/* Splits off what stands before the first `sep`; the rest (after it) is left in *s. False, with
 * *ret_head = *s and *s empty, where there is no `sep`. */
bool str_cut(Str *s, char sep, Str *ret_head);
/* Decimal without sign, space or leading "+"; false if not one or above `max`. */
bool str_to_u64(Str s, uint64_t max, uint64_t *ret);
/* Length (1 to 4) of the valid UTF-8 sequence at the beginning; 0 where there is none. */
size_t str_utf8(Str s);
/* Is `s` valid UTF-8 without control characters (below 0x20, 0x7f)? */
bool str_is_printable_utf8(Str s);
/* True if a member equals `s`. */
bool strlist_has(StrList l, Str s);
/* Same members in the same order? */
bool strlist_eq(StrList a, StrList b);
/* Number of edits (insert, delete, replace, swap of neighbours) between two names of at most 64
 * bytes, else SIZE_MAX. */
size_t str_distance(Str a, Str b);
/* The member of `known` nearest to `s` within a third of its length (at least 1), else empty: for
 * "did you mean". */
Str str_nearest(Str s, const Str *known, size_t n);
/* FNV-1a: anybody can compute it, so it is for fingerprints and jitter, and not for tables whose
 * keys come from the outside (hash.h); never for anything that leaves the process. */
uint64_t str_hash(Str s);
