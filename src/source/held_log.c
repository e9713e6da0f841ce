/* SPDX-License-Identifier: Apache-2.0 */
#include "source/held_log.h"

static unsigned n_held(const EntryView *v)
{
        return v != NULL ? v->held.n : 0;
}

static size_t n_endpoints(const EntryView *v)
{
        return v != NULL ? table_n(v->endpoints) : 0;
}

/* The count says it: what was held is in the endpoints until it is removed. */
static void tell_end(Log *log, const EntryView *before, const EntryView *now)
{
        size_t was = n_endpoints(before), is = n_endpoints(now);
        if (is < was)
                log_warn(log, "removal took effect", LOG_STR("gateway", before->gateway.name),
                         LOG_STR("namespace", before->gateway.namespace),
                         LOG_STR("tailnet", before->tailnet), LOG_INT("removed", was - is),
                         LOG_INT("endpoints", is), LOG_STR("reason", before->held.reason));
        else
                log_info(log, "removal is no longer held, what was missed is back",
                         LOG_STR("gateway", before->gateway.name),
                         LOG_STR("namespace", before->gateway.namespace),
                         LOG_STR("tailnet", before->tailnet), LOG_INT("endpoints", is));
}

static void tell_held(Log *log, const EntryView *v)
{
        log_warn(log, "removal held back", LOG_STR("gateway", v->gateway.name),
                 LOG_STR("namespace", v->gateway.namespace), LOG_STR("tailnet", v->tailnet),
                 LOG_INT("held", v->held.n), LOG_INT("confirmations", v->held.confirmations),
                 LOG_STR("reason", v->held.reason), LOG_STR("digest", v->held.digest));
}

void held_log(Log *log, const World *before, const World *now)
{
        TABLE_FOREACH (EntryView, v, now->entries) {
                EntryKey key = {v->gateway, v->tailnet};
                const EntryView *old = table_find(before->entries, &key, entry_view_find);
                if (old == v)
                        continue;
                if (v->held.n > 0 &&
                    (n_held(old) != v->held.n || old->held.confirmations != v->held.confirmations))
                        tell_held(log, v);
                else if (v->held.n == 0 && n_held(old) > 0)
                        tell_end(log, old, v);
        }
}
