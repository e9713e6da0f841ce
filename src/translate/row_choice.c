/* SPDX-License-Identifier: Apache-2.0 */
#include "translate/row_choice.h"

#include "translate/claims.h"
#include "translate/hostname.h"

enum {
        HOST_FITS = 1 << 20, /* above any length of a path */
        RANK_EXACT = 2 * HOSTNAME_MAX,
};

static const EgGateway *gateway_of(const World *w, const RouteReport *row)
{
        return table_find(w->eg_gateways, &row->eg_gateway, eg_gateway_find);
}

const EgListener *row_choice_listener(const World *w, const RouteReport *row)
{
        const EgGateway *g = gateway_of(w, row);
        for (size_t i = 0; g != NULL && i < g->n_listeners; i++) {
                if (str_eq(g->listeners[i].name, row->listener))
                        return &g->listeners[i];
        }
        return NULL;
}

static Str catch_all_of(const EgListener *l)
{
        return l->hostname.n > 0 ? l->hostname : STR("*");
}

/* How narrowly a domain holds the host; 0: not at all. */
static size_t rank_of(Str domain, Str host)
{
        if (str_eq(domain, STR("*")))
                return 1;
        if (str_starts(domain, STR("*.")))
                return hostname_within(domain, host) ? domain.n : 0;
        return str_eq_fold(domain, host) ? RANK_EXACT : 0;
}

static void consider(RowDomain *best, size_t *rank, const RowDomain *one, Str host)
{
        size_t is = rank_of(one->name, host);
        if (is <= *rank)
                return;
        *rank = is;
        *best = *one;
}

static bool is_attached(const EgRoute *route, ObjectKey gateway, const EgListener *l)
{
        for (size_t i = 0; i < route->n_parents; i++) {
                const EgParent *p = &route->parents[i];
                if (object_key_eq(p->gateway, gateway) &&
                    (p->section_name.n == 0 || str_eq(p->section_name, l->name)) &&
                    (p->port == 0 || p->port == l->port))
                        return true;
        }
        return false;
}

/* What a route's hostname is on a listener with one; empty: nothing. */
static Str intersect(Str listener, Str hostname)
{
        if (listener.n == 0 || hostname_within(listener, hostname))
                return hostname;
        return hostname_names(hostname, listener) ? listener : (Str){0};
}

/* Hosts of routes that are not ours, on one listener. */
static void consider_routes(const RowRequest *q, ObjectKey gateway, const EgListener *l,
                            RowDomain *best, size_t *rank)
{
        TABLE_FOREACH (EgRoute, route, q->world->eg_routes) {
                if (!is_attached(route, gateway, l))
                        continue;
                for (size_t i = 0; i < route->hostnames.n; i++) {
                        RowDomain one = {.name = intersect(l->hostname, route->hostnames.at[i]),
                                         .route = route};
                        consider(best, rank, &one, q->host);
                }
        }
}

/* The virtual host on the listener of a row. */
static RowDomain domain_on(const RowRequest *q, const RouteReport *row)
{
        const EgGateway *g = gateway_of(q->world, row);
        const EgListener *l = row_choice_listener(q->world, row);
        RowDomain best = {0};
        size_t rank = 0;
        if (l != NULL && q->host.n == 0)
                return (RowDomain){.name = catch_all_of(l)};
        for (size_t i = 0; l != NULL && i < g->n_listeners; i++) {
                const EgListener *m = &g->listeners[i];
                if (!claims_share_routes(l, m))
                        continue;
                RowDomain rest = {.name = catch_all_of(m)};
                consider_routes(q, row->eg_gateway, m, &best, &rank);
                consider(&best, &rank, &rest, q->host);
        }
        return best;
}

bool row_choice_is_of_port(Str scheme)
{
        return str_eq_fold(scheme, STR("tcp")) || str_eq_fold(scheme, STR("udp"));
}

static bool is_port(const RowRequest *q, const RouteReport *row)
{
        return row->listener_port > 0 && row->listener_port == q->port &&
               (row->protocol == PROTOCOL_UDP) == str_eq_fold(q->scheme, STR("udp"));
}

static bool is_host(const RouteReport *row, Str host)
{
        return row->path.n == 0 && row->host.n > 0 && str_eq_fold(row->host, host);
}

/* Is it a host that we generate, on the same listener? */
static void claim_domain(const RowRequest *q, const RouteReport *row, RowDomain *domain)
{
        TABLE_FOREACH (RouteReport, r, q->report->routes) {
                if (r->programmed && is_host(r, q->host) &&
                    object_key_eq(r->eg_gateway, row->eg_gateway) &&
                    str_eq(r->listener, row->listener))
                        *domain = (RowDomain){.name = r->host, .is_ours = true};
        }
}

bool row_choice_is_in(const RouteReport *row, const RowDomain *domain)
{
        if (domain->is_ours)
                return false;
        return row->catch_all ? str_eq_fold(row->host, domain->name)
                              : hostname_names(row->host, domain->name);
}

bool row_choice_meets(const AnswerGap *gap, const RowDomain *domain, Str host)
{
        size_t rank = rank_of(gap->where, host);
        return !gap->partly || (rank > 0 && rank >= rank_of(domain->name, host));
}

/* Was it left out of the last answer, there? */
static bool is_left_out(const RowRequest *q, const RouteReport *row, const RowDomain *domain)
{
        const HookFact *h = q->facts != NULL ? facts_find_hook(q->facts, row->eg_gateway) : NULL;
        for (size_t i = 0; h != NULL && h->gaps != NULL && i < h->gaps->n; i++) {
                const AnswerGap *gap = &h->gaps->at[i];
                if (gap_covers(gap, row) && row_choice_meets(gap, domain, q->host))
                        return true;
        }
        return false;
}

bool row_choice_is_under(Str path, Str prefix)
{
        return str_starts(path, prefix) || str_eq(path, str_sub(prefix, 0, prefix.n - 1));
}

/* The domain is that of the last listener that was asked for: rows of one stand together mostly. */
typedef struct DomainMemo {
        const RouteReport *row; /* NULL: none yet */
        RowDomain domain;
} DomainMemo;

static const RowDomain *domain_of(const RowRequest *q, DomainMemo *memo, const RouteReport *row)
{
        const RouteReport *last = memo->row;
        if (last != NULL && object_key_eq(last->eg_gateway, row->eg_gateway) &&
            str_eq(last->listener, row->listener))
                return &memo->domain;
        memo->row = row;
        memo->domain = domain_on(q, row);
        claim_domain(q, row, &memo->domain);
        return &memo->domain;
}

static bool fits_scheme(const RowRequest *q, const RouteReport *row)
{
        const EgListener *l = row_choice_listener(q->world, row);
        return l != NULL && q->scheme.n > 0 &&
               str_eq_fold(q->scheme, STR("https")) == (l->protocol == PROTOCOL_HTTPS);
}

/* How well a row that is programmed takes the request; 0: not at all. */
static uint64_t takes(const RowRequest *q, DomainMemo *memo, const RouteReport *row)
{
        uint64_t fits = 0;
        if (!row->programmed)
                return 0;
        if (row_choice_is_of_port(q->scheme))
                fits = is_port(q, row);
        else if (is_host(row, q->host))
                fits = HOST_FITS;
        else if (row->path.n > 0 && row_choice_is_under(q->path, row->path) &&
                 row_choice_is_in(row, domain_of(q, memo, row)))
                fits = row->path.n;
        if (fits == 0 || is_left_out(q, row, domain_of(q, memo, row)))
                return 0;
        return fits * 2 + fits_scheme(q, row);
}

/* How near a row is that does not take it: hosts before paths, longer paths before shorter. */
static uint64_t nears(const RowRequest *q, const RouteReport *row)
{
        uint64_t fits = 0;
        if (row_choice_is_of_port(q->scheme))
                fits = is_port(q, row);
        else if (is_host(row, q->host))
                fits = HOST_FITS;
        else if (row->path.n > 0 && row_choice_is_under(q->path, row->path) &&
                 (str_eq(row->host, STR("*")) || hostname_names(row->host, q->host)))
                fits = row->path.n;
        return fits > 0 ? fits * 2 + (row->programmed ? 1 : 0) : 0;
}

RowChoice row_choose(const RowRequest *q)
{
        RowChoice c = {0};
        DomainMemo memo = {0};
        uint64_t most = 0;
        TABLE_FOREACH (RouteReport, row, q->report->routes) {
                uint64_t fits = takes(q, &memo, row);
                if (fits <= most)
                        continue;
                most = fits;
                c = (RowChoice){.row = row, .is_taken = true, .domain = *domain_of(q, &memo, row)};
        }
        if (c.is_taken)
                return c;
        TABLE_FOREACH (RouteReport, row, q->report->routes) {
                uint64_t near = nears(q, row);
                if (near <= most)
                        continue;
                most = near;
                c.row = row;
        }
        if (c.row != NULL)
                c.domain = *domain_of(q, &memo, c.row);
        return c;
}
