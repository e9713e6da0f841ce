/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For the tests of the gRPC server: one server with three methods, in the thread of its test. Time
 * stands still unless a test moves it. The test includes cmocka before this.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/grpc_server.h"

enum {
        MESSAGE_MAX = 64 << 20,
};

typedef struct World {
        Mono now;
        Wall wall;
        Clock clock;
        Loop *loop;
        char dir[64];
        Address address;
        GrpcServer *server;
        GrpcCall *parked; /* the newest */
        int n_handled, n_cancelled, n_drained;
        bool close_on_drained;
        bool send_refused;
} World;

static inline Mono on_mono(void *ctx)
{
        return ((World *)ctx)->now;
}

static inline Wall on_wall(void *ctx)
{
        return ((World *)ctx)->wall;
}

static inline void copy_message(Buf *b, const GrpcCall *call)
{
        buf_init(b, MESSAGE_MAX);
        buf_add_str(b, grpc_call_message(call));
}

static inline void on_echo(GrpcCall *call)
{
        World *w = grpc_call_ctx(call);
        Buf b;

        w->n_handled++;
        copy_message(&b, call);
        grpc_call_reply(call, &b);
}

static inline void on_cancel(GrpcCall *call)
{
        World *w = grpc_call_user(call);

        w->n_cancelled++;
        if (w->parked == call)
                w->parked = NULL;
}

static inline void on_park(GrpcCall *call)
{
        World *w = grpc_call_ctx(call);

        w->n_handled++;
        w->parked = call;
        assert_int_equal(grpc_call_arrival(call).ns, w->now.ns);
        assert_null(grpc_call_user(call));
        grpc_call_set_user(call, w);
        grpc_call_on_cancel(call, on_cancel);
}

static inline void on_fail(GrpcCall *call)
{
        grpc_call_fail(call, GRPC_NOT_FOUND, STR("no \"x\" at 50%\n"));
}

static inline void on_drained(GrpcServer *s)
{
        World *w = grpc_server_owner(s);

        w->n_drained++;
        if (w->close_on_drained)
                w->server = grpc_server_close(s);
}

static inline void world_open_tls(World *w, const char *address, const GrpcCaps *caps,
                                  const GrpcTls *tls)
{
        *w = (World){.now = {1000000000}, .wall = {1}};
        w->clock = (Clock){on_mono, on_wall, w};
        w->loop = loop_new(&w->clock);
        snprintf(w->dir, sizeof(w->dir), "/tmp/grpc-test-XXXXXX");
        assert_non_null(mkdtemp(w->dir));
        char text[128];
        snprintf(text, sizeof(text), "unix://%s/s", w->dir);
        Address a;
        Err err;
        assert_true(address_parse(str_of(address != NULL ? address : text), &a, &err));
        const GrpcMethod methods[] = {
                {"/t.T/Echo", on_echo, w},
                {"/t.T/Park", on_park, w},
                {"/t.T/Fail", on_fail, w},
        };
        const GrpcServerOptions options = {.addresses = &a,
                                           .n_addresses = 1,
                                           .tls = tls,
                                           .caps = caps,
                                           .on_drained = on_drained,
                                           .owner = w};
        w->server = grpc_server_open(w->loop, NULL, &options, methods, LENGTH_OF(methods), &err);
        assert_non_null(w->server);
        w->address = *grpc_server_address(w->server, 0);
}

static inline void world_open(World *w, const char *address, const GrpcCaps *caps)
{
        world_open_tls(w, address, caps, NULL);
}

static inline void world_close(World *w)
{
        grpc_server_close(w->server);
        loop_free(w->loop);
        rmdir(w->dir);
}

static inline const GrpcServerCounters *counters(const World *w)
{
        return grpc_server_counters(w->server);
}

static inline bool send_byte(GrpcCall *parked, char x)
{
        Buf b;
        buf_init(&b, 16);
        buf_add_char(&b, x);
        bool sent = grpc_call_send(parked, &b);
        buf_done(&b);
        return sent;
}

static inline void reply_hello(GrpcCall *parked)
{
        Buf b;
        buf_init(&b, 16);
        buf_add_str(&b, STR("hello"));
        grpc_call_reply(parked, &b);
        assert_null(b.p);
}

static inline int connect_to(const World *w)
{
        int fd = socket(w->address.sa.ss_family, SOCK_STREAM, 0);
        assert_true(fd >= 0);
        assert_int_equal(connect(fd, (const struct sockaddr *)&w->address.sa, w->address.n), 0);
        return fd;
}

static inline void move(World *w, int64_t seconds)
{
        w->now = mono_add(w->now, SPAN_S(seconds));
        w->wall.ms += seconds * 1000;
}

static inline void assert_eof(World *w, int fd)
{
        char x[4096];
        ssize_t n = -1;
        for (int i = 0; i < 1000 && n != 0; i++) {
                loop_turn(w->loop, SPAN_MS(1));
                n = recv(fd, x, sizeof(x), MSG_DONTWAIT);
        }
        assert_int_equal(n, 0);
}
