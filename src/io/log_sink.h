/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * LogSink: writes the lines of a Log to a descriptor (app gives 2) and never waits for its reader.
 * What the descriptor does not take at once stands in a buffer of 64 KiB; a line that does not fit
 * there is dropped as a whole, counted in log->dropped, and told in one line once there is room
 * again. It works before there is a loop, and after.
 *
 * The descriptor is shared with others (the parent's terminal), so O_NONBLOCK is never set on it.
 * SIGPIPE must be ignored by the process.
 */

#include "base/log.h"
#include "io/loop.h"

typedef struct LogSink LogSink;

/* Sets log->now, write and ctx. `log` and `fd` are borrowed and outlive the sink; `clock` (NULL:
 * clock_system) gives the times of the lines. */
LogSink *log_sink_open(Log *log, int fd, const Clock *clock) MUST_USE;
/* From now on `l` empties the buffer when the descriptor can take more; NULL: each line tries to,
 * as before. */
void log_sink_attach(LogSink *s, Loop *l);
/* Gives what is buffered at most 100 ms to leave; then log writes nothing more. NULL is welcome.
 * Returns NULL. */
LogSink *log_sink_close(LogSink *s);
