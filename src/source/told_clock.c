/* SPDX-License-Identifier: Apache-2.0 */
#include "source/told_clock.h"

static bool is_ahead(Wall a, Wall of)
{
        return a.ms - of.ms > TOLD_CLOCK_AGREE_S * INT64_C(1000);
}

Wall told_clock_now(const ToldClock *c, Mono now)
{
        if (c->at.ms == 0)
                return (Wall){0};
        return (Wall){c->at.ms + mono_since(now, c->since).ns / 1000000};
}

void told_clock_tell(ToldClock *c, Wall wall, Mono now, Wall date)
{
        Wall expected = date.ms != 0 ? date : told_clock_now(c, now);

        c->at = expected.ms != 0 && is_ahead(wall, expected) ? expected : wall;
        c->since = now;
}
