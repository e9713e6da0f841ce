/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two messages so small that they are read and written by the wire format itself: the request's
 * field 1 is the service's name, the answer's field 1 an enum.
 */
#include "extension/health.h"

#include "base/mem.h"
#include "extension/extension.h"
#include "proto/pb_reader.h"

enum {
        SERVING = 1,
        NOT_SERVING = 2,
        SERVICE_UNKNOWN = 3
};

typedef struct Watcher {
        Link link;
        Health *health;
        GrpcCall *call;
        bool known; /* of a service that is ours; the others hear SERVICE_UNKNOWN once */
} Watcher;

void health_init(Health *h)
{
        *h = (Health){0};
        list_init(&h->watchers);
}

static void watcher_free(Watcher *w)
{
        link_remove(&w->link);
        w->health->n_watchers--;
        mem_free(w);
}

void health_done(Health *h)
{
        LIST_FOREACH (Watcher, w, &h->watchers, link)
                watcher_free(w);
}

static void message(Buf *b, char status)
{
        buf_init(b, 2);
        buf_add_char(b, 0x08); /* field 1, varint */
        buf_add_char(b, status);
}

static bool is_known(GrpcCall *call, bool *ret_valid)
{
        PbReader r = pb_reader(grpc_call_message(call));
        PbField f;
        while (pb_next(&r, &f))
                continue;
        *ret_valid = !r.bad;
        Str service = pb_get(grpc_call_message(call), 1);
        return service.n == 0 ||
               str_eq(service, STR("envoygateway.extension.EnvoyGatewayExtension"));
}

void health_check(GrpcCall *call)
{
        const Health *h = grpc_call_ctx(call);
        bool valid;
        bool known = is_known(call, &valid);
        if (!valid) {
                grpc_call_fail(call, GRPC_INVALID_ARGUMENT, STR("not a HealthCheckRequest"));
                return;
        }
        if (!known) {
                grpc_call_fail(call, GRPC_NOT_FOUND, STR("no such service"));
                return;
        }
        Buf b;
        message(&b, h->serving ? SERVING : NOT_SERVING);
        grpc_call_reply(call, &b);
        buf_done(&b);
}

static bool send_status(GrpcCall *call, char status)
{
        Buf b;
        message(&b, status);
        bool sent = grpc_call_send(call, &b);
        buf_done(&b);
        return sent;
}

static void on_watch_cancelled(GrpcCall *call)
{
        watcher_free(grpc_call_user(call));
}

void health_watch(GrpcCall *call)
{
        Health *h = grpc_call_ctx(call);
        bool valid;
        bool known = is_known(call, &valid);
        if (!valid) {
                grpc_call_fail(call, GRPC_INVALID_ARGUMENT, STR("not a HealthCheckRequest"));
                return;
        }
        char status = (char)(h->serving ? SERVING : NOT_SERVING);
        if (h->n_watchers == EXTENSION_WATCHERS_MAX ||
            !send_status(call, known ? status : (char)SERVICE_UNKNOWN)) {
                grpc_call_fail(call, GRPC_RESOURCE_EXHAUSTED, STR("too many health watches"));
                return;
        }
        Watcher *w = mem_new(sizeof *w);
        w->health = h;
        w->call = call;
        w->known = known;
        h->n_watchers++;
        list_add(&h->watchers, &w->link);
        grpc_call_set_user(call, w);
        grpc_call_on_cancel(call, on_watch_cancelled);
}

void health_set(Health *h, bool serving)
{
        if (h->serving == serving)
                return;
        h->serving = serving;
        LIST_FOREACH (Watcher, w, &h->watchers, link) {
                if (!w->known || send_status(w->call, (char)(serving ? SERVING : NOT_SERVING)))
                        continue;
                GrpcCall *call = w->call;
                watcher_free(w);
                grpc_call_fail(call, GRPC_RESOURCE_EXHAUSTED, STR("the watch is not read"));
        }
}
