/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* LocalApi: what all requests to a tailscaled on its unix socket have in common. */

#include "net/http_client.h"

/* The host is part of the protocol: another one is refused. */
#define LOCAL_API_URL "http://local-tailscaled.sock/localapi/v0/"

enum {
        LOCAL_API_URL_MAX = 128,
        LOCAL_API_PATH_MAX = 107, /* of a socket: sockaddr_un */
};

/* True for status 200 that came in whole. Else false with `err`: which socket, why, and what a
 * person can do. ERR_MISSING "NoSocket", ERR_DENIED "SocketDenied", "Forbidden", ERR_TRANSIENT
 * "NotListening" and others, ERR_INVALID "NotTailscaled". */
bool local_api_check(const HttpResult *result, const char *socket, Err *err) MUST_USE;
