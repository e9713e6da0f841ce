/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What we tell Envoy of one service. Values that are not said here are Envoy's defaults.
 *
 * Health checks are timed so that a dead device costs one request (docs/hook-path.md): a healthy
 * host is asked every 5 s (60 s where its cluster never had a connection), and once a check has
 * failed the next comes after 1 s (unhealthy_edge_interval; 5 s without traffic), so a host is out
 * 5 + 1 + 1 + 1 s after its death under traffic, 60 + 1 + 5 + 1 s without.
 *
 * 1. The same service gives the same bytes: fields stand in the order of these functions, endpoints
 *    and proxies in the order given.
 * 2. No endpoint has a hostname: http_11_proxy would send it in CONNECT instead of the address, and
 *    tailscaled dials names outside its tailnet directly.
 */
#include "translate/pack.h"

#include <stdio.h>

#include "model/cidr.h"
#include "proto/pb_writer.h"
#include "translate/hostname.h"

#include "pb_tokens.h"

enum {
        CONNECT_TIMEOUT_S = 5,
        REQUEST_TIMEOUT_S = 15,
        MAX_RETRIES = 1024, /* Envoy's 3 makes most of a burst fail when a proxy dies */
        HEALTH_INTERVAL_S = 5,
        HEALTH_TIMEOUT_S = 1,
        HEALTH_EDGE_S = 1,
        HEALTH_IDLE_S = 60,
        HEALTH_IDLE_UNHEALTHY_S = 5,
        HEALTH_FAILURES = 2,
        HOST_SELECTION_ATTEMPTS = 3,
};

Str pack_cluster_name(Arena *a, const PackService *s)
{
        enum {
                PROTOCOL_ROOM = 8
        };
        char protocol[PROTOCOL_ROOM];
        Str name = protocol_name(s->protocol);
        INSIST(name.n <= sizeof(protocol));
        for (size_t i = 0; i < name.n; i++)
                protocol[i] = (char)(name.p[i] | 0x20);
        char port[sizeof("-65535")];
        int n = snprintf(port, sizeof(port), "-%u", s->port);
        const Str parts[] = {STR(PACK_PREFIX "egress/"),
                             s->gateway_namespace,
                             STR("/"),
                             s->gateway,
                             STR("/"),
                             s->tailnet,
                             STR("/"),
                             s->service,
                             STR("/"),
                             str_make(protocol, name.n),
                             str_make(port, n > 0 ? (size_t)n : 0)};
        size_t bytes = 0;
        for (size_t i = 0; i < LENGTH_OF(parts); i++)
                bytes += parts[i].n;
        char *at = arena_new(a, bytes), *to = at;
        for (size_t i = 0; i < LENGTH_OF(parts); i++) {
                memcpy(to, parts[i].p, parts[i].n);
                to += parts[i].n;
        }
        return str_make(at, bytes);
}

/* A group that has one member today is a group all the same: its host does not move with who comes
 * and goes. */
static bool is_one_device(const PackService *s)
{
        if (endpoint_is_grouped(s->endpoints[0]))
                return false;
        for (size_t i = 1; i < s->n_endpoints; i++) {
                const Endpoint *a = s->endpoints[0], *b = s->endpoints[i];
                if (!str_eq(a->fqdn, b->fqdn) || !str_eq(a->short_name, b->short_name))
                        return false;
        }
        return true;
}

/* After a restart, before any answer, the devices' own names still tell it. */
static Str suffix_of_devices(const PackService *s)
{
        for (size_t i = 0; i < s->n_endpoints; i++) {
                ptrdiff_t dot = str_find(s->endpoints[i]->fqdn, '.');
                if (dot >= 0)
                        return str_sub(s->endpoints[i]->fqdn, (size_t)dot + 1, SIZE_MAX);
        }
        return (Str){0};
}

Str pack_host_of(Arena *a, const PackService *s, Str suffix)
{
        const Endpoint *e = s->endpoints[0];
        Str host = s->service;
        if (suffix.n == 0)
                suffix = suffix_of_devices(s);
        if (is_one_device(s))
                host = e->fqdn.n > 0 ? e->fqdn : e->short_name.n > 0 ? e->short_name : s->service;
        else if (suffix.n > 0)
                host = arena_printf(a, "%.*s.%.*s", STR_FMT(s->service), STR_FMT(suffix));
        return hostname_is_valid(host) ? host : (Str){0};
}

static void write_seconds(PbWriter *w, PbMsg field, uint64_t seconds)
{
        pb_begin(w, field);
        if (seconds > 0)
                pb_varint(w, PB_Duration_seconds, seconds);
        pb_end(w);
}

static void write_u32(PbWriter *w, PbMsg field, uint32_t v)
{
        pb_begin(w, field);
        pb_varint(w, PB_UInt32Value_value, v);
        pb_end(w);
}

static void write_struct_field(PbWriter *w, Str key, Str value)
{
        pb_begin(w, PB_Struct_fields);
        pb_str(w, PB_Struct_fields_key, key);
        pb_begin(w, PB_Struct_fields_value);
        pb_str(w, PB_Value_string_value, value);
        pb_end(w);
        pb_end(w);
}

/* filter_metadata[PACK_METADATA]: who made this, and of what (`s` NULL: of several). */
static void write_mark(PbWriter *w, PbMsg metadata, Str kind, const PackService *s)
{
        pb_begin(w, metadata);
        pb_begin(w, PB_Metadata_filter_metadata);
        pb_str(w, PB_Metadata_filter_metadata_key, STR(PACK_METADATA));
        pb_begin(w, PB_Metadata_filter_metadata_value);
        write_struct_field(w, STR("kind"), kind);
        if (s != NULL) {
                write_struct_field(w, STR("namespace"), s->gateway_namespace);
                write_struct_field(w, STR("gateway"), s->gateway);
                write_struct_field(w, STR("tailnet"), s->tailnet);
                write_struct_field(w, STR("service"), s->service);
        }
        pb_end(w);
        pb_end(w);
        pb_end(w);
}

static void write_socket_address(PbWriter *w, Str ip, uint16_t port)
{
        pb_begin(w, PB_Address_socket_address);
        pb_str(w, PB_SocketAddress_address, ip);
        pb_varint(w, PB_SocketAddress_port_value, port);
        pb_end(w);
}

static void write_proxy(PbWriter *w, const ProxyAddr *p)
{
        pb_begin(w, PB_LbEndpoint_metadata);
        pb_begin(w, PB_Metadata_typed_filter_metadata);
        pb_str(w, PB_Metadata_typed_filter_metadata_key,
               STR("envoy.http11_proxy_transport_socket.proxy_address"));
        pb_any_begin(w, PB_Metadata_typed_filter_metadata_value, PB_TYPE_Address);
        if (p->path.n > 0) {
                pb_begin(w, PB_Address_pipe);
                pb_str(w, PB_Pipe_path, p->path);
                pb_end(w);
        } else {
                write_socket_address(w, p->ip, p->port);
        }
        pb_any_end(w);
        pb_end(w);
        pb_end(w);
}

/* A weight that is so large that the sum of all would not fit 32 bits, which Envoy refuses, is the
 * largest that does. */
static uint32_t weight_of(const PackService *s, const Endpoint *e)
{
        uint64_t n = (uint64_t)s->n_endpoints * (s->n_proxies > 0 ? s->n_proxies : 1);
        uint64_t max = UINT32_MAX / n;
        return e->weight < max ? e->weight : (uint32_t)max;
}

static void write_endpoint(PbWriter *w, const PackService *s, const Endpoint *e,
                           const ProxyAddr *proxy)
{
        pb_begin(w, PB_LocalityLbEndpoints_lb_endpoints);
        pb_begin(w, PB_LbEndpoint_endpoint);
        pb_begin(w, PB_Endpoint_address);
        write_socket_address(w, e->ip, e->port);
        pb_end(w);
        pb_end(w);
        if (proxy != NULL)
                write_proxy(w, proxy);
        if (e->weight > 1)
                write_u32(w, PB_LbEndpoint_load_balancing_weight, weight_of(s, e));
        pb_end(w);
}

static void write_load_assignment(PbWriter *w, const PackService *s)
{
        pb_begin(w, PB_Cluster_load_assignment);
        pb_str(w, PB_ClusterLoadAssignment_cluster_name, s->cluster);
        pb_begin(w, PB_ClusterLoadAssignment_endpoints);
        for (size_t i = 0; i < s->n_endpoints; i++) {
                if (s->n_proxies == 0)
                        write_endpoint(w, s, s->endpoints[i], NULL);
                for (size_t j = 0; j < s->n_proxies; j++)
                        write_endpoint(w, s, s->endpoints[i], &s->proxies[j]);
        }
        pb_end(w);
        pb_end(w);
}

static bool speaks_http2(const PackService *s)
{
        return s->protocol == PROTOCOL_H2C || protocol_is_grpc(s->protocol);
}

static void write_health_check(PbWriter *w, const PackService *s)
{
        pb_begin(w, PB_Cluster_health_checks);
        write_seconds(w, PB_HealthCheck_timeout, HEALTH_TIMEOUT_S);
        write_seconds(w, PB_HealthCheck_interval, HEALTH_INTERVAL_S);
        write_u32(w, PB_HealthCheck_unhealthy_threshold, HEALTH_FAILURES);
        write_u32(w, PB_HealthCheck_healthy_threshold, 1);
        pb_begin(w, PB_HealthCheck_http_health_check);
        if (s->host.n > 0)
                pb_str(w, PB_HealthCheck_HttpHealthCheck_host, s->host);
        pb_str(w, PB_HealthCheck_HttpHealthCheck_path, STR("/"));
        pb_begin(w, PB_HealthCheck_HttpHealthCheck_expected_statuses);
        pb_varint(w, PB_Int64Range_start, 100);
        pb_varint(w, PB_Int64Range_end, 600);
        pb_end(w);
        if (speaks_http2(s))
                pb_enum(w, PB_HealthCheck_HttpHealthCheck_codec_client_type,
                        PB_CodecClientType_HTTP2);
        pb_end(w);
        write_seconds(w, PB_HealthCheck_no_traffic_interval, HEALTH_IDLE_UNHEALTHY_S);
        write_seconds(w, PB_HealthCheck_unhealthy_edge_interval, HEALTH_EDGE_S);
        write_seconds(w, PB_HealthCheck_no_traffic_healthy_interval, HEALTH_IDLE_S);
        pb_end(w);
}

/* The device is known by its address, which WireGuard has authenticated, and often has a
 * certificate of its own making: the name is sent, the certificate not verified. */
static void write_tls(PbWriter *w, PbMsg field, const PackService *s)
{
        pb_begin(w, field);
        pb_str(w, PB_TransportSocket_name, STR("envoy.transport_sockets.tls"));
        pb_any_begin(w, PB_TransportSocket_typed_config, PB_TYPE_UpstreamTlsContext);
        if (s->host.n > 0)
                pb_str(w, PB_UpstreamTlsContext_sni, s->host);
        pb_any_end(w);
        pb_end(w);
}

static void write_transport(PbWriter *w, const PackService *s)
{
        bool tls = s->protocol == PROTOCOL_HTTPS || s->protocol == PROTOCOL_GRPCS;
        if (s->n_proxies == 0) {
                if (tls)
                        write_tls(w, PB_Cluster_transport_socket, s);
                return;
        }
        pb_begin(w, PB_Cluster_transport_socket);
        pb_str(w, PB_TransportSocket_name, STR("envoy.transport_sockets.http_11_proxy"));
        pb_any_begin(w, PB_TransportSocket_typed_config, PB_TYPE_Http11ProxyUpstreamTransport);
        if (tls)
                write_tls(w, PB_Http11ProxyUpstreamTransport_transport_socket, s);
        pb_any_end(w);
        pb_end(w);
}

static void write_http2(PbWriter *w)
{
        pb_begin(w, PB_Cluster_typed_extension_protocol_options);
        pb_str(w, PB_Cluster_typed_extension_protocol_options_key,
               STR("envoy.extensions.upstreams.http.v3.HttpProtocolOptions"));
        pb_any_begin(w, PB_Cluster_typed_extension_protocol_options_value,
                     PB_TYPE_HttpProtocolOptions);
        pb_begin(w, PB_HttpProtocolOptions_explicit_http_config);
        pb_begin(w, PB_HttpProtocolOptions_ExplicitHttpConfig_http2_protocol_options);
        pb_end(w);
        pb_end(w);
        pb_any_end(w);
        pb_end(w);
}

static void write_cluster(PbWriter *w, const PackService *s)
{
        pb_begin(w, PB_PostTranslateModifyResponse_clusters);
        pb_str(w, PB_Cluster_name, s->cluster);
        pb_enum(w, PB_Cluster_type, PB_Cluster_DiscoveryType_STATIC);
        write_seconds(w, PB_Cluster_connect_timeout, CONNECT_TIMEOUT_S);
        pb_enum(w, PB_Cluster_lb_policy, PB_Cluster_LbPolicy_LEAST_REQUEST);
        write_health_check(w, s);
        pb_begin(w, PB_Cluster_circuit_breakers);
        pb_begin(w, PB_CircuitBreakers_thresholds);
        write_u32(w, PB_CircuitBreakers_Thresholds_max_retries, MAX_RETRIES);
        pb_end(w);
        pb_end(w);
        write_transport(w, s);
        write_mark(w, PB_Cluster_metadata, STR("service"), s);
        /* A panic threshold of 0: a request fails at once where every device is dead, instead of
         * being sent to one of them. */
        pb_begin(w, PB_Cluster_common_lb_config);
        pb_begin(w, PB_Cluster_CommonLbConfig_healthy_panic_threshold);
        pb_end(w);
        pb_end(w);
        write_load_assignment(w, s);
        if (speaks_http2(s))
                write_http2(w);
        pb_end(w);
}

static void write_retry(PbWriter *w, const PackService *s)
{
        pb_begin(w, PB_RouteAction_retry_policy);
        pb_str(w, PB_RetryPolicy_retry_on,
               s->retry == RETRY_AT_LEAST_ONCE
                       ? STR("connect-failure,refused-stream,reset-before-request,reset")
                       : STR("connect-failure,refused-stream,reset-before-request"));
        write_u32(w, PB_RetryPolicy_num_retries, 1);
        pb_begin(w, PB_RetryPolicy_retry_host_predicate);
        pb_str(w, PB_RetryPolicy_RetryHostPredicate_name,
               STR("envoy.retry_host_predicates.previous_hosts"));
        pb_any_begin(w, PB_RetryPolicy_RetryHostPredicate_typed_config,
                     PB_TYPE_PreviousHostsPredicate);
        pb_any_end(w);
        pb_end(w);
        pb_varint(w, PB_RetryPolicy_host_selection_retry_max_attempts, HOST_SELECTION_ATTEMPTS);
        pb_end(w);
}

static void write_action(PbWriter *w, const PackService *s, bool strip)
{
        pb_begin(w, PB_Route_route);
        pb_str(w, PB_RouteAction_cluster, s->cluster);
        if (strip)
                pb_str(w, PB_RouteAction_prefix_rewrite, STR("/"));
        if (s->host_header == HOST_HEADER_DEVICE && s->host.n > 0)
                pb_str(w, PB_RouteAction_host_rewrite_literal, s->host);
        /* Envoy starts the route's timeout when the request has ended, which an upgraded one never
         * does; a gRPC stream ends when its caller's grpc-timeout says. */
        bool grpc = protocol_is_grpc(s->protocol);
        write_seconds(w, PB_RouteAction_timeout, grpc ? 0 : REQUEST_TIMEOUT_S);
        write_retry(w, s);
        if (!grpc) {
                pb_begin(w, PB_RouteAction_upgrade_configs);
                pb_str(w, PB_RouteAction_UpgradeConfig_upgrade_type, STR("websocket"));
                pb_end(w);
        } else {
                pb_begin(w, PB_RouteAction_max_stream_duration);
                write_seconds(w, PB_RouteAction_MaxStreamDuration_grpc_timeout_header_max, 0);
                pb_end(w);
        }
        pb_end(w);
}

/* Which of the routes of one service this is, and what is appended to the cluster's name for its
 * own: names are told apart in one virtual host. */
typedef struct RouteForm {
        PbStr match; /* of RouteMatch */
        const char *suffix;
        bool strip; /* the path's prefix */
} RouteForm;

static void write_route(PbWriter *w, const PackService *s, RouteForm form, Str path)
{
        pb_begin(w, PB_VirtualHost_routes);
        pb_begin(w, PB_Route_match);
        pb_str(w, form.match, path);
        pb_end(w);
        write_action(w, s, form.strip);
        write_mark(w, PB_Route_metadata, STR("service"), s);
        pb_begin(w, PB_Route_decorator);
        pb_str(w, PB_Decorator_operation, s->cluster);
        pb_end(w);
        pb_str_join(w, PB_Route_name, (const Str[]){s->cluster, str_of(form.suffix)}, 2);
        pb_end(w);
}

/* "tailscale/egress/<namespace>/<gateway>/<domain>": five parts, where Envoy Gateway's own names of
 * virtual hosts have one, four or six. */
static void write_vhost_head(PbWriter *w, Str eg_namespace, Str eg_gateway, Str domain)
{
        const Str name[] = {
                STR(PACK_PREFIX "egress/"), eg_namespace, STR("/"), eg_gateway, STR("/"), domain};
        pb_str_join(w, PB_VirtualHost_name, name, LENGTH_OF(name));
        pb_str(w, PB_VirtualHost_domains, domain);
}

void pack_catch_all(Str eg_namespace, Str eg_gateway, Str domain, Buf *out)
{
        PbWriter w;
        pb_writer_init(&w, out);
        write_vhost_head(&w, eg_namespace, eg_gateway, domain);
        write_mark(&w, PB_VirtualHost_metadata, STR("paths"), NULL);
        pb_writer_done(&w);
}

static bool same_standing(const PackStanding *a, const PackStanding *b)
{
        return a->oldest.ms == b->oldest.ms && a->created.ms == b->created.ms &&
               a->priority == b->priority;
}

/* Clusters have none, nor has anything without Kubernetes and priorities. */
static void add_standing(Digester *d, const PackStanding *s)
{
        if (same_standing(s, &(PackStanding){0}))
                return;
        digester_add_u64(d, (uint64_t)s->oldest.ms);
        digester_add_u64(d, (uint64_t)s->created.ms);
        digester_add_u64(d, (uint64_t)(int64_t)s->priority);
}

static Digest digest_pack(const Pack *p)
{
        Digester *d = digester_new();
        digester_add(d, p->name);
        digester_add(d, p->cluster);
        digester_add(d, p->namespace);
        digester_add(d, p->listener);
        digester_add(d, p->bytes);
        digester_add_u64(d, p->rank);
        digester_add_u64(d, (uint64_t)p->named << 1 | (uint64_t)p->override);
        add_standing(d, &p->standing);
        return digester_finish(d);
}

/* Where bytes are not kept both have their digest already. */
static bool is_same(const Pack *a, const Pack *b)
{
        if (a->only_digest != b->only_digest || a->n != b->n)
                return false;
        if (a->only_digest)
                return digest_eq(&a->digest, &b->digest);
        return str_eq(a->bytes, b->bytes) && str_eq(a->name, b->name) &&
               str_eq(a->cluster, b->cluster) && str_eq(a->namespace, b->namespace) &&
               str_eq(a->listener, b->listener) && a->rank == b->rank && a->named == b->named &&
               a->override == b->override && same_standing(&a->standing, &b->standing);
}

bool pack_is_at(const Pack *p, Str cluster, const PackPlace *place)
{
        return str_eq(p->cluster, cluster) && str_eq(p->name, place->name) &&
               str_eq(p->listener, place->listener) && p->rank == place->rank &&
               p->named == place->named && p->override == place->override &&
               same_standing(&p->standing, &place->standing);
}

bool pack_is_made_of(const Pack *cluster, const PackService *s)
{
        if (cluster->n_from != s->n_endpoints || !digest_eq(&cluster->config, &s->config))
                return false;
        return memcmp(cluster->from, s->endpoints, s->n_endpoints * sizeof(const Endpoint *)) == 0;
}

static void on_drop(Leaf *leaf)
{
        const Pack *p = (const Pack *)leaf;
        for (size_t i = 0; i < p->n_from; i++)
                leaf_unref(p->from[i]);
}

/* `like` holds what is borrowed, its bytes stand in `bytes`; `from` (NULL: not kept) is what it was
 * made of. */
static Pack *keep(Pack *like, const Pack *before, const Buf *bytes, const PackService *from)
{
        if (bytes->failed)
                return NULL;
        like->bytes = buf_str(bytes);
        like->n = like->bytes.n;
        if (like->only_digest) {
                like->digest = digest_pack(like);
                like->bytes = (Str){0};
        }
        bool is_known = before != NULL && is_same(before, like);
        if (is_known && from == NULL)
                return leaf_ref(before);
        /* A cluster is its own. */
        bool is_own = like->cluster.p == like->name.p;
        const Str strings[] = {like->name, is_own ? (Str){0} : like->cluster, like->namespace,
                               like->listener, like->bytes};
        size_t n_from = from != NULL ? from->n_endpoints : 0;
        /* Aligned, behind strings of any length. */
        size_t room = n_from * sizeof(const Endpoint *) + _Alignof(max_align_t) - 1;
        for (size_t i = 0; i < LENGTH_OF(strings); i++)
                room += leaf_room_str(strings[i]);
        Pack *p = leaf_new(sizeof(*p), room, on_drop);
        p->name = leaf_str(&p->leaf, like->name);
        p->cluster = is_own ? p->name : leaf_str(&p->leaf, like->cluster);
        p->namespace = leaf_str(&p->leaf, like->namespace);
        p->listener = leaf_str(&p->leaf, like->listener);
        p->bytes = leaf_str(&p->leaf, like->bytes);
        p->n = like->n;
        p->only_digest = like->only_digest;
        p->rank = like->rank;
        p->named = like->named;
        p->override = like->override;
        p->standing = like->standing;
        p->routes_at = like->routes_at;
        p->routes_n = like->routes_n;
        if (n_from > 0) {
                p->config = from->config;
                p->from = leaf_alloc(&p->leaf, n_from * sizeof(const Endpoint *));
                for (size_t i = 0; i < n_from; i++)
                        p->from[p->n_from++] = leaf_ref(from->endpoints[i]);
        }
        p->digest = is_known ? before->digest : like->only_digest ? like->digest : digest_pack(p);
        return p;
}

Pack *pack_keep(Pack *like, const Pack *before, const Buf *bytes)
{
        return keep(like, before, bytes, NULL);
}

Pack *pack_cluster(const PackService *s, const Pack *before, Buf *scratch)
{
        buf_reset(scratch);
        PbWriter w;
        pb_writer_init(&w, scratch);
        write_cluster(&w, s);
        pb_writer_done(&w);
        Pack like = {.name = s->cluster,
                     .cluster = s->cluster,
                     .namespace = s->gateway_namespace,
                     .only_digest = s->only_digest};
        return keep(&like, before, scratch, s);
}

static Pack place(const PackService *s, const PackPlace *p)
{
        return (Pack){.name = p->name,
                      .cluster = s->cluster,
                      .namespace = s->gateway_namespace,
                      .listener = p->listener,
                      .rank = p->rank,
                      .named = p->named,
                      .override = p->override,
                      .standing = p->standing,
                      .only_digest = s->only_digest};
}

Pack *pack_host(const PackService *s, const PackPlace *p, const Pack *before, Buf *scratch)
{
        buf_reset(scratch);
        PbWriter w;
        pb_writer_init(&w, scratch);
        pb_begin(&w, PB_RouteConfiguration_virtual_hosts);
        size_t body = scratch->n;
        write_vhost_head(&w, p->eg_namespace, p->eg_gateway, p->name);
        size_t from = scratch->n;
        write_route(&w, s, (RouteForm){PB_RouteMatch_prefix, "/host", false}, STR("/"));
        size_t to = scratch->n;
        write_mark(&w, PB_VirtualHost_metadata, STR("service"), s);
        size_t n = scratch->n - body;
        pb_end(&w);
        pb_writer_done(&w);
        /* The length took its room in front of the body. */
        size_t moved = scratch->n - n - body;
        Pack like = place(s, p);
        like.routes_at = from + moved;
        like.routes_n = to - from;
        return keep(&like, before, scratch, NULL);
}

Pack *pack_path(const PackService *s, const PackPlace *p, const Pack *before, Buf *scratch)
{
        buf_reset(scratch);
        PbWriter w;
        pb_writer_init(&w, scratch);
        /* "/tailscale/x" is "/tailscale/x/"; the root has no form without its slash. */
        if (p->name.n > 1)
                write_route(&w, s, (RouteForm){PB_RouteMatch_path, "/path", true},
                            str_sub(p->name, 0, p->name.n - 1));
        write_route(&w, s, (RouteForm){PB_RouteMatch_prefix, "/prefix", true}, p->name);
        pb_writer_done(&w);
        Pack like = place(s, p);
        like.routes_n = scratch->n;
        return keep(&like, before, scratch, NULL);
}
