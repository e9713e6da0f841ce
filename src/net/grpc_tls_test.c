/* SPDX-License-Identifier: Apache-2.0 */
/* The gRPC server under mutual TLS: who is let in, what becomes of connections when certificates
 * are replaced or end, peers that are slow or broken. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "io/test_tls.h"
#include "io/tls_context.h"
#include "net/grpc_test_client.h"

enum {
        TURNS_MAX = 2000,
        LARGE = 4 << 20,
};

typedef struct Fixture {
        World w;
        TestDir dir;
        char certificate[TEST_PATH], key[TEST_PATH], client_ca[TEST_PATH];
        GrpcTls tls;
        TestCert ca, own, client;
} Fixture;

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof(*f));

        signal(SIGPIPE, SIG_IGN);
        test_dir_init(&f->dir);
        f->tls = (GrpcTls){
                test_dir_join(&f->dir, "tls.crt", f->certificate),
                test_dir_join(&f->dir, "tls.key", f->key),
                test_dir_join(&f->dir, "ca.crt", f->client_ca),
        };
        f->ca = test_cert_make(&(TestCertInput){.name = "ca", .is_ca = true});
        f->own = test_cert_make(&(TestCertInput){.name = "own", .by = &f->ca});
        f->client = test_cert_make(&(TestCertInput){.name = "client", .by = &f->ca});
        test_cert_write(&f->ca, &f->dir, "ca");
        test_cert_write(&f->own, &f->dir, "tls");
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        if (f->w.loop != NULL)
                world_close(&f->w);
        test_cert_done(&f->ca);
        test_cert_done(&f->own);
        test_cert_done(&f->client);
        test_dir_done(&f->dir);
        mem_free(f);
        return 0;
}

static void serve(Fixture *f, const GrpcCaps *caps)
{
        world_open_tls(&f->w, "tcp://127.0.0.1:0", caps, &f->tls);
}

/* ---- a client with TLS in between */

static ssize_t tls_send(Client *c, const void *p, size_t n)
{
        int code = test_tls_write(c->tls, p, n);

        errno = code == 0 ? EAGAIN : EPIPE;
        return code == 1 ? (ssize_t)n : -1;
}

static ssize_t tls_recv(Client *c, void *p, size_t n)
{
        size_t got;
        int code = test_tls_read(c->tls, p, n, &got);

        errno = EAGAIN;
        return code == 1 ? (ssize_t)got : code == 0 ? -1 : 0;
}

typedef struct Hello {
        const TestCert *own;
        const char *alpn; /* with its length before it; NULL: none is offered */
        const char *sni;
        int version; /* 0: any */
} Hello;

static TestTlsClient *tls_dial(Fixture *f, const Hello *h)
{
        TestTlsClient *t = mem_new(sizeof(*t));

        test_tls_client_init(t, connect_to(&f->w), &f->ca, h->own);
        SSL_set_mode(t->ssl, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        if (h->alpn != NULL)
                SSL_set_alpn_protos(t->ssl, (const unsigned char *)h->alpn,
                                    (unsigned)strlen(h->alpn));
        if (h->sni != NULL)
                SSL_ctrl(t->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                         (void *)(uintptr_t)h->sni);
        if (h->version != 0) {
                SSL_set_min_proto_version(t->ssl, h->version);
                SSL_set_max_proto_version(t->ssl, h->version);
        }
        return t;
}

static TestTlsClient *tls_hang_up(TestTlsClient *t)
{
        test_tls_client_done(t);
        return mem_free(t);
}

/* Takes the handshake as far as it goes: 1 done, -1 refused. */
static int tls_shake(Fixture *f, TestTlsClient *t)
{
        int code = 0;

        for (int i = 0; i < TURNS_MAX && code == 0; i++) {
                code = test_tls_handshake(t);
                loop_turn(f->w.loop, SPAN_MS(1));
        }
        return code;
}

static Client *client_over(Fixture *f, TestTlsClient *t)
{
        Client *c = client_on(&f->w, dup(t->fd), -1);

        c->tls = t;
        c->send = tls_send;
        c->recv = tls_recv;
        return c;
}

static Client *tls_client(Fixture *f, const TestCert *own)
{
        TestTlsClient *t = tls_dial(f, &(Hello){.own = own, .alpn = "\x02h2"});

        assert_int_equal(tls_shake(f, t), 1);
        return client_over(f, t);
}

/* It has no call open: nghttp2 as a client then answers no PING, and is not waited for. */
static void assert_goes_idle(Client *c)
{
        PUMP_UNTIL(c, c->n_goaway > 0);
        assert_int_equal(c->goaway_code, NGHTTP2_NO_ERROR);
        move(c->world, GRPC_GOAWAY_S);
        PUMP_UNTIL(c, c->eof);
}

static void tls_client_close(Client *c)
{
        TestTlsClient *t = c->tls;

        client_close(c);
        tls_hang_up(t);
}

static void assert_tls_served(Fixture *f, const TestCert *own)
{
        Client *c = tls_client(f, own);
        Answer *a = call(c, "/t.T/Echo");

        PUMP_UNTIL(c, a->closed);
        assert_echoed(a, HELLO);
        tls_client_close(c);
}

/* Time goes on by steps that the watch of the files sees; the client is turned meanwhile. */
static void pass(Fixture *f, Client *c, int ms)
{
        for (; ms > 0; ms -= 10) {
                if (c != NULL)
                        turn(c);
                else
                        loop_turn(f->w.loop, SPAN_MS(0));
                f->w.now = mono_add(f->w.now, SPAN_MS(10));
        }
}

/* ---- who is let in */

static void calls_go_through(void **state)
{
        Fixture *f = *state;
        Str large;
        char *bytes = framed(LARGE, &large);

        serve(f, NULL);
        for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
                /* The name is what Envoy Gateway sends: no legal one. */
                TestTlsClient *t = tls_dial(f, &(Hello){.own = &f->client,
                                                        .alpn = "\x08http/1.1\x02h2",
                                                        .sni = "localhost:5005",
                                                        .version = version});
                assert_int_equal(tls_shake(f, t), 1);
                Client *c = client_over(f, t);
                Answer *small = call(c, "/t.T/Echo");
                Answer *a = client_send(c, &(Request){.body = large});
                PUMP_UNTIL(c, small->closed && a->closed);
                assert_echoed(small, HELLO);
                assert_echoed(a, large);
                tls_client_close(c);
        }
        assert_int_equal(counters(&f->w)->handshakes_failed, 0);
        assert_true(counters(&f->w)->certificate_ends > 0);
        mem_free(bytes);
}

static void only_the_right_callers_are_let_in(void **state)
{
        Fixture *f = *state;
        TestCert other_ca = test_cert_make(&(TestCertInput){.name = "ca", .is_ca = true});
        TestCert foreign = test_cert_make(&(TestCertInput){.name = "client", .by = &other_ca});
        TestCert ended = test_cert_make(
                &(TestCertInput){.name = "client", .by = &f->ca, .from = -7200, .to = -3600});
        TestCert server = test_cert_make(
                &(TestCertInput){.name = "client", .by = &f->ca, .usage = "serverAuth"});
        const Hello refused[] = {
                {.alpn = "\x02h2"},
                {.own = &foreign, .alpn = "\x02h2"},
                {.own = &ended, .alpn = "\x02h2"},
                {.own = &server, .alpn = "\x02h2"},
                {.own = &f->client, .alpn = "\x08http/1.1"},
                {.own = &f->client, .alpn = NULL},
        };
        uint64_t n_failed = 0;

        serve(f, NULL);
        for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
                for (size_t i = 0; i < LENGTH_OF(refused); i++) {
                        Hello h = refused[i];
                        h.version = version;
                        TestTlsClient *t = tls_dial(f, &h);
                        char x;
                        size_t n;
                        int code = tls_shake(f, t);
                        for (int k = 0; k < TURNS_MAX && code >= 0; k++) {
                                code = test_tls_read(t, &x, 1, &n);
                                loop_turn(f->w.loop, SPAN_MS(1));
                        }
                        assert_int_equal(code, -1);
                        assert_int_equal(counters(&f->w)->handshakes_failed, ++n_failed);
                        assert_int_equal(counters(&f->w)->connections, 0);
                        tls_hang_up(t);
                }
        }
        assert_int_equal(counters(&f->w)->calls_total, 0);
        assert_tls_served(f, &f->client);
        test_cert_done(&other_ca);
        test_cert_done(&foreign);
        test_cert_done(&ended);
        test_cert_done(&server);
}

static void plain_is_for_unix_sockets_and_loopback(void **state)
{
        Fixture *f = *state;
        Address off;
        Err err = {0};

        /* A unix socket stays plain where there is TLS for others. */
        world_open_tls(&f->w, NULL, NULL, &f->tls);
        assert_served(&f->w);
        assert_true(address_parse(STR("tcp://0.0.0.0:0"), &off, NULL));
        GrpcServerOptions o = {.addresses = &off, .n_addresses = 1};
        assert_null(grpc_server_open(f->w.loop, NULL, &o, NULL, 0, &err));
        assert_string_equal(err.reason, "TLSRequired");
        assert_non_null(strstr(err.text, "tcp://0.0.0.0:0"));
        o.tls = &f->tls;
        GrpcServer *s = grpc_server_open(f->w.loop, NULL, &o, NULL, 0, &err);
        assert_non_null(s);
        grpc_server_close(s);
        assert_int_equal(unlink(f->key), 0);
        assert_null(grpc_server_open(f->w.loop, NULL, &o, NULL, 0, &err));
        assert_non_null(strstr(err.text, "tls.key"));
}

/* ---- when certificates change */

static void open_calls_survive_new_files(void **state)
{
        Fixture *f = *state;
        TestCert second = test_cert_make(&(TestCertInput){.name = "second", .by = &f->ca});

        serve(f, NULL);
        Client *c = tls_client(f, &f->client);
        Answer *a = call(c, "/t.T/Park");
        PUMP_UNTIL(c, f->w.parked != NULL);
        test_cert_write(&second, &f->dir, "tls");
        pass(f, NULL, 1000);
        assert_int_equal(counters(&f->w)->certificates_renewed, 1);
        /* What was sent before the peer hears of it is served, too. */
        Answer *late = call(c, "/t.T/Echo");
        PUMP_UNTIL(c, late->closed && c->n_goaway == 2);
        assert_echoed(late, HELLO);
        assert_int_equal(c->goaway_code, NGHTTP2_NO_ERROR);
        assert_int_equal(c->goaway_last, 3);
        assert_false(c->eof);
        reply_hello(f->w.parked);
        PUMP_UNTIL(c, a->closed && c->eof);
        assert_echoed(a, HELLO);
        tls_client_close(c);

        c = tls_client(f, &f->client);
        X509 *x = SSL_get1_peer_certificate(((TestTlsClient *)c->tls)->ssl);
        assert_int_equal(X509_cmp(x, second.x), 0);
        X509_free(x);
        settle(c);
        assert_int_equal(c->n_goaway, 0);
        tls_client_close(c);
        test_cert_done(&second);
}

/* The old CA, both, the new one: at each step a caller of either that is trusted is served. */
static void a_client_ca_is_replaced(void **state)
{
        Fixture *f = *state;
        TestCert ca = test_cert_make(&(TestCertInput){.name = "next", .is_ca = true});
        TestCert next = test_cert_make(&(TestCertInput){.name = "client", .by = &ca});
        char part[TEST_PATH];

        serve(f, NULL);
        Client *c = tls_client(f, &f->client);
        FILE *both = fopen(test_dir_join(&f->dir, ".part", part), "w");
        assert_non_null(both);
        assert_int_equal(PEM_write_X509(both, f->ca.x) + PEM_write_X509(both, ca.x), 2);
        assert_int_equal(fclose(both), 0);
        assert_int_equal(rename(part, f->client_ca), 0);
        pass(f, c, 1000);
        assert_goes_idle(c);
        tls_client_close(c);
        assert_tls_served(f, &f->client);
        assert_tls_served(f, &next);

        c = tls_client(f, &f->client);
        test_cert_write(&ca, &f->dir, "ca");
        pass(f, c, 1000);
        assert_goes_idle(c);
        tls_client_close(c);
        TestTlsClient *t = tls_dial(f, &(Hello){.own = &f->client, .alpn = "\x02h2"});
        IGNORE(tls_shake(f, t), "the server says no after the client is done");
        for (int i = 0; i < TURNS_MAX && counters(&f->w)->connections > 0; i++)
                loop_turn(f->w.loop, SPAN_MS(1));
        assert_int_equal(counters(&f->w)->handshakes_failed, 1);
        tls_hang_up(t);
        assert_tls_served(f, &next);
        test_cert_done(&ca);
        test_cert_done(&next);
}

/* The files change while a handshake is under way: it comes to its end, its call is served. */
static void a_handshake_outlives_new_files(void **state)
{
        Fixture *f = *state;
        TestCert second = test_cert_make(&(TestCertInput){.name = "second", .by = &f->ca});

        serve(f, NULL);
        TestTlsClient *t = tls_dial(f, &(Hello){.own = &f->client, .alpn = "\x02h2"});
        assert_int_equal(test_tls_handshake(t), 0);
        for (int i = 0; i < 20; i++)
                loop_turn(f->w.loop, SPAN_MS(1));
        test_cert_write(&second, &f->dir, "tls");
        pass(f, NULL, 1000);
        assert_int_equal(counters(&f->w)->certificates_renewed, 1);
        assert_int_equal(tls_shake(f, t), 1);
        Client *c = client_over(f, t);
        Answer *a = call(c, "/t.T/Echo");
        PUMP_UNTIL(c, a->closed && c->n_goaway > 0);
        assert_echoed(a, HELLO);
        tls_client_close(c);
        test_cert_done(&second);
}

static void a_connection_ends_with_its_certificate(void **state)
{
        Fixture *f = *state;

        serve(f, NULL);
        f->w.wall.ms = tls_context_not_after(f->client.x).ms - 60 * 1000;
        Client *c = tls_client(f, &f->client);
        Answer *a = call(c, "/t.T/Park");
        PUMP_UNTIL(c, f->w.parked != NULL);
        move(&f->w, 59);
        settle(c);
        assert_int_equal(c->n_goaway, 0);
        move(&f->w, 1);
        PUMP_UNTIL(c, c->n_goaway == 2);
        reply_hello(f->w.parked);
        PUMP_UNTIL(c, a->closed && c->eof);
        assert_echoed(a, HELLO);
        tls_client_close(c);
}

static void a_connection_lives_a_day(void **state)
{
        Fixture *f = *state;

        serve(f, NULL);
        Client *c = tls_client(f, &f->client);
        for (int hours = 0; hours < 24; hours++) {
                assert_int_equal(c->n_goaway, 0);
                Answer *a = call(c, "/t.T/Echo");
                PUMP_UNTIL(c, a->closed);
                /* In halves, so that it is never idle for too long. */
                move(&f->w, 1799);
                settle(c);
                a = call(c, "/t.T/Echo");
                PUMP_UNTIL(c, a->closed);
                move(&f->w, 1801 - (hours == 23));
        }
        assert_goes_idle(c);
        tls_client_close(c);
}

/* A call without end does not keep the old certificate for ever. */
static void a_watch_is_cut_in_the_end(void **state)
{
        Fixture *f = *state;
        TestCert second = test_cert_make(&(TestCertInput){.name = "second", .by = &f->ca});

        serve(f, NULL);
        Client *c = tls_client(f, &f->client);
        call(c, "/t.T/Park");
        PUMP_UNTIL(c, f->w.parked != NULL);
        test_cert_write(&second, &f->dir, "tls");
        pass(f, c, 1000);
        PUMP_UNTIL(c, c->n_goaway == 2);
        move(&f->w, GRPC_GONE_S - 1);
        settle(c);
        assert_int_equal(f->w.n_cancelled, 0);
        move(&f->w, 1);
        PUMP_UNTIL(c, f->w.n_cancelled == 1 && c->eof);
        tls_client_close(c);
        test_cert_done(&second);
}

/* ---- slow, broken, gone */

static void connect_and_send(Fixture *f, int *ret_fd, const char *bytes, size_t n)
{
        *ret_fd = connect_to(&f->w);
        assert_int_equal(send(*ret_fd, bytes, n, 0), (ssize_t)n);
        for (int i = 0; i < 20; i++)
                loop_turn(f->w.loop, SPAN_MS(1));
}

static void a_slow_handshake_ends_in_time(void **state)
{
        Fixture *f = *state;
        int fd;

        serve(f, NULL);
        connect_and_send(f, &fd, "\x16\x03\x01", 3);
        move(&f->w, GRPC_HANDSHAKE_S - 1);
        assert_int_equal(send(fd, "\x02", 1, 0), 1);
        loop_turn(f->w.loop, SPAN_MS(1));
        assert_int_equal(counters(&f->w)->connections, 1);
        move(&f->w, 1);
        assert_eof(&f->w, fd);
        assert_int_equal(counters(&f->w)->connections, 0);
        assert_int_equal(counters(&f->w)->handshakes_failed, 1);
        close(fd);
        /* TLS is done in time, HTTP/2 never begins. */
        TestTlsClient *t = tls_dial(f, &(Hello){.own = &f->client, .alpn = "\x02h2"});
        assert_int_equal(tls_shake(f, t), 1);
        move(&f->w, GRPC_HANDSHAKE_S);
        for (int i = 0; i < TURNS_MAX && counters(&f->w)->connections > 0; i++)
                loop_turn(f->w.loop, SPAN_MS(1));
        assert_int_equal(counters(&f->w)->connections, 0);
        assert_int_equal(counters(&f->w)->timeouts, 1);
        tls_hang_up(t);
}

static void nonsense_ends(void **state)
{
        static const char *const texts[] = {
                "GET / HTTP/1.1\r\n\r\n",
                "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                "\x16\x03\x01\x00\x05\x01\xff\xff\xff\xff and more",
                "\x80\x2e\x01\x03\x01",
        };
        Fixture *f = *state;

        serve(f, NULL);
        for (size_t i = 0; i < LENGTH_OF(texts); i++) {
                int fd;
                connect_and_send(f, &fd, texts[i], strlen(texts[i]) + 1);
                shutdown(fd, SHUT_WR);
                for (int k = 0; k < TURNS_MAX && counters(&f->w)->connections > 0; k++)
                        loop_turn(f->w.loop, SPAN_MS(1));
                assert_int_equal(counters(&f->w)->handshakes_failed, i + 1);
                close(fd);
        }
        /* And inside of TLS. */
        TestTlsClient *t = tls_dial(f, &(Hello){.own = &f->client, .alpn = "\x02h2"});
        assert_int_equal(tls_shake(f, t), 1);
        assert_int_equal(test_tls_write(t, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27), 1);
        for (int k = 0; k < TURNS_MAX && counters(&f->w)->connections > 0; k++)
                loop_turn(f->w.loop, SPAN_MS(1));
        assert_int_equal(counters(&f->w)->wrong_protocol, 1);
        tls_hang_up(t);
        assert_tls_served(f, &f->client);
}

/* Those that never say who they are make room for one that does. */
static void strangers_make_room(void **state)
{
        GrpcCaps caps = grpc_caps_default;
        Fixture *f = *state;
        int fd[8];

        caps.connections = LENGTH_OF(fd);
        serve(f, &caps);
        for (size_t i = 0; i < LENGTH_OF(fd); i++)
                connect_and_send(f, &fd[i], "\x16", 1);
        move(&f->w, GRPC_FRESH_S);
        assert_tls_served(f, &f->client);
        assert_int_equal(counters(&f->w)->connections_evicted, 1);
        for (size_t i = 0; i < LENGTH_OF(fd); i++)
                close(fd[i]);
}

static void a_drain_waits_for_no_handshake(void **state)
{
        Fixture *f = *state;
        int fd;

        serve(f, NULL);
        Client *c = tls_client(f, &f->client);
        Answer *a = call(c, "/t.T/Park");
        PUMP_UNTIL(c, f->w.parked != NULL);
        connect_and_send(f, &fd, "\x16\x03", 2);
        assert_int_equal(counters(&f->w)->connections, 2);
        grpc_server_drain(f->w.server, SPAN_S(5));
        PUMP_UNTIL(c, counters(&f->w)->connections == 1 && c->n_goaway == 2);
        reply_hello(f->w.parked);
        PUMP_UNTIL(c, a->closed && c->eof);
        assert_echoed(a, HELLO);
        move(&f->w, GRPC_LINGER_S);
        PUMP_UNTIL(c, f->w.n_drained == 1);
        tls_client_close(c);
        close(fd);
}

/* A peer that does not read under TLS is cut like any other. */
static void who_does_not_read_is_cut(void **state)
{
        Fixture *f = *state;
        Str large;
        char *bytes = framed(32 << 20, &large);

        serve(f, NULL);
        Client *c = tls_client(f, &f->client);
        nghttp2_session_set_local_window_size(c->session, 0, 0, 1 << 30);
        const nghttp2_settings_entry e = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 30};
        nghttp2_submit_settings(c->session, 0, &e, 1);
        client_send(c, &(Request){.body = large});
        PUMP_UNTIL(c, c->answers[0].request.n == 0);
        c->deaf = true;
        for (int i = 0; i < 50; i++)
                turn(c);
        move(&f->w, GRPC_STALL_S);
        PUMP_UNTIL(c, counters(&f->w)->connections == 0);
        assert_int_equal(counters(&f->w)->timeouts, 1);
        assert_int_equal(counters(&f->w)->bytes_buffered_out, 0);
        tls_client_close(c);
        assert_tls_served(f, &f->client);
        mem_free(bytes);
}

static void closed_in_every_state(void **state)
{
        Fixture *f = *state;

        for (int i = 0; i < 5; i++) {
                serve(f, NULL);
                TestTlsClient *t = tls_dial(f, &(Hello){.own = &f->client, .alpn = "\x02h2"});
                if (i > 0)
                        IGNORE(test_tls_handshake(t), "its first flight");
                for (int k = 0; i > 1 && k < 20; k++)
                        loop_turn(f->w.loop, SPAN_MS(1));
                if (i > 2)
                        assert_int_equal(tls_shake(f, t), 1);
                Client *c = client_over(f, t);
                if (i > 3) {
                        call(c, "/t.T/Park");
                        PUMP_UNTIL(c, f->w.parked != NULL);
                }
                f->w.server = grpc_server_close(f->w.server);
                for (int k = 0; k < 5; k++)
                        loop_turn(f->w.loop, SPAN_MS(1));
                tls_client_close(c);
                world_close(&f->w);
                f->w = (World){0};
        }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(calls_go_through),
                TEST(only_the_right_callers_are_let_in),
                TEST(plain_is_for_unix_sockets_and_loopback),
                TEST(open_calls_survive_new_files),
                TEST(a_client_ca_is_replaced),
                TEST(a_handshake_outlives_new_files),
                TEST(a_connection_ends_with_its_certificate),
                TEST(a_connection_lives_a_day),
                TEST(a_watch_is_cut_in_the_end),
                TEST(a_slow_handshake_ends_in_time),
                TEST(nonsense_ends),
                TEST(strangers_make_room),
                TEST(a_drain_waits_for_no_handshake),
                TEST(who_does_not_read_is_cut),
                TEST(closed_in_every_state),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
