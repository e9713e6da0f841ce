/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Report: what translate decided, immutable, made together with the Snapshot: hosts and paths that
 * are programmed, conflicts, what could not be programmed and why, and each Gateway's wanted
 * revision.
 */

#include "base/table.h"
#include "model/binding_spec.h"
#include "model/protocol.h"

/* A Service of the cluster that a tailnet is led to: what its route, an object, is made of. */
typedef struct RouteBackend {
        ObjectKey service;
        Str kind; /* "HTTPRoute", "GRPCRoute", … */
        Str path; /* prefix; "/": all */
} RouteBackend;

/* One host or path of one service, programmed or not. */
typedef struct RouteReport {
        Leaf leaf;
        ObjectKey gateway;    /* the TailscaleGateway */
        ObjectKey eg_gateway; /* the Gateway */
        Str tailnet, service;
        Str listener; /* chosen listener's name; may be empty where none was */
        Str host;     /* "api-server.tailscale.local", or for a path the path host ("*") */
        Str path;     /* "/tailscale/api-server/", or empty for a host */
        Str cluster;  /* Envoy cluster name */
        uint16_t port;
        Protocol protocol;
        uint16_t listener_port; /* of a TCP or UDP listener that leads to it: neither host nor path;
                                   else 0 */
        bool catch_all;         /* a path in the listener's catch-all host */
        bool programmed;
        Str reason;                  /* where not: "Conflicted", "NoHost", "TooManyRoutes", … */
        Str text;                    /* with whom, which cap, … */
        const RouteBackend *backend; /* of ingress in Kubernetes, whose route the operator writes:
                                        `cluster` is empty then; else NULL */
} RouteReport;

/* Of one tailnets[] entry. */
typedef struct EntryReport {
        Leaf leaf;
        ObjectKey gateway;
        Str tailnet;
        uint64_t selected, excluded, hosts, paths, ports, conflicts;
        bool programmed; /* something of it is */
        Str reason;      /* where nothing can be: "ListenerAmbiguous", "NoProxy", "GatewayNotFound",
                            "NoMatchingListener", "NotAllowedByListeners", … */
        Str text;
} EntryReport;

/* The way in from a tailnet (connectivity.ingress) of one tailnets[] entry that asks for one. */
typedef struct WayReport {
        Leaf leaf;
        ObjectKey gateway; /* the TailscaleGateway */
        Str tailnet;
        ObjectKey eg_gateway;
        Str listener;  /* that demands the PROXY header; empty: none was chosen */
        uint16_t port; /* of that listener, as the Gateway has it; 0: none */
        Str reason;    /* where it demands none of it: "ListenerNotNamed", "ListenerShared",
                          "ListenerTaken", or as of an EntryReport; empty: it does */
        Str text;
} WayReport;

/* Of one Envoy Gateway's Gateway that a TailscaleGateway refers to. */
typedef struct GatewayReport {
        Leaf leaf;
        ObjectKey eg_gateway;
        bool found;   /* it is among what we read */
        bool refused; /* it is, and nothing of ours has a listener of it: it is none of our business
                       */
        char revision[REVISION_MAX + 1]; /* wanted; never empty */
        uint64_t hosts, paths, ports, clusters, bytes;
} GatewayReport;

typedef struct Report {
        Leaf leaf;
        uint64_t generation;   /* of the World */
        bool complete;         /* of the World: only then may bindings be written */
        const Table *routes;   /* of RouteReport, by gateway, tailnet, service, path, host; one
                                  reference each */
        const Table *entries;  /* of EntryReport */
        const Table *gateways; /* of GatewayReport */
        const Table *ways;     /* of WayReport; NULL: there are none */
} Report;

int route_report_order(const void *a, const void *b);
/* Do all fields agree? */
bool route_report_same(const void *a, const void *b);
int entry_report_order(const void *a, const void *b);
int gateway_report_order(const void *a, const void *b);
int way_report_order(const void *a, const void *b);
/* `key` is an ObjectKey *. */
int gateway_report_find(const void *key, const void *leaf);
/* For the `drop` of leaf_new. */
void report_drop(Leaf *leaf);
