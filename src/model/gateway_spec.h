/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* TailscaleGateway: what to expose, how. Defaults stand here; docs/resources.md has the prose. */

#include "base/instant.h"
#include "model/extension_ask.h"
#include "model/label_selector.h"
#include "model/object.h"
#include "model/open_ports.h"
#include "model/port_spec.h"
#include "model/protocol.h"

typedef struct PortRule {
        Str pattern; /* glob, or empty */
        Str tag;     /* "tag:database", or empty; exactly one of both */
        PortSpec ports;
        Protocol protocol; /* PROTOCOL_NONE: protocol_of_port of each */
} PortRule;

/* Devices that are endpoints of one service. */
typedef struct GroupRule {
        Str name;    /* of the service: a DNS label; may come several times */
        Str pattern; /* glob, or empty */
        Str tag;     /* or empty; exactly one of both */
} GroupRule;

typedef enum ProbeType {
        PROBE_NONE,
        PROBE_TCP,  /* a connection can be made */
        PROBE_TLS,  /* and a TLS handshake, whatever the certificate */
        PROBE_HTTP, /* and any HTTP answer comes; of an endpoint that speaks no HTTP a connection */
} ProbeType;

/* Our own look at endpoints, for people; traffic goes by Envoy's checks. */
typedef struct ProbeRules {
        ProbeType type;     /* None */
        Span interval;      /* 30 s */
        Span timeout;       /* 2 s; at most the interval */
        unsigned failures;  /* 3: in a row, to be unhealthy */
        unsigned successes; /* 1: in a row, to be healthy again */
} ProbeRules;

/* Looking for open ports of devices that no rule gives one; off where no port is named. */
typedef struct PortProbing {
        PortSpec ports; /* at most OPEN_PORTS_MAX, without `*`; n == 0: off */
        Span interval;  /* 10 min */
        Span timeout;   /* 2 s, for each port */
} PortProbing;

typedef struct DiscoveryRules {
        bool enabled; /* true */
        StrList patterns, exclude_patterns;
        StrList tags, exclude_tags; /* any of these */
        StrList os, owners;
        const GroupRule *groups; /* the first that matches counts */
        size_t n_groups;
        const PortRule *ports;
        size_t n_ports;
        uint16_t default_port; /* 0: none */
        Protocol default_protocol;
        ProbeRules probes;
        PortProbing port_probing;
        bool has_services;      /* services is given: */
        LabelSelector services; /* which Services of the cluster the tailnet is to see */
} DiscoveryRules;

typedef enum HostHeader {
        HOST_HEADER_DEVICE,
        HOST_HEADER_PRESERVE
} HostHeader;

typedef enum BalanceType {
        BALANCE_LEAST_REQUEST,
        BALANCE_ROUND_ROBIN,
        BALANCE_RANDOM,
        BALANCE_CONSISTENT_HASH, /* one caller stays with one endpoint */
} BalanceType;

typedef enum HashType {
        HASH_SOURCE_IP,
        HASH_HEADER,
        HASH_COOKIE,
} HashType;

/* egress.loadBalancer, in the words of Envoy Gateway's BackendTrafficPolicy. */
typedef struct Balance {
        BalanceType type; /* LeastRequest */
        HashType hash;    /* of ConsistentHash: SourceIP */
        Str header;       /* of Header: its name */
        Str cookie;       /* of Cookie: its name */
        Span cookie_ttl;  /* of Cookie: 0: a session's */
} Balance;

/* A TCP, TLS or UDP service behind a port of the Gateway. */
typedef struct PortMapping {
        Str service;
        uint16_t port; /* of the service; 0: listener_port, else its only one */
        uint16_t listener_port;
} PortMapping;

/* Where requests go when all of what stands before it is down; exactly one of both. */
typedef struct FailoverRule {
        Str tailnet;     /* an entry of the same TailscaleGateway; may be its own */
        bool is_service; /* a Service of the cluster: */
        Str service;     /* its name, may hold {service}; default that */
        Str namespace;   /* empty: the TailscaleGateway's; another needs a ReferenceGrant */
        uint16_t port;   /* 0: the endpoint's */
} FailoverRule;

/* routeGeneration.ingress or .egress. */
typedef struct RouteRules {
        bool enabled; /* named in routeGeneration; egress also where routeGeneration is absent */
        Str host_pattern;   /* routeGeneration absent: "{service}.{tailnet}.tailscale.local" */
        Str path_prefix;    /* empty: no path */
        Protocol protocol;  /* kind of listener; egress HTTP, ingress HTTPS */
        StrList path_hosts; /* ["*"] */
        HostHeader host_header;
        bool override_hosts; /* false */
        Str section_name;    /* or empty */
        Str tls_server_name; /* egress: the name in a device's certificate; may hold {service} */
        Str tls_ca_secret;   /* egress: Secret with ca.crt, own namespace; empty: not verified */
        const PortMapping *port_map; /* egress */
        size_t n_port_map;
        const FailoverRule *failover; /* egress; the entry itself comes first where none names it */
        size_t n_failover;
        Balance balance; /* egress */
} RouteRules;

typedef enum ConnectMode {
        CONNECT_PROXY,
        CONNECT_DIRECT
} ConnectMode;
typedef enum RetryMode {
        RETRY_AT_MOST_ONCE,
        RETRY_AT_LEAST_ONCE
} RetryMode;

/* An address range, e.g. of allowedCIDRs. IPv4 is kept as ::ffff:a.b.c.d. */
typedef struct Cidr {
        uint8_t addr[16];
        unsigned bits; /* of 128 */
} Cidr;

/* connectivity.ingress: how the tailnet reaches the Gateway. */
typedef struct IngressWay {
        Str socket; /* of the tailscaled whose serve configuration is kept; empty: nobody's is */
        const uint16_t *ports; /* of the tailnet; none: the listener's own */
        size_t n_ports;
        const Cidr *trusted; /* from where the PROXY protocol is believed; none: 127.0.0.1/32 */
        size_t n_trusted;
} IngressWay;

typedef struct Connectivity {
        ConnectMode mode; /* Proxy */
        StrList proxies;  /* empty: the TailscaleTailnet's */
        const Cidr *allowed;
        size_t n_allowed;
        RetryMode retry;
        IngressWay ingress;
} Connectivity;

enum {
        TAILNETS_MAX = 64 /* of one TailscaleGateway; each has its own list, view and clusters */
};

/* One of spec.tailnets. */
typedef struct TailnetEntry {
        Str name;         /* unique in the gateway; [a-z0-9]([-a-z0-9]*[a-z0-9])?, at most 63 */
        Str tailnet_name; /* tailscaleTailnetRef.name, in the gateway's namespace */
        DiscoveryRules discovery;
        RouteRules ingress, egress;
        Connectivity connectivity;
} TailnetEntry;

typedef struct GatewaySpec {
        Leaf leaf;
        ObjectMeta meta;
        ObjectKey gateway; /* gatewayRef; namespace default own */
        Str section_name;  /* gatewayRef.sectionName, or empty */
        int32_t priority;  /* 0 */
        const TailnetEntry *tailnets;
        size_t n_tailnets; /* at most TAILNETS_MAX */
        ExtensionAsk extension;
} GatewaySpec;

int gateway_spec_order(const void *a, const void *b);
/* `key` is an ObjectKey *. */
int gateway_spec_find(const void *key, const void *leaf);
/* Does all that a manifest says agree? */
bool gateway_spec_same(const void *a, const void *b);

/* What spec may hold, and where it goes. */
extern const struct Schema gateway_spec_schema;
