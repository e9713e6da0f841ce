/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metric.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void bounds_rise_from_100_us_to_10_s(void **state)
{
        (void)state;
        assert_true(metric_bounds[0] == 0.0001);
        assert_true(metric_bounds[METRIC_BUCKETS - 1] == 10);
        for (size_t i = 1; i < METRIC_BUCKETS; i++)
                assert_true(metric_bounds[i] > metric_bounds[i - 1]);
}

static void observes_into_the_first_bucket_that_holds_it(void **state)
{
        MetricHistogram h = {0};

        (void)state;
        metric_observe(&h, 0);
        metric_observe(&h, 0.0001);
        metric_observe(&h, 0.0002);
        metric_observe(&h, 10);
        metric_observe(&h, 11);
        assert_int_equal(h.count[0], 2);
        assert_int_equal(h.count[1], 1);
        assert_int_equal(h.count[METRIC_BUCKETS - 1], 1);
        assert_int_equal(h.count[METRIC_BUCKETS], 1);
        assert_true(h.sum > 21.0002 && h.sum < 21.0004);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(bounds_rise_from_100_us_to_10_s),
                cmocka_unit_test(observes_into_the_first_bucket_that_holds_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
