/* SPDX-License-Identifier: Apache-2.0 */
#include "translate/failover.h"

#include "model/cidr.h"
#include "translate/hostname.h"

typedef struct Link {
        Arena *arena;
        const World *world;
        const EntryPlan *plans;
        size_t n;
        PackLevel *levels; /* of the service that is linked */
} Link;

static void tell(Link *k, EntryPlan *p, size_t rule, const char *reason, Str what)
{
        if (p->gap_reason != NULL)
                return;
        p->gap_reason = reason;
        p->gap = arena_printf(k->arena, "routeGeneration.egress.failover[%zu]: %.*s", rule,
                              STR_FMT(what));
}

/* The plan of another entry of the same TailscaleGateway; NULL: there is none. */
static const EntryPlan *plan_of(const Link *k, const EntryPlan *p, Str tailnet)
{
        for (size_t i = 0; i < k->n; i++) {
                const EntryPlan *at = &k->plans[i];
                if (!at->is_ingress && at->spec == p->spec && str_eq(at->entry->name, tailnet))
                        return at;
        }
        return NULL;
}

/* Services stand by name, port, protocol: a tailnet has thousands, and each is looked for. */
static int order_services(const PackService *a, const PackService *b)
{
        int c = str_cmp(a->service, b->service);
        if (c == 0)
                c = (a->port > b->port) - (a->port < b->port);
        return c != 0 ? c : (a->protocol > b->protocol) - (a->protocol < b->protocol);
}

static const PackService *same_service(const EntryPlan *p, const PackService *s)
{
        size_t low = 0, high = p->n_services;
        while (low < high) {
                size_t mid = low + (high - low) / 2;
                int c = order_services(&p->services[mid].pack, s);
                if (c == 0)
                        return &p->services[mid].pack;
                if (c < 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        return NULL;
}

static void link_tailnet(Link *k, EntryPlan *p, PackService *s, size_t rule)
{
        const EntryPlan *other = plan_of(k, p, p->entry->egress.failover[rule].tailnet);
        if (other == NULL) {
                tell(k, p, rule, "FailoverNotFound", STR("there is no such entry in tailnets"));
                return;
        }
        const PackService *at = other == p ? s : same_service(other, s);
        if (at == NULL || other->way_reason != NULL)
                return;
        k->levels[s->n_levels++] = (PackLevel){.endpoints = at->endpoints,
                                               .n = at->n_endpoints,
                                               .proxies = at->proxies,
                                               .n_proxies = at->n_proxies};
}

static bool has_tcp_port(const ServiceSpec *s, uint16_t port)
{
        for (size_t i = 0; i < s->n_ports; i++) {
                if (s->ports[i].number == port && s->ports[i].transport == SERVICE_TCP)
                        return true;
        }
        return false;
}

/* The Service that a rule means; NULL: it cannot be used, which is told. */
static const ServiceSpec *service_of(Link *k, EntryPlan *p, const PackService *s, size_t rule,
                                     uint16_t port)
{
        const FailoverRule *r = &p->entry->egress.failover[rule];
        HostVars vars = {.service = s->service,
                         .tailnet = p->entry->name,
                         .namespace = s->gateway_namespace,
                         .gateway = s->gateway,
                         .port = s->port};
        Str namespace = r->namespace.n > 0 ? r->namespace : p->spec->meta.key.namespace;
        Str name =
                hostname_expand(k->arena, r->service.n > 0 ? r->service : STR("{service}"), &vars);
        ObjectKey key = {namespace, name};
        GrantFrom from = {STR(MODEL_GROUP), STR("TailscaleGateway"), p->spec->meta.key.namespace};
        const ServiceSpec *found = table_find(k->world->services, &key, service_spec_find);
        Str what = arena_printf(k->arena, "Service %.*s/%.*s", STR_FMT(key.namespace),
                                STR_FMT(key.name));
        IpAddr ip;
        if (!reference_grants_permit(k->world->grants, &from, key))
                tell(k, p, rule, "RefNotPermitted",
                     arena_printf(k->arena, "%.*s: no ReferenceGrant of its namespace permits it",
                                  STR_FMT(what)));
        else if (found == NULL)
                tell(k, p, rule, "FailoverNotFound",
                     arena_printf(k->arena, "%.*s is not there", STR_FMT(what)));
        else if (!ip_parse(found->cluster_ip, &ip))
                tell(k, p, rule, "FailoverNotFound",
                     arena_printf(k->arena, "%.*s has no cluster IP", STR_FMT(what)));
        else if (!has_tcp_port(found, port))
                tell(k, p, rule, "FailoverNotFound",
                     arena_printf(k->arena, "%.*s has no TCP port %u", STR_FMT(what), port));
        else
                return found;
        return NULL;
}

static void link_service(Link *k, EntryPlan *p, PackService *s, size_t rule)
{
        uint16_t given = p->entry->egress.failover[rule].port, port = given > 0 ? given : s->port;
        if (s->protocol == PROTOCOL_UDP)
                return;
        const ServiceSpec *found = service_of(k, p, s, rule, port);
        if (found == NULL)
                return;
        k->levels[s->n_levels++] = (PackLevel){.local = {.ip = found->cluster_ip, .port = port}};
}

static bool names_itself(const EntryPlan *p)
{
        for (size_t i = 0; i < p->entry->egress.n_failover; i++) {
                const FailoverRule *r = &p->entry->egress.failover[i];
                if (!r->is_service && str_eq(r->tailnet, p->entry->name))
                        return true;
        }
        return false;
}

static void digest_level(Digester *d, const PackLevel *l)
{
        digester_add(d, l->local.ip);
        digester_add_u64(d, l->local.port);
        digester_add_u64(d, l->n);
        digester_add_u64(d, l->n_proxies);
        for (size_t i = 0; i < l->n_proxies; i++) {
                digester_add(d, l->proxies[i].ip);
                digester_add_u64(d, l->proxies[i].port);
                digester_add(d, l->proxies[i].path);
        }
}

/* Endpoints of other entries, and all that a cluster is made of besides endpoints. */
static void settle(Link *k, PackService *s)
{
        size_t room = 0;
        for (size_t i = 0; i < s->n_levels; i++)
                room += s->levels[i].n;
        const Endpoint **others = arena_new_array(k->arena, room, sizeof(const Endpoint *));
        Digester *d = digester_new();
        digester_add(d, str_make(s->config.b, DIGEST_BYTES));
        for (size_t i = 0; i < s->n_levels; i++) {
                const PackLevel *l = &s->levels[i];
                digest_level(d, l);
                for (size_t j = 0; l->endpoints != s->endpoints && j < l->n; j++)
                        others[s->n_others++] = l->endpoints[j];
        }
        s->others = others;
        s->config = digester_finish(d);
}

static void link_port(Link *k, EntryPlan *p, PackService *s)
{
        size_t n = p->entry->egress.n_failover;
        k->levels = arena_new_array(k->arena, n + 1, sizeof(*k->levels));
        s->levels = k->levels;
        if (!names_itself(p))
                k->levels[s->n_levels++] = (PackLevel){.endpoints = s->endpoints,
                                                       .n = s->n_endpoints,
                                                       .proxies = s->proxies,
                                                       .n_proxies = s->n_proxies};
        for (size_t i = 0; i < n; i++) {
                if (p->entry->egress.failover[i].is_service)
                        link_service(k, p, s, i);
                else
                        link_tailnet(k, p, s, i);
        }
        settle(k, s);
}

void failover_link(Arena *a, const World *w, EntryPlan *plans, size_t n)
{
        Link k = {.arena = a, .world = w, .plans = plans, .n = n};
        for (size_t i = 0; i < n; i++) {
                EntryPlan *p = &plans[i];
                if (p->is_ingress || p->entry->egress.n_failover == 0)
                        continue;
                for (size_t j = 0; j < p->n_services; j++)
                        link_port(&k, p, &p->services[j].pack);
        }
}
