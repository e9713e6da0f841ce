/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The address of a socket as people write it: `unix:///path`, `tcp://127.0.0.1:5005`,
 * `tcp://[::1]:5005`; and IP literals and CIDRs as resources hold them. No name is ever looked up
 * here. */

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
