/* SPDX-License-Identifier: Apache-2.0 */
#include "discovery/probe_state.h"

bool probe_state_add(ProbeFact *f, const ProbeRules *rules, bool ok, Wall now)
{
        ProbeVerdict before = f->verdict;
        bool is_first = f->last.ms == 0;

        f->in_a_row = is_first || f->last_ok != ok ? 1 : f->in_a_row + 1;
        f->last_ok = ok;
        f->last = now;
        if (ok)
                f->ok++;
        else
                f->failed++;
        if (ok && (before == PROBE_UNKNOWN || f->in_a_row >= rules->successes))
                f->verdict = PROBE_HEALTHY;
        else if (!ok && f->in_a_row >= rules->failures)
                f->verdict = PROBE_UNHEALTHY;
        if (f->verdict == before)
                return false;
        f->since = now;
        return true;
}
