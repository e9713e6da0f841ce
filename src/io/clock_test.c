/* SPDX-License-Identifier: Apache-2.0 */
#include "io/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void the_system_clock_goes_forward(void **state)
{
        Mono a = clock_system.mono(clock_system.ctx), b = clock_system.mono(clock_system.ctx);
        Wall year_2020, now = clock_system.wall(clock_system.ctx);

        (void)state;
        assert_true(a.ns > 0 && !mono_before(b, a));
        assert_true(wall_parse(STR("2020-01-01T00:00:00Z"), &year_2020));
        assert_true(now.ms > year_2020.ms);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_system_clock_goes_forward),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
