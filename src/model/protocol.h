/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How Envoy speaks to an endpoint, and the kind of a listener: one closed set of names. */

#include "base/str.h"

typedef enum Protocol {
        PROTOCOL_NONE,
        PROTOCOL_HTTP,
        PROTOCOL_HTTPS,
        PROTOCOL_H2C,   /* HTTP/2 without TLS */
        PROTOCOL_GRPC,  /* the same, with the manners of gRPC */
        PROTOCOL_GRPCS, /* on TLS */
        PROTOCOL_TCP,
        PROTOCOL_TLS,
        PROTOCOL_UDP,
} Protocol;

/* "HTTP", …; PROTOCOL_NONE is "". */
Str protocol_name(Protocol p);
/* What is spoken at a port where nothing else says so: HTTPS at 443 and 8443, else HTTP. */
Protocol protocol_of_port(uint16_t port);
/* Exact upper-case names; false for anything else. */
bool protocol_parse(Str s, Protocol *ret);
/* HTTP, HTTPS, H2C, GRPC or GRPCS: can have a host and a path. */
bool protocol_is_http_like(Protocol p);
/* GRPC or GRPCS. */
bool protocol_is_grpc(Protocol p);
