/* SPDX-License-Identifier: Apache-2.0 */
#include "control/object_body.h"

#include "proto/json.h"

enum {
        NOTE_MAX = 1024, /* of an Event */
};

Digest object_body_digest(Str body, bool of_status)
{
        Arena arena;
        Digest own, status;
        arena_init(&arena, 0);
        const Tree *tree = json_read(&arena, body, NULL, NULL);
        INSIST(tree != NULL);
        observed_digests(tree, &own, &status);
        arena_done(&arena);
        return of_status ? status : own;
}

bool object_body_is_calm(const Observed *o, Str body)
{
        Arena arena;
        arena_init(&arena, 0);
        const Tree *tree = json_read(&arena, body, NULL, NULL);
        INSIST(tree != NULL);
        Digest calm = observed_calm(tree);
        arena_done(&arena);
        return digest_eq(&o->calm, &calm);
}

bool object_sync_is_due(const PlanInput *in, Plan *p, Wall fresh, Wall seen)
{
        int64_t due = seen.ms + PLAN_HEARTBEAT_S * INT64_C(1000);
        if (fresh.ms == 0)
                return false;
        if (seen.ms == 0)
                return true;
        /* A clock that went back, ours or that of who wrote it, is no reason to wait for hours. */
        if (in->wall.ms >= due || seen.ms > in->wall.ms + PLAN_HEARTBEAT_S * INT64_C(1000))
                return fresh.ms / 1000 != seen.ms / 1000;
        plan_again(p, mono_add(in->now, SPAN_MS(due - in->wall.ms)));
        return false;
}

static bool is_news(const Condition *c, const ConditionSeen *before)
{
        if (before == NULL)
                return strcmp(c->status, "Unknown") != 0 &&
                       (condition_is_bad(c) || strcmp(c->status, "True") == 0);
        return !str_eq(before->status, str_of(c->status)) ||
               !str_eq(before->reason, condition_reason(c));
}

void object_condition_events(Plan *p, size_t after, const Observed *regarding,
                             const Condition *conditions, size_t n, const Observed *past)
{
        for (size_t i = 0; i < n; i++) {
                const Condition *c = &conditions[i];
                if (!is_news(c, observed_condition(past, str_of(c->type))))
                        continue;
                CLEANUP(buf_done) Buf note;
                buf_init(&note, NOTE_MAX + c->message.n);
                buf_printf(&note, "%s is %s", c->type, c->status);
                if (c->message.n > 0) {
                        buf_add_str(&note, STR(": "));
                        buf_add_str(&note, c->message);
                }
                plan_add_event(p, &(PlanEvent){
                                          .after = after,
                                          .kind = regarding->kind,
                                          .key = regarding->key,
                                          .uid = regarding->uid,
                                          .is_warning = condition_is_bad(c),
                                          .reason = condition_reason(c),
                                          .action = str_of(c->type),
                                          .note = buf_str(&note),
                                  });
        }
}

bool object_is_gateway_unknown(const PlanInput *in, ObjectKey gateway)
{
        ObservedKey key = {OBSERVED_GATEWAY, gateway};
        return table_find(in->faults, &key, object_fault_find) != NULL &&
               table_find(in->world->gateways, &gateway, gateway_spec_find) == NULL;
}

bool object_may_be_wanted(const PlanInput *in, ObjectKey eg_gateway)
{
        TABLE_FOREACH (ObjectFault, f, in->faults) {
                if (f->kind == OBSERVED_GATEWAY && object_is_gateway_unknown(in, f->key) &&
                    (f->gateway.name.n == 0 || object_key_eq(f->gateway, eg_gateway)))
                        return true;
        }
        return false;
}
