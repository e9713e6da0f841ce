/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TailscaleGatewayBindings at an API server. The operator names the revision, replicas raise the
 * attempt and say what they served, each with a field manager of its own, so that nobody takes
 * away what another said. Each change of the spec costs Envoy Gateway a translation; annotations
 * cost it nothing.
 */
#include "base/digest.h"
#include "control/object_body.h"
#include "model/label_value.h"
#include "model/render.h"

#include <stdio.h>

enum {
        MANAGER_MAX = sizeof(OBSERVED_MANAGER_REPLICA) + LABEL_VALUE_MAX + 1,
};

static const BindingWritten *written_of(const PlanInput *in, ObjectKey key)
{
        static const BindingWritten nothing = {0};
        for (size_t i = 0; i < in->outside->n_bindings; i++) {
                if (object_key_eq(in->outside->bindings[i].eg_gateway, key))
                        return &in->outside->bindings[i];
        }
        return &nothing;
}

/* The first change goes at once, later ones keep apart. `last` 0: there was none. */
static bool is_apart(const PlanInput *in, Plan *p, Mono last)
{
        Mono at = mono_add(last, SPAN_MS(PLAN_BINDING_APART_MS));
        if (last.ns == 0 || !mono_before(in->now, at))
                return true;
        plan_again(p, at);
        return false;
}

/* ---- the operator's part ---- */

static void name_revision(const PlanInput *in, Plan *p, ObjectKey key, const Observed *o,
                          Str revision)
{
        CLEANUP(buf_done) Buf body;
        buf_init(&body, OBJECT_BODY_MAX);
        render_binding_apply(key, revision, o != NULL ? o->attempt : 0, &body);
        Digest expected = object_body_digest(buf_str(&body), false);
        if (o != NULL && digest_eq(&o->own, &expected))
                return;
        if (!is_apart(in, p, written_of(in, key)->at))
                return;
        buf_reset(&body);
        render_binding_apply(key, revision, 0, &body);
        IGNORE(plan_add_object(p,
                               &(PlanObject){
                                       .verb = PLAN_APPLY,
                                       .role = PLAN_OPERATOR,
                                       .kind = OBSERVED_BINDING,
                                       .key = key,
                                       .manager = STR(OBSERVED_MANAGER),
                                       .body = buf_str(&body),
                                       .expected = expected,
                                       .eg_gateway = key,
                                       .moves_revision = true,
                               }),
               "no event follows it");
}

static void remove_binding(Plan *p, const Observed *o)
{
        IGNORE(plan_add_object(p,
                               &(PlanObject){
                                       .verb = PLAN_DELETE,
                                       .role = PLAN_OPERATOR,
                                       .kind = OBSERVED_BINDING,
                                       .key = o->key,
                                       .uid = o->uid,
                               }),
               "no event follows it");
}

/* Nobody refers to it any more, or nobody whom it admits: it names the empty contribution, in the
 * word `empty`, until somebody has served that, or nobody seems to ask, or the Gateway is gone,
 * too.
 */
static void plan_unwanted(const PlanInput *in, Plan *p, const Observed *o, Str empty)
{
        bool is_gone = table_find(in->world->eg_gateways, &o->key, eg_gateway_find) == NULL;
        bool is_empty = str_eq(o->revision, empty);
        Mono due = mono_add(written_of(in, o->key)->since, SPAN_S(PLAN_BINDING_UNANSWERED_S));
        if (is_gone || (is_empty && observed_is_served(o, empty))) {
                remove_binding(p, o);
        } else if (!is_empty) {
                name_revision(in, p, o->key, o, empty);
        } else if (!mono_before(in->now, due)) {
                remove_binding(p, o);
        } else {
                plan_again(p, due);
        }
}

/* As that replica, with its field manager. An empty revision takes away what it said. */
static void say_served(Plan *p, const Observed *o, Str replica, Str revision, PlanRole role)
{
        char manager[MANAGER_MAX];
        CLEANUP(buf_done) Buf body;
        buf_init(&body, OBJECT_BODY_MAX);
        render_binding_served(o->key, o->uid, replica, revision, &body);
        IGNORE(snprintf(manager, sizeof manager, OBSERVED_MANAGER_REPLICA "-%.*s",
                        STR_FMT(replica)),
               "room for any label value");
        IGNORE(plan_add_object(p,
                               &(PlanObject){
                                       .verb = PLAN_APPLY,
                                       .role = role,
                                       .kind = OBSERVED_BINDING,
                                       .key = o->key,
                                       .manager = str_of(manager),
                                       .body = buf_str(&body),
                                       .expected = digest_of(buf_str(&body)),
                               }),
               "no event follows it");
}

/* Is what stands there since `at` of no more use at `kept` later? Else the plan is made again. */
static bool is_old(const PlanInput *in, Plan *p, Wall at, int64_t kept_s)
{
        int64_t due = at.ms + kept_s * 1000;
        if (at.ms == 0)
                return false;
        if (in->wall.ms >= due)
                return true;
        plan_again(p, mono_add(in->now, SPAN_MS(due - in->wall.ms)));
        return false;
}

/* What replicas that are gone said. Where it is not known when it was written, it stays. */
static void prune(const PlanInput *in, Plan *p, const Observed *o)
{
        bool is_served = observed_is_served(o, o->revision);
        size_t left = o->n_served;
        for (size_t i = 0; i < o->n_served; i++) {
                const ServedSeen *s = &o->served[i];
                bool is_past = is_served && !str_eq(s->revision, o->revision) &&
                               is_old(in, p, s->at, PLAN_SERVED_KEPT_S);
                bool is_many = left > PLAN_SERVED_MAX && is_old(in, p, s->at, PLAN_SERVED_OLD_S);
                if (!is_past && !is_many)
                        continue;
                say_served(p, o, s->replica, (Str){0}, PLAN_OPERATOR);
                left--;
        }
}

/* Beside other people's Gateways, which admit none of ours, there is no Binding to be seen. */
static void plan_operator(const PlanInput *in, Plan *p)
{
        TABLE_FOREACH (GatewayReport, g, in->report->gateways) {
                const Observed *o = observed_at(in->observed, OBSERVED_BINDING, g->eg_gateway);
                if (!g->found || g->refused || (o != NULL && o->deleting))
                        continue;
                name_revision(in, p, g->eg_gateway, o, str_of(g->revision));
                if (o != NULL)
                        prune(in, p, o);
        }
        TABLE_FOREACH (Observed, o, in->observed) {
                if (o->kind != OBSERVED_BINDING || !o->ours || o->deleting)
                        continue;
                const GatewayReport *g =
                        table_find(in->report->gateways, &o->key, gateway_report_find);
                bool is_wanted = g != NULL && g->found && !g->refused;
                if (is_wanted || ((g == NULL || g->refused) && object_may_be_wanted(in, o->key)))
                        continue;
                bool is_refused = g != NULL && g->found;
                plan_unwanted(in, p, o,
                              is_refused ? str_of(g->revision) : STR(PLAN_REVISION_EMPTY));
        }
}

/* ---- a replica's part ---- */

static bool is_asked(const HookFact *f, Str revision)
{
        return f != NULL && str_eq(str_of(f->asked), revision);
}

/* What this process answered last, in the words of the Binding; empty: nothing that counts. */
static Str served_of(const HookFact *f)
{
        if (f == NULL)
                return (Str){0};
        if (!is_asked(f, STR(PLAN_REVISION_EMPTY)))
                return str_of(f->served);
        bool is_empty = f->error[0] == '\0' && f->hosts == 0 && f->paths == 0;
        return is_empty ? STR(PLAN_REVISION_EMPTY) : (Str){0};
}

/* Would a further call be answered as it asks, or at all? */
static bool can_answer(const PlanInput *in, const Observed *o, const HookFact *f)
{
        const GatewayReport *g = table_find(in->report->gateways, &o->key, gateway_report_find);
        if (f != NULL && f->error[0] != '\0')
                return true;
        return g != NULL ? str_eq(str_of(g->revision), o->revision)
                         : str_eq(o->revision, STR(PLAN_REVISION_EMPTY));
}

/*
 * Was a call not answered as it asked, with no later attempt written since? What asks for another
 * revision than stands there is behind: Envoy Gateway is about to ask again by itself. A call that
 * did not tell its Gateway may have been anybody's: each Binding is raised once for it.
 */
static bool owes_attempt(const PlanInput *in, const Observed *o, const HookFact *f)
{
        const HookFact *unknown = facts_find_hook(in->facts, (ObjectKey){0});
        if (is_asked(f, o->revision) && f->owes_attempt && o->attempt <= f->attempt)
                return !str_eq(served_of(f), o->revision) && can_answer(in, o, f);
        return unknown != NULL && unknown->owes_attempt &&
               written_of(in, o->key)->attempt_at.ns == 0;
}

static bool is_said_by_any(const Observed *o)
{
        for (size_t i = 0; i < o->n_served; i++) {
                if (str_eq(o->served[i].revision, o->revision))
                        return true;
        }
        return false;
}

/*
 * Has nobody said for long that what stands there was served? Whoever answered Envoy Gateway
 * otherwise may be gone, and what it owed with it. Each replica raises the attempt once for a
 * revision, at a moment of its own, so that as a rule one does.
 */
static bool is_forgotten(const PlanInput *in, Plan *p, const Observed *o, const HookFact *f)
{
        const BindingWritten *w = written_of(in, o->key);
        if (w->since.ns == 0 || is_said_by_any(o) || !can_answer(in, o, f) ||
            (w->attempt_at.ns != 0 && !mono_before(w->attempt_at, w->since)))
                return false;
        Digest own = digest_of(in->replica);
        Mono due = mono_add(w->since, SPAN_MS(PLAN_BINDING_FORGOTTEN_MS +
                                              own.b[0] * PLAN_BINDING_FORGOTTEN_MS / 256));
        if (!mono_before(in->now, due))
                return true;
        plan_again(p, due);
        return false;
}

static void raise_attempt(const PlanInput *in, Plan *p, const Observed *o)
{
        if (!is_apart(in, p, written_of(in, o->key)->attempt_at))
                return;
        CLEANUP(buf_done) Buf body;
        buf_init(&body, OBJECT_BODY_MAX);
        render_binding_attempt(o->key, o->uid, o->attempt + 1, &body);
        IGNORE(plan_add_object(p,
                               &(PlanObject){
                                       .verb = PLAN_APPLY,
                                       .role = PLAN_REPLICA,
                                       .kind = OBSERVED_BINDING,
                                       .key = o->key,
                                       .manager = STR(OBSERVED_MANAGER_REPLICA),
                                       .body = buf_str(&body),
                                       .expected = digest_of(buf_str(&body)),
                                       .raises_attempt = true,
                               }),
               "no event follows it");
}

static bool has_said(const Observed *o, Str replica, Str revision)
{
        for (size_t i = 0; i < o->n_served; i++) {
                if (str_eq(o->served[i].replica, replica))
                        return str_eq(o->served[i].revision, revision);
        }
        return false;
}

static void plan_replica(const PlanInput *in, Plan *p)
{
        char buf[LABEL_VALUE_MAX + 1];
        Str replica = label_value(in->replica, buf);
        TABLE_FOREACH (Observed, o, in->observed) {
                if (o->kind != OBSERVED_BINDING || o->deleting)
                        continue;
                const HookFact *f = facts_find_hook(in->facts, o->key);
                Str served = served_of(f);
                if (owes_attempt(in, o, f) || is_forgotten(in, p, o, f))
                        raise_attempt(in, p, o);
                if (replica.n > 0 && served.n > 0 && str_eq(served, o->revision) &&
                    !has_said(o, replica, served))
                        say_served(p, o, replica, served, PLAN_REPLICA);
        }
}

void plan_binding_objects(const PlanInput *in, Plan *p)
{
        if ((in->roles & PLAN_OPERATOR) != 0)
                plan_operator(in, p);
        if ((in->roles & PLAN_REPLICA) != 0)
                plan_replica(in, p);
}
