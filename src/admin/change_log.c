/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of one kind have one order, so what joined and what left shows in one walk over both. */
#include "admin/change_log.h"

#include <stdio.h>

enum {
        TEXT_MAX = 256,
        /* Endpoints that are looked through for each one that left; of more only the reason of the
         * list is told. */
        LOOKED_AT_MAX = 2000,
};

typedef struct Teller {
        Log *log;
        uint64_t told, untold;
        Departures *gone; /* of the World */
        Wall at;
} Teller;

static bool may_tell(Teller *t)
{
        if (t->told < CHANGE_LOG_LINES_MAX)
                t->told++;
        else
                t->untold++;
        return t->untold == 0;
}

static void tell_rest(Teller *t, const char *what)
{
        if (t->untold > 0)
                log_info(t->log, "more of the same", LOG_CSTR("what", what),
                         LOG_INT("lines", t->untold));
}

/* ---- the World ---- */

/* What a list that lacks the device was taken for: at once, or once the guard let it through. */
static Str missing_text(const EntryView *old, const EntryView *now, char room[TEXT_MAX])
{
        unsigned polls = old->held.confirmations + (now->poll != old->poll);
        if (old->held.n == 0)
                return STR("the tailnet's list lacks it");
        IGNORE(snprintf(room, TEXT_MAX, "the tailnet's list lacked it for %u poll%s%s", polls,
                        polls == 1 ? "" : "s",
                        now->poll != old->poll ? " in a row" : ", and its removal was approved"),
               "short");
        return str_of(room);
}

/* The device under another name, address or port, or NULL. */
static const Endpoint *instead_of(const EntryView *now, const Endpoint *e)
{
        TABLE_FOREACH (Endpoint, x, e->node_id.n > 0 ? now->endpoints : NULL) {
                if (str_eq(x->node_id, e->node_id))
                        return x;
        }
        return NULL;
}

/* Why an endpoint of the last view is none of this one. */
static Departure departure_of(const EntryView *old, const EntryView *now, const Endpoint *e,
                              char room[TEXT_MAX])
{
        Departure d = {.gateway = now->gateway,
                       .tailnet = now->tailnet,
                       .service = e->service,
                       .address = e->ip,
                       .port = e->port};
        LEFT_OUT_FOREACH (l, now->left_out) {
                if (!str_eq(l->node_id, e->node_id))
                        continue;
                d.reason = l->reason;
                d.text = l->text;
                return d;
        }
        const Endpoint *instead = now->endpoints->n < LOOKED_AT_MAX ? instead_of(now, e) : NULL;
        if (instead == NULL) {
                d.reason = STR("Missing");
                d.text = missing_text(old, now, room);
                return d;
        }
        IGNORE(snprintf(room, TEXT_MAX, "its device is %.*s at %.*s, port %u, now",
                        STR_FMT(instead->service), STR_FMT(instead->ip), (unsigned)instead->port),
               "cut at its size");
        d.reason = STR("Replaced");
        d.text = str_of(room);
        return d;
}

static void tell_joined(Teller *t, const EntryView *v, const Endpoint *e)
{
        if (may_tell(t))
                log_info(t->log, "endpoint joined", LOG_STR("gateway", v->gateway.name),
                         LOG_STR("namespace", v->gateway.namespace), LOG_STR("tailnet", v->tailnet),
                         LOG_STR("service", e->service), LOG_STR("address", e->ip),
                         LOG_INT("port", e->port), LOG_STR("rule", e->rule),
                         LOG_STR("port_source", e->port_source));
}

static void tell_left(Teller *t, const EntryView *old, const EntryView *v, const Endpoint *e)
{
        char room[TEXT_MAX];
        Departure d = departure_of(old, v, e, room);
        d.at = t->at;
        departures_add(t->gone, &d);
        if (may_tell(t))
                log_info(t->log, "endpoint left", LOG_STR("gateway", v->gateway.name),
                         LOG_STR("namespace", v->gateway.namespace), LOG_STR("tailnet", v->tailnet),
                         LOG_STR("service", e->service), LOG_STR("address", e->ip),
                         LOG_INT("port", e->port), LOG_STR("reason", d.reason),
                         LOG_STR("text", d.text));
}

static void tell_endpoints(Teller *t, const EntryView *v, const EntryView *old)
{
        const Table *before = old != NULL ? old->endpoints : NULL;
        size_t n = table_n(before), m = table_n(v->endpoints), i = 0, j = 0;
        while (i < n || j < m) {
                int c = i == n   ? 1
                        : j == m ? -1
                                 : endpoint_order(before->at[i], v->endpoints->at[j]);
                if (c < 0)
                        tell_left(t, old, v, before->at[i]);
                else if (c > 0)
                        tell_joined(t, v, v->endpoints->at[j]);
                i += c <= 0;
                j += c >= 0;
        }
}

void change_log_world(Log *log, const World *before, const World *now, Departures *gone, Wall at)
{
        Teller t = {.log = log, .gone = gone, .at = at};
        TABLE_FOREACH (EntryView, v, now->entries) {
                EntryKey key = {v->gateway, v->tailnet};
                const EntryView *old =
                        before != NULL ? table_find(before->entries, &key, entry_view_find) : NULL;
                const Table *endpoints = old != NULL ? old->endpoints : NULL;
                if (v->known && endpoints != v->endpoints)
                        tell_endpoints(&t, v, old);
        }
        tell_rest(&t, "endpoints");
}

/* ---- the Report ---- */

static const EntryReport *find_entry(const Report *r, ObjectKey gateway, Str tailnet)
{
        TABLE_FOREACH (EntryReport, e, r != NULL ? r->entries : NULL) {
                if (object_key_eq(e->gateway, gateway) && str_eq(e->tailnet, tailnet))
                        return e;
        }
        return NULL;
}

static void tell_route(Teller *t, const RouteReport *r)
{
        if (may_tell(t))
                log_warn(t->log, "not programmed", LOG_STR("gateway", r->gateway.name),
                         LOG_STR("namespace", r->gateway.namespace), LOG_STR("tailnet", r->tailnet),
                         LOG_STR("service", r->service), LOG_STR("host", r->host),
                         LOG_STR("path", r->path), LOG_STR("reason", r->reason),
                         LOG_STR("text", r->text));
}

/* What is wrong with its entry as a whole is said once, of the entry. */
static bool is_of_entry(const Report *now, const RouteReport *r)
{
        const EntryReport *e = find_entry(now, r->gateway, r->tailnet);
        return e != NULL && str_eq(e->reason, r->reason);
}

static void tell_routes(Teller *t, const Report *before, const Report *now)
{
        size_t n = before != NULL ? table_n(before->routes) : 0, i = 0;
        TABLE_FOREACH (RouteReport, r, now->routes) {
                while (i < n && route_report_order(before->routes->at[i], r) < 0)
                        i++;
                const RouteReport *old = i < n ? before->routes->at[i] : NULL;
                if (old != NULL && route_report_order(old, r) != 0)
                        old = NULL;
                bool same = old != NULL && str_eq(old->reason, r->reason);
                if (!r->programmed && !same && !is_of_entry(now, r))
                        tell_route(t, r);
        }
}

static void tell_entry(Log *log, const EntryReport *e, const EntryReport *old)
{
        if (e->reason.n > 0 && (old == NULL || !str_eq(old->reason, e->reason)))
                log_warn(log, "nothing can be programmed", LOG_STR("gateway", e->gateway.name),
                         LOG_STR("namespace", e->gateway.namespace), LOG_STR("tailnet", e->tailnet),
                         LOG_STR("reason", e->reason), LOG_STR("text", e->text));
        else if (e->reason.n == 0 && old != NULL && old->reason.n > 0)
                log_info(log, "can be programmed again", LOG_STR("gateway", e->gateway.name),
                         LOG_STR("namespace", e->gateway.namespace), LOG_STR("tailnet", e->tailnet),
                         LOG_STR("was", old->reason));
}

void change_log_report(Log *log, const Report *before, const Report *now)
{
        Teller t = {.log = log};
        TABLE_FOREACH (EntryReport, e, now->entries)
                tell_entry(log, e, find_entry(before, e->gateway, e->tailnet));
        tell_routes(&t, before, now);
        tell_rest(&t, "hosts and paths");
}
