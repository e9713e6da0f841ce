/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For the tests of the gRPC server: its client is nghttp2, over a real socket, in the same thread.
 * A pump turns both until its condition holds, and gives up after PUMPS_MAX turns.
 */
#include <errno.h>
#include <nghttp2/nghttp2.h>

#include "net/grpc_test_world.h"
#include "proto/grpc_frame.h"

enum {
        PUMPS_MAX = 4000,
        ANSWERS_MAX = 300,
};

typedef struct Answer {
        int http, grpc; /* -1: not seen */
        char text[128];
        Buf body;
        bool closed;
        uint32_t code;
        Str request; /* what is still to be sent */
        bool holds;  /* END_STREAM is not sent */
} Answer;

typedef struct Client Client;
struct Client {
        World *world;
        int fd;
        /* As send and recv on `fd`, where there is TLS in between; NULL: plain. */
        ssize_t (*send)(Client *c, const void *p, size_t n);
        ssize_t (*recv)(Client *c, void *p, size_t n);
        void *tls;
        nghttp2_session *session;
        Answer answers[ANSWERS_MAX]; /* by (stream - 1) / 2 */
        int n;
        bool deaf; /* reads nothing */
        bool eof;
        int n_goaway;
        int32_t goaway_last;
        uint32_t goaway_code;
};

static inline Answer *answer_of(Client *c, int32_t stream)
{
        size_t i = (size_t)(stream - 1) / 2;
        assert_true(i < ANSWERS_MAX);
        return &c->answers[i];
}

static inline ssize_t client_on_read(nghttp2_session *s, int32_t stream, uint8_t *buf, size_t n,
                                     uint32_t *flags, nghttp2_data_source *source, void *user)
{
        (void)s;
        (void)stream;
        (void)user;
        Answer *a = source->ptr;

        n = n < a->request.n ? n : a->request.n;
        if (n > 0)
                memcpy(buf, a->request.p, n);
        a->request = str_sub(a->request, n, a->request.n);
        if (a->request.n == 0 && a->holds && n == 0)
                return NGHTTP2_ERR_DEFERRED;
        if (a->request.n == 0 && !a->holds)
                *flags |= NGHTTP2_DATA_FLAG_EOF;
        return (ssize_t)n;
}

static inline int to_int(const uint8_t *p, size_t n)
{
        uint64_t v;

        return str_to_u64(str_make(p, n), 999, &v) ? (int)v : -1;
}

static inline int client_on_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name,
                                   size_t n_name, const uint8_t *value, size_t n_value,
                                   uint8_t flags, void *user)
{
        (void)s;
        (void)flags;
        Answer *a = answer_of(user, f->hd.stream_id);
        Str key = str_make(name, n_name);

        if (str_eq(key, STR(":status")))
                a->http = to_int(value, n_value);
        if (str_eq(key, STR("grpc-status")))
                a->grpc = to_int(value, n_value);
        if (str_eq(key, STR("grpc-message")))
                snprintf(a->text, sizeof(a->text), "%.*s", (int)n_value, (const char *)value);
        return 0;
}

static inline int client_on_data(nghttp2_session *s, uint8_t flags, int32_t stream,
                                 const uint8_t *p, size_t n, void *user)
{
        (void)s;
        (void)flags;
        buf_add(&answer_of(user, stream)->body, p, n);
        return 0;
}

static inline int client_on_close(nghttp2_session *s, int32_t stream, uint32_t code, void *user)
{
        (void)s;
        Answer *a = answer_of(user, stream);
        a->closed = true;
        a->code = code;
        return 0;
}

static inline int client_on_frame(nghttp2_session *s, const nghttp2_frame *f, void *user)
{
        (void)s;
        Client *c = user;

        if (f->hd.type == NGHTTP2_GOAWAY) {
                c->n_goaway++;
                c->goaway_last = f->goaway.last_stream_id;
                c->goaway_code = f->goaway.error_code;
        }
        return 0;
}

/* Takes over `fd`. `window`: SETTINGS_INITIAL_WINDOW_SIZE, -1: the default. */
static inline Client *client_on(World *w, int fd, int window)
{
        Client *c = mem_new(sizeof(*c));
        nghttp2_session_callbacks *cb;

        c->world = w;
        c->fd = fd;
        assert_int_equal(nghttp2_session_callbacks_new(&cb), 0);
        nghttp2_session_callbacks_set_on_header_callback(cb, client_on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, client_on_data);
        nghttp2_session_callbacks_set_on_stream_close_callback(cb, client_on_close);
        nghttp2_session_callbacks_set_on_frame_recv_callback(cb, client_on_frame);
        assert_int_equal(nghttp2_session_client_new(&c->session, cb, c), 0);
        nghttp2_session_callbacks_del(cb);
        const nghttp2_settings_entry e = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, (uint32_t)window};
        assert_int_equal(nghttp2_submit_settings(c->session, 0, &e, window >= 0 ? 1 : 0), 0);
        return c;
}

static inline Client *client_open(World *w, int window)
{
        return client_on(w, connect_to(w), window);
}

static inline void client_close(Client *c)
{
        for (int i = 0; i < c->n; i++)
                buf_done(&c->answers[i].body);
        nghttp2_session_del(c->session);
        close(c->fd);
        mem_free(c);
}

static inline ssize_t client_send_bytes(Client *c, const void *p, size_t n)
{
        return c->send != NULL ? c->send(c, p, n) : send(c->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static inline ssize_t client_recv_bytes(Client *c, void *p, size_t n)
{
        return c->recv != NULL ? c->recv(c, p, n) : recv(c->fd, p, n, MSG_DONTWAIT);
}

static inline void client_write(Client *c)
{
        uint8_t chunk[1 << 15];
        const uint8_t *p;
        ssize_t n;

        while (!c->eof && (n = nghttp2_session_mem_send(c->session, &p)) > 0) {
                memcpy(chunk, p, (size_t)n);
                for (ssize_t at = 0, left = PUMPS_MAX; at < n && left > 0; left--) {
                        ssize_t m = client_send_bytes(c, chunk + at, (size_t)(n - at));
                        if (m < 0 && errno != EAGAIN)
                                return;
                        if (m < 0)
                                loop_turn(c->world->loop, SPAN_MS(1));
                        at += m > 0 ? m : 0;
                }
        }
}

static inline void client_read(Client *c)
{
        static uint8_t buf[1 << 16];
        ssize_t n;

        while (!c->deaf && (n = client_recv_bytes(c, buf, sizeof(buf))) >= 0) {
                if (n == 0)
                        c->eof = true;
                if (n == 0 || nghttp2_session_mem_recv(c->session, buf, (size_t)n) < 0)
                        break;
        }
}

static inline void turn(Client *c)
{
        client_write(c);
        loop_turn(c->world->loop, SPAN_MS(1));
        client_read(c);
}

#define PUMP_UNTIL(c, cond)                    \
        do {                                   \
                int left_ = PUMPS_MAX;         \
                while (!(cond) && left_-- > 0) \
                        turn(c);               \
                assert_true(cond);             \
        } while (0)

static inline void settle(Client *c)
{
        for (int i = 0; i < 6; i++)
                turn(c);
}

typedef struct Request {
        const char *method, *path, *type, *timeout, *encoding;
        Str body; /* with its prefix; lives until it is sent */
        bool holds;
} Request;

static inline Answer *client_send(Client *c, const Request *r)
{
        const char *fields[][2] = {
                {":method", r->method != NULL ? r->method : "POST"},
                {":scheme", "http"},
                {":authority", "localhost"},
                {":path", r->path != NULL ? r->path : "/t.T/Echo"},
                {"content-type", r->type != NULL ? r->type : "application/grpc"},
                {"te", "trailers"},
                {"grpc-timeout", r->timeout},
                {"grpc-encoding", r->encoding},
        };
        nghttp2_nv nv[LENGTH_OF(fields)];
        size_t n = 0;

        for (size_t i = 0; i < LENGTH_OF(fields); i++)
                if (fields[i][1] != NULL)
                        nv[n++] = (nghttp2_nv){(uint8_t *)(uintptr_t)fields[i][0],
                                               (uint8_t *)(uintptr_t)fields[i][1],
                                               strlen(fields[i][0]), strlen(fields[i][1]), 0};
        Answer *a = &c->answers[c->n];
        *a = (Answer){.http = -1, .grpc = -1, .request = r->body, .holds = r->holds};
        buf_init(&a->body, MESSAGE_MAX + GRPC_PREFIX_BYTES);
        const nghttp2_data_provider body = {.source.ptr = a, .read_callback = client_on_read};
        int32_t stream = nghttp2_submit_request(c->session, NULL, nv, n, &body, NULL);
        assert_int_equal(stream, 2 * c->n + 1);
        c->n++;
        return a;
}

#define HELLO ((Str){"\0\0\0\0\5hello", 10})

static inline Answer *call(Client *c, const char *path)
{
        const Request r = {.path = path, .body = HELLO};
        return client_send(c, &r);
}

static inline void assert_echoed(const Answer *a, Str framed)
{
        assert_int_equal(a->http, 200);
        assert_int_equal(a->grpc, GRPC_OK);
        assert_int_equal(a->code, NGHTTP2_NO_ERROR);
        assert_true(str_eq(buf_str(&a->body), framed));
}

static inline void assert_served(World *w)
{
        Client *c = client_open(w, -1);
        Answer *a = call(c, "/t.T/Echo");
        PUMP_UNTIL(c, a->closed);
        assert_echoed(a, HELLO);
        client_close(c);
}

static inline char *framed(size_t n, Str *ret)
{
        char *p = mem_new(GRPC_PREFIX_BYTES + n);
        grpc_frame_prefix((uint8_t *)p, (uint32_t)n);
        for (size_t i = 0; i < n; i++)
                p[GRPC_PREFIX_BYTES + i] = (char)(i * 7 + i / 251);
        *ret = str_make(p, GRPC_PREFIX_BYTES + n);
        return p;
}
