/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   poll ──> status ──(good)──> services ──> delivered
 *               └──(else)──────────────────────┘
 *
 * A daemon that has no Services (before 1.98: 404), or fails to tell, costs the Services, never the
 * devices: those are as good as before.
 */
#include "tailnet/local_source.h"

#include "base/mem.h"
#include "net/http_client.h"
#include "tailnet/bus.h"
#include "tailnet/local_api.h"
#include "tailnet/local_status.h"
#include "tailnet/service_list.h"
#include "tailnet/tailnet_kind.h"

#include <stdio.h>

enum {
        DEAF_POLLS_MAX = 3 /* good polls without notifications before that is told */
};

typedef struct LocalSource {
        TailnetSource source;
        Bus *bus; /* NULL where nobody wants to know */
        HttpRequest *request;
        LocalStatus *status;
        unsigned n_deaf;      /* good polls in a row without a stream of notifications */
        Timer rest;           /* a notification waits for it */
        Mono rested;          /* earlier than this nothing is told */
        Err parse;            /* why on_body said no */
        TailnetAnswer answer; /* while the Services are asked for */
} LocalSource;

static const char *path_of(const LocalSource *l)
{
        return l->source.in.spec->local_socket.p;
}

static void forget_poll(LocalSource *l)
{
        l->request = http_request_close(l->request);
        l->status = local_status_free(l->status);
        l->answer.devices = table_unref(l->answer.devices);
}

static void on_bus(Bus *b)
{
        LocalSource *l = bus_owner(b);

        if (mono_before(loop_now(l->source.in.loop), l->rested))
                timer_set(&l->rest, l->rested);
        else
                l->source.in.changed(&l->source);
}

static void on_rested(Timer *t)
{
        LocalSource *l = CONTAINER_OF(t, LocalSource, rest);

        l->source.in.changed(&l->source);
}

static void rest(LocalSource *l, double seconds)
{
        double wait = seconds * LOCAL_REST_TIMES;

        if (wait > LOCAL_REST_MAX_S)
                wait = LOCAL_REST_MAX_S;
        l->rested = mono_add(loop_now(l->source.in.loop), SPAN_MS(wait * 1000));
}

/* Runs inside libcurl: feeds the codec and nothing else. */
static bool on_body(HttpRequest *r, Str chunk)
{
        LocalSource *l = http_request_owner(r);

        return local_status_feed(l->status, chunk, &l->parse);
}

/* A whole answer, or why it is none. */
static void read_status(LocalSource *l, const HttpResult *result, TailnetAnswer *a)
{
        if (l->parse.kind != ERR_NONE) {
                a->err = l->parse;
        } else if (local_api_check(result, path_of(l), &a->err)) {
                local_status_finish(l->status, a);
        } else {
                a->status = result->status == 200 ? 0 : result->status;
                return;
        }
        if (a->devices == NULL)
                err_prefix(&a->err, "%s", path_of(l));
}

static void deliver(LocalSource *l)
{
        TailnetAnswer a = l->answer;

        l->answer = (TailnetAnswer){0};
        rest(l, a.seconds);
        forget_poll(l);
        tailnet_kind_deliver(&l->source, &a);
}

/* --- Services --- */

static void warn(TailnetAnswer *a, const char *what)
{
        size_t n = strlen(a->warning);

        IGNORE(snprintf(a->warning + n, sizeof(a->warning) - n, "%s%s", n > 0 ? "; " : "", what),
               "cut at its size");
}

static void take_services(LocalSource *l, ServiceList *list)
{
        CLEANUP(mem_cleanup) const void **leaves = NULL;
        const char *why;
        size_t n;

        if (service_list_invalid(list, &why) > 0)
                warn(&l->answer, why);
        leaves = service_list_take(list, &n);
        l->answer.services = table_update(l->source.in.services, leaves, n, tailnet_service_order,
                                          tailnet_service_same);
}

static void on_services(HttpRequest *r, const HttpResult *result)
{
        LocalSource *l = http_request_owner(r);
        ServiceList *list = service_list_new();
        Err err = {0};

        l->answer.bytes += result->bytes;
        l->answer.seconds += span_seconds(result->took);
        if (local_api_check(result, path_of(l), &err) &&
            service_list_read_local(list, result->body, &err)) {
                take_services(l, list);
        } else if (result->status != 404) {
                err_prefix(&err, "Tailscale Services are not known");
                warn(&l->answer, err.text);
        }
        service_list_free(list);
        deliver(l);
}

static void ask_services(LocalSource *l)
{
        l->request = http_request_open(l->source.in.http,
                                       &(HttpRequestInput){
                                               .url = LOCAL_API_URL "services",
                                               .unix_socket = path_of(l),
                                               .accept = "application/json",
                                               .deadline = tailnet_kind_left(&l->source),
                                               .max_bytes = SERVICE_LOCAL_BYTES_MAX,
                                               .on_done = on_services,
                                               .owner = l,
                                       });
}

/* The daemon answers; a stream that is only late is nothing to tell of. */
static void look_at_bus(LocalSource *l)
{
        l->n_deaf = bus_is_live(l->bus) ? 0 : l->n_deaf + 1;
        if (l->n_deaf > DEAF_POLLS_MAX)
                warn(&l->answer, "tailscaled does not tell of changes, they are seen when it is "
                                 "polled");
        bus_daemon_is_there(l->bus);
}

static void on_status(HttpRequest *r, const HttpResult *result)
{
        LocalSource *l = http_request_owner(r);
        TailnetAnswer *a = &l->answer;

        *a = (TailnetAnswer){.via = "local",
                             .retry_after = result->retry_after,
                             .bytes = result->bytes,
                             .seconds = span_seconds(result->took)};
        read_status(l, result, a);
        l->request = http_request_close(l->request);
        l->status = local_status_free(l->status);
        if (a->devices == NULL) {
                deliver(l);
                return;
        }
        if (l->bus != NULL)
                look_at_bus(l);
        ask_services(l);
}

static void poll_local(TailnetSource *s)
{
        LocalSource *l = CONTAINER_OF(s, LocalSource, source);

        /* This one sees what was waited for. */
        timer_clear(&l->rest);
        l->parse = (Err){0};
        l->status = local_status_new(s->in.spec->magic_dns_suffix, s->in.devices);
        l->request = http_request_open(s->in.http, &(HttpRequestInput){
                                                           .url = LOCAL_API_URL "status",
                                                           .unix_socket = path_of(l),
                                                           .accept = "application/json",
                                                           .deadline = tailnet_kind_left(s),
                                                           .max_bytes = TAILNET_ANSWER_BYTES_MAX,
                                                           .on_body = on_body,
                                                           .on_done = on_status,
                                                           .owner = l,
                                                   });
}

static void free_local(TailnetSource *s)
{
        LocalSource *l = CONTAINER_OF(s, LocalSource, source);

        l->bus = bus_close(l->bus);
        timer_clear(&l->rest);
        forget_poll(l);
        tailnet_kind_done(s);
        mem_free(l);
}

TailnetSource *local_source_open(const TailnetSourceInput *in, Err *err)
{
        static const TailnetKind kind = {poll_local, free_local};
        Str path = in->spec->local_socket;
        LocalSource *l;

        if (path.n == 0) {
                err_set(err, ERR_INVALID, "NoLocalAPI", "localAPI.socket is not given for %.*s",
                        STR_FMT(in->spec->meta.key.name));
                return NULL;
        }
        if (path.n > LOCAL_API_PATH_MAX) {
                err_set(err, ERR_INVALID, "BadSocketPath",
                        "localAPI.socket is longer than the %d bytes that the path of a socket may "
                        "have",
                        LOCAL_API_PATH_MAX);
                return NULL;
        }
        l = mem_new(sizeof(*l));
        tailnet_kind_init(&l->source, &kind, in);
        timer_init(&l->rest, in->loop, on_rested);
        if (in->changed != NULL)
                l->bus = bus_open(&(BusInput){.loop = in->loop,
                                              .log = in->log,
                                              .http = in->http,
                                              .socket = path_of(l),
                                              .fn = on_bus,
                                              .owner = l});
        return &l->source;
}
