/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One turn:
 *
 *    wait (libevent) -> descriptors and signals -> due timers -> posts
 *
 * libevent's callbacks for our sources only note readiness and queue the source; we deliver after
 * event_base_loop has returned. So whatever a callback closes, nothing of it is delivered later in
 * the turn, and the memory of a source is not touched after its callback was called.
 *
 * 1. A source is on the ready queue only while it is open; closing takes it off.
 * 2. A set timer is either in the heap or, within a turn, among the due (slot has DUE). A timer
 *    that is set in a callback goes to the heap and so waits for the next turn: a turn ends.
 * 3. A post is on one of two queues: `posts` for what comes, `delivering` for what this turn took.
 * 4. The clock is read for the callbacks of a turn once, when the first of them asks, after the
 *    wait. (libevent's own objects, which net/ binds here, call back within the wait. A reading
 *    from before it would be as old as the wait is long.)
 */
#include "io/loop.h"

#include "base/list.h"
#include "base/mem.h"

#include <event2/event.h>

#define DUE (SIZE_MAX / 2 + 1)

enum {
        HEAP_MIN = 16
};

/* A reading stands apart, because taking it late does not change a const Loop. */
typedef struct Reading {
        Mono mono;
        Wall wall;
        bool valid;
} Reading;

struct Loop {
        struct event_base *base; /* owned */
        struct event *wake;      /* owned; ends the wait when the next timer is due */
        const Clock *clock;      /* borrowed */
        Reading *reading;        /* owned */
        bool in_turn, stop;
        size_t n_events; /* open sources of libevent's */
        Link ready;      /* of Event */
        Timer **heap;    /* owned; binary, earliest first */
        size_t n, room;
        Timer **due; /* owned; of this turn, NULL where cleared; as large as the heap */
        size_t n_due;
        uint64_t order; /* of the next timer_set */
        Post posts, delivering;
};

/* The part of a source that libevent knows: what FdSource.ev and SignalSource.ev point to. */
typedef struct Event {
        Loop *loop;
        struct event *ev; /* owned */
        void *owner;      /* the source */
        void (*deliver)(void *owner, unsigned ready);
        unsigned ready;
        Link link; /* Loop.ready */
} Event;

static void queue_init(Post *head)
{
        head->prev = head->next = head;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
        (void)fd;
        (void)what;
        (void)arg;
}

Loop *loop_new(const Clock *clock)
{
        Loop *l = mem_new(sizeof(*l));
        struct event_config *config = event_config_new();

        INSIST(config != NULL && event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0);
        l->base = event_base_new_with_config(config);
        event_config_free(config);
        INSIST(l->base != NULL);
        l->wake = event_new(l->base, -1, 0, on_wake, NULL);
        INSIST(l->wake != NULL);
        l->clock = clock != NULL ? clock : &clock_system;
        l->reading = mem_new(sizeof(*l->reading));
        list_init(&l->ready);
        queue_init(&l->posts);
        queue_init(&l->delivering);
        return l;
}

Loop *loop_free(Loop *l)
{
        if (l == NULL)
                return NULL;
        INSIST(!l->in_turn && l->n_events == 0 && l->n == 0 && l->posts.next == &l->posts);
        event_free(l->wake);
        event_base_free(l->base);
        mem_free(l->reading);
        mem_free(l->heap);
        mem_free(l->due);
        return mem_free(l);
}

static void read_clock(const Loop *l)
{
        if (l->reading->valid && l->in_turn)
                return;
        l->reading->mono = l->clock->mono(l->clock->ctx);
        l->reading->wall = l->clock->wall(l->clock->ctx);
        l->reading->valid = true;
}

Mono loop_now(const Loop *l)
{
        read_clock(l);
        return l->reading->mono;
}

Mono loop_clock(const Loop *l)
{
        return l->clock->mono(l->clock->ctx);
}

Wall loop_wall(const Loop *l)
{
        read_clock(l);
        return l->reading->wall;
}

struct event_base *loop_base(Loop *l)
{
        return l->base;
}

void loop_stop(Loop *l)
{
        l->stop = true;
}

/* Timers */

static bool fires_before(const Timer *a, const Timer *b)
{
        return a->at.ns != b->at.ns ? a->at.ns < b->at.ns : a->order < b->order;
}

static void place(Loop *l, size_t slot, Timer *t)
{
        l->heap[slot] = t;
        t->slot = slot;
}

static void sift_up(Loop *l, size_t slot)
{
        Timer *t = l->heap[slot];

        while (slot > 0 && fires_before(t, l->heap[(slot - 1) / 2])) {
                place(l, slot, l->heap[(slot - 1) / 2]);
                slot = (slot - 1) / 2;
        }
        place(l, slot, t);
}

static void sift_down(Loop *l, size_t slot)
{
        Timer *t = l->heap[slot];

        for (;;) {
                size_t child = 2 * slot + 1;

                if (child + 1 < l->n && fires_before(l->heap[child + 1], l->heap[child]))
                        child++;
                if (child >= l->n || !fires_before(l->heap[child], t))
                        break;
                place(l, slot, l->heap[child]);
                slot = child;
        }
        place(l, slot, t);
}

static void heap_remove(Loop *l, size_t slot)
{
        Timer *last = l->heap[--l->n];

        if (slot == l->n)
                return;
        place(l, slot, last);
        sift_up(l, slot);
        sift_down(l, last->slot);
}

void timer_init(Timer *t, Loop *l, TimerFn *fn)
{
        *t = (Timer){.loop = l, .fn = fn};
}

void timer_clear(Timer *t)
{
        if (!timer_is_set(t))
                return;
        if (t->slot & DUE)
                t->loop->due[t->slot & ~DUE] = NULL;
        else
                heap_remove(t->loop, t->slot);
        t->at = (Mono){0};
}

void timer_set(Timer *t, Mono at)
{
        Loop *l = t->loop;

        timer_clear(t);
        if (at.ns == 0)
                return;
        if (l->n == l->room) {
                l->room = l->room > 0 ? l->room * 2 : HEAP_MIN;
                l->heap = mem_resize(l->heap, l->room * sizeof(Timer *));
                l->due = mem_resize(l->due, l->room * sizeof(Timer *));
        }
        t->at = at;
        t->order = l->order++;
        l->heap[l->n] = t;
        sift_up(l, l->n++);
}

void timer_set_in(Timer *t, Span in)
{
        Mono at;

        if (__builtin_add_overflow(loop_now(t->loop).ns, in.ns, &at.ns))
                at.ns = in.ns < 0 ? INT64_MIN : INT64_MAX;
        /* 0 would mean "never". */
        if (at.ns == 0)
                at.ns = -1;
        timer_set(t, at);
}

static bool deliver_timers(Loop *l)
{
        Mono now = loop_now(l);
        bool any = false;

        for (l->n_due = 0; l->n > 0 && !mono_before(now, l->heap[0]->at); l->n_due++) {
                Timer *t = l->heap[0];

                heap_remove(l, 0);
                l->due[l->n_due] = t;
                t->slot = DUE | l->n_due;
        }
        for (size_t i = 0; i < l->n_due; i++) {
                Timer *t = l->due[i];

                if (t == NULL)
                        continue;
                l->due[i] = NULL;
                t->at = (Mono){0};
                t->fn(t);
                any = true;
        }
        return any;
}

/* Posts */

void post_init(Post *p, Loop *l, PostFn *fn)
{
        *p = (Post){.loop = l, .fn = fn};
}

static void append(Post *head, Post *p)
{
        p->prev = head->prev;
        p->next = head;
        head->prev->next = p;
        head->prev = p;
}

void post_send(Post *p)
{
        if (p->next == NULL)
                append(&p->loop->posts, p);
}

void post_cancel(Post *p)
{
        if (p->next == NULL)
                return;
        p->prev->next = p->next;
        p->next->prev = p->prev;
        p->prev = p->next = NULL;
}

static bool deliver_posts(Loop *l)
{
        bool any = false;

        for (Post *p; (p = l->posts.next) != &l->posts;) {
                post_cancel(p);
                append(&l->delivering, p);
        }
        for (Post *p; (p = l->delivering.next) != &l->delivering;) {
                post_cancel(p);
                p->fn(p);
                any = true;
        }
        return any;
}

/* Descriptors and signals */

static void on_event(evutil_socket_t fd, short what, void *arg)
{
        Event *e = arg;

        (void)fd;
        if (what & (EV_READ | EV_SIGNAL))
                e->ready |= FD_READ;
        if (what & EV_WRITE)
                e->ready |= FD_WRITE;
        if (!link_is_on(&e->link))
                list_add(&e->loop->ready, &e->link);
}

static Event *event_open(Loop *l, int fd, short what, void *owner,
                         void (*deliver)(void *, unsigned))
{
        Event *e = mem_new(sizeof(*e));

        e->loop = l;
        e->owner = owner;
        e->deliver = deliver;
        e->ev = event_new(l->base, fd, what, on_event, e);
        INSIST(e->ev != NULL);
        l->n_events++;
        return e;
}

static void event_close(Event *e)
{
        e->loop->n_events--;
        link_remove(&e->link);
        event_free(e->ev);
        mem_free(e);
}

static bool deliver_ready(Loop *l)
{
        bool any = false;

        for (Link *first; (first = list_first(&l->ready)) != NULL;) {
                Event *e = CONTAINER_OF(first, Event, link);
                unsigned ready = e->ready;

                link_remove(first);
                e->ready = 0;
                if (ready == 0)
                        continue;
                e->deliver(e->owner, ready);
                any = true;
        }
        return any;
}

static void deliver_fd(void *owner, unsigned ready)
{
        FdSource *s = owner;

        s->fn(s, ready);
}

void fd_source_init(FdSource *s, Loop *l, int fd, FdFn *fn)
{
        *s = (FdSource){.loop = l, .fn = fn, .fd = fd};
}

void fd_source_want(FdSource *s, unsigned want)
{
        short what = EV_PERSIST;
        Event *e = s->ev;

        if (s->want == want)
                return;
        INSIST(s->fd >= 0 && (want & ~(unsigned)(FD_READ | FD_WRITE)) == 0);
        if (want & FD_READ)
                what |= EV_READ;
        if (want & FD_WRITE)
                what |= EV_WRITE;
        if (e == NULL)
                s->ev = e = event_open(s->loop, s->fd, what, s, deliver_fd);
        e->ready &= want;
        INSIST(event_del(e->ev) == 0);
        INSIST(event_assign(e->ev, s->loop->base, s->fd, what, on_event, e) == 0);
        INSIST(want == 0 || event_add(e->ev, NULL) == 0);
        s->want = want;
}

void fd_source_close(FdSource *s)
{
        if (s->ev != NULL)
                event_close(s->ev);
        s->ev = NULL;
        s->want = 0;
        s->fd = -1;
}

static void deliver_signal(void *owner, unsigned ready)
{
        SignalSource *s = owner;

        (void)ready;
        s->fn(s, s->signo);
}

bool signal_source_open(SignalSource *s, Loop *l, int signo, SignalFn *fn)
{
        Event *e = event_open(l, signo, EV_SIGNAL | EV_PERSIST, s, deliver_signal);

        *s = (SignalSource){.loop = l, .fn = fn, .signo = signo};
        if (event_add(e->ev, NULL) != 0) {
                event_close(e);
                return false;
        }
        s->ev = e;
        return true;
}

void signal_source_close(SignalSource *s)
{
        if (s->ev != NULL)
                event_close(s->ev);
        s->ev = NULL;
}

/* The turn */

/* How long this turn may wait, in nanoseconds; INT64_MAX: until something happens. */
static int64_t patience(const Loop *l, Span max)
{
        bool is_real = l->clock->mono == clock_system.mono;
        int64_t left;

        if (l->posts.next != &l->posts || l->stop)
                return 0;
        if (l->n == 0)
                return max.ns;
        if (__builtin_sub_overflow(l->heap[0]->at.ns, l->clock->mono(l->clock->ctx).ns, &left))
                left = l->heap[0]->at.ns < 0 ? 0 : INT64_MAX;
        if (left <= 0)
                return 0;
        return is_real && left < max.ns ? left : max.ns;
}

static void wait_for_events(Loop *l, int64_t ns)
{
        int flags = EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY;

        if (ns <= 0) {
                flags |= EVLOOP_NONBLOCK;
        } else if (ns < INT64_MAX) {
                /* Rounded up: woken too early, the turn would find the timer not yet due. */
                int64_t us = ns / 1000 + 1;
                struct timeval tv = {us / 1000000, us % 1000000};

                INSIST(event_add(l->wake, &tv) == 0);
        }
        INSIST(event_base_loop(l->base, flags) >= 0);
        event_del(l->wake);
}

bool loop_turn(Loop *l, Span max)
{
        bool any;

        INSIST(!l->in_turn);
        l->in_turn = true;
        l->reading->valid = false;
        wait_for_events(l, patience(l, max));
        any = deliver_ready(l);
        any |= deliver_timers(l);
        any |= deliver_posts(l);
        l->in_turn = false;
        return any;
}

void loop_run(Loop *l)
{
        while (!l->stop)
                loop_turn(l, (Span){INT64_MAX});
        l->stop = false;
}
