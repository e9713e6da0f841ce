/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * ServeConfig: what a tailscaled does with connections to ports of its tailnet address, as its
 * LocalAPI has it (ipn.ServeConfig of tailscale.com, 1.96 to 1.102), and what is to be changed in
 * it so that our ports lead to Envoy. Pure.
 *
 * We have plain TCP forwards that send the PROXY protocol's version 2, and nothing else. What we do
 * not know is given back as it came: other ports, web handlers, foreground sessions, Services,
 * funnels, and fields of versions to come.
 */

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "proto/tree.h"

enum {
        /* Of a whole configuration. A person's has a few KiB; one with thousands of handlers fits.
         */
        SERVE_CONFIG_BYTES_MAX = 1 << 20,
        SERVE_CONFIG_NODES_MAX = 64 << 10,
        /* Ports of one tailscaled that lead to us: 16 of an entry, of a few entries. */
        SERVE_FORWARDS_MAX = 256,
};

/* One port of the tailnet, and where its connections go. */
typedef struct ServeForward {
        uint16_t port;
        Str target; /* "127.0.0.1:10443", "[fd00::1]:443" */
} ServeForward;

typedef struct ServeForwards {
        const ServeForward *at; /* sorted by port, then target */
        size_t n;
} ServeForwards;

typedef enum ServeVerdict {
        SERVE_STANDS,     /* there is nothing to do */
        SERVE_SETS,       /* `next` has it */
        SERVE_PORT_TAKEN, /* somebody else has the port: it stays his */
        SERVE_FUNNEL_ON,  /* the port is open to the internet: then nothing of ours may be there */
} ServeVerdict;

typedef struct ServeDecision {
        ServeVerdict verdict;
        Str text; /* who has the port; empty where the port is ours; arena */
} ServeDecision;

typedef struct ServeStep {
        ServeDecision *decisions; /* of each that is wanted, in that order; arena */
        size_t n_removed;         /* forwards of ours that are in `config` and not in `next` */
        bool is_changed;          /* false: `next` says what `config` does */
} ServeStep;

/* The answer to GET serve-config; a `null` is an empty configuration. NULL with ERR_INVALID
 * "NotServeConfig" where it is none, or has a key twice. */
const Tree *serve_config_read(Arena *arena, Str bytes, Err *err) MUST_USE;

/*
 * What is to stand there next. `wanted` has each port once. A forward is ours where it stands as it
 * is wanted, or as one of `known` (what we set before, which may have a port several times); any
 * other is somebody else's, whatever it looks like. Ours that are not wanted go.
 *
 * `next` gets the whole configuration, as JSON; it fails where that is above its maximum.
 */
void serve_config_step(Arena *arena, const Tree *config, ServeForwards wanted, ServeForwards known,
                       Buf *next, ServeStep *ret);

/* By port, then target. */
int serve_forward_cmp(const ServeForward *a, const ServeForward *b);
