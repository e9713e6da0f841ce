/* SPDX-License-Identifier: Apache-2.0 */
#include "played_tailnet.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/mem.h"
#include "simulated.h"
#include "tailnet/device_file.h"

enum {
        TEXT_MAX = 16 << 10,
        LATENCY_MAX_MS = 400,
        RETRY_AFTER_S = 90,
        /* Of one hour: what scheduled polls, triggers and retries may come to at most. */
        RETRIES_PER_HOUR = 60,
        LOCAL_APART_MS = 200, /* of reads of the tailscaled; it has no other budget */
};

/* A month after the start: clocks that jump pass it. */
#define PLAYED_EXPIRES "2026-12-22T20:58:01Z"

PlayedStage played_stage;

typedef struct PlayedSource {
        TailnetSource source;
        Timer timer;
        PlayedTailnet *tailnet;
        PlayedServer *server;
        Mono last; /* poll */
} PlayedSource;

unsigned played_dice(Chance *c, unsigned n)
{
        return (unsigned)(chance_next(c) * n);
}

void played_tailnet_init(PlayedTailnet *t, const char *name, unsigned net, Chance *chance)
{
        *t = (PlayedTailnet){
                .name = name, .net = net, .interval = SPAN_S(30), .chance = chance, .next_id = 1};
        for (unsigned i = 0; i < PLAYED_DEVICES; i++) {
                PlayedDevice *d = &t->devices[i];

                d->id = t->next_id++;
                d->is_there = true;
                snprintf(d->name, sizeof(d->name), "svc-%u", i);
        }
}

unsigned played_tailnet_good(const PlayedTailnet *t)
{
        unsigned n = 0;

        for (size_t i = 0; i < PLAYED_DEVICES; i++)
                n += t->devices[i].is_there && !t->devices[i].is_expired;
        return n;
}

void played_server_fault(PlayedServer *s, PlayedFault fault, unsigned answers)
{
        s->fault = fault;
        s->answers_left = answers;
}

void played_tailnet_change(PlayedTailnet *t)
{
        PlayedSource *p = t->local.source;

        if (p != NULL && p->source.in.changed != NULL)
                p->source.in.changed(&p->source);
}

/* --- what is said --- */

static void put_device(Buf *out, const PlayedTailnet *t, const PlayedDevice *d)
{
        buf_printf(
                out,
                "%s{\"nodeId\":\"n%u\",\"name\":\"%s.%s.ts.net\",\"addresses\":[\"100.64.%u.%u\"],"
                "\"tags\":[\"tag:http-%d\"],\"authorized\":true,\"connectedToControl\":%s,"
                "\"expires\":\"%s\"}",
                out->p[out->n - 1] == '[' ? "" : ",", d->id, d->name, t->name, t->net, d->id % 256,
                PLAYED_PORT, d->is_offline ? "false" : "true",
                d->is_expired ? "2020-01-01T00:00:00Z" : PLAYED_EXPIRES);
}

/* In an order of its own at each call. */
static void put_list(Buf *out, const PlayedTailnet *t, PlayedFault fault)
{
        unsigned n = 0, first = played_dice(t->chance, PLAYED_DEVICES);
        unsigned keep = fault == PLAYED_EMPTY ? 0
                        : fault == PLAYED_SHORT
                                ? PLAYED_DEVICES * (100 - PLAYED_SHORT_PERCENT) / 100
                                : PLAYED_DEVICES;

        buf_add_str(out, STR("{\"devices\":["));
        for (unsigned i = 0; i < PLAYED_DEVICES && n < keep; i++) {
                const PlayedDevice *d = &t->devices[(first + i) % PLAYED_DEVICES];

                if (!d->is_there)
                        continue;
                put_device(out, t, d);
                n++;
        }
        buf_add_str(out, STR("]}"));
}

/* Good lists in a row count, whatever failed between them. */
static void count_lies(PlayedTailnet *t, PlayedFault fault)
{
        if (fault == PLAYED_WELL)
                t->lies = 0;
        else if (fault != PLAYED_HALF && ++t->lies >= PLAYED_CONFIRMATIONS)
                t->lie_believed = true;
}

/* What the wall clock of the program would say had it never jumped. */
static Wall true_time(const Loop *loop)
{
        return (Wall){SIMULATED_EPOCH_MS + loop_now(loop).ns / 1000000 -
                      SIMULATED_EPOCH_S * INT64_C(1000)};
}

static void answer_list(PlayedSource *p, PlayedFault fault, TailnetAnswer *a)
{
        Buf text;
        Str bytes;

        count_lies(p->tailnet, fault);

        buf_init(&text, TEXT_MAX);
        put_list(&text, p->tailnet, fault);
        bytes = buf_str(&text);
        if (fault == PLAYED_HALF)
                bytes.n = 1 + played_dice(p->tailnet->chance, (unsigned)bytes.n - 1);
        device_file_parse(bytes, (Str){0}, p->source.in.devices, a);
        a->bytes = bytes.n;
        a->date = true_time(p->source.in.loop);
        a->via = "tailscale-v2";
        buf_done(&text);
}

/* A netmap holds what the policy lets this node see. */
static void answer_netmap(PlayedSource *p, TailnetAnswer *a)
{
        const void *leaves[PLAYED_DEVICES];
        size_t n = 0;

        for (size_t i = 0; i < PLAYED_DEVICES; i++) {
                const PlayedDevice *d = &p->tailnet->devices[i];
                char id[PLAYED_NAME], name[PLAYED_NAME * 2], ip[PLAYED_NAME];
                Str tag = STR("tag:http-8080");

                if (!d->is_there || d->is_hidden)
                        continue;
                snprintf(id, sizeof(id), "n%u", d->id);
                snprintf(name, sizeof(name), "%s.%s.ts.net", d->name, p->tailnet->name);
                snprintf(ip, sizeof(ip), "100.64.%u.%u", p->tailnet->net, d->id % 256);
                leaves[n++] = device_new(&(Device){
                        .node_id = str_of(id),
                        .name = str_of(name),
                        .short_name = str_of(d->name),
                        .ip4 = str_of(ip),
                        .tags = {&tag, 1},
                        .online = d->is_offline ? DEVICE_OFFLINE : DEVICE_ONLINE,
                        .authorized = true,
                        .expires = {d->is_expired ? 1000 : 0},
                });
        }
        a->devices = table_update(p->source.in.devices, leaves, n, device_order, device_same);
        a->via = "local";
        snprintf(a->suffix, sizeof(a->suffix), "%s.ts.net", p->tailnet->name);
}

static void answer_fault(PlayedSource *p, PlayedFault fault, TailnetAnswer *a)
{
        switch (fault) {
        case PLAYED_DENIED:
                err_set(&a->err, ERR_DENIED, "Unauthorized", "401");
                break;
        case PLAYED_LIMITED:
                err_set(&a->err, ERR_TRANSIENT, "TooManyRequests", "429");
                a->retry_after = SPAN_S(RETRY_AFTER_S);
                p->server->not_before = mono_add(loop_now(p->source.in.loop), a->retry_after);
                break;
        case PLAYED_HANGS:
                err_set(&a->err, ERR_TRANSIENT, "Timeout", "no answer");
                break;
        case PLAYED_BROKEN:
        case PLAYED_WELL:
        case PLAYED_HALF:
        case PLAYED_EMPTY:
        case PLAYED_SHORT:
        case PLAYED_FAULTS:
                err_set(&a->err, ERR_TRANSIENT, "ServerError", "500");
                break;
        }
}

static void on_time(Timer *timer)
{
        PlayedSource *p = CONTAINER_OF(timer, PlayedSource, timer);
        PlayedServer *s = p->server;
        PlayedFault fault = s->fault;
        bool is_local = s == &p->tailnet->local;
        bool is_list = fault == PLAYED_WELL || fault == PLAYED_HALF || fault == PLAYED_EMPTY ||
                       fault == PLAYED_SHORT;
        TailnetAnswer a = {.seconds = 0.1};

        s->is_busy = false;
        if (s->answers_left > 0 && --s->answers_left == 0)
                s->fault = PLAYED_WELL;
        if (is_list && !is_local)
                answer_list(p, fault, &a);
        else if (fault == PLAYED_WELL)
                answer_netmap(p, &a);
        else
                answer_fault(p, fault, &a);
        p->tailnet->failures += a.devices == NULL;
        tailnet_kind_deliver(&p->source, &a);
}

/* --- manners --- */

static void judge_call(PlayedSource *p, Mono now)
{
        PlayedServer *s = p->server;
        PlayedTailnet *t = p->tailnet;
        Span hour = SPAN_S(3600);
        uint64_t most = (uint64_t)(hour.ns / t->interval.ns) * 10 / 9 + PACE_TRIGGERS_PER_HOUR +
                        RETRIES_PER_HOUR;

        t->calls++;
        if (s->is_busy)
                t->violation = "two calls at once";
        if (mono_before(now, s->not_before))
                t->violation = "a call before Retry-After";
        if (s == &t->local) {
                if (p->last.ns != 0 && mono_since(now, p->last).ns < SPAN_MS(LOCAL_APART_MS).ns)
                        t->violation = "two reads of the tailscaled within 200 ms";
                p->last = now;
                return;
        }
        if (s->hour.ns == 0 || mono_since(now, s->hour).ns > hour.ns) {
                s->hour = now;
                s->calls = 0;
        }
        if (++s->calls > most)
                t->violation = "more calls within an hour than the budget has";
}

static void poll(TailnetSource *source)
{
        PlayedSource *p = CONTAINER_OF(source, PlayedSource, source);
        Mono now = loop_now(source->in.loop);

        judge_call(p, now);
        p->server->is_busy = true;
        timer_set(&p->timer, p->server->fault == PLAYED_HANGS
                                     ? source->until
                                     : mono_add(now, SPAN_MS(1 + played_dice(p->tailnet->chance,
                                                                             LATENCY_MAX_MS))));
}

static void close_played(TailnetSource *source)
{
        PlayedSource *p = CONTAINER_OF(source, PlayedSource, source);

        timer_clear(&p->timer);
        p->server->is_busy = false;
        p->server->source = NULL;
        tailnet_kind_done(source);
        mem_free(p);
}

static TailnetSource *open_played(const TailnetSourceInput *in, bool is_local, Err *err)
{
        static const TailnetKind kind = {poll, close_played};

        for (size_t i = 0; i < played_stage.n; i++) {
                PlayedTailnet *t = &played_stage.tailnets[i];
                PlayedSource *p;

                if (!str_eq(in->spec->meta.key.name, str_of(t->name)))
                        continue;
                p = mem_new(sizeof(*p));
                tailnet_kind_init(&p->source, &kind, in);
                p->tailnet = t;
                p->server = is_local ? &t->local : &t->api;
                p->server->source = p;
                timer_init(&p->timer, in->loop, on_time);
                return &p->source;
        }
        err_set(err, ERR_MISSING, "NotFound", "no such tailnet is played");
        return NULL;
}

TailnetSource *played_open(const TailnetSourceInput *in, Err *err)
{
        return open_played(in, false, err);
}

TailnetSource *played_open_local(const TailnetSourceInput *in, Err *err)
{
        return open_played(in, true, err);
}
