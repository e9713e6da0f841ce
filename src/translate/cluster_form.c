/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values that are not said here are Envoy's defaults.
 *
 * Health checks are timed so that a dead device costs one request (docs/hook-path.md): a healthy
 * host is asked every 5 s (60 s where its cluster never had a connection), and once a check has
 * failed the next comes after 1 s (unhealthy_edge_interval; 5 s without traffic), so a host is out
 * 5 + 1 + 1 + 1 s after its death under traffic, 60 + 1 + 5 + 1 s without. With failover there is
 * somewhere else to go, so there it is 5 s always.
 *
 * What speaks no HTTP has no such check: one that only connects would find the proxy, not the
 * device behind it. There Envoy's outlier detection takes a host out that refuses connections.
 *
 * 1. The same service gives the same bytes: fields stand in the order of these functions, endpoints
 *    and proxies in the order given.
 * 2. No endpoint has a hostname: http_11_proxy would send it in CONNECT instead of the address, and
 *    tailscaled dials names outside its tailnet directly.
 */
#include "translate/cluster_form.h"

#include "translate/xds_write.h"

#include "pb_tokens.h"

enum {
        CONNECT_TIMEOUT_S = 5,
        MAX_RETRIES = 1024, /* Envoy's 3 makes most of a burst fail when a proxy dies */
        HEALTH_INTERVAL_S = 5,
        HEALTH_TIMEOUT_S = 1,
        HEALTH_EDGE_S = 1,
        HEALTH_IDLE_S = 60,
        HEALTH_IDLE_UNHEALTHY_S = 5,
        HEALTH_FAILURES = 2,
        OUTLIER_INTERVAL_S = 1,
        OUTLIER_EJECTION_S = 10,
        /* In percent: with 140, Envoy's own, a third of the requests would leave for the next
         * priority once half of the endpoints are down. We leave when all are, of up to a thousand.
         */
        OVERPROVISIONING = 100000,
};

static void write_socket_address(PbWriter *w, Str ip, uint16_t port, bool udp)
{
        pb_begin(w, PB_Address_socket_address);
        if (udp)
                pb_enum(w, PB_SocketAddress_protocol, PB_SocketAddress_Protocol_UDP);
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
                write_socket_address(w, p->ip, p->port, false);
        }
        pb_any_end(w);
        pb_end(w);
        pb_end(w);
}

/* The one level of a service that has no failover. */
static PackLevel own_level(const PackService *s)
{
        return (PackLevel){.endpoints = s->endpoints,
                           .n = s->n_endpoints,
                           .proxies = s->proxies,
                           .n_proxies = s->n_proxies};
}

static size_t n_levels(const PackService *s)
{
        return s->n_levels > 0 ? s->n_levels : 1;
}

static PackLevel level_at(const PackService *s, size_t i)
{
        return s->n_levels > 0 ? s->levels[i] : own_level(s);
}

static size_t hosts_of(const PackLevel *l)
{
        return (l->local.ip.n > 0 ? 1 : 0) + l->n * (l->n_proxies > 0 ? l->n_proxies : 1);
}

static size_t n_hosts(const PackService *s)
{
        size_t n = 0;
        for (size_t i = 0; i < n_levels(s); i++) {
                PackLevel l = level_at(s, i);
                n += hosts_of(&l);
        }
        return n;
}

/* A weight that is so large that the sum of all would not fit 32 bits, which Envoy refuses, is the
 * largest that does. */
static uint32_t weight_of(const PackLevel *l, const Endpoint *e)
{
        uint64_t max = UINT32_MAX / hosts_of(l);
        return e->weight < max ? e->weight : (uint32_t)max;
}

static void write_endpoint(PbWriter *w, const PackLevel *l, const Endpoint *e,
                           const ProxyAddr *proxy)
{
        pb_begin(w, PB_LocalityLbEndpoints_lb_endpoints);
        pb_begin(w, PB_LbEndpoint_endpoint);
        pb_begin(w, PB_Endpoint_address);
        write_socket_address(w, e->ip, e->port, e->protocol == PROTOCOL_UDP);
        pb_end(w);
        pb_end(w);
        if (proxy != NULL)
                write_proxy(w, proxy);
        if (e->weight > 1)
                xds_write_u32(w, PB_LbEndpoint_load_balancing_weight, weight_of(l, e));
        pb_end(w);
}

/* A Service of the cluster: Envoy reaches it without a proxy. */
static void write_local(PbWriter *w, const PackLevel *l)
{
        pb_begin(w, PB_LocalityLbEndpoints_lb_endpoints);
        pb_begin(w, PB_LbEndpoint_endpoint);
        pb_begin(w, PB_Endpoint_address);
        write_socket_address(w, l->local.ip, l->local.port, false);
        pb_end(w);
        pb_end(w);
        pb_end(w);
}

static void write_level(PbWriter *w, const PackLevel *l, size_t priority)
{
        pb_begin(w, PB_ClusterLoadAssignment_endpoints);
        if (l->local.ip.n > 0)
                write_local(w, l);
        for (size_t i = 0; i < l->n; i++) {
                if (l->n_proxies == 0)
                        write_endpoint(w, l, l->endpoints[i], NULL);
                for (size_t j = 0; j < l->n_proxies; j++)
                        write_endpoint(w, l, l->endpoints[i], &l->proxies[j]);
        }
        if (priority > 0)
                pb_varint(w, PB_LocalityLbEndpoints_priority, priority);
        pb_end(w);
}

static void write_load_assignment(PbWriter *w, const PackService *s)
{
        pb_begin(w, PB_Cluster_load_assignment);
        pb_str(w, PB_ClusterLoadAssignment_cluster_name, s->cluster);
        for (size_t i = 0; i < n_levels(s); i++) {
                PackLevel l = level_at(s, i);
                write_level(w, &l, i);
        }
        if (n_levels(s) > 1) {
                pb_begin(w, PB_ClusterLoadAssignment_policy);
                xds_write_u32(w, PB_ClusterLoadAssignment_Policy_overprovisioning_factor,
                              OVERPROVISIONING);
                pb_end(w);
        }
        pb_end(w);
}

static bool speaks_http(const PackService *s)
{
        return !s->raw && protocol_is_http_like(s->protocol);
}

static bool speaks_http2(const PackService *s)
{
        return speaks_http(s) && (s->protocol == PROTOCOL_H2C || protocol_is_grpc(s->protocol));
}

static bool speaks_tls(const PackService *s)
{
        return !s->raw && (s->protocol == PROTOCOL_HTTPS || s->protocol == PROTOCOL_GRPCS);
}

static void write_health_check(PbWriter *w, const PackService *s)
{
        pb_begin(w, PB_Cluster_health_checks);
        xds_write_seconds(w, PB_HealthCheck_timeout, HEALTH_TIMEOUT_S);
        xds_write_seconds(w, PB_HealthCheck_interval, HEALTH_INTERVAL_S);
        xds_write_u32(w, PB_HealthCheck_unhealthy_threshold, HEALTH_FAILURES);
        xds_write_u32(w, PB_HealthCheck_healthy_threshold, 1);
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
        xds_write_seconds(w, PB_HealthCheck_no_traffic_interval, HEALTH_IDLE_UNHEALTHY_S);
        xds_write_seconds(w, PB_HealthCheck_unhealthy_edge_interval, HEALTH_EDGE_S);
        xds_write_seconds(w, PB_HealthCheck_no_traffic_healthy_interval,
                          s->n_levels > 1 ? HEALTH_INTERVAL_S : HEALTH_IDLE_S);
        pb_end(w);
}

/* One host always stays: with a panic threshold of 0 nobody would be left to try. */
static void write_outlier_detection(PbWriter *w, const PackService *s)
{
        size_t n = n_hosts(s);
        if (n < 2)
                return;
        pb_begin(w, PB_Cluster_outlier_detection);
        xds_write_seconds(w, PB_OutlierDetection_interval, OUTLIER_INTERVAL_S);
        xds_write_seconds(w, PB_OutlierDetection_base_ejection_time, OUTLIER_EJECTION_S);
        xds_write_u32(w, PB_OutlierDetection_max_ejection_percent, (uint32_t)(100 * (n - 1) / n));
        pb_bool(w, PB_OutlierDetection_split_external_local_origin_errors, true);
        xds_write_u32(w, PB_OutlierDetection_consecutive_local_origin_failure, 1);
        pb_end(w);
}

static void write_validation(PbWriter *w, const PackService *s)
{
        pb_begin(w, PB_CommonTlsContext_validation_context);
        pb_begin(w, PB_CertificateValidationContext_trusted_ca);
        pb_str(w, PB_DataSource_inline_string, s->ca);
        pb_end(w);
        pb_begin(w, PB_CertificateValidationContext_match_typed_subject_alt_names);
        pb_enum(w, PB_SubjectAltNameMatcher_san_type, PB_SubjectAltNameMatcher_SanType_DNS);
        pb_begin(w, PB_SubjectAltNameMatcher_matcher);
        pb_str(w, PB_StringMatcher_exact, s->server_name);
        pb_end(w);
        pb_end(w);
        pb_end(w);
}

/* Without a CA the certificate is not verified: the device is known by its address, which WireGuard
 * has authenticated, and often has a certificate of its own making. */
static void write_tls(PbWriter *w, PbMsg field, const PackService *s)
{
        Str name = s->server_name.n > 0 ? s->server_name : s->host;
        bool is_grpc = protocol_is_grpc(s->protocol);
        pb_begin(w, field);
        pb_str(w, PB_TransportSocket_name, STR("envoy.transport_sockets.tls"));
        pb_any_begin(w, PB_TransportSocket_typed_config, PB_TYPE_UpstreamTlsContext);
        if (s->ca.n > 0 || is_grpc) {
                pb_begin(w, PB_UpstreamTlsContext_common_tls_context);
                if (s->ca.n > 0)
                        write_validation(w, s);
                if (is_grpc)
                        pb_str(w, PB_CommonTlsContext_alpn_protocols, STR("h2"));
                pb_end(w);
        }
        if (name.n > 0)
                pb_str(w, PB_UpstreamTlsContext_sni, name);
        pb_any_end(w);
        pb_end(w);
}

static bool has_proxies(const PackService *s)
{
        for (size_t i = 0; i < n_levels(s); i++) {
                if (level_at(s, i).n_proxies > 0)
                        return true;
        }
        return false;
}

static void write_transport(PbWriter *w, const PackService *s)
{
        if (!has_proxies(s)) {
                if (speaks_tls(s))
                        write_tls(w, PB_Cluster_transport_socket, s);
                return;
        }
        pb_begin(w, PB_Cluster_transport_socket);
        pb_str(w, PB_TransportSocket_name, STR("envoy.transport_sockets.http_11_proxy"));
        pb_any_begin(w, PB_TransportSocket_typed_config, PB_TYPE_Http11ProxyUpstreamTransport);
        if (speaks_tls(s))
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

static uint32_t policy_of(const PackService *s)
{
        static const uint32_t policies[] = {
                [BALANCE_LEAST_REQUEST] = PB_Cluster_LbPolicy_LEAST_REQUEST,
                [BALANCE_ROUND_ROBIN] = PB_Cluster_LbPolicy_ROUND_ROBIN,
                [BALANCE_RANDOM] = PB_Cluster_LbPolicy_RANDOM,
                [BALANCE_CONSISTENT_HASH] = PB_Cluster_LbPolicy_MAGLEV,
        };
        return policies[s->balance != NULL ? s->balance->type : BALANCE_LEAST_REQUEST];
}

void cluster_form_write(PbWriter *w, const PackService *s)
{
        pb_begin(w, PB_PostTranslateModifyResponse_clusters);
        pb_str(w, PB_Cluster_name, s->cluster);
        pb_enum(w, PB_Cluster_type, PB_Cluster_DiscoveryType_STATIC);
        xds_write_seconds(w, PB_Cluster_connect_timeout, CONNECT_TIMEOUT_S);
        pb_enum(w, PB_Cluster_lb_policy, policy_of(s));
        if (speaks_http(s))
                write_health_check(w, s);
        pb_begin(w, PB_Cluster_circuit_breakers);
        pb_begin(w, PB_CircuitBreakers_thresholds);
        xds_write_u32(w, PB_CircuitBreakers_Thresholds_max_retries, MAX_RETRIES);
        pb_end(w);
        pb_end(w);
        if (!speaks_http(s) && s->protocol != PROTOCOL_UDP)
                write_outlier_detection(w, s);
        write_transport(w, s);
        xds_write_mark(w, PB_Cluster_metadata, STR("service"), s);
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
