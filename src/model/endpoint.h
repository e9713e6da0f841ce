/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Endpoint: one port of one device under a service's name: an entry of a TailscaleEndpoints. */

#include "base/table.h"
#include "model/protocol.h"

typedef enum EndpointOrigin {
        ENDPOINT_DISCOVERED, /* from a tailnet's list, or from the cache of one */
        ENDPOINT_STATIC,     /* a user's own TailscaleEndpoints */
} EndpointOrigin;

typedef struct Endpoint {
        Leaf leaf;
        Str service;     /* name; of a Service or group shared by all its endpoints */
        Str ip;          /* tailscaleIP: IPv4 where there is one */
        Str fqdn;        /* tailscaleFQDN: full name, or empty where none is known */
        Str node_id;     /* of the device; "svc:web" of a Tailscale Service at its own address,
                            "svc:web/<node id>" at a host's. Empty for static ones without */
        Str short_name;  /* of the device; the service is made of it unless grouped */
        Str port_source; /* which rule gave the port: "service" (the Tailscale Service's own),
                            "ports[1]", "tag:http-8080", "defaultPort", "static" */
        Str rule; /* which rule selected it: "pattern api-*", "tag tag:web", "no pattern", "static";
                     ", groups[0]" behind it names the group */
        Str health; /* "Healthy", "Offline", "Unknown", … (reason); never part of a revision */
        Str health_text; /* what it means and what else holds; may be empty. Nor is this */
        StrList tags;
        uint16_t port;
        Protocol protocol;
        uint32_t weight; /* 1 */
        EndpointOrigin origin;
        bool held; /* no longer in the list, kept by the removal guard */
} Endpoint;

enum {
        SERVICE_LABEL_MAX = 63, /* a DNS label, RFC 1035 2.3.4 */
};

/* The name of a service that a device's short name gives: as a DNS label, in lower case, anything
 * strange a dash, no dash at an end. Empty where nothing is left. Stands in `buf`. */
Str endpoint_service_label(Str short_name, char buf[SERVICE_LABEL_MAX]);
/* Is its service another name than its device gives: that of a group? */
bool endpoint_is_grouped(const Endpoint *e);
/* By service, port, protocol, ip, then node id: the list map keys of TailscaleEndpoints. */
int endpoint_order(const void *a, const void *b);
/* Do all fields agree? */
bool endpoint_same(const void *a, const void *b);
/* A leaf of its own with the fields of `from`, whose leaf is not looked at. */
Endpoint *endpoint_new(const Endpoint *from) MUST_USE;
