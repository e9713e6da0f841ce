/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Shape: what one long-running process does, from what comes in to what goes out, without what is
 * the process's own (signals, log, command line): so that a test may have several of them on one
 * loop, and a clock of its own.
 */

#include "app/config.h"
#include "io/loop.h"
#include "model/facts.h"
#include "model/world.h"
#include "net/http_client.h"
#include "tailnet/tailnet_source.h"
#include "translate/snapshot.h"

typedef struct ShapeInput {
        Loop *loop; /* borrowed, as is all that follows */
        const Clock *clock;
        Log *log;
        HttpClient *http;
        const Config *config;
        Facts *facts;
        uint64_t seed;                    /* of all jitter, and of the identity's chance */
        TailnetOpenFn *open, *open_local; /* sources; NULL: the real ones */
        void (*on_drained)(void *owner);  /* after shape_drain, once */
        void *owner;
} ShapeInput;

typedef struct Shape Shape;

/* NULL with the reason: an address that cannot be listened on, a directory that cannot be made,
 * nobody who says where the API server is. */
Shape *shape_open(const ShapeInput *in, Err *err) MUST_USE;
/* Reads everything again and asks every tailnet (SIGHUP). */
void shape_reread(Shape *s);
/* The newest; borrowed until the next turn. */
const World *shape_world(const Shape *s);
/* NULL before the first World. */
const Snapshot *shape_snapshot(const Shape *s);
/* Answers what was asked, for at most `deadline`, and gives the Lease back. */
void shape_drain(Shape *s, Span deadline);
/* At once. NULL is welcome. Returns NULL. */
Shape *shape_close(Shape *s);
