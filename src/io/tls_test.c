/* SPDX-License-Identifier: Apache-2.0 */
#include "io/tls.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "io/file.h"
#include "io/test_tls.h"

enum {
        STEPS_MAX = 200
};

typedef struct Fixture {
        TestClock time;
        Clock clock;
        Loop *loop;
        Log log;
        Buf lines;
        TestDir dir;
        char certificate[TEST_PATH], key[TEST_PATH], client_ca[TEST_PATH];
        TestCert ca, own;
        TlsServer *server;
        int fd; /* the server's end */
        TlsStream *stream;
        TestTlsClient client;
} Fixture;

static Wall log_now(void *ctx)
{
        (void)ctx;
        return (Wall){1};
}

static void log_line(void *ctx, Str line)
{
        buf_add_str(&((Fixture *)ctx)->lines, line);
}

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof(*f));

        signal(SIGPIPE, SIG_IGN);
        f->time = (TestClock){{SPAN_S(1000).ns}, {1}, 0};
        f->clock = test_clock(&f->time);
        f->loop = loop_new(&f->clock);
        buf_init(&f->lines, 1 << 16);
        f->log = (Log){.level = LOG_INFO, .now = log_now, .write = log_line, .ctx = f};
        test_dir_init(&f->dir);
        test_dir_join(&f->dir, "tls.crt", f->certificate);
        test_dir_join(&f->dir, "tls.key", f->key);
        test_dir_join(&f->dir, "ca.crt", f->client_ca);
        f->ca = test_cert_make(&(TestCertInput){.name = "ca", .is_ca = true});
        f->own = test_cert_make(
                &(TestCertInput){.name = "own", .san = "DNS:localhost", .by = &f->ca});
        test_cert_write(&f->ca, &f->dir, "ca");
        test_cert_write(&f->own, &f->dir, "tls");
        f->fd = -1;
        *state = f;
        return 0;
}

static void hang_up(Fixture *f)
{
        test_tls_client_done(&f->client);
        f->stream = tls_stream_close(f->stream);
        if (f->fd >= 0)
                close(f->fd);
        f->fd = -1;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        hang_up(f);
        tls_server_close(f->server);
        loop_free(f->loop);
        test_cert_done(&f->ca);
        test_cert_done(&f->own);
        test_dir_done(&f->dir);
        buf_done(&f->lines);
        mem_free(f);
        return 0;
}

static bool try_open(Fixture *f, bool mutual, const char *const *alpn, Err *err)
{
        f->server = tls_server_open(
                &(TlsServerInput){
                        .loop = f->loop,
                        .log = &f->log,
                        .certificate = f->certificate,
                        .key = f->key,
                        .client_ca = mutual ? f->client_ca : NULL,
                        .alpn = alpn,
                },
                err);
        return f->server != NULL;
}

static void serve(Fixture *f)
{
        assert_true(try_open(f, false, NULL, NULL));
}

static void dial(Fixture *f, const TestCert *own)
{
        int fd[2];

        hang_up(f);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
        f->fd = fd[0];
        f->stream = tls_stream_open(f->server, f->fd);
        test_tls_client_init(&f->client, fd[1], &f->ca, own);
}

/* Both sides step until both are done or one has failed; the server's last word. */
static int shake_hands(Fixture *f)
{
        int client = 0, server = TLS_WANTS_READ;

        for (int i = 0; i < STEPS_MAX && server < 0 && server != TLS_BROKEN; i++) {
                if (client == 0)
                        client = test_tls_handshake(&f->client);
                server = tls_stream_handshake(f->stream);
        }
        for (int i = 0; i < STEPS_MAX && client == 0; i++)
                client = test_tls_handshake(&f->client);
        return client < 0 && server == 1 ? TLS_BROKEN : server;
}

static const char *fault(const Fixture *f)
{
        return tls_stream_fault(f->stream)->text;
}

static void bytes_go_both_ways(void **state)
{
        Fixture *f = *state;
        char got[64] = "";
        size_t n;

        serve(f);
        dial(f, NULL);
        assert_int_equal(tls_stream_handshake(f->stream), TLS_WANTS_READ);
        assert_int_equal(shake_hands(f), 1);
        assert_int_equal(tls_stream_alpn(f->stream).n, 0);
        assert_int_equal(tls_stream_read(f->stream, got, sizeof(got)), TLS_WANTS_READ);
        assert_int_equal(test_tls_write(&f->client, "hello", 5), 1);
        assert_int_equal(tls_stream_read(f->stream, got, 2), 2);
        assert_true(tls_stream_has_more(f->stream));
        assert_int_equal(tls_stream_read(f->stream, got + 2, sizeof(got) - 2), 3);
        assert_false(tls_stream_has_more(f->stream));
        assert_string_equal(got, "hello");
        assert_int_equal(tls_stream_write(f->stream, STR("world!")), 6);
        tls_stream_finish(f->stream);
        assert_int_equal(test_tls_read(&f->client, got, sizeof(got), &n), 1);
        assert_int_equal(n, 6);
        assert_int_equal(test_tls_read(&f->client, got, sizeof(got), &n), -1);
        assert_int_equal(SSL_get_shutdown(f->client.ssl), SSL_RECEIVED_SHUTDOWN);
        /* Our side being finished, the peer may still send, and then finish. */
        assert_int_equal(test_tls_write(&f->client, "more", 4), 1);
        assert_int_equal(tls_stream_read(f->stream, got, sizeof(got)), 4);
        SSL_shutdown(f->client.ssl);
        assert_int_equal(tls_stream_read(f->stream, got, sizeof(got)), TLS_END);
        assert_int_equal(tls_stream_read(f->stream, got, sizeof(got)), TLS_END);
}

static void an_end_without_farewell_is_no_end(void **state)
{
        Fixture *f = *state;
        char got[8];

        serve(f);
        dial(f, NULL);
        assert_int_equal(shake_hands(f), 1);
        shutdown(f->client.fd, SHUT_RDWR);
        assert_int_equal(tls_stream_read(f->stream, got, sizeof(got)), TLS_BROKEN);
        assert_int_equal(tls_stream_read(f->stream, got, sizeof(got)), TLS_BROKEN);
        assert_int_equal(tls_stream_write(f->stream, STR("x")), TLS_BROKEN);
        assert_int_equal(tls_stream_fault(f->stream)->kind, ERR_TRANSIENT);
        assert_true(fault(f)[0] != '\0');
        tls_stream_finish(f->stream);
}

static void writing_waits_for_room(void **state)
{
        enum {
                LARGE = 4 << 20
        };
        Fixture *f = *state;
        char *bytes = mem_new(LARGE), *got = mem_new(1 << 16);
        size_t sent = 0, received = 0, n;
        unsigned waited = 0;

        serve(f);
        dial(f, NULL);
        assert_int_equal(shake_hands(f), 1);
        for (size_t i = 0; i < LARGE; i++)
                bytes[i] = (char)(i * 31 >> 7);
        while (received < LARGE) {
                ptrdiff_t r = sent < LARGE ? tls_stream_write(f->stream,
                                                              str_make(bytes + sent, LARGE - sent))
                                           : TLS_WANTS_WRITE;

                if (r > 0) {
                        sent += (size_t)r;
                        continue;
                }
                assert_int_equal(r, TLS_WANTS_WRITE);
                waited++;
                while (test_tls_read(&f->client, got, 1 << 16, &n) == 1) {
                        assert_memory_equal(got, bytes + received, n);
                        received += n;
                }
        }
        assert_true(waited > 1);
        mem_free(bytes);
        mem_free(got);
}

static void alpn_is_agreed_on_or_refused(void **state)
{
        static const char *const ours[] = {"h2", "http/1.1", NULL};
        Fixture *f = *state;

        assert_true(try_open(f, false, ours, NULL));
        dial(f, NULL);
        SSL_set_alpn_protos(f->client.ssl, (const unsigned char *)"\x08http/1.1\x02h2", 12);
        assert_int_equal(shake_hands(f), 1);
        assert_true(str_eq(tls_stream_alpn(f->stream), STR("h2")));
        dial(f, NULL);
        SSL_set_alpn_protos(f->client.ssl, (const unsigned char *)"\x03xyz\x08http/1.1", 13);
        assert_int_equal(shake_hands(f), 1);
        assert_true(str_eq(tls_stream_alpn(f->stream), STR("http/1.1")));
        dial(f, NULL);
        SSL_set_alpn_protos(f->client.ssl, (const unsigned char *)"\x03xyz", 4);
        assert_int_equal(shake_hands(f), TLS_BROKEN);
        dial(f, NULL);
        assert_int_equal(shake_hands(f), 1);
        assert_int_equal(tls_stream_alpn(f->stream).n, 0);
}

static void old_versions_are_refused(void **state)
{
        Fixture *f = *state;

        serve(f);
        for (int version = TLS1_VERSION; version <= TLS1_3_VERSION; version++) {
                dial(f, NULL);
                SSL_set_security_level(f->client.ssl, 0);
                SSL_set_min_proto_version(f->client.ssl, version);
                SSL_set_max_proto_version(f->client.ssl, version);
                assert_int_equal(shake_hands(f), version < TLS1_2_VERSION ? TLS_BROKEN : 1);
        }
        dial(f, NULL);
        SSL_set_max_proto_version(f->client.ssl, TLS1_2_VERSION);
        assert_int_equal(SSL_set_cipher_list(f->client.ssl, "AES128-GCM-SHA256"), 1);
        assert_int_equal(shake_hands(f), TLS_BROKEN);
        assert_string_equal(fault(f), "no shared cipher");
}

static void renegotiation_is_refused(void **state)
{
        Fixture *f = *state;
        char got[8];

        serve(f);
        dial(f, NULL);
        SSL_set_max_proto_version(f->client.ssl, TLS1_2_VERSION);
        assert_int_equal(shake_hands(f), 1);
        assert_int_equal(SSL_renegotiate(f->client.ssl), 1);
        assert_int_equal(test_tls_handshake(&f->client), 0);
        assert_true(tls_stream_read(f->stream, got, sizeof(got)) < 0);
        assert_int_equal(test_tls_handshake(&f->client), -1);
}

/* A connection that ends without farewell takes its session with it. */
static SSL_SESSION *take_session(Fixture *f)
{
        SSL_shutdown(f->client.ssl);
        return SSL_get1_session(f->client.ssl);
}

/* Shakes hands, takes the session that comes with the first byte, and shakes hands with it. */
static void dial_again(Fixture *f, const TestCert *client)
{
        SSL_SESSION *session;
        char got[8];
        size_t n;

        dial(f, client);
        assert_int_equal(shake_hands(f), 1);
        assert_int_equal(tls_stream_write(f->stream, STR("x")), 1);
        assert_int_equal(test_tls_read(&f->client, got, sizeof(got), &n), 1);
        session = take_session(f);
        assert_int_equal(SSL_SESSION_get_max_early_data(session), 0);
        dial(f, client);
        SSL_set_session(f->client.ssl, session);
        assert_int_equal(shake_hands(f), 1);
        SSL_SESSION_free(session);
}

static void a_session_goes_on_by_its_ticket(void **state)
{
        Fixture *f = *state;

        serve(f);
        dial_again(f, NULL);
        assert_true(SSL_session_reused(f->client.ssl));
}

static void who_shows_a_certificate_does_so_each_time(void **state)
{
        Fixture *f = *state;
        TestCert client = test_cert_make(&(TestCertInput){.name = "c", .by = &f->ca});

        assert_true(try_open(f, true, NULL, NULL));
        dial_again(f, &client);
        assert_false(SSL_session_reused(f->client.ssl));
        assert_true(tls_stream_peer_not_after(f->stream).ms > 0);
        test_cert_done(&client);
}

static void a_client_must_show_the_right_certificate(void **state)
{
        Fixture *f = *state;
        TestCert other = test_cert_make(&(TestCertInput){.name = "ca", .is_ca = true});
        TestCert good = test_cert_make(&(TestCertInput){.name = "good", .by = &f->ca});
        TestCert foreign = test_cert_make(&(TestCertInput){.name = "good", .by = &other});
        TestCert expired = test_cert_make(
                &(TestCertInput){.name = "old", .by = &f->ca, .from = -7200, .to = -3600});
        TestCert server = test_cert_make(
                &(TestCertInput){.name = "server", .by = &f->ca, .usage = "serverAuth"});
        const struct {
                const TestCert *own;
                const char *text; /* NULL: let in */
        } cases[] = {
                {&good, NULL},
                {NULL, "peer did not return a certificate"},
                {&foreign, "the peer's certificate: "},
                {&expired, "the peer's certificate: certificate has expired"},
                {&other, "the peer's certificate: self-signed certificate"},
                {&server, "the peer's certificate: unsuitable certificate purpose"},
        };

        assert_true(try_open(f, true, NULL, NULL));
        for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
                for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                        dial(f, cases[i].own);
                        SSL_set_max_proto_version(f->client.ssl, version);
                        assert_int_equal(shake_hands(f), cases[i].text == NULL ? 1 : TLS_BROKEN);
                        if (cases[i].text != NULL)
                                assert_non_null(strstr(fault(f), cases[i].text));
                }
        }
        test_cert_done(&other);
        test_cert_done(&good);
        test_cert_done(&foreign);
        test_cert_done(&expired);
        test_cert_done(&server);
}

/* All that the client says before it hears anything. */
static size_t first_flight(Fixture *f, char *flight, size_t max)
{
        ssize_t n;

        dial(f, NULL);
        assert_int_equal(test_tls_handshake(&f->client), 0);
        n = recv(f->fd, flight, max, 0);
        assert_true(n > 100);
        return (size_t)n;
}

/* Instead of the client, on its descriptor. */
static int say(Fixture *f, const char *bytes, size_t n, bool then_end)
{
        int code = TLS_WANTS_READ;

        dial(f, NULL);
        assert_int_equal(send(f->client.fd, bytes, n, 0), (ssize_t)n);
        if (then_end)
                shutdown(f->client.fd, SHUT_WR);
        for (int i = 0; i < STEPS_MAX && code == TLS_WANTS_READ; i++)
                code = tls_stream_handshake(f->stream);
        return code;
}

static void truncated_handshakes_end(void **state)
{
        Fixture *f = *state;
        char flight[4096];
        size_t n;

        serve(f);
        n = first_flight(f, flight, sizeof(flight));
        for (size_t cut = 0; cut <= n; cut += cut < 16 ? 1 : 7) {
                assert_int_equal(say(f, flight, cut, true), TLS_BROKEN);
                assert_true(fault(f)[0] != '\0');
                assert_int_equal(say(f, flight, cut, false), TLS_WANTS_READ);
        }
        tls_stream_finish(f->stream);
}

static void garbage_ends(void **state)
{
        static const char *const texts[] = {
                "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                "\x16\x03\x01\xff\xff garbage of a length that is no record's",
                "\x16\x03\x01\x00\x05\x01\xff\xff\xff\xff and more",
                "\x80\x2e\x01\x03\x01 an old hello",
                "\x15\x03\x03\x00\x02\x02\x28",
        };
        Fixture *f = *state;
        char flight[4096], bent[4096];
        uint32_t seed = 1;
        size_t n;

        serve(f);
        n = first_flight(f, flight, sizeof(flight));
        for (size_t i = 0; i < LENGTH_OF(texts); i++) {
                assert_int_equal(say(f, texts[i], strlen(texts[i]) + 1, true), TLS_BROKEN);
                assert_true(fault(f)[0] != '\0');
        }
        for (int i = 0; i < 300; i++) {
                memcpy(bent, flight, n);
                for (int k = 0; k < 3; k++) {
                        seed = seed * 1664525 + 1013904223;
                        bent[(seed >> 8) % n] = (char)(seed >> 24);
                }
                /* Some bytes are the client's to choose, so it may go on; then the end comes. */
                assert_int_equal(say(f, bent, n, true), TLS_BROKEN);
        }
}

static void advance(Fixture *f, int ms)
{
        for (; ms > 0; ms -= 10) {
                loop_turn(f->loop, SPAN_MS(0));
                test_clock_advance(&f->time, SPAN_MS(10));
        }
}

static long served_serial(Fixture *f)
{
        long serial;

        dial(f, NULL);
        assert_int_equal(shake_hands(f), 1);
        X509 *x = SSL_get1_peer_certificate(f->client.ssl);
        serial = ASN1_INTEGER_get(X509_get_serialNumber(x));
        X509_free(x);
        return serial;
}

static long serial_of(const TestCert *c)
{
        return ASN1_INTEGER_get(X509_get_serialNumber(c->x));
}

static bool was_logged(const Fixture *f, const char *what)
{
        return str_find_str(buf_str(&f->lines), str_of(what)) >= 0;
}

static void put(const Fixture *f, const char *name, const char *content)
{
        assert_true(file_write_atomic(f->dir.path, name, str_of(content), 0600, false, NULL));
}

static void new_files_are_taken(void **state)
{
        Fixture *f = *state;
        TestCert second = test_cert_make(&(TestCertInput){.name = "second", .by = &f->ca});
        char got[8];
        size_t n;

        serve(f);
        assert_int_equal(served_serial(f), serial_of(&f->own));
        TlsStream *old = TAKE(f->stream);
        TestTlsClient old_client = f->client;
        int old_fd = f->fd;
        f->client = (TestTlsClient){0};
        f->fd = -1;
        test_cert_write(&second, &f->dir, "tls");
        advance(f, 1000);
        assert_true(was_logged(f, "certificate read again"));
        assert_int_equal(served_serial(f), serial_of(&second));
        /* What was open goes on. */
        assert_int_equal(tls_stream_write(old, STR("x")), 1);
        assert_int_equal(test_tls_read(&old_client, got, sizeof(got), &n), 1);
        test_tls_client_done(&old_client);
        tls_stream_close(old);
        close(old_fd);
        /* The same again, and other files beside it, are no news. */
        buf_reset(&f->lines);
        test_cert_write(&second, &f->dir, "tls");
        put(f, "other", "x");
        advance(f, 1000);
        assert_int_equal(f->lines.n, 0);
        test_cert_done(&second);
}

static void bad_files_change_nothing(void **state)
{
        Fixture *f = *state;
        TestCert second = test_cert_make(&(TestCertInput){.name = "second", .by = &f->ca});
        char path[TEST_PATH], other[TEST_PATH];

        serve(f);
        test_cert_write(&second, &f->dir, "new");
        test_dir_join(&f->dir, "new.crt", path);
        assert_int_equal(rename(path, f->certificate), 0);
        advance(f, 1000);
        assert_true(was_logged(f, "certificate not taken, the one in force stays"));
        assert_true(was_logged(f, "is not the key of"));
        assert_int_equal(served_serial(f), serial_of(&f->own));
        /* It is told once, and the other half makes it good. */
        buf_reset(&f->lines);
        put(f, "unrelated", "x");
        advance(f, 1000);
        assert_int_equal(f->lines.n, 0);
        assert_int_equal(rename(test_dir_join(&f->dir, "new.key", other), f->key), 0);
        advance(f, 1000);
        assert_int_equal(served_serial(f), serial_of(&second));

        put(f, "tls.key", "-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----\n");
        advance(f, 1000);
        assert_true(was_logged(f, "no private key"));
        assert_false(was_logged(f, "QUJD"));
        assert_int_equal(unlink(f->certificate), 0);
        advance(f, 1000);
        assert_true(was_logged(f, "No such file"));
        assert_int_equal(served_serial(f), serial_of(&second));
        test_cert_done(&second);
}

static void on_renewed(TlsServer *s)
{
        ++*(int *)tls_server_owner(s);
}

static void open_renewable(Fixture *f, int *n_renewed)
{
        f->server = tls_server_open(&(TlsServerInput){.loop = f->loop,
                                                      .log = &f->log,
                                                      .on_renewed = on_renewed,
                                                      .owner = n_renewed,
                                                      .certificate = f->certificate,
                                                      .key = f->key,
                                                      .client_ca = f->client_ca},
                                    NULL);
        assert_non_null(f->server);
}

static void a_new_client_ca_counts_at_once(void **state)
{
        Fixture *f = *state;
        TestCert other = test_cert_make(&(TestCertInput){.name = "other", .is_ca = true});
        TestCert client = test_cert_make(&(TestCertInput){.name = "c", .by = &f->ca});
        int n_renewed = 0;

        open_renewable(f, &n_renewed);
        dial(f, &client);
        assert_int_equal(shake_hands(f), 1);
        test_cert_write(&other, &f->dir, "ca");
        advance(f, 1000);
        assert_int_equal(n_renewed, 1);
        dial(f, &client);
        assert_int_equal(shake_hands(f), TLS_BROKEN);
        test_cert_done(&other);
        test_cert_done(&client);
}

/* As kubelet does: files are links through ..data, which is replaced as a whole. */
static void mount_secret(Fixture *f, const TestCert *own, const char *version)
{
        TestDir dir = {0};
        char data[TEST_PATH], part[TEST_PATH];

        test_dir_join(&f->dir, version, dir.path);
        assert_int_equal(mkdir(dir.path, 0700), 0);
        test_cert_write(own, &dir, "tls");
        test_cert_write(&f->ca, &dir, "ca");
        test_dir_join(&f->dir, "..data_tmp", part);
        assert_int_equal(symlink(version, part), 0);
        assert_int_equal(rename(part, test_dir_join(&f->dir, "..data", data)), 0);
}

static void a_mounted_secret_is_taken_whole(void **state)
{
        static const char *const names[] = {"tls.crt", "tls.key", "ca.crt"};
        Fixture *f = *state;
        TestCert second = test_cert_make(
                &(TestCertInput){.name = "second", .by = &f->ca, .from = -3600, .to = 7200});
        int n_renewed = 0;

        mount_secret(f, &f->own, "..1");
        for (size_t i = 0; i < LENGTH_OF(names); i++) {
                char at[TEST_PATH], target[64];
                test_dir_join(&f->dir, names[i], at);
                snprintf(target, sizeof(target), "..data/%s", names[i]);
                assert_int_equal(unlink(at), 0);
                assert_int_equal(symlink(target, at), 0);
        }
        open_renewable(f, &n_renewed);
        Wall was = tls_server_not_after(f->server);
        mount_secret(f, &second, "..2");
        advance(f, 1000);
        assert_int_equal(n_renewed, 1);
        assert_false(was_logged(f, "not taken"));
        assert_true(tls_server_not_after(f->server).ms > was.ms);
        test_cert_done(&second);
}

static void write_encrypted_key(const Fixture *f)
{
        FILE *file = fopen(f->key, "w");

        assert_non_null(file);
        assert_int_equal(PEM_write_PrivateKey(file, f->own.key, EVP_aes_128_cbc(),
                                              (const unsigned char *)"word", 4, NULL, NULL),
                         1);
        assert_int_equal(fclose(file), 0);
}

static void bad_files_are_named(void **state)
{
        static const struct {
                const char *name, *content; /* NULL: removed */
                const char *text;
        } cases[] = {
                {"tls.crt", NULL, "tls.crt: No such file or directory"},
                {"tls.key", NULL, "tls.key: No such file or directory"},
                {"ca.crt", NULL, "ca.crt: No such file or directory"},
                {"tls.crt", "", "tls.crt: holds no certificate"},
                {"tls.crt", "hello", "tls.crt: holds no certificate"},
                {"tls.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                 "tls.crt: "},
                {"tls.key", "", "tls.key: holds no private key"},
                {"tls.key", "-----BEGIN PRIVATE KEY-----\nMHMC", "tls.key: holds no private key"},
                {"ca.crt", "hello", "ca.crt: holds no certificate"},
        };
        Fixture *f = *state;

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                Err err = {0};

                test_cert_write(&f->own, &f->dir, "tls");
                test_cert_write(&f->ca, &f->dir, "ca");
                if (cases[i].content != NULL)
                        put(f, cases[i].name, cases[i].content);
                else
                        assert_true(file_remove(f->dir.path, cases[i].name, NULL));
                assert_false(try_open(f, true, NULL, &err));
                assert_non_null(strstr(err.text, cases[i].text));
                assert_null(strstr(err.text, "MHMC"));
        }
        Err err = {0};
        test_cert_write(&f->own, &f->dir, "tls");
        write_encrypted_key(f);
        assert_false(try_open(f, false, NULL, &err));
        assert_non_null(strstr(err.text, "read without a password"));
        test_cert_write(&f->own, &f->dir, "tls");
        test_cert_write(&f->ca, &f->dir, "ca");
        assert_int_equal(rename(f->client_ca, f->certificate), 0);
        assert_false(try_open(f, false, NULL, &err));
        assert_non_null(strstr(err.text, "is not the key of"));
}

/* Between what the server needs and the end, in every order of who goes first. */
static void closed_in_every_state(void **state)
{
        Fixture *f = *state;
        int server = TLS_WANTS_READ, steps = 0;
        char got[64];

        serve(f);
        do {
                dial(f, NULL);
                for (int i = 0; i < steps; i++) {
                        IGNORE(test_tls_handshake(&f->client), "it may be done already");
                        server = tls_stream_handshake(f->stream);
                }
                if (steps % 2 == 1)
                        tls_stream_finish(f->stream);
                if (server == 1)
                        assert_int_equal(tls_stream_read(f->stream, got, sizeof(got)),
                                         TLS_WANTS_READ);
                f->stream = tls_stream_close(f->stream);
                IGNORE(test_tls_handshake(&f->client), "nobody answers");
        } while (steps++ < 4 || server != 1);
        assert_null(tls_stream_close(NULL));
        f->server = tls_server_close(f->server);
        assert_null(tls_server_close(NULL));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(bytes_go_both_ways),
                TEST(an_end_without_farewell_is_no_end),
                TEST(writing_waits_for_room),
                TEST(alpn_is_agreed_on_or_refused),
                TEST(old_versions_are_refused),
                TEST(renegotiation_is_refused),
                TEST(a_session_goes_on_by_its_ticket),
                TEST(who_shows_a_certificate_does_so_each_time),
                TEST(a_client_must_show_the_right_certificate),
                TEST(truncated_handshakes_end),
                TEST(garbage_ends),
                TEST(new_files_are_taken),
                TEST(bad_files_change_nothing),
                TEST(a_new_client_ca_counts_at_once),
                TEST(a_mounted_secret_is_taken_whole),
                TEST(bad_files_are_named),
                TEST(closed_in_every_state),
        };

        /* As in the program; AddressSanitizer looks on. */
        tls_wipe_freed();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
