/* SPDX-License-Identifier: Apache-2.0 */
#include "io/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <pthread.h>
#include <signal.h>

#include <cmocka.h>

#include "io/testing.h"

typedef struct Task {
        Job job;
        pthread_t ran_in;
        int number, n_done, n_dropped;
        sigset_t mask;
} Task;

static int order[WORKER_JOBS_MAX + 1], n_order;

static void on_work(Job *j)
{
        Task *t = CONTAINER_OF(j, Task, job);

        t->ran_in = pthread_self();
        IGNORE(pthread_sigmask(SIG_SETMASK, NULL, &t->mask), "cannot fail with these arguments");
}

static void on_done(Job *j)
{
        Task *t = CONTAINER_OF(j, Task, job);

        t->n_done++;
        order[n_order++] = t->number;
}

static void on_drop(Job *j)
{
        CONTAINER_OF(j, Task, job)->n_dropped++;
}

static Task make(int number)
{
        return (Task){.job = {.work = on_work, .done = on_done, .drop = on_drop}, .number = number};
}

static int setup(void **state)
{
        n_order = 0;
        *state = loop_new(NULL);
        return 0;
}

static int teardown(void **state)
{
        *state = loop_free(*state);
        return 0;
}

/* Turns until `n` jobs came back; each turn waits for one. */
static void turn_until(Loop *l, int n)
{
        while (n_order < n)
                loop_turn(l, SPAN_S(10));
}

static void works_in_the_thread_and_ends_in_the_loop(void **state)
{
        Worker *w = worker_new(*state);
        Task t = make(1);

        assert_true(worker_submit(w, &t.job));
        assert_int_equal(t.n_done, 0);
        turn_until(*state, 1);
        assert_int_equal(t.n_done, 1);
        assert_false(pthread_equal(t.ran_in, pthread_self()));
        /* Signals are for the loop. */
        assert_true(sigismember(&t.mask, SIGTERM));
        assert_false(loop_turn(*state, SPAN_MS(0)));
        worker_free(w);
        assert_int_equal(t.n_dropped, 0);
}

static void jobs_come_back_in_order(void **state)
{
        static Task tasks[WORKER_JOBS_MAX];
        Worker *w = worker_new(*state);

        for (int i = 0; i < WORKER_JOBS_MAX; i++) {
                tasks[i] = make(i);
                assert_true(worker_submit(w, &tasks[i].job));
        }
        turn_until(*state, WORKER_JOBS_MAX);
        for (int i = 0; i < WORKER_JOBS_MAX; i++)
                assert_int_equal(order[i], i);
        worker_free(w);
}

static void so_many_and_no_more(void **state)
{
        static Task tasks[WORKER_JOBS_MAX + 1];
        Worker *w = worker_new(*state);

        for (int i = 0; i <= WORKER_JOBS_MAX; i++) {
                tasks[i] = make(i);
                assert_int_equal(worker_submit(w, &tasks[i].job), i < WORKER_JOBS_MAX);
        }
        turn_until(*state, 1);
        assert_true(worker_submit(w, &tasks[WORKER_JOBS_MAX].job));
        turn_until(*state, WORKER_JOBS_MAX + 1);
        worker_free(w);
}

static void each_job_is_done_or_dropped(void **state)
{
        static Task tasks[100];
        Worker *w = worker_new(*state);

        for (int i = 0; i < 100; i++) {
                tasks[i] = make(i);
                assert_true(worker_submit(w, &tasks[i].job));
        }
        loop_turn(*state, SPAN_S(10));
        worker_free(w);
        assert_false(loop_turn(*state, SPAN_MS(0)));
        for (int i = 0; i < 100; i++)
                assert_int_equal(tasks[i].n_done + tasks[i].n_dropped, 1);
}

static void without_a_job_there_is_no_thread(void **state)
{
        Worker *w = worker_new(*state);

        assert_false(loop_turn(*state, SPAN_MS(0)));
        assert_null(worker_free(w));
        assert_null(worker_free(NULL));
}

#define WORKER_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                WORKER_TEST(works_in_the_thread_and_ends_in_the_loop),
                WORKER_TEST(jobs_come_back_in_order),
                WORKER_TEST(so_many_and_no_more),
                WORKER_TEST(each_job_is_done_or_dropped),
                WORKER_TEST(without_a_job_there_is_no_thread),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
