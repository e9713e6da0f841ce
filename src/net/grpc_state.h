/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the files of the gRPC server share: the server, its connections, their calls. Private to
 * grpc_server.c, grpc_call.c, h2_conn.c and h2_session.c.
 *
 * Who may free what:
 *   1. A connection is freed by h2_conn_close alone, which is never called from inside nghttp2 nor
 *      from inside a handler: callbacks ask (`is_done`), the flush at the end does it.
 *   2. A call has two holders: its stream (`conn` is not NULL, it is on conn->calls) and its
 *      handler (stage HELD or CANCELLED). The one that lets go last frees it.
 *   3. A call is on server->ready exactly in the stages QUEUED and CANCELLED.
 *   4. The bytes of an answer are freed with the last of: the call, the batches that hold spans
 *      of it.
 */

#include "base/list.h"
#include "io/listener.h"
#include "io/stream.h"
#include "net/grpc_server.h"
#include "net/h2_out.h"
#include "proto/grpc_frame.h"

#include <nghttp2/nghttp2.h>

typedef struct H2Conn H2Conn;

enum {
        /* One read; no connection has a buffer of its own. */
        GRPC_INPUT_BYTES = 64 << 10,
};

/* Tokens that come back with time; what is dear costs one. */
typedef struct H2Bucket {
        double tokens;
        Mono filled;
} H2Bucket;

typedef struct GrpcListener {
        Listener listener;
        GrpcServer *server;
        TlsServer *tls; /* the server's; NULL: plain */
} GrpcListener;

struct GrpcServer {
        Loop *loop;
        Log *log;
        GrpcCaps caps;
        GrpcDrainedFn *on_drained;
        void *owner;
        TlsServer *tls;      /* owned; NULL: none */
        GrpcMethod *methods; /* owned */
        size_t n_methods;
        GrpcListener *listeners; /* owned */
        size_t n_listeners;
        nghttp2_option *option;               /* owned */
        nghttp2_session_callbacks *callbacks; /* owned */
        uint8_t *input;                       /* owned; what one read takes, for all connections */
        Link conns;                           /* H2Conn.link */
        Link ready;                           /* GrpcCall.ready: for a handler, or on_cancel */
        Link dirty;                           /* H2Conn.dirty: with something to send, or done */
        Post deliver;
        Timer drain;
        GrpcCall *current; /* whose handler runs; NULL once it has answered */
        bool is_draining, is_drained;
        Mono told; /* when a failed handshake was last told; 0: never */
        uint64_t untold;
        GrpcServerCounters n;
};

/* Says in the log that somebody did not get past the TLS handshake, and why; not each time. */
void grpc_server_tell_handshake(GrpcServer *s, const char *why);

typedef enum H2Phase {
        H2_HANDSHAKE, /* TLS, preface and SETTINGS are awaited */
        H2_OPEN,      /* frames go both ways */
        H2_GOING,     /* first GOAWAY sent; the PING behind it is awaited */
        H2_GONE,      /* last GOAWAY sent; open calls finish */
        H2_LINGER,    /* no session any more: bytes are dropped until the peer closes */
} H2Phase;

struct H2Conn {
        Link link, dirty;
        GrpcServer *server;
        Stream stream;
        bool is_greeted;          /* plain, or the TLS handshake was looked at */
        nghttp2_session *session; /* owned; NULL from H2_LINGER on */
        Timer timer;
        H2Phase phase;
        bool is_done;   /* to be closed by the next flush */
        bool is_broken; /* and nothing can be sent any more */
        Link calls;     /* GrpcCall.on_conn, oldest first */
        size_t n_calls;
        Mono opened;
        Mono since;   /* when the phase began; in H2_OPEN, when the last call ended */
        Mono served;  /* when a call was last answered; 0: never */
        Mono until;   /* when it is to go, busy or not; 0: never */
        Mono blocked; /* since when the socket takes nothing; 0: it does */
        Mono batch;   /* since when the output has not been empty; 0: it is */
        H2Bucket idle_frames, resets;
        H2Out out;
};

typedef enum GrpcStage {
        GRPC_STAGE_READING,   /* the request is not whole */
        GRPC_STAGE_QUEUED,    /* whole; waits for its handler */
        GRPC_STAGE_HELD,      /* the handler's */
        GRPC_STAGE_CANCELLED, /* over, but on_cancel has not been delivered */
        GRPC_STAGE_ANSWERED,  /* nobody's; its answer goes out */
} GrpcStage;

struct GrpcCall {
        Link on_conn, ready;
        GrpcServer *server;
        H2Conn *conn; /* NULL: the stream is closed */
        int32_t stream;
        GrpcStage stage;
        const GrpcMethod *method; /* NULL: no such path, or not seen yet */
        void *user;
        GrpcCancelFn *on_cancel;
        Timer timer;
        Mono arrival;
        Mono deadline; /* 0: none */
        Mono began;    /* when the request, or what is to be sent, began */
        Mono moved;    /* when something of it last came or went */

        size_t n_headers, header_bytes;
        bool is_post, is_grpc, is_encoded, is_bad_timeout;
        const char *plain; /* not gRPC: the HTTP status of its answer; else NULL */
        bool is_request_ended;
        GrpcFrameReader request;

        Link messages; /* H2Message.link: to be sent */
        size_t n_messages;
        bool is_responding; /* HEADERS were submitted */
        bool is_finished;   /* nothing follows `messages` but the trailers */
        bool is_reset;      /* RST_STREAM was submitted */
        GrpcStatus status;
        Buf text; /* of grpc-message, encoded */
};
