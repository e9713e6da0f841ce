/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Generated: the one writer of the shape without Kubernetes: performs a Plan in DIR/endpoints and
 * DIR/envoy-gateway. Files are written in the worker (they are synced to disk), one plan at a time,
 * in the plan's order, and only where their bytes differ from what is there. What another hand
 * changes or removes there is seen, so that it comes back.
 */

#include "base/log.h"
#include "control/plan.h"
#include "io/loop.h"

enum {
        /* Two that write to one directory must not keep the disk busy: what another hand does is
         * answered at once, then at most so often. */
        GENERATED_LOOK_APART_MS = 1000
};

typedef struct Generated Generated;

typedef struct GeneratedInput {
        Loop *loop;
        Log *log;
        const char *dir;              /* copied */
        WriteFact *fact;              /* borrowed; written to */
        void (*on_done)(void *owner); /* a plan was performed, or failed, or
                                         another hand changed something: plan again */
        void *owner;
} GeneratedInput;

/* Makes the directories and reads what is there. */
Generated *generated_open(const GeneratedInput *in, Err *err) MUST_USE;
/* What is outside, borrowed until the next generated_run or delivery. */
const Outside *generated_outside(Generated *g);
/* The Bindings that stand there; one reference. */
const Table *generated_bindings(const Generated *g) MUST_USE;
/* DIR/endpoints. */
const char *generated_endpoints_dir(const Generated *g);
/* Performs what of the plan differs from what is there. False where one is still being performed
 * (on_done tells) or no thread is to be had. Nothing to do is done at once, without on_done. */
bool generated_run(Generated *g, const Plan *plan);
/* Is something being written? Then on_done follows. */
bool generated_is_writing(const Generated *g);
/* Waits for what is being written. NULL is welcome. Returns NULL. */
Generated *generated_close(Generated *g);
