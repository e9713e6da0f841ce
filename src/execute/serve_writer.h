/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * ServeWriter: keeps the serve configuration of tailscaleds as a ServePlan has it: reads it through
 * LocalAPI, sets what is ours where it is missing or another (only if nobody has changed it since
 * it was read), takes away what is ours and no longer wished for, and looks again all the time.
 * Somebody else's port is never taken. At the end everything stays as it is: who ends takes no
 * connection with him.
 */

#include "base/log.h"
#include "control/serve_plan.h"
#include "model/facts.h"
#include "net/http_client.h"

enum {
        /* What another hand changes is seen, and mended, within this. */
        SERVE_LOOK_S = 15,
        SERVE_DEADLINE_S = 10, /* of one request: the daemon is on this machine */
        /* Somebody changed it between our read and our write: read again at once, so often. */
        SERVE_RACES_MAX = 5,
        SERVE_BACKOFF_MAX_S = 60, /* 1, 2, 4, … after a failure */
};

typedef struct ServeWriter ServeWriter;

typedef struct ServeWriterInput {
        Loop *loop; /* borrowed, as is all that follows */
        Log *log;
        HttpClient *http;
        Facts *facts;    /* `serves` and `serve_counts` of it are written */
        const char *dir; /* where the record is kept; NULL: nowhere */
        /* Sockets, links followed, must be below it; NULL: they may be anywhere. */
        const char *sockets_dir;
        void (*on_facts)(void *owner); /* facts are others; from the loop */
        void *owner;
} ServeWriterInput;

/* Does nothing before the first plan. Never NULL. */
ServeWriter *serve_writer_open(const ServeWriterInput *in) MUST_USE;
/* From now on this is to be so; the plan is moved out of `plan`, which is empty after. */
void serve_writer_wish(ServeWriter *w, ServePlan *plan);
/* Nothing is ours to write any more, somebody else does it: what stands stays, nothing is asked. */
void serve_writer_rest(ServeWriter *w);
/* Looks at everything now. */
void serve_writer_look(ServeWriter *w);
/* NULL is welcome. Returns NULL. */
ServeWriter *serve_writer_close(ServeWriter *w);
