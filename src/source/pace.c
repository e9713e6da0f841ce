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

static Mono later(Mono a, Mono b)
{
        return mono_before(a, b) ? b : a;
}

static Mono take(Pace *p, Mono now, Span apart)
{
        bool is_first = p->hour.ns == 0;
        if (!is_first && mono_before(now, p->last_trigger))
                return p->last_trigger;
        Mono at = is_first ? now : later(now, mono_add(p->last_trigger, apart));
        Mono hour_end = mono_add(p->hour, SPAN_S(3600));
        if (!is_first && p->triggers >= PACE_TRIGGERS_PER_HOUR)
                at = later(at, hour_end);
        if (is_first || !mono_before(at, hour_end)) {
                p->hour = at;
                p->triggers = 0;
        }
        p->last_trigger = at;
        p->triggers++;
        return at;
}

Mono pace_trigger(Pace *p, Mono now)
{
        return take(p, now, SPAN_S(PACE_TRIGGER_APART_S));
}

Mono pace_edit(Pace *p, Mono now)
{
        return take(p, now, SPAN_MS(PACE_EDIT_APART_MS));
}
