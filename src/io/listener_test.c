/* SPDX-License-Identifier: Apache-2.0 */
#include "io/listener.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "io/testing.h"

static int n_accepted, last_fd = -1;

static void on_accept(Listener *l, int fd)
{
        (void)l;
        n_accepted++;
        if (last_fd >= 0)
                close(last_fd);
        last_fd = fd;
}

typedef struct Fixture {
        TestClock time;
        Clock clock;
        Loop *loop;
        TestDir dir;
        Address address; /* unix://DIR/s */
} Fixture;

static Address parse(const char *text)
{
        Address a;

        assert_true(address_parse(str_of(text), &a, NULL));
        return a;
}

static int setup(void **state)
{
        static Fixture f;
        char text[TEST_PATH + 16];

        f = (Fixture){.time = {.mono = {1000}}};
        f.clock = test_clock(&f.time);
        f.loop = loop_new(&f.clock);
        test_dir_init(&f.dir);
        IGNORE(snprintf(text, sizeof(text), "unix://%s/s", f.dir.path), "fits");
        f.address = parse(text);
        n_accepted = 0;
        *state = &f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        if (last_fd >= 0)
                close(last_fd);
        last_fd = -1;
        test_dir_done(&f->dir);
        f->loop = loop_free(f->loop);
        return 0;
}

static int dial(const Address *a)
{
        int fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        assert_int_equal(connect(fd, (const struct sockaddr *)&a->sa, a->n), 0);
        return fd;
}

static void accepts_on_unix_sockets(void **state)
{
        Fixture *f = *state;
        Listener l;
        struct stat st;
        int fd;

        assert_true(listener_open(&l, f->loop, &f->address, on_accept, NULL));
        assert_int_equal(stat(address_path(&f->address).p, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        fd = dial(&f->address);
        assert_int_equal(n_accepted, 0);
        assert_true(loop_turn(f->loop, SPAN_S(60)));
        assert_int_equal(n_accepted, 1);
        assert_true(fcntl(last_fd, F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(last_fd, F_GETFD) & FD_CLOEXEC);
        listener_close(&l);
        listener_close(&l);
        assert_int_equal(stat(address_path(&f->address).p, &st), -1);
        close(fd);
}

static void accepts_on_tcp_and_tells_the_real_port(void **state)
{
        static const char *const texts[] = {"tcp://127.0.0.1:0", "tcp://[::1]:0"};
        Fixture *f = *state;

        for (size_t i = 0; i < LENGTH_OF(texts); i++) {
                Address a = parse(texts[i]);
                Listener l;
                Err err;
                int fd;

                if (!listener_open(&l, f->loop, &a, on_accept, &err)) {
                        /* A machine without IPv6. */
                        assert_int_equal(i, 1);
                        continue;
                }
                assert_int_not_equal(address_port(&l.address), 0);
                assert_true(str_starts(str_of(l.address.text),
                                       str_make(texts[i], strlen(texts[i]) - 1)));
                fd = dial(&l.address);
                assert_true(loop_turn(f->loop, SPAN_S(60)));
                assert_int_equal(n_accepted, i + 1);
                listener_close(&l);
                close(fd);
        }
}

static void a_taken_port_is_refused(void **state)
{
        Fixture *f = *state;
        Address a = parse("tcp://127.0.0.1:0");
        Listener l, second;
        Err err;

        assert_true(listener_open(&l, f->loop, &a, on_accept, NULL));
        assert_false(listener_open(&second, f->loop, &l.address, on_accept, &err));
        assert_int_equal(err.kind, ERR_CONFLICT);
        assert_string_equal(err.reason, "AddressInUse");
        listener_close(&second);
        listener_close(&l);
}

static void a_live_socket_is_refused_and_a_stale_one_replaced(void **state)
{
        Fixture *f = *state;
        Listener l, second;
        Err err;
        int fd;

        assert_true(listener_open(&l, f->loop, &f->address, on_accept, NULL));
        assert_false(listener_open(&second, f->loop, &f->address, on_accept, &err));
        assert_int_equal(err.kind, ERR_CONFLICT);
        /* As a crash leaves it: the file is there, nobody accepts. */
        fd_source_close(&l.source);
        close(l.fd);
        assert_true(listener_open(&second, f->loop, &f->address, on_accept, &err));
        fd = dial(&f->address);
        listener_close(&second);
        close(fd);
}

static void what_is_no_socket_is_left_alone(void **state)
{
        Fixture *f = *state;
        const char *path = address_path(&f->address).p;
        Listener l;
        Err err;
        int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        close(fd);
        assert_false(listener_open(&l, f->loop, &f->address, on_accept, &err));
        assert_int_equal(err.kind, ERR_CONFLICT);
        listener_close(&l);
        assert_int_equal(access(path, F_OK), 0);
}

static void a_successors_socket_is_not_unlinked(void **state)
{
        Fixture *f = *state;
        const char *path = address_path(&f->address).p;
        Listener l, second;

        assert_true(listener_open(&l, f->loop, &f->address, on_accept, NULL));
        assert_int_equal(unlink(path), 0);
        assert_true(listener_open(&second, f->loop, &f->address, on_accept, NULL));
        listener_close(&l);
        assert_int_equal(access(path, F_OK), 0);
        listener_close(&second);
        assert_int_equal(access(path, F_OK), -1);
}

static void a_directory_that_is_not_there(void **state)
{
        Fixture *f = *state;
        Address a = parse("unix:///nonexistent-directory/s");
        Listener l;
        Err err;

        assert_false(listener_open(&l, f->loop, &a, on_accept, &err));
        assert_int_equal(err.kind, ERR_MISSING);
        listener_close(&l);
}

static void without_descriptors_it_pauses(void **state)
{
        Fixture *f = *state;
        struct rlimit before, tight;
        Listener l;
        int fd, lowest;

        assert_true(listener_open(&l, f->loop, &f->address, on_accept, NULL));
        fd = dial(&f->address);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        lowest = dup(fd);
        assert_true(lowest >= 0);
        close(lowest);
        tight = before;
        tight.rlim_cur = (rlim_t)lowest;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
        assert_true(loop_turn(f->loop, SPAN_S(60)));
        assert_int_equal(n_accepted, 0);
        assert_true(timer_is_set(&l.pause));
        /* No spinning meanwhile. */
        assert_false(loop_turn(f->loop, SPAN_MS(0)));
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        test_clock_advance(&f->time, SPAN_MS(100));
        assert_true(loop_turn(f->loop, SPAN_MS(0)));
        assert_true(loop_turn(f->loop, SPAN_S(60)));
        assert_int_equal(n_accepted, 1);
        listener_close(&l);
        close(fd);
}

static void a_flood_does_not_hold_up_a_turn(void **state)
{
        Fixture *f = *state;
        Listener l;
        int fds[40], turns = 0;

        assert_true(listener_open(&l, f->loop, &f->address, on_accept, NULL));
        for (size_t i = 0; i < LENGTH_OF(fds); i++)
                fds[i] = dial(&f->address);
        for (; n_accepted < (int)LENGTH_OF(fds); turns++)
                assert_true(loop_turn(f->loop, SPAN_S(60)));
        assert_int_equal(turns, 3);
        listener_close(&l);
        for (size_t i = 0; i < LENGTH_OF(fds); i++)
                close(fds[i]);
}

#define LISTENER_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                LISTENER_TEST(accepts_on_unix_sockets),
                LISTENER_TEST(accepts_on_tcp_and_tells_the_real_port),
                LISTENER_TEST(a_taken_port_is_refused),
                LISTENER_TEST(a_live_socket_is_refused_and_a_stale_one_replaced),
                LISTENER_TEST(what_is_no_socket_is_left_alone),
                LISTENER_TEST(a_successors_socket_is_not_unlinked),
                LISTENER_TEST(a_directory_that_is_not_there),
                LISTENER_TEST(without_descriptors_it_pauses),
                LISTENER_TEST(a_flood_does_not_hold_up_a_turn),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
