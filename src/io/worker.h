/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Worker: one thread for what cannot be made asynchronous (fsync of many files, getaddrinfo). A job
 * is a value that moves to the thread and comes back; it shares nothing. At most WORKER_JOBS_MAX
 * are under way. They run one after the other, in the order of submission.
 */

#include "io/loop.h"

enum {
        WORKER_JOBS_MAX = 256
};

typedef struct Worker Worker;
typedef struct Job Job;
struct Job {
        void (*work)(Job *j); /* in the thread */
        void (*done)(Job *j); /* in the loop, unless the worker was closed: then `drop` */
        void (*drop)(Job *j);
        Job *next;
};

/* The thread starts with the first job. */
Worker *worker_new(Loop *l) MUST_USE;
/* False where WORKER_JOBS_MAX are under way or no thread is to be had; the job stays the caller's.
 */
bool worker_submit(Worker *w, Job *j) MUST_USE;
/* Waits for the job that is running (bounded by what it does), and calls `drop` for all that were
 * not `done`. NULL is welcome; also from inside `done`. Returns NULL. */
Worker *worker_free(Worker *w);
