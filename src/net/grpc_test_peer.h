/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For tests of what stands on the gRPC server: a peer as Envoy Gateway is one, by nghttp2 over a
 * real socket, in the thread of its test. The test includes cmocka before this.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nghttp2/nghttp2.h>

#include "base/mem.h"
#include "io/loop.h"
#include "net/grpc_server.h"
#include "proto/grpc_frame.h"

enum {
        PEER_CALLS_MAX = 160,
        PEER_BYTES_MAX = 1 << 20,
        PEER_PUMPS_MAX = 2000,
};

typedef struct PeerCall {
        Buf request; /* framed */
        size_t sent;
        int grpc; /* status; -1: none came */
        char text[256];
        Buf body; /* all that came, prefixes included */
        bool closed;
} PeerCall;

typedef struct Peer {
        Loop *loop;
        int fd;
        nghttp2_session *session;
        PeerCall calls[PEER_CALLS_MAX]; /* by (stream - 1) / 2 */
        int n;
        bool eof, goaway;
} Peer;

static inline PeerCall *peer_call_of(Peer *p, int32_t stream)
{
        assert_in_range(stream, 1, 2 * PEER_CALLS_MAX - 1);
        return &p->calls[(stream - 1) / 2];
}

static inline ssize_t peer_on_read(nghttp2_session *s, int32_t stream, uint8_t *to, size_t n,
                                   uint32_t *flags, nghttp2_data_source *source, void *user)
{
        (void)s, (void)stream, (void)user;
        PeerCall *c = source->ptr;
        size_t left = c->request.n - c->sent;
        n = n < left ? n : left;
        memcpy(to, c->request.p + c->sent, n);
        c->sent += n;
        if (c->sent == c->request.n)
                *flags |= NGHTTP2_DATA_FLAG_EOF;
        return (ssize_t)n;
}

static inline int peer_on_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name,
                                 size_t n_name, const uint8_t *value, size_t n_value, uint8_t flags,
                                 void *user)
{
        (void)s, (void)flags;
        PeerCall *c = peer_call_of(user, f->hd.stream_id);
        uint64_t number;
        Str key = str_make(name, n_name), v = str_make(value, n_value);
        if (str_eq(key, STR("grpc-status")) && str_to_u64(v, 99, &number))
                c->grpc = (int)number;
        if (str_eq(key, STR("grpc-message")))
                snprintf(c->text, sizeof c->text, "%.*s", STR_FMT(v));
        return 0;
}

static inline int peer_on_data(nghttp2_session *s, uint8_t flags, int32_t stream, const uint8_t *p,
                               size_t n, void *user)
{
        (void)s, (void)flags;
        buf_add(&peer_call_of(user, stream)->body, p, n);
        return 0;
}

static inline int peer_on_close(nghttp2_session *s, int32_t stream, uint32_t code, void *user)
{
        (void)s, (void)code;
        peer_call_of(user, stream)->closed = true;
        return 0;
}

static inline int peer_on_frame(nghttp2_session *s, const nghttp2_frame *f, void *user)
{
        (void)s;
        if (f->hd.type == NGHTTP2_GOAWAY)
                ((Peer *)user)->goaway = true;
        return 0;
}

static inline void peer_open(Peer *p, Loop *loop, const Address *a)
{
        nghttp2_session_callbacks *cb;
        *p = (Peer){.loop = loop};
        p->fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(p->fd >= 0);
        assert_int_equal(connect(p->fd, (const struct sockaddr *)&a->sa, a->n), 0);
        assert_int_equal(nghttp2_session_callbacks_new(&cb), 0);
        nghttp2_session_callbacks_set_on_header_callback(cb, peer_on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, peer_on_data);
        nghttp2_session_callbacks_set_on_stream_close_callback(cb, peer_on_close);
        nghttp2_session_callbacks_set_on_frame_recv_callback(cb, peer_on_frame);
        assert_int_equal(nghttp2_session_client_new(&p->session, cb, p), 0);
        nghttp2_session_callbacks_del(cb);
        assert_int_equal(nghttp2_submit_settings(p->session, 0, NULL, 0), 0);
}

/* Idempotent. */
static inline void peer_close(Peer *p)
{
        if (p->session == NULL)
                return;
        for (int i = 0; i < p->n; i++) {
                buf_done(&p->calls[i].request);
                buf_done(&p->calls[i].body);
        }
        nghttp2_session_del(p->session);
        p->session = NULL;
        close(p->fd);
}

/* What waits to be sent; the socket's buffer is larger than all that these tests send at once. */
static inline void peer_flush(Peer *p)
{
        const uint8_t *bytes;
        for (ssize_t n; !p->eof && (n = nghttp2_session_mem_send(p->session, &bytes)) > 0;)
                if (send(p->fd, bytes, (size_t)n, MSG_NOSIGNAL) != n)
                        p->eof = true;
}

static inline void peer_receive(Peer *p)
{
        uint8_t bytes[1 << 14];
        ssize_t n;
        while (!p->eof && (n = recv(p->fd, bytes, sizeof bytes, MSG_DONTWAIT)) >= 0) {
                if (n == 0 || nghttp2_session_mem_recv(p->session, bytes, (size_t)n) < 0)
                        p->eof = true;
        }
        if (!p->eof && errno != EAGAIN)
                p->eof = true;
}

/* One turn of both. */
static inline void peer_turn(Peer *p)
{
        peer_flush(p);
        loop_turn(p->loop, SPAN_MS(1));
        peer_receive(p);
}

static inline void peer_settle(Peer *p)
{
        for (int i = 0; i < 8; i++)
                peer_turn(p);
}

#define PEER_UNTIL(p, cond)                        \
        do {                                       \
                int left_ = PEER_PUMPS_MAX;        \
                while (!(cond) && left_-- > 0)     \
                        peer_turn(p);              \
                if (!(cond))                       \
                        fail_msg("never: " #cond); \
        } while (0)

/* Begins a call; `message` is copied. */
static inline PeerCall *peer_call(Peer *p, const char *path, Str message)
{
        const char *fields[][2] = {
                {":method", "POST"},
                {":scheme", "http"},
                {":authority", "localhost"},
                {":path", path},
                {"content-type", "application/grpc"},
                {"te", "trailers"},
        };
        nghttp2_nv nv[LENGTH_OF(fields)];
        for (size_t i = 0; i < LENGTH_OF(fields); i++)
                nv[i] = (nghttp2_nv){(uint8_t *)(uintptr_t)fields[i][0],
                                     (uint8_t *)(uintptr_t)fields[i][1], strlen(fields[i][0]),
                                     strlen(fields[i][1]), 0};
        assert_true(p->n < PEER_CALLS_MAX);
        PeerCall *c = &p->calls[p->n];
        *c = (PeerCall){.grpc = -1};
        uint8_t prefix[GRPC_PREFIX_BYTES];
        grpc_frame_prefix(prefix, (uint32_t)message.n);
        buf_init(&c->request, PEER_BYTES_MAX);
        buf_add(&c->request, prefix, sizeof prefix);
        buf_add_str(&c->request, message);
        buf_init(&c->body, PEER_BYTES_MAX);
        const nghttp2_data_provider body = {.source.ptr = c, .read_callback = peer_on_read};
        assert_int_equal(nghttp2_submit_request(p->session, NULL, nv, LENGTH_OF(nv), &body, NULL),
                         2 * p->n + 1);
        p->n++;
        return c;
}

/* The peer gives up a call. */
static inline void peer_reset(Peer *p, const PeerCall *c)
{
        int32_t stream = (int32_t)(2 * (c - p->calls) + 1);
        assert_int_equal(nghttp2_submit_rst_stream(p->session, 0, stream, NGHTTP2_CANCEL), 0);
}

/* The messages that came, without prefixes, one after the other. */
static inline Str peer_answer(const PeerCall *c)
{
        assert_true(c->body.n >= GRPC_PREFIX_BYTES);
        return str_sub(buf_str(&c->body), GRPC_PREFIX_BYTES, c->body.n);
}
