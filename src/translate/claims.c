/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who gets a host or a path that several ask for: of several namespaces that of the oldest of those
 * who ask for it, so that nobody who comes later takes it away from another namespace; within it
 * the higher priority, then the older, then name, then order in tailnets, then the service. Where
 * ages are not known, as without Kubernetes, names decide. The order is total, so every replica
 * decides alike. A user's own HTTPRoute that names the host stands above all of them. What one
 * Gateway can take at most is spent in the order of those who ask, the oldest namespace first.
 */
#include "translate/claims.h"

#include "translate/hostname.h"
#include "translate/ingress_plan.h"

#include <stdlib.h>

typedef struct ClaimList {
        Arena *arena;
        const World *world;
        const EgGateway *gateway; /* NULL: not found */
        Claim *at;
        size_t n, room;
} ClaimList;

bool claims_share_routes(const EgListener *a, const EgListener *b)
{
        if (a->protocol != b->protocol || a->port != b->port)
                return false;
        return a->protocol == PROTOCOL_HTTP || str_eq(a->name, b->name);
}

static void lose(Claim *c, const char *reason, Str text)
{
        if (c->reason != NULL)
                return;
        c->reason = reason;
        c->text = text;
}

static Claim *add(ClaimList *l, EntryPlan *by, ServicePort *port)
{
        if (l->n == l->room) {
                size_t room = l->room > 0 ? l->room * 2 : 256;
                Claim *at = arena_new_array(l->arena, room, sizeof(*at));
                if (l->n > 0)
                        memcpy(at, l->at, l->n * sizeof(*at));
                l->at = at;
                l->room = room;
        }
        Claim *c = &l->at[l->n++];
        *c = (Claim){.by = by, .port = port, .listener = by->attached.listener};
        if (by->reason != NULL)
                lose(c, by->reason, by->text);
        if (port->reason != NULL)
                lose(c, port->reason, port->text);
        return c;
}

static HostVars vars_of(const EntryPlan *p, const PackService *s)
{
        return (HostVars){.service = s->service,
                          .tailnet = p->entry->name,
                          .namespace = p->spec->meta.key.namespace,
                          .gateway = p->spec->meta.key.name,
                          .port = s->port};
}

static void refuse_kind(ClaimList *l, Claim *c, Protocol protocol)
{
        bool is_http =
                c->listener->protocol == PROTOCOL_HTTP || c->listener->protocol == PROTOCOL_HTTPS;
        if (is_http)
                lose(c, "NotAllowedByListeners",
                     arena_printf(l->arena,
                                  "listener %.*s admits GRPCRoute alone (allowedRoutes.kinds): "
                                  "hosts of GRPC endpoints, not %s of %.*s",
                                  STR_FMT(c->listener->name), c->is_path ? "a path" : "a host",
                                  STR_FMT(protocol_name(protocol))));
        else
                lose(c, "NotAllowedByListeners",
                     arena_printf(l->arena,
                                  "listener %.*s admits no %.*sRoute "
                                  "(allowedRoutes.kinds)",
                                  STR_FMT(c->listener->name),
                                  STR_FMT(protocol_name(c->listener->protocol))));
}

/* allowedRoutes.kinds of the listener that was chosen. */
static void check_kind(ClaimList *l, Claim *c)
{
        Protocol protocol = c->port->pack.protocol;
        if (c->listener != NULL && !attach_admits_kind(c->listener, !c->is_path, protocol))
                refuse_kind(l, c, protocol);
}
static bool has_port(Str pattern)
{
        return str_find_str(pattern, STR("{port}")) >= 0;
}

static const RouteRules *rules_of(const EntryPlan *p)
{
        return p->is_ingress ? &p->entry->ingress : &p->entry->egress;
}

/* The port of its service that a mapping leads to: the one that is named, else the listener's own,
 * else the only one that can be led to. 0: none. */
static uint16_t mapped_port(const EntryPlan *p, const PortMapping *m)
{
        uint16_t only = 0;
        size_t n = 0;
        if (m->port > 0)
                return m->port;
        for (size_t i = 0; i < p->n_services; i++) {
                const PackService *s = &p->services[i].pack;
                if (!str_eq(s->service, m->service) || protocol_is_http_like(s->protocol))
                        continue;
                if (s->port == m->listener_port)
                        return s->port;
                n += only != s->port;
                only = s->port;
        }
        return n == 1 ? only : 0;
}

static bool is_mapped(const EntryPlan *p, const PackService *s)
{
        for (size_t i = 0; i < p->entry->egress.n_port_map; i++) {
                const PortMapping *m = &p->entry->egress.port_map[i];
                if (str_eq(m->service, s->service) && (m->port == 0 || m->port == s->port))
                        return true;
        }
        return false;
}

static void lose_host(ClaimList *l, Claim *c)
{
        Protocol listener = c->by->entry->egress.protocol, protocol = c->port->pack.protocol;
        if (listener == PROTOCOL_TCP || listener == PROTOCOL_UDP)
                lose(c, "NoHost",
                     arena_printf(l->arena,
                                  "a %.*s listener has no hosts, and portMap names no port for it",
                                  STR_FMT(protocol_name(listener))));
        else if (protocol_is_http_like(protocol))
                lose(c, "NoHost",
                     arena_printf(l->arena, "%.*s has no name that a TLS listener could go by",
                                  STR_FMT(protocol_name(protocol))));
        else
                lose(c, "NoHost",
                     arena_printf(l->arena, "%.*s has no host, and portMap names no port for it",
                                  STR_FMT(protocol_name(protocol))));
}

/* Another listener that the host is within, to be named. */
static Str other_listener(ClaimList *l, const Claim *c)
{
        const EgGateway *g = l->gateway;
        for (size_t i = 0; g != NULL && i < g->n_listeners; i++) {
                const EgListener *at = &g->listeners[i];
                if (at != c->listener && at->protocol == c->listener->protocol &&
                    hostname_within(at->hostname, c->name))
                        return arena_printf(l->arena, "; listener %.*s would serve it",
                                            STR_FMT(at->name));
        }
        return (Str){0};
}

static void claim_host(ClaimList *l, EntryPlan *p, ServicePort *s)
{
        Str pattern = rules_of(p)->host_pattern;
        bool can = entry_plan_can_have_host(p, s->pack.protocol);
        if (pattern.n == 0 || (!can && is_mapped(p, &s->pack)))
                return;
        Claim *c = add(l, p, s);
        if (p->is_ingress && !str_eq(rules_of(p)->path_prefix, STR("/")))
                lose(c, "InvalidPath",
                     STR("without Kubernetes, ingress is of whole hosts: pathPrefix /"));
        if (!can) {
                lose_host(l, c);
                return;
        }
        if (!s->has_host && !has_port(pattern)) {
                lose(c, "NoHost", STR("another port of the service has the host"));
                return;
        }
        HostVars v = vars_of(p, &s->pack);
        c->name = hostname_expand(l->arena, pattern, &v);
        if (c->name.n == 0)
                lose(c, "InvalidHost",
                     arena_printf(l->arena, "hostPattern %.*s gives no DNS name for it",
                                  STR_FMT(pattern)));
        else if (c->listener != NULL && !hostname_within(c->listener->hostname, c->name))
                lose(c, "NoMatchingListenerHostname",
                     arena_printf(l->arena, "listener %.*s serves %.*s only%.*s",
                                  STR_FMT(c->listener->name), STR_FMT(c->listener->hostname),
                                  STR_FMT(other_listener(l, c))));
        check_kind(l, c);
}

/* All of a TCP or UDP listener, by portMap. */
static void claim_port(ClaimList *l, EntryPlan *p, const PortMapping *m, ServicePort *s)
{
        Protocol kind = s->pack.protocol == PROTOCOL_UDP ? PROTOCOL_UDP : PROTOCOL_TCP;
        if (!str_eq(s->pack.service, m->service))
                return;
        uint16_t port = mapped_port(p, m);
        if ((port > 0 && s->pack.port != port) ||
            (port == 0 && protocol_is_http_like(s->pack.protocol)))
                return;
        Attached at =
                attach_choose_port(l->arena, l->world, p->spec, kind, m->listener_port, l->gateway);
        Claim *c = add(l, p, s);
        c->is_port = true;
        c->listener_port = m->listener_port;
        c->listener = at.listener;
        c->reason = p->way_reason;
        c->text = p->way_text;
        if (protocol_is_http_like(s->pack.protocol))
                lose(c, "ProtocolMismatch",
                     arena_printf(l->arena, "portMap leads to TCP, TLS and UDP, not to %.*s",
                                  STR_FMT(protocol_name(s->pack.protocol))));
        if (port == 0)
                lose(c, "PortAmbiguous", STR("the service has several ports: name one in portMap"));
        if (kind == PROTOCOL_UDP && p->entry->connectivity.mode != CONNECT_DIRECT)
                lose(c, "UDPNeedsDirect",
                     STR("an HTTP CONNECT proxy carries no UDP: connectivity.mode must be Direct"));
        if (at.reason != NULL)
                lose(c, at.reason, at.text);
        check_kind(l, c);
}

static void claim_ports(ClaimList *l, EntryPlan *p, ServicePort *s)
{
        const RouteRules *rules = &p->entry->egress;
        for (size_t i = 0; !p->is_ingress && i < rules->n_port_map; i++)
                claim_port(l, p, &rules->port_map[i], s);
}

static void claim_paths(ClaimList *l, EntryPlan *p, ServicePort *s)
{
        const RouteRules *rules = rules_of(p);
        if (p->is_ingress || str_find_str(rules->path_prefix, STR("{service}")) < 0 ||
            (rules->protocol != PROTOCOL_HTTP && rules->protocol != PROTOCOL_HTTPS) ||
            !protocol_is_http_like(s->pack.protocol) ||
            (!s->has_host && !has_port(rules->path_prefix)))
                return;
        HostVars v = vars_of(p, &s->pack);
        Str path = hostname_expand_path(l->arena, rules->path_prefix, &v);
        for (size_t i = 0; i < rules->path_hosts.n; i++) {
                if (strlist_has((StrList){rules->path_hosts.at, i}, rules->path_hosts.at[i]))
                        continue;
                Claim *c = add(l, p, s);
                c->is_path = true;
                c->name = path;
                c->domain = rules->path_hosts.at[i];
                if (str_eq(c->domain, STR("*"))) {
                        c->catch_all = true;
                        if (c->listener != NULL && c->listener->hostname.n > 0)
                                c->domain = c->listener->hostname;
                }
                if (path.n == 0)
                        lose(c, "InvalidPath",
                             arena_printf(l->arena, "pathPrefix %.*s gives no path for it",
                                          STR_FMT(rules->path_prefix)));
                check_kind(l, c);
        }
}

/* The route of a Service, an object: its host, with a path in it. A path may be all of it. */
static void claim_backend(ClaimList *l, EntryPlan *p, ServicePort *s)
{
        const struct IngressBackend *b = s->backend;
        bool is_grpc = str_eq(b->kind, STR("GRPCRoute"));
        unsigned kind = is_grpc ? EG_ADMITS_GRPC_ROUTE : EG_ADMITS_HTTP_ROUTE;
        Claim *c = add(l, p, s);
        if (b->reason != NULL) {
                lose(c, b->reason, b->text);
                return;
        }
        HostVars v = vars_of(p, &s->pack);
        v.service = b->service->meta.key.name;
        c->name = hostname_expand(l->arena, b->host, &v);
        Str path = hostname_expand_path(l->arena, b->path.n > 0 ? b->path : STR("/"), &v);
        c->path = str_sub(path, 0, path.n > 1 ? path.n - 1 : path.n);
        if (c->name.n == 0)
                lose(c, "InvalidHost",
                     arena_printf(l->arena, "%.*s gives no DNS name for it", STR_FMT(b->host)));
        else if (c->listener != NULL && !hostname_within(c->listener->hostname, c->name))
                lose(c, "NoMatchingListenerHostname",
                     arena_printf(l->arena, "listener %.*s serves %.*s only",
                                  STR_FMT(c->listener->name), STR_FMT(c->listener->hostname)));
        if (path.n == 0 || (is_grpc && path.n > 1))
                lose(c, "InvalidPath",
                     arena_printf(l->arena, "%.*s gives no path for a %.*s", STR_FMT(b->path),
                                  STR_FMT(b->kind)));
        if (c->listener != NULL && (c->listener->kinds & kind) == 0)
                lose(c, "NotAllowedByListeners",
                     arena_printf(l->arena, "listener %.*s admits no %.*s (allowedRoutes.kinds)",
                                  STR_FMT(c->listener->name), STR_FMT(b->kind)));
}

static int order_numbers(uint64_t a, uint64_t b)
{
        return a < b ? -1 : a > b;
}

/* An age that is not known is none. */
int claims_order_ages(Wall a, Wall b)
{
        if (a.ms == 0 || b.ms == 0)
                return (a.ms == 0) - (b.ms == 0);
        return a.ms < b.ms ? -1 : a.ms > b.ms;
}

/* Those of the TailscaleGateway's own namespace come first. */
static int order_backends(const ServicePort *a, const ServicePort *b)
{
        bool x = a->backend != NULL && a->backend->is_foreign;
        bool y = b->backend != NULL && b->backend->is_foreign;
        return (int)x - (int)y;
}

/* Who comes first among claims of the same thing; `oldest` is set. */
static int order_claimants(const Claim *a, const Claim *b)
{
        const ObjectMeta *x = &a->by->spec->meta, *y = &b->by->spec->meta;
        int c = claims_order_ages(a->oldest, b->oldest);
        if (c == 0)
                c = str_cmp(x->key.namespace, y->key.namespace);
        if (c == 0)
                c = -order_numbers((uint64_t)((int64_t)a->by->spec->priority - INT32_MIN),
                                   (uint64_t)((int64_t)b->by->spec->priority - INT32_MIN));
        if (c == 0)
                c = claims_order_ages(x->created, y->created);
        if (c == 0)
                c = str_cmp(x->key.name, y->key.name);
        if (c == 0)
                c = order_numbers(a->by->index, b->by->index);
        if (c == 0)
                c = order_backends(a->port, b->port);
        if (c == 0)
                c = str_cmp(a->port->pack.service, b->port->pack.service);
        if (c == 0)
                c = order_numbers(a->port->pack.port, b->port->pack.port);
        if (c == 0)
                c = order_numbers(a->port->pack.protocol, b->port->pack.protocol);
        return c != 0 ? c : (a->port->backend != NULL) - (b->port->backend != NULL);
}

static int order_routes(const EgListener *a, const EgListener *b)
{
        if (a == NULL || b == NULL)
                return (a == NULL) - (b == NULL);
        int c = order_numbers(a->protocol, b->protocol);
        if (c == 0)
                c = order_numbers(a->port, b->port);
        if (c == 0 && a->protocol != PROTOCOL_HTTP)
                c = str_cmp(a->name, b->name);
        return c;
}

/* Do both ask for the same host, or the same path in the same hosts? */
static int order_things(const Claim *a, const Claim *b)
{
        int c = order_routes(a->listener, b->listener);
        if (c == 0 && a->listener == NULL)
                c = order_numbers(a->listener_port, b->listener_port);
        if (c == 0)
                c = (int)a->is_path - (int)b->is_path;
        if (c == 0)
                c = str_cmp(a->domain, b->domain);
        /* A listener's "*.x" as its catch-all is one host; as what pathHosts names it is many. */
        if (c == 0)
                c = (int)a->catch_all - (int)b->catch_all;
        return c != 0 ? c : str_cmp(a->name, b->name);
}

static int on_order(const void *a, const void *b)
{
        int c = order_things(a, b);
        return c != 0 ? c : order_claimants(a, b);
}

/* Claims of one thing of one namespace stand together, the oldest first. */
static int on_age_order(const void *a, const void *b)
{
        const Claim *x = a, *y = b;
        const ObjectMeta *m = &x->by->spec->meta, *n = &y->by->spec->meta;
        int c = order_things(x, y);
        if (c == 0)
                c = str_cmp(m->key.namespace, n->key.namespace);
        return c != 0 ? c : claims_order_ages(m->created, n->created);
}

static void find_oldest(ClaimList *l)
{
        if (l->n > 1)
                qsort(l->at, l->n, sizeof(*l->at), on_age_order);
        for (size_t i = 0; i < l->n; i++) {
                Claim *c = &l->at[i], *before = i > 0 ? c - 1 : NULL;
                bool is_first = before == NULL || order_things(before, c) != 0 ||
                                !str_eq(before->by->spec->meta.key.namespace,
                                        c->by->spec->meta.key.namespace);
                c->oldest = is_first ? c->by->spec->meta.created : before->oldest;
        }
}

/* An exact host of a user's HTTPRoute or GRPCRoute that is attached to this Gateway. */
typedef struct UserHost {
        Str host;
        const EgRoute *route;
        const EgParent *parent;
} UserHost;

static int on_user_order(const void *a, const void *b)
{
        const UserHost *x = a, *y = b;
        int c = str_cmp(x->host, y->host);
        if (c == 0)
                c = object_key_cmp(x->route->meta.key, y->route->meta.key);
        if (c == 0)
                c = str_cmp(x->route->kind, y->route->kind);
        return c != 0 ? c
                      : order_numbers((uint64_t)(uintptr_t)(x->parent - x->route->parents),
                                      (uint64_t)(uintptr_t)(y->parent - y->route->parents));
}

static UserHost *user_hosts(Arena *a, const World *w, ObjectKey gateway, size_t *ret_n)
{
        size_t n = 0;
        TABLE_FOREACH (EgRoute, r, w->eg_routes) {
                for (size_t i = 0; i < r->n_parents && !r->made; i++)
                        n += object_key_eq(r->parents[i].gateway, gateway) ? r->hostnames.n : 0;
        }
        UserHost *at = arena_new_array(a, n, sizeof(*at));
        n = 0;
        TABLE_FOREACH (EgRoute, r, w->eg_routes) {
                for (size_t i = 0; i < r->n_parents && !r->made; i++) {
                        if (!object_key_eq(r->parents[i].gateway, gateway))
                                continue;
                        for (size_t j = 0; j < r->hostnames.n; j++)
                                at[n++] = (UserHost){r->hostnames.at[j], r, &r->parents[i]};
                }
        }
        if (n > 1)
                qsort(at, n, sizeof(*at), on_user_order);
        *ret_n = n;
        return at;
}

/* Does a route with this parent have its hosts in the RouteConfiguration of `l`? */
static bool reaches(const EgGateway *gateway, const EgParent *parent, const EgListener *l)
{
        for (size_t i = 0; i < gateway->n_listeners; i++) {
                const EgListener *at = &gateway->listeners[i];
                if (claims_share_routes(at, l) &&
                    (parent->section_name.n == 0 || str_eq(parent->section_name, at->name)) &&
                    (parent->port == 0 || parent->port == at->port))
                        return true;
        }
        return false;
}

/* The user's route that keeps this host from us, or NULL. */
static const EgRoute *taken_by_user(const Claim *c, const EgGateway *gateway, const UserHost *hosts,
                                    size_t n)
{
        size_t low = 0, high = n;
        while (low < high) {
                size_t mid = low + (high - low) / 2;
                if (str_cmp(hosts[mid].host, c->name) < 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        bool override = rules_of(c->by)->override_hosts;
        for (; low < n && str_eq(hosts[low].host, c->name); low++) {
                const EgRoute *r = hosts[low].route;
                bool own = str_eq(r->meta.key.namespace, c->by->spec->meta.key.namespace);
                if (reaches(gateway, hosts[low].parent, c->listener) && !(override && own))
                        return r;
        }
        return NULL;
}

uint64_t *claims_count_of(Claim *c)
{
        return c->is_port ? &c->by->ports : c->is_path ? &c->by->paths : &c->by->hosts;
}

static Str name_claimant(Arena *a, const Claim *c)
{
        return arena_printf(a, "TailscaleGateway %.*s/%.*s, tailnet %.*s, service %.*s",
                            STR_FMT(c->by->spec->meta.key.namespace),
                            STR_FMT(c->by->spec->meta.key.name), STR_FMT(c->by->entry->name),
                            STR_FMT(c->port->pack.service));
}

/* Both are routes of Services, of one namespace, in one host. */
static bool may_share(const Claim *a, const Claim *b)
{
        return a->port->backend != NULL && b->port->backend != NULL &&
               str_eq(a->by->spec->meta.key.namespace, b->by->spec->meta.key.namespace) &&
               str_eq(a->port->backend->service->meta.key.namespace,
                      b->port->backend->service->meta.key.namespace);
}

/* Is it one object that both ask for? */
static bool is_same_route(const Claim *a, const Claim *b)
{
        return a->by->spec == b->by->spec && a->port->pack.port == b->port->pack.port &&
               str_eq(a->listener->name, b->listener->name) &&
               a->port->backend->service == b->port->backend->service;
}

/* Of the claims of the thing between `from` and `i`, the one that keeps it from that one; NULL:
 * none, for it has another path in the host, or is the same route (*ret_same). */
static const Claim *taken_by_ours(const Claims *all, size_t from, size_t i, const Claim **ret_same)
{
        const Claim *c = &all->at[i];
        *ret_same = NULL;
        for (size_t j = from; j < i; j++) {
                const Claim *other = &all->at[j];
                if (!other->won)
                        continue;
                if (!may_share(other, c))
                        return other;
                if (!str_eq(other->path, c->path))
                        continue;
                if (!is_same_route(other, c))
                        return other;
                *ret_same = other->same_as != NULL ? other->same_as : other;
                return NULL;
        }
        return NULL;
}

static void win(Claim *c)
{
        c->won = true;
        (*claims_count_of(c))++;
}

static void settle(Arena *a, const EgGateway *gateway, const UserHost *users, size_t n_users,
                   Claims *all)
{
        size_t from = 0;
        for (size_t i = 0; i < all->n; i++) {
                Claim *c = &all->at[i];
                if (i > 0 && order_things(c - 1, c) != 0)
                        from = i;
                if (c->reason != NULL || c->listener == NULL)
                        continue;
                const Claim *winner = taken_by_ours(all, from, i, &c->same_as);
                if (winner != NULL) {
                        lose(c, "Conflicted",
                             arena_printf(a, "%.*s has it", STR_FMT(name_claimant(a, winner))));
                        c->by->conflicts++;
                        continue;
                }
                if (c->same_as != NULL) {
                        win(c);
                        continue;
                }
                bool is_plain = !c->is_path && !c->is_port && c->listener->protocol != PROTOCOL_TLS;
                const EgRoute *user = is_plain ? taken_by_user(c, gateway, users, n_users) : NULL;
                if (user != NULL) {
                        lose(c, "Conflicted",
                             arena_printf(a, "%.*s %.*s/%.*s names the host", STR_FMT(user->kind),
                                          STR_FMT(user->meta.key.namespace),
                                          STR_FMT(user->meta.key.name)));
                        c->by->conflicts++;
                        continue;
                }
                win(c);
        }
}

static int on_standing_order(const void *a, const void *b)
{
        const Claim *x = *(Claim *const *)a, *y = *(Claim *const *)b;
        int c = order_numbers(x->by->rank, y->by->rank);
        if (c == 0)
                c = order_claimants(x, y);
        return c != 0 ? c : order_things(x, y);
}

Claim **claims_by_standing(Arena *a, const Claims *all, size_t *ret_n)
{
        Claim **at = arena_new_array(a, all->n, sizeof(*at));
        size_t n = 0;
        for (size_t i = 0; i < all->n; i++) {
                if (all->at[i].won)
                        at[n++] = &all->at[i];
        }
        if (n > 1)
                qsort(at, n, sizeof(*at), on_standing_order);
        *ret_n = n;
        return at;
}

void claims_take_back(Claim *c, const char *reason, Str text)
{
        c->won = false;
        (*claims_count_of(c))--;
        lose(c, reason, text);
}

void claims_too_large(Claim *c)
{
        claims_take_back(c, "TooLarge",
                         STR("its configuration is larger than one resource may be"));
}

/* Whoever stands first spends the caps, so that nobody who comes later pushes others out. */
static void keep_caps(Arena *a, const Claims *all)
{
        size_t n, hosts = 0, paths = 0;
        if (all->n <= CLAIMS_PATHS_MAX)
                return;
        Claim **at = claims_by_standing(a, all, &n);
        for (size_t i = 0; i < n; i++) {
                size_t max = at[i]->is_path ? CLAIMS_PATHS_MAX : CLAIMS_HOSTS_MAX;
                size_t *spent = at[i]->is_path ? &paths : &hosts;
                if (at[i]->same_as == NULL && (*spent)++ >= max)
                        claims_take_back(at[i], "TooManyRoutes",
                                         arena_printf(a, "one Gateway takes %zu at most", max));
        }
        for (size_t i = 0; i < all->n; i++) {
                Claim *c = &all->at[i];
                if (c->won && c->same_as != NULL && !c->same_as->won)
                        claims_take_back(c, c->same_as->reason, c->same_as->text);
        }
}

Claims claims_settle(Arena *a, const World *w, const EgGateway *gateway, EntryPlan *plans, size_t n)
{
        ClaimList l = {.arena = a, .world = w, .gateway = gateway};
        for (size_t i = 0; i < n; i++) {
                for (size_t j = 0; j < plans[i].n_services; j++) {
                        if (plans[i].services[j].backend != NULL) {
                                claim_backend(&l, &plans[i], &plans[i].services[j]);
                                continue;
                        }
                        claim_host(&l, &plans[i], &plans[i].services[j]);
                        claim_paths(&l, &plans[i], &plans[i].services[j]);
                        claim_ports(&l, &plans[i], &plans[i].services[j]);
                }
        }
        find_oldest(&l);
        if (l.n > 1)
                qsort(l.at, l.n, sizeof(*l.at), on_order);
        Claims all = {l.at, l.n};
        size_t n_users = 0;
        UserHost *users = gateway != NULL ? user_hosts(a, w, gateway->meta.key, &n_users) : NULL;
        settle(a, gateway, users, n_users, &all);
        keep_caps(a, &all);
        return all;
}
