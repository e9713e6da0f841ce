/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What we look at in Envoy's objects, read from their bytes where they stand. A field that comes
 * twice is read as protobuf says: of strings the last counts, messages are merged. */

#include "base/arena.h"

/* Who made an object: metadata.filter_metadata["envoy-gateway"].resources[0]. */
typedef struct EgResource {
        Str kind, namespace, name, section; /* kind is empty for Gateways in EG's file mode */
} EgResource;

/* Of an object whose field `metadata` is a core.v3.Metadata. False where Envoy Gateway says
 * nothing. */
bool xds_view_resource(Str object, uint32_t metadata, EgResource *ret);
/* Has it our own mark? */
bool xds_view_is_ours(Str object, uint32_t metadata);
/* Is that route one of ours? */
bool xds_view_is_our_route(Str route);
/* Has the route or virtual host, whose per-filter configuration is field `config`, one of an
 * authentication or authorization filter? */
bool xds_view_has_auth(Str object, uint32_t config);
/* The route's namespace by metadata, else by name ("httproute/<namespace>/…"); false where it comes
 * from neither an HTTPRoute nor a GRPCRoute. */
bool xds_view_route_namespace(Str route, Str *ret);
/* The RouteConfiguration that the plain HTTP part (default filter chain) of a Listener asks for;
 * empty where there is none. */
Str xds_view_listener_routes(Str listener);
/* The port that a Listener binds; 0 where it has none. */
uint64_t xds_view_listener_port(Str listener);
/* Is it one of UDP? */
bool xds_view_listener_is_udp(Str listener);
/* The first two parts of "<namespace>/<gateway>/…"; false for anything else. */
bool xds_view_split_name(Str name, Str *ret_namespace, Str *ret_gateway);
/* Is `bound` where Envoy Gateway binds a port below 1024 in Kubernetes: 10,000 higher (EG 1.9; its
 * Host infrastructure binds it as it is)? */
bool xds_view_is_shifted(uint16_t port, uint64_t bound);
