/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A condition is of the whole resource, what it follows from is of one entry: the first entry that
 * is not well gives reason and message. `Programmed` is the other way round: one entry of which
 * something is programmed is enough.
 */
#include "model/gateway_status.h"

#include "model/made_route.h"

#include "model/tailnet_spec.h"
#include "model/way_status.h"

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
        static const char *const names[] = {
                "GatewayNotFound", "TailnetNotFound", "RefNotPermitted", "CASecretNotFound",
                "BadCASecret",     "SecretDenied",    "FailoverNotFound"};
        return is_one_of(reason, names, LENGTH_OF(names));
}

/* Of those that stand for a fault of the resource, or of what it stands beside; what Envoy Gateway
 * has not done yet is none. */
static bool is_refusal(Str reason)
{
        return reason.n > 0 && !is_reference(reason) && !str_eq(reason, STR("Pending"));
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
                return (Condition){.type = type, .status = "Unknown", .reason = STR("Pending")};
        if (fault->report == NULL)
                return (Condition){.type = type, .status = "True", .reason = str_of(good)};
        return (Condition){.type = type,
                           .status = "False",
                           .reason = fault->reason,
                           .message = say_entry(fault, text)};
}

/* Nothing may be selected, or all of it may be others': the entry has no reason of its own then. */
static Condition programmed_of(const Summary *s, Buf *text)
{
        Condition c = {.type = "Programmed", .status = "False"};
        if (!s->is_known) {
                c.status = "Unknown";
                c.reason = STR("Pending");
        } else if (s->programmed) {
                c.status = "True";
                c.reason = STR("Programmed");
        } else if (s->idle.reason.n > 0) {
                c.reason = s->idle.reason;
                c.message = say_entry(&s->idle, text);
        } else {
                bool is_empty = s->idle.report == NULL || s->idle.report->selected == 0;
                c.reason = is_empty ? STR("NothingSelected") : STR("NothingLeft");
                c.message = STR("see leftOut of the entries, and routes");
        }
        return c;
}

static Condition conflicted_of(const Summary *s, Buf *text)
{
        Condition c = {.type = "Conflicted", .status = "Unknown", .reason = STR("Pending")};
        if (!s->is_known)
                return c;
        c.status = s->conflict != NULL ? "True" : "False";
        c.reason = s->conflict != NULL ? STR("Conflicted") : STR("NoConflict");
        if (s->conflict == NULL)
                return c;
        const RouteReport *r = s->conflict;
        buf_printf(text, "%llu, the first of them %.*s%.*s: ", (unsigned long long)s->conflicts,
                   STR_FMT(r->host), STR_FMT(r->path));
        if (s->gap != NULL)
                gap_text(s->gap, text);
        else
                buf_add_str(text, r->text);
        c.message = buf_str(text);
        return c;
}

/* Also where what is programmed does not need it: endpoints stay, and proxies may be the entry's.
 */
static void tell_missing_tailnet(const World *w, const GatewaySpec *g, Condition *c, Buf *text)
{
        for (size_t i = 0; i < g->n_tailnets; i++) {
                const TailnetEntry *e = &g->tailnets[i];
                ObjectKey key = {g->meta.key.namespace, e->tailnet_name};
                if (table_find(w->tailnets, &key, tailnet_spec_find) != NULL)
                        continue;
                buf_printf(text, "tailnet %.*s: there is no TailscaleTailnet %.*s/%.*s",
                           STR_FMT(e->name), STR_FMT(key.namespace), STR_FMT(key.name));
                c->status = "False";
                c->reason = STR("TailnetNotFound");
                c->message = buf_str(text);
                return;
        }
}

void gateway_status_init(GatewayStatus *s, const Answered *a, const GatewaySpec *g)
{
        const Summary sum = sum_up(a, g);
        *s = (GatewayStatus){.spec = g, .answered = a, .n_conditions = GATEWAY_CONDITIONS};
        for (size_t i = 0; i < GATEWAY_CONDITIONS_MAX; i++)
                buf_init(&s->texts[i], MESSAGE_MAX);
        s->conditions[0] = good_unless(&sum, "Accepted", "Valid", &sum.refused, &s->texts[0]);
        s->conditions[1] =
                good_unless(&sum, "ResolvedRefs", "ResolvedRefs", &sum.unresolved, &s->texts[1]);
        if (sum.is_known && sum.unresolved.report == NULL)
                tell_missing_tailnet(a->in.world, g, &s->conditions[1], &s->texts[1]);
        s->conditions[2] = programmed_of(&sum, &s->texts[2]);
        s->conditions[3] = conflicted_of(&sum, &s->texts[3]);
        for (size_t i = 0; i < GATEWAY_CONDITIONS; i++)
                s->conditions[i].generation = g->meta.generation;
        if (way_status(a->in.report, a->in.facts, g, &s->conditions[s->n_conditions],
                       &s->texts[s->n_conditions]))
                s->n_conditions++;
}

void gateway_status_done(GatewayStatus *s)
{
        for (size_t i = 0; i < GATEWAY_CONDITIONS_MAX; i++)
                buf_done(&s->texts[i]);
}

void gateway_status_extension(GatewayStatus *s, const ExtensionWish *wish, const Policy *policy)
{
        Condition *accepted = &s->conditions[0];
        Err ignored = {0};
        if (strcmp(accepted->status, "True") != 0 ||
            !extension_wish_ignores(wish, s->spec, policy, &ignored))
                return;
        buf_add_str(&s->texts[0], str_of(ignored.text));
        accepted->reason = STR("ExtensionServerIgnored");
        accepted->message = buf_str(&s->texts[0]);
}

/* ---- routes of ingress ---- */

typedef struct RouteSums {
        size_t absent;                        /* not written, or nobody has spoken about it yet */
        const Observed *refused, *unresolved; /* the first such */
        const RouteReport *absent_row;
} RouteSums;

static bool is_false(const Observed *o, Str type)
{
        const ConditionSeen *c = observed_condition(o, type);
        return c != NULL && str_eq(c->status, STR("False"));
}

static void sum_route(RouteSums *sums, const RouteReport *r, const Table *observed)
{
        char name[MADE_ROUTE_NAME_MAX + 1];
        ObjectKey key = {r->gateway.namespace, made_route_name(r, name)};
        ObservedKind kind = made_route_kind(r->backend->kind);
        const Observed *o = kind != OBSERVED_KINDS ? observed_at(observed, kind, key) : NULL;
        if (o == NULL || o->n_conditions == 0) {
                sums->absent++;
                sums->absent_row = sums->absent_row != NULL ? sums->absent_row : r;
        }
        if (sums->refused == NULL && is_false(o, STR("Accepted")))
                sums->refused = o;
        if (sums->unresolved == NULL && is_false(o, STR("ResolvedRefs")))
                sums->unresolved = o;
}

static void say_route(GatewayStatus *s, size_t i, const Observed *o)
{
        Condition *c = &s->conditions[i];
        const ConditionSeen *seen = observed_condition(o, str_of(c->type));
        if (strcmp(c->status, "True") != 0)
                return;
        buf_reset(&s->texts[i]);
        buf_printf(&s->texts[i], "%s %.*s: %.*s: %.*s", made_route_kind_name(o->kind),
                   STR_FMT(o->key.name), STR_FMT(seen->reason), STR_FMT(seen->message));
        c->status = "False";
        c->reason = seen->reason;
        c->message = buf_str(&s->texts[i]);
}

void gateway_status_routes(GatewayStatus *s, const Table *observed)
{
        RouteSums sums = {0};
        size_t end, from = answered_rows(s->answered, (EntryKey){s->spec->meta.key, {0}}, &end);
        size_t programmed = 0;
        for (size_t i = from; i < end; i++) {
                const RouteReport *r = table_at(s->answered->routes, i);
                programmed += r->programmed && s->answered->gaps[i] == NULL;
                if (r->programmed && r->backend != NULL)
                        sum_route(&sums, r, observed);
        }
        if (sums.refused != NULL)
                say_route(s, 0, sums.refused);
        if (sums.unresolved != NULL)
                say_route(s, 1, sums.unresolved);
        Condition *c = &s->conditions[2];
        if (sums.absent_row == NULL || sums.absent < programmed || strcmp(c->status, "True") != 0)
                return;
        buf_reset(&s->texts[2]);
        buf_printf(&s->texts[2], "Envoy Gateway has not taken up the %.*s for %.*s yet",
                   STR_FMT(sums.absent_row->backend->kind), STR_FMT(sums.absent_row->host));
        c->status = "False";
        c->reason = STR("Pending");
        c->message = buf_str(&s->texts[2]);
}

/* ---- as it is applied ---- */

static void put_entries(DocWriter *d, const GatewayStatus *s)
{
        doc_list(d, STR("tailnets"), s->spec->n_tailnets);
        for (size_t i = 0; i < s->spec->n_tailnets; i++) {
                AnsweredEntry e;
                Str name = s->spec->tailnets[i].name;
                answered_entry(s->answered, (EntryKey){s->spec->meta.key, name}, &e);
                doc_item(d);
                doc_str(d, STR("name"), name);
                if (e.report != NULL) {
                        doc_u64(d, STR("selected"), e.report->selected);
                        doc_u64(d, STR("excluded"), e.report->excluded);
                        doc_u64(d, STR("hosts"), e.report->hosts);
                        doc_u64(d, STR("paths"), e.report->paths);
                        doc_u64(d, STR("ports"), e.report->ports);
                        doc_u64(d, STR("conflicts"), e.report->conflicts);
                }
                doc_item_end(d);
        }
        doc_list_end(d);
}

static bool is_conflict(const Answered *a, size_t i)
{
        const RouteReport *r = table_at(a->routes, i);
        const AnswerGap *gap = a->gaps[i];
        Str reason = gap != NULL ? gap_reason_name(gap->reason) : r->reason;
        return str_eq(reason, STR("Conflicted"));
}

static void put_conflict(DocWriter *d, const Answered *a, size_t i)
{
        const RouteReport *r = table_at(a->routes, i);
        CLEANUP(buf_done) Buf text;
        buf_init(&text, MESSAGE_MAX);
        if (a->gaps[i] != NULL)
                gap_text(a->gaps[i], &text);
        doc_item(d);
        doc_str(d, STR("tailnet"), r->tailnet);
        doc_str(d, STR("service"), r->service);
        doc_optional_str(d, STR("host"), r->host);
        doc_optional_str(d, STR("path"), r->path);
        if (r->listener_port > 0)
                doc_u64(d, STR("listenerPort"), r->listener_port);
        doc_str(d, STR("reason"), STR("Conflicted"));
        doc_str(d, STR("message"), a->gaps[i] != NULL ? buf_str(&text) : r->text);
        doc_item_end(d);
}

static void put_conflicts(DocWriter *d, const GatewayStatus *s)
{
        size_t end, from = answered_rows(s->answered, (EntryKey){s->spec->meta.key, {0}}, &end);
        size_t n = 0;
        for (size_t i = from; i < end && n < GATEWAY_CONFLICTS_SHOWN; i++) {
                if (!is_conflict(s->answered, i))
                        continue;
                if (n++ == 0)
                        doc_list(d, STR("conflicts"), 1);
                put_conflict(d, s->answered, i);
        }
        if (n > 0)
                doc_list_end(d);
}

void gateway_status_doc(DocWriter *d, const GatewayStatus *s, const ConditionPast *past)
{
        doc_object(d, STR("status"));
        if (s->spec->meta.generation > 0)
                doc_u64(d, STR("observedGeneration"), (uint64_t)s->spec->meta.generation);
        conditions_doc(d, s->conditions, s->n_conditions, past);
        put_entries(d, s);
        put_conflicts(d, s);
        doc_object_end(d);
}
