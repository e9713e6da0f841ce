/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * HTTP client: requests with at most a small body, over http and https (libcurl), on the loop. One
 * client serves all who ask; it keeps connections between requests.
 *
 * A request ends with exactly one on_done, delivered from the loop, never from inside libcurl or
 * the call that began it; after http_request_close nothing is delivered. The deadline is a timer
 * of the loop. Redirects are never followed and proxies of the environment are ignored: a
 * credential goes where its owner said, or nowhere. For the same reason plain http is spoken with
 * loopback and private addresses only.
 */

#include "base/err.h"
#include "base/instant.h"
#include "base/secret.h"
#include "io/loop.h"

enum {
        /* Connections open at once; what is beyond waits within its own deadline. 256 tailnets may
         * each have a stream of events, which keeps one for ever; so has each watch of an API
         * server: of seven kinds in 64 namespaces, and of a Secret for each tailnet. */
        HTTP_CLIENT_CONNECTIONS_MAX = 256 + 64 + 7 * 64 + 256,
        /* All header lines of one answer, 1xx included: a hundred times what is honest. */
        HTTP_CLIENT_HEADERS_MAX = 64 << 10,
        /* Kept of the body of an answer that is not 2xx; enough for its message. */
        HTTP_CLIENT_ERROR_BODY_MAX = 4 << 10,
        HTTP_CLIENT_URL_MAX = 4 << 10,
        HTTP_CLIENT_ETAG_MAX = 256, /* that is sent back; digests are a quarter of it */
        /* Sent of one request; an API server takes 3 MiB. */
        HTTP_CLIENT_BODY_MAX = 3 << 20,
        /* The longest Retry-After that is believed. */
        HTTP_CLIENT_RETRY_AFTER_MAX_S = 3600,
};

typedef struct HttpClient HttpClient;
typedef struct HttpRequest HttpRequest;

/* Valid within on_done only. */
typedef struct HttpResult {
        /* ERR_NONE: an answer came in whole, whatever its status. ERR_INVALID "RedirectRefused",
         * "BadURL", "BadETag", "BodyTooLarge", "BadCredential", "PlainHttpRefused", "BodyRefused"
         * (on_body said no); ERR_LIMIT "AnswerTooLarge"; ERR_TRANSIENT "Timeout", "ConnectFailed",
         * "TunnelRefused" (the proxy answered CONNECT with a refusal), "NameNotFound", "TLSFailed",
         * "AnswerCutShort", "TransferFailed". */
        Err err;
        int errnum;       /* of "ConnectFailed": why, an errno value; 0: not known */
        unsigned status;  /* 0: none came */
        Span retry_after; /* at most HTTP_CLIENT_RETRY_AFTER_MAX_S; 0: not said */
        Wall date;        /* that the answer bears (RFC 9110 6.6.1); 0: none */
        Str content_type; /* or empty */
        Str etag;         /* as it came (RFC 9110 8.8.3), quotes and all; or empty */
        Str body;         /* of 2xx where there is no on_body; else its first bytes */
        uint64_t bytes;   /* of the body that came */
        Span took;
} HttpResult;

/* A piece of the body of a 2xx answer. It is called from inside libcurl, so it may feed a codec and
 * nothing else: no request is begun or closed, nothing is delivered. False ends the request. */
typedef bool HttpBodyFn(HttpRequest *r, Str chunk);
typedef void HttpDoneFn(HttpRequest *r, const HttpResult *result);

/* Whom one request believes, and who we are in it, instead of the client's own; texts and bytes are
 * copied, files are read when a connection is made (`ca_file` within a minute of its change).
 * Where both bytes and a file are given, the bytes count. */
typedef struct HttpTls {
        const char *ca_file; /* PEM; with no ca_pem either: as the client does */
        Str ca_pem;
        const char *cert_file; /* our certificate; NULL and no cert_pem: none is shown */
        Str cert_pem;
        const char *key_file;
        const Secret *key_pem;
        const char *server_name; /* that the handshake asks for and the certificate must have,
                                    instead of the URL's host. May be NULL */
        bool insecure;           /* any certificate will do: somebody wrote that down */
} HttpTls;

typedef struct HttpRequestInput {
        const char *url;      /* copied; "http://" or "https://" */
        const Secret *bearer; /* "Authorization: Bearer"; read while opening. May be NULL */
        const Secret *form;   /* a POST of this as application/x-www-form-urlencoded; copied, and
                                 wiped with the request. NULL: a GET */
        const char *method; /* "PUT", "PATCH", "DELETE", …; copied. NULL: a POST where there is a
                               body, else a GET */
        const char *content_type; /* of `form`, which then is a body of that type; or of `body`,
                                     which is not looked at without. Copied. May be NULL */
        Str body;                 /* sent; copied; at most HTTP_CLIENT_BODY_MAX */
        const HttpTls *tls;       /* read while opening. May be NULL */
        bool http1; /* HTTP/1.1 at most: then a connection that went dead is gone with its request,
                       and not kept for the next */
        bool fresh; /* over a connection that is made now: those that are kept may be dead */
        const char *accept; /* media type; copied. May be NULL */
        Str if_match; /* of an answer's etag: the request is for what it had, and nothing else;
                         copied. Empty: for whatever is there */
        const char *
                unix_socket; /* path to connect to instead of the URL's host; copied. May be NULL */
        const char *tunnel;  /* an HTTP CONNECT proxy that leads to the URL's host: "IP:port" or
                                "[IP]:port"; copied. May be NULL */
        bool connect_only;   /* ends well when the connection stands (through the tunnel, and with
                                https the handshake is done); nothing is asked, status is 0 */
        bool is_probe; /* nothing is told and nothing believed: any certificate will do, and plain
                          http to any address; never with a credential */
        Span deadline; /* for everything, from now on; after it nothing is sent any more, also
                          where the process was stopped. 0: none, for a body without end */
        size_t max_refusal; /* kept of the body of an answer that is not 2xx; 0:
                               HTTP_CLIENT_ERROR_BODY_MAX */
        size_t max_bytes;   /* of the body; 0, with on_body only: no cap, what is fed has its own */
        HttpBodyFn *on_body; /* NULL: the body is kept for on_done */
        HttpDoneFn *on_done;
        void *owner;
} HttpRequestInput;

/* One for all who ask; `loop` is borrowed. `ca_file`: PEM certificates to trust instead of the
 * system's (NULL: the system's); copied. Aborts where libcurl cannot begin. */
HttpClient *http_client_new(Loop *loop, const char *ca_file) MUST_USE;
/* All requests must have been closed. NULL is welcome. Returns NULL. */
HttpClient *http_client_free(HttpClient *c);

/* Begins a request. Never NULL: what is wrong with the input is told by on_done, too. The request
 * is the caller's until it closes it, also after on_done. */
HttpRequest *http_request_open(HttpClient *c, const HttpRequestInput *in) MUST_USE;
void *http_request_owner(const HttpRequest *r);
/* Aborts what is still under way and frees; nothing is delivered after. Allowed in on_done, not in
 * on_body. NULL is welcome. Returns NULL. */
HttpRequest *http_request_close(HttpRequest *r);
