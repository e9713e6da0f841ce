/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Pack: one resource of one service, packed as Envoy reads it, with the tag of the message it is
 * copied into: a cluster of an answer, a virtual host of a RouteConfiguration, the routes of a path
 * in a VirtualHost. A leaf: shared by all generations whose bytes are the same.
 */

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "model/endpoint.h"
#include "model/gateway_spec.h"
#include "model/proxies.h"

enum {
        /* Part of every revision: raise it where the same World gives other bytes. */
        PACK_TRANSLATOR = 1,
        PACK_BYTES_MAX = 1 << 20, /* one resource: some 5,000 endpoints */
};

/* Mark of what we inject: metadata.filter_metadata has this key. */
#define PACK_METADATA "gateway.tailscale.com"
/* Names of clusters and routes begin with this. */
#define PACK_PREFIX "tailscale/"

/* What decides who has a host or path that others want, too. */
typedef struct PackStanding {
        Wall oldest;  /* age of the oldest of its namespace that asks for it; of a path: that refers
                         to the Gateway. 0: not known */
        Wall created; /* age of its TailscaleGateway; 0: not known */
        int32_t priority;
} PackStanding;

typedef struct Pack {
        Leaf leaf;
        Digest digest;    /* of all below */
        Str name;         /* cluster name, host, or path */
        Str cluster;      /* that it is routed to, or is */
        Str namespace;    /* of the TailscaleGateway */
        Str listener;     /* of a host: the listener that it was claimed on */
        Str bytes;        /* with tag and length; of a digest alone empty */
        size_t n;         /* how many these are, also where they are not kept */
        bool only_digest; /* nobody answers from it: its bytes are not kept */
        size_t routes_at,
                routes_n; /* the run of routes inside `bytes`, as fields of a VirtualHost */
        uint32_t rank;    /* of a path: who wins where two meet in one host; lower first */
        bool named;       /* the user named the listener: a host without EG's policies is meant */
        bool override;    /* overrideHosts */
        PackStanding standing; /* of a host or path, beside those of other Gateways */
        /* Of a cluster: what it was made of, so that the next Snapshot need not make it again. */
        Digest config;
        const Endpoint **from; /* each with one reference */
        size_t n_from;
} Pack;

static inline Str pack_routes(const Pack *p)
{
        return (Str){p->bytes.p + p->routes_at, p->routes_n};
}

/* Where requests go while everything in front of it is down: endpoints of an entry, or a Service of
 * the cluster. */
typedef struct PackLevel {
        const Endpoint *const *endpoints;
        size_t n;
        const ProxyAddr *proxies; /* none: direct */
        size_t n_proxies;
        ProxyAddr local; /* of a Service; ip empty: none */
} PackLevel;

/* One port of one service: what a cluster is made of. */
typedef struct PackService {
        Str gateway_namespace, gateway, tailnet; /* the TailscaleGateway and its entry */
        Str service;
        Str cluster; /* name */
        Str host;    /* what devices are asked for; empty: nothing fit to be sent is known */
        uint16_t port;
        Protocol protocol;
        const Endpoint *const *endpoints; /* sorted; at least one */
        size_t n_endpoints;
        const ProxyAddr *proxies; /* none: direct */
        size_t n_proxies;
        HostHeader host_header;
        RetryMode retry;
        Str server_name; /* of TLS: sent (SNI), and verified where there is a CA; empty: `host` */
        Str ca;          /* PEM; empty: certificates are not verified */
        bool raw;        /* bytes are passed through: no TLS and no HTTP of ours */
        const Balance *balance;  /* NULL: the default */
        const PackLevel *levels; /* by priority, its own among them; none: its own alone */
        size_t n_levels;
        const Endpoint *const *others; /* of levels that are not its own */
        size_t n_others;
        Digest config;    /* of all that comes from its entry: everything above but endpoints */
        bool only_digest; /* of packs that are made of it the bytes are not kept */
        bool is_ingress;  /* the tailnet is led to it; else it is of the tailnet */
} PackService;

/* Was this cluster made of the same leaves with the same configuration? Then every pack of the same
 * generation that was made of the service is the same too. */
bool pack_is_made_of(const Pack *cluster, const PackService *s);

/* "tailscale/<direction>/<namespace>/<gateway>/<tailnet>/<service>/<protocol>-<port>" */
Str pack_cluster_name(Arena *a, const PackService *s);
/* What the route writes as host: of one device, or of a Tailscale Service, its full name, else its
 * short one; of a group, and of several devices, "<service>.<suffix>", else the service's name: one
 * name for all of them. (Envoy could write each endpoint's own from Endpoint.hostname, which the
 * CONNECT would then carry in place of the address.) `suffix` empty: that of the devices. Empty
 * where that is no host name. */
Str pack_host_of(Arena *a, const PackService *s, Str suffix);

typedef struct PackPlace {
        Str eg_namespace, eg_gateway; /* the Gateway */
        Str name;                     /* host, or path with '/' at both ends */
        Str listener;
        uint32_t rank;
        bool named, override;
        PackStanding standing;
} PackPlace;

/* Is it of that cluster and place? */
bool pack_is_at(const Pack *p, Str cluster, const PackPlace *place);
/* A pack of `bytes`, or `before` (may be NULL) with one more reference where it is the same: `like`
 * has all else, borrowed, but for digest, bytes and n. NULL where `bytes` failed. */
Pack *pack_keep(Pack *like, const Pack *before, const Buf *bytes) MUST_USE;
/* Each renders, and gives `before` (may be NULL) with one more reference where it is the same. NULL
 * above PACK_BYTES_MAX. `scratch` is overwritten. */
Pack *pack_cluster(const PackService *s, const Pack *before, Buf *scratch) MUST_USE;

/* The virtual host of a host, with its one route. */
Pack *pack_host(const PackService *s, const PackPlace *p, const Pack *before,
                Buf *scratch) MUST_USE;
/* The routes of a path: with and without its last slash. */
Pack *pack_path(const PackService *s, const PackPlace *p, const Pack *before,
                Buf *scratch) MUST_USE;
/* Name, domain and mark of the virtual host that holds paths where Envoy Gateway has none: the body
 * of a VirtualHost without its routes. */
void pack_catch_all(Str eg_namespace, Str eg_gateway, Str domain, Buf *out);
