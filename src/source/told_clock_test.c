/* SPDX-License-Identifier: Apache-2.0 */
#include "source/told_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum {
        HOUR_S = 3600,
        YEAR_S = 365 * 24 * HOUR_S,
};

#define NOON INT64_C(1795384800000)

static Wall wall(int64_t seconds)
{
        return (Wall){NOON + seconds * 1000};
}

static Mono mono(int64_t seconds)
{
        return (Mono){SPAN_S(1000 + seconds).ns};
}

static void it_goes_on_with_time(void **state)
{
        ToldClock c = {0};

        (void)state;
        assert_int_equal(told_clock_now(&c, mono(0)).ms, 0);
        told_clock_tell(&c, wall(0), mono(0), (Wall){0});
        assert_int_equal(told_clock_now(&c, mono(90)).ms, wall(90).ms);
}

static void a_jump_is_not_believed_without_a_date(void **state)
{
        ToldClock c = {0};

        (void)state;
        told_clock_tell(&c, wall(0), mono(0), (Wall){0});
        told_clock_tell(&c, wall(YEAR_S), mono(30), (Wall){0});
        assert_int_equal(told_clock_now(&c, mono(30)).ms, wall(30).ms);
        told_clock_tell(&c, wall(YEAR_S + 30), mono(60), (Wall){0});
        assert_int_equal(told_clock_now(&c, mono(60)).ms, wall(60).ms);
        /* Small steps, as time daemons make them, are. */
        told_clock_tell(&c, wall(300), mono(90), (Wall){0});
        assert_int_equal(told_clock_now(&c, mono(90)).ms, wall(300).ms);
}

static void a_date_says_who_is_right(void **state)
{
        ToldClock c = {0};

        (void)state;
        told_clock_tell(&c, wall(0), mono(0), wall(0));
        told_clock_tell(&c, wall(YEAR_S), mono(30), wall(30));
        assert_int_equal(told_clock_now(&c, mono(30)).ms, wall(30).ms);
        /* A machine that slept: its monotonic clock stood still, the server's did not. */
        told_clock_tell(&c, wall(8 * HOUR_S), mono(60), wall(8 * HOUR_S + 1));
        assert_int_equal(told_clock_now(&c, mono(60)).ms, wall(8 * HOUR_S).ms);
        /* At the first answer, too. */
        c = (ToldClock){0};
        told_clock_tell(&c, wall(YEAR_S), mono(0), wall(0));
        assert_int_equal(told_clock_now(&c, mono(0)).ms, wall(0).ms);
}

static void it_is_never_ahead_of_ours(void **state)
{
        ToldClock c = {0};

        (void)state;
        told_clock_tell(&c, wall(0), mono(0), wall(YEAR_S));
        assert_int_equal(told_clock_now(&c, mono(0)).ms, wall(0).ms);
        told_clock_tell(&c, wall(-HOUR_S), mono(30), (Wall){0});
        assert_int_equal(told_clock_now(&c, mono(30)).ms, wall(-HOUR_S).ms);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(it_goes_on_with_time),
                cmocka_unit_test(a_jump_is_not_believed_without_a_date),
                cmocka_unit_test(a_date_says_who_is_right),
                cmocka_unit_test(it_is_never_ahead_of_ours),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
