/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For unit tests only: a server on the test's own loop that answers each connection with given
 * bytes, however wrong they are. Header only, because test code is in no library.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/mem.h"
#include "io/loop.h"

typedef enum ScriptEnd {
        SCRIPT_CLOSE,   /* after the answer */
        SCRIPT_KEEP,    /* the connection is ready for a next request */
        SCRIPT_STALL,   /* open, and nothing more comes */
        SCRIPT_ENDLESS, /* the last byte of the answer is repeated for ever */
} ScriptEnd;

enum {
        SCRIPT_PATHS_MAX = 4,
        SCRIPT_BACKLOG = 1024,
};

/* An answer to requests whose target begins so; borrowed. */
typedef struct ScriptPath {
        const char *target, *answer;
        ScriptEnd end;
        size_t n_requests;
} ScriptPath;

typedef struct ScriptServer ScriptServer;
/* What a request is answered with, whose beginning this is; NULL: as without. */
typedef ScriptPath *ScriptFind(ScriptServer *s, Str request);

struct ScriptServer {
        Loop *loop;
        int fd;
        uint16_t port;
        FdSource accept;
        Link conns;   /* of ScriptConn */
        Str answer;   /* borrowed; may be changed between requests */
        size_t slice; /* bytes sent a turn; 0: all */
        ScriptEnd end;
        ScriptPath paths[SCRIPT_PATHS_MAX]; /* the first that fits; else `answer` */
        Buf request;                        /* the last one that came whole */
        size_t n_requests, n_conns;
        ScriptFind *find; /* asked first; NULL: there is none */
};

typedef struct ScriptConn {
        Link link;
        ScriptServer *server;
        FdSource source;
        Buf in;
        ScriptPath *path; /* of the last request; NULL: none of the paths */
        size_t sent;
        bool answering;
} ScriptConn;

static inline void script_conn_free(ScriptConn *c)
{
        int fd = c->source.fd;

        fd_source_close(&c->source);
        close(fd);
        link_remove(&c->link);
        buf_done(&c->in);
        mem_free(c);
}

/* Head and, where it has a length, body. */
static inline bool script_is_whole(Str in)
{
        ptrdiff_t end = str_find_str(in, STR("\r\n\r\n"));
        ptrdiff_t length = str_find_str(in, STR("\r\nContent-Length: "));
        Str value;
        uint64_t n = 0;

        if (end >= 0 && length >= 0 && length < end) {
                Str rest = str_sub(in, (size_t)length + strlen("\r\nContent-Length: "), SIZE_MAX);

                INSIST(str_cut(&rest, '\r', &value) && str_to_u64(value, 1 << 20, &n));
        }
        return end >= 0 && in.n >= (size_t)end + 4 + n;
}

static inline ScriptPath *script_find_path(ScriptServer *s, Str request)
{
        Str method;
        ScriptPath *found = s->find != NULL ? s->find(s, request) : NULL;

        if (found != NULL || !str_cut(&request, ' ', &method))
                return found;
        for (size_t i = 0; i < SCRIPT_PATHS_MAX; i++)
                if (s->paths[i].target != NULL && str_starts(request, str_of(s->paths[i].target)))
                        return &s->paths[i];
        return NULL;
}

/* True where the connection goes on. */
static inline bool script_send(ScriptConn *c)
{
        ScriptServer *s = c->server;
        char filler[4096];
        Str answer = c->path != NULL ? str_of(c->path->answer) : s->answer;
        ScriptEnd end = c->path != NULL ? c->path->end : s->end;
        Str rest = str_sub(answer, c->sent, s->slice > 0 ? s->slice : SIZE_MAX);
        ssize_t n;

        if (rest.n == 0 && end == SCRIPT_ENDLESS) {
                memset(filler, answer.p[answer.n - 1], sizeof(filler));
                rest = str_make(filler, sizeof(filler));
        }
        if (rest.n > 0) {
                n = send(c->source.fd, rest.p, rest.n, MSG_NOSIGNAL);
                if (n < 0)
                        return errno == EAGAIN;
                c->sent += (size_t)n;
        }
        if (c->sent < answer.n || end == SCRIPT_ENDLESS)
                return true;
        c->answering = false;
        c->sent = 0;
        fd_source_want(&c->source, FD_READ);
        return end != SCRIPT_CLOSE;
}

static inline void script_on_conn(FdSource *source, unsigned ready)
{
        ScriptConn *c = CONTAINER_OF(source, ScriptConn, source);
        ScriptServer *s = c->server;
        char in[4096];

        if ((ready & FD_READ) != 0) {
                ssize_t n = recv(source->fd, in, sizeof(in), 0);

                if (n == 0 || (n < 0 && errno != EAGAIN)) {
                        script_conn_free(c);
                        return;
                }
                if (n > 0)
                        buf_add(&c->in, in, (size_t)n);
                if (script_is_whole(buf_str(&c->in)) && !c->answering) {
                        c->answering = true;
                        c->path = script_find_path(s, buf_str(&c->in));
                        if (c->path != NULL)
                                c->path->n_requests++;
                        s->n_requests++;
                        buf_reset(&s->request);
                        buf_add_str(&s->request, buf_str(&c->in));
                        buf_reset(&c->in);
                        fd_source_want(source, FD_READ | FD_WRITE);
                }
        } else if (c->answering && !script_send(c)) {
                script_conn_free(c);
        }
}

static inline void script_on_accept(FdSource *source, unsigned ready)
{
        ScriptServer *s = CONTAINER_OF(source, ScriptServer, accept);
        int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        (void)ready;
        if (fd < 0)
                return;
        ScriptConn *c = mem_new(sizeof(*c));
        c->server = s;
        s->n_conns++;
        buf_init(&c->in, 1 << 20);
        fd_source_init(&c->source, s->loop, fd, script_on_conn);
        fd_source_want(&c->source, FD_READ);
        list_add(&s->conns, &c->link);
}

static inline void script_server_begin(ScriptServer *s, Loop *loop, int fd)
{
        *s = (ScriptServer){.loop = loop, .fd = fd};
        list_init(&s->conns);
        buf_init(&s->request, 1 << 20);
        fd_source_init(&s->accept, loop, s->fd, script_on_accept);
        fd_source_want(&s->accept, FD_READ);
}

/* Listens on 127.0.0.1. */
static inline void script_server_open(ScriptServer *s, Loop *loop)
{
        struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        socklen_t n = sizeof(sa);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        INSIST(fd >= 0 && bind(fd, (struct sockaddr *)&sa, n) == 0 &&
               listen(fd, SCRIPT_BACKLOG) == 0);
        INSIST(getsockname(fd, (struct sockaddr *)&sa, &n) == 0);
        script_server_begin(s, loop, fd);
        s->port = ntohs(sa.sin_port);
}

/* Listens on a unix socket, which the caller removes. */
static inline void script_server_open_unix(ScriptServer *s, Loop *loop, const char *path)
{
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        INSIST(fd >= 0 && strlen(path) < sizeof(sa.sun_path));
        memcpy(sa.sun_path, path, strlen(path) + 1);
        INSIST(bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 &&
               listen(fd, SCRIPT_BACKLOG) == 0);
        script_server_begin(s, loop, fd);
}

/* More bytes for whoever asked for this path and whose answer stalls. Returns how many those are.
 */
static inline size_t script_server_push(ScriptServer *s, const ScriptPath *path, Str bytes)
{
        size_t n = 0;

        LIST_FOREACH (ScriptConn, c, &s->conns, link) {
                if (c->path != path || c->answering)
                        continue;
                INSIST(send(c->source.fd, bytes.p, bytes.n, MSG_NOSIGNAL) == (ssize_t)bytes.n);
                n++;
        }
        return n;
}

/* Ends the connections of those who asked for this path. */
static inline void script_server_drop(ScriptServer *s, const ScriptPath *path)
{
        LIST_FOREACH (ScriptConn, c, &s->conns, link)
                if (c->path == path)
                        script_conn_free(c);
}

static inline void script_server_set(ScriptServer *s, const char *answer, ScriptEnd end)
{
        s->answer = str_of(answer);
        s->end = end;
        s->slice = 0;
}

static inline void script_server_close(ScriptServer *s)
{
        LIST_FOREACH (ScriptConn, c, &s->conns, link)
                script_conn_free(c);
        fd_source_close(&s->accept);
        close(s->fd);
        buf_done(&s->request);
}
