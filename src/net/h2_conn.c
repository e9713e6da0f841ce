/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection: a stream (io/stream, plain or under TLS) below one session of nghttp2. It reads at
 * most READS_PER_TURN buffers and sends at most BATCHES_PER_TURN batches a turn, so that one that
 * floods takes its share of the loop and no more.
 *
 *   HANDSHAKE -> OPEN -> GOING -> GONE -> LINGER -> closed
 *       |          |                         ^
 *       +----------+---- error, GOAWAY sent -+
 *
 * Lingering: a socket that is closed with bytes unread resets the connection, and the peer may lose
 * the GOAWAY that says why. So we finish our side and drop what comes, for GRPC_LINGER_S at most.
 *
 *   1. Nothing here closes a connection while nghttp2 is on the stack: errors inside callbacks set
 *      is_done, h2_conn_flush acts on it.
 *   2. The timer stands at the earliest of all that can become due, or earlier: what moves a clock
 *      forward leaves the timer alone, on_timer sets it again.
 *   3. A socket is never waited for: `blocked` and `batch` bound how long a peer may not read.
 *   4. Nothing of a peer reaches nghttp2 before its TLS handshake was looked at (`is_greeted`).
 *   5. Under TLS a connection goes when the certificate that its peer showed ends, after
 *      GRPC_TLS_AGE_S, and when our files are others (`until`). It goes as in a drain, so that no
 *      call is lost.
 */
#include "net/h2_conn.h"

#include "base/mem.h"
#include "net/grpc_call.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

enum {
        /* What a unix socket holds unread is 208 KiB by default, of which the writer hears when a
         * quarter is left: an answer of megabytes is then handed over in a dozen turns of both
         * sides. The kernel doubles this, and caps it at net.core.wmem_max first. */
        UNIX_SEND_BYTES = 256 << 10,
        READS_PER_TURN = 4,
        RECORDS_PER_TURN = 16, /* the same of TLS: each read takes one */
        BATCHES_PER_TURN = 4,
        /* RST_STREAM, WINDOW_UPDATE and the like that wait because the peer does not read. */
        FRAMES_WAITING_MAX = 2000,
};

bool h2_bucket_take(H2Bucket *b, Mono now, double burst, double rate)
{
        if (b->filled.ns == 0)
                b->tokens = burst;
        else
                b->tokens += span_seconds(mono_since(now, b->filled)) * rate;
        if (b->tokens > burst)
                b->tokens = burst;
        b->filled = now;
        if (b->tokens < 1)
                return false;
        b->tokens -= 1;
        return true;
}

static Mono now_of(const H2Conn *c)
{
        return loop_now(c->server->loop);
}

/* ---- clocks */

static void earliest(Mono *due, Mono from, int64_t seconds)
{
        Mono at = mono_add(from, SPAN_S(seconds));
        if (due->ns == 0 || mono_before(at, *due))
                *due = at;
}

static Mono due_at(const H2Conn *c)
{
        static const int phase_s[] = {
                [H2_HANDSHAKE] = GRPC_HANDSHAKE_S, [H2_OPEN] = GRPC_IDLE_S,
                [H2_GOING] = GRPC_GOAWAY_S,        [H2_GONE] = GRPC_GONE_S,
                [H2_LINGER] = GRPC_LINGER_S,
        };
        Mono due = {0};

        if (c->blocked.ns != 0)
                earliest(&due, c->blocked, GRPC_STALL_S);
        if (c->batch.ns != 0)
                earliest(&due, c->batch, GRPC_TRANSFER_S);
        if (c->phase == H2_OPEN && c->until.ns != 0)
                earliest(&due, c->until, 0);
        if (c->phase != H2_OPEN || c->n_calls == 0)
                earliest(&due, c->since, phase_s[c->phase]);
        return due;
}

static void arm(H2Conn *c)
{
        Mono due = due_at(c);

        if (due.ns != 0 && (!timer_is_set(&c->timer) || mono_before(due, c->timer.at)))
                timer_set(&c->timer, due);
}

static bool is_past(Mono from, int64_t seconds, Mono now)
{
        return from.ns != 0 && !mono_before(now, mono_add(from, SPAN_S(seconds)));
}

static void on_timer(Timer *t)
{
        H2Conn *c = CONTAINER_OF(t, H2Conn, timer);
        Mono now = now_of(c), due = due_at(c);

        if (due.ns == 0 || mono_before(now, due)) {
                arm(c);
                return;
        }
        if (c->phase == H2_OPEN && !is_past(c->blocked, GRPC_STALL_S, now) &&
            !is_past(c->batch, GRPC_TRANSFER_S, now)) {
                h2_conn_go(c);
                return;
        }
        if (c->phase == H2_GOING) {
                h2_conn_go_on(c);
                return;
        }
        if (c->phase != H2_LINGER)
                c->server->n.timeouts++;
        h2_conn_close(c);
}

/* ---- the end */

void h2_conn_mark(H2Conn *c)
{
        if (!link_is_on(&c->dirty))
                list_add(&c->server->dirty, &c->dirty);
        post_send(&c->server->deliver);
}

static void enter(H2Conn *c, H2Phase phase)
{
        c->phase = phase;
        c->since = now_of(c);
        timer_clear(&c->timer);
        arm(c);
}

void h2_conn_go(H2Conn *c)
{
        if (c->phase == H2_HANDSHAKE)
                c->is_done = true;
        if (c->phase == H2_OPEN) {
                if (nghttp2_submit_shutdown_notice(c->session) != 0)
                        c->is_broken = true;
                enter(c, H2_GOING);
        }
        h2_conn_mark(c);
}

void h2_conn_outdated(H2Conn *c)
{
        c->until = now_of(c);
        if (c->phase == H2_OPEN)
                h2_conn_go(c);
}

void h2_conn_go_on(H2Conn *c)
{
        if (c->phase != H2_GOING)
                return;
        int32_t last = nghttp2_session_get_last_proc_stream_id(c->session);
        if (nghttp2_submit_goaway(c->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0) !=
            0)
                c->is_broken = true;
        enter(c, H2_GONE);
        h2_conn_mark(c);
}

void h2_conn_calm(H2Conn *c)
{
        if (nghttp2_session_terminate_session(c->session, NGHTTP2_ENHANCE_YOUR_CALM) != 0)
                c->is_broken = true;
        h2_conn_mark(c);
}

/* Lets go of session and calls; the socket is still open. */
static void drop_session(H2Conn *c)
{
        LIST_FOREACH (GrpcCall, call, &c->calls, on_conn)
                grpc_call_lose_stream(call);
        if (c->session != NULL)
                nghttp2_session_del(c->session);
        c->session = NULL;
        h2_out_done(&c->out);
        c->blocked = c->batch = (Mono){0};
}

void h2_conn_close(H2Conn *c)
{
        drop_session(c);
        stream_close(&c->stream);
        timer_clear(&c->timer);
        link_remove(&c->link);
        link_remove(&c->dirty);
        c->server->n.connections--;
        /* The server may be waiting for its last connection. */
        if (c->server->is_draining)
                post_send(&c->server->deliver);
        mem_free(c);
}

static void linger(H2Conn *c)
{
        drop_session(c);
        c->is_done = false;
        stream_finish(&c->stream);
        stream_want(&c->stream, FD_READ);
        enter(c, H2_LINGER);
}

/* ---- out */

/* One batch: what nghttp2 has, as far as it fits, then as much of it as the socket takes. */
static bool send_batch(H2Conn *c)
{
        while (h2_out_has_room(&c->out)) {
                const uint8_t *p;
                ssize_t n = nghttp2_session_mem_send(c->session, &p);
                if (n < 0)
                        c->is_broken = true;
                if (n <= 0)
                        break;
                h2_out_add(&c->out, p, (size_t)n);
        }
        if (c->is_broken || h2_out_is_empty(&c->out))
                return false;

        ptrdiff_t sent = h2_out_send(&c->out, &c->stream);
        if (sent == STREAM_BROKEN)
                c->is_broken = true;
        if (sent > 0) {
                c->server->n.bytes_out += (uint64_t)sent;
                c->blocked = (Mono){0};
        }
        return sent > 0 && h2_out_is_empty(&c->out);
}

static void note_blocked(H2Conn *c)
{
        bool waits = !h2_out_is_empty(&c->out);

        if (!waits)
                c->blocked = c->batch = (Mono){0};
        if (waits && c->blocked.ns == 0)
                c->blocked = now_of(c);
        if (waits && c->batch.ns == 0)
                c->batch = now_of(c);
        if (waits && nghttp2_session_get_outbound_queue_size(c->session) > FRAMES_WAITING_MAX) {
                c->server->n.floods++;
                c->is_broken = true;
        }
}

void h2_conn_flush(H2Conn *c)
{
        link_remove(&c->dirty);
        if (c->phase == H2_LINGER)
                return;
        for (int i = 0; i < BATCHES_PER_TURN && send_batch(c); i++)
                continue;
        note_blocked(c);
        /* Within a TLS handshake nothing can be said, not even why. */
        if (c->is_broken || (c->is_done && !stream_is_open(&c->stream))) {
                h2_conn_close(c);
                return;
        }

        bool writes = !h2_out_is_empty(&c->out) || nghttp2_session_want_write(c->session) != 0;
        /* nghttp2 wants nothing more after the first of the two GOAWAYs where no stream is open. */
        bool ends =
                c->is_done || (c->phase != H2_GOING && nghttp2_session_want_read(c->session) == 0);
        if (!writes && ends) {
                linger(c);
                return;
        }
        stream_want(&c->stream, FD_READ | (writes ? FD_WRITE : 0));
        arm(c);
}

/* ---- in */

static void feed(H2Conn *c, size_t n)
{
        ssize_t rv = nghttp2_session_mem_recv(c->session, c->server->input, n);

        if (rv >= 0)
                return;
        /* What follows cannot be understood; a session that failed so must not be used. */
        c->is_broken = true;
        if (rv == NGHTTP2_ERR_BAD_CLIENT_MAGIC)
                c->server->n.wrong_protocol++;
        else if (rv == NGHTTP2_ERR_FLOODED)
                c->server->n.floods++;
        else
                c->server->n.protocol_errors++;
        log_debug(c->server->log, "gRPC connection closed",
                  LOG_CSTR("error", nghttp2_strerror((int)rv)));
}

/* False: nothing more for now, or never. */
static bool read_some(H2Conn *c)
{
        ptrdiff_t n = stream_read(&c->stream, c->server->input, GRPC_INPUT_BYTES);

        if (n == STREAM_AGAIN)
                return false;
        if (n <= 0) {
                c->is_broken = true;
                return false;
        }
        c->server->n.bytes_in += (uint64_t)n;
        if (c->phase != H2_LINGER)
                feed(c, (size_t)n);
        return !c->is_broken && ((size_t)n == GRPC_INPUT_BYTES || c->stream.tls != NULL);
}

static bool refuse_handshake(H2Conn *c, const char *why)
{
        c->server->n.handshakes_failed++;
        grpc_server_tell_handshake(c->server, why);
        c->is_broken = true;
        return false;
}

/* Looks at what came of the TLS handshake, once. False: this is nobody to talk with. */
static bool greet(H2Conn *c)
{
        if (!stream_is_open(&c->stream))
                return refuse_handshake(c, stream_fault(&c->stream)->text);
        /* RFC 9113 3.3 */
        if (!str_eq(tls_stream_alpn(c->stream.tls), STR("h2")))
                return refuse_handshake(c, "the peer does not offer h2 by ALPN");
        c->is_greeted = true;
        if (c->until.ns == 0) {
                int64_t ms =
                        tls_stream_peer_not_after(c->stream.tls).ms - loop_wall(c->server->loop).ms;
                ms = ms > GRPC_TLS_AGE_S * 1000 ? GRPC_TLS_AGE_S * 1000 : ms < 0 ? 0 : ms;
                c->until = mono_add(now_of(c), SPAN_MS(ms));
        }
        return true;
}

static void on_ready(Stream *s)
{
        H2Conn *c = CONTAINER_OF(s, H2Conn, stream);
        int reads = c->stream.tls != NULL ? RECORDS_PER_TURN : READS_PER_TURN;

        if (c->is_greeted || greet(c))
                for (int i = 0; i < reads && read_some(c); i++)
                        continue;
        if (c->is_broken)
                h2_conn_close(c);
        else
                h2_conn_flush(c);
}

/* ---- the beginning */

static bool start_session(H2Conn *c)
{
        GrpcServer *s = c->server;
        const nghttp2_settings_entry settings[] = {
                {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, GRPC_STREAMS_MAX},
                {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, GRPC_STREAM_WINDOW},
                {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, GRPC_HEADER_BYTES_MAX},
                /* RFC 9218: no tree of priorities, which peers could grow. */
                {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
        };

        if (nghttp2_session_server_new2(&c->session, s->callbacks, c, s->option) != 0)
                return false;
        return nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings,
                                       LENGTH_OF(settings)) == 0 &&
               nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0,
                                                     GRPC_CONNECTION_WINDOW) == 0;
}

static bool is_unix(int fd)
{
        int domain = 0;
        socklen_t n = sizeof(domain);

        return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) == 0 && domain == AF_UNIX;
}

static void tune(int fd)
{
        const int one = 1, room = UNIX_SEND_BYTES;

        if (is_unix(fd))
                IGNORE(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)),
                       "only speed is lost");
        /* Frames are gathered here; the kernel need not wait for more. It sizes its buffer. */
        else
                IGNORE(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)),
                       "only speed is lost");
}

void h2_conn_open(GrpcServer *s, int fd, TlsServer *tls)
{
        H2Conn *c = mem_new(sizeof(*c));

        c->server = s;
        c->opened = now_of(c);
        tune(fd);
        stream_init(&c->stream, s->loop, fd, tls, on_ready);
        c->is_greeted = tls == NULL;
        list_init(&c->calls);
        list_add(&s->conns, &c->link);
        timer_init(&c->timer, s->loop, on_timer);
        s->n.connections++;
        s->n.connections_total++;
        if (!start_session(c)) {
                h2_conn_close(c);
                return;
        }
        enter(c, H2_HANDSHAKE);
        h2_conn_mark(c);
}
