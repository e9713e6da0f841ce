/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * EntryPlan: what one tailnets[] entry of a TailscaleGateway offers to its Gateway: the listener it
 * attaches to, the proxies it goes through, and its services, one for each name, port and protocol.
 * Arena memory: lives while a Snapshot is made.
 */

#include "model/proxies.h"
#include "model/world.h"
#include "translate/attach.h"
#include "translate/pack.h"

typedef struct ServicePort {
        PackService pack;
        bool has_host; /* of several ports of a service the first that can have one, by rule order
                        */
        const char *reason; /* why nothing can lead to it, or NULL */
        Str text;
        bool wanted;         /* set by assemble: a route leads to it */
        bool same;           /* set by assemble: made of what it was made of before */
        const Pack *cluster; /* set by assemble, borrowed from the Contribution */
        /* A Service of the cluster whose route is an object (ingress_plan.h): of `pack` then only
         * names, port and protocol are set. NULL: what leads to it is injected. */
        struct IngressBackend *backend;
} ServicePort;

typedef struct EntryPlan {
        const GatewaySpec *spec;
        const TailnetEntry *entry;
        size_t index;  /* in spec->tailnets */
        uint32_t rank; /* among the entries of the Gateway, by who wins: set by snapshot */
        Wall oldest;   /* age of the oldest of its namespace that refers to it: set by snapshot */
        const EntryView *view; /* NULL: nothing is known of it yet */
        Attached attached;
        const ProxyAddr *proxies; /* each once; at most PROXIES_MAX */
        size_t n_proxies;
        const char *reason; /* why nothing of it can be programmed, or NULL; of what is led to by
                               its port only where way_reason says so, too */
        Str text;
        const char *way_reason; /* why its devices cannot be reached, or NULL */
        Str way_text;
        Str gap; /* what is not used of it, where the rest is: a refused proxy; or empty */
        const char *gap_reason;    /* of it; NULL: none */
        bool is_ingress;           /* made by ingress_plan.h: it is of the other direction */
        struct EntryPlan *ingress; /* the same entry's plan of ingress, or NULL: set by snapshot */
        const TrustBundle *trust;  /* that certificates of devices are verified with; NULL: they are
                                      not */
        Str suffix;                /* of the tailnet; may be empty */
        Digest config;             /* of all that packs take from here */
        ServicePort *services;     /* by name, port, protocol */
        size_t n_services;
        uint64_t hosts, paths, ports, conflicts; /* counted by claims */
} EntryPlan;

/* Makes services of endpoints, each usable beside those before it; sorted by endpoint_order. */
void entry_plan_take(Arena *a, EntryPlan *p, const Endpoint *const *endpoints, size_t n);
/* Has it a name and a port, and is it not there already? */
bool entry_plan_is_usable(const Endpoint *const *before, size_t n, const Endpoint *e);
/* Can an endpoint of that protocol have a host on the entry's kind of listener? */
bool entry_plan_can_have_host(const EntryPlan *p, Protocol endpoint);

/* Of entry `index` of `spec`, in the World of `proxies`; `gateway` NULL: not among what was read.
 */
EntryPlan entry_plan_make(Arena *a, const Proxies *proxies, const GatewaySpec *spec, size_t index,
                          const EgGateway *gateway);
