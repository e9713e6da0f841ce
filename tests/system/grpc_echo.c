/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gRPC server by itself, for tests that attack it from outside:
 * grpc_echo [--tls CERTIFICATE KEY CLIENT-CA] ADDRESS…
 *
 * Prints one line per listener ("listening ADDRESS") and then answers
 *   /test.Echo/Echo                 with its request
 *   /test.Echo/Park                 never
 *   /grpc.health.v1.Health/Check    with SERVING
 * until SIGTERM, which drains for five seconds. Exit code 0 where it drained.
 */

#include "net/grpc_server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum {
        ADDRESSES_MAX = 4,
        ANSWER_MAX = 64 << 20
};

typedef struct Echo {
        Loop *loop;
        GrpcServer *server;
        SignalSource term;
} Echo;

static void on_echo(GrpcCall *call)
{
        Buf b;

        buf_init(&b, ANSWER_MAX);
        buf_add_str(&b, grpc_call_message(call));
        grpc_call_reply(call, &b);
}

static void on_check(GrpcCall *call)
{
        Buf b;

        buf_init(&b, 2);
        buf_add_str(&b, STR("\x08\x01")); /* HealthCheckResponse{status: SERVING} */
        grpc_call_reply(call, &b);
}

static void on_cancel(GrpcCall *call)
{
        (void)call;
}

static void on_park(GrpcCall *call)
{
        grpc_call_on_cancel(call, on_cancel);
}

static void on_drained(GrpcServer *s)
{
        Echo *e = grpc_server_owner(s);

        loop_stop(e->loop);
}

static void on_term(SignalSource *s, int signo)
{
        (void)signo;
        grpc_server_drain(CONTAINER_OF(s, Echo, term)->server, SPAN_S(5));
}

static int run(Echo *e, const GrpcTls *tls, const Address *at, size_t n)
{
        static const GrpcMethod methods[] = {
                {"/test.Echo/Echo", on_echo, NULL},
                {"/test.Echo/Park", on_park, NULL},
                {"/grpc.health.v1.Health/Check", on_check, NULL},
        };
        const GrpcServerOptions options = {.addresses = at,
                                           .n_addresses = n,
                                           .tls = tls,
                                           .on_drained = on_drained,
                                           .owner = e};
        Err err;

        e->server = grpc_server_open(e->loop, NULL, &options, methods, LENGTH_OF(methods), &err);
        if (e->server == NULL) {
                fprintf(stderr, "%s\n", err.text);
                return EXIT_FAILURE;
        }
        INSIST(signal_source_open(&e->term, e->loop, SIGTERM, on_term));
        for (size_t i = 0; i < n; i++)
                printf("listening %s\n", grpc_server_address(e->server, i)->text);
        fflush(stdout);
        loop_run(e->loop);
        signal_source_close(&e->term);
        grpc_server_close(e->server);
        return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
        Address at[ADDRESSES_MAX];
        size_t n = 0;
        Err err;
        bool has_tls = argc > 4 && strcmp(argv[1], "--tls") == 0;
        const GrpcTls tls = {has_tls ? argv[2] : NULL, has_tls ? argv[3] : NULL,
                             has_tls ? argv[4] : NULL};

        IGNORE(signal(SIGPIPE, SIG_IGN), "as the program does");
        for (int i = has_tls ? 5 : 1; i < argc && n < ADDRESSES_MAX; i++) {
                if (!address_parse(str_of(argv[i]), &at[n++], &err)) {
                        fprintf(stderr, "%s\n", err.text);
                        return 2;
                }
        }
        if (n == 0) {
                fprintf(stderr, "usage: grpc_echo [--tls CERTIFICATE KEY CLIENT-CA] ADDRESS…\n");
                return 2;
        }
        Echo e = {.loop = loop_new(NULL)};
        int code = run(&e, has_tls ? &tls : NULL, at, n);
        loop_free(e.loop);
        return code;
}
