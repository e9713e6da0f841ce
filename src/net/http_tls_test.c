/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP server and client with TLS between them, on one loop; and what the client says of each
 * server that it should not believe.
 */
#include "net/http_server.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/file.h"
#include "io/test_tls.h"
#include "net/http_client.h"
#include "net/test_closer.h"

enum {
        TURNS_MAX = 20000,
        LARGE = 3 << 20,
};

typedef struct Fixture {
        TestClock time;
        Clock clock;
        Loop *loop;
        TestDir dir;
        TestCert ca;
        TlsServer *tls;
        HttpServer *server;
        HttpClient *client;
        HttpRequest *request;
        unsigned n_calls, n_done;
        unsigned status;
        size_t n_body;
        char reason[ERR_REASON_MAX], text[ERR_TEXT_MAX], body[64];
        TestTlsClient peer; /* for what a client of HTTP would not do */
} Fixture;

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof(*f));

        signal(SIGPIPE, SIG_IGN);
        f->time = (TestClock){{SPAN_S(1000).ns}, {1}, 0};
        f->clock = test_clock(&f->time);
        f->loop = loop_new(&f->clock);
        test_dir_init(&f->dir);
        f->ca = test_cert_make(&(TestCertInput){.name = "ca", .is_ca = true});
        test_cert_write(&f->ca, &f->dir, "ca");
        *state = f;
        return 0;
}

static void close_server(void *ctx)
{
        Fixture *f = ctx;

        f->server = http_server_close(f->server);
        f->tls = tls_server_close(f->tls);
}

static int teardown(void **state)
{
        Fixture *f = *state;

        http_request_close(f->request);
        http_client_free(f->client);
        close_server(f);
        test_tls_client_done(&f->peer);
        loop_turn(f->loop, SPAN_MS(0));
        loop_free(f->loop);
        test_cert_done(&f->ca);
        test_dir_done(&f->dir);
        mem_free(f);
        return 0;
}

static void turns(Fixture *f, unsigned n)
{
        while (n-- > 0)
                loop_turn(f->loop, SPAN_MS(0));
}

static void handler(void *ctx, HttpExchange *x)
{
        Fixture *f = ctx;

        f->n_calls++;
        if (str_eq(x->path, STR("/large"))) {
                INSIST(buf_reserve(&x->out, LARGE));
                memset(x->out.p, 'x', LARGE);
                x->out.n = LARGE;
                return;
        }
        buf_printf(&x->out, "%s %.*s", x->verb == HTTP_POST ? "POST" : "GET", STR_FMT(x->body));
}

/* With a certificate that `in` describes. */
static void serve(Fixture *f, const TestCertInput *in, const char *client_ca)
{
        static const char *const alpn[] = {"http/1.1", NULL};
        char certificate[TEST_PATH], key[TEST_PATH];
        TestCert own = test_cert_make(in);
        Address a;

        test_cert_write(&own, &f->dir, "tls");
        test_cert_done(&own);
        f->tls = tls_server_open(
                &(TlsServerInput){
                        .loop = f->loop,
                        .certificate = test_dir_join(&f->dir, "tls.crt", certificate),
                        .key = test_dir_join(&f->dir, "tls.key", key),
                        .client_ca = client_ca,
                        .alpn = alpn,
                },
                NULL);
        assert_non_null(f->tls);
        assert_true(address_parse(STR("tcp://127.0.0.1:0"), &a, NULL));
        f->server = http_server_open(
                &(HttpServerInput){
                        .loop = f->loop, .address = &a, .tls = f->tls, .fn = handler, .ctx = f},
                NULL);
        assert_non_null(f->server);
}

static void on_done(HttpRequest *r, const HttpResult *result)
{
        Fixture *f = http_request_owner(r);

        f->n_done++;
        f->status = result->status;
        f->n_body = result->body.n;
        memcpy(f->reason, result->err.reason, sizeof(f->reason));
        memcpy(f->text, result->err.text, sizeof(f->text));
        snprintf(f->body, sizeof(f->body), "%.*s", STR_FMT(str_sub(result->body, 0, 60)));
}

/* `ca_file` as the client is given it. */
static void client(Fixture *f, const char *ca_file)
{
        f->request = http_request_close(f->request);
        http_client_free(f->client);
        f->client = http_client_new(f->loop, ca_file);
}

static void client_that_knows_the_ca(Fixture *f)
{
        char path[TEST_PATH];

        client(f, test_dir_join(&f->dir, "ca.crt", path));
}

static void ask(Fixture *f, const char *path, const Secret *form)
{
        char url[64];

        snprintf(url, sizeof(url), "https://127.0.0.1:%u%s",
                 address_port(http_server_address(f->server)), path);
        f->request = http_request_close(f->request);
        f->n_done = 0;
        f->request = http_request_open(f->client, &(HttpRequestInput){.url = url,
                                                                      .form = form,
                                                                      .deadline = SPAN_S(60),
                                                                      .max_bytes = 2 * LARGE,
                                                                      .on_done = on_done,
                                                                      .owner = f});
        for (unsigned i = 0; i < TURNS_MAX && f->n_done == 0; i++)
                loop_turn(f->loop, SPAN_MS(10));
        assert_int_equal(f->n_done, 1);
}

static void requests_are_answered(void **state)
{
        Fixture *f = *state;
        Secret *form = secret_new(STR("a=b"));

        serve(f, &(TestCertInput){.name = "x", .san = "IP:127.0.0.1", .by = &f->ca}, NULL);
        client_that_knows_the_ca(f);
        ask(f, "/", NULL);
        assert_string_equal(f->text, "");
        assert_int_equal(f->status, 200);
        assert_string_equal(f->body, "GET ");
        ask(f, "/", form);
        assert_string_equal(f->body, "POST a=b");
        ask(f, "/large", NULL);
        assert_int_equal(f->n_body, LARGE);
        assert_int_equal(f->n_calls, 3);
        secret_free(form);
}

/* Host and reason, each time; and that no byte of HTTP was said. */
static void who_is_not_believed_is_named(void **state)
{
        Fixture *f = *state;
        const struct {
                TestCertInput cert;
                const char *reason;
        } cases[] = {
                {{.name = "x", .san = "IP:127.0.0.1"}, "self-signed certificate"},
                {{.name = "x", .san = "DNS:other.example", .by = &f->ca},
                 "no alternative certificate subject name matches"},
                {{.name = "x", .by = &f->ca}, "certificate subject name 'x'"},
                {{.name = "x", .san = "IP:127.0.0.1", .by = &f->ca, .from = -7200, .to = -3600},
                 "certificate has expired"},
                {{.name = "x", .san = "IP:127.0.0.1", .by = &f->ca, .from = 3600, .to = 7200},
                 "certificate is not yet valid"},
        };
        char peer[64];

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                serve(f, &cases[i].cert, NULL);
                client_that_knows_the_ca(f);
                ask(f, "/", NULL);
                snprintf(peer, sizeof(peer), "the certificate of 127.0.0.1:%u is refused: ",
                         address_port(http_server_address(f->server)));
                assert_string_equal(f->reason, "TLSFailed");
                assert_non_null(strstr(f->text, peer));
                assert_non_null(strstr(f->text, cases[i].reason));
                assert_int_equal(f->status, 0);
                close_server(f);
        }
        assert_int_equal(f->n_calls, 0);
}

static void the_system_does_not_know_it(void **state)
{
        Fixture *f = *state;
        char path[TEST_PATH];

        serve(f, &(TestCertInput){.name = "x", .san = "IP:127.0.0.1", .by = &f->ca}, NULL);
        client(f, NULL);
        ask(f, "/", NULL);
        assert_string_equal(f->reason, "TLSFailed");
        assert_non_null(strstr(f->text, "unable to get local issuer certificate"));
        /* Nor does a file that is not there, or holds something else. */
        client(f, "/nonexistent/ca.crt");
        ask(f, "/", NULL);
        assert_string_equal(f->reason, "TLSFailed");
        assert_non_null(strstr(f->text, "/nonexistent/ca.crt"));
        assert_true(file_write_atomic(f->dir.path, "bad.crt", STR("nonsense"), 0600, false, NULL));
        client(f, test_dir_join(&f->dir, "bad.crt", path));
        ask(f, "/", NULL);
        assert_string_equal(f->reason, "TLSFailed");
        assert_non_null(strstr(f->text, path));
        assert_int_equal(f->n_calls, 0);
}

static void a_server_that_wants_a_certificate(void **state)
{
        Fixture *f = *state;
        char path[TEST_PATH];

        serve(f, &(TestCertInput){.name = "x", .san = "IP:127.0.0.1", .by = &f->ca},
              test_dir_join(&f->dir, "ca.crt", path));
        client_that_knows_the_ca(f);
        ask(f, "/", NULL);
        assert_string_equal(f->reason, "TLSFailed");
        assert_non_null(strstr(f->text, "alert certificate required"));
        assert_int_equal(f->status, 0);
        assert_int_equal(f->n_calls, 0);
}

static void ask_as(Fixture *f, const HttpTls *tls)
{
        char url[64];

        snprintf(url, sizeof(url), "https://127.0.0.1:%u/",
                 address_port(http_server_address(f->server)));
        f->request = http_request_close(f->request);
        f->n_done = 0;
        f->status = 0;
        f->request = http_request_open(f->client, &(HttpRequestInput){.url = url,
                                                                      .tls = tls,
                                                                      .deadline = SPAN_S(60),
                                                                      .max_bytes = 4096,
                                                                      .on_done = on_done,
                                                                      .owner = f});
        for (unsigned i = 0; i < TURNS_MAX && f->n_done == 0; i++)
                loop_turn(f->loop, SPAN_MS(10));
        assert_int_equal(f->n_done, 1);
}

static void read_pem(Fixture *f, const char *name, Buf *b)
{
        char path[TEST_PATH];

        buf_init(b, 1 << 16);
        assert_true(file_read(test_dir_join(&f->dir, name, path), b, NULL));
}

/* Each request has its own: what one believes and shows, the next on the same client does not. */
static void a_request_has_trust_and_identity_of_its_own(void **state)
{
        Fixture *f = *state;
        char ca[TEST_PATH], crt[TEST_PATH], key[TEST_PATH];
        TestCert me = test_cert_make(&(TestCertInput){.name = "me", .by = &f->ca});
        Buf ca_pem, cert_pem, key_pem;
        HttpTls tls = {.ca_file = test_dir_join(&f->dir, "ca.crt", ca)};

        test_cert_write(&me, &f->dir, "me");
        test_cert_done(&me);
        read_pem(f, "ca.crt", &ca_pem);
        read_pem(f, "me.crt", &cert_pem);
        read_pem(f, "me.key", &key_pem);
        serve(f, &(TestCertInput){.name = "x", .san = "DNS:api.example", .by = &f->ca}, ca);
        client(f, NULL);
        ask_as(f, &tls);
        assert_non_null(strstr(f->text, "no alternative certificate subject name matches"));
        tls.server_name = "api.example";
        ask_as(f, &tls);
        assert_non_null(strstr(f->text, "alert certificate required"));
        tls.cert_file = test_dir_join(&f->dir, "me.crt", crt);
        tls.key_file = test_dir_join(&f->dir, "me.key", key);
        ask_as(f, &tls);
        assert_string_equal(f->text, "");
        assert_int_equal(f->status, 200);
        ask_as(f, &(HttpTls){.ca_file = ca, .server_name = "api.example"});
        assert_string_equal(f->reason, "TLSFailed");
        ask_as(f, NULL);
        assert_non_null(strstr(f->text, " is refused: "));
        tls = (HttpTls){.ca_pem = buf_str(&ca_pem),
                        .cert_pem = buf_str(&cert_pem),
                        .key_pem = secret_new(buf_str(&key_pem)),
                        .server_name = "api.example"};
        ask_as(f, &tls);
        assert_string_equal(f->text, "");
        assert_int_equal(f->status, 200);
        tls.ca_pem = (Str){0};
        ask_as(f, &tls);
        assert_string_equal(f->reason, "TLSFailed");
        tls.insecure = true;
        ask_as(f, &tls);
        assert_int_equal(f->status, 200);
        assert_int_equal(f->n_calls, 3);
        secret_free((Secret *)(uintptr_t)tls.key_pem);
        buf_done(&ca_pem);
        buf_done(&cert_pem);
        buf_done(&key_pem);
}

static int dial(Fixture *f)
{
        const Address *a = http_server_address(f->server);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        assert_int_equal(connect(fd, (const struct sockaddr *)&a->sa, a->n), 0);
        return fd;
}

/* Plain HTTP on a TLS port, a handshake that stands still, one that never begins. */
static void who_does_not_come_to_the_point_goes(void **state)
{
        Fixture *f = *state;
        char byte;
        int plain, silent, half;

        serve(f, &(TestCertInput){.name = "x", .by = &f->ca}, NULL);
        plain = dial(f);
        silent = dial(f);
        half = dial(f);
        assert_int_equal(send(plain, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
        assert_int_equal(send(half, "\x16\x03\x01\x02", 4, 0), 4);
        turns(f, 5);
        assert_true(recv(plain, &byte, 1, MSG_DONTWAIT) <= 0 || byte != 'H');
        assert_int_equal(recv(silent, &byte, 1, MSG_DONTWAIT), -1);
        assert_int_equal(recv(half, &byte, 1, MSG_DONTWAIT), -1);
        test_clock_advance(&f->time, SPAN_S(11));
        turns(f, 5);
        assert_int_equal(recv(silent, &byte, 1, MSG_DONTWAIT), 0);
        assert_int_equal(recv(half, &byte, 1, MSG_DONTWAIT), 0);
        assert_int_equal(f->n_calls, 0);
        close(plain);
        close(silent);
        close(half);
}

typedef enum State {
        ACCEPTED,
        HALF_A_HANDSHAKE,
        SHAKEN,
        HALF_A_HEAD,
        WHOLE_REQUEST,
        HALF_ANSWERED,
        ANSWERED,
        LINGERS,
        STATES,
} State;

static void reach(Fixture *f, State s)
{
        static const char *const said[STATES] = {
                [HALF_A_HEAD] = "GET /x HTTP/1.1\r\nHo",
                [WHOLE_REQUEST] = "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n",
                [HALF_ANSWERED] = "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n",
                [ANSWERED] = "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n",
                [LINGERS] = "NONSENSE\r\n\r\n",
        };
        int done = 0;

        test_tls_client_init(&f->peer, dial(f), &f->ca, NULL);
        turns(f, 2);
        if (s == HALF_A_HANDSHAKE)
                assert_int_equal(test_tls_handshake(&f->peer), 0);
        for (int i = 0; s >= SHAKEN && i < 50 && done == 0; i++) {
                done = test_tls_handshake(&f->peer);
                turns(f, 1);
        }
        assert_int_equal(done, s >= SHAKEN);
        if (said[s] != NULL)
                assert_int_equal(test_tls_write(&f->peer, said[s], strlen(said[s])), 1);
        if (s != WHOLE_REQUEST)
                turns(f, 8);
}

static void closed_in_every_state_in_every_way(void **state)
{
        Fixture *f = *state;

        for (State s = 0; s < STATES; s++) {
                for (CloserKind how = 0; how < CLOSER_KINDS; how++) {
                        serve(f, &(TestCertInput){.name = "x", .by = &f->ca}, NULL);
                        reach(f, s);
                        closer_play(f->loop, how, close_server, f);
                        unsigned calls = f->n_calls;

                        turns(f, 4);
                        test_clock_advance(&f->time, SPAN_S(100));
                        turns(f, 4);
                        assert_int_equal(f->n_calls, calls);
                        test_tls_client_done(&f->peer);
                }
        }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(requests_are_answered),
                TEST(who_is_not_believed_is_named),
                TEST(the_system_does_not_know_it),
                TEST(a_server_that_wants_a_certificate),
                TEST(a_request_has_trust_and_identity_of_its_own),
                TEST(who_does_not_come_to_the_point_goes),
                TEST(closed_in_every_state_in_every_way),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
