/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TailscaleGatewayBindings: one for each Gateway that a TailscaleGateway refers to. Each change
 * of one costs Envoy Gateway a translation: it is made where what we contribute is another, or an
 * answer is owed.
 */
#include "base/digest.h"
#include "control/plan.h"
#include "model/render.h"

#include <stdio.h>

enum {
        BINDING_BYTES_MAX = 64 << 10,
        HASH_BYTES = 8,
};

static const BindingWritten *written_of(const Outside *o, ObjectKey key)
{
        for (size_t i = 0; i < o->n_bindings; i++) {
                if (object_key_eq(o->bindings[i].eg_gateway, key))
                        return &o->bindings[i];
        }
        return NULL;
}

Str plan_binding_file(ObjectKey eg_gateway, char ret[PLAN_FILE_NAME_MAX + 1])
{
        int n = snprintf(ret, PLAN_FILE_NAME_MAX + 1, "%.*s.%.*s.yaml",
                         STR_FMT(eg_gateway.namespace), STR_FMT(eg_gateway.name));
        if (n <= PLAN_FILE_NAME_MAX)
                return str_of(ret);
        Digester *d = digester_new();
        digester_add(d, eg_gateway.namespace);
        digester_add(d, eg_gateway.name);
        Digest digest = digester_finish(d);
        char hex[DIGEST_HEX], end[DIGEST_HEX + sizeof("-.yaml")];
        int n_end = snprintf(end, sizeof end, "-%s.yaml", digest_hex(&digest, HASH_BYTES, hex));
        INSIST(n_end > 0 && n_end < PLAN_FILE_NAME_MAX);
        memcpy(ret + PLAN_FILE_NAME_MAX - n_end, end, (size_t)n_end + 1);
        return str_of(ret);
}

static Str file_name(Arena *a, ObjectKey key)
{
        char name[PLAN_FILE_NAME_MAX + 1];
        return arena_str(a, plan_binding_file(key, name));
}

static void write_binding(Plan *p, ObjectKey key, Str revision, uint64_t attempt)
{
        Buf content;
        buf_init(&content, BINDING_BYTES_MAX);
        render_binding(key, revision, attempt, &content);
        plan_add(p, PLAN_BINDINGS, file_name(&p->arena, key), buf_str(&content), false);
        buf_done(&content);
}

/* The first change goes at once, later ones keep apart. */
static bool may_write(const PlanInput *in, Plan *p, const BindingWritten *w)
{
        if (w == NULL || w->at.ns == 0)
                return true;
        Mono at = mono_add(w->at, SPAN_MS(PLAN_BINDING_APART_MS));
        if (!mono_before(in->now, at))
                return true;
        plan_again(p, at);
        return false;
}

/*
 * Did a call ask for what stood there before we wrote, and none since for what stands there?
 * Envoy Gateway (1.9.0) reads its files and only then watches them: what is written in between it
 * does not see until the next change.
 */
static bool is_missed(const PlanInput *in, Plan *p, const HookFact *fact, const BindingWritten *w)
{
        if (fact == NULL || fact->asked[0] == '\0' || !mono_before(w->at, fact->at))
                return false;
        if (str_eq(str_of(fact->asked), w->revision) && fact->attempt == w->attempt)
                return false;
        Mono due = mono_add(fact->at, SPAN_MS(PLAN_BINDING_MISSED_MS));
        if (!mono_before(in->now, due))
                return true;
        plan_again(p, due);
        return false;
}

/* Of any Gateway, or of one that is not known. */
static Mono last_call(const Facts *facts)
{
        Mono last = {0};
        for (size_t i = 0; i < facts->n_hooks; i++)
                last = mono_before(last, facts->hooks[i].at) ? facts->hooks[i].at : last;
        return last;
}

/*
 * Has nobody called for this Gateway yet, but for others since we wrote? A call is for all Gateways
 * that are merged, yet tells nothing of one whose first Binding was missed as above and that has no
 * route of its own.
 */
static bool is_unheard(const PlanInput *in, Plan *p, const HookFact *fact, const BindingWritten *w)
{
        Mono last = last_call(in->facts);
        if (fact != NULL || w->at.ns == 0 || !mono_before(w->at, last) ||
            w->attempt >= PLAN_BINDING_UNHEARD_MAX)
                return false;
        Mono due = mono_add(last, SPAN_MS(PLAN_BINDING_MISSED_MS));
        if (!mono_before(in->now, due))
                return true;
        plan_again(p, due);
        return false;
}

/*
 * Was a call not answered as it asked, with no later attempt written since? A call that did not
 * tell its Gateway may have been anybody's: each Binding that this process has not written yet is
 * raised once for it.
 */
static bool owes_attempt(const Facts *facts, const HookFact *fact, const BindingWritten *w)
{
        if (fact != NULL && fact->owes_attempt && w->attempt <= fact->attempt)
                return true;
        const HookFact *unknown = facts_find_hook(facts, (ObjectKey){0});
        return unknown != NULL && unknown->owes_attempt && w->at.ns == 0;
}

static void plan_wanted(const PlanInput *in, Plan *p, const GatewayReport *g)
{
        const BindingWritten *w = written_of(in->outside, g->eg_gateway);
        const HookFact *fact = facts_find_hook(in->facts, g->eg_gateway);
        Str revision = str_of(g->revision);
        bool is_new = w == NULL || !str_eq(w->revision, revision);
        bool is_owed = !is_new && (owes_attempt(in->facts, fact, w) || is_missed(in, p, fact, w) ||
                                   is_unheard(in, p, fact, w));
        if ((!is_new && !is_owed) || !may_write(in, p, w))
                return;
        uint64_t attempt = w != NULL ? w->attempt : 0;
        write_binding(p, g->eg_gateway, revision, attempt + (is_owed ? 1 : 0));
}

/* Nobody refers to it any more: it names the empty contribution until that has been answered, or
 * until the Gateway is gone, too. */
static void plan_unwanted(const PlanInput *in, Plan *p, const BindingWritten *w)
{
        const HookFact *fact = facts_find_hook(in->facts, w->eg_gateway);
        bool is_gone = table_find(in->world->eg_gateways, &w->eg_gateway, eg_gateway_find) == NULL;
        bool is_empty = str_eq(w->revision, STR(PLAN_REVISION_EMPTY));
        bool is_served = is_empty && fact != NULL &&
                         str_eq(str_of(fact->asked), STR(PLAN_REVISION_EMPTY)) &&
                         fact->error[0] == '\0';
        /* Written by the process before this one: whether it was answered, nobody knows. */
        bool is_repeated = is_empty && (w->at.ns == 0 || is_missed(in, p, fact, w));
        if (is_gone || is_served)
                plan_add(p, PLAN_BINDINGS, file_name(&p->arena, w->eg_gateway), (Str){0}, true);
        else if ((!is_empty || is_repeated) && may_write(in, p, w))
                write_binding(p, w->eg_gateway, STR(PLAN_REVISION_EMPTY),
                              w->attempt + (is_repeated ? 1 : 0));
}

void plan_bindings(const PlanInput *in, Plan *p)
{
        TABLE_FOREACH (GatewayReport, g, in->report->gateways)
                plan_wanted(in, p, g);
        for (size_t i = 0; i < in->outside->n_bindings; i++) {
                const BindingWritten *w = &in->outside->bindings[i];
                if (table_find(in->report->gateways, &w->eg_gateway, gateway_report_find) == NULL)
                        plan_unwanted(in, p, w);
        }
}
