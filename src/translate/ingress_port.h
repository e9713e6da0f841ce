/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* IngressPort: which port of a Service a tailnet is led to, and how Envoy speaks to it: by
 * annotation, else by what its ports say of themselves, else the only one. */

#include "base/arena.h"
#include "model/protocol.h"
#include "model/service_spec.h"

typedef struct IngressPort {
        uint16_t number;   /* 0: none, and why: */
        Protocol protocol; /* HTTP, HTTPS, H2C, GRPC, GRPCS, TCP or TLS */
        const char *reason;
        Str text; /* arena */
} IngressPort;

/* For a listener of that kind: HTTP, HTTPS, TCP or TLS. */
IngressPort ingress_port_choose(Arena *a, const ServiceSpec *s, Protocol listener);
/* What a port says that it speaks, by appProtocol, else by how its name begins ("grpc-api");
 * PROTOCOL_NONE: nothing that is known. */
Protocol ingress_port_speaks(const ServicePortSpec *p);
