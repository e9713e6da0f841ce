/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_delay.h"

/* SplitMix64 (Steele, Lea, Flood 2014): every seed is a good one. */
static uint64_t next(uint64_t *chance)
{
        uint64_t z = *chance += 0x9e3779b97f4a7c15u;

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
}

Span kube_delay_jitter(uint64_t *chance, Span most)
{
        double part = (double)(next(chance) >> 11) / (double)(UINT64_C(1) << 53);

        return (Span){(int64_t)((double)most.ns * part)};
}

Span kube_delay_backoff(uint64_t *chance, unsigned failures, Span at_least)
{
        int64_t ceiling = 1;
        Span delay;

        for (unsigned i = 1; i < failures && ceiling < KUBE_BACKOFF_MAX_S; i++)
                ceiling *= 2;
        if (ceiling > KUBE_BACKOFF_MAX_S)
                ceiling = KUBE_BACKOFF_MAX_S;
        delay = kube_delay_jitter(chance, SPAN_S(ceiling));
        if (delay.ns < SPAN_MS(100).ns)
                delay = SPAN_MS(100);
        return delay.ns > at_least.ns ? delay : at_least;
}
