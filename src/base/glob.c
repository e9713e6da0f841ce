/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Only the last `*` is ever tried again: what an earlier one took too little of, the later one can
 * take as well. That bounds the work by |pattern| x |text|.
 *
 * Inside a set, `]` stands for itself as the first member, `-` as first or last, and there are no
 * escapes (POSIX, 2.13.1 without classes).
 */
#include "base/glob.h"

/* The position behind the set that begins at `at` (its '['), or 0 where it is malformed. */
static size_t set_end(Str pattern, size_t at)
{
        size_t i = at + 1, first;

        if (i < pattern.n && pattern.p[i] == '!')
                i++;
        first = i;
        for (; i < pattern.n; i++) {
                if (pattern.p[i] == ']' && i > first)
                        return i + 1;
                if (i + 2 < pattern.n && pattern.p[i + 1] == '-' && pattern.p[i + 2] != ']') {
                        if ((unsigned char)pattern.p[i] > (unsigned char)pattern.p[i + 2])
                                return 0;
                        i += 2;
                }
        }
        return 0;
}

static unsigned char lower(unsigned char c)
{
        return c >= 'A' && c <= 'Z' ? (unsigned char)(c + ('a' - 'A')) : c;
}

static unsigned char upper(unsigned char c)
{
        return c >= 'a' && c <= 'z' ? (unsigned char)(c - ('a' - 'A')) : c;
}

/* Is `c`, in either case, in the well-formed set that stands in [at, end) with its brackets? */
static bool set_has(Str pattern, size_t at, size_t end, unsigned char c)
{
        bool negated = pattern.p[at + 1] == '!', found = false;
        size_t i = at + 1 + negated;

        while (i < end - 1 && !found) {
                unsigned char from = (unsigned char)pattern.p[i], to = from;

                if (i + 2 < end - 1 && pattern.p[i + 1] == '-') {
                        to = (unsigned char)pattern.p[i + 2];
                        i += 2;
                }
                i++;
                found = (from <= lower(c) && lower(c) <= to) ||
                        (from <= upper(c) && upper(c) <= to);
        }
        return found != negated;
}

/* Does the one-byte element of the pattern at *at match `c`? Moves *at behind it. */
static bool element_matches(Str pattern, size_t *at, unsigned char c)
{
        size_t i = *at, end;

        if (pattern.p[i] != '[') {
                *at = i + 1;
                return pattern.p[i] == '?' || lower((unsigned char)pattern.p[i]) == lower(c);
        }
        end = set_end(pattern, i);
        *at = end;
        return set_has(pattern, i, end, c);
}

bool glob_is_valid(Str pattern)
{
        if (pattern.n == 0 || pattern.n > GLOB_MAX)
                return false;
        for (size_t i = 0; i < pattern.n;) {
                i = pattern.p[i] == '[' ? set_end(pattern, i) : i + 1;
                if (i == 0)
                        return false;
        }
        return true;
}

bool glob_match(Str pattern, Str text)
{
        size_t p = 0, t = 0, star = SIZE_MAX, resume = 0;

        if (!glob_is_valid(pattern))
                return false;
        while (t < text.n) {
                if (p < pattern.n && pattern.p[p] == '*') {
                        star = ++p;
                        resume = t;
                } else if (p < pattern.n &&
                           element_matches(pattern, &p, (unsigned char)text.p[t])) {
                        t++;
                } else if (star != SIZE_MAX) {
                        p = star;
                        t = ++resume;
                } else {
                        return false;
                }
        }
        while (p < pattern.n && pattern.p[p] == '*')
                p++;
        return p == pattern.n;
}
