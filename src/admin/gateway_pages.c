/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A condition is of the whole resource, what it follows from is of one entry: the first entry that
 * is not well gives reason and message. `Programmed` is the other way round: one entry of which
 * something is programmed is enough.
 */
#include "admin/gateway_pages.h"

#include "admin/condition.h"

enum {
        MESSAGE_MAX = 8192, /* "tailnet NAME: " and a sentence with names of hosts */
};

static bool is_one_of(Str reason, const char *const *names, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (str_eq(reason, str_of(names[i])))
                        return true;
        }
        return false;
}

static bool is_reference(Str reason)
{
        static const char *const names[] = {"GatewayNotFound", "TailnetNotFound"};
        return is_one_of(reason, names, LENGTH_OF(names));
}

/* Of those that stand for a fault of the resource, or of what it stands beside; what Envoy Gateway
 * has not done yet, or this program cannot do, is none. */
static bool is_refusal(Str reason)
{
        static const char *const names[] = {"IngressNotSupported", "Pending"};
        return reason.n > 0 && !is_reference(reason) && !is_one_of(reason, names, LENGTH_OF(names));
}

/* What the conditions of one TailscaleGateway are made of. */
typedef struct Summary {
        bool is_known; /* there is a report of an entry */
        bool programmed;
        AnsweredEntry refused, unresolved, idle; /* the first such; .report is NULL: none */
        uint64_t conflicts;
        const RouteReport *conflict; /* the first of them, or NULL */
        const AnswerGap *gap;        /* of it; NULL: it is the Report's */
} Summary;

static void note(AnsweredEntry *slot, const AnsweredEntry *e)
{
        if (slot->report == NULL)
                *slot = *e;
}

static void sum_entry(Summary *s, const AnsweredEntry *e)
{
        if (e->report == NULL)
                return;
        s->is_known = true;
        s->programmed |= e->programmed;
        if (is_reference(e->reason))
                note(&s->unresolved, e);
        if (is_refusal(e->reason))
                note(&s->refused, e);
        if (!e->programmed)
                note(&s->idle, e);
}

static void sum_conflicts(const Answered *a, const GatewaySpec *g, Summary *s)
{
        size_t end, from = answered_rows(a, (EntryKey){g->meta.key, {0}}, &end);
        for (size_t i = from; i < end; i++) {
                const RouteReport *r = table_at(a->routes, i);
                const AnswerGap *gap = a->gaps[i];
                Str reason = gap != NULL ? gap_reason_name(gap->reason) : r->reason;
                if (!str_eq(reason, STR("Conflicted")))
                        continue;
                s->conflicts++;
                if (s->conflict != NULL)
                        continue;
                s->conflict = r;
                s->gap = gap;
        }
}

static Summary sum_up(const Answered *a, const GatewaySpec *g)
{
        Summary s = {0};
        for (size_t i = 0; i < g->n_tailnets; i++) {
                AnsweredEntry e;
                answered_entry(a, (EntryKey){g->meta.key, g->tailnets[i].name}, &e);
                sum_entry(&s, &e);
        }
        sum_conflicts(a, g, &s);
        return s;
}

static Str say_entry(const AnsweredEntry *e, Buf *out)
{
        buf_printf(out, "tailnet %.*s: ", STR_FMT(e->report->tailnet));
        buf_add_str(out, answered_text(e));
        return buf_str(out);
}

static Condition good_unless(const Summary *s, const char *type, const char *good,
                             const AnsweredEntry *fault, Buf *text)
{
        if (!s->is_known)
                return (Condition){type, "Unknown", STR("Pending"), {0}};
        if (fault->report == NULL)
                return (Condition){type, "True", str_of(good), {0}};
        return (Condition){type, "False", fault->reason, say_entry(fault, text)};
}

/* Nothing may be selected, or all of it may be others': the entry has no reason of its own then. */
static Condition programmed_of(const Summary *s, Buf *text)
{
        if (!s->is_known)
                return (Condition){"Programmed", "Unknown", STR("Pending"), {0}};
        if (s->programmed)
                return (Condition){"Programmed", "True", STR("Programmed"), {0}};
        if (s->idle.reason.n > 0)
                return (Condition){"Programmed", "False", s->idle.reason,
                                   say_entry(&s->idle, text)};
        return (Condition){"Programmed", "False",
                           s->idle.report == NULL || s->idle.report->selected == 0
                                   ? STR("NothingSelected")
                                   : STR("NothingLeft"),
                           STR("see leftOut of the entries, and routes")};
}

static Condition conflicted_of(const Summary *s, Buf *text)
{
        if (!s->is_known)
                return (Condition){"Conflicted", "Unknown", STR("Pending"), {0}};
        if (s->conflict == NULL)
                return (Condition){"Conflicted", "False", STR("NoConflict"), {0}};
        const RouteReport *r = s->conflict;
        buf_printf(text, "%llu, the first of them %.*s%.*s: ", (unsigned long long)s->conflicts,
                   STR_FMT(r->host), STR_FMT(r->path));
        if (s->gap != NULL)
                gap_text(s->gap, text);
        else
                buf_add_str(text, r->text);
        return (Condition){"Conflicted", "True", STR("Conflicted"), buf_str(text)};
}

static void put_conditions(const Answered *a, const GatewaySpec *g, JsonWriter *w)
{
        const Summary s = sum_up(a, g);
        Buf texts[4];
        for (size_t i = 0; i < LENGTH_OF(texts); i++)
                buf_init(&texts[i], MESSAGE_MAX);
        const Condition all[] = {
                good_unless(&s, "Accepted", "Valid", &s.refused, &texts[0]),
                good_unless(&s, "ResolvedRefs", "ResolvedRefs", &s.unresolved, &texts[1]),
                programmed_of(&s, &texts[2]),
                conflicted_of(&s, &texts[3]),
        };
        conditions_put(w, all, LENGTH_OF(all));
        for (size_t i = 0; i < LENGTH_OF(texts); i++)
                buf_done(&texts[i]);
}

void gateway_pages_state(const Answered *a, JsonWriter *w)
{
        json_key_array_begin(w, STR("tailscaleGateways"));
        TABLE_FOREACH (GatewaySpec, g, a->view->world->gateways) {
                json_object_begin(w);
                json_key_str(w, STR("namespace"), g->meta.key.namespace);
                json_key_str(w, STR("name"), g->meta.key.name);
                put_conditions(a, g, w);
                json_object_end(w);
        }
        json_array_end(w);
}
