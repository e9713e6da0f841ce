/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * ServeRecord: which forwards of which tailscaleds are ours: those that we set, or were about to. A
 * tailscaled does not know who set what, and what was set stays when we are gone; so it is written
 * down before it is set, in a file beside what it is about. A forward counts as ours only where it
 * stands to the letter as it is written here.
 */

#include "control/serve_config.h"

/* The name of the file. */
#define SERVE_RECORD_FILE "tailscale-gateway-serve.json"

enum {
        /* Of all tailscaleds together; what is beyond is set, and not known to be ours later. */
        SERVE_RECORD_MAX = 4096,
        SERVE_RECORD_BYTES_MAX = 2 << 20,
};

typedef struct ServeRecord ServeRecord;

/* Reads DIR/SERVE_RECORD_FILE; `dir` (copied) NULL: nothing outlives this process. Never NULL;
 * where the file is there and cannot be read it is empty, with `err`. */
ServeRecord *serve_record_open(const char *dir, Err *err) MUST_USE;
/* What is ours at one socket, in the order of ServeForwards; borrowed until the next change, the
 * array in `arena`. */
ServeForwards serve_record_at(const ServeRecord *r, Arena *arena, Str socket);
/* The sockets of which something is written down, each once, sorted; likewise. */
StrList serve_record_sockets(const ServeRecord *r, Arena *arena);
/* These are ours from now on, besides what is; then what is ours are these alone. False where the
 * file could not be written: it holds for this process all the same. */
bool serve_record_add(ServeRecord *r, Str socket, ServeForwards f, Err *err) MUST_USE;
bool serve_record_set(ServeRecord *r, Str socket, ServeForwards f, Err *err) MUST_USE;
/* NULL is welcome. Returns NULL. */
ServeRecord *serve_record_close(ServeRecord *r);
