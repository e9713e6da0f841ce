/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What we read of Kubernetes' own Services: where they can be reached, and what they say about
 * being exposed to tailnets (docs/ingress.md). */

#include "model/label_selector.h"
#include "model/object.h"

/* Label: "true", or the names of tailnets[] entries with '.' between them; "false" is never. */
#define SERVICE_EXPOSE "gateway.tailscale.com/expose"
/* Annotations. */
#define SERVICE_TAILNETS "gateway.tailscale.com/tailnets" /* "corp, dev": these alone */
#define SERVICE_HOST     "gateway.tailscale.com/host"
#define SERVICE_PATH     "gateway.tailscale.com/path"
#define SERVICE_PORT     "gateway.tailscale.com/port" /* its name or number */
#define SERVICE_PROTOCOL "gateway.tailscale.com/protocol"

enum {
        SERVICE_PORTS_MAX = 256, /* of one Service; what is beyond is not looked at */
};

typedef enum ServiceTransport {
        SERVICE_TCP,
        SERVICE_UDP,
        SERVICE_SCTP,
} ServiceTransport;

typedef struct ServicePortSpec {
        Str name; /* may be empty where there is one port */
        uint16_t number;
        ServiceTransport transport;
        Str app_protocol; /* "http", "kubernetes.io/h2c", …; or empty */
} ServicePortSpec;

/* Texts are as somebody wrote them: printable, and no more than that. */
typedef struct ServiceSpec {
        Leaf leaf;
        ObjectMeta meta;
        LabelList labels;
        Str expose;                               /* of the label; empty: it is not there */
        Str tailnets, host, path, port, protocol; /* annotations; empty: not there */
        Str type;                                 /* "ClusterIP", …; empty: not told */
        Str cluster_ip; /* an address; "None": it has none, being headless; empty: not yet */
        const ServicePortSpec *ports;
        size_t n_ports;
} ServiceSpec;

int service_spec_order(const void *a, const void *b);
/* `key` is an ObjectKey *. */
int service_spec_find(const void *key, const void *leaf);
bool service_spec_same(const void *a, const void *b);

/* Is it to be seen in the tailnet of an entry of that name? `selector` of the entry, or NULL. */
bool service_spec_is_exposed(const ServiceSpec *s, Str tailnet, const LabelSelector *selector);
/* Does it name that tailnet, by label or annotation? */
bool service_spec_names(const ServiceSpec *s, Str tailnet);
