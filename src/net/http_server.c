/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP server for a handful of local readers: small, because it takes two verbs and no codings.
 * (libevent's evhttp has no cap on connections, counts its timeouts by its own clock, and calls
 * handlers from inside itself.)
 *
 *             head and body are there             Post               all is sent
 *   READING ───────────────────────────> RUNNING ──────> WRITING ──────────────┬──> READING
 *      │ nonsense: the answer says so                       ^                  └──> LINGERING
 *      └────────────────────────────────────────────────────┘                      (last answer)
 *
 * Invariants:
 *  1. A connection waits for one thing at a time and has the timer of its state set; so each ends.
 *  2. READING: the whole request must come within HTTP_SERVER_IDLE_SECONDS of the state's
 *     beginning, however it drips. WRITING: in each such time at least WRITE_STEP bytes must go.
 *  3. LINGERING: our side is shut, what still comes is thrown away, so that the peer can read the
 *     answer to a request that it had not sent to the end (a reset would destroy it).
 *  4. A handler is called from a Post, and no connection is freed while one runs.
 */
#include "net/http_server.h"

#include <arpa/inet.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"
#include "io/listener.h"
#include "io/stream.h"
#include "net/http_head.h"

enum {
        READ_STEP = 16 << 10,
        WRITE_STEP = 64 << 10,
        LINGER_SECONDS = 1,
        HEAD_MAX = 512,
        /* Bytes of answers that are not sent yet; above it there is 503, whatever is asked. */
        BUFFERED_MAX = 64 << 20,
};

typedef enum ConnState {
        CONN_READING,
        CONN_RUNNING,
        CONN_WRITING,
        CONN_LINGERING,
} ConnState;

struct HttpServer {
        HttpServerInput in; /* `address` is that of `listener` */
        Listener listener;
        Link conns; /* of Conn; who has waited longest is first */
        size_t n_conns;
        size_t n_buffered;
        bool in_handler;
};

typedef struct Conn {
        Link link;
        HttpServer *server;
        ConnState state;
        Stream stream;
        Timer timer;
        Post run;
        Buf in;
        HttpHead head; /* its strings point into `in` */
        size_t n_head;
        Buf answer_head, answer;
        size_t sent;     /* of both */
        size_t rewarded; /* bytes at which the timer was last set */
        bool is_last;
} Conn;

/* --- a connection's life --- */

static void conn_close(Conn *c)
{
        c->server->n_conns--;
        c->server->n_buffered -= c->answer.n;
        stream_close(&c->stream);
        timer_clear(&c->timer);
        post_cancel(&c->run);
        link_remove(&c->link);
        buf_done(&c->in);
        buf_done(&c->answer_head);
        buf_done(&c->answer);
        mem_free(c);
}

static void enter(Conn *c, ConnState state, unsigned want, unsigned seconds)
{
        c->state = state;
        stream_want(&c->stream, want);
        if (seconds > 0)
                timer_set_in(&c->timer, SPAN_S(seconds));
        else
                timer_clear(&c->timer);
        link_remove(&c->link);
        list_add(&c->server->conns, &c->link);
}

static void on_timer(Timer *t)
{
        conn_close(CONTAINER_OF(t, Conn, timer));
}

/* --- the answer --- */

static const char *status_text(unsigned status)
{
        static const struct {
                unsigned status;
                const char *text;
        } texts[] = {
                {200, "OK"},
                {400, "Bad Request"},
                {401, "Unauthorized"},
                {403, "Forbidden"},
                {404, "Not Found"},
                {405, "Method Not Allowed"},
                {409, "Conflict"},
                {413, "Content Too Large"},
                {431, "Request Header Fields Too Large"},
                {500, "Internal Server Error"},
                {501, "Not Implemented"},
                {503, "Service Unavailable"},
                {505, "HTTP Version Not Supported"},
        };

        for (size_t i = 0; i < LENGTH_OF(texts); i++)
                if (texts[i].status == status)
                        return texts[i].text;
        return "Status";
}

/* Sends c->answer. */
static void answer(Conn *c, unsigned status, const char *content_type, const char *allow)
{
        buf_reset(&c->answer_head);
        buf_printf(&c->answer_head,
                   "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                   "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n",
                   status, status_text(status), content_type, c->answer.n);
        if (status == 405)
                buf_printf(&c->answer_head, "Allow: %s\r\n", allow);
        if (c->is_last)
                buf_add_str(&c->answer_head, STR("Connection: close\r\n"));
        buf_add_str(&c->answer_head, STR("\r\n"));
        INSIST(!c->answer_head.failed);
        c->server->n_buffered += c->answer.n;
        c->sent = c->rewarded = 0;
        enter(c, CONN_WRITING, FD_WRITE, HTTP_SERVER_IDLE_SECONDS);
}

static void answer_text(Conn *c, unsigned status, const char *text)
{
        buf_done(&c->answer);
        buf_init(&c->answer, HEAD_MAX);
        buf_printf(&c->answer, "%s\n", text);
        answer(c, status, "text/plain; charset=utf-8", "GET, POST");
}

/* Ends the connection with an answer that says why. */
static void refuse(Conn *c, unsigned status, const char *text)
{
        log_debug(c->server->in.log, "http request refused", LOG_INT("status", status),
                  LOG_CSTR("address", c->server->listener.address.text));
        c->is_last = true;
        answer_text(c, status, text);
}

/* --- who may ask --- */

/* "host", "host:port", "[v6]", "[v6]:port": the host, of a v6 address the brackets too. */
static Str host_of(Str authority)
{
        ptrdiff_t end = str_find(authority, str_starts(authority, STR("[")) ? ']' : ':');

        if (end < 0)
                return authority;
        return str_sub(authority, 0, (size_t)end + (authority.p[0] == '[' ? 1 : 0));
}

static bool is_ip(Str host)
{
        char text[INET6_ADDRSTRLEN];
        struct in6_addr ignored;

        if (str_starts(host, STR("[")) && str_ends(host, STR("]")))
                host = str_sub(host, 1, host.n - 2);
        if (host.n >= sizeof(text))
                return false;
        memcpy(text, host.p, host.n);
        text[host.n] = '\0';
        return inet_pton(AF_INET, text, &ignored) == 1 || inet_pton(AF_INET6, text, &ignored) == 1;
}

/*
 * A web page that somebody opens must not reach a local port through his browser. It can by a name
 * of its own that it points to 127.0.0.1, and by posting across sites. The browser tells of the
 * first in Host, of the second in Origin.
 */
static bool is_foreign(const HttpServer *s, const HttpHead *h)
{
        Str host = host_of(h->host);
        ptrdiff_t scheme = str_find_str(h->origin, STR("://"));

        if (s->in.any_host || !address_is_local(&s->listener.address) ||
            s->listener.address.sa.ss_family == AF_UNIX)
                return false;
        if (host.n > 0 && !str_eq_fold(host, STR("localhost")) && !is_ip(host))
                return true;
        if (h->verb != HTTP_POST || h->origin.n == 0)
                return false;
        return scheme < 0 ||
               !str_eq_fold(str_sub(h->origin, (size_t)scheme + 3, SIZE_MAX), h->host);
}

/* --- the request --- */

static void run(Conn *c)
{
        HttpServer *s = c->server;
        HttpExchange x = {.verb = c->head.verb,
                          .query = c->head.query,
                          .fields = c->head.fields,
                          .body = str_sub(buf_str(&c->in), c->n_head, c->head.body),
                          .status = 200,
                          .content_type = "text/plain; charset=utf-8",
                          .allow = "GET, POST"};
        Buf path;

        buf_init(&path, HTTP_SERVER_HEADERS_MAX);
        buf_init(&x.out, HTTP_SERVER_ANSWER_MAX);
        c->is_last = !c->head.keep_alive;
        if (is_foreign(s, &c->head)) {
                refuse(c, 403, "this address answers programs and pages of this machine only");
        } else if (s->n_buffered > BUFFERED_MAX) {
                refuse(c, 503, "too many answers wait to be read");
        } else if (!http_head_decode(c->head.path, false, &path)) {
                refuse(c, 400, "the path is not well-formed");
        } else {
                x.path = buf_str(&path);
                s->in_handler = true;
                s->in.fn(s->in.ctx, &x);
                s->in_handler = false;
                if (x.out.failed) {
                        refuse(c, 500, "the answer is too large");
                } else {
                        buf_done(&c->answer);
                        c->answer = x.out;
                        x.out = (Buf){0};
                        answer(c, x.status, x.content_type, x.allow);
                }
        }
        buf_done(&x.out);
        buf_done(&path);
}

static void on_run(Post *p)
{
        Conn *c = CONTAINER_OF(p, Conn, run);

        run(c);
        buf_consume(&c->in, c->n_head + c->head.body);
        c->head = (HttpHead){0};
}

/* Looks at what has come; also for a request that came behind the one before. */
static void look(Conn *c)
{
        switch (http_head_read(buf_str(&c->in), &c->head, &c->n_head)) {
        case HTTP_HEAD_MORE:
                break;
        case HTTP_HEAD_BAD:
                refuse(c, c->head.status, status_text(c->head.status));
                break;
        case HTTP_HEAD_DONE:
                if (c->in.n < c->n_head + c->head.body)
                        break;
                enter(c, CONN_RUNNING, 0, 0);
                post_send(&c->run);
                break;
        }
}

static void on_broken(Conn *c)
{
        log_debug(c->server->in.log, "http connection broken",
                  LOG_CSTR("address", c->server->listener.address.text),
                  LOG_CSTR("error", stream_fault(&c->stream)->text));
        conn_close(c);
}

static void receive(Conn *c)
{
        ptrdiff_t n;

        /* Its cap is beyond any request that is not whole yet, so this is memory alone. */
        if (!buf_reserve(&c->in, READ_STEP)) {
                conn_close(c);
                return;
        }
        n = stream_read(&c->stream, c->in.p + c->in.n, READ_STEP);
        if (n == STREAM_BROKEN) {
                on_broken(c);
        } else if (n == 0) {
                conn_close(c);
        } else if (n > 0 && c->state != CONN_LINGERING) {
                c->in.n += (size_t)n;
                look(c);
        }
}

static void on_sent_all(Conn *c)
{
        c->server->n_buffered -= c->answer.n;
        buf_done(&c->answer);
        if (c->is_last) {
                buf_reset(&c->in);
                stream_finish(&c->stream);
                enter(c, CONN_LINGERING, FD_READ, LINGER_SECONDS);
                return;
        }
        enter(c, CONN_READING, FD_READ, HTTP_SERVER_IDLE_SECONDS);
        look(c);
}

static void transmit(Conn *c)
{
        bool is_head = c->sent < c->answer_head.n;
        Str part = is_head ? str_sub(buf_str(&c->answer_head), c->sent, SIZE_MAX)
                           : str_sub(buf_str(&c->answer), c->sent - c->answer_head.n, SIZE_MAX);
        ptrdiff_t n = stream_write(&c->stream, part, is_head && c->answer.n > 0);

        if (n == STREAM_BROKEN) {
                on_broken(c);
                return;
        }
        if (n == STREAM_AGAIN)
                return;
        c->sent += (size_t)n;
        if (c->sent == c->answer_head.n + c->answer.n) {
                on_sent_all(c);
        } else if (c->sent - c->rewarded >= WRITE_STEP) {
                c->rewarded = c->sent;
                timer_set_in(&c->timer, SPAN_S(HTTP_SERVER_IDLE_SECONDS));
        }
}

static void on_ready(Stream *stream)
{
        Conn *c = CONTAINER_OF(stream, Conn, stream);

        if (c->state == CONN_WRITING)
                transmit(c);
        else
                receive(c);
}

/* --- the server --- */

/* The connection that has waited longest for a first byte gives way. */
static void make_room(HttpServer *s)
{
        LIST_FOREACH (Conn, c, &s->conns, link)
                if (c->state == CONN_READING && c->in.n == 0) {
                        conn_close(c);
                        return;
                }
}

static void on_connection(Listener *l, int fd)
{
        HttpServer *s = CONTAINER_OF(l, HttpServer, listener);
        Conn *c;

        if (s->n_conns == HTTP_SERVER_CONNECTIONS_MAX)
                make_room(s);
        if (s->n_conns == HTTP_SERVER_CONNECTIONS_MAX) {
                close(fd);
                return;
        }
        c = mem_new(sizeof(*c));
        c->server = s;
        s->n_conns++;
        buf_init(&c->in, HTTP_SERVER_HEADERS_MAX + HTTP_SERVER_BODY_MAX + READ_STEP);
        buf_init(&c->answer_head, HEAD_MAX);
        stream_init(&c->stream, s->in.loop, fd, s->in.tls, on_ready);
        timer_init(&c->timer, s->in.loop, on_timer);
        post_init(&c->run, s->in.loop, on_run);
        enter(c, CONN_READING, FD_READ, HTTP_SERVER_IDLE_SECONDS);
}

HttpServer *http_server_open(const HttpServerInput *in, Err *err)
{
        HttpServer *s = mem_new(sizeof(*s));

        s->in = *in;
        list_init(&s->conns);
        if (!listener_open(&s->listener, in->loop, in->address, on_connection, err))
                return mem_free(s);
        s->in.address = &s->listener.address;
        return s;
}

const Address *http_server_address(const HttpServer *s)
{
        return &s->listener.address;
}

HttpServer *http_server_close(HttpServer *s)
{
        if (s == NULL)
                return NULL;
        INSIST(!s->in_handler);
        listener_close(&s->listener);
        LIST_FOREACH (Conn, c, &s->conns, link)
                conn_close(c);
        return mem_free(s);
}

bool http_query_get(Str query, Str name, Buf *out)
{
        while (query.n > 0) {
                Str pair, key;

                IGNORE(str_cut(&query, '&', &pair), "the last has no & behind it");
                IGNORE(str_cut(&pair, '=', &key), "a name without value has an empty one");
                buf_reset(out);
                if (!http_head_decode(key, true, out) || !str_eq(buf_str(out), name))
                        continue;
                buf_reset(out);
                return http_head_decode(pair, true, out);
        }
        return false;
}

bool http_field_get(Str fields, Str name, Str *ret)
{
        Str line, found = {0};
        bool is_there = false;

        while (str_cut(&fields, '\n', &line)) {
                Str key;

                if (!str_cut(&line, ':', &key) || !str_eq_fold(key, name))
                        continue;
                if (is_there)
                        return false;
                is_there = true;
                found = str_trim(line);
        }
        if (is_there)
                *ret = found;
        return is_there;
}
