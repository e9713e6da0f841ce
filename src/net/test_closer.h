/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For tests that close an object at the worst moment: inside the delivery of another source of the
 * same turn. Header only, because test code is in no library.
 */

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/macros.h"
#include "io/loop.h"

typedef enum CloserKind {
        CLOSER_OUTSIDE, /* between two turns */
        CLOSER_FD,      /* inside the delivery of a descriptor */
        CLOSER_TIMER,   /* … of a timer: after all descriptors of the turn */
        CLOSER_POST,    /* … of a Post that was sent before any of the object's own */
        CLOSER_KINDS,
} CloserKind;

typedef struct Closer {
        void (*fn)(void *ctx);
        void *ctx;
        FdSource fd;
        Timer timer;
        Post post;
        unsigned n; /* how often fn was called */
} Closer;

static inline void closer_call(Closer *c)
{
        c->n++;
        c->fn(c->ctx);
}

static inline void closer_on_fd(FdSource *s, unsigned ready)
{
        Closer *c = CONTAINER_OF(s, Closer, fd);
        eventfd_t n;
        (void)ready;
        IGNORE(eventfd_read(s->fd, &n), "it is ready");
        closer_call(c);
}

static inline void closer_on_timer(Timer *t)
{
        closer_call(CONTAINER_OF(t, Closer, timer));
}

static inline void closer_on_post(Post *p)
{
        closer_call(CONTAINER_OF(p, Closer, post));
}

/* Calls `fn` once, in that way, with everything that is due in the same turn due there as well. */
static inline void closer_play(Loop *loop, CloserKind kind, void (*fn)(void *), void *ctx)
{
        Closer c = {.fn = fn, .ctx = ctx};
        int fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
        INSIST(fd >= 0);
        fd_source_init(&c.fd, loop, fd, closer_on_fd);
        timer_init(&c.timer, loop, closer_on_timer);
        post_init(&c.post, loop, closer_on_post);
        if (kind == CLOSER_OUTSIDE)
                closer_call(&c);
        if (kind == CLOSER_FD)
                fd_source_want(&c.fd, FD_READ);
        if (kind == CLOSER_TIMER)
                timer_set(&c.timer, loop_now(loop));
        if (kind == CLOSER_POST)
                post_send(&c.post);
        for (int i = 0; i < 100 && c.n == 0; i++)
                loop_turn(loop, SPAN_MS(0));
        INSIST(c.n == 1);
        fd_source_close(&c.fd);
        close(fd);
}
