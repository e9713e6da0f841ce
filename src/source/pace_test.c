/* SPDX-License-Identifier: Apache-2.0 */
#include "source/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_interval_is_within_ten_percent(void **state)
{
        (void)state;
        Chance c;
        chance_init(&c, 7);
        int64_t low = INT64_MAX, high = 0;
        for (int i = 0; i < 10000; i++) {
                int64_t ns = pace_interval(SPAN_S(30), &c).ns;
                assert_in_range(ns, SPAN_S(27).ns, SPAN_S(33).ns);
                low = ns < low ? ns : low;
                high = ns > high ? ns : high;
        }
        /* The whole width is used, or two gateways would keep step. */
        assert_true(low < SPAN_MS(27100).ns && high > SPAN_MS(32900).ns);
}

static void test_backoff_grows_to_five_minutes(void **state)
{
        (void)state;
        Chance c;
        chance_init(&c, 0);
        int64_t ceiling = 1;
        for (uint64_t failures = 1; failures < 70; failures++) {
                int64_t most = 0;
                for (int i = 0; i < 500; i++) {
                        int64_t ns = pace_backoff(failures, SPAN_S(0), &c).ns;
                        assert_in_range(ns, SPAN_MS(100).ns, SPAN_S(ceiling).ns);
                        most = ns > most ? ns : most;
                }
                assert_true(most > SPAN_S(ceiling).ns * 9 / 10);
                ceiling = ceiling * 2 < 300 ? ceiling * 2 : 300;
        }
}

static void test_retry_after_is_obeyed(void **state)
{
        (void)state;
        Chance c;
        chance_init(&c, 1);
        for (int i = 0; i < 100; i++)
                assert_true(pace_backoff(1, SPAN_S(77), &c).ns >= SPAN_S(77).ns);
}

static void test_triggers_keep_five_seconds_apart(void **state)
{
        (void)state;
        Pace p = {0};
        Mono now = {1}, second = mono_add(now, SPAN_S(5));
        assert_int_equal(pace_trigger(&p, now).ns, now.ns);
        assert_int_equal(pace_trigger(&p, mono_add(now, SPAN_S(1))).ns, second.ns);
        /* It is on its way already. */
        assert_int_equal(pace_trigger(&p, mono_add(now, SPAN_S(4))).ns, second.ns);
        /* That one counts, too. */
        assert_int_equal(pace_trigger(&p, mono_add(now, SPAN_S(6))).ns,
                         mono_add(second, SPAN_S(5)).ns);
        Mono much_later = mono_add(now, SPAN_S(100));
        assert_int_equal(pace_trigger(&p, much_later).ns, much_later.ns);
}

static void test_at_most_120_triggers_an_hour(void **state)
{
        (void)state;
        Pace p = {0};
        Mono now = {1}, end = mono_add(now, SPAN_S(3600)), last = {0};
        unsigned n = 0;
        for (; mono_before(now, end); now = mono_add(now, SPAN_S(1))) {
                Mono at = pace_trigger(&p, now);
                assert_false(mono_before(at, now));
                n += at.ns != last.ns && mono_before(at, end);
                last = at;
        }
        assert_int_equal(n, PACE_TRIGGERS_PER_HOUR);
        assert_int_equal(last.ns, end.ns);
        assert_int_equal(pace_trigger(&p, end).ns, mono_add(end, SPAN_S(5)).ns);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_interval_is_within_ten_percent),
                cmocka_unit_test(test_backoff_grows_to_five_minutes),
                cmocka_unit_test(test_retry_after_is_obeyed),
                cmocka_unit_test(test_triggers_keep_five_seconds_apart),
                cmocka_unit_test(test_at_most_120_triggers_an_hour),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
