/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Loop: the only place that waits. One thread. A source (descriptor, timer, signal, post) is a
 * member of the object that it belongs to; a callback gets the source and finds its object with
 * CONTAINER_OF.
 *
 * Promises: a callback is never called from inside the call that armed it; after a source is closed
 * or cleared its callback is not called again, also where the event is already queued in this turn;
 * the clock is read once per turn. With a test clock (loop_new with one) nothing waits on real time
 * for timers: loop_turn delivers what is due by that clock.
 */

#include "io/clock.h"

typedef struct Loop Loop;
struct event_base;

/* `clock` is borrowed; NULL: clock_system. */
Loop *loop_new(const Clock *clock) MUST_USE;
/* All sources must be closed before. NULL is welcome. */
Loop *loop_free(Loop *l);
/* Runs until loop_stop. */
void loop_run(Loop *l);
/* One turn: waits at most `max` for an event, delivers what is there, then the posts. Returns
 * whether anything was delivered. */
bool loop_turn(Loop *l, Span max);
/* Lets loop_run return after this turn (or at once, where it is not running yet). */
void loop_stop(Loop *l);
/* The time of this turn; outside of one, of now. */
Mono loop_now(const Loop *l);
/* The time right now, also inside a turn: for what must not be done late, where the process may
 * have been stopped since the turn began. */
Mono loop_clock(const Loop *l);
Wall loop_wall(const Loop *l);
/* For net/ only, which binds libevent's own objects to this loop. */
struct event_base *loop_base(Loop *l);

/* Timer: fires once at a Mono; set again from its callback to repeat. */
typedef struct Timer Timer;
typedef void TimerFn(Timer *t);
struct Timer {
        Loop *loop;
        TimerFn *fn;
        Mono at;        /* 0: not set */
        size_t slot;    /* place in the loop's heap */
        uint64_t order; /* of setting: those of one instant fire in it */
};
void timer_init(Timer *t, Loop *l, TimerFn *fn);
/* Arms or moves; a time in the past fires in the next turn; 0 ("never") clears. */
void timer_set(Timer *t, Mono at);
void timer_set_in(Timer *t, Span in);
/* Idempotent. */
void timer_clear(Timer *t);
static inline bool timer_is_set(const Timer *t)
{
        return t->at.ns != 0;
}

/* Post: delivered at the end of this turn (or the next, when posted from a post), once however
 * often it was sent. This is how library callbacks hand over to our logic. */
typedef struct Post Post;
typedef void PostFn(Post *p);
struct Post {
        Loop *loop;
        PostFn *fn;
        Post *prev, *next; /* the loop's queue; NULL: not on it */
};
void post_init(Post *p, Loop *l, PostFn *fn);
void post_send(Post *p);
void post_cancel(Post *p);

/* FdSource: level-triggered readiness of a descriptor that the caller owns. */
enum {
        FD_READ = 1,
        FD_WRITE = 2
};
typedef struct FdSource FdSource;
typedef void FdFn(FdSource *s, unsigned ready);
struct FdSource {
        Loop *loop;
        FdFn *fn;
        int fd;
        unsigned want;
        void *ev; /* libevent's */
};
void fd_source_init(FdSource *s, Loop *l, int fd, FdFn *fn);
/* FD_READ | FD_WRITE, or 0 for none. The descriptor can be polled (is no regular file). A hang-up
 * or error is readiness for what is wanted. */
void fd_source_want(FdSource *s, unsigned want);
/* Idempotent; does not close the descriptor. */
void fd_source_close(FdSource *s);

/* SignalSource: one signal of the process, delivered in the loop. */
typedef struct SignalSource SignalSource;
typedef void SignalFn(SignalSource *s, int signo);
struct SignalSource {
        Loop *loop;
        SignalFn *fn;
        int signo;
        void *ev;
};
/* False where the signal cannot be caught. Several signals of one turn are one delivery. */
bool signal_source_open(SignalSource *s, Loop *l, int signo, SignalFn *fn) MUST_USE;
/* Idempotent; the signal has its former disposition again. */
void signal_source_close(SignalSource *s);
