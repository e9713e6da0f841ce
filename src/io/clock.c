/* SPDX-License-Identifier: Apache-2.0 */
#include "io/clock.h"

#include <time.h>

static Mono system_mono(void *ctx)
{
        struct timespec ts;

        (void)ctx;
        INSIST(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
        return (Mono){ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec};
}

static Wall system_wall(void *ctx)
{
        struct timespec ts;

        (void)ctx;
        INSIST(clock_gettime(CLOCK_REALTIME, &ts) == 0);
        return (Wall){ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000};
}

const Clock clock_system = {system_mono, system_wall, NULL};
