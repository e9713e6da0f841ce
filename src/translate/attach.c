/* SPDX-License-Identifier: Apache-2.0 */
#include "translate/attach.h"

#include "base/buf.h"

enum {
        TEXT_MAX = 2048 /* names of 64 listeners, cut */
};

static bool admits(const EgListener *l, const EgGateway *gateway, Str namespace)
{
        switch (l->from) {
        case ROUTES_FROM_ALL:
                return true;
        case ROUTES_FROM_SAME:
                return str_eq(gateway->meta.key.namespace, namespace);
        case ROUTES_FROM_SELECTOR:
        case ROUTES_FROM_NONE:
                break;
        }
        return false;
}

static Attached refuse(const char *reason, Str text)
{
        return (Attached){.reason = reason, .text = text};
}

static Attached refuse_namespace(Arena *a, const EgListener *l, Str namespace)
{
        const char *why =
                l->from == ROUTES_FROM_SELECTOR ? ": namespace selectors are not evaluated" : "";
        return refuse("NotAllowedByListeners",
                      arena_printf(a,
                                   "listener %.*s does not admit namespace %.*s (allowedRoutes)%s",
                                   STR_FMT(l->name), STR_FMT(namespace), why));
}

static Attached choose_named(Arena *a, const GatewaySpec *spec, Protocol protocol,
                             const EgGateway *gateway, Str section)
{
        for (size_t i = 0; i < gateway->n_listeners; i++) {
                const EgListener *l = &gateway->listeners[i];
                if (!str_eq(l->name, section))
                        continue;
                if (l->protocol != protocol)
                        return refuse("NoMatchingListener",
                                      arena_printf(a, "listener %.*s is %.*s, protocol is %.*s",
                                                   STR_FMT(l->name),
                                                   STR_FMT(protocol_name(l->protocol)),
                                                   STR_FMT(protocol_name(protocol))));
                if (!admits(l, gateway, spec->meta.key.namespace))
                        return refuse_namespace(a, l, spec->meta.key.namespace);
                return (Attached){.listener = l, .named = true};
        }
        return refuse("NoMatchingListener",
                      arena_printf(a, "the Gateway has no listener named %.*s", STR_FMT(section)));
}

static Attached choose_fitting(Arena *a, const GatewaySpec *spec, Protocol protocol,
                               const EgGateway *gateway)
{
        const EgListener *found = NULL, *refused = NULL;
        size_t n = 0, unknown = 0;
        Buf names CLEANUP(buf_done);
        buf_init(&names, TEXT_MAX);
        for (size_t i = 0; i < gateway->n_listeners; i++) {
                const EgListener *l = &gateway->listeners[i];
                if (l->protocol != protocol)
                        continue;
                bool might = l->from == ROUTES_FROM_SELECTOR;
                bool fits = admits(l, gateway, spec->meta.key.namespace);
                if (!fits)
                        refused = l;
                if (!fits && !might)
                        continue;
                buf_printf(&names, "%s%.*s", n + unknown > 0 ? ", " : "", STR_FMT(l->name));
                found = fits ? l : found;
                n += fits;
                unknown += !fits;
        }
        if (n == 1 && unknown == 0)
                return (Attached){.listener = found};
        /* Beside one that admits us by a selector, which is not evaluated, the other may well be
         * the public one. */
        if (n > 0)
                return refuse("ListenerAmbiguous",
                              arena_printf(a, "%zu listeners %s (%.*s): name one with sectionName",
                                           n + unknown, unknown > 0 ? "may fit" : "fit",
                                           STR_FMT(buf_str(&names))));
        if (refused != NULL)
                return refuse_namespace(a, refused, spec->meta.key.namespace);
        return refuse("NoMatchingListener", arena_printf(a, "the Gateway has no %.*s listener",
                                                         STR_FMT(protocol_name(protocol))));
}

Attached attach_choose(Arena *a, const GatewaySpec *spec, const RouteRules *rules,
                       const EgGateway *gateway)
{
        if (gateway == NULL)
                return refuse("GatewayNotFound", arena_printf(a, "there is no Gateway %.*s/%.*s",
                                                              STR_FMT(spec->gateway.namespace),
                                                              STR_FMT(spec->gateway.name)));
        if (rules->protocol != PROTOCOL_HTTP && rules->protocol != PROTOCOL_HTTPS)
                return refuse("ProtocolNotSupported",
                              arena_printf(a, "egress through %.*s listeners is not supported",
                                           STR_FMT(protocol_name(rules->protocol))));
        Str section = rules->section_name.n > 0 ? rules->section_name : spec->section_name;
        return section.n > 0 ? choose_named(a, spec, rules->protocol, gateway, section)
                             : choose_fitting(a, spec, rules->protocol, gateway);
}
