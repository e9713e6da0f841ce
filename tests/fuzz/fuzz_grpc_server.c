/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer of the gRPC server. First byte: 1 preface and SETTINGS are put before, 2 the peer reads
 * nothing, 4 it is cut into pieces of 7 bytes; the rest: what it sends. Then time passes, then it
 * goes; and the server must hold nothing of it.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/h2_conn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
        WITH_PREFACE = 1,
        IS_DEAF = 2,
        IN_PIECES = 4,
        PIECE_BYTES = 7,
        TURNS_MAX = 200,
};

static Mono now = {1000000000};

static Mono on_mono(void *ctx)
{
        (void)ctx;
        return now;
}

static Wall on_wall(void *ctx)
{
        (void)ctx;
        return (Wall){1};
}

static void on_echo(GrpcCall *call)
{
        Buf b;

        buf_init(&b, (size_t)1 << 20);
        buf_add_str(&b, grpc_call_message(call));
        grpc_call_reply(call, &b);
}

static void on_fail(GrpcCall *call)
{
        grpc_call_fail(call, GRPC_ABORTED, grpc_call_message(call));
}

static void on_cancel(GrpcCall *call)
{
        INSIST(grpc_call_user(call) == grpc_call_ctx(call));
}

/* Answers as many messages as its request has bytes, and never ends. */
static void on_stream(GrpcCall *call)
{
        grpc_call_set_user(call, grpc_call_ctx(call));
        grpc_call_on_cancel(call, on_cancel);
        for (size_t i = 0; i < grpc_call_message(call).n; i++) {
                Buf b;
                buf_init(&b, 16);
                buf_add_str(&b, STR("message"));
                IGNORE(grpc_call_send(call, &b), "a full queue is one of the cases");
                buf_done(&b);
        }
}

static GrpcServer *open_server(Loop *loop)
{
        static const GrpcMethod methods[] = {
                {"/e", on_echo, NULL}, {"/f", on_fail, NULL}, {"/s", on_stream, NULL}};
        static const GrpcCaps caps = {.connections = 2,
                                      .streams = 4,
                                      .message = 1000,
                                      .buffered_in = 1500,
                                      .buffered_out = 2000};
        const GrpcServerOptions options = {.caps = &caps};
        Err err;

        GrpcServer *s = grpc_server_open(loop, NULL, &options, methods, LENGTH_OF(methods), &err);
        INSIST(s != NULL);
        return s;
}

static void turn(Loop *loop, int fd, bool deaf)
{
        char sink[4096];

        loop_turn(loop, (Span){0});
        while (!deaf && recv(fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
                continue;
}

static void send_all(Loop *loop, int fd, Str bytes, unsigned how)
{
        size_t piece = (how & IN_PIECES) != 0 ? PIECE_BYTES : 4096;

        for (size_t at = 0; at < bytes.n; at += piece) {
                Str s = str_sub(bytes, at, piece);
                if (send(fd, s.p, s.n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                        return;
                turn(loop, fd, (how & IS_DEAF) != 0);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const Clock clock = {on_mono, on_wall, NULL};
        int fd[2];

        if (size == 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) != 0)
                return 0;
        Loop *loop = loop_new(&clock);
        GrpcServer *s = open_server(loop);
        h2_conn_open(s, fd[0], NULL);
        if ((data[0] & WITH_PREFACE) != 0)
                send_all(loop, fd[1], STR(NGHTTP2_CLIENT_MAGIC "\0\0\0\4\0\0\0\0\0"), 0);
        send_all(loop, fd[1], str_make(data + 1, size - 1), data[0]);
        for (int i = 0; i < 3; i++) {
                turn(loop, fd[1], (data[0] & IS_DEAF) != 0);
                now = mono_add(now, SPAN_S(GRPC_STALL_S + 1));
        }
        close(fd[1]);
        for (int i = 0; i < TURNS_MAX && grpc_server_counters(s)->connections > 0; i++)
                loop_turn(loop, (Span){0});
        loop_turn(loop, (Span){0});
        const GrpcServerCounters *n = grpc_server_counters(s);
        INSIST(n->connections == 0 && n->streams == 0);
        INSIST(n->bytes_buffered_in == 0 && n->bytes_buffered_out == 0);
        INSIST(n->calls_total == n->calls_ok + n->calls_failed + n->calls_cancelled +
                                         n->calls_expired + n->calls_rejected);
        grpc_server_close(s);
        loop_free(loop);
        return 0;
}
