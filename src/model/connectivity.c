/* SPDX-License-Identifier: Apache-2.0 */
#include "model/connectivity.h"

#include "model/gateway_spec.h"
#include "model/value_check.h"

enum {
        PORT_MAX = 65535
};

static const EnumName modes[] = {{"Proxy", CONNECT_PROXY}, {"Direct", CONNECT_DIRECT}, {NULL, 0}};

static const EnumName retries[] = {
        {"AtMostOnce", RETRY_AT_MOST_ONCE}, {"AtLeastOnce", RETRY_AT_LEAST_ONCE}, {NULL, 0}};

static const Field ingress_way_fields[] = {
        {.name = "socket",
         .about = "The unix socket of the tailscaled whose serve configuration is kept. Default: "
                  "none is, and the tailnet is led to the Gateway by somebody else.",
         .type = FIELD_STR,
         FIELD_TO(IngressWay, socket),
         .check = check_path},
        {.name = "ports",
         .about = "The ports of the tailnet that are served. Default: that of the listener.",
         .type = FIELD_INTS,
         FIELD_TO(IngressWay, ports),
         FIELD_COUNT_TO(IngressWay, n_ports),
         .is_set = true,
         .max_items = 16,
         .min = 1,
         .max = PORT_MAX},
        {.name = "trustedSources",
         .about = "From where the PROXY protocol is believed. Default: 127.0.0.1/32.",
         .type = FIELD_CIDRS,
         FIELD_TO(IngressWay, trusted),
         FIELD_COUNT_TO(IngressWay, n_trusted),
         .is_set = true},
};

static const Schema ingress_way = SCHEMA(ingress_way_fields, .size = sizeof(IngressWay));

static const Field connectivity_fields[] = {
        {.name = "mode",
         .about = "Proxy: through the HTTP CONNECT proxy of a userspace tailscaled, which needs no "
                  "privilege and lets two tailnets use the same addresses. Direct: the machine of "
                  "Envoy has a route into the tailnet.",
         .type = FIELD_ENUM,
         FIELD_TO(Connectivity, mode),
         .fallback = "Proxy",
         .names = modes},
        {.name = "proxyAddresses",
         .about = "The proxies, instead of those of the TailscaleTailnet: IP:port, name:port, "
                  "[IPv6]:port, or the path of a unix socket. In Kubernetes they must be within "
                  "the operator's --allowed-proxies.",
         .type = FIELD_STRS,
         FIELD_TO(Connectivity, proxies),
         .is_set = true,
         .max_items = 16,
         .check = check_proxy},
        {.name = "allowedCIDRs",
         .about = "Ranges that may be dialled besides 100.64.0.0/10 and fd7a:115c:a1e0::/48, such "
                  "as those of subnet routers. In Kubernetes the operator's --allowed-cidrs must "
                  "hold them, too: a tailnet must not be able to point the gateway at the cluster.",
         .type = FIELD_CIDRS,
         FIELD_TO(Connectivity, allowed),
         FIELD_COUNT_TO(Connectivity, n_allowed),
         .is_set = true},
        {.name = "retry",
         .about = "AtMostOnce: a request is tried again, on another endpoint, only where it was "
                  "surely not begun. AtLeastOnce: after a reset, too, so that a request may be "
                  "done twice.",
         .type = FIELD_ENUM,
         FIELD_TO(Connectivity, retry),
         .fallback = "AtMostOnce",
         .names = retries},
        {.name = "ingress",
         .about = "How the tailnet reaches the Gateway.",
         .type = FIELD_OBJECT,
         FIELD_TO(Connectivity, ingress),
         .schema = &ingress_way},
};

const Schema connectivity_schema = SCHEMA(connectivity_fields, .size = sizeof(Connectivity));
