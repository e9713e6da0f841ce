/* SPDX-License-Identifier: Apache-2.0 */
#include "base/instant.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void parses_instants(void **state)
{
        static const struct {
                Str s;
                int64_t ms;
        } cases[] = {
                {STR_INIT("1970-01-01T00:00:00Z"), 0},
                {STR_INIT("2026-11-22T20:58:01Z"), 1795381081000},
                {STR_INIT("2026-11-22t20:58:01z"), 1795381081000},
                {STR_INIT("2026-11-22T20:58:01.123456789Z"), 1795381081123},
                {STR_INIT("2026-11-22T20:58:01.9Z"), 1795381081900},
                {STR_INIT("2026-11-22T20:58:01.00000000000000000001Z"), 1795381081000},
                {STR_INIT("2026-11-22T22:58:01+02:00"), 1795381081000},
                {STR_INIT("2026-11-22T15:28:01-05:30"), 1795381081000},
                {STR_INIT("2016-12-31T23:59:60Z"), 1483228800000},
                {STR_INIT("2024-02-29T00:00:00Z"), 1709164800000},
                {STR_INIT("2000-02-29T00:00:00Z"), 951782400000},
                {STR_INIT("1969-12-31T23:59:59.5Z"), -500},
                {STR_INIT("0001-01-01T00:00:00Z"), 0},
                {STR_INIT("0001-12-31T00:00:00Z"), 0},
                {STR_INIT("0002-01-01T00:00:00Z"), -62104060800000},
                {STR_INIT("9999-12-31T23:59:59Z"), 253402300799000},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                Wall w = {42};

                assert_true(wall_parse(cases[i].s, &w));
                assert_int_equal(w.ms, cases[i].ms);
        }
}

static void refuses_what_is_no_instant(void **state)
{
        static const Str cases[] = {
                STR_INIT(""),
                STR_INIT("2026-11-22"),
                STR_INIT("2026-11-22T20:58:01"),
                STR_INIT("2026-11-22 20:58:01Z"),
                STR_INIT("2026-11-22T20:58:01Zx"),
                STR_INIT("2026-11-22T20:58Z"),
                STR_INIT("2026-11-22T20:58:01.Z"),
                STR_INIT("2026-11-22T24:00:00Z"),
                STR_INIT("2026-11-22T20:60:00Z"),
                STR_INIT("2026-11-22T20:58:61Z"),
                STR_INIT("2026-13-22T20:58:01Z"),
                STR_INIT("2026-00-22T20:58:01Z"),
                STR_INIT("2026-02-29T20:58:01Z"),
                STR_INIT("1900-02-29T20:58:01Z"),
                STR_INIT("2026-11-31T20:58:01Z"),
                STR_INIT("2026-11-00T20:58:01Z"),
                STR_INIT("0000-01-01T00:00:00Z"),
                STR_INIT("+026-11-22T20:58:01Z"),
                STR_INIT("2026-11-22T20:58:01+0200"),
                STR_INIT("2026-11-22T20:58:01+24:00"),
                STR_INIT("2026-11-22T20:58:01+02:60"),
                STR_INIT("2026-11-22T20:58:01+02:00Z"),
                STR_INIT("\0"),
        };
        Wall w = {42};

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++)
                assert_false(wall_parse(cases[i], &w));
        assert_int_equal(w.ms, 42);
}

static void formats_what_it_parses(void **state)
{
        char buf[WALL_TEXT];

        (void)state;
        /* A prime step visits all months, leap years and times of day. */
        for (int64_t ms = -62104060800000; ms < 253402300799000;
             ms += 86400000 * INT64_C(11) + 3607000) {
                Wall w;

                assert_true(wall_parse(str_of(wall_format((Wall){ms}, buf)), &w));
                assert_int_equal(w.ms, ms);
        }
        assert_string_equal(wall_format((Wall){-1}, buf), "1969-12-31T23:59:59Z");
        assert_string_equal(wall_format((Wall){1795381081999}, buf), "2026-11-22T20:58:01Z");
        assert_string_equal(wall_format((Wall){INT64_MAX}, buf), "9999-12-31T23:59:59Z");
        assert_string_equal(wall_format((Wall){INT64_MIN}, buf), "0001-01-01T00:00:00Z");
        assert_string_equal(wall_format_micro((Wall){1795381081099}, buf),
                            "2026-11-22T20:58:01.099000Z");
        assert_string_equal(wall_format_micro((Wall){-1}, buf), "1969-12-31T23:59:59.999000Z");
}

static void parses_durations(void **state)
{
        static const struct {
                Str s;
                int64_t ns;
        } cases[] = {
                {STR_INIT("0"), 0},
                {STR_INIT("0s"), 0},
                {STR_INIT("30s"), 30000000000},
                {STR_INIT("1m30s"), 90000000000},
                {STR_INIT("500ms"), 500000000},
                {STR_INIT("1h"), 3600000000000},
                {STR_INIT("1.5h"), 5400000000000},
                {STR_INIT("1h0.5m"), 3630000000000},
                {STR_INIT("0.000000001s"), 1},
                {STR_INIT("1.9us"), 1900},
                {STR_INIT("1\xc2\xb5s2ns"), 1002},
                {STR_INIT("1\xce\xbcs"), 1000},
                {STR_INIT("8760h"), 31536000000000000},
        };
        static const Str bad[] = {
                STR_INIT(""),
                STR_INIT("1"),
                STR_INIT("s"),
                STR_INIT("-1s"),
                STR_INIT("+1s"),
                STR_INIT(" 1s"),
                STR_INIT("1s "),
                STR_INIT("1 s"),
                STR_INIT("1d"),
                STR_INIT("1.s"),
                STR_INIT(".5s"),
                STR_INIT("1s1"),
                STR_INIT("8761h"),
                STR_INIT("8760h1ns"),
                STR_INIT("99999999999999999999s"),
                STR_INIT("9223372036854775807h"),
                STR_INIT("1e3s"),
                STR_INIT("2562047h2562047h"),
        };
        Span d = {42};

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(bad); i++)
                assert_false(span_parse(bad[i], &d));
        assert_int_equal(d.ns, 42);
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                assert_true(span_parse(cases[i].s, &d));
                assert_int_equal(d.ns, cases[i].ns);
        }
}

static void formats_durations(void **state)
{
        static const struct {
                Span d;
                const char *text;
        } cases[] = {
                {{0}, "0s"},
                {{1}, "1ns"},
                {{1500}, "1.5us"},
                {{500000000}, "500ms"},
                {{1500000000}, "1.5s"},
                {{90000000000}, "1m30s"},
                {{3600000000000}, "1h"},
                {{3600500000000}, "1h500ms"},
                {{5400000000000}, "1h30m"},
                {{-90000000000}, "-1m30s"},
                {{INT64_MAX}, "2562047h47m16.854775807s"},
                {{INT64_MIN}, "-2562047h47m16.854775808s"},
        };
        char buf[WALL_TEXT];
        Span d;

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++)
                assert_string_equal(span_format(cases[i].d, buf), cases[i].text);
        for (int64_t ns = 1; ns < 31536000000000000; ns = ns * 3 + 1) {
                assert_true(span_parse(str_of(span_format((Span){ns}, buf)), &d));
                assert_int_equal(d.ns, ns);
        }
}

static void computes(void **state)
{
        Mono a = {1000}, b = mono_add(a, SPAN_MS(2));

        (void)state;
        assert_true(mono_before(a, b) && !mono_before(b, a) && !mono_before(a, a));
        assert_int_equal(mono_since(b, a).ns, 2000000);
        assert_true(span_seconds(SPAN_S(3)) > 2.99 && span_seconds(SPAN_S(3)) < 3.01);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(parses_instants),
                cmocka_unit_test(refuses_what_is_no_instant),
                cmocka_unit_test(formats_what_it_parses),
                cmocka_unit_test(parses_durations),
                cmocka_unit_test(formats_durations),
                cmocka_unit_test(computes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
