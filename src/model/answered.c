/* SPDX-License-Identifier: Apache-2.0 */
#include "model/answered.h"

#include <stdio.h>

#include "base/mem.h"
#include "model/observed.h"

Answered answered_make(const AnsweredInput *in)
{
        Answered a = {.in = *in, .routes = in->report != NULL ? in->report->routes : NULL};
        const HookFact *f = NULL;
        const ObjectKey *of = NULL;
        a.gaps = mem_new_array(table_n(a.routes) + 1, sizeof(*a.gaps));
        for (size_t i = 0; i < table_n(a.routes); i++) {
                const RouteReport *r = table_at(a.routes, i);
                if (of == NULL || !object_key_eq(*of, r->eg_gateway))
                        f = facts_find_hook(in->facts, r->eg_gateway);
                of = &r->eg_gateway;
                a.gaps[i] = f != NULL ? answer_gaps_find(f->gaps, r) : NULL;
        }
        return a;
}

void answered_done(Answered *a)
{
        mem_free(a->gaps);
}

static int key_cmp(const EntryKey *key, ObjectKey gateway, Str tailnet)
{
        int c = object_key_cmp(key->gateway, gateway);
        return c != 0 || key->tailnet.n == 0 ? c : str_cmp(key->tailnet, tailnet);
}

static int entry_find(const void *key, const void *leaf)
{
        const EntryReport *e = leaf;
        return key_cmp(key, e->gateway, e->tailnet);
}

/* The first row that is beyond the key (`after`), or that is not before it. */
static size_t bound(const Answered *a, const EntryKey *key, bool after)
{
        size_t from = 0, to = table_n(a->routes);
        while (from < to) {
                size_t mid = from + (to - from) / 2;
                const RouteReport *r = table_at(a->routes, mid);
                int c = key_cmp(key, r->gateway, r->tailnet);
                if (c > 0 || (after && c == 0))
                        from = mid + 1;
                else
                        to = mid;
        }
        return from;
}

size_t answered_rows(const Answered *a, EntryKey key, size_t *ret_end)
{
        *ret_end = bound(a, &key, true);
        return bound(a, &key, false);
}

bool answered_is_served(const AnsweredInput *in, const GatewayReport *g)
{
        const HookFact *f = facts_find_hook(in->facts, g->eg_gateway);
        if (f != NULL && str_eq(str_of(f->served), str_of(g->revision)))
                return true;
        return observed_is_served(observed_at(in->observed, OBSERVED_BINDING, g->eg_gateway),
                                  str_of(g->revision));
}

static void say_pending(const Answered *a, const GatewayReport *g, AnsweredEntry *ret)
{
        const HookFact *f = facts_find_hook(a->in.facts, g->eg_gateway);
        bool has_asked = f != NULL && str_eq(str_of(f->asked), str_of(g->revision));
        ret->programmed = false;
        ret->reason = STR("Pending");
        IGNORE(snprintf(ret->text, sizeof ret->text,
                        has_asked ? "Envoy Gateway asked for revision %s and was given another"
                                  : "Envoy Gateway has not asked for revision %s yet",
                        g->revision),
               "room for any revision");
}

void answered_entry(const Answered *a, EntryKey key, AnsweredEntry *ret)
{
        const Report *report = a->in.report;
        *ret = (AnsweredEntry){0};
        if (report == NULL)
                return;
        ret->report = table_find(report->entries, &key, entry_find);
        if (ret->report == NULL)
                return;
        size_t end, from = answered_rows(a, key, &end);
        for (size_t i = from; i < end; i++)
                ret->missing += a->gaps[i] != NULL && !a->gaps[i]->partly;
        ret->reason = ret->report->reason;
        ret->programmed =
                ret->report->programmed && ret->report->hosts + ret->report->paths > ret->missing;
        if (!ret->report->programmed || from == end)
                return;
        const RouteReport *row = table_at(a->routes, from);
        const GatewayReport *g =
                table_find(report->gateways, &row->eg_gateway, gateway_report_find);
        if (g != NULL && !answered_is_served(&a->in, g))
                say_pending(a, g, ret);
}

Str answered_text(const AnsweredEntry *e)
{
        return e->text[0] != '\0' || e->report == NULL ? str_of(e->text) : e->report->text;
}
