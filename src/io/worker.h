/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Worker: one thread for what cannot be made asynchronous (fsync of many files, getaddrinfo). A job
 * is a value that moves to the thread and comes back; it shares nothing. At most WORKER_JOBS_MAX
 * wait.
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

Worker *worker_new(Loop *l) MUST_USE;
/* False where the queue is full; the job stays the caller's. */
bool worker_submit(Worker *w, Job *j) MUST_USE;
/* Waits for the job that is running (bounded by what it does), drops the others. */
Worker *worker_free(Worker *w);
