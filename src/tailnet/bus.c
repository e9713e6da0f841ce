/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   bus_open ──> ASKED ──(bytes)──> LIVE ──(end)──> WAITS ──(timer)──> ASKED
 *                  └──(no answer, refusal)────────────┘
 *
 * The mask asks for the state at once, so each stream begins with a notification, and for changes
 * and patches of peers. Daemons before 1.98 do not know the latter two; those send each change as
 * a whole NetMap to everybody. Whole netmaps or states are not asked for: they would be read twice.
 */
#include "tailnet/bus.h"

#include "base/mem.h"
#include "tailnet/bus_scan.h"
#include "tailnet/local_api.h"

#include <stdio.h>

enum {
        MASK_INITIAL_STATE = 1 << 1,
        MASK_PEER_CHANGES = 1 << 12,
        MASK_PEER_PATCHES = 1 << 15,
};

struct Bus {
        BusInput in;
        char *socket;         /* owned */
        HttpRequest *request; /* NULL: waits */
        Timer timer;
        Post tell;
        BusScan scan;
        Err broken; /* why on_body said no */
        Span wait;  /* the last one; 0: none yet */
        Mono live_since;
        bool is_live;        /* bytes came since it was asked for last */
        unsigned n_failures; /* in a row */
};

static void on_tell(Post *p)
{
        Bus *b = CONTAINER_OF(p, Bus, tell);

        b->in.fn(b);
}

/* Runs inside libcurl: it notes, and the Post tells. */
static bool on_body(HttpRequest *r, Str chunk)
{
        Bus *b = http_request_owner(r);
        bool tells = !b->is_live;

        if (!b->is_live) {
                b->is_live = true;
                b->live_since = loop_now(b->in.loop);
        }
        bool ok = bus_scan_feed(&b->scan, chunk, &tells, &b->broken);
        if (tells)
                post_send(&b->tell);
        return ok;
}

static Span next_wait(const Bus *b)
{
        bool lasted = b->is_live && mono_since(loop_now(b->in.loop), b->live_since).ns >=
                                            SPAN_S(BUS_WAIT_MAX_S).ns;

        if (b->wait.ns == 0 || lasted)
                return SPAN_S(BUS_WAIT_MIN_S);
        return b->wait.ns * 2 < SPAN_S(BUS_WAIT_MAX_S).ns ? (Span){b->wait.ns * 2}
                                                          : SPAN_S(BUS_WAIT_MAX_S);
}

static void log_end(const Bus *b, const HttpResult *result)
{
        Err err = b->broken.kind != ERR_NONE ? b->broken : result->err;

        if (err.kind == ERR_NONE && result->status == 200)
                err_set(&err, ERR_TRANSIENT, "Ended", "the daemon ended it");
        else if (err.kind == ERR_NONE)
                IGNORE(local_api_check(result, b->socket, &err), "it is none");
        /* The polls tell why the daemon does not answer. */
        log_info(b->in.log, "no notifications from tailscaled, asked for again",
                 LOG_CSTR("socket", b->socket), LOG_CSTR("reason", err.reason),
                 LOG_CSTR("error", err.text));
}

static void on_done(HttpRequest *r, const HttpResult *result)
{
        Bus *b = http_request_owner(r);

        if (b->is_live)
                b->n_failures = 0;
        if (b->n_failures++ == 0)
                log_end(b, result);
        b->request = http_request_close(b->request);
        b->wait = next_wait(b);
        timer_set_in(&b->timer, b->wait);
        if (b->is_live)
                post_send(&b->tell);
}

static void ask(Bus *b)
{
        char url[LOCAL_API_URL_MAX];

        snprintf(url, sizeof(url), LOCAL_API_URL "watch-ipn-bus?mask=%d",
                 MASK_INITIAL_STATE | MASK_PEER_CHANGES | MASK_PEER_PATCHES);
        timer_clear(&b->timer);
        bus_scan_init(&b->scan);
        b->broken = (Err){0};
        b->is_live = false;
        b->request = http_request_open(b->in.http, &(HttpRequestInput){
                                                           .url = url,
                                                           .unix_socket = b->socket,
                                                           .on_body = on_body,
                                                           .on_done = on_done,
                                                           .owner = b,
                                                   });
}

static void on_timer(Timer *t)
{
        ask(CONTAINER_OF(t, Bus, timer));
}

Bus *bus_open(const BusInput *in)
{
        Bus *b = mem_new(sizeof(*b));

        b->in = *in;
        b->socket = mem_new(strlen(in->socket) + 1);
        memcpy(b->socket, in->socket, strlen(in->socket));
        b->in.socket = b->socket;
        timer_init(&b->timer, in->loop, on_timer);
        post_init(&b->tell, in->loop, on_tell);
        ask(b);
        return b;
}

void bus_daemon_is_there(Bus *b)
{
        /* A stream that came and went keeps its wait: else one that always does would be asked for
         * as fast as it tells. */
        if (b->request == NULL && !b->is_live)
                ask(b);
}

bool bus_is_live(const Bus *b)
{
        return b->request != NULL && b->is_live;
}

void *bus_owner(const Bus *b)
{
        return b->in.owner;
}

Bus *bus_close(Bus *b)
{
        if (b == NULL)
                return NULL;
        b->request = http_request_close(b->request);
        timer_clear(&b->timer);
        post_cancel(&b->tell);
        mem_free(b->socket);
        return mem_free(b);
}
