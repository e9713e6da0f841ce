/* SPDX-License-Identifier: Apache-2.0 */
#include "translate/ingress_plan.h"

#include "model/cidr.h"
#include "translate/ingress_port.h"

#include <stdlib.h>

#define ROUTE_GROUP "gateway.networking.k8s.io"

/* What a Service of another namespace must be let be referred to by: we take it, and Envoy Gateway
 * resolves it for a route in our namespace. */
static Str missing_grants(Arena *a, const World *w, const EntryPlan *p, const ServiceSpec *s,
                          Str kind)
{
        Str own = p->spec->meta.key.namespace;
        GrantFrom ours = {STR(MODEL_GROUP), STR("TailscaleGateway"), own};
        GrantFrom route = {STR(ROUTE_GROUP), kind, own};
        bool has_ours = reference_grants_permit(w->grants, &ours, s->meta.key);
        bool has_route = reference_grants_permit(w->grants, &route, s->meta.key);
        if (has_ours && has_route)
                return (Str){0};
        return arena_printf(a,
                            "Service %.*s/%.*s: no ReferenceGrant in its namespace has from "
                            "%s%s%.*s%s of namespace %.*s, to Service",
                            STR_FMT(s->meta.key.namespace), STR_FMT(s->meta.key.name),
                            has_ours ? "" : "TailscaleGateway (" MODEL_GROUP ")",
                            has_ours || has_route ? "" : " and ", has_route ? 0 : (int)kind.n,
                            kind.p, has_route ? "" : " (" ROUTE_GROUP ")", STR_FMT(own));
}

static Str route_kind(Protocol listener, Protocol endpoint)
{
        if (listener == PROTOCOL_TCP)
                return STR("TCPRoute");
        if (listener == PROTOCOL_TLS)
                return STR("TLSRoute");
        return protocol_is_grpc(endpoint) ? STR("GRPCRoute") : STR("HTTPRoute");
}

static bool has_grant_for(const World *w, Str own, Str namespace)
{
        GrantFrom ours = {STR(MODEL_GROUP), STR("TailscaleGateway"), own};
        TABLE_FOREACH (ReferenceGrant, g, w->grants) {
                if (str_eq(g->meta.key.namespace, namespace) && reference_grant_is_from(g, &ours))
                        return true;
        }
        return false;
}

/* Does a TailscaleGateway of that namespace take its Services? */
static bool has_ingress(const World *w, Str namespace)
{
        TABLE_FOREACH (GatewaySpec, g, w->gateways) {
                for (size_t i = 0; i < g->n_tailnets; i++) {
                        if (g->tailnets[i].ingress.enabled &&
                            str_eq(g->meta.key.namespace, namespace))
                                return true;
                }
        }
        return false;
}

/* Is the Service meant for this entry, though it may not be its to take? One of another namespace
 * is where that namespace says so: by a grant, or a label that names the tailnet, or one that can
 * be for nobody nearer. A selector alone reaches no further than grants. */
static bool is_offered(const World *w, const EntryPlan *p, const ServiceSpec *s)
{
        const DiscoveryRules *rules = &p->entry->discovery;
        Str own = p->spec->meta.key.namespace, theirs = s->meta.key.namespace;
        if (s->meta.deleting ||
            !service_spec_is_exposed(s, p->entry->name,
                                     rules->has_services ? &rules->services : NULL))
                return false;
        if (str_eq(own, theirs) || has_grant_for(w, own, theirs))
                return true;
        return s->expose.n > 0 &&
               (service_spec_names(s, p->entry->name) || !has_ingress(w, theirs));
}

static void fill(Arena *a, const World *w, const EntryPlan *p, const ServiceSpec *s,
                 ServicePort *ret)
{
        const RouteRules *rules = &p->entry->ingress;
        struct IngressBackend *b = arena_new(a, sizeof(*b));
        bool is_own = str_eq(s->meta.key.namespace, p->spec->meta.key.namespace);
        IngressPort port = ingress_port_choose(a, s, rules->protocol);
        b->service = s;
        b->kind = route_kind(rules->protocol, port.protocol);
        /* Who lets us refer to a Service of his has no say in whose hosts these are. */
        b->host = is_own && s->host.n > 0 ? s->host : rules->host_pattern;
        b->path = is_own && s->path.n > 0 ? s->path : rules->path_prefix;
        b->is_foreign = !is_own;
        b->text = missing_grants(a, w, p, s, b->kind);
        if (b->text.n > 0) {
                b->reason = "RefNotPermitted";
        } else if (port.number == 0) {
                b->reason = port.reason;
                b->text = port.text;
        }
        *ret = (ServicePort){.has_host = true, .backend = b};
        ret->pack.gateway_namespace = p->spec->meta.key.namespace;
        ret->pack.gateway = p->spec->meta.key.name;
        ret->pack.tailnet = p->entry->name;
        ret->pack.service = is_own ? s->meta.key.name
                                   : arena_printf(a, "%.*s/%.*s", STR_FMT(s->meta.key.namespace),
                                                  STR_FMT(s->meta.key.name));
        ret->pack.port = port.number;
        ret->pack.protocol = port.protocol;
}

static void find_backends(Arena *a, const World *w, EntryPlan *p)
{
        size_t refused = 0;
        p->services = arena_new_array(a, table_n(w->services) + 1, sizeof(ServicePort));
        TABLE_FOREACH (ServiceSpec, s, w->services) {
                ServicePort *at = &p->services[p->n_services];
                if (!is_offered(w, p, s))
                        continue;
                fill(a, w, p, s, at);
                bool is_refused = at->backend->reason != NULL &&
                                  strcmp(at->backend->reason, "RefNotPermitted") == 0;
                if (is_refused && p->gap.n == 0) {
                        p->gap = at->backend->text;
                        p->gap_reason = "RefNotPermitted";
                }
                if (!is_refused || refused++ < INGRESS_REFUSED_MAX)
                        p->n_services++;
        }
}

/* ---- without Kubernetes ---- */

static int on_endpoint_order(const void *a, const void *b)
{
        return endpoint_order(*(const Endpoint *const *)a, *(const Endpoint *const *)b);
}

static bool is_of_entry(const EndpointsSpec *e, const EntryPlan *p)
{
        return e->ingress && e->gateway.n == 0 && str_eq(e->tailnet, p->entry->name) &&
               str_eq(e->meta.key.namespace, p->spec->meta.key.namespace);
}

static void find_statics(Arena *a, const World *w, EntryPlan *p)
{
        size_t n = 0, kept = 0;
        TABLE_FOREACH (EndpointsSpec, e, w->statics)
                n += is_of_entry(e, p) ? e->n : 0;
        const Endpoint **at = arena_new_array(a, n + 1, sizeof(const Endpoint *));
        n = 0;
        TABLE_FOREACH (EndpointsSpec, e, w->statics) {
                for (size_t i = 0; is_of_entry(e, p) && i < e->n; i++)
                        at[n++] = e->endpoints[i];
        }
        if (n > 1)
                qsort(at, n, sizeof(const Endpoint *), on_endpoint_order);
        for (size_t i = 0; i < n; i++) {
                IpAddr ip;
                if (ip_parse(at[i]->ip, &ip) && entry_plan_is_usable(at, kept, at[i]))
                        at[kept++] = at[i];
        }
        entry_plan_take(a, p, at, kept);
}

EntryPlan ingress_plan_make(Arena *a, const World *w, const GatewaySpec *spec, size_t index,
                            const EgGateway *gateway)
{
        EntryPlan p = {
                .spec = spec, .entry = &spec->tailnets[index], .index = index, .is_ingress = true};
        Protocol protocol = p.entry->ingress.protocol;
        if (protocol == PROTOCOL_HTTP || protocol == PROTOCOL_HTTPS)
                p.attached = attach_choose(a, w, spec, &p.entry->ingress, gateway);
        else
                p.attached = (Attached){
                        .reason = "ProtocolNotSupported",
                        .text = arena_printf(a, "through %.*s listeners it is not supported",
                                             STR_FMT(protocol_name(protocol)))};
        if (p.attached.listener == NULL) {
                p.reason = p.attached.reason;
                p.text = arena_printf(a, "ingress: %.*s", STR_FMT(p.attached.text));
        }
        if (w->policy != NULL && w->policy->in_kubernetes)
                find_backends(a, w, &p);
        else
                find_statics(a, w, &p);
        return p;
}
