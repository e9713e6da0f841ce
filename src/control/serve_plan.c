/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a forward leads: without Kubernetes to Envoy on this machine, whose listeners Envoy Gateway
 * puts on the Gateway's own ports (its Host infrastructure, 1.9); in Kubernetes to the address that
 * Envoy Gateway has given the Gateway, with the Gateway's own port: behind it the Service knows on
 * which port Envoy listens.
 */
#include "control/serve_plan.h"

#include "base/mem.h"

#include <stdlib.h>

enum {
        SOCKET_PATH_MAX = 107 /* sockaddr_un */
};

/* An item while it is planned, and who asks for it. */
typedef struct Asked {
        ServeItem item;
        const GatewaySpec *spec;
        size_t index; /* in spec->tailnets */
} Asked;

typedef struct Work {
        const World *world;
        ServePlan *plan;
        Asked *at;
        size_t n;
} Work;

static const TailnetEntry *find_entry(const GatewaySpec *spec, Str name)
{
        for (size_t i = 0; i < spec->n_tailnets; i++)
                if (str_eq(spec->tailnets[i].name, name))
                        return &spec->tailnets[i];
        return NULL;
}

static bool is_in_kubernetes(const World *w)
{
        return w->policy != NULL && w->policy->in_kubernetes;
}

/* Empty: it is not known yet. */
static Str target_of(Work *k, const WayReport *way)
{
        const EgGateway *g;
        bool is_ipv6;

        if (!is_in_kubernetes(k->world))
                return arena_printf(&k->plan->arena, "127.0.0.1:%u", way->port);
        g = table_find(k->world->eg_gateways, &way->eg_gateway, eg_gateway_find);
        if (g == NULL || g->address.n == 0)
                return (Str){0};
        is_ipv6 = str_find(g->address, ':') >= 0;
        return arena_printf(&k->plan->arena, "%s%.*s%s:%u", is_ipv6 ? "[" : "", STR_FMT(g->address),
                            is_ipv6 ? "]" : "", way->port);
}

static void refuse(Work *k, Asked *a, const char *reason, Str text)
{
        a->item.reason = reason;
        a->item.text = arena_str(&k->plan->arena, text);
}

/* May the socket be used? Else with the reason. */
static bool admit_socket(Work *k, Asked *a)
{
        static const char field[] = "connectivity.ingress.socket";
        Str path = a->item.socket;
        Err err = {0};

        if (path.p[0] != '/' || path.n > SOCKET_PATH_MAX) {
                refuse(k, a, "BadSocketPath",
                       arena_printf(&k->plan->arena,
                                    "%s: %.*s is not an absolute path of at most %d bytes", field,
                                    STR_FMT(path), SOCKET_PATH_MAX));
                return false;
        }
        if (policy_admits_socket(k->world->policy, field, path, &err))
                return true;
        refuse(k, a, "PathRefused", str_of(err.text));
        return false;
}

static void add(Work *k, const Asked *a, uint16_t port, Str target)
{
        k->at[k->n] = *a;
        k->at[k->n].item.forward = (ServeForward){port, target};
        k->n++;
}

static void add_way(Work *k, const WayReport *way, const GatewaySpec *spec,
                    const TailnetEntry *entry)
{
        const IngressWay *in = &entry->connectivity.ingress;
        Arena *arena = &k->plan->arena;
        Asked a = {.item = {.gateway = {arena_str(arena, spec->meta.key.namespace),
                                        arena_str(arena, spec->meta.key.name)},
                            .tailnet = arena_str(arena, entry->name),
                            .socket = arena_str(arena, in->socket)},
                   .spec = spec,
                   .index = (size_t)(entry - spec->tailnets)};
        Str target;

        if (!admit_socket(k, &a)) {
                add(k, &a, 0, (Str){0});
                return;
        }
        target = target_of(k, way);
        if (target.n == 0) {
                refuse(k, &a, "NoGatewayAddress",
                       STR("Envoy Gateway has not given the Gateway an address yet"));
                add(k, &a, 0, (Str){0});
                return;
        }
        for (size_t i = 0; i < in->n_ports; i++)
                add(k, &a, in->ports[i], target);
        if (in->n_ports == 0)
                add(k, &a, way->port, target);
}

/* ---- who has a port ---- */

static int order_ages(Wall a, Wall b)
{
        if (a.ms == b.ms)
                return 0;
        if (a.ms == 0 || b.ms == 0)
                return a.ms == 0 ? 1 : -1;
        return a.ms < b.ms ? -1 : 1;
}

/* By socket and port, who has it first. */
static int on_claim_order(const void *a, const void *b)
{
        const Asked *x = a, *y = b;
        int c = str_cmp(x->item.socket, y->item.socket);

        if (c == 0 && x->item.forward.port != y->item.forward.port)
                c = x->item.forward.port < y->item.forward.port ? -1 : 1;
        if (c == 0)
                c = order_ages(x->spec->meta.created, y->spec->meta.created);
        if (c == 0)
                c = object_key_cmp(x->spec->meta.key, y->spec->meta.key);
        return c != 0 ? c : x->index < y->index ? -1 : x->index > y->index;
}

static void settle_ports(Work *k)
{
        const Asked *winner = NULL;

        qsort(k->at, k->n, sizeof(*k->at), on_claim_order);
        for (size_t i = 0; i < k->n; i++) {
                Asked *a = &k->at[i];
                if (a->item.reason != NULL)
                        continue;
                if (winner == NULL || !str_eq(winner->item.socket, a->item.socket) ||
                    winner->item.forward.port != a->item.forward.port)
                        winner = a;
                else if (!str_eq(winner->item.forward.target, a->item.forward.target))
                        refuse(k, a, "PortTaken",
                               arena_printf(&k->plan->arena,
                                            "port %u of this tailscaled is that of "
                                            "TailscaleGateway %.*s/%.*s, tailnet %.*s",
                                            a->item.forward.port,
                                            STR_FMT(winner->item.gateway.namespace),
                                            STR_FMT(winner->item.gateway.name),
                                            STR_FMT(winner->item.tailnet)));
        }
}

/* Sorted by socket still. */
static void list_sockets(Work *k)
{
        Str *sockets = arena_new_array(&k->plan->arena, SERVE_SOCKETS_MAX + 1, sizeof(*sockets));
        size_t n = 0;

        for (size_t i = 0; i < k->n; i++) {
                Asked *a = &k->at[i];
                if (a->item.reason != NULL || (n > 0 && str_eq(sockets[n - 1], a->item.socket)))
                        continue;
                if (n < SERVE_SOCKETS_MAX)
                        sockets[n++] = a->item.socket;
                else
                        refuse(k, a, "TooManySockets",
                               arena_printf(&k->plan->arena, "more than %d are not looked after",
                                            SERVE_SOCKETS_MAX));
        }
        k->plan->sockets = (StrList){sockets, n};
}

static int on_item_order(const void *a, const void *b)
{
        const ServeItem *x = a, *y = b;
        int c = object_key_cmp(x->gateway, y->gateway);

        if (c == 0)
                c = str_cmp(x->tailnet, y->tailnet);
        return c != 0 ? c : serve_forward_cmp(&x->forward, &y->forward);
}

static const TailnetEntry *entry_of(const World *w, const WayReport *way, const GatewaySpec **spec)
{
        *spec = table_find(w->gateways, &way->gateway, gateway_spec_find);
        return *spec != NULL ? find_entry(*spec, way->tailnet) : NULL;
}

static size_t count_items(const World *w, const Report *r)
{
        size_t n = 0;

        TABLE_FOREACH (WayReport, way, r->ways) {
                const GatewaySpec *spec;
                const TailnetEntry *e = entry_of(w, way, &spec);
                if (e != NULL)
                        n += e->connectivity.ingress.n_ports + 1;
        }
        return n;
}

void serve_plan_make(const World *world, const Report *report, ServePlan *ret)
{
        Work k = {.world = world, .plan = ret};

        *ret = (ServePlan){0};
        arena_init(&ret->arena, 0);
        k.at = mem_new_array(count_items(world, report) + 1, sizeof(*k.at));
        TABLE_FOREACH (WayReport, way, report->ways) {
                const GatewaySpec *spec;
                const TailnetEntry *e = entry_of(world, way, &spec);
                if (e != NULL && way->reason.n == 0 && e->connectivity.ingress.socket.n > 0)
                        add_way(&k, way, spec, e);
        }
        settle_ports(&k);
        list_sockets(&k);
        ret->items = arena_new_array(&ret->arena, k.n + 1, sizeof(*ret->items));
        ret->n = k.n;
        for (size_t i = 0; i < k.n; i++)
                ret->items[i] = k.at[i].item;
        qsort(ret->items, ret->n, sizeof(*ret->items), on_item_order);
        mem_free(k.at);
}

void serve_plan_done(ServePlan *p)
{
        arena_done(&p->arena);
        *p = (ServePlan){0};
}

static int on_forward_order(const void *a, const void *b)
{
        return serve_forward_cmp(a, b);
}

ServeForwards serve_plan_forwards(const ServePlan *p, Arena *arena, Str socket)
{
        ServeForward *at = arena_new_array(arena, p->n + 1, sizeof(*at));
        size_t n = 0, kept = 0;

        for (size_t i = 0; i < p->n; i++)
                if (p->items[i].reason == NULL && str_eq(p->items[i].socket, socket))
                        at[n++] = p->items[i].forward;
        qsort(at, n, sizeof(*at), on_forward_order);
        /* Two that ask for the same have the same. */
        for (size_t i = 0; i < n; i++)
                if (kept == 0 || at[kept - 1].port != at[i].port)
                        at[kept++] = (ServeForward){at[i].port, arena_str(arena, at[i].target)};
        return (ServeForwards){at, kept < SERVE_FORWARDS_MAX ? kept : SERVE_FORWARDS_MAX};
}
