/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/grpc_test_client.h"

/* ---- slow peers */

static void test_handshake_timeout(void **state)
{
        (void)state;
        World w;
        world_open(&w, NULL, NULL);
        int silent = connect_to(&w), preface = connect_to(&w);
        assert_int_equal(send(preface, NGHTTP2_CLIENT_MAGIC, 24, 0), 24);
        for (int i = 0; i < 5; i++)
                loop_turn(w.loop, SPAN_MS(1));
        assert_int_equal(counters(&w)->connections, 2);
        move(&w, GRPC_HANDSHAKE_S);
        assert_eof(&w, silent);
        assert_eof(&w, preface);
        assert_int_equal(counters(&w)->timeouts, 2);
        close(silent);
        close(preface);
        world_close(&w);
}

static void test_idle_timeout(void **state)
{
        (void)state;
        World w;
        world_open(&w, NULL, NULL);
        Client *c = client_open(&w, -1);
        Answer *a = call(c, "/t.T/Echo");
        PUMP_UNTIL(c, a->closed);
        move(&w, GRPC_IDLE_S - 1);
        settle(c);
        assert_int_equal(c->n_goaway, 0);
        move(&w, 1);
        PUMP_UNTIL(c, c->n_goaway > 0);
        move(&w, GRPC_GOAWAY_S);
        PUMP_UNTIL(c, c->eof);
        assert_int_equal(c->goaway_code, NGHTTP2_NO_ERROR);
        client_close(c);
        world_close(&w);
}

static void test_stalled_and_dripping_requests(void **state)
{
        (void)state;
        World w;
        world_open(&w, NULL, NULL);
        Client *c = client_open(&w, -1);
        const Request half = {.body = {"\0\0\0\0\77x", 6}, .holds = true};
        Answer *stalled = client_send(c, &half), *drips = client_send(c, &half);
        PUMP_UNTIL(c, counters(&w)->bytes_buffered_in == 2);
        for (int i = 0; i < GRPC_TRANSFER_S / (GRPC_STALL_S - 1); i++) {
                move(&w, GRPC_STALL_S - 1);
                drips->request = STR("y");
                assert_int_equal(nghttp2_session_resume_data(c->session, 3), 0);
                settle(c);
                assert_false(drips->closed);
                assert_int_equal(stalled->closed, i > 0);
        }
        assert_int_equal(stalled->code, NGHTTP2_CANCEL);
        move(&w, GRPC_STALL_S - 1);
        PUMP_UNTIL(c, drips->closed);
        assert_int_equal(drips->code, NGHTTP2_CANCEL);
        assert_int_equal(counters(&w)->bytes_buffered_in, 0);
        assert_int_equal(counters(&w)->timeouts, 2);
        client_close(c);
        world_close(&w);
}

static void test_answer_that_is_not_read(void **state)
{
        (void)state;
        World w;
        world_open(&w, NULL, NULL);
        Client *shut = client_open(&w, 0), *deaf = client_open(&w, (1 << 30));
        Str body;
        char *p = framed(4 << 20, &body);
        const Request r = {.body = body};
        Answer *a = call(shut, "/t.T/Echo");
        Answer *b = client_send(deaf, &r);
        nghttp2_session_set_local_window_size(deaf->session, 0, 0, 1 << 30);
        PUMP_UNTIL(shut, w.n_handled == 1);
        PUMP_UNTIL(deaf, b->request.n == 0); /* before it is whole nothing is answered */
        deaf->deaf = true;
        PUMP_UNTIL(deaf, w.n_handled == 2);
        settle(deaf);
        assert_true(counters(&w)->bytes_buffered_out > 0);
        move(&w, GRPC_STALL_S);
        PUMP_UNTIL(shut, a->closed);
        assert_int_equal(a->code, NGHTTP2_CANCEL);
        PUMP_UNTIL(deaf, counters(&w)->connections == 1);
        assert_int_equal(counters(&w)->bytes_buffered_out, 0);
        assert_served(&w);
        mem_free(p);
        client_close(shut);
        client_close(deaf);
        world_close(&w);
}

/* ---- caps */

static void test_connections_give_way(void **state)
{
        (void)state;
        GrpcCaps caps = grpc_caps_default;
        caps.connections = 3;
        World w;
        world_open(&w, NULL, &caps);
        Client *busy = client_open(&w, -1), *idle = client_open(&w, -1);
        call(busy, "/t.T/Park");
        PUMP_UNTIL(busy, w.parked != NULL);
        Answer *a = call(idle, "/t.T/Echo");
        PUMP_UNTIL(idle, a->closed);
        int silent = connect_to(&w);
        settle(idle);
        assert_int_equal(counters(&w)->connections, 3);
        move(&w, GRPC_FRESH_S);

        /* First the one that was never served, then the one that is idle, never the busy one. */
        Client *c = client_open(&w, -1);
        call(c, "/t.T/Park");
        PUMP_UNTIL(c, w.n_handled == 3);
        assert_eof(&w, silent);
        assert_int_equal(counters(&w)->connections_evicted, 1);
        Client *d = client_open(&w, -1);
        call(d, "/t.T/Park");
        PUMP_UNTIL(d, w.n_handled == 4);
        PUMP_UNTIL(idle, idle->eof);
        int refused = connect_to(&w);
        assert_eof(&w, refused);
        assert_int_equal(counters(&w)->connections_refused, 1);
        assert_int_equal(counters(&w)->connections_evicted, 2);
        close(silent);
        close(refused);
        client_close(busy);
        client_close(idle);
        client_close(c);
        client_close(d);
        world_close(&w);
}

static void test_streams_give_way(void **state)
{
        (void)state;
        GrpcCaps caps = grpc_caps_default;
        caps.streams = 20;
        World w;
        world_open(&w, NULL, &caps);
        Client *greedy = client_open(&w, -1);
        const Request half = {.body = HELLO, .holds = true};
        for (int i = 0; i < 20; i++)
                client_send(greedy, &half);
        PUMP_UNTIL(greedy, counters(&w)->streams == 20);
        Answer *more = client_send(greedy, &half);
        PUMP_UNTIL(greedy, more->closed);
        assert_int_equal(more->code, NGHTTP2_REFUSED_STREAM);
        assert_served(&w);
        PUMP_UNTIL(greedy, greedy->answers[0].closed);
        assert_int_equal(greedy->answers[0].code, NGHTTP2_REFUSED_STREAM);
        assert_false(greedy->answers[1].closed);
        client_close(greedy);
        world_close(&w);
}

static void test_parked_streams_give_way(void **state)
{
        (void)state;
        GrpcCaps caps = grpc_caps_default;
        caps.streams = 10;
        World w;
        world_open(&w, NULL, &caps);
        Client *greedy = client_open(&w, -1);
        for (int i = 0; i < 10; i++)
                call(greedy, "/t.T/Park");
        PUMP_UNTIL(greedy, w.n_handled == 10);
        assert_served(&w);
        PUMP_UNTIL(greedy, greedy->answers[0].closed);
        assert_int_equal(greedy->answers[0].code, NGHTTP2_CANCEL);
        PUMP_UNTIL(greedy, w.n_cancelled == 1);
        client_close(greedy);
        world_close(&w);
}

static void test_streams_of_one_connection(void **state)
{
        (void)state;
        World w;
        world_open(&w, NULL, NULL);
        Client *c = client_open(&w, -1);
        settle(c); /* SETTINGS of the server; nghttp2 then holds back by itself */
        const Request half = {.body = HELLO, .holds = true};
        for (int i = 0; i < ANSWERS_MAX; i++)
                client_send(c, &half);
        settle(c);
        assert_int_equal(counters(&w)->streams, GRPC_STREAMS_MAX);
        client_close(c);
        assert_served(&w);
        world_close(&w);
}

static void test_largest_request_gives_way(void **state)
{
        (void)state;
        GrpcCaps caps = grpc_caps_default;
        caps.buffered_in = 100000;
        World w;
        world_open(&w, NULL, &caps);
        Client *c = client_open(&w, -1), *d = client_open(&w, -1);
        Str body;
        char *p = framed(90000, &body);
        const Request half = {.body = str_sub(body, 0, 80000), .holds = true};
        Answer *large = client_send(c, &half);
        PUMP_UNTIL(c, counters(&w)->bytes_buffered_in == 80000 - GRPC_PREFIX_BYTES);
        Str other;
        char *q = framed(50000, &other);
        const Request r = {.body = other};
        Answer *a = client_send(d, &r);
        PUMP_UNTIL(d, a->closed);
        assert_echoed(a, other);
        PUMP_UNTIL(c, large->closed);
        assert_int_equal(large->grpc, GRPC_RESOURCE_EXHAUSTED);
        assert_int_equal(counters(&w)->bytes_buffered_in, 0);
        mem_free(p);
        mem_free(q);
        client_close(c);
        client_close(d);
        world_close(&w);
}

static void test_answers_are_bounded(void **state)
{
        (void)state;
        GrpcCaps caps = grpc_caps_default;
        caps.buffered_out = 8;
        World w;
        world_open(&w, NULL, &caps);
        Client *c = client_open(&w, 0);
        call(c, "/t.T/Echo");
        PUMP_UNTIL(c, counters(&w)->bytes_buffered_out == 5);
        Answer *a = call(c, "/t.T/Echo");
        PUMP_UNTIL(c, a->closed);
        assert_int_equal(a->grpc, GRPC_RESOURCE_EXHAUSTED);
        client_close(c);
        world_close(&w);
}

static void test_failed_answer(void **state)
{
        (void)state;
        World w;
        world_open(&w, NULL, NULL);
        Client *c = client_open(&w, -1);
        Answer *a = call(c, "/t.T/Park");
        PUMP_UNTIL(c, w.parked != NULL);
        Buf b;
        buf_init(&b, 3);
        buf_add_str(&b, STR("long"));
        grpc_call_reply(w.parked, &b);
        PUMP_UNTIL(c, a->closed);
        assert_int_equal(a->grpc, GRPC_RESOURCE_EXHAUSTED);
        client_close(c);
        world_close(&w);
}

static void test_reset_flood(void **state)
{
        (void)state;
        World w;
        world_open(&w, NULL, NULL);
        Client *c = client_open(&w, -1);
        /* nghttp2 counts by the real time: on a machine that stalls some come back meanwhile. */
        for (int i = 0; i <= GRPC_RESETS_BURST + 4 * GRPC_RESETS_RATE; i++) {
                call(c, "/t.T/Park");
                client_write(c);
                nghttp2_submit_rst_stream(c->session, 0, 2 * i + 1, NGHTTP2_CANCEL);
        }
        PUMP_UNTIL(c, c->eof);
        assert_int_not_equal(c->goaway_code, NGHTTP2_NO_ERROR);
        assert_int_equal(counters(&w)->floods, 1);
        assert_int_equal(counters(&w)->streams, 0);
        client_close(c);
        assert_served(&w);
        world_close(&w);
}

static void test_ping_flood(void **state)
{
        (void)state;
        World w;
        world_open(&w, NULL, NULL);
        Client *c = client_open(&w, -1);
        for (int i = 0; i <= GRPC_IDLE_FRAMES_BURST && !c->eof; i++) {
                nghttp2_submit_ping(c->session, 0, NULL);
                if (i % 100 == 0)
                        turn(c);
        }
        PUMP_UNTIL(c, c->eof);
        assert_int_equal(c->goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
        assert_int_equal(counters(&w)->floods, 1);
        client_close(c);
        assert_served(&w);
        world_close(&w);
}

static void test_wrong_protocol(void **state)
{
        (void)state;
        World w;
        world_open(&w, NULL, NULL);
        int fd = connect_to(&w);
        assert_int_equal(send(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, 0), 27);
        for (int i = 0; i < 100 && counters(&w)->connections_total == 0; i++)
                loop_turn(w.loop, SPAN_MS(1));
        for (int i = 0; i < 100 && counters(&w)->connections > 0; i++)
                loop_turn(w.loop, SPAN_MS(1));
        assert_int_equal(counters(&w)->wrong_protocol, 1);
        close(fd);
        assert_served(&w);
        world_close(&w);
}

static void test_address_in_use(void **state)
{
        (void)state;
        World w;
        world_open(&w, NULL, NULL);
        Err err;
        const GrpcServerOptions options = {.addresses = &w.address, .n_addresses = 1};
        assert_null(grpc_server_open(w.loop, NULL, &options, NULL, 0, &err));
        assert_int_not_equal(err.kind, ERR_NONE);
        assert_served(&w);
        world_close(&w);
}

static void test_metrics(void **state)
{
        (void)state;
        assert_int_equal(grpc_server_metrics.n * sizeof(uint64_t), sizeof(GrpcServerCounters));
        for (size_t i = 0; i < grpc_server_metrics.n; i++)
                for (size_t j = 0; j < i; j++) {
                        const MetricDesc *a = &grpc_server_metrics.at[i];
                        const MetricDesc *b = &grpc_server_metrics.at[j];
                        assert_string_not_equal(a->name, b->name);
                        assert_int_not_equal(a->offset, b->offset);
                }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_handshake_timeout),
                cmocka_unit_test(test_idle_timeout),
                cmocka_unit_test(test_stalled_and_dripping_requests),
                cmocka_unit_test(test_answer_that_is_not_read),
                cmocka_unit_test(test_connections_give_way),
                cmocka_unit_test(test_streams_give_way),
                cmocka_unit_test(test_parked_streams_give_way),
                cmocka_unit_test(test_streams_of_one_connection),
                cmocka_unit_test(test_largest_request_gives_way),
                cmocka_unit_test(test_answers_are_bounded),
                cmocka_unit_test(test_failed_answer),
                cmocka_unit_test(test_reset_flood),
                cmocka_unit_test(test_ping_flood),
                cmocka_unit_test(test_wrong_protocol),
                cmocka_unit_test(test_address_in_use),
                cmocka_unit_test(test_metrics),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
