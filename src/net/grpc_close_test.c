/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server is closed with a call in every state, between turns and inside the delivery of every
 * kind of source; afterwards nobody is told anything. And calls are answered inside the deliveries
 * of others, also when they are about to be told that they are cancelled.
 */
#include "net/grpc_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/grpc_test_client.h"
#include "net/test_closer.h"

typedef enum State {
        ONLY_LISTENS,
        WAITS_TO_BE_ACCEPTED,
        NO_PREFACE,
        HALF_A_REQUEST,
        WHOLE_REQUEST, /* sent, not read yet: its handler is due in the next turn */
        PARKED,
        STREAMS,         /* parked, with messages that nobody reads */
        ANSWERED_UNREAD, /* the peer's window is shut */
        RESET,           /* parked; its cancellation is due in the next turn */
        EXPIRED,         /* the same by its deadline */
        DRAINS,
        DRAINED, /* its delivery is due in the next turn */
        STATES,
} State;

typedef struct Scene {
        World w;
        Client *client; /* or NULL */
        int fd;         /* without HTTP/2; -1: none */
} Scene;

static void close_server(void *ctx)
{
        World *w = ctx;
        w->server = grpc_server_close(w->server);
        w->parked = NULL;
}

static void until_parked(Scene *s, const char *timeout)
{
        const Request r = {.path = "/t.T/Park", .body = HELLO, .timeout = timeout};
        client_send(s->client, &r);
        PUMP_UNTIL(s->client, s->w.parked != NULL);
}

/* Those with a client of HTTP/2, which has a connection that is served. */
static void reach_call(Scene *s, State state)
{
        const Request half = {.body = HELLO, .holds = true};
        s->client = client_open(&s->w, state == ANSWERED_UNREAD || state == STREAMS ? 0 : -1);
        settle(s->client);
        if (state == HALF_A_REQUEST) {
                client_send(s->client, &half);
                settle(s->client);
        }
        if (state == WHOLE_REQUEST || state == ANSWERED_UNREAD)
                call(s->client, "/t.T/Echo");
        if (state == ANSWERED_UNREAD)
                settle(s->client);
        if (state == PARKED || state == STREAMS || state == RESET || state == DRAINS)
                until_parked(s, NULL);
        if (state == STREAMS)
                assert_true(send_byte(s->w.parked, 'a') && send_byte(s->w.parked, 'b'));
        if (state == RESET)
                nghttp2_submit_rst_stream(s->client->session, 0, 1, NGHTTP2_CANCEL);
        if (state == EXPIRED) {
                until_parked(s, "5S");
                move(&s->w, 5);
        }
        if (state == DRAINS)
                grpc_server_drain(s->w.server, SPAN_S(10));
        client_write(s->client);
}

static void reach(Scene *s, State state)
{
        world_open(&s->w, NULL, NULL);
        s->client = NULL;
        s->fd = -1;
        if (state == WAITS_TO_BE_ACCEPTED || state == NO_PREFACE)
                s->fd = connect_to(&s->w);
        if (state == NO_PREFACE)
                loop_turn(s->w.loop, SPAN_MS(1));
        if (state == DRAINED)
                grpc_server_drain(s->w.server, SPAN_S(10));
        if (state >= HALF_A_REQUEST && state != DRAINED)
                reach_call(s, state);
}

static void play(State state, CloserKind how)
{
        Scene s;
        reach(&s, state);
        closer_play(s.w.loop, how, close_server, &s.w);
        int told = s.w.n_handled + s.w.n_cancelled + s.w.n_drained;
        for (int i = 0; i < 4; i++)
                loop_turn(s.w.loop, SPAN_MS(0));
        move(&s.w, 100000);
        for (int i = 0; i < 4; i++)
                loop_turn(s.w.loop, SPAN_MS(0));
        assert_int_equal(s.w.n_handled + s.w.n_cancelled + s.w.n_drained, told);
        if (s.client != NULL)
                client_close(s.client);
        if (s.fd >= 0)
                close(s.fd);
        world_close(&s.w);
}

static void closed_in_every_state_in_every_way(void **state)
{
        (void)state;
        for (State s = 0; s < STATES; s++) {
                for (CloserKind how = 0; how < CLOSER_KINDS; how++)
                        play(s, how);
        }
}

static void closed_inside_on_drained(void **state)
{
        (void)state;
        for (State st = 0; st < STATES; st++) {
                Scene s;
                reach(&s, st);
                s.w.close_on_drained = true;
                grpc_server_drain(s.w.server, SPAN_S(1));
                for (int i = 0; i < 200 && s.w.server != NULL; i++) {
                        loop_turn(s.w.loop, SPAN_MS(0));
                        if (i % 10 == 9)
                                move(&s.w, 1);
                }
                assert_null(s.w.server);
                assert_int_equal(s.w.n_drained, 1);
                if (s.client != NULL)
                        client_close(s.client);
                if (s.fd >= 0)
                        close(s.fd);
                world_close(&s.w);
        }
}

/* ---- calls inside the deliveries of others ---- */

typedef struct Pair {
        World w; /* for its loop and directory; its server has other methods */
        GrpcServer *server;
        GrpcCall *held[2];
        int n_held, n_cancelled;
        bool answers_other;
} Pair;

static void on_pair_cancel(GrpcCall *call)
{
        Pair *p = grpc_call_user(call);
        p->n_cancelled++;
        int i = p->held[0] == call ? 0 : 1;
        assert_ptr_equal(p->held[i], call);
        p->held[i] = NULL;
        if (!p->answers_other || p->held[1 - i] == NULL)
                return;
        reply_hello(p->held[1 - i]);
        p->held[1 - i] = NULL;
}

static void on_hold(GrpcCall *call)
{
        Pair *p = grpc_call_ctx(call);
        assert_true(p->n_held < 2);
        p->held[p->n_held++] = call;
        grpc_call_set_user(call, p);
        grpc_call_on_cancel(call, on_pair_cancel);
}

/* Answers itself and all that are held, in the delivery of its own. */
static void on_release(GrpcCall *call)
{
        Pair *p = grpc_call_ctx(call);
        for (int i = 0; i < 2; i++) {
                if (p->held[i] != NULL)
                        reply_hello(p->held[i]);
                p->held[i] = NULL;
        }
        reply_hello(call);
}

static void pair_open(Pair *p)
{
        *p = (Pair){0};
        world_open(&p->w, NULL, NULL);
        Address a = p->w.address;
        p->w.server = grpc_server_close(p->w.server);
        const GrpcMethod methods[] = {{"/t.T/Hold", on_hold, p}, {"/t.T/Release", on_release, p}};
        const GrpcServerOptions options = {.addresses = &a, .n_addresses = 1, .owner = p};
        p->server = grpc_server_open(p->w.loop, NULL, &options, methods, LENGTH_OF(methods), NULL);
        assert_non_null(p->server);
}

static void pair_close(Pair *p)
{
        grpc_server_close(p->server);
        world_close(&p->w);
}

static void held_calls_are_answered_inside_anothers_handler(void **state)
{
        (void)state;
        Pair p;
        pair_open(&p);
        Client *c = client_open(&p.w, -1);
        Answer *a = call(c, "/t.T/Hold"), *b = call(c, "/t.T/Hold");
        PUMP_UNTIL(c, p.n_held == 2);
        Answer *r = call(c, "/t.T/Release");
        PUMP_UNTIL(c, a->closed && b->closed && r->closed);
        assert_echoed(a, HELLO);
        assert_echoed(b, HELLO);
        assert_int_equal(p.n_cancelled, 0);
        client_close(c);
        pair_close(&p);
}

/* The connection is lost, so both are to be cancelled; the first that is told answers the other. */
static void an_answer_takes_the_place_of_a_cancellation(void **state)
{
        (void)state;
        for (int answers = 0; answers < 2; answers++) {
                Pair p;
                pair_open(&p);
                p.answers_other = answers;
                Client *c = client_open(&p.w, -1);
                call(c, "/t.T/Hold");
                call(c, "/t.T/Hold");
                PUMP_UNTIL(c, p.n_held == 2);
                client_close(c);
                for (int i = 0; i < 20 && p.n_cancelled == 0; i++)
                        loop_turn(p.w.loop, SPAN_MS(1));
                for (int i = 0; i < 4; i++)
                        loop_turn(p.w.loop, SPAN_MS(0));
                assert_int_equal(p.n_cancelled, answers != 0 ? 1 : 2);
                assert_int_equal(grpc_server_counters(p.server)->connections, 0);
                pair_close(&p);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(closed_in_every_state_in_every_way),
                cmocka_unit_test(closed_inside_on_drained),
                cmocka_unit_test(held_calls_are_answered_inside_anothers_handler),
                cmocka_unit_test(an_answer_takes_the_place_of_a_cancellation),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
