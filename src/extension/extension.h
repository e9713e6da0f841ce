/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Extension: the gRPC face towards Envoy Gateway: the six hooks and grpc.health.v1. It computes
 * nothing: each call goes to translate with the newest Snapshot; it waits where translate says so,
 * and writes down in Facts what happened.
 */

#include "base/log.h"
#include "io/address.h"
#include "io/loop.h"
#include "model/facts.h"
#include "net/grpc_server.h"
#include "translate/snapshot.h"

enum {
        /* A hook must never hold up Envoy Gateway's one translation goroutine: after this the
         * newest is answered, or UNAVAILABLE. */
        EXTENSION_PARK_MS = 500,
        /* Envoy Gateway calls one at a time; more than this many that wait are somebody else's. */
        EXTENSION_PARKED_MAX = 64,
        EXTENSION_WATCHERS_MAX = 64, /* streams of grpc.health.v1 Watch */
};

typedef struct ExtensionInput {
        Loop *loop;
        Log *log;
        const Clock *clock;
        const Address *addresses;
        size_t n_addresses;
        const GrpcTls *tls; /* read while opening only; NULL: none, and then every address must be a
                               unix socket or loopback */
        Facts *facts;       /* borrowed; written to */
        void (*on_facts)(void *owner);   /* the hook facts changed in a way that control should see;
                                            may be NULL */
        void (*on_drained)(void *owner); /* see extension_drain; may be NULL */
        void *owner;
} ExtensionInput;

typedef struct Extension Extension;

/* Listens on every address or on none; NULL with the reason. Calls are refused as UNAVAILABLE until
 * the first extension_publish. */
Extension *extension_open(const ExtensionInput *in, Err *err) MUST_USE;
/* Answers from this Snapshot from now on (a reference is taken), those that wait included. */
void extension_publish(Extension *x, const Snapshot *snapshot);
/* Accepts no more, lets calls finish for at most `deadline`, then on_drained. */
void extension_drain(Extension *x, Span deadline);
const GrpcServerCounters *extension_counters(const Extension *x);
/* NULL is welcome. Returns NULL. */
Extension *extension_close(Extension *x);
