/* SPDX-License-Identifier: Apache-2.0 */
/* Probes: whether a connection can be made, through a proxy or not, and what stops it. */
#include "net/http_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/script_server.h"

enum {
        TURNS_MAX = 20000
};

#define STANDS "HTTP/1.1 200 Connection established\r\n\r\n"

typedef struct Fixture {
        Loop *loop;
        HttpClient *client;
        ScriptServer server;
        char tunnel[64];
        HttpRequest *request;
        unsigned n_done, status;
        ErrKind kind;
        char reason[ERR_REASON_MAX], text[ERR_TEXT_MAX];
} Fixture;

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof(*f));

        f->loop = loop_new(NULL);
        f->client = http_client_new(f->loop, NULL);
        script_server_open(&f->server, f->loop);
        snprintf(f->tunnel, sizeof(f->tunnel), "127.0.0.1:%u", f->server.port);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        http_request_close(f->request);
        http_client_free(f->client);
        script_server_close(&f->server);
        loop_turn(f->loop, SPAN_MS(0));
        loop_free(f->loop);
        mem_free(f);
        return 0;
}

static void on_done(HttpRequest *r, const HttpResult *result)
{
        Fixture *f = http_request_owner(r);

        f->n_done++;
        f->kind = result->err.kind;
        f->status = result->status;
        memcpy(f->reason, result->err.reason, sizeof(f->reason));
        memcpy(f->text, result->err.text, sizeof(f->text));
}

static void probe(Fixture *f, HttpRequestInput in)
{
        in.is_probe = true;
        in.max_bytes = 4096;
        in.on_done = on_done;
        in.owner = f;
        if (in.deadline.ns == 0)
                in.deadline = SPAN_S(20);
        f->request = http_request_close(f->request);
        f->n_done = 0;
        f->request = http_request_open(f->client, &in);
        for (unsigned i = 0; i < TURNS_MAX && f->n_done == 0; i++)
                loop_turn(f->loop, SPAN_MS(10));
        assert_int_equal(f->n_done, 1);
}

static void a_connection_is_all_that_is_asked(void **state)
{
        Fixture *f = *state;
        char url[96];

        snprintf(url, sizeof(url), "http://%s/", f->tunnel);
        probe(f, (HttpRequestInput){.url = url, .connect_only = true});
        assert_int_equal(f->kind, ERR_NONE);
        assert_int_equal(f->status, 0);
        assert_int_equal(f->server.n_requests, 0);
        probe(f, (HttpRequestInput){.url = "http://127.0.0.1:1/", .connect_only = true});
        assert_string_equal(f->reason, "ConnectFailed");
}

static void a_tunnel_carries_the_address(void **state)
{
        Fixture *f = *state;

        script_server_set(&f->server, STANDS, SCRIPT_STALL);
        probe(f, (HttpRequestInput){.url = "http://100.64.0.1:8080/",
                                    .tunnel = f->tunnel,
                                    .connect_only = true});
        assert_int_equal(f->kind, ERR_NONE);
        assert_true(str_starts(buf_str(&f->server.request),
                               STR("CONNECT 100.64.0.1:8080 HTTP/1.1\r\n")));
        probe(f, (HttpRequestInput){.url = "http://[fd7a:115c:a1e0::1]:80/",
                                    .tunnel = f->tunnel,
                                    .connect_only = true});
        assert_int_equal(f->kind, ERR_NONE);
        assert_true(str_starts(buf_str(&f->server.request),
                               STR("CONNECT [fd7a:115c:a1e0::1]:80 HTTP/1.1\r\n")));
}

static void a_proxy_that_refuses_is_told(void **state)
{
        Fixture *f = *state;

        script_server_set(&f->server, "HTTP/1.1 500 no\r\nContent-Length: 0\r\n\r\n", SCRIPT_CLOSE);
        for (int connect_only = 0; connect_only < 2; connect_only++) {
                probe(f, (HttpRequestInput){.url = "http://100.64.0.1:8080/",
                                            .tunnel = f->tunnel,
                                            .connect_only = connect_only});
                assert_string_equal(f->reason, "TunnelRefused");
                assert_non_null(strstr(f->text, "100.64.0.1:8080"));
                assert_non_null(strstr(f->text, "500"));
        }
        probe(f, (HttpRequestInput){.url = "http://100.64.0.1:8080/",
                                    .tunnel = "127.0.0.1:1",
                                    .connect_only = true});
        assert_string_equal(f->reason, "ConnectFailed");
}

/* Whatever is answered comes from somebody who lives. */
static void any_status_is_an_answer(void **state)
{
        Fixture *f = *state;

        f->server.paths[0] = (ScriptPath){"100.64.0.1", STANDS, SCRIPT_KEEP, 0};
        f->server.paths[1] =
                (ScriptPath){"/", "HTTP/1.1 503 busy\r\nContent-Length: 0\r\n\r\n", SCRIPT_KEEP, 0};
        probe(f, (HttpRequestInput){.url = "http://100.64.0.1:8080/", .tunnel = f->tunnel});
        assert_int_equal(f->status, 503);
        assert_int_equal(f->server.paths[0].n_requests, 1);
        /* Nothing is kept: each asks whether a connection can be made. */
        probe(f, (HttpRequestInput){.url = "http://100.64.0.1:8080/", .tunnel = f->tunnel});
        assert_int_equal(f->server.paths[0].n_requests, 2);
}

static void a_proxy_that_is_silent_costs_the_deadline(void **state)
{
        Fixture *f = *state;

        script_server_set(&f->server, "H", SCRIPT_STALL);
        probe(f, (HttpRequestInput){.url = "http://100.64.0.1:8080/",
                                    .tunnel = f->tunnel,
                                    .connect_only = true,
                                    .deadline = SPAN_MS(50)});
        assert_string_equal(f->reason, "Timeout");
}

static void tls_with_what_speaks_none_fails(void **state)
{
        Fixture *f = *state;

        f->server.paths[0] =
                (ScriptPath){"100.64.0.1", STANDS "not TLS at all\r\n", SCRIPT_KEEP, 0};
        probe(f, (HttpRequestInput){.url = "https://100.64.0.1:443/",
                                    .tunnel = f->tunnel,
                                    .connect_only = true});
        assert_int_equal(f->kind, ERR_TRANSIENT);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_connection_is_all_that_is_asked),
                TEST(a_tunnel_carries_the_address),
                TEST(a_proxy_that_refuses_is_told),
                TEST(any_status_is_an_answer),
                TEST(a_proxy_that_is_silent_costs_the_deadline),
                TEST(tls_with_what_speaks_none_fails),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
