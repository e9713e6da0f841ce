/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

enum {
        DISTANCE_MAX = 64
};

static unsigned char fold(char c)
{
        unsigned char u = (unsigned char)c;

        return u >= 'A' && u <= 'Z' ? (unsigned char)(u + ('a' - 'A')) : u;
}

/* memcmp does not take NULL, not even for 0 bytes. */
static int compare(const char *a, const char *b, size_t n)
{
        if (n == 0)
                return 0;
        INSIST(a != NULL && b != NULL);
        return memcmp(a, b, n);
}

bool str_eq(Str a, Str b)
{
        if (a.n != b.n)
                return false;
        if (a.n == 0)
                return true;
        INSIST(a.p != NULL && b.p != NULL);
        /* Most that differ do so at once; the call costs more than to see that. */
        return a.p[0] == b.p[0] && memcmp(a.p, b.p, a.n) == 0;
}

bool str_eq_fold(Str a, Str b)
{
        if (a.n != b.n)
                return false;
        INSIST(a.n == 0 || (a.p != NULL && b.p != NULL));
        for (size_t i = 0; i < a.n; i++) {
                if (fold(a.p[i]) != fold(b.p[i]))
                        return false;
        }
        return true;
}

int str_cmp(Str a, Str b)
{
        int r = compare(a.p, b.p, a.n < b.n ? a.n : b.n);

        if (r != 0)
                return r < 0 ? -1 : 1;
        return (a.n > b.n) - (a.n < b.n);
}

bool str_starts(Str s, Str prefix)
{
        return s.n >= prefix.n && compare(s.p, prefix.p, prefix.n) == 0;
}

bool str_ends(Str s, Str suffix)
{
        return s.n >= suffix.n && str_eq(str_sub(s, s.n - suffix.n, suffix.n), suffix);
}

bool str_ends_fold(Str s, Str suffix)
{
        return s.n >= suffix.n && str_eq_fold(str_sub(s, s.n - suffix.n, suffix.n), suffix);
}

ptrdiff_t str_find(Str s, char c)
{
        const char *at = s.n > 0 ? memchr(s.p, c, s.n) : NULL;

        return at != NULL ? at - s.p : -1;
}

ptrdiff_t str_find_str(Str s, Str needle)
{
        const char *at;

        if (needle.n == 0)
                return 0;
        at = s.n >= needle.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
        return at != NULL ? at - s.p : -1;
}

Str str_sub(Str s, size_t from, size_t n)
{
        if (from > s.n)
                from = s.n;
        if (n > s.n - from)
                n = s.n - from;
        return (Str){s.p != NULL ? s.p + from : NULL, n};
}

static bool is_space(char c)
{
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

Str str_trim(Str s)
{
        while (s.n > 0 && is_space(s.p[0]))
                s = str_sub(s, 1, s.n - 1);
        while (s.n > 0 && is_space(s.p[s.n - 1]))
                s.n--;
        return s;
}

bool str_cut(Str *s, char sep, Str *ret_head)
{
        ptrdiff_t at = str_find(*s, sep);

        if (at < 0) {
                *ret_head = *s;
                *s = (Str){0};
                return false;
        }
        *ret_head = str_sub(*s, 0, (size_t)at);
        *s = str_sub(*s, (size_t)at + 1, s->n);
        return true;
}

bool str_to_u64(Str s, uint64_t max, uint64_t *ret)
{
        uint64_t v = 0;

        if (s.n == 0)
                return false;
        for (size_t i = 0; i < s.n; i++) {
                if (s.p[i] < '0' || s.p[i] > '9')
                        return false;
                if (__builtin_mul_overflow(v, 10, &v) ||
                    __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
                        return false;
        }
        if (v > max)
                return false;
        *ret = v;
        return true;
}

/* The table "Well-Formed UTF-8 Byte Sequences" of the Unicode Standard (3-7): the second byte's
 * range depends on the first, so that overlong forms, surrogates and what is above U+10FFFF are
 * refused. */
size_t str_utf8(Str s)
{
        const unsigned char *p = (const unsigned char *)s.p;
        unsigned char low = 0x80, high = 0xbf;
        size_t len;

        if (s.n == 0)
                return 0;
        if (p[0] < 0x80)
                return 1;
        if (p[0] < 0xc2 || p[0] > 0xf4)
                return 0;
        len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
        if (s.n < len)
                return 0;
        if (p[0] == 0xe0)
                low = 0xa0;
        else if (p[0] == 0xed)
                high = 0x9f;
        else if (p[0] == 0xf0)
                low = 0x90;
        else if (p[0] == 0xf4)
                high = 0x8f;
        if (p[1] < low || p[1] > high)
                return 0;
        for (size_t i = 2; i < len; i++) {
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
        }
        return len;
}

bool str_is_printable_utf8(Str s)
{
        for (size_t i = 0, len; i < s.n; i += len) {
                unsigned char c = (unsigned char)s.p[i];

                if (c < 0x20 || c == 0x7f)
                        return false;
                len = c < 0x80 ? 1 : str_utf8(str_sub(s, i, s.n));
                if (len == 0)
                        return false;
        }
        return true;
}

bool strlist_eq(StrList a, StrList b)
{
        if (a.n != b.n)
                return false;
        for (size_t i = 0; i < a.n; i++) {
                if (!str_eq(a.at[i], b.at[i]))
                        return false;
        }
        return true;
}

bool strlist_has(StrList l, Str s)
{
        for (size_t i = 0; i < l.n; i++) {
                if (l.at[i].n == s.n && str_eq(l.at[i], s))
                        return true;
        }
        return false;
}

static size_t min3(size_t a, size_t b, size_t c)
{
        size_t m = a < b ? a : b;

        return m < c ? m : c;
}

size_t str_distance(Str a, Str b)
{
        /* Rows i - 2, i - 1 and i of the table, by i modulo 3. */
        size_t rows[3][DISTANCE_MAX + 1];

        if (a.n > DISTANCE_MAX || b.n > DISTANCE_MAX)
                return SIZE_MAX;
        for (size_t j = 0; j <= b.n; j++)
                rows[0][j] = j;
        for (size_t i = 1; i <= a.n; i++) {
                const size_t *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
                size_t *row = rows[i % 3];

                row[0] = i;
                for (size_t j = 1; j <= b.n; j++) {
                        row[j] = min3(above[j] + 1, row[j - 1] + 1,
                                      above[j - 1] + (a.p[i - 1] != b.p[j - 1]));
                        if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] &&
                            a.p[i - 2] == b.p[j - 1] && two_above[j - 2] + 1 < row[j])
                                row[j] = two_above[j - 2] + 1;
                }
        }
        return rows[a.n % 3][b.n];
}

Str str_nearest(Str s, const Str *known, size_t n)
{
        size_t best = (s.n < 3 ? 1 : s.n / 3) + 1;
        Str found = {0};

        for (size_t i = 0; i < n; i++) {
                size_t d = str_distance(s, known[i]);

                if (d < best) {
                        best = d;
                        found = known[i];
                }
        }
        return found;
}

uint64_t str_hash(Str s)
{
        uint64_t h = 0xcbf29ce484222325;

        for (size_t i = 0; i < s.n; i++)
                h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3;
        return h;
}
