/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 3339 instants and Go durations. Strict: what does not follow the grammar to its last byte is
 * refused. All arithmetic is on integers.
 *
 * The calendar is the proleptic Gregorian one, counted from 1 March, so that the leap day is the
 * last of its year and the days before a month follow one formula.
 */
#include "base/instant.h"

#include <stdio.h>

#define NS_PER_S INT64_C(1000000000)

enum {
        DAYS_PER_ERA = 146097, /* 400 years */
        EPOCH_DAY = 719468,    /* from 0000-03-01 to 1970-01-01 */
        SPAN_MAX_S = 365 * 86400
};

/* Days from 1970-01-01; y from 1. */
static int64_t days_of(int64_t y, int64_t m, int64_t d)
{
        int64_t era, of_era, of_year;

        y -= m <= 2;
        era = y / 400;
        of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
        of_era = (y - era * 400) * 365 + (y % 400) / 4 - (y % 400) / 100 + of_year;
        return era * DAYS_PER_ERA + of_era - EPOCH_DAY;
}

static void date_of(int64_t days, int *ret_y, int *ret_m, int *ret_d)
{
        int64_t from_zero = days + EPOCH_DAY;
        int64_t era = from_zero / DAYS_PER_ERA, of_era = from_zero % DAYS_PER_ERA;
        int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
        int64_t of_year = of_era - (365 * y + y / 4 - y / 100);
        int64_t m = (5 * of_year + 2) / 153;

        *ret_d = (int)(of_year - (153 * m + 2) / 5 + 1);
        *ret_m = (int)(m < 10 ? m + 3 : m - 9);
        *ret_y = (int)(y + era * 400 + (m >= 10));
}

static int days_in_month(int y, int m)
{
        static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        bool leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);

        return days[m - 1] + (m == 2 && leap);
}

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

/* Exactly `n` digits off the front of *s. */
static bool take_digits(Str *s, size_t n, int *ret)
{
        int v = 0;

        if (s->n < n)
                return false;
        for (size_t i = 0; i < n; i++) {
                if (!is_digit(s->p[i]))
                        return false;
                v = v * 10 + (s->p[i] - '0');
        }
        *s = str_sub(*s, n, s->n);
        *ret = v;
        return true;
}

static bool take_char(Str *s, char c)
{
        if (s->n == 0 || s->p[0] != c)
                return false;
        *s = str_sub(*s, 1, s->n);
        return true;
}

/* Digits behind a point, at least one, as nanoseconds; what is finer is dropped. */
static bool take_fraction(Str *s, int64_t *ret_ns)
{
        int64_t ns = 0, unit = NS_PER_S / 10;
        size_t i;

        for (i = 0; i < s->n && is_digit(s->p[i]); i++) {
                ns += (s->p[i] - '0') * unit;
                unit /= 10;
        }
        *s = str_sub(*s, i, s->n);
        *ret_ns = ns;
        return i > 0;
}

static bool take_date(Str *s, int64_t *ret_days, int *ret_year)
{
        int y, m, d;

        if (!take_digits(s, 4, &y) || !take_char(s, '-') || !take_digits(s, 2, &m) ||
            !take_char(s, '-') || !take_digits(s, 2, &d))
                return false;
        if (y < 1 || m < 1 || m > 12 || d < 1 || d > days_in_month(y, m))
                return false;
        *ret_days = days_of(y, m, d);
        *ret_year = y;
        return true;
}

/* Second 60 is a leap second (5.7) and counts as the first of the next minute. */
static bool take_time(Str *s, int64_t *ret_ms)
{
        int64_t ns = 0;
        int hour, minute, second;

        if (!take_digits(s, 2, &hour) || !take_char(s, ':') || !take_digits(s, 2, &minute) ||
            !take_char(s, ':') || !take_digits(s, 2, &second))
                return false;
        if (hour > 23 || minute > 59 || second > 60)
                return false;
        if (take_char(s, '.') && !take_fraction(s, &ns))
                return false;
        *ret_ms = ((hour * INT64_C(60) + minute) * 60 + second) * 1000 + ns / 1000000;
        return true;
}

static bool take_offset(Str *s, int64_t *ret_minutes)
{
        int sign, hour, minute;

        *ret_minutes = 0;
        if (take_char(s, 'Z') || take_char(s, 'z'))
                return true;
        if (take_char(s, '+'))
                sign = 1;
        else if (take_char(s, '-'))
                sign = -1;
        else
                return false;
        if (!take_digits(s, 2, &hour) || !take_char(s, ':') || !take_digits(s, 2, &minute) ||
            hour > 23 || minute > 59)
                return false;
        *ret_minutes = sign * (hour * INT64_C(60) + minute);
        return true;
}

bool wall_parse(Str s, Wall *ret)
{
        int64_t days, ms, offset;
        int year;

        if (!take_date(&s, &days, &year) || (!take_char(&s, 'T') && !take_char(&s, 't')) ||
            !take_time(&s, &ms) || !take_offset(&s, &offset) || s.n > 0)
                return false;
        /* Go writes its zero time as year 1. */
        ret->ms = year == 1 ? 0 : days * 86400000 + ms - offset * 60000;
        return true;
}

/* `n` digits of `v`, and what stands behind them. */
static char *put_digits(char *p, int64_t v, int n, char after)
{
        for (int i = n - 1; i >= 0; i--) {
                p[i] = (char)('0' + v % 10);
                v /= 10;
        }
        p[n] = after;
        return p + n + 1;
}

/* Up to the 'Z'; returns where that would stand. */
static char *put_seconds(Wall t, char *buf)
{
        int64_t first = days_of(1, 1, 1) * 86400, last = days_of(9999, 12, 31) * 86400 + 86399;
        int64_t s = t.ms / 1000 - (t.ms % 1000 < 0), days, of_day;
        int y, m, d;
        char *p = buf;

        s = s < first ? first : s > last ? last : s;
        days = s / 86400 - (s % 86400 < 0);
        of_day = s - days * 86400;
        date_of(days, &y, &m, &d);
        p = put_digits(p, y, 4, '-');
        p = put_digits(p, m, 2, '-');
        p = put_digits(p, d, 2, 'T');
        p = put_digits(p, of_day / 3600, 2, ':');
        p = put_digits(p, of_day / 60 % 60, 2, ':');
        return put_digits(p, of_day % 60, 2, '\0') - 1;
}

const char *wall_format(Wall t, char buf[WALL_TEXT])
{
        memcpy(put_seconds(t, buf), "Z", 2);
        return buf;
}

const char *wall_format_micro(Wall t, char buf[WALL_TEXT])
{
        int64_t ms = t.ms % 1000;
        char *p = put_seconds(t, buf);

        *p++ = '.';
        p = put_digits(p, ms < 0 ? ms + 1000 : ms, 3, '0');
        memcpy(p, "00Z", 4);
        return buf;
}

typedef struct Unit {
        Str name;
        int64_t ns;
} Unit;

/* Longer names before those that they begin with. */
static const Unit units[] = {
        {STR_INIT("ms"), 1000000},      {STR_INIT("us"), 1000},    {STR_INIT("\xc2\xb5s"), 1000},
        {STR_INIT("\xce\xbcs"), 1000},  {STR_INIT("ns"), 1},       {STR_INIT("h"), 3600 * NS_PER_S},
        {STR_INIT("m"), 60 * NS_PER_S}, {STR_INIT("s"), NS_PER_S},
};

static bool take_unit(Str *s, int64_t *ret_ns)
{
        for (size_t i = 0; i < LENGTH_OF(units); i++) {
                if (str_starts(*s, units[i].name)) {
                        *s = str_sub(*s, units[i].name.n, s->n);
                        *ret_ns = units[i].ns;
                        return true;
                }
        }
        return false;
}

/* One number with its unit, e.g. "1.5h". */
static bool take_part(Str *s, int64_t *ret_ns)
{
        int64_t fraction = 0, unit, whole_ns;
        uint64_t whole;
        size_t n = 0;

        while (n < s->n && is_digit(s->p[n]))
                n++;
        if (!str_to_u64(str_sub(*s, 0, n), INT64_MAX, &whole))
                return false;
        *s = str_sub(*s, n, s->n);
        if (take_char(s, '.') && !take_fraction(s, &fraction))
                return false;
        if (!take_unit(s, &unit) || __builtin_mul_overflow((int64_t)whole, unit, &whole_ns))
                return false;
        if (unit >= NS_PER_S)
                fraction *= unit / NS_PER_S;
        else
                fraction /= NS_PER_S / unit;
        return !__builtin_add_overflow(whole_ns, fraction, ret_ns);
}

bool span_parse(Str s, Span *ret)
{
        int64_t total = 0, part;

        if (str_eq(s, STR("0"))) {
                *ret = (Span){0};
                return true;
        }
        if (s.n == 0)
                return false;
        while (s.n > 0) {
                if (!take_part(&s, &part) || __builtin_add_overflow(total, part, &total))
                        return false;
        }
        if (total > SPAN_MAX_S * NS_PER_S)
                return false;
        *ret = (Span){total};
        return true;
}

/* `ns` in units of `unit_ns` (at most a second), with a fraction where there is one. */
static int format_decimal(char *buf, size_t room, uint64_t ns, uint64_t unit_ns, const char *unit)
{
        unsigned long long whole = ns / unit_ns;
        unsigned long long part = ns % unit_ns * ((uint64_t)NS_PER_S / unit_ns);
        char fraction[24];
        int n;

        if (part == 0)
                return snprintf(buf, room, "%llu%s", whole, unit);
        n = snprintf(fraction, sizeof(fraction), "%09llu", part);
        while (fraction[n - 1] == '0')
                fraction[--n] = '\0';
        return snprintf(buf, room, "%llu.%s%s", whole, fraction, unit);
}

const char *span_format(Span d, char buf[WALL_TEXT])
{
        uint64_t ns = d.ns < 0 ? -(uint64_t)d.ns : (uint64_t)d.ns;
        uint64_t minute = 60 * (uint64_t)NS_PER_S, hours = ns / (60 * minute);
        uint64_t minutes = ns / minute % 60, rest = ns % minute;
        char *p = buf, *end = buf + WALL_TEXT;

        if (d.ns < 0)
                *p++ = '-';
        if (hours > 0)
                p += snprintf(p, (size_t)(end - p), "%lluh", (unsigned long long)hours);
        if (minutes > 0)
                p += snprintf(p, (size_t)(end - p), "%llum", (unsigned long long)minutes);
        if (rest >= (uint64_t)NS_PER_S)
                format_decimal(p, (size_t)(end - p), rest, (uint64_t)NS_PER_S, "s");
        else if (rest >= 1000000)
                format_decimal(p, (size_t)(end - p), rest, 1000000, "ms");
        else if (rest >= 1000)
                format_decimal(p, (size_t)(end - p), rest, 1000, "us");
        else if (rest > 0)
                format_decimal(p, (size_t)(end - p), rest, 1, "ns");
        else if (ns == 0)
                format_decimal(p, (size_t)(end - p), 0, 1, "s");
        return buf;
}
