/* SPDX-License-Identifier: Apache-2.0 */
#include "model/way_status.h"

size_t way_facts(const Facts *facts, ObjectKey gateway, Str tailnet, size_t *ret_end)
{
        size_t from = 0, end;

        while (from < facts->n_serves && !(object_key_eq(facts->serves[from].gateway, gateway) &&
                                           str_eq(facts->serves[from].tailnet, tailnet)))
                from++;
        for (end = from; end < facts->n_serves; end++)
                if (!object_key_eq(facts->serves[end].gateway, gateway) ||
                    !str_eq(facts->serves[end].tailnet, tailnet))
                        break;
        *ret_end = end;
        return from;
}

static const TailnetEntry *entry_of(const GatewaySpec *g, Str name)
{
        for (size_t i = 0; i < g->n_tailnets; i++)
                if (str_eq(g->tailnets[i].name, name))
                        return &g->tailnets[i];
        return NULL;
}

typedef struct Summary {
        size_t n;
        bool is_pending;
        const WayReport *refused; /* the first such, … */
        const ServeFact *fault;   /* … or this, of a port of it; else NULL */
} Summary;

static void sum_facts(Summary *s, const Facts *facts, const WayReport *way)
{
        size_t end, from = way_facts(facts, way->gateway, way->tailnet, &end);

        s->is_pending |= from == end;
        for (size_t i = from; i < end; i++) {
                const ServeFact *f = &facts->serves[i];
                if (strcmp(f->reason, "Pending") == 0) {
                        s->is_pending = true;
                } else if (strcmp(f->reason, "Serving") != 0 && s->refused == NULL) {
                        s->refused = way;
                        s->fault = f;
                }
        }
}

static Summary sum_up(const Report *report, const Facts *facts, const GatewaySpec *g)
{
        Summary s = {0};

        TABLE_FOREACH (WayReport, way, report->ways) {
                const TailnetEntry *e = entry_of(g, way->tailnet);
                if (!object_key_eq(way->gateway, g->meta.key) || e == NULL)
                        continue;
                s.n++;
                if (way->reason.n > 0 && s.refused == NULL)
                        s.refused = way;
                else if (way->reason.n == 0 && e->connectivity.ingress.socket.n > 0)
                        sum_facts(&s, facts, way);
        }
        return s;
}

static void say_fault(const Summary *s, Condition *ret, Buf *text)
{
        buf_printf(text, "tailnet %.*s: ", STR_FMT(s->refused->tailnet));
        if (s->fault != NULL && s->fault->port != 0)
                buf_printf(text, "port %u: ", s->fault->port);
        buf_add_str(text, s->fault != NULL ? str_of(s->fault->text) : s->refused->text);
        ret->status = "False";
        ret->reason = s->fault != NULL ? str_of(s->fault->reason) : s->refused->reason;
        ret->message = buf_str(text);
}

bool way_status(const Report *report, const Facts *facts, const GatewaySpec *g, Condition *ret,
                Buf *text)
{
        Summary s = {0};

        if (report != NULL)
                s = sum_up(report, facts, g);
        if (s.n == 0)
                return false;
        *ret = (Condition){.type = "IngressServing",
                           .status = s.is_pending ? "Unknown" : "True",
                           .reason = s.is_pending ? STR("Pending") : STR("Serving"),
                           .generation = g->meta.generation};
        if (s.refused != NULL)
                say_fault(&s, ret, text);
        return true;
}
