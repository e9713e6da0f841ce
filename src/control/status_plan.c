/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statuses of what users write. Each follows from World, Report, Facts and from what stands there
 * alone; it is written where that makes it another. Of an object that is not valid, Accepted tells
 * why; the other conditions are of what is still in force of it.
 */
#include "control/managed_plan.h"
#include "control/object_body.h"
#include "model/gateway_status.h"
#include "model/render.h"
#include "model/tailnet_status.h"

#include <stdlib.h>

static const char *const kinds[OBSERVED_KINDS] = {
        [OBSERVED_TAILNET] = "TailscaleTailnet",
        [OBSERVED_GATEWAY] = "TailscaleGateway",
        [OBSERVED_ENDPOINTS] = "TailscaleEndpoints",
};

static const ObjectFault *fault_of(const PlanInput *in, const Observed *o)
{
        ObservedKey key = {o->kind, o->key};
        return table_find(in->faults, &key, object_fault_find);
}

/* A generation that nobody has read yet is told of once it was. */
static void overlay_fault(const ObjectFault *f, Condition *accepted)
{
        if (f == NULL)
                return;
        *accepted = (Condition){
                .type = "Accepted",
                .status = "False",
                .reason = STR("Invalid"),
                .message = f->text,
                .generation = f->generation,
        };
}

/* Nothing of it is in force. */
static void all_invalid(const ObjectFault *f, const char *const *types, Condition *ret, size_t n)
{
        overlay_fault(f, &ret[0]);
        for (size_t i = 1; i < n; i++)
                ret[i] = (Condition){.type = types[i],
                                     .status = "Unknown",
                                     .reason = STR("Invalid"),
                                     .message = STR("see Accepted"),
                                     .generation = f->generation};
}

/* What is to stand there, and how it is told. */
typedef struct StatusWrite {
        const Observed *o;
        const Condition *conditions;
        size_t n_conditions;
} StatusWrite;

static void begin(DocWriter *d, const Observed *o, Buf *body)
{
        doc_json_init(d, body);
        render_apply_head(d, kinds[o->kind], o->key, o->uid);
        doc_object_end(d);
}

static void conditions_alone(DocWriter *d, const StatusWrite *w, const ConditionPast *past)
{
        doc_object(d, STR("status"));
        if (w->n_conditions > 0)
                conditions_doc(d, w->conditions, w->n_conditions, past);
        doc_object_end(d);
}

static bool is_as_wished(const Observed *o, const Buf *body)
{
        Digest digest = object_body_digest(buf_str(body), true);
        return digest_eq(&o->status, &digest);
}

static void add_write(Plan *p, const StatusWrite *w, const Buf *body)
{
        if (body->failed)
                return;
        size_t at = plan_add_object(p, &(PlanObject){
                                               .verb = PLAN_APPLY_STATUS,
                                               .role = PLAN_OPERATOR,
                                               .kind = w->o->kind,
                                               .key = w->o->key,
                                               .manager = STR(OBSERVED_MANAGER),
                                               .body = buf_str(body),
                                               .expected = object_body_digest(buf_str(body), true),
                                       });
        object_condition_events(p, at, w->o, w->conditions, w->n_conditions, w->o);
}

/* ---- TailscaleTailnets ---- */

static void put_tailnet(const StatusWrite *w, const TailnetStatus *s, Wall last_sync,
                        const ConditionPast *past, Buf *body)
{
        DocWriter d;
        buf_reset(body);
        begin(&d, w->o, body);
        if (s != NULL)
                tailnet_status_doc(&d, s, w->conditions, last_sync, past);
        else
                conditions_alone(&d, w, past);
        doc_end(&d);
}

/* Has a poll of it ended, and does the World know how? */
static bool is_heard(const TailnetStatus *s)
{
        return (s->state != NULL && s->state->sync != SYNC_NEVER) ||
               (s->presence != NULL && s->presence->failures > 0);
}

/* Who has just begun to lead has asked nobody yet: what the one before found stands until then. */
static bool is_silent(const TailnetStatus *s, const Observed *o)
{
        const ConditionSeen *synced = observed_condition(o, STR("Synced"));
        return !s->is_beyond && !is_heard(s) && synced != NULL &&
               !str_eq(synced->reason, STR("Invalid")) &&
               synced->observed_generation == s->spec->meta.generation;
}

static void plan_tailnet(const PlanInput *in, Plan *p, const Observed *o)
{
        static const char *const types[] = {"Accepted", "Authenticated", "Synced", "Stale"};
        const TailnetSpec *spec = table_find(in->world->tailnets, &o->key, tailnet_spec_find);
        const ObjectFault *fault = fault_of(in, o);
        Condition conditions[TAILNET_CONDITIONS];
        StatusWrite w = {o, conditions, LENGTH_OF(conditions)};
        ConditionPast past = {o, in->wall};
        TailnetStatus s;
        Wall fresh = {0};
        if (spec == NULL && fault == NULL)
                return;
        if (spec != NULL) {
                s = tailnet_status_of(in->world, in->facts, spec);
                if (fault == NULL && is_silent(&s, o))
                        return;
                tailnet_status_conditions(&s, in->wall, conditions);
                overlay_fault(fault, &conditions[0]);
                fresh = s.presence != NULL ? s.presence->last_sync : fresh;
        } else {
                all_invalid(fault, types, conditions, LENGTH_OF(conditions));
        }
        CLEANUP(buf_done) Buf body;
        buf_init(&body, OBJECT_BODY_MAX);
        const TailnetStatus *shown = spec != NULL ? &s : NULL;
        put_tailnet(&w, shown, o->last_sync.ms != 0 ? o->last_sync : fresh, &past, &body);
        bool is_changed = !is_as_wished(o, &body);
        if (!is_changed && !object_sync_is_due(in, p, fresh, o->last_sync))
                return;
        if (fresh.ms > o->last_sync.ms)
                put_tailnet(&w, shown, fresh, &past, &body);
        if (!is_as_wished(o, &body))
                add_write(p, &w, &body);
}

void plan_tailnet_statuses(const PlanInput *in, Plan *p)
{
        TABLE_FOREACH (Observed, o, in->observed) {
                if (o->kind == OBSERVED_TAILNET && !o->deleting)
                        plan_tailnet(in, p, o);
        }
}

/* ---- TailscaleGateways ---- */

/* When the revision that is wanted came to stand at its Gateway; 0: it does not yet. */
static Mono wanted_since(const PlanInput *in, const GatewaySpec *g)
{
        const GatewayReport *r = table_find(in->report->gateways, &g->gateway, gateway_report_find);
        for (size_t i = 0; r != NULL && i < in->outside->n_bindings; i++) {
                const BindingWritten *w = &in->outside->bindings[i];
                if (object_key_eq(w->eg_gateway, g->gateway) &&
                    str_eq(w->revision, str_of(r->revision)))
                        return w->since;
        }
        return (Mono){0};
}

/* A revision is served some 100 ms after it is wished: of what was programmed already nobody is
 * told the contrary meanwhile. A new generation is another matter: it is programmed, or it is not.
 */
static void calm_programmed(const PlanInput *in, Plan *p, const Observed *o, const GatewaySpec *g,
                            Condition *c)
{
        const ConditionSeen *seen = observed_condition(o, STR("Programmed"));
        if (!str_eq(c->reason, STR("Pending")) || strcmp(c->status, "False") != 0 || seen == NULL ||
            !str_eq(seen->status, STR("True")) || seen->observed_generation != c->generation)
                return;
        Mono since = wanted_since(in, g);
        Mono due = mono_add(since, SPAN_S(PLAN_PENDING_S));
        if (since.ns == 0 && in->facts->generated.error[0] != '\0')
                return;
        if (since.ns != 0 && !mono_before(in->now, due))
                return;
        plan_again(p, since.ns != 0 ? due : mono_add(in->now, SPAN_S(PLAN_PENDING_S)));
        c->status = "True";
        c->reason = seen->reason;
        c->message = seen->message;
}

static void put_gateway(const StatusWrite *w, const GatewayStatus *s, const ConditionPast *past,
                        Buf *body)
{
        DocWriter d;
        begin(&d, w->o, body);
        if (s != NULL)
                gateway_status_doc(&d, s, past);
        else
                conditions_alone(&d, w, past);
        doc_end(&d);
}

/* Who has just begun to lead knows what is exposed, but of no tailnet yet what was left out. */
static bool is_uncounted(const PlanInput *in, const GatewaySpec *g)
{
        for (size_t i = 0; i < g->n_tailnets; i++) {
                ObjectKey key = {g->meta.key.namespace, g->tailnets[i].tailnet_name};
                const TailnetSpec *t = table_find(in->world->tailnets, &key, tailnet_spec_find);
                if (t == NULL)
                        continue;
                TailnetStatus s = tailnet_status_of(in->world, in->facts, t);
                if (!is_heard(&s))
                        return true;
        }
        return false;
}

static bool say_the_same(const Condition *c, size_t n, const Observed *o)
{
        for (size_t i = 0; i < n; i++) {
                const ConditionSeen *seen = observed_condition(o, str_of(c[i].type));
                if (seen == NULL || !str_eq(seen->status, str_of(c[i].status)) ||
                    !str_eq(seen->reason, c[i].reason) || !str_eq(seen->message, c[i].message) ||
                    seen->observed_generation != c[i].generation)
                        return false;
        }
        return true;
}

static int written_find(const void *key, const void *at)
{
        return object_key_cmp(*(const ObjectKey *)key, ((const StatusWritten *)at)->key);
}

/* One device more or less in a tailnet is one more or less that each entry of it excludes, however
 * many there are. Nothing follows from such a count, so it moves with the next news of the
 * TailscaleGateway, or some minutes after the last. */
static bool may_wait(const PlanInput *in, Plan *p, const Observed *o, const Buf *body)
{
        const StatusWritten *w = NULL;
        if (in->outside->n_statuses > 0)
                w = bsearch(&o->key, in->outside->statuses, in->outside->n_statuses, sizeof *w,
                            written_find);
        if (body->failed || !object_body_is_calm(o, buf_str(body)))
                return false;
        Mono due = mono_add(w != NULL ? w->at : in->outside->since, SPAN_S(PLAN_HEARTBEAT_S));
        if (!mono_before(in->now, due))
                return false;
        plan_again(p, due);
        return true;
}

static void plan_gateway(const PlanInput *in, Plan *p, const Answered *a, const ExtensionWish *wish,
                         const Observed *o)
{
        static const char *const types[] = {"Accepted", "ResolvedRefs", "Programmed", "Conflicted"};
        const GatewaySpec *g = table_find(in->world->gateways, &o->key, gateway_spec_find);
        const ObjectFault *fault = fault_of(in, o);
        ConditionPast past = {o, in->wall};
        CLEANUP(buf_done) Buf body;
        buf_init(&body, OBJECT_BODY_MAX);
        if (g != NULL) {
                GatewayStatus s;
                gateway_status_init(&s, a, g);
                gateway_status_extension(&s, wish, in->world->policy);
                gateway_status_routes(&s, in->observed);
                overlay_fault(fault, &s.conditions[0]);
                calm_programmed(in, p, o, g, &s.conditions[2]);
                StatusWrite w = {o, s.conditions, s.n_conditions};
                put_gateway(&w, &s, &past, &body);
                bool waits = is_uncounted(in, g) && say_the_same(s.conditions, s.n_conditions, o);
                if (!waits && !is_as_wished(o, &body) && !may_wait(in, p, o, &body))
                        add_write(p, &w, &body);
                gateway_status_done(&s);
        } else if (fault != NULL) {
                Condition conditions[GATEWAY_CONDITIONS];
                StatusWrite w = {o, conditions, LENGTH_OF(conditions)};
                all_invalid(fault, types, conditions, LENGTH_OF(conditions));
                put_gateway(&w, NULL, &past, &body);
                if (!is_as_wished(o, &body))
                        add_write(p, &w, &body);
        }
}

void plan_gateway_statuses(const PlanInput *in, Plan *p)
{
        AnsweredInput input = {in->world, in->report, in->facts, in->observed};
        Answered answered CLEANUP(answered_done) = answered_make(&input);
        ExtensionWish wish = {0};
        if (in->managed != NULL)
                wish = managed_wish(in->managed, in->world);
        TABLE_FOREACH (Observed, o, in->observed) {
                if (o->kind == OBSERVED_GATEWAY && !o->deleting)
                        plan_gateway(in, p, &answered, &wish, o);
        }
}

/* ---- what else users write ---- */

/* A user's TailscaleEndpoints has a status only since it was not valid. */
void plan_user_statuses(const PlanInput *in, Plan *p)
{
        TABLE_FOREACH (Observed, o, in->observed) {
                if (o->kind != OBSERVED_ENDPOINTS || o->ours || o->deleting)
                        continue;
                const ObjectFault *fault = fault_of(in, o);
                if (fault == NULL && observed_condition(o, STR("Accepted")) == NULL)
                        continue;
                Condition accepted = {.type = "Accepted",
                                      .status = "True",
                                      .reason = STR("Valid"),
                                      .generation = o->generation};
                overlay_fault(fault, &accepted);
                StatusWrite w = {o, &accepted, 1};
                ConditionPast past = {o, in->wall};
                DocWriter d;
                CLEANUP(buf_done) Buf body;
                buf_init(&body, OBJECT_BODY_MAX);
                begin(&d, o, &body);
                conditions_alone(&d, &w, &past);
                doc_end(&d);
                if (!is_as_wished(o, &body))
                        add_write(p, &w, &body);
        }
}
