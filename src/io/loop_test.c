/* SPDX-License-Identifier: Apache-2.0 */
#include "io/loop.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "io/testing.h"

/* What was delivered, in order. */
static char trace[64];
static size_t n_trace;

static void note(char c)
{
        assert_true(n_trace < sizeof(trace) - 1);
        trace[n_trace++] = c;
        trace[n_trace] = '\0';
}

typedef struct Fixture {
        TestClock time;
        Clock clock;
        Loop *loop;
} Fixture;

static int setup(void **state)
{
        static Fixture f;

        f = (Fixture){.time = {.mono = {1000}, .wall = {1795381081000}}};
        f.clock = test_clock(&f.time);
        f.loop = loop_new(&f.clock);
        n_trace = 0;
        trace[0] = '\0';
        *state = &f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        f->loop = loop_free(f->loop);
        return f->loop == NULL ? 0 : -1;
}

typedef struct Named {
        Timer timer;
        Post post;
        char name;
        struct Named *other;
} Named;

static void on_timer(Timer *t)
{
        note(CONTAINER_OF(t, Named, timer)->name);
}

static void on_post(Post *p)
{
        note(CONTAINER_OF(p, Named, post)->name);
}

static void named_init(Named *n, Loop *l, char name)
{
        *n = (Named){.name = name};
        timer_init(&n->timer, l, on_timer);
        post_init(&n->post, l, on_post);
}

static void timers_fire_in_order_of_time_then_of_setting(void **state)
{
        Fixture *f = *state;
        Named n[5];

        for (int i = 0; i < 5; i++)
                named_init(&n[i], f->loop, (char)('a' + i));
        timer_set_in(&n[0].timer, SPAN_S(2));
        timer_set_in(&n[1].timer, SPAN_S(1));
        timer_set_in(&n[2].timer, SPAN_S(1));
        timer_set_in(&n[3].timer, SPAN_S(1));
        timer_set_in(&n[4].timer, SPAN_S(3));
        assert_false(loop_turn(f->loop, SPAN_MS(0)));
        test_clock_advance(&f->time, SPAN_S(2));
        assert_true(loop_turn(f->loop, SPAN_S(60)));
        assert_string_equal(trace, "bcda");
        assert_false(timer_is_set(&n[0].timer));
        assert_true(timer_is_set(&n[4].timer));
        timer_clear(&n[4].timer);
        timer_clear(&n[4].timer);
        test_clock_advance(&f->time, SPAN_S(60));
        assert_false(loop_turn(f->loop, SPAN_MS(0)));
}

static void a_timer_can_be_moved(void **state)
{
        Fixture *f = *state;
        Named a, b;

        named_init(&a, f->loop, 'a');
        named_init(&b, f->loop, 'b');
        timer_set_in(&a.timer, SPAN_S(1));
        timer_set_in(&b.timer, SPAN_S(2));
        timer_set_in(&a.timer, SPAN_S(3));
        test_clock_advance(&f->time, SPAN_S(5));
        loop_turn(f->loop, SPAN_MS(0));
        assert_string_equal(trace, "ba");
        timer_set_in(&a.timer, SPAN_S(1));
        timer_set(&a.timer, (Mono){0});
        assert_false(timer_is_set(&a.timer));
}

static void on_again(Timer *t)
{
        on_timer(t);
        timer_set(t, (Mono){1});
}

static void set_in_its_callback_it_waits_for_the_next_turn(void **state)
{
        Fixture *f = *state;
        Named a;

        named_init(&a, f->loop, 'a');
        timer_init(&a.timer, f->loop, on_again);
        timer_set_in(&a.timer, SPAN_MS(-5));
        for (int i = 0; i < 3; i++)
                assert_true(loop_turn(f->loop, SPAN_S(60)));
        assert_string_equal(trace, "aaa");
        timer_clear(&a.timer);
}

static void on_clear_other(Timer *t)
{
        on_timer(t);
        timer_clear(&CONTAINER_OF(t, Named, timer)->other->timer);
}

static void on_move_other(Timer *t)
{
        on_timer(t);
        timer_set_in(&CONTAINER_OF(t, Named, timer)->other->timer, SPAN_S(1));
}

static void a_due_one_can_be_cleared_and_moved_by_another(void **state)
{
        Fixture *f = *state;
        Named a, b;

        named_init(&a, f->loop, 'a');
        named_init(&b, f->loop, 'b');
        a.other = &b;
        timer_init(&a.timer, f->loop, on_clear_other);
        timer_set_in(&a.timer, SPAN_MS(0));
        timer_set_in(&b.timer, SPAN_MS(0));
        loop_turn(f->loop, SPAN_MS(0));
        assert_string_equal(trace, "a");
        assert_false(timer_is_set(&b.timer));
        timer_init(&a.timer, f->loop, on_move_other);
        timer_set_in(&a.timer, SPAN_MS(0));
        timer_set_in(&b.timer, SPAN_MS(0));
        loop_turn(f->loop, SPAN_MS(0));
        assert_string_equal(trace, "aa");
        assert_true(timer_is_set(&b.timer));
        test_clock_advance(&f->time, SPAN_S(1));
        loop_turn(f->loop, SPAN_MS(0));
        assert_string_equal(trace, "aab");
}

typedef struct Modelled {
        Timer timer;
        int64_t due; /* 0: not set */
        bool fired;
} Modelled;

static void on_modelled(Timer *t)
{
        CONTAINER_OF(t, Modelled, timer)->fired = true;
}

/* Against a plain model: the heap under random setting, moving, clearing and firing. */
static void many_timers_keep_their_times(void **state)
{
        static Modelled m[200];
        Fixture *f = *state;
        unsigned random = 3;

        for (size_t i = 0; i < LENGTH_OF(m); i++) {
                m[i] = (Modelled){0};
                timer_init(&m[i].timer, f->loop, on_modelled);
        }
        for (int step = 0; step < 3000; step++) {
                for (int k = 0; k < 10; k++) {
                        Modelled *one;

                        random = random * 1103515245 + 12345;
                        one = &m[(random >> 8) % LENGTH_OF(m)];
                        one->due = random >> 28 == 0 ? 0 : f->time.mono.ns + 1 + (random >> 20);
                        timer_set(&one->timer, (Mono){one->due});
                }
                test_clock_advance(&f->time, (Span){random >> 24});
                loop_turn(f->loop, SPAN_MS(0));
                for (size_t i = 0; i < LENGTH_OF(m); i++) {
                        bool expected = m[i].due != 0 && m[i].due <= f->time.mono.ns;

                        assert_int_equal(m[i].fired, expected);
                        if (expected)
                                m[i].due = 0;
                        m[i].fired = false;
                        assert_int_equal(timer_is_set(&m[i].timer), m[i].due != 0);
                }
        }
        for (size_t i = 0; i < LENGTH_OF(m); i++)
                timer_clear(&m[i].timer);
}

static void extreme_times_are_taken(void **state)
{
        Fixture *f = *state;
        Named a, b;

        named_init(&a, f->loop, 'a');
        named_init(&b, f->loop, 'b');
        f->time.mono.ns = 0;
        timer_set_in(&a.timer, (Span){0});
        timer_set_in(&b.timer, (Span){INT64_MAX});
        loop_turn(f->loop, SPAN_MS(0));
        assert_string_equal(trace, "a");
        f->time.mono.ns = 5;
        timer_set_in(&b.timer, (Span){INT64_MAX});
        timer_set_in(&a.timer, (Span){INT64_MIN});
        loop_turn(f->loop, SPAN_MS(0));
        assert_string_equal(trace, "aa");
        timer_clear(&b.timer);
}

static void posts_are_delivered_once(void **state)
{
        Fixture *f = *state;
        Named a, b;

        named_init(&a, f->loop, 'a');
        named_init(&b, f->loop, 'b');
        post_send(&a.post);
        post_send(&b.post);
        post_send(&a.post);
        assert_string_equal(trace, "");
        assert_true(loop_turn(f->loop, SPAN_S(60)));
        assert_string_equal(trace, "ab");
        assert_false(loop_turn(f->loop, SPAN_MS(0)));
        post_send(&a.post);
        post_cancel(&a.post);
        post_cancel(&a.post);
        assert_false(loop_turn(f->loop, SPAN_MS(0)));
}

static void on_send_again(Post *p)
{
        on_post(p);
        if (n_trace < 3)
                post_send(p);
}

static void a_post_from_a_post_goes_to_the_next_turn(void **state)
{
        Fixture *f = *state;
        Named a;

        named_init(&a, f->loop, 'a');
        post_init(&a.post, f->loop, on_send_again);
        post_send(&a.post);
        for (size_t turn = 1; turn <= 3; turn++) {
                /* That turn does not wait, although it may. */
                assert_true(loop_turn(f->loop, SPAN_S(60)));
                assert_int_equal(n_trace, turn);
        }
        assert_false(loop_turn(f->loop, SPAN_MS(0)));
}

static void on_timer_posts(Timer *t)
{
        on_timer(t);
        post_send(&CONTAINER_OF(t, Named, timer)->other->post);
}

static void a_post_from_a_timer_is_delivered_in_the_same_turn(void **state)
{
        Fixture *f = *state;
        Named a, b;

        named_init(&a, f->loop, 'a');
        named_init(&b, f->loop, 'b');
        a.other = &b;
        timer_init(&a.timer, f->loop, on_timer_posts);
        timer_set_in(&a.timer, SPAN_MS(0));
        loop_turn(f->loop, SPAN_MS(0));
        assert_string_equal(trace, "ab");
}

static unsigned last_ready;

static void on_ready(FdSource *s, unsigned ready)
{
        (void)s;
        last_ready = ready;
        note('f');
}

static void a_descriptor_tells_what_is_wanted(void **state)
{
        Fixture *f = *state;
        FdSource s;
        int fds[2];
        char c;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        fd_source_init(&s, f->loop, fds[0], on_ready);
        assert_false(loop_turn(f->loop, SPAN_MS(0)));
        fd_source_want(&s, FD_READ);
        assert_false(loop_turn(f->loop, SPAN_MS(0)));
        assert_int_equal(write(fds[1], "x", 1), 1);
        /* Level-triggered: told until it is read. */
        assert_true(loop_turn(f->loop, SPAN_S(60)));
        assert_true(loop_turn(f->loop, SPAN_S(60)));
        assert_int_equal(last_ready, FD_READ);
        fd_source_want(&s, FD_READ | FD_WRITE);
        assert_true(loop_turn(f->loop, SPAN_S(60)));
        assert_int_equal(last_ready, FD_READ | FD_WRITE);
        assert_int_equal(read(fds[0], &c, 1), 1);
        assert_true(loop_turn(f->loop, SPAN_S(60)));
        assert_int_equal(last_ready, FD_WRITE);
        fd_source_want(&s, 0);
        assert_false(loop_turn(f->loop, SPAN_MS(0)));
        fd_source_want(&s, FD_READ);
        close(fds[1]);
        assert_true(loop_turn(f->loop, SPAN_S(60)));
        assert_int_equal(last_ready, FD_READ);
        fd_source_close(&s);
        fd_source_close(&s);
        fd_source_want(&s, 0);
        assert_false(loop_turn(f->loop, SPAN_MS(0)));
        close(fds[0]);
}

static FdSource pair[2];

static void on_ready_quiets_the_other(FdSource *s, unsigned ready)
{
        FdSource *other = s == &pair[0] ? &pair[1] : &pair[0];

        on_ready(s, ready);
        fd_source_want(other, 0);
        fd_source_want(other, FD_READ);
}

static void what_was_unwanted_in_between_is_not_delivered(void **state)
{
        Fixture *f = *state;
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(write(fds[i], "x", 1), 1);
                fd_source_init(&pair[i], f->loop, fds[i], on_ready_quiets_the_other);
                fd_source_want(&pair[i], FD_READ);
        }
        assert_true(loop_turn(f->loop, SPAN_S(60)));
        assert_string_equal(trace, "f");
        for (int i = 0; i < 2; i++) {
                fd_source_close(&pair[i]);
                close(fds[i]);
        }
}

static void on_signal(SignalSource *s, int signo)
{
        assert_int_equal(signo, s->signo);
        note('s');
}

static void signals_arrive_in_the_loop(void **state)
{
        Fixture *f = *state;
        SignalSource s, t;

        assert_true(signal_source_open(&s, f->loop, SIGUSR1, on_signal));
        assert_true(signal_source_open(&t, f->loop, SIGHUP, on_signal));
        assert_int_equal(raise(SIGUSR1), 0);
        assert_string_equal(trace, "");
        assert_true(loop_turn(f->loop, SPAN_S(60)));
        assert_string_equal(trace, "s");
        assert_int_equal(raise(SIGUSR1), 0);
        assert_int_equal(raise(SIGUSR1), 0);
        assert_int_equal(raise(SIGHUP), 0);
        assert_true(loop_turn(f->loop, SPAN_S(60)));
        assert_string_equal(trace, "sss");
        signal_source_close(&s);
        signal_source_close(&s);
        signal_source_close(&t);
        assert_false(signal_source_open(&s, f->loop, SIGKILL, on_signal));
        signal_source_close(&s);
}

static void the_clock_is_read_once_for_a_turn(void **state)
{
        Fixture *f = *state;
        Named a, b;
        unsigned before;

        named_init(&a, f->loop, 'a');
        named_init(&b, f->loop, 'b');
        a.other = &b;
        timer_init(&a.timer, f->loop, on_timer_posts);
        timer_set_in(&a.timer, SPAN_MS(0));
        before = f->time.reads;
        loop_turn(f->loop, SPAN_MS(0));
        /* Once for how long to wait, once for all callbacks. */
        assert_int_equal(f->time.reads - before, 2);
        assert_int_equal(loop_wall(f->loop).ms, 1795381081000);
}

typedef struct Stopped {
        Timer timer;
        Fixture *f;
        Mono now, clock;
} Stopped;

static void on_stopped(Timer *t)
{
        Stopped *s = CONTAINER_OF(t, Stopped, timer);

        s->now = loop_now(t->loop);
        test_clock_advance(&s->f->time, SPAN_S(20));
        assert_int_equal(loop_now(t->loop).ns, s->now.ns);
        s->clock = loop_clock(t->loop);
}

static void a_process_stopped_within_a_turn_can_see_it(void **state)
{
        Stopped s = {.f = *state};

        timer_init(&s.timer, s.f->loop, on_stopped);
        timer_set_in(&s.timer, SPAN_MS(0));
        loop_turn(s.f->loop, SPAN_MS(0));
        assert_int_equal(mono_since(s.clock, s.now).ns, SPAN_S(20).ns);
}

typedef struct Inside {
        Fixture *f;
        Mono seen;
} Inside;

static void on_libevent(evutil_socket_t fd, short what, void *arg)
{
        Inside *inside = arg;

        (void)fd;
        (void)what;
        test_clock_advance(&inside->f->time, SPAN_S(60));
        inside->seen = loop_now(inside->f->loop);
}

static void a_library_callback_sees_the_time_after_the_wait(void **state)
{
        Inside inside = {.f = *state};
        Mono before = loop_now(inside.f->loop);
        struct event *ev;

        loop_turn(inside.f->loop, SPAN_MS(0));
        ev = event_new(loop_base(inside.f->loop), -1, 0, on_libevent, &inside);
        assert_non_null(ev);
        event_active(ev, EV_READ, 0);
        loop_turn(inside.f->loop, SPAN_S(60));
        assert_int_equal(mono_since(inside.seen, before).ns, SPAN_S(60).ns);
        event_free(ev);
}

static void on_stop(Timer *t)
{
        note('x');
        loop_stop(t->loop);
}

static void run_waits_for_timers_of_the_real_clock(void **state)
{
        Loop *l = loop_new(NULL);
        Named a, b;
        Mono start = loop_now(l);

        (void)state;
        named_init(&a, l, 'a');
        named_init(&b, l, 'b');
        timer_init(&b.timer, l, on_stop);
        timer_set_in(&a.timer, SPAN_MS(1));
        timer_set_in(&b.timer, SPAN_MS(3));
        loop_run(l);
        assert_string_equal(trace, "ax");
        assert_true(mono_since(loop_now(l), start).ns >= SPAN_MS(3).ns);
        /* A stop from before is not lost. */
        loop_stop(l);
        loop_run(l);
        loop_free(l);
        assert_null(loop_free(NULL));
}

static void a_turn_of_the_real_clock_ends_without_events(void **state)
{
        Loop *l = loop_new(NULL);

        (void)state;
        assert_false(loop_turn(l, SPAN_MS(1)));
        assert_false(loop_turn(l, (Span){-1}));
        loop_free(l);
}

#define LOOP_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                LOOP_TEST(timers_fire_in_order_of_time_then_of_setting),
                LOOP_TEST(a_timer_can_be_moved),
                LOOP_TEST(set_in_its_callback_it_waits_for_the_next_turn),
                LOOP_TEST(a_due_one_can_be_cleared_and_moved_by_another),
                LOOP_TEST(many_timers_keep_their_times),
                LOOP_TEST(extreme_times_are_taken),
                LOOP_TEST(posts_are_delivered_once),
                LOOP_TEST(a_post_from_a_post_goes_to_the_next_turn),
                LOOP_TEST(a_post_from_a_timer_is_delivered_in_the_same_turn),
                LOOP_TEST(a_descriptor_tells_what_is_wanted),
                LOOP_TEST(what_was_unwanted_in_between_is_not_delivered),
                LOOP_TEST(signals_arrive_in_the_loop),
                LOOP_TEST(the_clock_is_read_once_for_a_turn),
                LOOP_TEST(a_process_stopped_within_a_turn_can_see_it),
                LOOP_TEST(a_library_callback_sees_the_time_after_the_wait),
                LOOP_TEST(run_waits_for_timers_of_the_real_clock),
                LOOP_TEST(a_turn_of_the_real_clock_ends_without_events),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
