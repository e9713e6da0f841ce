/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * ApiError: what an answer means that is not the one that was asked for: one table for all control
 * servers, with a hint for each kind of request, and the server's own words where they are fit to
 * be shown.
 */

#include "net/http_client.h"

typedef enum ApiRequest {
        API_V1_NODES,
        API_V2_DEVICES,
        API_V2_SERVICES,
        API_V2_HOSTS, /* of a Service */
        API_OAUTH,    /* a token for client credentials */
        API_EXCHANGE, /* a token for a workload's identity */
        API_REQUESTS,
} ApiRequest;

enum {
        API_MESSAGE_MAX = 160 /* bytes of a server's own words that are shown */
};

typedef struct ApiAsked {
        ApiRequest what;
        const char *url;       /* for people */
        const Secret *told[2]; /* what the server was told; each may be NULL */
} ApiAsked;

/* True for status 200 that came in whole. Else false with `err` (may be NULL): ERR_DENIED for 401
 * and 403, and for an OAuth error that means the same; ERR_TRANSIENT where asking again may help;
 * ERR_INVALID for the rest. No text holds one of the secrets. */
bool api_error_check(const ApiAsked *asked, const HttpResult *result, Err *err) MUST_USE;
/* Takes a text out of `err` that holds one of the secrets. */
void api_error_hide(const ApiAsked *asked, Err *err);
/* The server's own words in the body of a refusal: RFC 6749 `error` and `error_description`,
 * `message`, or RFC 9457 `detail` or `title`; one line. Empty where there are none, or they hold a
 * secret. Returns `ret`. */
const char *api_error_message(const ApiAsked *asked, Str body, char ret[API_MESSAGE_MAX]);
