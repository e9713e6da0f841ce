/* SPDX-License-Identifier: Apache-2.0 */
/* The server is closed with a connection in every state, between turns and inside the delivery of
 * every kind of source; afterwards no handler runs, and every peer sees the end. */
#include "net/http_server.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/testing.h"
#include "net/test_closer.h"

typedef enum State {
        ONLY_LISTENS,
        WAITS_TO_BE_ACCEPTED,
        CONNECTED,
        HALF_A_HEAD,
        HALF_A_BODY,
        WHOLE_REQUEST, /* sent, not read yet: its handler is due in the next turn */
        HALF_ANSWERED,
        ANSWERED, /* and kept for the next request */
        LINGERS,
        STATES,
} State;

enum {
        LARGE = 8 << 20
};

typedef struct Fixture {
        TestClock time;
        Clock clock;
        Loop *loop;
        HttpServer *server;
        int fd;
        unsigned n_calls;
} Fixture;

static void handler(void *ctx, HttpExchange *x)
{
        Fixture *f = ctx;
        f->n_calls++;
        assert_non_null(f->server);
        if (!str_eq(x->path, STR("/large")))
                return;
        INSIST(buf_reserve(&x->out, LARGE));
        memset(x->out.p, 'x', LARGE);
        x->out.n = LARGE;
}

static void close_server(void *ctx)
{
        Fixture *f = ctx;
        f->server = http_server_close(f->server);
}

static void turns(Fixture *f, int n)
{
        while (n-- > 0)
                loop_turn(f->loop, SPAN_MS(0));
}

static void say(const Fixture *f, const char *text)
{
        assert_int_equal(send(f->fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void reach(Fixture *f, State s)
{
        static const char *const said[STATES] = {
                [HALF_A_HEAD] = "GET /x HTTP/1.1\r\nHo",
                [HALF_A_BODY] =
                        "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf",
                [WHOLE_REQUEST] = "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n",
                [HALF_ANSWERED] = "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n",
                [ANSWERED] = "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n",
                [LINGERS] = "NONSENSE\r\n\r\n",
        };
        const Address *a = http_server_address(f->server);
        if (s == ONLY_LISTENS)
                return;
        f->fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(f->fd >= 0);
        assert_int_equal(connect(f->fd, (const struct sockaddr *)&a->sa, a->n), 0);
        if (s == WAITS_TO_BE_ACCEPTED)
                return;
        turns(f, 3);
        if (said[s] != NULL)
                say(f, said[s]);
        if (s != WHOLE_REQUEST)
                turns(f, 8);
}

/* All that was sent is read; then there is the end, as EOF or as a reset. */
static void expect_end(const Fixture *f)
{
        static char bytes[1 << 16];
        ssize_t n;
        while ((n = recv(f->fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
                continue;
        assert_true(n == 0 || errno == ECONNRESET);
}

static void play(State s, CloserKind how)
{
        Fixture f = {.time = {{SPAN_S(1000).ns}, {1}, 0}, .fd = -1};
        Address a;
        f.clock = test_clock(&f.time);
        f.loop = loop_new(&f.clock);
        assert_true(address_parse(STR("tcp://127.0.0.1:0"), &a, NULL));
        f.server = http_server_open(
                &(HttpServerInput){.loop = f.loop, .address = &a, .fn = handler, .ctx = &f}, NULL);
        assert_non_null(f.server);
        reach(&f, s);
        closer_play(f.loop, how, close_server, &f);
        unsigned calls = f.n_calls;
        turns(&f, 4);
        if (f.fd >= 0)
                expect_end(&f);
        test_clock_advance(&f.time, SPAN_S(100));
        turns(&f, 4);
        assert_int_equal(f.n_calls, calls);
        if (f.fd >= 0)
                close(f.fd);
        /* It insists that nothing is left. */
        loop_free(f.loop);
}

static void closed_in_every_state_in_every_way(void **state)
{
        (void)state;
        for (State s = 0; s < STATES; s++) {
                for (CloserKind how = 0; how < CLOSER_KINDS; how++)
                        play(s, how);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(closed_in_every_state_in_every_way),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
