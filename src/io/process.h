/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Process: another program, started without a shell, and what it writes to its standard output, in
 * its time and below a cap. For commands; what runs for long starts none.
 *
 * It ends with exactly one on_done, from the loop, never from the call that began it; after its
 * close with none.
 */

#include "base/err.h"
#include "io/loop.h"

typedef struct Process Process;

/* Valid within on_done only. */
typedef struct ProcessResult {
        /* ERR_NONE: it ended by itself with exit code 0. ERR_MISSING "NoProgram"; ERR_INVALID
         * "ProgramFailed" (another exit code, or a signal); ERR_TRANSIENT "Timeout"; ERR_LIMIT
         * "TooMuchOutput"; what the system says where it cannot be started. */
        Err err;
        Str out; /* what it wrote until then; wiped with the close */
} ProcessResult;

typedef void ProcessFn(Process *p, const ProcessResult *result);

/* All is read while opening. */
typedef struct ProcessInput {
        const char *const *argv; /* ends in NULL; a first one without slash is looked for in PATH,
                                    the one of this process */
        const char *const *env;  /* "NAME=value"; ends in NULL */
        bool talks; /* it may ask people: our standard input is its own, as its terminal is. Else
                       it has none, and what it started is killed with it */
        Span timeout;
        size_t max_bytes; /* of `out` */
        ProcessFn *on_done;
        void *owner;
} ProcessInput;

/* Its standard error is ours. Never NULL; it is the caller's until it closes it, also after
 * on_done. */
Process *process_open(Loop *l, const ProcessInput *in) MUST_USE;
void *process_owner(const Process *p);
/* Kills what still runs. NULL is welcome; returns NULL. */
Process *process_close(Process *p);
