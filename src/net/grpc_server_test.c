/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/grpc_test_client.h"

/* ---- calls */

static void echo_over(const char *address)
{
        World w;
        world_open(&w, address, NULL);
        Client *c = client_open(&w, -1);
        Answer *a = call(c, "/t.T/Echo"), *b = call(c, "/t.T/Echo");
        PUMP_UNTIL(c, a->closed && b->closed);
        assert_echoed(a, HELLO);
        assert_echoed(b, HELLO);
        assert_int_equal(counters(&w)->calls_ok, 2);
        assert_int_equal(counters(&w)->calls_total, 2);
        assert_int_equal(counters(&w)->streams, 0);
        assert_int_equal(counters(&w)->connections, 1);
        client_close(c);
        world_close(&w);
}

static void test_echo(void **state)
{
        (void)state;
        echo_over(NULL);
        echo_over("tcp://127.0.0.1:0");
}

static void test_status_and_text(void **state)
{
        (void)state;
        World w;
        world_open(&w, NULL, NULL);
        Client *c = client_open(&w, -1);
        Answer *a = call(c, "/t.T/Fail");
        PUMP_UNTIL(c, a->closed);
        assert_int_equal(a->http, 200);
        assert_int_equal(a->grpc, GRPC_NOT_FOUND);
        assert_string_equal(a->text, "no \"x\" at 50%25%0A");
        assert_int_equal(a->body.n, 0);
        assert_int_equal(counters(&w)->calls_failed, 1);
        client_close(c);
        world_close(&w);
}

static void test_refusals(void **state)
{
        (void)state;
        static const struct {
                Request request;
                int http, grpc;
        } cases[] = {
                {{.method = "GET", .body = HELLO}, 405, -1},
                {{.type = "application/json", .body = HELLO}, 415, -1},
                {{.type = "application/grpc+proto", .body = HELLO}, 200, GRPC_OK},
                {{.path = "/t.T/None", .body = HELLO}, 200, GRPC_UNIMPLEMENTED},
                {{.path = "/", .body = HELLO}, 200, GRPC_UNIMPLEMENTED},
                {{.timeout = "soon", .body = HELLO}, 200, GRPC_INTERNAL},
                {{.timeout = "1H", .body = HELLO}, 200, GRPC_OK},
                {{.timeout = "99999999H", .body = HELLO}, 200, GRPC_OK},
                {{.encoding = "gzip", .body = HELLO}, 200, GRPC_OK},
                {{.encoding = "gzip", .body = {"\1\0\0\0\1x", 6}}, 200, GRPC_UNIMPLEMENTED},
                {{.encoding = "identity", .body = {"\1\0\0\0\1x", 6}}, 200, GRPC_INTERNAL},
                {{.body = {"\1\0\0\0\1x", 6}}, 200, GRPC_INTERNAL},
                {{.body = {"\2\0\0\0\1x", 6}}, 200, GRPC_INTERNAL},
                {{.body = {"", 0}}, 200, GRPC_UNIMPLEMENTED},
                {{.body = {"\0\0\0\0\1xy", 7}}, 200, GRPC_UNIMPLEMENTED},
                {{.body = {"\0\0\0\0\1x\0\0\0\0\1x", 12}}, 200, GRPC_UNIMPLEMENTED},
                {{.body = {"\0\0\0\0\2x", 6}}, 200, GRPC_INTERNAL},
                {{.body = {"\0\0\0", 3}}, 200, GRPC_INTERNAL},
                {{.body = {"\0\4\0\0\1", 5}}, 200, GRPC_RESOURCE_EXHAUSTED},
                {{.body = {"\0\377\377\377\377", 5}}, 200, GRPC_RESOURCE_EXHAUSTED},
                {{.body = {"\0\0\0\0\0", 5}}, 200, GRPC_OK},
        };
        World w;
        world_open(&w, NULL, NULL);
        Client *c = client_open(&w, -1);
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                Answer *a = client_send(c, &cases[i].request);
                PUMP_UNTIL(c, a->closed);
                assert_int_equal(a->http, cases[i].http);
                assert_int_equal(a->grpc, cases[i].grpc);
        }
        const GrpcServerCounters *n = counters(&w);
        assert_int_equal(n->calls_ok + n->calls_rejected, n->calls_total);
        assert_int_equal(n->calls_ok, w.n_handled);
        assert_int_equal(n->bytes_buffered_in, 0);
        client_close(c);
        world_close(&w);
}

/* An answer before the request is whole ends with RST_STREAM(NO_ERROR). */
static void test_early_answer(void **state)
{
        (void)state;
        World w;
        world_open(&w, NULL, NULL);
        Client *c = client_open(&w, -1);
        const Request r = {.path = "/t.T/None", .body = HELLO, .holds = true};
        Answer *a = client_send(c, &r);
        PUMP_UNTIL(c, a->closed);
        assert_int_equal(a->grpc, GRPC_UNIMPLEMENTED);
        assert_int_equal(a->code, NGHTTP2_NO_ERROR);
        assert_int_equal(counters(&w)->streams, 0);
        client_close(c);
        world_close(&w);
}

static void test_large(void **state)
{
        (void)state;
        static const size_t sizes[] = {16379, 16384, 65535, 70000, 9 << 20};
        World w;
        world_open(&w, NULL, NULL);
        Client *c = client_open(&w, -1);
        for (size_t i = 0; i < LENGTH_OF(sizes); i++) {
                Str body;
                char *p = framed(sizes[i], &body);
                const Request r = {.body = body};
                Answer *a = client_send(c, &r);
                PUMP_UNTIL(c, a->closed);
                assert_echoed(a, body);
                mem_free(p);
        }
        assert_int_equal(counters(&w)->bytes_buffered_in, 0);
        assert_int_equal(counters(&w)->bytes_buffered_out, 0);
        client_close(c);
        world_close(&w);
}

static void test_parked(void **state)
{
        (void)state;
        World w;
        world_open(&w, NULL, NULL);
        Client *c = client_open(&w, -1);
        Answer *a = call(c, "/t.T/Park");
        PUMP_UNTIL(c, w.parked != NULL);
        settle(c);
        assert_false(a->closed);
        assert_true(str_eq(grpc_call_message(w.parked), STR("hello")));
        reply_hello(w.parked);
        PUMP_UNTIL(c, a->closed);
        assert_echoed(a, HELLO);
        assert_int_equal(w.n_cancelled, 0);
        client_close(c);
        world_close(&w);
}

static void test_cancel(void **state)
{
        (void)state;
        World w;
        world_open(&w, NULL, NULL);
        Client *c = client_open(&w, -1);

        call(c, "/t.T/Park");
        PUMP_UNTIL(c, w.parked != NULL);
        nghttp2_submit_rst_stream(c->session, 0, 1, NGHTTP2_CANCEL);
        PUMP_UNTIL(c, w.n_cancelled == 1);
        assert_int_equal(counters(&w)->resets_in, 1);

        call(c, "/t.T/Park");
        PUMP_UNTIL(c, w.parked != NULL);
        client_close(c);
        for (int i = 0; i < 100 && w.n_cancelled < 2; i++)
                loop_turn(w.loop, SPAN_MS(1));
        assert_int_equal(w.n_cancelled, 2);
        assert_int_equal(counters(&w)->calls_cancelled, 2);
        assert_int_equal(counters(&w)->connections, 0);
        assert_int_equal(counters(&w)->bytes_buffered_in, 0);
        assert_served(&w);
        world_close(&w);
}

static void test_deadline(void **state)
{
        (void)state;
        World w;
        world_open(&w, NULL, NULL);
        Client *c = client_open(&w, -1);
        const Request held = {.path = "/t.T/Park", .body = HELLO, .timeout = "5S"};
        const Request half = {.body = HELLO, .timeout = "5S", .holds = true};
        Answer *a = client_send(c, &held), *b = client_send(c, &half);
        PUMP_UNTIL(c, w.parked != NULL && counters(&w)->streams == 2);
        move(&w, 4);
        settle(c);
        assert_false(a->closed || b->closed);
        move(&w, 1);
        PUMP_UNTIL(c, a->closed && b->closed);
        assert_int_equal(a->grpc, GRPC_DEADLINE_EXCEEDED);
        assert_int_equal(b->grpc, GRPC_DEADLINE_EXCEEDED);
        assert_int_equal(w.n_cancelled, 1);
        assert_int_equal(counters(&w)->calls_expired, 2);
        client_close(c);
        world_close(&w);
}

/* ---- streams of messages */

static void test_stream(void **state)
{
        (void)state;
        World w;
        world_open(&w, NULL, NULL);
        Client *c = client_open(&w, -1);
        Answer *a = call(c, "/t.T/Park");
        PUMP_UNTIL(c, w.parked != NULL);
        assert_true(send_byte(w.parked, 'a'));
        PUMP_UNTIL(c, a->body.n == 6);
        move(&w, 10000); /* nothing waits: no clock runs */
        assert_true(send_byte(w.parked, 'b'));
        assert_true(send_byte(w.parked, 'c'));
        PUMP_UNTIL(c, a->body.n == 18);
        assert_false(a->closed);
        grpc_call_fail(w.parked, GRPC_OK, (Str){0});
        PUMP_UNTIL(c, a->closed);
        assert_echoed(a, str_make("\0\0\0\0\1a\0\0\0\0\1b\0\0\0\0\1c", 18));
        client_close(c);
        world_close(&w);
}

static void test_stream_queue_is_bounded(void **state)
{
        (void)state;
        World w;
        world_open(&w, NULL, NULL);
        Client *c = client_open(&w, 0);
        Answer *a = call(c, "/t.T/Park");
        PUMP_UNTIL(c, w.parked != NULL);
        for (int i = 0; i < GRPC_SEND_QUEUE_MAX; i++)
                assert_true(send_byte(w.parked, 'x'));
        assert_false(send_byte(w.parked, 'y'));
        settle(c);
        assert_int_equal(a->body.n, 0);
        move(&w, GRPC_STALL_S);
        PUMP_UNTIL(c, a->closed);
        assert_int_equal(a->code, NGHTTP2_CANCEL);
        PUMP_UNTIL(c, w.n_cancelled == 1);
        assert_int_equal(counters(&w)->bytes_buffered_out, 0);
        client_close(c);
        world_close(&w);
}

/* ---- the end */

static void test_drain_idle(void **state)
{
        (void)state;
        World w;
        world_open(&w, NULL, NULL);
        Client *c = client_open(&w, -1);
        Answer *a = call(c, "/t.T/Echo");
        PUMP_UNTIL(c, a->closed);
        w.close_on_drained = true;
        grpc_server_drain(w.server, SPAN_S(5));
        grpc_server_drain(w.server, SPAN_S(5));
        PUMP_UNTIL(c, c->n_goaway > 0);
        move(&w, GRPC_GOAWAY_S); /* nghttp2 is deaf from here: no stream is open */
        PUMP_UNTIL(c, c->eof);
        assert_int_equal(c->goaway_code, NGHTTP2_NO_ERROR);
        client_close(c);
        for (int i = 0; i < 100 && w.n_drained == 0; i++)
                loop_turn(w.loop, SPAN_MS(1));
        assert_int_equal(w.n_drained, 1);
        assert_null(w.server);
        world_close(&w);
}

static void test_drain_nothing(void **state)
{
        (void)state;
        World w;
        world_open(&w, NULL, NULL);
        grpc_server_drain(w.server, SPAN_S(5));
        assert_int_equal(w.n_drained, 0);
        for (int i = 0; i < 10; i++)
                loop_turn(w.loop, SPAN_MS(1));
        assert_int_equal(w.n_drained, 1);
        world_close(&w);
}

static void test_drain_waits_for_calls(void **state)
{
        (void)state;
        World w;
        world_open(&w, NULL, NULL);
        Client *c = client_open(&w, -1);
        Answer *a = call(c, "/t.T/Park");
        PUMP_UNTIL(c, w.parked != NULL);
        grpc_server_drain(w.server, SPAN_S(5));
        PUMP_UNTIL(c, c->n_goaway == 2);
        settle(c);
        assert_int_equal(c->goaway_last, 1);
        assert_false(a->closed);
        assert_false(c->eof);
        reply_hello(w.parked);
        PUMP_UNTIL(c, a->closed && c->eof);
        assert_echoed(a, HELLO);
        client_close(c);
        for (int i = 0; i < 100 && w.n_drained == 0; i++)
                loop_turn(w.loop, SPAN_MS(1));
        assert_int_equal(w.n_drained, 1);
        world_close(&w);
}

static void test_drain_deadline(void **state)
{
        (void)state;
        World w;
        world_open(&w, NULL, NULL);
        Client *c = client_open(&w, -1);
        c->deaf = true; /* no answer to the PING between the two GOAWAYs */
        call(c, "/t.T/Park");
        PUMP_UNTIL(c, w.parked != NULL);
        grpc_server_drain(w.server, SPAN_S(5));
        settle(c);
        move(&w, GRPC_GOAWAY_S);
        settle(c);
        assert_int_equal(w.n_drained, 0);
        move(&w, 5);
        PUMP_UNTIL(c, w.n_drained == 1);
        assert_int_equal(w.n_cancelled, 1);
        client_close(c);
        world_close(&w);
}

static void test_close_with_everything_open(void **state)
{
        (void)state;
        World w;
        world_open(&w, NULL, NULL);
        Client *c = client_open(&w, 0), *d = client_open(&w, -1);
        const Request half = {.body = HELLO, .holds = true};
        const Request expired = {.path = "/t.T/Park", .body = HELLO, .timeout = "1S"};
        call(c, "/t.T/Park");
        PUMP_UNTIL(c, w.parked != NULL);
        assert_true(send_byte(w.parked, 'a'));
        call(c, "/t.T/Echo"); /* answered, and the window is shut */
        client_send(c, &half);
        PUMP_UNTIL(c, counters(&w)->streams == 3);
        client_send(d, &expired);
        PUMP_UNTIL(d, w.n_handled == 3);
        move(&w, 2);
        int fd = connect_to(&w);
        settle(d);
        w.server = grpc_server_close(w.server);
        assert_int_equal(loop_turn(w.loop, SPAN_MS(1)), false);
        close(fd);
        client_close(c);
        client_close(d);
        world_close(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_echo),
                cmocka_unit_test(test_status_and_text),
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_early_answer),
                cmocka_unit_test(test_large),
                cmocka_unit_test(test_parked),
                cmocka_unit_test(test_cancel),
                cmocka_unit_test(test_deadline),
                cmocka_unit_test(test_stream),
                cmocka_unit_test(test_stream_queue_is_bounded),
                cmocka_unit_test(test_drain_idle),
                cmocka_unit_test(test_drain_nothing),
                cmocka_unit_test(test_drain_waits_for_calls),
                cmocka_unit_test(test_drain_deadline),
                cmocka_unit_test(test_close_with_everything_open),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
