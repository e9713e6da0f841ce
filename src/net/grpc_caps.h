/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a peer of the gRPC server can make grow, take or delay, and how far. The callers are a few
 * Envoy Gateways and Envoys, so each number is far above their need and far below harm.
 */

#include "base/instant.h"

#include <stddef.h>

#define GRPC_MIB ((size_t)1 << 20)

/* Those that tests, or an administrator, may set otherwise. */
typedef struct GrpcCaps {
        size_t connections;  /* of one server */
        size_t streams;      /* open at once, of all connections */
        size_t message;      /* bytes of one request message */
        size_t buffered_in;  /* bytes of all requests that are held */
        size_t buffered_out; /* bytes of all answers that wait to be sent */
} GrpcCaps;

extern const GrpcCaps grpc_caps_default;

enum {
        /* A caller holds one connection; it costs 14 KiB. When all are taken, one that no handler
         * works for makes room for the new one; there are so many of them that a new one has time
         * to send its first call while others flood in. */
        GRPC_CONNECTIONS_MAX = 512,
        /* Envoy Gateway calls one after the other, per xDS translation. */
        GRPC_STREAMS_MAX = 128,        /* of one connection: SETTINGS_MAX_CONCURRENT_STREAMS */
        GRPC_STREAMS_TOTAL_MAX = 1024, /* a stream costs about 1 KiB before its first DATA */

        /* gRPC metadata of our callers is below 500 bytes in 10 fields. */
        GRPC_HEADER_BYTES_MAX = 16 << 10, /* SETTINGS_MAX_HEADER_LIST_SIZE (RFC 9113 6.5.2) */
        GRPC_HEADERS_MAX = 100,
        /* 16 KiB of headers fit one frame; some slack for peers that cut small. */
        GRPC_CONTINUATIONS_MAX = 8,
        GRPC_SETTINGS_ENTRIES_MAX = 32, /* of one SETTINGS frame; six are defined */

        /* 64 streams to a window, four windows a connection: 64 MiB on a local socket are bound by
         * copying, not by waiting for WINDOW_UPDATE, and what is received is buffered at once. */
        GRPC_STREAM_WINDOW = 1 << 20,
        GRPC_CONNECTION_WINDOW = 4 << 20,

        /* Resets that a peer sends (rapid reset, CVE-2023-44487) or makes us send (CVE-2025-8671):
         * so many at once, so many a second after. Above it the connection is closed. */
        GRPC_RESETS_BURST = 200,
        GRPC_RESETS_RATE = 20,
        /* Frames that cost work and carry nothing (PING, SETTINGS, PRIORITY, unknown types, empty
         * DATA). grpc-go sends a PING per round trip while it receives. */
        GRPC_IDLE_FRAMES_BURST = 10000,
        GRPC_IDLE_FRAMES_RATE = 1000,
        /* Answers to PING and SETTINGS that wait because the peer does not read. */
        GRPC_ACKS_MAX = 200,

        /* Messages of one stream that wait to be sent: a health watcher needs the last. */
        GRPC_SEND_QUEUE_MAX = 8,
        /* Of grpc-message, before its encoding makes it up to three times as long. */
        GRPC_TEXT_MAX = 1024,

        /* Seconds. TLS, preface and SETTINGS come with the first packets of an honest peer. */
        GRPC_HANDSHAKE_S = 10,
        /* A connection that was not served within this is the first to make room for another. */
        GRPC_FRESH_S = 1,
        /* Without an open call; the peer connects again when it needs to. */
        GRPC_IDLE_S = 1800,
        /* A request of which nothing comes, an answer of which nothing is read. */
        GRPC_STALL_S = 30,
        /* A whole request, a whole answer, however steadily it drips. */
        GRPC_TRANSFER_S = 120,
        /* A call's grpc-timeout above this is no deadline (the field allows 11,000 years). */
        GRPC_DEADLINE_MAX_S = 24 * 3600,
        /* For the peer to read why it was closed. */
        GRPC_LINGER_S = 1,
        /* Under TLS: by then what stands in a certificate, and the clock, is looked at again. */
        GRPC_TLS_AGE_S = 24 * 3600,
        /* After the last GOAWAY. Calls end before; a watch of health would never, and begins again
         * on another connection. */
        GRPC_GONE_S = 300,
        /* Between the two GOAWAYs, where the peer does not answer the PING between them. */
        GRPC_GOAWAY_S = 1,
};
