/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * HTTP/1.1 server for the admin, metrics and webhook addresses: GET, and POST with a small body,
 * plain or under TLS. A handler is called from the loop and answers at once; it does not close the
 * server.
 *
 * On a loopback address a request whose Host is a name other than localhost, and a POST whose
 * Origin is another than its Host, are refused: a web page must not reach a local port through the
 * browser of whoever opens it.
 */

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "io/address.h"
#include "io/loop.h"
#include "io/tls.h"

enum {
        HTTP_SERVER_BODY_MAX = 64 << 10,    /* a request to approve something is below 1 KiB */
        HTTP_SERVER_HEADERS_MAX = 16 << 10, /* a browser's are below 4 KiB */
        /* Scrapers, commands, a dashboard or two. When all are taken, the one that has been idle
         * longest makes room. */
        HTTP_SERVER_CONNECTIONS_MAX = 128,
        /* For a request to come whole, for the next one to begin, for 64 KiB to be read. */
        HTTP_SERVER_IDLE_SECONDS = 30,
        HTTP_SERVER_ANSWER_MAX = 256 << 20, /* the state of the largest World is a tenth of it */
};

typedef enum HttpVerb {
        HTTP_GET,
        HTTP_POST
} HttpVerb;

typedef struct HttpExchange {
        HttpVerb verb;
        Str path;   /* decoded, without query; no control characters */
        Str query;  /* raw, after "?" */
        Str fields; /* the header's lines, for http_field_get */
        Str body;
        /* The answer; status 200, text/plain and (of 405) "GET, POST" unless set. */
        unsigned status;
        const char *content_type;
        const char *allow;
        Buf out; /* max HTTP_SERVER_ANSWER_MAX */
} HttpExchange;

/* What is in `x` is valid until it returns. An answer above the cap becomes a 500. */
typedef void HttpHandler(void *ctx, HttpExchange *x);

typedef struct HttpServer HttpServer;

typedef struct HttpServerInput {
        Loop *loop;
        Log *log;
        const Address *address; /* copied */
        TlsServer *tls;         /* borrowed; NULL: plain */
        bool any_host; /* who asks shows it otherwise, or stands behind a proxy that passes on the
                          Host it was asked for: on a loopback address nobody is refused for that */
        HttpHandler *fn;
        void *ctx;
} HttpServerInput;

/* Serves every path of one address; `fn` answers 404 itself. */
HttpServer *http_server_open(const HttpServerInput *in, Err *err) MUST_USE;
/* The address with its real port. */
const Address *http_server_address(const HttpServer *s);
/* At once, whatever the connections are doing; nothing is called after. NULL is welcome. Returns
 * NULL. */
HttpServer *http_server_close(HttpServer *s);
/* The value of `name` in a query string, percent-decoded into `out` (reset first); false where it
 * is not there. */
bool http_query_get(Str query, Str name, Buf *out);
/* The value of the field `name` (any case), trimmed; false where it is not there, or twice. */
bool http_field_get(Str fields, Str name, Str *ret);
