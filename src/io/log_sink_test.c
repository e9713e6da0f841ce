/* SPDX-License-Identifier: Apache-2.0 */
#include "io/log_sink.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/buf.h"
#include "io/testing.h"

/* "2026-11-22T20:58:01Z INFO  line n=00001\n" */
static const Str first_line = STR_INIT("2026-11-22T20:58:01Z INFO  line n=100000\n");

typedef struct Fixture {
        TestClock time;
        Clock clock;
        Log log;
        Loop *loop;
        int fds[2]; /* read, write */
        Buf got;
} Fixture;

static int setup(void **state)
{
        static Fixture f;

        f = (Fixture){.time = {.mono = {1000}, .wall = {1795381081000}}};
        f.clock = test_clock(&f.time);
        f.loop = loop_new(&f.clock);
        f.log.level = LOG_INFO;
        f.fds[0] = f.fds[1] = -1;
        buf_init(&f.got, 1 << 24);
        *state = &f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        for (int i = 0; i < 2; i++) {
                if (f->fds[i] >= 0)
                        close(f->fds[i]);
        }
        buf_done(&f->got);
        f->loop = loop_free(f->loop);
        return 0;
}

static void open_pipe(Fixture *f)
{
        assert_int_equal(pipe2(f->fds, O_CLOEXEC), 0);
}

/* What is there to read now; true where it was something. */
static bool read_some(Fixture *f)
{
        int flags = fcntl(f->fds[0], F_GETFL);
        bool any = false;
        ssize_t n;

        assert_int_equal(fcntl(f->fds[0], F_SETFL, flags | O_NONBLOCK), 0);
        for (;;) {
                assert_true(buf_reserve(&f->got, 65536));
                n = read(f->fds[0], f->got.p + f->got.n, 65536);
                if (n <= 0)
                        return any;
                f->got.n += (size_t)n;
                any = true;
        }
}

static int next_number;

static void write_lines(Fixture *f, int n)
{
        for (int i = 0; i < n; i++)
                log_info(&f->log, "line", LOG_INT("n", next_number++));
}

/* Whole lines, numbers from 100000 on without a gap but for those that were dropped and told. */
static size_t check_lines(const Fixture *f, uint64_t *ret_told)
{
        Str rest = buf_str(&f->got), line;
        uint64_t next = 100000, told = 0, n;
        size_t lines = 0;

        while (rest.n > 0) {
                assert_true(str_cut(&rest, '\n', &line));
                if (str_find_str(line, STR("log lines dropped lines=")) >= 0) {
                        size_t at = (size_t)str_find(line, '=') + 1;

                        assert_true(str_to_u64(str_sub(line, at, line.n), UINT64_MAX, &n));
                        told += n;
                        continue;
                }
                assert_int_equal(line.n, first_line.n - 1);
                assert_true(str_to_u64(str_sub(line, line.n - 6, 6), UINT64_MAX, &n));
                assert_true(n >= next);
                next = n + 1;
                lines++;
        }
        *ret_told = told;
        return lines;
}

static void writes_through(void **state)
{
        Fixture *f = *state;
        LogSink *s;
        uint64_t told;

        open_pipe(f);
        next_number = 100000;
        s = log_sink_open(&f->log, f->fds[1], &f->clock);
        write_lines(f, 3);
        assert_true(read_some(f));
        assert_int_equal(check_lines(f, &told), 3);
        assert_true(str_starts(buf_str(&f->got), first_line));
        assert_null(log_sink_close(s));
        log_info(&f->log, "after");
        assert_false(read_some(f));
        assert_null(log_sink_close(NULL));
}

static void the_shared_descriptor_stays_as_it_is(void **state)
{
        Fixture *f = *state;
        LogSink *s;

        open_pipe(f);
        s = log_sink_open(&f->log, f->fds[1], &f->clock);
        write_lines(f, 1);
        assert_int_equal(fcntl(f->fds[1], F_GETFL) & O_NONBLOCK, 0);
        log_sink_close(s);
}

/* A reader that does nothing, and then reads all: nothing blocks, whole lines, and each that is
 * missing was told. */
static void fill_and_drain(Fixture *f)
{
        LogSink *s = log_sink_open(&f->log, f->fds[1], &f->clock);
        uint64_t told;
        size_t lines;

        next_number = 100000;
        log_sink_attach(s, f->loop);
        write_lines(f, 20000);
        assert_true(f->log.dropped > 0);
        while (read_some(f))
                loop_turn(f->loop, SPAN_MS(0));
        lines = check_lines(f, &told);
        assert_int_equal(told, f->log.dropped);
        assert_int_equal(lines + told, (uint64_t)next_number - 100000);
        /* The buffer alone holds so many. */
        assert_true(lines >= 65536 / first_line.n);
        assert_false(loop_turn(f->loop, SPAN_MS(0)));
        log_sink_close(s);
}

static void a_full_pipe_never_blocks(void **state)
{
        Fixture *f = *state;

        open_pipe(f);
        fill_and_drain(f);
}

static void it_works_without_a_loop(void **state)
{
        Fixture *f = *state;
        LogSink *s;
        uint64_t told;

        open_pipe(f);
        next_number = 100000;
        s = log_sink_open(&f->log, f->fds[1], &f->clock);
        write_lines(f, 2000);
        assert_int_equal(f->log.dropped, 0);
        read_some(f);
        write_lines(f, 1);
        read_some(f);
        assert_int_equal(check_lines(f, &told), 2001);
        log_sink_close(s);
}

static void a_full_socket_never_blocks(void **state)
{
        Fixture *f = *state;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, f->fds), 0);
        fill_and_drain(f);
}

/* Other processes write to the same pipe: what goes out in one piece is whole lines. Packets show
 * the pieces. */
static void what_was_kept_goes_out_in_whole_lines(void **state)
{
        Fixture *f = *state;
        char packet[8192];
        size_t most = 0;
        LogSink *s;
        ssize_t n;

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, f->fds), 0);
        next_number = 100000;
        s = log_sink_open(&f->log, f->fds[1], &f->clock);
        log_sink_attach(s, f->loop);
        write_lines(f, 1500);
        while ((n = recv(f->fds[0], packet, sizeof(packet), MSG_DONTWAIT)) > 0) {
                assert_int_equal(packet[n - 1], '\n');
                most = (size_t)n > most ? (size_t)n : most;
                loop_turn(f->loop, SPAN_MS(0));
        }
        assert_true(most > 10 * first_line.n && most <= 4096);
        assert_int_equal(f->log.dropped, 0);
        log_sink_close(s);
}

static void a_file_takes_all(void **state)
{
        Fixture *f = *state;
        TestDir dir;
        char path[TEST_PATH];
        LogSink *s;
        uint64_t told;

        test_dir_init(&dir);
        test_dir_join(&dir, "log", path);
        f->fds[1] = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        f->fds[0] = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(f->fds[0] >= 0 && f->fds[1] >= 0);
        next_number = 100000;
        s = log_sink_open(&f->log, f->fds[1], &f->clock);
        log_sink_attach(s, f->loop);
        write_lines(f, 10000);
        read_some(f);
        assert_int_equal(check_lines(f, &told), 10000);
        assert_int_equal(f->log.dropped, 0);
        log_sink_close(s);
        test_dir_done(&dir);
}

/* The limit of a file's size stands in for a full disk: a line is taken in part, the next not at
 * all. */
static void a_full_disk_costs_lines_alone(void **state)
{
        Fixture *f = *state;
        struct rlimit before, small;
        TestDir dir;
        char path[TEST_PATH];
        LogSink *s;

        test_dir_init(&dir);
        test_dir_join(&dir, "log", path);
        f->fds[1] = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(f->fds[1] >= 0);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        small = (struct rlimit){first_line.n * 3 / 2, before.rlim_max};
        next_number = 100000;
        s = log_sink_open(&f->log, f->fds[1], &f->clock);
        log_sink_attach(s, f->loop);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        write_lines(f, 4);
        loop_turn(f->loop, SPAN_MS(0));
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_true(f->log.dropped >= 3);
        write_lines(f, 1);
        f->fds[0] = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(read_some(f));
        assert_true(str_ends(buf_str(&f->got), STR("n=100004\n")));
        log_sink_close(s);
        test_dir_done(&dir);
}

static void nobody_reads_any_more(void **state)
{
        Fixture *f = *state;
        LogSink *s;

        open_pipe(f);
        next_number = 100000;
        s = log_sink_open(&f->log, f->fds[1], &f->clock);
        log_sink_attach(s, f->loop);
        write_lines(f, 2000);
        assert_int_equal(f->log.dropped, 0);
        close(f->fds[0]);
        f->fds[0] = -1;
        assert_true(loop_turn(f->loop, SPAN_S(60)));
        /* Those in the buffer, and the line about them. */
        assert_true(f->log.dropped > 0);
        write_lines(f, 5);
        assert_false(loop_turn(f->loop, SPAN_MS(0)));
        log_sink_close(s);
}

static void closing_writes_what_it_can(void **state)
{
        Fixture *f = *state;
        LogSink *s;
        uint64_t told;

        open_pipe(f);
        next_number = 100000;
        s = log_sink_open(&f->log, f->fds[1], &f->clock);
        log_sink_attach(s, f->loop);
        write_lines(f, 2000);
        read_some(f);
        log_sink_close(s);
        read_some(f);
        assert_int_equal(check_lines(f, &told), 2000);
}

#define SINK_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                SINK_TEST(writes_through),
                SINK_TEST(the_shared_descriptor_stays_as_it_is),
                SINK_TEST(a_full_pipe_never_blocks),
                SINK_TEST(it_works_without_a_loop),
                SINK_TEST(a_full_socket_never_blocks),
                SINK_TEST(what_was_kept_goes_out_in_whole_lines),
                SINK_TEST(a_file_takes_all),
                SINK_TEST(a_full_disk_costs_lines_alone),
                SINK_TEST(nobody_reads_any_more),
                SINK_TEST(closing_writes_what_it_can),
        };

        signal(SIGPIPE, SIG_IGN);
        signal(SIGXFSZ, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
