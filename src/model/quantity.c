/* SPDX-License-Identifier: Apache-2.0 */
#include "model/quantity.h"

#include <inttypes.h>
#include <stdio.h>

enum {
        DIGITS_MAX = 19, /* that surely fit 64 bits */
        EXPONENT_MAX = 30,
};

typedef struct Suffix {
        Str text;
        int ten;      /* the power of ten, for thousandths */
        unsigned two; /* of two, beside it */
} Suffix;

/* Longer ones before those that they begin with. */
static const Suffix suffixes[] = {
        {STR_INIT("Ki"), 3, 10}, {STR_INIT("Mi"), 3, 20}, {STR_INIT("Gi"), 3, 30},
        {STR_INIT("Ti"), 3, 40}, {STR_INIT("Pi"), 3, 50}, {STR_INIT("Ei"), 3, 60},
        {STR_INIT("n"), -6, 0},  {STR_INIT("u"), -3, 0},  {STR_INIT("m"), 0, 0},
        {STR_INIT("k"), 6, 0},   {STR_INIT("M"), 9, 0},   {STR_INIT("G"), 12, 0},
        {STR_INIT("T"), 15, 0},  {STR_INIT("P"), 18, 0},  {STR_INIT("E"), 21, 0},
};

/* Digits and at most one point, off *s: `ret` is the number without the point, `ret_ten` how far
 * that stood from the end, below 0. Digits behind those that fit are dropped, and told. */
static bool take_number(Str *s, uint64_t *ret, int *ret_ten, bool *ret_more)
{
        uint64_t n = 0;
        int kept = 0, ten = 0;
        bool has_digit = false, has_point = false, more = false;
        size_t i = 0;

        for (; i < s->n; i++) {
                char c = s->p[i];

                if (c == '.' && !has_point) {
                        has_point = true;
                        continue;
                }
                if (c < '0' || c > '9')
                        break;
                has_digit = true;
                if (kept < DIGITS_MAX) {
                        n = n * 10 + (uint64_t)(c - '0');
                        kept += n > 0;
                        ten -= has_point;
                } else {
                        more = more || c != '0';
                        ten += !has_point;
                }
        }
        *s = str_sub(*s, i, s->n);
        *ret = n;
        *ret_ten = ten;
        *ret_more = more;
        return has_digit;
}

/* "e3", "E-3": the power of ten. */
static bool read_exponent(Str s, int *ret)
{
        uint64_t n = 0;
        bool is_negative;

        if (s.n < 2 || (s.p[0] != 'e' && s.p[0] != 'E'))
                return false;
        is_negative = s.p[1] == '-';
        s = str_sub(s, is_negative || s.p[1] == '+' ? 2 : 1, s.n);
        if (!str_to_u64(s, EXPONENT_MAX, &n))
                return false;
        *ret = is_negative ? -(int)n : (int)n;
        return true;
}

static bool read_suffix(Str s, Suffix *ret)
{
        int ten = 0;

        *ret = (Suffix){.ten = 3};
        if (s.n == 0)
                return true;
        for (size_t i = 0; i < LENGTH_OF(suffixes); i++) {
                if (str_eq(s, suffixes[i].text)) {
                        *ret = suffixes[i];
                        return true;
                }
        }
        if (!read_exponent(s, &ten))
                return false;
        ret->ten += ten;
        return true;
}

bool quantity_parse(Str s, int64_t *ret)
{
        uint64_t n;
        int ten;
        bool more;
        Suffix suffix;
        unsigned __int128 v;

        if (!take_number(&s, &n, &ten, &more) || !read_suffix(s, &suffix))
                return false;
        if (n == 0 && !more) {
                *ret = 0;
                return true;
        }
        if (n == 0)
                n = 1;
        /* Below 2^64 * 2^60, and not far above INT64_MAX while it grows: 128 bits hold it. */
        v = (unsigned __int128)n << suffix.two;
        ten += suffix.ten;
        for (; ten > 0 && v <= INT64_MAX; ten--)
                v *= 10;
        if (v > INT64_MAX && ten > 0)
                return false;
        for (; ten < 0; ten++) {
                more = more || v % 10 != 0;
                v /= 10;
        }
        v += more;
        if (v > INT64_MAX)
                return false;
        *ret = (int64_t)v;
        return true;
}

const char *quantity_format(int64_t milli, bool is_bytes, char buf[QUANTITY_TEXT])
{
        static const char *const decimal[] = {"m", "", "k", "M", "G", "T", "P", "E"};
        static const char *const binary[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
        bool is_whole = is_bytes || milli % 1000 == 0;
        int64_t n = is_whole ? milli / 1000 + (milli % 1000 > 0) : milli;
        bool is_binary = is_bytes && n % 1024 == 0;
        int64_t step = is_binary ? 1024 : 1000;
        size_t i = is_binary || !is_whole ? 0 : 1;

        for (; n != 0 && n % step == 0; i++)
                n /= step;
        snprintf(buf, QUANTITY_TEXT, "%" PRId64 "%s", n, is_binary ? binary[i] : decimal[i]);
        return buf;
}
