/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What we read of Envoy Gateway's own objects: Gateways with their listeners, the hosts that
 * HTTPRoutes and GRPCRoutes name, and the labels of Namespaces. */

#include "model/label_selector.h"
#include "model/object.h"
#include "model/protocol.h"

typedef enum RouteNamespaces {
        ROUTES_FROM_SAME,
        ROUTES_FROM_ALL,
        ROUTES_FROM_SELECTOR,
        ROUTES_FROM_NONE
} RouteNamespaces;

/* Kinds of routes that a listener may admit. */
enum {
        EG_ADMITS_HTTP_ROUTE = 1,
        EG_ADMITS_GRPC_ROUTE = 2,
        EG_ADMITS_BOTH = EG_ADMITS_HTTP_ROUTE | EG_ADMITS_GRPC_ROUTE,
        EG_ADMITS_TLS_ROUTE = 4,
        EG_ADMITS_TCP_ROUTE = 8,
        EG_ADMITS_UDP_ROUTE = 16,
};

typedef struct EgListener {
        Str name;
        uint16_t port;
        Protocol protocol;
        Str hostname;           /* empty: all */
        RouteNamespaces from;   /* allowedRoutes.namespaces.from; default Same */
        LabelSelector selector; /* where it is Selector */
        bool passthrough;       /* of TLS: tls.mode is Passthrough; else it is terminated */
        unsigned kinds; /* EG_ADMITS_…: allowedRoutes.kinds; none given: all that its protocol can
                           have */
        Str bad_kind;   /* the first of them that its protocol cannot have; Envoy Gateway then
                           programs nothing of the listener (EG 1.9). Empty: none */
        bool is_conflicted; /* its status says so, of this generation: another one has its port,
                               protocol and hostname, maybe of a Gateway that is merged with this
                               one, and it is not there. From an API server alone */
} EgListener;

typedef struct EgGateway {
        Leaf leaf;
        ObjectMeta meta;
        const EgListener *listeners; /* in the order of the manifest: the first HTTP one of a port
                                        names its RouteConfiguration */
        size_t n_listeners;          /* at most 64 */
        Str address; /* the first of status.addresses: an IP address, or a name; empty: none yet, or
                        not told, as in Envoy Gateway's file mode */
} EgGateway;

typedef struct EgParent {
        ObjectKey gateway; /* namespace default: the route's */
        Str section_name;  /* empty: all listeners */
        uint16_t port;     /* 0: all */
} EgParent;

typedef struct EgRoute {
        Leaf leaf;
        Str kind; /* "HTTPRoute" or "GRPCRoute" */
        ObjectMeta meta;
        bool made; /* by us, of a Service that a tailnet sees: it claims nothing beside that */
        StrList hostnames; /* empty: those of the listener */
        const EgParent *parents;
        size_t n_parents;
} EgRoute;

typedef struct EgNamespace {
        Leaf leaf;
        Str name;
        LabelList labels;
} EgNamespace;

int eg_gateway_order(const void *a, const void *b);
/* `key` is an ObjectKey *. */
int eg_gateway_find(const void *key, const void *leaf);
bool eg_gateway_same(const void *a, const void *b);
/* By kind, then namespace and name. */
int eg_route_order(const void *a, const void *b);
bool eg_route_same(const void *a, const void *b);
int eg_namespace_order(const void *a, const void *b);
/* `key` is a Str *. */
int eg_namespace_find(const void *key, const void *leaf);
bool eg_namespace_same(const void *a, const void *b);
