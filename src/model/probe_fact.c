/* SPDX-License-Identifier: Apache-2.0 */
#include "model/probe_fact.h"

Str probe_verdict_name(ProbeVerdict v)
{
        switch (v) {
        case PROBE_HEALTHY:
                return STR("Healthy");
        case PROBE_UNHEALTHY:
                return STR("Unhealthy");
        case PROBE_UNKNOWN:
                break;
        }
        return STR("Unknown");
}

int probe_fact_cmp(const ProbeFact *a, const ProbeFact *b)
{
        const int c[] = {object_key_cmp(a->gateway, b->gateway), str_cmp(a->tailnet, b->tailnet),
                         str_cmp(a->service, b->service),        (int)a->port - (int)b->port,
                         (int)a->protocol - (int)b->protocol,    str_cmp(a->ip, b->ip)};

        for (size_t i = 0; i < LENGTH_OF(c); i++)
                if (c[i] != 0)
                        return c[i];
        return 0;
}
