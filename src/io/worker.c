/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs go to the thread by `waiting` and come back by `finished`, both under the mutex; an eventfd
 * tells the loop. The thread is started by the first job, so a process that never needs it has
 * none.
 *
 * 1. n_open counts what was submitted and not yet given back; it is the loop's alone.
 * 2. The eventfd is readable while `finished` is not empty.
 * 3. A `done` may free the worker: after it, the flag on the stack is looked at first.
 */
#include "io/worker.h"

#include "base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
        DONE_PER_TURN = 16
};

typedef struct Queue {
        Job *first, *last;
} Queue;

struct Worker {
        FdSource source;
        int fd;       /* the eventfd; -1 before the first job */
        bool started; /* there is a thread */
        bool *freed;  /* on the stack of a delivery; else NULL */
        size_t n_open;
        pthread_t thread;
        pthread_mutex_t mutex; /* of what follows */
        pthread_cond_t wake;
        Queue waiting, finished;
        bool stop;
};

static void push(Queue *q, Job *j)
{
        j->next = NULL;
        if (q->last != NULL)
                q->last->next = j;
        else
                q->first = j;
        q->last = j;
}

static Job *pop(Queue *q)
{
        Job *j = q->first;

        if (j == NULL)
                return NULL;
        q->first = j->next;
        if (q->first == NULL)
                q->last = NULL;
        j->next = NULL;
        return j;
}

static void lock(Worker *w)
{
        INSIST(pthread_mutex_lock(&w->mutex) == 0);
}

static void unlock(Worker *w)
{
        INSIST(pthread_mutex_unlock(&w->mutex) == 0);
}

static void *run(void *arg)
{
        Worker *w = arg;
        Job *j;

        lock(w);
        while (!w->stop) {
                j = pop(&w->waiting);
                if (j == NULL) {
                        INSIST(pthread_cond_wait(&w->wake, &w->mutex) == 0);
                        continue;
                }
                unlock(w);
                j->work(j);
                lock(w);
                push(&w->finished, j);
                INSIST(eventfd_write(w->fd, 1) == 0);
        }
        unlock(w);
        return NULL;
}

static Job *take_finished(Worker *w)
{
        eventfd_t count;
        Job *j;

        lock(w);
        j = pop(&w->finished);
        if (w->finished.first == NULL)
                IGNORE(eventfd_read(w->fd, &count), "EAGAIN where it was read before");
        unlock(w);
        return j;
}

static void on_finished(FdSource *s, unsigned ready)
{
        Worker *w = CONTAINER_OF(s, Worker, source);
        bool freed = false;
        Job *j;

        (void)ready;
        w->freed = &freed;
        for (int i = 0; i < DONE_PER_TURN && (j = take_finished(w)) != NULL; i++) {
                w->n_open--;
                j->done(j);
                if (freed)
                        return;
        }
        w->freed = NULL;
}

Worker *worker_new(Loop *l)
{
        Worker *w = mem_new(sizeof(*w));

        w->fd = -1;
        INSIST(pthread_mutex_init(&w->mutex, NULL) == 0 && pthread_cond_init(&w->wake, NULL) == 0);
        fd_source_init(&w->source, l, -1, on_finished);
        return w;
}

/* False without a descriptor or a thread to have; then it is tried again with the next job. */
static bool start(Worker *w)
{
        sigset_t all, before;
        int r;

        if (w->fd < 0) {
                w->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
                if (w->fd < 0)
                        return false;
                fd_source_init(&w->source, w->source.loop, w->fd, on_finished);
                fd_source_want(&w->source, FD_READ);
        }
        /* Signals are the loop's. */
        sigfillset(&all);
        INSIST(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
        r = pthread_create(&w->thread, NULL, run, w);
        INSIST(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
        w->started = r == 0;
        return w->started;
}

bool worker_submit(Worker *w, Job *j)
{
        if (w->n_open >= WORKER_JOBS_MAX || (!w->started && !start(w)))
                return false;
        w->n_open++;
        lock(w);
        push(&w->waiting, j);
        INSIST(pthread_cond_signal(&w->wake) == 0);
        unlock(w);
        return true;
}

Worker *worker_free(Worker *w)
{
        Job *j;

        if (w == NULL)
                return NULL;
        if (w->started) {
                lock(w);
                w->stop = true;
                INSIST(pthread_cond_signal(&w->wake) == 0);
                unlock(w);
                INSIST(pthread_join(w->thread, NULL) == 0);
        }
        fd_source_close(&w->source);
        if (w->fd >= 0)
                close(w->fd);
        if (w->freed != NULL)
                *w->freed = true;
        while ((j = pop(&w->finished)) != NULL || (j = pop(&w->waiting)) != NULL)
                j->drop(j);
        pthread_cond_destroy(&w->wake);
        pthread_mutex_destroy(&w->mutex);
        return mem_free(w);
}
