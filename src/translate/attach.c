/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Envoy Gateway's file provider drops the labels of Namespaces, so without Kubernetes a selector
 * that asks for a label admits nobody's routes, and one that asks for none to be there everybody's.
 * We do as it does. But a listener that our namespace was meant for, and that only lost its label,
 * is not passed over in favour of another one, which may be that of the internet: ADMISSION_LOST
 * beside one that fits is ambiguous.
 */
#include "translate/attach.h"

#include "base/buf.h"

enum {
        TEXT_MAX = 2048 /* names of 64 listeners, cut */
};

typedef enum Admission {
        ADMISSION_GIVEN,
        ADMISSION_REFUSED,
        ADMISSION_LOST, /* refused for a label that the Namespace has, or may have, and that Envoy
                           Gateway does not know */
} Admission;

typedef struct Choice {
        Arena *arena;
        const World *world;
        const GatewaySpec *spec;
        const EgGateway *gateway;
        Protocol protocol;
} Choice;

static Attached refuse(const char *reason, Str text)
{
        return (Attached){.reason = reason, .text = text};
}

static Str our_namespace(const Choice *c)
{
        return c->spec->meta.key.namespace;
}

static const EgNamespace *find_namespace(const Choice *c)
{
        Str name = our_namespace(c);
        return table_find(c->world->namespaces, &name, eg_namespace_find);
}

static Admission select_namespace(const Choice *c, const EgListener *l)
{
        const EgNamespace *n = find_namespace(c);
        /* A Namespace that the API server does not have has no routes. */
        if (c->world->eg_knows_labels)
                return n != NULL && label_selector_matches(&l->selector, n->labels)
                               ? ADMISSION_GIVEN
                               : ADMISSION_REFUSED;
        if (label_selector_matches(&l->selector, (LabelList){0}))
                return ADMISSION_GIVEN;
        bool meant = n == NULL || label_selector_matches(&l->selector, n->labels);
        return meant && l->selector.fault == NULL ? ADMISSION_LOST : ADMISSION_REFUSED;
}

static Admission admission(const Choice *c, const EgListener *l)
{
        if (l->bad_kind.n > 0 || l->kinds == 0 || l->is_conflicted)
                return ADMISSION_REFUSED;
        switch (l->from) {
        case ROUTES_FROM_ALL:
                return ADMISSION_GIVEN;
        case ROUTES_FROM_SAME:
                return str_eq(c->gateway->meta.key.namespace, our_namespace(c)) ? ADMISSION_GIVEN
                                                                                : ADMISSION_REFUSED;
        case ROUTES_FROM_SELECTOR:
                return select_namespace(c, l);
        case ROUTES_FROM_NONE:
                break;
        }
        return ADMISSION_REFUSED;
}

/* Why a selector does not take our namespace. */
static void tell_selector(const Choice *c, const EgListener *l, Buf *out)
{
        const EgNamespace *n = find_namespace(c);
        Str name = our_namespace(c);
        if (l->selector.fault != NULL) {
                buf_printf(out, "its selector is none: %s", l->selector.fault);
                return;
        }
        buf_add_str(out, STR("it admits namespaces with "));
        label_selector_print(&l->selector, out);
        if (n == NULL)
                buf_printf(out, "; the Namespace %.*s is not among what was read", STR_FMT(name));
        else
                buf_printf(out, "; the Namespace %.*s is %s of them", STR_FMT(name),
                           label_selector_matches(&l->selector, n->labels) ? "one" : "none");
        if (!c->world->eg_knows_labels)
                buf_add_str(out, STR("; Envoy Gateway's file mode knows no labels"));
}

static Attached refuse_listener(const Choice *c, const EgListener *l)
{
        Buf why CLEANUP(buf_done);
        buf_init(&why, TEXT_MAX);
        if (l->is_conflicted)
                return refuse("NoMatchingListener",
                              arena_printf(c->arena,
                                           "Envoy Gateway does not serve listener %.*s "
                                           "(Conflicted): another one has its port, protocol and "
                                           "hostname",
                                           STR_FMT(l->name)));
        if (l->bad_kind.n > 0)
                buf_printf(&why, "its kinds hold %.*s, for which Envoy Gateway refuses all of it",
                           STR_FMT(l->bad_kind));
        else if (l->from == ROUTES_FROM_SELECTOR)
                tell_selector(c, l, &why);
        else
                buf_printf(&why, "it admits %s",
                           l->from == ROUTES_FROM_SAME ? "the Gateway's own namespace alone"
                                                       : "no namespace");
        return refuse("NotAllowedByListeners",
                      arena_printf(c->arena,
                                   "listener %.*s does not admit namespace %.*s (allowedRoutes): "
                                   "%.*s",
                                   STR_FMT(l->name), STR_FMT(our_namespace(c)),
                                   STR_FMT(buf_str(&why))));
}

/* What our routes on a listener of that protocol count as. */
static unsigned kind_of(Protocol listener)
{
        return listener == PROTOCOL_TLS   ? EG_ADMITS_TLS_ROUTE
               : listener == PROTOCOL_TCP ? EG_ADMITS_TCP_ROUTE
               : listener == PROTOCOL_UDP ? EG_ADMITS_UDP_ROUTE
                                          : EG_ADMITS_HTTP_ROUTE;
}

/* What a TLS listener terminates it must have a certificate for; ours is passed through. */
static bool is_usable(const Choice *c, const EgListener *l)
{
        return l->protocol == c->protocol && (l->protocol != PROTOCOL_TLS || l->passthrough);
}

static Attached choose_named(const Choice *c, Str section)
{
        for (size_t i = 0; i < c->gateway->n_listeners; i++) {
                const EgListener *l = &c->gateway->listeners[i];
                if (!str_eq(l->name, section))
                        continue;
                if (l->protocol != c->protocol)
                        return refuse(
                                "NoMatchingListener",
                                arena_printf(c->arena, "listener %.*s is %.*s, protocol is %.*s",
                                             STR_FMT(l->name), STR_FMT(protocol_name(l->protocol)),
                                             STR_FMT(protocol_name(c->protocol))));
                if (!is_usable(c, l))
                        return refuse("NoMatchingListener",
                                      arena_printf(c->arena,
                                                   "listener %.*s terminates TLS (tls.mode); what "
                                                   "leads to a tailnet is passed through",
                                                   STR_FMT(l->name)));
                if (admission(c, l) != ADMISSION_GIVEN)
                        return refuse_listener(c, l);
                return (Attached){.listener = l, .named = true};
        }
        return refuse(
                "NoMatchingListener",
                arena_printf(c->arena, "the Gateway has no listener named %.*s", STR_FMT(section)));
}

/* What was found among the listeners of one protocol that take any of `kinds`. */
typedef struct Fitting {
        const EgListener *found, *refused;
        size_t given, lost;
        Str names; /* of those that are or might be meant; arena */
} Fitting;

static Fitting find_fitting(const Choice *c, unsigned kinds)
{
        Fitting f = {0};
        Buf names CLEANUP(buf_done);
        buf_init(&names, TEXT_MAX);
        for (size_t i = 0; i < c->gateway->n_listeners; i++) {
                const EgListener *l = &c->gateway->listeners[i];
                if (!is_usable(c, l))
                        continue;
                Admission is = (l->kinds & kinds) != 0 ? admission(c, l) : ADMISSION_REFUSED;
                if (is == ADMISSION_LOST || (is == ADMISSION_REFUSED && f.lost == 0))
                        f.refused = l;
                if (is == ADMISSION_REFUSED)
                        continue;
                buf_printf(&names, "%s%.*s", f.given + f.lost > 0 ? ", " : "", STR_FMT(l->name));
                f.found = is == ADMISSION_GIVEN ? l : f.found;
                *(is == ADMISSION_GIVEN ? &f.given : &f.lost) += 1;
        }
        f.names = arena_str(c->arena, buf_str(&names));
        return f;
}

static Attached choose_fitting(const Choice *c)
{
        Fitting f = find_fitting(c, kind_of(c->protocol));
        if (f.given == 0 && f.lost == 0 && c->protocol != PROTOCOL_TLS)
                f = find_fitting(c, EG_ADMITS_BOTH);
        if (f.given == 1 && f.lost == 0)
                return (Attached){.listener = f.found};
        if (f.given > 0)
                return refuse("ListenerAmbiguous",
                              arena_printf(c->arena,
                                           "%zu listeners %s (%.*s): name one with sectionName",
                                           f.given + f.lost, f.lost > 0 ? "may fit" : "fit",
                                           STR_FMT(f.names)));
        if (f.refused != NULL)
                return refuse_listener(c, f.refused);
        return refuse(
                "NoMatchingListener",
                arena_printf(c->arena, "the Gateway has no %.*s listener%s",
                             STR_FMT(protocol_name(c->protocol)),
                             c->protocol == PROTOCOL_TLS ? " with tls.mode Passthrough" : ""));
}

static Attached refuse_gateway(Arena *a, const GatewaySpec *spec)
{
        return refuse("GatewayNotFound",
                      arena_printf(a, "there is no Gateway %.*s/%.*s",
                                   STR_FMT(spec->gateway.namespace), STR_FMT(spec->gateway.name)));
}

static Attached choose(Arena *a, const World *w, const GatewaySpec *spec, const RouteRules *rules,
                       const EgGateway *gateway)
{
        Choice c = {a, w, spec, gateway, rules->protocol};
        Str section = rules->section_name.n > 0 ? rules->section_name : spec->section_name;
        return section.n > 0 ? choose_named(&c, section) : choose_fitting(&c);
}

Attached attach_choose(Arena *a, const World *w, const GatewaySpec *spec, const RouteRules *rules,
                       const EgGateway *gateway)
{
        if (gateway == NULL)
                return refuse_gateway(a, spec);
        if (rules->protocol != PROTOCOL_HTTP && rules->protocol != PROTOCOL_HTTPS)
                return refuse("ProtocolNotSupported",
                              arena_printf(a, "ingress through %.*s listeners is not supported",
                                           STR_FMT(protocol_name(rules->protocol))));
        return choose(a, w, spec, rules, gateway);
}

Attached attach_choose_egress(Arena *a, const World *w, const GatewaySpec *spec,
                              const RouteRules *rules, const EgGateway *gateway)
{
        if (rules->protocol == PROTOCOL_TCP || rules->protocol == PROTOCOL_UDP)
                return (Attached){0};
        if (rules->protocol != PROTOCOL_TLS || gateway == NULL)
                return attach_choose(a, w, spec, rules, gateway);
        return choose(a, w, spec, rules, gateway);
}

Attached attach_choose_port(Arena *a, const World *w, const GatewaySpec *spec, Protocol protocol,
                            uint16_t port, const EgGateway *gateway)
{
        if (gateway == NULL)
                return refuse_gateway(a, spec);
        Choice c = {a, w, spec, gateway, protocol};
        for (size_t i = 0; i < gateway->n_listeners; i++) {
                const EgListener *l = &gateway->listeners[i];
                if (l->protocol != protocol || l->port != port)
                        continue;
                return admission(&c, l) == ADMISSION_GIVEN
                               ? (Attached){.listener = l, .named = true}
                               : refuse_listener(&c, l);
        }
        return refuse("NoMatchingListener",
                      arena_printf(a, "the Gateway has no %.*s listener on port %u",
                                   STR_FMT(protocol_name(protocol)), port));
}

bool attach_admits_kind(const EgListener *l, bool is_host, Protocol endpoint)
{
        if (l->protocol != PROTOCOL_HTTP && l->protocol != PROTOCOL_HTTPS)
                return (l->kinds & kind_of(l->protocol)) != 0;
        return (l->kinds & EG_ADMITS_HTTP_ROUTE) != 0 ||
               (is_host && protocol_is_grpc(endpoint) && (l->kinds & EG_ADMITS_GRPC_ROUTE) != 0);
}
