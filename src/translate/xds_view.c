/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Envoy Gateway 1.9 marks virtual hosts with their Gateway and listener, routes with their
 * HTTPRoute or GRPCRoute, and listeners and RouteConfigurations with nothing (its
 * internal/xds/translator); names of filters are those of its HTTP connection managers.
 */
#include "translate/xds_view.h"

#include "proto/pb_reader.h"
#include "translate/pack.h"

#include "pb_tokens.h"

/* The value at `key` of filter_metadata, as a Struct. */
static bool metadata_get(Str object, uint32_t metadata, Str key, Str *ret)
{
        bool found = false;
        PbReader r = pb_reader(object);
        for (Str m; pb_next_len(&r, metadata, &m);)
                found = pb_map_get(m, PBN_Metadata_filter_metadata, key, ret) || found;
        return found;
}

static Str struct_str(Str s, Str key)
{
        Str value = {0};
        if (!pb_map_get(s, PBN_Struct_fields, key, &value))
                return (Str){0};
        return pb_get(value, PBN_Value_string_value);
}

bool xds_view_resource(Str object, uint32_t metadata, EgResource *ret)
{
        Str eg = {0}, list = {0}, first = {0};
        if (!metadata_get(object, metadata, STR("envoy-gateway"), &eg) ||
            !pb_map_get(eg, PBN_Struct_fields, STR("resources"), &list))
                return false;
        PbReader r = pb_reader(pb_get(list, PBN_Value_list_value));
        if (!pb_next_len(&r, PBN_ListValue_values, &first))
                return false;
        Str s = pb_get(first, PBN_Value_struct_value);
        *ret = (EgResource){.kind = struct_str(s, STR("kind")),
                            .namespace = struct_str(s, STR("namespace")),
                            .name = struct_str(s, STR("name")),
                            .section = struct_str(s, STR("sectionName"))};
        return ret->name.n > 0;
}

bool xds_view_is_ours(Str object, uint32_t metadata)
{
        return metadata_get(object, metadata, STR(PACK_METADATA), &(Str){0});
}

bool xds_view_is_our_route(Str route)
{
        /* The name first: a user's route is told apart without a look into its metadata. */
        return str_starts(pb_get(route, PBN_Route_name), STR(PACK_PREFIX)) &&
               xds_view_is_ours(route, PBN_Route_metadata);
}

static bool is_auth_filter(Str name)
{
        static const Str filters[] = {
                STR_INIT("envoy.filters.http.jwt_authn"),
                STR_INIT("envoy.filters.http.oauth2"),
                STR_INIT("envoy.filters.http.ext_authz"),
                STR_INIT("envoy.filters.http.rbac"),
                STR_INIT("envoy.filters.http.basic_auth"),
                STR_INIT("envoy.filters.http.api_key_auth"),
        };
        for (size_t i = 0; i < LENGTH_OF(filters); i++) {
                /* One filter for all, or one for each policy: "<filter>/<policy>". */
                if (str_starts(name, filters[i]) &&
                    (name.n == filters[i].n || name.p[filters[i].n] == '/'))
                        return true;
        }
        return false;
}

bool xds_view_has_auth(Str object, uint32_t config)
{
        PbReader r = pb_reader(object);
        for (Str entry; pb_next_len(&r, config, &entry);) {
                if (is_auth_filter(pb_get(entry, PBN_Route_typed_per_filter_config_key)))
                        return true;
        }
        return false;
}

static bool is_route_kind(Str kind)
{
        return str_eq_fold(kind, STR("HTTPRoute")) || str_eq_fold(kind, STR("GRPCRoute"));
}

bool xds_view_route_namespace(Str route, Str *ret)
{
        EgResource made_by;
        if (xds_view_resource(route, PBN_Route_metadata, &made_by) && made_by.kind.n > 0) {
                *ret = made_by.namespace;
                return is_route_kind(made_by.kind);
        }
        Str rest = pb_get(route, PBN_Route_name), kind = {0};
        return str_cut(&rest, '/', &kind) && is_route_kind(kind) && str_cut(&rest, '/', ret);
}

Str xds_view_listener_routes(Str listener)
{
        Str found = {0};
        PbReader r = pb_reader(pb_get(listener, PBN_Listener_default_filter_chain));
        for (Str filter; found.n == 0 && pb_next_len(&r, PBN_FilterChain_filters, &filter);) {
                Str any = pb_get(filter, PBN_Filter_typed_config);
                if (!str_eq(pb_get(any, PBN_Any_type_url), PB_TYPE_HttpConnectionManager))
                        continue;
                Str rds = pb_get(pb_get(any, PBN_Any_value), PBN_HttpConnectionManager_rds);
                found = pb_get(rds, PBN_Rds_route_config_name);
        }
        return found;
}

uint64_t xds_view_listener_port(Str listener)
{
        Str socket = pb_get(pb_get(listener, PBN_Listener_address), PBN_Address_socket_address);
        return pb_get_varint(socket, PBN_SocketAddress_port_value);
}

bool xds_view_listener_is_udp(Str listener)
{
        Str socket = pb_get(pb_get(listener, PBN_Listener_address), PBN_Address_socket_address);
        return pb_get_varint(socket, PBN_SocketAddress_protocol) == PB_SocketAddress_Protocol_UDP;
}

bool xds_view_split_name(Str name, Str *ret_namespace, Str *ret_gateway)
{
        return str_cut(&name, '/', ret_namespace) && str_cut(&name, '/', ret_gateway) &&
               ret_namespace->n > 0 && ret_gateway->n > 0;
}

bool xds_view_is_shifted(uint16_t port, uint64_t bound)
{
        enum {
                SHIFT = 10000,
                PRIVILEGED = 1024,
        };
        return port < PRIVILEGED && bound == (uint64_t)port + SHIFT;
}
