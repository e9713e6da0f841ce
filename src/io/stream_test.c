/* SPDX-License-Identifier: Apache-2.0 */
#include "io/stream.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "io/test_tls.h"

enum {
        STEPS_MAX = 4000
};

typedef struct Fixture {
        TestClock time;
        Clock clock;
        Loop *loop;
        TestDir dir;
        TestCert own;
        TlsServer *tls;
        Stream stream;
        TestTlsClient client;
        int fd;      /* of the client, where it speaks no TLS; else -1 */
        size_t step; /* bytes read at a time */
        bool closes; /* the stream, in its callback */
        bool ended;  /* 0 was read */
        bool pieces; /* what is sent is given in pieces */
        Buf got;     /* by the server */
        Str to_send; /* rest */
        unsigned n_calls, n_again;
        char fault[ERR_TEXT_MAX];
} Fixture;

static void on_broken(Fixture *f)
{
        memcpy(f->fault, stream_fault(&f->stream)->text, sizeof(f->fault));
        stream_close(&f->stream);
}

/* Heads and bodies by turns, as frames are. */
static ptrdiff_t write_pieces(Stream *s, Str rest)
{
        struct iovec at[32];
        size_t n = 0;

        for (; n < LENGTH_OF(at) && rest.n > 0; n++) {
                Str piece = str_sub(rest, 0, n % 2 == 0 ? 9 : TLS_RECORD_BYTES + 1);
                at[n] = (struct iovec){(char *)(uintptr_t)piece.p, piece.n};
                rest = str_sub(rest, piece.n, SIZE_MAX);
        }
        return stream_writev(s, at, n);
}

static void on_stream(Stream *s)
{
        Fixture *f = CONTAINER_OF(s, Fixture, stream);
        ptrdiff_t n;

        f->n_calls++;
        if (f->closes) {
                stream_close(s);
                return;
        }
        if ((s->want & FD_WRITE) != 0) {
                n = f->pieces ? write_pieces(s, f->to_send) : stream_write(s, f->to_send, false);
                if (n > 0)
                        f->to_send = str_sub(f->to_send, (size_t)n, SIZE_MAX);
                if (n != STREAM_BROKEN && f->to_send.n == 0)
                        stream_want(s, FD_READ);
        } else {
                assert_true(buf_reserve(&f->got, f->step));
                n = stream_read(s, f->got.p + f->got.n, f->step);
                f->got.n += n > 0 ? (size_t)n : 0;
                f->ended = n == 0;
                if (f->ended)
                        stream_want(s, 0);
        }
        f->n_again += n == STREAM_AGAIN;
        if (n == STREAM_BROKEN)
                on_broken(f);
}

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof(*f));
        char certificate[TEST_PATH], key[TEST_PATH];

        signal(SIGPIPE, SIG_IGN);
        f->time = (TestClock){{SPAN_S(1000).ns}, {1}, 0};
        f->clock = test_clock(&f->time);
        f->loop = loop_new(&f->clock);
        f->step = 1 << 14;
        f->fd = -1;
        buf_init(&f->got, 1 << 24);
        test_dir_init(&f->dir);
        f->own = test_cert_make(&(TestCertInput){.name = "own", .is_ca = true});
        test_cert_write(&f->own, &f->dir, "tls");
        f->tls = tls_server_open(
                &(TlsServerInput){
                        .loop = f->loop,
                        .certificate = test_dir_join(&f->dir, "tls.crt", certificate),
                        .key = test_dir_join(&f->dir, "tls.key", key),
                },
                NULL);
        assert_non_null(f->tls);
        *state = f;
        return 0;
}

static void hang_up(Fixture *f)
{
        stream_close(&f->stream);
        test_tls_client_done(&f->client);
        if (f->fd >= 0)
                close(f->fd);
        f->fd = -1;
        buf_reset(&f->got);
        f->fault[0] = '\0';
        f->ended = f->closes = false;
        f->n_calls = f->n_again = 0;
        f->to_send = STR("");
}

static int teardown(void **state)
{
        Fixture *f = *state;

        hang_up(f);
        stream_close(&f->stream);
        tls_server_close(f->tls);
        loop_turn(f->loop, SPAN_MS(0));
        loop_free(f->loop);
        test_cert_done(&f->own);
        test_dir_done(&f->dir);
        buf_done(&f->got);
        mem_free(f);
        return 0;
}

/* A client that speaks TLS, or one that says what the test says. */
static void dial(Fixture *f, bool is_raw, bool is_plain)
{
        int fd[2];

        hang_up(f);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
        stream_init(&f->stream, f->loop, fd[0], is_plain ? NULL : f->tls, on_stream);
        stream_want(&f->stream, FD_READ);
        if (is_raw)
                f->fd = fd[1];
        else
                test_tls_client_init(&f->client, fd[1], &f->own, NULL);
}

static void turns(Fixture *f, int n)
{
        while (n-- > 0)
                loop_turn(f->loop, SPAN_MS(0));
}

static void shake_hands(Fixture *f)
{
        int done = 0;

        for (int i = 0; i < 20 && done == 0; i++) {
                done = test_tls_handshake(&f->client);
                turns(f, 1);
        }
        assert_int_equal(done, 1);
        turns(f, 2);
}

static void plain_bytes_go_through(void **state)
{
        Fixture *f = *state;
        char got[16] = "";

        dial(f, true, true);
        turns(f, 2);
        assert_int_equal(f->n_calls, 0);
        assert_int_equal(send(f->fd, "hello", 5, 0), 5);
        turns(f, 3);
        assert_true(str_eq(buf_str(&f->got), STR("hello")));
        f->to_send = STR("world");
        stream_want(&f->stream, FD_WRITE);
        turns(f, 3);
        assert_int_equal(recv(f->fd, got, sizeof(got), 0), 5);
        assert_string_equal(got, "world");
        stream_finish(&f->stream);
        assert_int_equal(recv(f->fd, got, sizeof(got), 0), 0);
        shutdown(f->fd, SHUT_WR);
        turns(f, 3);
        assert_true(f->ended);
}

static void tls_is_below_the_bytes(void **state)
{
        Fixture *f = *state;
        char got[16] = "";
        size_t n;

        dial(f, false, false);
        shake_hands(f);
        assert_int_equal(f->n_calls, 0);
        assert_int_equal(test_tls_write(&f->client, "hello", 5), 1);
        turns(f, 3);
        assert_true(str_eq(buf_str(&f->got), STR("hello")));
        f->to_send = STR("world");
        stream_want(&f->stream, FD_WRITE);
        turns(f, 3);
        assert_int_equal(test_tls_read(&f->client, got, sizeof(got), &n), 1);
        assert_string_equal(got, "world");
        stream_finish(&f->stream);
        assert_int_equal(test_tls_read(&f->client, got, sizeof(got), &n), -1);
        SSL_shutdown(f->client.ssl);
        turns(f, 3);
        assert_true(f->ended);
}

/* Written before there is a handshake: it is held back until then. */
static void who_writes_first_waits_for_the_handshake(void **state)
{
        Fixture *f = *state;
        char got[16] = "";
        size_t n;

        dial(f, false, false);
        f->to_send = STR("banner");
        assert_int_equal(stream_write(&f->stream, f->to_send, false), STREAM_AGAIN);
        stream_want(&f->stream, FD_WRITE);
        turns(f, 5);
        assert_int_equal(f->n_calls, 0);
        shake_hands(f);
        assert_int_equal(test_tls_read(&f->client, got, sizeof(got), &n), 1);
        assert_string_equal(got, "banner");
}

/* One record is taken from the descriptor at once, however little is read of it. */
static void what_tls_holds_back_is_told(void **state)
{
        Fixture *f = *state;
        char bytes[16000];

        dial(f, false, false);
        shake_hands(f);
        memset(bytes, 'x', sizeof(bytes));
        f->step = 1000;
        assert_int_equal(test_tls_write(&f->client, bytes, sizeof(bytes)), 1);
        turns(f, 40);
        assert_int_equal(f->got.n, sizeof(bytes));
        /* Nothing is told while nothing is wanted, and nothing is lost. */
        assert_int_equal(test_tls_write(&f->client, bytes, sizeof(bytes)), 1);
        turns(f, 2);
        stream_want(&f->stream, 0);
        unsigned calls = f->n_calls;
        turns(f, 10);
        assert_int_equal(f->n_calls, calls);
        stream_want(&f->stream, FD_READ);
        turns(f, 40);
        assert_int_equal(f->got.n, 2 * sizeof(bytes));
        turns(f, 10);
        assert_int_equal(f->n_again, 0);
}

static void large_answers_wait(Fixture *f)
{
        enum {
                LARGE = 3 << 20
        };
        char *bytes = mem_new(LARGE), *got = mem_new(1 << 16);
        size_t received = 0, n;

        for (size_t i = 0; i < LARGE; i++)
                bytes[i] = (char)(i * 37 >> 9);
        dial(f, false, false);
        shake_hands(f);
        f->to_send = str_make(bytes, LARGE);
        stream_want(&f->stream, FD_WRITE);
        turns(f, 300);
        assert_true(f->to_send.n > 0);
        unsigned calls = f->n_calls;
        turns(f, 20);
        assert_int_equal(f->n_calls, calls); /* it does not spin */
        for (int i = 0; i < STEPS_MAX && received < LARGE; i++) {
                if (test_tls_read(&f->client, got, 1 << 16, &n) == 1) {
                        assert_memory_equal(got, bytes + received, n);
                        received += n;
                } else {
                        turns(f, 1);
                }
        }
        assert_int_equal(received, LARGE);
        mem_free(bytes);
        mem_free(got);
}

static void large_answers_wait_for_their_reader(void **state)
{
        large_answers_wait(*state);
}

static void pieces_go_as_one(void **state)
{
        Fixture *f = *state;
        char got[1 << 16];
        size_t n;

        f->pieces = true;
        large_answers_wait(f);
        /* Small ones share a record. */
        f->to_send = STR("0123456789abcdefghi");
        stream_want(&f->stream, FD_WRITE);
        turns(f, 5);
        assert_int_equal(test_tls_read(&f->client, got, sizeof(got), &n), 1);
        assert_int_equal(n, 19);
}

/* The peer wants new keys while we only read: that is answered, by writing. */
static void keys_are_updated(void **state)
{
        Fixture *f = *state;
        char got[16] = "";
        size_t n;

        dial(f, false, false);
        shake_hands(f);
        for (int i = 0; i < 10; i++) {
                assert_int_equal(SSL_key_update(f->client.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
                assert_int_equal(test_tls_write(&f->client, "x", 1), 1);
                turns(f, 4);
        }
        assert_int_equal(f->got.n, 10);
        f->to_send = STR("y");
        stream_want(&f->stream, FD_WRITE);
        turns(f, 3);
        assert_int_equal(test_tls_read(&f->client, got, sizeof(got), &n), 1);
        assert_string_equal(got, "y");
}

/* What the client says first, as bytes. */
static size_t first_flight(Fixture *f, char *flight, size_t max)
{
        TestTlsClient c;
        int fd[2];
        ssize_t n;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
        test_tls_client_init(&c, fd[1], &f->own, NULL);
        assert_int_equal(test_tls_handshake(&c), 0);
        n = recv(fd[0], flight, max, 0);
        assert_true(n > 100);
        test_tls_client_done(&c);
        close(fd[0]);
        return (size_t)n;
}

/* Byte by byte it may come, as long as it comes within the time. */
static void a_slow_handshake_ends_in_time(void **state)
{
        Fixture *f = *state;
        char flight[4096];
        size_t n = first_flight(f, flight, sizeof(flight));

        dial(f, true, false);
        for (size_t i = 0; i + 1 < n; i++) {
                assert_int_equal(send(f->fd, flight + i, 1, 0), 1);
                turns(f, 1);
        }
        test_clock_advance(&f->time, SPAN_MS(STREAM_HANDSHAKE_SECONDS * 1000 - 1));
        turns(f, 2);
        assert_int_equal(f->n_calls, 0);
        test_clock_advance(&f->time, SPAN_MS(1));
        turns(f, 2);
        assert_int_equal(f->n_calls, 1);
        assert_string_equal(f->fault, "no handshake within 10 s");
        /* One that is done is not ended by it. */
        dial(f, false, false);
        shake_hands(f);
        test_clock_advance(&f->time, SPAN_S(100));
        turns(f, 3);
        assert_int_equal(f->n_calls, 0);
}

static void nonsense_breaks_it(void **state)
{
        Fixture *f = *state;

        dial(f, true, false);
        assert_int_equal(send(f->fd, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
        turns(f, 3);
        assert_int_equal(f->n_calls, 1);
        assert_string_equal(f->fault, "http request");
        dial(f, true, false);
        shutdown(f->fd, SHUT_RDWR);
        turns(f, 3);
        assert_int_equal(f->n_calls, 1);
        assert_true(f->fault[0] != '\0');
}

/* With nothing wanted it is still over after its time, and says so when it is asked. */
static void nothing_wanted_and_nothing_called(void **state)
{
        Fixture *f = *state;
        char got[8];

        dial(f, true, false);
        stream_want(&f->stream, 0);
        test_clock_advance(&f->time, SPAN_S(100));
        turns(f, 3);
        assert_int_equal(f->n_calls, 0);
        assert_int_equal(stream_read(&f->stream, got, sizeof(got)), STREAM_BROKEN);
        assert_int_equal(stream_write(&f->stream, STR("x"), false), STREAM_BROKEN);
}

typedef enum State {
        JUST_ACCEPTED,
        HALF_A_HELLO,
        WAITS_FOR_FINISHED,
        IS_OPEN,
        HAS_MORE, /* a Post is on its way */
        WRITES,
        FINISHED,
        STATES,
} State;

static void reach(Fixture *f, State s)
{
        static char bytes[1 << 20];
        char flight[4096];

        dial(f, s == HALF_A_HELLO, false);
        f->step = s == HAS_MORE ? 10 : 1 << 14;
        if (s == HALF_A_HELLO) {
                IGNORE(first_flight(f, flight, sizeof(flight)), "it is longer");
                assert_int_equal(send(f->fd, flight, 100, 0), 100);
                turns(f, 3);
        }
        if (s == WAITS_FOR_FINISHED) {
                assert_int_equal(test_tls_handshake(&f->client), 0);
                turns(f, 3);
        }
        if (s < IS_OPEN)
                return;
        shake_hands(f);
        if (s == HAS_MORE) {
                assert_int_equal(test_tls_write(&f->client, bytes, 5000), 1);
                turns(f, 1);
                assert_true(f->got.n > 0 && f->got.n < 5000);
        }
        if (s == WRITES) {
                f->to_send = str_make(bytes, sizeof(bytes));
                stream_want(&f->stream, FD_WRITE);
                turns(f, 3);
        }
        if (s == FINISHED)
                stream_finish(&f->stream);
}

/* Is the descriptor gone of which ours is the other end? */
static bool is_closed(const Fixture *f)
{
        struct pollfd p = {.fd = f->fd >= 0 ? f->fd : f->client.fd};

        return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) != 0;
}

static void closed_in_every_state(void **state)
{
        Fixture *f = *state;

        for (State s = 0; s < STATES; s++) {
                for (int inside = 0; inside < 2; inside++) {
                        reach(f, s);
                        unsigned before = f->n_calls;

                        f->closes = true;
                        if (!inside) {
                                stream_close(&f->stream);
                                assert_true(is_closed(f));
                        }
                        /* What ends a handshake, and wakes who reads or writes. */
                        shutdown(f->fd >= 0 ? f->fd : f->client.fd, SHUT_RDWR);
                        turns(f, 5);
                        test_clock_advance(&f->time, SPAN_S(100));
                        turns(f, 5);
                        assert_int_equal(f->n_calls, before + (inside ? 1 : 0));
                        stream_close(&f->stream);
                }
        }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(plain_bytes_go_through),
                TEST(tls_is_below_the_bytes),
                TEST(who_writes_first_waits_for_the_handshake),
                TEST(what_tls_holds_back_is_told),
                TEST(large_answers_wait_for_their_reader),
                TEST(pieces_go_as_one),
                TEST(keys_are_updated),
                TEST(a_slow_handshake_ends_in_time),
                TEST(nonsense_breaks_it),
                TEST(nothing_wanted_and_nothing_called),
                TEST(closed_in_every_state),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
