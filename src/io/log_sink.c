/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How not to block depends on what the descriptor is:
 *
 *    regular file     plain write: it never waits for a reader
 *    socket           send with MSG_DONTWAIT
 *    pipe, terminal   opened again by /proc/self/fd, which gives an open file of its own that may
 *                     be O_NONBLOCK without the other holders of the descriptor noticing
 *    where that fails poll, then one write of at most PIPE_BUF, which a pipe that poll calls
 *                     writable takes whole (pipe(7))
 *
 * Order of lines is kept: while the buffer holds something, nothing is written past it.
 */
#include "io/log_sink.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
        BUFFER_MAX = 64 * 1024,
        CLOSE_WAIT_MS = 100
};

typedef enum Way {
        WAY_WRITE, /* a regular file, or non-blocking */
        WAY_SEND,
        WAY_POLL,
} Way;

struct LogSink {
        Log *log;
        Clock clock;
        int fd;  /* borrowed */
        int own; /* owned, the reopened one; -1: none */
        Way way;
        bool can_be_watched;
        Loop *loop; /* NULL: none */
        FdSource source;
        char *buffer; /* owned; [from, to) waits; NULL until it is needed */
        size_t from, to;
        uint64_t told; /* of log->dropped */
};

static int target(const LogSink *s)
{
        return s->own >= 0 ? s->own : s->fd;
}

static bool is_writable(const LogSink *s, int wait_ms)
{
        struct pollfd p = {.fd = target(s), .events = POLLOUT};

        return poll(&p, 1, wait_ms) == 1 && (p.revents & POLLOUT);
}

/* Bytes that left; 0 where it would block; -1 where nobody will read them. */
static ssize_t try_write(LogSink *s, Str bytes)
{
        ssize_t n;

        if (s->way == WAY_POLL && !is_writable(s, 0))
                return 0;
        if (s->way == WAY_POLL && bytes.n > PIPE_BUF)
                bytes.n = PIPE_BUF;
        do
                n = s->way == WAY_SEND ? send(s->fd, bytes.p, bytes.n, MSG_DONTWAIT | MSG_NOSIGNAL)
                                       : write(target(s), bytes.p, bytes.n);
        while (n < 0 && errno == EINTR);
        if (n < 0 && errno == EAGAIN)
                return 0;
        return n;
}

/* The lines at the beginning that fit into one write that pipes take whole, so that those of other
 * processes do not come between. */
static Str first_lines(Str s)
{
        size_t n = s.n < PIPE_BUF ? s.n : PIPE_BUF;
        const char *end = memrchr(s.p, '\n', n);

        return str_sub(s, 0, end != NULL ? (size_t)(end - s.p) + 1 : n);
}

/* A broken target takes nothing any more: what is kept for it would only be in the way. */
static void give_up(LogSink *s)
{
        for (; s->from < s->to; s->from++)
                s->log->dropped += s->buffer[s->from] == '\n';
}

/* True where nothing is left. */
static bool drain(LogSink *s)
{
        while (s->from < s->to) {
                Str kept = str_make(s->buffer + s->from, s->to - s->from);
                ssize_t n = try_write(s, first_lines(kept));

                if (n == 0)
                        return false;
                if (n > 0)
                        s->from += (size_t)n;
                else
                        give_up(s);
        }
        s->from = s->to = 0;
        return true;
}

/* A file on a full disk takes half a line, and cannot be polled: the next line tries again. */
static void watch(LogSink *s)
{
        if (s->loop != NULL && s->can_be_watched && s->to > 0)
                fd_source_want(&s->source, FD_WRITE);
}

static bool keep(LogSink *s, Str bytes)
{
        if (s->buffer == NULL)
                s->buffer = mem_new(BUFFER_MAX);
        if (s->from > 0 && bytes.n > BUFFER_MAX - s->to) {
                memmove(s->buffer, s->buffer + s->from, s->to - s->from);
                s->to -= s->from;
                s->from = 0;
        }
        if (bytes.n > BUFFER_MAX - s->to)
                return false;
        memcpy(s->buffer + s->to, bytes.p, bytes.n);
        s->to += bytes.n;
        watch(s);
        return true;
}

static void tell_dropped(LogSink *s)
{
        uint64_t n = s->log->dropped - s->told;

        if (n == 0)
                return;
        s->told = s->log->dropped;
        log_error(s->log, "log lines dropped", LOG_INT("lines", n));
}

static void write_line(void *ctx, Str line)
{
        LogSink *s = ctx;
        ssize_t n = 0;

        if (drain(s)) {
                tell_dropped(s);
                if (s->to == 0)
                        n = try_write(s, line);
        }
        if (n == (ssize_t)line.n)
                return;
        if (n < 0 || !keep(s, str_sub(line, (size_t)n, line.n)))
                s->log->dropped++;
}

static void on_writable(FdSource *source, unsigned ready)
{
        LogSink *s = CONTAINER_OF(source, LogSink, source);

        (void)ready;
        if (!drain(s))
                return;
        fd_source_want(source, 0);
        tell_dropped(s);
}

static Wall now(void *ctx)
{
        LogSink *s = ctx;

        return s->clock.wall(s->clock.ctx);
}

static void choose_way(LogSink *s)
{
        char path[32];
        struct stat st;

        s->way = WAY_POLL;
        if (fstat(s->fd, &st) != 0)
                return;
        s->can_be_watched = S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode) || isatty(s->fd);
        if (S_ISREG(st.st_mode))
                s->way = WAY_WRITE;
        if (S_ISSOCK(st.st_mode))
                s->way = WAY_SEND;
        if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
                return;
        IGNORE(snprintf(path, sizeof(path), "/proc/self/fd/%d", s->fd), "fits");
        s->own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (s->own >= 0)
                s->way = WAY_WRITE;
}

LogSink *log_sink_open(Log *log, int fd, const Clock *clock)
{
        LogSink *s = mem_new(sizeof(*s));

        s->log = log;
        s->clock = clock != NULL ? *clock : clock_system;
        s->fd = fd;
        s->own = -1;
        s->told = log->dropped;
        choose_way(s);
        log->now = now;
        log->write = write_line;
        log->ctx = s;
        return s;
}

void log_sink_attach(LogSink *s, Loop *l)
{
        if (s->loop != NULL)
                fd_source_close(&s->source);
        s->loop = l;
        if (l == NULL)
                return;
        fd_source_init(&s->source, l, target(s), on_writable);
        watch(s);
}

LogSink *log_sink_close(LogSink *s)
{
        if (s == NULL)
                return NULL;
        log_sink_attach(s, NULL);
        if (!drain(s) && is_writable(s, CLOSE_WAIT_MS))
                drain(s);
        s->log->write = NULL;
        s->log->ctx = NULL;
        if (s->own >= 0)
                close(s->own);
        mem_free(s->buffer);
        return mem_free(s);
}
