/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The address of a socket as people write it: `unix:///path`, `tcp://127.0.0.1:5005`,
 * `tcp://[::1]:5005`. No name is ever looked up here. */

#include "base/err.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

typedef struct Address {
        struct sockaddr_storage sa;
        socklen_t n;
        char text[128]; /* as it was given */
} Address;

/* `unix://` or `tcp://` with an IP literal; "host:port" without a scheme is tcp. `localhost` is
 * 127.0.0.1. */
bool address_parse(Str s, Address *ret, Err *err) MUST_USE;
/* A unix socket, or 127.0.0.0/8 or ::1. */
bool address_is_local(const Address *a);
/* Of a TCP address, in `sa` and in `text`. */
void address_set_port(Address *a, uint16_t port);
/* 0 for a unix socket. */
uint16_t address_port(const Address *a);
/* The path of a unix socket, borrowed from `a`; empty for TCP. */
Str address_path(const Address *a);
