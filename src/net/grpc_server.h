/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * gRPC server: HTTP/2 on unix sockets (plain) and TCP (plain, or under mutual TLS). A method gets
 * one request message and answers with one (unary) or with several over time (server streaming).
 *
 * A handler is called from the loop, never from inside the HTTP/2 library, once the whole request
 * message is there. It answers at once or keeps the call ("parks" it) and answers later. A call
 * belongs to its handler until exactly one of these has happened, and must not be touched after:
 *   - grpc_call_reply or grpc_call_fail was called;
 *   - the function given to grpc_call_on_cancel was called (the peer reset the stream or hung up,
 *     the deadline of grpc-timeout passed, the drain's time is over);
 *   - grpc_server_close was called: whoever keeps parked calls forgets them there.
 *
 * What a peer can make grow is capped: net/grpc_caps.h.
 */

#include "base/buf.h"
#include "base/err.h"
#include "base/instant.h"
#include "base/log.h"
#include "base/metric.h"
#include "io/address.h"
#include "io/loop.h"
#include "net/grpc_caps.h"

typedef struct GrpcServer GrpcServer;
typedef struct GrpcCall GrpcCall;

/* The status codes of gRPC (grpc/doc/statuscodes.md). */
typedef enum GrpcStatus {
        GRPC_OK = 0,
        GRPC_CANCELLED = 1,
        GRPC_UNKNOWN = 2,
        GRPC_INVALID_ARGUMENT = 3,
        GRPC_DEADLINE_EXCEEDED = 4,
        GRPC_NOT_FOUND = 5,
        GRPC_ALREADY_EXISTS = 6,
        GRPC_PERMISSION_DENIED = 7,
        GRPC_RESOURCE_EXHAUSTED = 8,
        GRPC_FAILED_PRECONDITION = 9,
        GRPC_ABORTED = 10,
        GRPC_OUT_OF_RANGE = 11,
        GRPC_UNIMPLEMENTED = 12,
        GRPC_INTERNAL = 13,
        GRPC_UNAVAILABLE = 14,
        GRPC_DATA_LOSS = 15,
        GRPC_UNAUTHENTICATED = 16,
} GrpcStatus;

typedef void GrpcHandler(GrpcCall *call);
typedef void GrpcDrainedFn(GrpcServer *s);

typedef struct GrpcMethod {
        const char *path; /* "/package.Service/Method"; lives as long as the server */
        GrpcHandler *fn;
        void *ctx; /* for the handler: grpc_call_ctx */
} GrpcMethod;

/*
 * Mutual TLS: paths of PEM files, copied; all three. They are read again when they change: new
 * connections are under the new ones at once, those that are open go as in a drain, so that no call
 * is lost. The same where the certificate that a peer showed ends. Who offers no h2 by ALPN is
 * refused; the name that is asked for (SNI) is not looked at: Envoy Gateway sends it with the port.
 */
typedef struct GrpcTls {
        const char *certificate, *key;
        const char *client_ca; /* one of these must have signed a caller's certificate */
} GrpcTls;

typedef struct GrpcServerOptions {
        const Address *addresses; /* read while opening only */
        size_t n_addresses;
        const GrpcTls *tls;   /* of all TCP addresses; NULL: none, and then they must be loopback */
        const GrpcCaps *caps; /* copied; NULL: grpc_caps_default */
        GrpcDrainedFn *on_drained; /* may be NULL */
        void *owner;               /* for on_drained: grpc_server_owner */
} GrpcServerOptions;

/* All plain counters; see grpc_server_metrics for what each means. */
typedef struct GrpcServerCounters {
        int64_t connections; /* open now */
        int64_t streams;     /* open now */
        int64_t bytes_buffered_in, bytes_buffered_out;
        uint64_t connections_total, connections_refused, connections_evicted;
        uint64_t bytes_in, bytes_out;
        uint64_t calls_total, calls_ok, calls_failed, calls_cancelled, calls_expired;
        uint64_t calls_rejected; /* answered here, no handler was called */
        uint64_t resets_in, resets_out;
        uint64_t floods, timeouts, protocol_errors, wrong_protocol;
        uint64_t handshakes_failed;    /* of TLS */
        uint64_t certificates_renewed; /* files that were taken after a change */
        int64_t certificate_ends;      /* Unix time in seconds; 0: no TLS */
} GrpcServerCounters;

/* Listens on all addresses or on none. ERR_INVALID "TLSRequired" where an address is neither a unix
 * socket nor loopback and there is no TLS. `methods` is copied (the paths are not). */
GrpcServer *grpc_server_open(Loop *loop, Log *log, const GrpcServerOptions *options,
                             const GrpcMethod *methods, size_t n, Err *err) MUST_USE;
void *grpc_server_owner(const GrpcServer *s);
/* The address of the i-th listener, with its real port where 0 was asked for. */
const Address *grpc_server_address(const GrpcServer *s, size_t i);
/* Accepts no more, tells each peer to go (GOAWAY in two steps, RFC 9113 6.8), lets open calls
 * finish; what is open after `deadline` is closed and its parked calls are cancelled. Then
 * on_drained is delivered from the loop, once; also where nothing was open. Idempotent. */
void grpc_server_drain(GrpcServer *s, Span deadline);
/* Closes and frees everything at once; nothing is delivered after, on_cancel included. Not from
 * inside a handler or on_cancel. NULL is welcome. Returns NULL. */
GrpcServer *grpc_server_close(GrpcServer *s);
const GrpcServerCounters *grpc_server_counters(const GrpcServer *s);
/* What GrpcServerCounters means, for /metrics. */
extern const MetricTable grpc_server_metrics;

/* The request message without its prefix; borrowed, valid while the call is the handler's. */
Str grpc_call_message(const GrpcCall *call);
/* The `ctx` of the method. */
void *grpc_call_ctx(const GrpcCall *call);
/* When the request's headers came. */
Mono grpc_call_arrival(const GrpcCall *call);
/* One slot for the handler; NULL at first. Nothing frees it. */
void grpc_call_set_user(GrpcCall *call, void *user);
void *grpc_call_user(const GrpcCall *call);
/* Must be set before a handler returns without having answered. Delivered from the loop. */
typedef void GrpcCancelFn(GrpcCall *call);
void grpc_call_on_cancel(GrpcCall *call, GrpcCancelFn *fn);

/* Ends the call with `answer` as its one (or last) message and status OK. Moves the bytes out of
 * `answer`, which is empty after, also where the peer is gone. A failed Buf is answered with
 * RESOURCE_EXHAUSTED, as is one that passes the cap of bytes that wait to be sent. */
void grpc_call_reply(GrpcCall *call, Buf *answer);
/* Ends the call with a status; `text` is for people, any bytes, cut at GRPC_TEXT_MAX. With GRPC_OK
 * it ends a stream of messages. */
void grpc_call_fail(GrpcCall *call, GrpcStatus status, Str text);
/* Sends one message of a stream and keeps the call; moves the bytes out of `message`. False, and
 * nothing taken, where GRPC_SEND_QUEUE_MAX messages wait already or a cap is passed: a peer that
 * reads slower than its messages come. */
bool grpc_call_send(GrpcCall *call, Buf *message) MUST_USE;
