/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * HTTP/1.1 server for the admin and metrics addresses: GET, and POST with a small body. A handler
 * is called from the loop, never from inside the library, and answers at once.
 */

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "io/address.h"
#include "io/loop.h"

enum {
        HTTP_SERVER_BODY_MAX = 64 << 10,
        HTTP_SERVER_HEADERS_MAX = 16 << 10,
        HTTP_SERVER_CONNECTIONS_MAX = 128,
        HTTP_SERVER_IDLE_SECONDS = 30,
        HTTP_SERVER_ANSWER_MAX = 256 << 20,
};

typedef enum HttpVerb {
        HTTP_GET,
        HTTP_POST
} HttpVerb;

typedef struct HttpExchange {
        HttpVerb verb;
        Str path;  /* decoded, without query */
        Str query; /* raw, after "?" */
        Str body;
        /* The answer; status 200 and text/plain unless set. */
        unsigned status;
        const char *content_type;
        Buf out; /* max HTTP_SERVER_ANSWER_MAX */
} HttpExchange;

typedef void HttpHandler(void *ctx, HttpExchange *x);

typedef struct HttpServer HttpServer;

/* Serves every path of one address; `fn` answers 404 itself. */
HttpServer *http_server_open(Loop *loop, Log *log, const Address *address, HttpHandler *fn,
                             void *ctx, Err *err) MUST_USE;
/* The address with its real port. */
const Address *http_server_address(const HttpServer *s);
/* NULL is welcome. Returns NULL. */
HttpServer *http_server_close(HttpServer *s);
/* The value of `name` in a query string, percent-decoded into `out` (reset first); false where it
 * is not there. */
bool http_query_get(Str query, Str name, Buf *out);
