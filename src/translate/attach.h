/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Attach: which listener of a Gateway a TailscaleGateway's routes go to, by the rules of a Route:
 * the listener that is named, else the one of the direction's protocol that admits our namespace
 * and kind of route. Several that fit are refused, not guessed: the wrong one of two may be that
 * of the internet, which would then reach the tailnet.
 *
 * What we put in counts as an HTTPRoute; the host of a GRPC endpoint as a GRPCRoute too, so that a
 * listener for GRPCRoutes alone takes such hosts and nothing else. On listeners of TLS, TCP and UDP
 * it counts as a route of theirs.
 */

#include "base/arena.h"
#include "model/gateway_spec.h"
#include "model/world.h"

typedef struct Attached {
        const EgListener *listener; /* NULL: none, and why: */
        const char *reason;
        Str text;   /* arena */
        bool named; /* by sectionName: the user chose it */
} Attached;

/* `gateway` NULL: it is not among what was read. Of the World only its Namespaces are looked at.
 * Listeners of HTTP and HTTPS alone. */
Attached attach_choose(Arena *a, const World *w, const GatewaySpec *spec, const RouteRules *rules,
                       const EgGateway *gateway);
/* The same for egress, which TLS listeners lead to as well. For TCP and UDP, whose listeners are
 * chosen by their ports, neither listener nor reason. */
Attached attach_choose_egress(Arena *a, const World *w, const GatewaySpec *spec,
                              const RouteRules *rules, const EgGateway *gateway);
/* The listener of that protocol, TCP or UDP, on that port. */
Attached attach_choose_port(Arena *a, const World *w, const GatewaySpec *spec, Protocol protocol,
                            uint16_t port, const EgGateway *gateway);
/* May a host (else a path) of an endpoint of that protocol go to the listener that was chosen? */
bool attach_admits_kind(const EgListener *l, bool is_host, Protocol endpoint);
