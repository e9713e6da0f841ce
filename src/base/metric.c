/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metric.h"

const double metric_bounds[METRIC_BUCKETS] = {0.0001, 0.00025, 0.001, 0.0025, 0.005, 0.01,
                                              0.025,  0.05,    0.1,   0.5,    1,     10};

void metric_observe(MetricHistogram *h, double seconds)
{
        size_t i = 0;

        while (i < METRIC_BUCKETS && seconds > metric_bounds[i])
                i++;
        h->count[i]++;
        h->sum += seconds;
}
