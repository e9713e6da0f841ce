/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every asynchronous object is closed in every state and inside every delivery.
 *
 * Each kind is described by a few functions: how to open one, how to close it (and free the memory
 * it stands in, so that AddressSanitizer sees any later touch), and how to bring it to the state in
 * which its next turn delivers. The scenes below are then played with every kind, and with every
 * pair of kinds where one closes another.
 */
#include "io/worker.c"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/file.h"
#include "io/listener.h"
#include "io/testing.h"
#include "io/watch.h"

typedef struct Object Object;

typedef struct Kind {
        const char *name;
        void (*open)(Object *o);
        void (*close)(Object *o);
        void (*prepare)(Object *o); /* what of arming needs a turn; may be NULL */
        void (*arm)(Object *o);     /* after it, the next turn delivers */
} Kind;

/* What a delivery does. */
typedef enum Act {
        ACT_NOTHING,
        ACT_CLOSE_SELF,
        ACT_CLOSE_OTHER,
        ACT_CLOSE_BOTH,
        ACT_REOPEN_SELF,
} Act;

typedef struct Task {
        Job job;
        Object *o;
} Task;

/* On the heap, freed by closing; the kind uses one of them. */
typedef struct Parts {
        Object *o;
        Timer timer;
        Post post;
        FdSource fd;
        SignalSource signal;
        Listener listener;
} Parts;

struct Object {
        const Kind *kind;
        Loop *loop;
        Parts *parts; /* owned; NULL: closed */
        DirWatch *watch;
        Worker *worker;
        int event_fd, dialled;
        TestDir dir;
        Act act;
        Object *other;
        int n_delivered, n_dropped;
};

static TestClock test_time;
static Clock fake;

static bool is_open(const Object *o)
{
        return o->parts != NULL;
}

static void object_open(Object *o)
{
        o->parts = mem_new(sizeof(*o->parts));
        o->parts->o = o;
        o->event_fd = o->dialled = -1;
        o->kind->open(o);
}

static void object_close(Object *o)
{
        if (!is_open(o))
                return;
        o->kind->close(o);
        o->parts = mem_free(o->parts);
        if (o->event_fd >= 0)
                close(o->event_fd);
        if (o->dialled >= 0)
                close(o->dialled);
        o->event_fd = o->dialled = -1;
}

/* Every callback ends here, and touches nothing of its source after it. */
static void deliver(Object *o)
{
        assert_true(is_open(o));
        o->n_delivered++;
        switch (o->act) {
        case ACT_NOTHING:
                break;
        case ACT_CLOSE_SELF:
                object_close(o);
                break;
        case ACT_CLOSE_OTHER:
                object_close(o->other);
                break;
        case ACT_CLOSE_BOTH:
                object_close(o->other);
                object_close(o);
                break;
        case ACT_REOPEN_SELF:
                object_close(o);
                object_open(o);
                break;
        }
}

static void on_timer(Timer *t)
{
        deliver(CONTAINER_OF(t, Parts, timer)->o);
}

static void timer_open(Object *o)
{
        timer_init(&o->parts->timer, o->loop, on_timer);
}

static void timer_arm(Object *o)
{
        timer_set_in(&o->parts->timer, SPAN_MS(0));
}

static void timer_close(Object *o)
{
        timer_clear(&o->parts->timer);
}

static void on_post(Post *p)
{
        deliver(CONTAINER_OF(p, Parts, post)->o);
}

static void post_open(Object *o)
{
        post_init(&o->parts->post, o->loop, on_post);
}

static void post_arm(Object *o)
{
        post_send(&o->parts->post);
}

static void post_close(Object *o)
{
        post_cancel(&o->parts->post);
}

static void on_fd(FdSource *s, unsigned ready)
{
        assert_true(ready & FD_READ);
        deliver(CONTAINER_OF(s, Parts, fd)->o);
}

static void fd_open(Object *o)
{
        o->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        assert_true(o->event_fd >= 0);
        fd_source_init(&o->parts->fd, o->loop, o->event_fd, on_fd);
        fd_source_want(&o->parts->fd, FD_READ);
}

static void fd_arm(Object *o)
{
        assert_int_equal(eventfd_write(o->event_fd, 1), 0);
}

static void fd_close(Object *o)
{
        fd_source_close(&o->parts->fd);
}

static void on_signal(SignalSource *s, int signo)
{
        assert_int_equal(signo, SIGUSR1);
        deliver(CONTAINER_OF(s, Parts, signal)->o);
}

static void signal_open(Object *o)
{
        assert_true(signal_source_open(&o->parts->signal, o->loop, SIGUSR1, on_signal));
}

static void signal_arm(Object *o)
{
        (void)o;
        assert_int_equal(raise(SIGUSR1), 0);
}

static void signal_close(Object *o)
{
        signal_source_close(&o->parts->signal);
}

static void on_connection(Listener *l, int fd)
{
        close(fd);
        deliver(CONTAINER_OF(l, Parts, listener)->o);
}

static void listen_open(Object *o)
{
        char text[TEST_PATH + 16];
        Address a;

        IGNORE(snprintf(text, sizeof(text), "unix://%s/s", o->dir.path), "fits");
        assert_true(address_parse(str_of(text), &a, NULL));
        assert_true(listener_open(&o->parts->listener, o->loop, &a, on_connection, NULL));
}

static void listen_arm(Object *o)
{
        const Address *a = &o->parts->listener.address;

        o->dialled = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(o->dialled >= 0);
        assert_int_equal(connect(o->dialled, (const struct sockaddr *)&a->sa, a->n), 0);
}

static void listen_close(Object *o)
{
        listener_close(&o->parts->listener);
}

static void on_change(DirWatch *w)
{
        deliver(dir_watch_owner(w));
}

static void watch_open(Object *o)
{
        o->watch = dir_watch_open(o->loop, o->dir.path, on_change, o);
}

static void watch_prepare(Object *o)
{
        assert_true(file_write_atomic(o->dir.path, "changed", STR("x"), 0600, false, NULL));
        assert_true(loop_turn(o->loop, SPAN_S(10)));
}

static void watch_arm(Object *o)
{
        (void)o;
        test_clock_advance(&test_time, SPAN_MS(50));
}

static void watch_close(Object *o)
{
        o->watch = dir_watch_close(o->watch);
}

static void on_work(Job *j)
{
        (void)j;
}

static void on_done(Job *j)
{
        Task *t = CONTAINER_OF(j, Task, job);
        Object *o = t->o;

        mem_free(t);
        deliver(o);
}

static void on_drop(Job *j)
{
        Task *t = CONTAINER_OF(j, Task, job);

        t->o->n_dropped++;
        mem_free(t);
}

static void job_open(Object *o)
{
        o->worker = worker_new(o->loop);
}

/* It has been done by the thread, and waits for the loop. */
static void job_arm(Object *o)
{
        Task *t = mem_new(sizeof(*t));
        struct pollfd finished;

        t->job = (Job){.work = on_work, .done = on_done, .drop = on_drop};
        t->o = o;
        assert_true(worker_submit(o->worker, &t->job));
        finished = (struct pollfd){.fd = o->worker->fd, .events = POLLIN};
        assert_int_equal(poll(&finished, 1, 10000), 1);
}

static void job_close(Object *o)
{
        o->worker = worker_free(o->worker);
}

static const Kind kinds[] = {
        {"timer", timer_open, timer_close, NULL, timer_arm},
        {"post", post_open, post_close, NULL, post_arm},
        {"fd", fd_open, fd_close, NULL, fd_arm},
        {"signal", signal_open, signal_close, NULL, signal_arm},
        {"listener", listen_open, listen_close, NULL, listen_arm},
        {"watch", watch_open, watch_close, watch_prepare, watch_arm},
        {"job", job_open, job_close, NULL, job_arm},
};

static void object_init(Object *o, const Kind *kind, Loop *l)
{
        *o = (Object){.kind = kind, .loop = l};
        test_dir_init(&o->dir);
        object_open(o);
}

static void object_done(Object *o)
{
        object_close(o);
        test_dir_done(&o->dir);
}

static void prepare(Object *o)
{
        if (o->kind->prepare != NULL)
                o->kind->prepare(o);
}

static void some_turns(Loop *l)
{
        for (int i = 0; i < 5; i++)
                loop_turn(l, SPAN_MS(0));
}

static void each_delivers(void **state)
{
        for (size_t i = 0; i < LENGTH_OF(kinds); i++) {
                Object o;

                object_init(&o, &kinds[i], *state);
                o.act = ACT_CLOSE_SELF;
                loop_turn(*state, SPAN_MS(0));
                assert_int_equal(o.n_delivered, 0);
                prepare(&o);
                o.kind->arm(&o);
                /* Never from inside the call that arms. */
                assert_int_equal(o.n_delivered, 0);
                assert_true(loop_turn(*state, SPAN_S(10)));
                assert_int_equal(o.n_delivered, 1);
                some_turns(*state);
                assert_int_equal(o.n_delivered, 1);
                object_done(&o);
        }
}

static void closed_while_idle(void **state)
{
        for (size_t i = 0; i < LENGTH_OF(kinds); i++) {
                Object o;

                object_init(&o, &kinds[i], *state);
                object_close(&o);
                some_turns(*state);
                object_open(&o);
                some_turns(*state);
                object_close(&o);
                some_turns(*state);
                assert_int_equal(o.n_delivered + o.n_dropped, 0);
                object_done(&o);
        }
}

static void closed_while_half_armed(void **state)
{
        for (size_t i = 0; i < LENGTH_OF(kinds); i++) {
                Object o;

                object_init(&o, &kinds[i], *state);
                prepare(&o);
                object_close(&o);
                test_clock_advance(&test_time, SPAN_S(10));
                some_turns(*state);
                assert_int_equal(o.n_delivered, 0);
                object_done(&o);
        }
}

static void closed_while_armed(void **state)
{
        for (size_t i = 0; i < LENGTH_OF(kinds); i++) {
                Object o;

                object_init(&o, &kinds[i], *state);
                prepare(&o);
                o.kind->arm(&o);
                object_close(&o);
                some_turns(*state);
                assert_int_equal(o.n_delivered, 0);
                assert_int_equal(o.n_dropped, o.kind->arm == job_arm);
                object_done(&o);
        }
}

static void closed_after_a_delivery(void **state)
{
        for (size_t i = 0; i < LENGTH_OF(kinds); i++) {
                Object o;

                object_init(&o, &kinds[i], *state);
                prepare(&o);
                o.kind->arm(&o);
                assert_true(loop_turn(*state, SPAN_S(10)));
                assert_int_equal(o.n_delivered, 1);
                object_close(&o);
                some_turns(*state);
                assert_int_equal(o.n_delivered, 1);
                object_done(&o);
        }
}

static void reopened_inside_its_own_delivery(void **state)
{
        for (size_t i = 0; i < LENGTH_OF(kinds); i++) {
                Object o;

                object_init(&o, &kinds[i], *state);
                o.act = ACT_REOPEN_SELF;
                for (int n = 1; n <= 3; n++) {
                        prepare(&o);
                        o.kind->arm(&o);
                        assert_true(loop_turn(*state, SPAN_S(10)));
                        some_turns(*state);
                        assert_int_equal(o.n_delivered, n);
                }
                object_done(&o);
        }
}

/* Both would be delivered in the same turn; the first that is closes the other, or both. */
static void play_pair(Loop *l, const Kind *a, const Kind *b, Act act)
{
        Object x, y;
        const Object *closed;

        object_init(&x, a, l);
        object_init(&y, b, l);
        x.act = y.act = act;
        x.other = &y;
        y.other = &x;
        prepare(&x);
        prepare(&y);
        x.kind->arm(&x);
        y.kind->arm(&y);
        assert_true(loop_turn(l, SPAN_S(10)));
        if (x.n_delivered + y.n_delivered != 1)
                fail_msg("%s %d, %s %d", a->name, x.n_delivered, b->name, y.n_delivered);
        closed = x.n_delivered > 0 ? &y : &x;
        assert_false(is_open(closed));
        some_turns(l);
        assert_int_equal(closed->n_delivered, 0);
        assert_int_equal(closed->n_dropped, closed->kind->arm == job_arm);
        object_done(&x);
        object_done(&y);
}

static void closed_inside_the_delivery_of_any_other(void **state)
{
        for (size_t i = 0; i < LENGTH_OF(kinds); i++) {
                for (size_t j = 0; j < LENGTH_OF(kinds); j++) {
                        play_pair(*state, &kinds[i], &kinds[j], ACT_CLOSE_OTHER);
                        play_pair(*state, &kinds[i], &kinds[j], ACT_CLOSE_BOTH);
                }
        }
}

static int setup(void **state)
{
        test_time = (TestClock){.mono = {1000}};
        fake = test_clock(&test_time);
        *state = loop_new(&fake);
        return 0;
}

/* loop_free insists that nothing is left open. */
static int teardown(void **state)
{
        *state = loop_free(*state);
        return 0;
}

#define CLOSE_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CLOSE_TEST(each_delivers),
                CLOSE_TEST(closed_while_idle),
                CLOSE_TEST(closed_while_half_armed),
                CLOSE_TEST(closed_while_armed),
                CLOSE_TEST(closed_after_a_delivery),
                CLOSE_TEST(reopened_inside_its_own_delivery),
                CLOSE_TEST(closed_inside_the_delivery_of_any_other),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
