/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server: its listeners, what is delivered at the end of each turn, its end. The rest is in
 * grpc_call.c (calls), h2_conn.c (connections) and h2_session.c (nghttp2).
 *
 *   1. Handlers and on_cancel run from on_deliver alone, DELIVERIES_PER_TURN at most, then all
 *      connections that have something to send are flushed: answers made in one turn leave
 *      together.
 *   2. on_drained is the last thing that on_deliver does; the server may be gone after it.
 */
#include "net/grpc_server.h"

#include "base/mem.h"
#include "net/grpc_call.h"
#include "net/grpc_state.h"
#include "net/h2_conn.h"
#include "net/h2_session.h"

#include <unistd.h>

enum {
        DELIVERIES_PER_TURN = 16,
        HANDSHAKE_TOLD_S = 60,
};

const GrpcCaps grpc_caps_default = {
        .connections = GRPC_CONNECTIONS_MAX,
        .streams = GRPC_STREAMS_TOTAL_MAX,
        .message = 64 * GRPC_MIB,
        .buffered_in = 128 * GRPC_MIB,
        .buffered_out = 256 * GRPC_MIB,
};

/* ---- delivery */

static void deliver_calls(GrpcServer *s)
{
        Link *l;

        for (int i = 0; i < DELIVERIES_PER_TURN && (l = list_first(&s->ready)) != NULL; i++)
                grpc_call_deliver(CONTAINER_OF(l, GrpcCall, ready));
        if (!list_is_empty(&s->ready))
                post_send(&s->deliver);
}

static void flush_connections(GrpcServer *s)
{
        Link *l;

        while ((l = list_first(&s->dirty)) != NULL)
                h2_conn_flush(CONTAINER_OF(l, H2Conn, dirty));
}

static void on_deliver(Post *p)
{
        GrpcServer *s = CONTAINER_OF(p, GrpcServer, deliver);

        deliver_calls(s);
        flush_connections(s);
        if (!s->is_draining || s->is_drained || !list_is_empty(&s->conns) ||
            !list_is_empty(&s->ready))
                return;
        s->is_drained = true;
        timer_clear(&s->drain);
        if (s->on_drained != NULL)
                s->on_drained(s);
}

/* ---- accepting */

static bool is_evictable(const H2Conn *c)
{
        LIST_FOREACH (GrpcCall, call, &c->calls, on_conn)
                if (call->stage == GRPC_STAGE_QUEUED || call->stage == GRPC_STAGE_HELD)
                        return false;
        return true;
}

/* When it last was of use; a new one is given a moment to show what it is for. */
static Mono last_use(const H2Conn *c, Mono now)
{
        bool is_fresh = mono_before(now, mono_add(c->opened, SPAN_S(GRPC_FRESH_S)));

        if (c->served.ns == 0 && !is_fresh)
                return (Mono){0};
        return c->served.ns == 0 ? c->opened : c->served;
}

/* The connection that was of use longest ago makes room for one that knocks: a peer that opens them
 * all is served, but locks nobody out. */
static bool evict_one(GrpcServer *s)
{
        Mono now = loop_now(s->loop);
        H2Conn *victim = NULL;

        LIST_FOREACH (H2Conn, c, &s->conns, link) {
                bool is_older =
                        victim == NULL || mono_before(last_use(c, now), last_use(victim, now));
                if (is_older && is_evictable(c))
                        victim = c;
        }
        if (victim == NULL)
                return false;
        s->n.connections_evicted++;
        h2_conn_close(victim);
        return true;
}

static void on_accept(Listener *l, int fd)
{
        const GrpcListener *listener = CONTAINER_OF(l, GrpcListener, listener);
        GrpcServer *s = listener->server;

        if ((size_t)s->n.connections >= s->caps.connections && !evict_one(s)) {
                s->n.connections_refused++;
                close(fd);
                return;
        }
        h2_conn_open(s, fd, listener->tls);
}

/* ---- TLS */

void grpc_server_tell_handshake(GrpcServer *s, const char *why)
{
        Mono now = loop_now(s->loop);

        if (s->told.ns != 0 && mono_before(now, mono_add(s->told, SPAN_S(HANDSHAKE_TOLD_S)))) {
                s->untold++;
                return;
        }
        /* Nobody else hears of it, and a caller with a wrong certificate is a fault of ours. */
        log_warn(s->log, "gRPC caller refused in the TLS handshake", LOG_CSTR("error", why),
                 LOG_INT("others", s->untold));
        s->told = now;
        s->untold = 0;
}

static void note_certificate(GrpcServer *s)
{
        s->n.certificate_ends = tls_server_not_after(s->tls).ms / 1000;
}

static void on_renewed(TlsServer *tls)
{
        GrpcServer *s = tls_server_owner(tls);

        s->n.certificates_renewed++;
        note_certificate(s);
        LIST_FOREACH (H2Conn, c, &s->conns, link)
                if (c->stream.tls != NULL)
                        h2_conn_outdated(c);
}

static bool open_tls(GrpcServer *s, const GrpcServerOptions *o, Err *err)
{
        static const char *const alpn[] = {"h2", NULL};

        for (size_t i = 0; o->tls == NULL && i < o->n_addresses; i++)
                if (!address_is_local(&o->addresses[i]))
                        return err_set(err, ERR_INVALID, "TLSRequired",
                                       "%s: off loopback callers are believed by mutual TLS alone, "
                                       "expected certificate, key and client CA",
                                       o->addresses[i].text);
        if (o->tls == NULL)
                return true;
        INSIST(o->tls->certificate != NULL && o->tls->key != NULL && o->tls->client_ca != NULL);
        s->tls = tls_server_open(&(TlsServerInput){.loop = s->loop,
                                                   .log = s->log,
                                                   .on_renewed = on_renewed,
                                                   .owner = s,
                                                   .certificate = o->tls->certificate,
                                                   .key = o->tls->key,
                                                   .client_ca = o->tls->client_ca,
                                                   .alpn = alpn},
                                 err);
        if (s->tls != NULL)
                note_certificate(s);
        return s->tls != NULL;
}

/* ---- opening and closing */

static void close_listeners(GrpcServer *s)
{
        for (size_t i = 0; i < s->n_listeners; i++)
                listener_close(&s->listeners[i].listener);
}

static void close_connections(GrpcServer *s)
{
        LIST_FOREACH (H2Conn, c, &s->conns, link)
                h2_conn_close(c);
}

static void on_drain_timer(Timer *t)
{
        GrpcServer *s = CONTAINER_OF(t, GrpcServer, drain);

        log_debug(s->log, "gRPC drain is over", LOG_INT("connections", s->n.connections));
        close_connections(s);
        post_send(&s->deliver);
}

static bool open_listeners(GrpcServer *s, const GrpcServerOptions *o, Err *err)
{
        for (size_t i = 0; i < o->n_addresses; i++) {
                GrpcListener *l = &s->listeners[i];
                l->server = s;
                l->tls = o->addresses[i].sa.ss_family != AF_UNIX ? s->tls : NULL;
                if (!listener_open(&l->listener, s->loop, &o->addresses[i], on_accept, err))
                        return false;
                s->n_listeners = i + 1;
        }
        return true;
}

static GrpcServer *server_new(Loop *loop, Log *log, const GrpcServerOptions *o)
{
        GrpcServer *s = mem_new(sizeof(*s));

        s->loop = loop;
        s->log = log;
        s->caps = o->caps != NULL ? *o->caps : grpc_caps_default;
        s->on_drained = o->on_drained;
        s->owner = o->owner;
        s->listeners = mem_new_array(o->n_addresses, sizeof(*s->listeners));
        s->input = mem_new(GRPC_INPUT_BYTES);
        list_init(&s->conns);
        list_init(&s->ready);
        list_init(&s->dirty);
        post_init(&s->deliver, loop, on_deliver);
        timer_init(&s->drain, loop, on_drain_timer);
        return s;
}

GrpcServer *grpc_server_open(Loop *loop, Log *log, const GrpcServerOptions *options,
                             const GrpcMethod *methods, size_t n, Err *err)
{
        GrpcServer *s = server_new(loop, log, options);

        s->methods = mem_new_array(n, sizeof(*methods));
        for (size_t i = 0; i < n; i++)
                s->methods[i] = methods[i];
        s->n_methods = n;
        s->callbacks = h2_session_callbacks();
        s->option = h2_session_option();
        bool ok = s->callbacks != NULL && s->option != NULL;
        if (!ok)
                err_set(err, ERR_TRANSIENT, "OutOfMemory", "gRPC server: out of memory");
        if (!ok || !open_tls(s, options, err) || !open_listeners(s, options, err))
                return grpc_server_close(s);
        return s;
}

GrpcServer *grpc_server_close(GrpcServer *s)
{
        if (s == NULL)
                return NULL;
        INSIST(s->current == NULL);
        close_listeners(s);
        close_connections(s);
        Link *l;
        while ((l = list_first(&s->ready)) != NULL)
                grpc_call_free(CONTAINER_OF(l, GrpcCall, ready));
        post_cancel(&s->deliver);
        timer_clear(&s->drain);
        if (s->callbacks != NULL)
                nghttp2_session_callbacks_del(s->callbacks);
        if (s->option != NULL)
                nghttp2_option_del(s->option);
        s->tls = tls_server_close(s->tls);
        mem_free(s->methods);
        mem_free(s->listeners);
        mem_free(s->input);
        return mem_free(s);
}

void grpc_server_drain(GrpcServer *s, Span deadline)
{
        if (s->is_draining)
                return;
        s->is_draining = true;
        close_listeners(s);
        LIST_FOREACH (H2Conn, c, &s->conns, link)
                h2_conn_go(c);
        timer_set_in(&s->drain, deadline);
        post_send(&s->deliver);
}

/* ---- what others ask */

void *grpc_server_owner(const GrpcServer *s)
{
        return s->owner;
}

const Address *grpc_server_address(const GrpcServer *s, size_t i)
{
        INSIST(i < s->n_listeners);
        return &s->listeners[i].listener.address;
}

const GrpcServerCounters *grpc_server_counters(const GrpcServer *s)
{
        return &s->n;
}

#define METRIC(name, kind, field, help)                                                          \
        {                                                                                        \
                "tailscale_gateway_grpc_" name, help, kind, offsetof(GrpcServerCounters, field), \
                        NULL                                                                     \
        }
#define COUNTER(name, field, help) METRIC(name "_total", METRIC_COUNTER, field, help)

static const MetricDesc metrics[] = {
        METRIC("connections", METRIC_GAUGE, connections, "Open gRPC connections."),
        METRIC("streams", METRIC_GAUGE, streams, "Open gRPC streams."),
        METRIC("request_buffered_bytes", METRIC_GAUGE, bytes_buffered_in,
               "Bytes of gRPC requests that are held."),
        METRIC("answer_buffered_bytes", METRIC_GAUGE, bytes_buffered_out,
               "Bytes of gRPC answers that wait to be sent."),
        COUNTER("connections", connections_total, "gRPC connections that were accepted."),
        COUNTER("connections_refused", connections_refused,
                "gRPC connections closed at once because all were busy."),
        COUNTER("connections_evicted", connections_evicted,
                "gRPC connections closed to make room for a new one."),
        COUNTER("received_bytes", bytes_in, "Bytes read from gRPC connections."),
        COUNTER("sent_bytes", bytes_out, "Bytes written to gRPC connections."),
        COUNTER("calls", calls_total, "gRPC calls that began."),
        COUNTER("calls_ok", calls_ok, "gRPC calls answered with OK."),
        COUNTER("calls_failed", calls_failed, "gRPC calls a handler answered with an error."),
        COUNTER("calls_cancelled", calls_cancelled,
                "gRPC calls whose peer went before they were answered."),
        COUNTER("calls_expired", calls_expired, "gRPC calls whose deadline passed."),
        COUNTER("calls_rejected", calls_rejected, "gRPC calls refused before a handler saw them."),
        COUNTER("resets_received", resets_in, "RST_STREAM frames from peers."),
        COUNTER("resets_sent", resets_out, "RST_STREAM frames to peers."),
        COUNTER("floods", floods, "gRPC connections closed because the peer flooded."),
        COUNTER("timeouts", timeouts,
                "gRPC connections and streams closed because the peer was too slow."),
        COUNTER("protocol_errors", protocol_errors,
                "gRPC connections closed because of a violation of HTTP/2."),
        COUNTER("wrong_protocol", wrong_protocol,
                "gRPC connections closed because the peer spoke something else."),
        COUNTER("tls_handshakes_failed", handshakes_failed,
                "TLS handshakes with gRPC callers that failed."),
        COUNTER("certificates_renewed", certificates_renewed,
                "Times that changed TLS files of the gRPC server were taken."),
        METRIC("certificate_expiry_timestamp_seconds", METRIC_GAUGE, certificate_ends,
               "Time at which the certificate shown to gRPC callers ends; 0 without TLS."),
};

const MetricTable grpc_server_metrics = {metrics, LENGTH_OF(metrics)};
