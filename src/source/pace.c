/* SPDX-License-Identifier: Apache-2.0 */
#include "source/pace.h"

enum {
        NS_PER_S = 1000000000
};

void chance_init(Chance *c, uint64_t seed)
{
        c->state = seed != 0 ? seed : 0x9e3779b97f4a7c15u;
}

double chance_next(Chance *c)
{
        uint64_t x = c->state;
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        c->state = x;
        return (double)((x * 0x2545f4914f6cdd1du) >> 11) / (double)(1ull << 53);
}

Span pace_interval(Span interval, Chance *c)
{
        double factor = 0.9 + 0.2 * chance_next(c);
        return (Span){(int64_t)((double)interval.ns * factor)};
}

Span pace_backoff(uint64_t failures, Span retry_after, Chance *c)
{
        int64_t ceiling = PACE_BACKOFF_FIRST_S;
        for (uint64_t i = 1; i < failures && ceiling < PACE_BACKOFF_MAX_S; i++)
                ceiling *= 2;
        if (ceiling > PACE_BACKOFF_MAX_S)
                ceiling = PACE_BACKOFF_MAX_S;
        int64_t ns = (int64_t)((double)ceiling * NS_PER_S * chance_next(c));
        /* Never a busy loop, however small the chance. */
        if (ns < NS_PER_S / 10)
                ns = NS_PER_S / 10;
        return (Span){ns > retry_after.ns ? ns : retry_after.ns};
}

bool pace_trigger(Pace *p, Mono now, Mono *ret_at)
{
        Mono hour_end = mono_add(p->hour, SPAN_S(3600));
        if (p->hour.ns == 0 || !mono_before(now, hour_end)) {
                p->hour = now;
                p->triggers = 0;
                hour_end = mono_add(now, SPAN_S(3600));
        }
        if (p->triggers >= PACE_TRIGGERS_PER_HOUR) {
                *ret_at = hour_end;
                return false;
        }
        Mono free_at = mono_add(p->last_trigger, SPAN_S(PACE_TRIGGER_APART_S));
        if (p->last_trigger.ns != 0 && mono_before(now, free_at)) {
                *ret_at = free_at;
                return false;
        }
        p->last_trigger = now;
        p->triggers++;
        return true;
}
