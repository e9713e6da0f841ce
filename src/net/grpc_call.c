/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   READING --whole--> QUEUED --deliver--> HELD --reply, fail--> ANSWERED --stream closed--> freed
 *      |                 |                  |                       ^
 *      |                 |                  +--> CANCELLED ---------+  on_cancel delivered
 *      +--refused--------+--deadline--------------------------------+
 *
 * A stream that closes frees the call in READING, QUEUED and ANSWERED; in HELD it becomes
 * CANCELLED, and whoever held it is told from the loop.
 *
 *   1. `messages` leave in order; trailers follow the last one once is_finished.
 *   2. The timer stands at the earliest of all that can become due, or earlier (see h2_conn.c).
 *   3. Where all together buffer too much, the largest unfinished request gives way; where all
 *      together have too many streams, the connection with most of them does: a peer that takes
 *      everything takes it from itself.
 */
#include "net/grpc_call.h"

#include "base/mem.h"
#include "net/h2_conn.h"

#include <stdio.h>

static void call_timer(Timer *t);

static Mono now_of(const GrpcCall *call)
{
        return loop_now(call->server->loop);
}

/* ---- life */

static void drop_request(GrpcCall *call)
{
        call->server->n.bytes_buffered_in -= (int64_t)call->request.body.n;
        grpc_frame_done(&call->request);
}

static void drop_messages(GrpcCall *call)
{
        LIST_FOREACH (H2Message, m, &call->messages, link) {
                link_remove(&m->link);
                h2_message_unref(m);
        }
        call->n_messages = 0;
}

void grpc_call_free(GrpcCall *call)
{
        INSIST(call->conn == NULL);
        if (call->server->current == call)
                call->server->current = NULL;
        link_remove(&call->ready);
        timer_clear(&call->timer);
        drop_request(call);
        drop_messages(call);
        buf_done(&call->text);
        mem_free(call);
}

/* Nobody but its stream needs it any more. */
static void leave_to_stream(GrpcCall *call)
{
        if (call->server->current == call)
                call->server->current = NULL;
        link_remove(&call->ready);
        call->stage = GRPC_STAGE_ANSWERED;
        drop_request(call);
}

/* Its handler needs it no more. */
static void let_go(GrpcCall *call)
{
        if (call->conn == NULL)
                grpc_call_free(call);
        else
                leave_to_stream(call);
}

static void make_ready(GrpcCall *call, GrpcStage stage)
{
        call->stage = stage;
        list_add(&call->server->ready, &call->ready);
        post_send(&call->server->deliver);
}

/* A stream that was reset no longer counts, though it is open until RST_STREAM has been sent: with
 * nghttp2's own count a connection has GRPC_STREAMS_MAX of both. */
static void uncount(GrpcCall *call, H2Conn *c)
{
        c->n_calls--;
        call->server->n.streams--;
}

void grpc_call_lose_stream(GrpcCall *call)
{
        H2Conn *c = call->conn;

        link_remove(&call->on_conn);
        call->conn = NULL;
        c->since = now_of(call);
        if (!call->is_reset)
                uncount(call, c);
        timer_clear(&call->timer);
        switch (call->stage) {
        case GRPC_STAGE_READING:
        case GRPC_STAGE_QUEUED:
                call->server->n.calls_cancelled++;
                grpc_call_free(call);
                break;
        case GRPC_STAGE_HELD:
                call->server->n.calls_cancelled++;
                make_ready(call, GRPC_STAGE_CANCELLED);
                break;
        case GRPC_STAGE_CANCELLED:
                break;
        case GRPC_STAGE_ANSWERED:
                grpc_call_free(call);
                break;
        }
}

void grpc_call_deliver(GrpcCall *call)
{
        GrpcServer *s = call->server;

        link_remove(&call->ready);
        if (call->stage == GRPC_STAGE_CANCELLED) {
                call->stage = GRPC_STAGE_ANSWERED;
                call->on_cancel(call);
                let_go(call);
                return;
        }
        call->stage = GRPC_STAGE_HELD;
        s->current = call;
        call->method->fn(call);
        if (s->current == call)
                INSIST(call->on_cancel != NULL);
        s->current = NULL;
}

/* ---- clocks */

static void earliest(Mono *due, Mono at)
{
        if (due->ns == 0 || mono_before(at, *due))
                *due = at;
}

/* Of what comes in or goes out; 0 where nothing does. */
static Mono transfer_due(const GrpcCall *call)
{
        Mono due = {0};

        if (call->stage == GRPC_STAGE_READING || call->stage == GRPC_STAGE_ANSWERED ||
            call->n_messages > 0) {
                due = mono_add(call->moved, SPAN_S(GRPC_STALL_S));
                earliest(&due, mono_add(call->began, SPAN_S(GRPC_TRANSFER_S)));
        }
        return due;
}

static bool has_deadline(const GrpcCall *call)
{
        return call->deadline.ns != 0 && !call->is_finished;
}

static void arm(GrpcCall *call)
{
        Mono due = transfer_due(call);

        if (has_deadline(call))
                earliest(&due, call->deadline);
        if (call->is_reset || due.ns == 0)
                timer_clear(&call->timer);
        else
                timer_set(&call->timer, due);
}

/* ---- answering */

static nghttp2_nv pair(const char *name, Str value)
{
        return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value.p, strlen(name),
                            value.n, NGHTTP2_NV_FLAG_NONE};
}

enum {
        NUMBER_TEXT = 12,
};

static Str number(char buf[NUMBER_TEXT], int n)
{
        return str_make(buf, (size_t)snprintf(buf, NUMBER_TEXT, "%d", n));
}

/* grpc-status and grpc-message, as trailers or behind the headers of an answer without body. */
static size_t status_pairs(const GrpcCall *call, nghttp2_nv *nv, char buf[NUMBER_TEXT])
{
        size_t n = 0;

        nv[n++] = pair("grpc-status", number(buf, (int)call->status));
        if (call->text.n > 0)
                nv[n++] = pair("grpc-message", buf_str(&call->text));
        return n;
}

static ssize_t on_read(nghttp2_session *session, int32_t stream, uint8_t *buf, size_t length,
                       uint32_t *flags, nghttp2_data_source *source, void *user)
{
        (void)buf;
        (void)user;
        GrpcCall *call = source->ptr;
        Link *first = list_first(&call->messages);
        size_t n = 0;
        bool is_last = true;

        if (first == NULL && !call->is_finished)
                return NGHTTP2_ERR_DEFERRED;
        if (first != NULL) {
                size_t left = h2_message_left(CONTAINER_OF(first, H2Message, link));
                n = length < left ? length : left;
                is_last = n == left && call->n_messages == 1;
                *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
        }
        if (is_last && call->plain != NULL) {
                *flags |= NGHTTP2_DATA_FLAG_EOF;
        } else if (is_last && call->is_finished) {
                nghttp2_nv nv[2];
                char status[NUMBER_TEXT];
                *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
                if (nghttp2_submit_trailer(session, stream, nv, status_pairs(call, nv, status)) !=
                    0)
                        return NGHTTP2_ERR_CALLBACK_FAILURE;
        }
        return (ssize_t)n;
}

void grpc_call_take(GrpcCall *call, H2Out *out, size_t n)
{
        Link *first = list_first(&call->messages);
        INSIST(first != NULL);
        H2Message *m = CONTAINER_OF(first, H2Message, link);

        h2_out_add_message(out, m, n);
        call->moved = now_of(call);
        if (h2_message_left(m) > 0)
                return;
        link_remove(&m->link);
        h2_message_unref(m);
        call->n_messages--;
        call->began = call->moved;
}

static void reset(GrpcCall *call, uint32_t code)
{
        uncount(call, call->conn);
        call->is_reset = true;
        timer_clear(&call->timer);
        if (nghttp2_submit_rst_stream(call->conn->session, NGHTTP2_FLAG_NONE, call->stream, code) !=
            0)
                call->conn->is_broken = true;
        h2_conn_mark(call->conn);
}

static int submit_headers(GrpcCall *call)
{
        const nghttp2_data_provider body = {.source.ptr = call, .read_callback = on_read};
        bool has_body = call->n_messages > 0 || !call->is_finished;
        nghttp2_nv nv[5];
        size_t n = 0;
        char status[NUMBER_TEXT];

        nv[n++] = pair(":status", call->plain != NULL ? str_of(call->plain) : STR("200"));
        nv[n++] = pair("content-type",
                       call->plain != NULL ? STR("text/plain") : STR("application/grpc"));
        if (call->status == GRPC_UNIMPLEMENTED)
                nv[n++] = pair("grpc-accept-encoding", STR("identity"));
        if (!has_body)
                n += status_pairs(call, nv + n, status);
        return nghttp2_submit_response(call->conn->session, call->stream, nv, n,
                                       has_body ? &body : NULL);
}

/* Sends headers the first time; wakes what waits for messages or their end. */
static void respond(GrpcCall *call)
{
        nghttp2_session *session = call->conn->session;

        if (call->is_reset)
                return;
        if (!call->is_responding)
                call->conn->is_broken = submit_headers(call) != 0 || call->conn->is_broken;
        else
                IGNORE(nghttp2_session_resume_data(session, call->stream),
                       "it fails where it was not deferred, and then nothing need be done");
        call->is_responding = true;
        call->conn->served = now_of(call);
        h2_conn_mark(call->conn);
        arm(call);
}

static void begin_transfer(GrpcCall *call)
{
        if (call->n_messages == 0)
                call->began = call->moved = now_of(call);
}

static H2Message *add_message(GrpcCall *call, Buf *b)
{
        begin_transfer(call);
        H2Message *m = h2_message_new(b, &call->server->n.bytes_buffered_out);
        list_add(&call->messages, &m->link);
        call->n_messages++;
        return m;
}

/* Decides how the call ends; it is its stream's from here, unless on_cancel is still to be told.
 * `text` may be a part of the request. */
static void finish(GrpcCall *call, GrpcStatus status, Str text)
{
        begin_transfer(call);
        call->is_finished = true;
        call->status = status;
        grpc_frame_percent(&call->text, str_sub(text, 0, GRPC_TEXT_MAX));
        if (call->stage != GRPC_STAGE_CANCELLED)
                leave_to_stream(call);
        respond(call);
}

/* ---- refusing, before a handler has it */

static void refuse(GrpcCall *call, GrpcStatus status, const char *text)
{
        call->server->n.calls_rejected++;
        finish(call, status, str_of(text));
}

/* What is no gRPC gets an answer of plain HTTP, for the person who tries it with curl. */
static void refuse_plain(GrpcCall *call)
{
        Buf b;

        buf_init(&b, 64);
        buf_add_str(&b, STR("This port speaks gRPC.\n"));
        call->server->n.calls_rejected++;
        leave_to_stream(call);
        add_message(call, &b)->sent = GRPC_PREFIX_BYTES; /* which it has not */
        call->is_finished = true;
        respond(call);
}

static void refuse_message(GrpcCall *call, GrpcFrameOutcome o)
{
        static const struct {
                GrpcStatus status;
                const char *text;
        } why[] = {
                /* grpc/doc/statuscodes.md: "request cardinality violation". */
                [GRPC_FRAME_NONE] = {GRPC_UNIMPLEMENTED, "no message, one is expected"},
                [GRPC_FRAME_EXTRA] = {GRPC_UNIMPLEMENTED, "several messages, one is expected"},
                [GRPC_FRAME_TRUNCATED] = {GRPC_INTERNAL, "message ends before its length"},
                [GRPC_FRAME_TOO_LARGE] = {GRPC_RESOURCE_EXHAUSTED, "message too large"},
                [GRPC_FRAME_BAD_FLAG] = {GRPC_INTERNAL, "compressed flag is neither 0 nor 1"},
                [GRPC_FRAME_NO_MEMORY] = {GRPC_RESOURCE_EXHAUSTED, "out of memory"},
        };

        if (o != GRPC_FRAME_COMPRESSED)
                refuse(call, why[o].status, why[o].text);
        else if (call->is_encoded)
                refuse(call, GRPC_UNIMPLEMENTED, "no compression is supported");
        else
                refuse(call, GRPC_INTERNAL, "compressed flag without grpc-encoding");
}

/* ---- giving way */

static GrpcCall *oldest_call(const H2Conn *c)
{
        LIST_FOREACH (GrpcCall, call, &c->calls, on_conn)
                if (!call->is_reset)
                        return call;
        return NULL;
}

/* A stream for `c`, from the connection with most of them, if that has more than `c`. */
static bool make_room_for_stream(const H2Conn *c)
{
        const H2Conn *most = c;
        const GrpcServer *s = c->server;

        LIST_FOREACH (H2Conn, other, &s->conns, link)
                if (other->n_calls > most->n_calls)
                        most = other;
        GrpcCall *victim = most != c ? oldest_call(most) : NULL;
        if (victim == NULL)
                return false;
        bool is_unseen = victim->stage == GRPC_STAGE_READING;
        if (is_unseen) {
                victim->server->n.calls_rejected++;
                leave_to_stream(victim);
        }
        reset(victim, is_unseen ? NGHTTP2_REFUSED_STREAM : NGHTTP2_CANCEL);
        return true;
}

static void make_room_for_bytes(GrpcServer *s)
{
        GrpcCall *largest = NULL;

        LIST_FOREACH (H2Conn, c, &s->conns, link)
                LIST_FOREACH (GrpcCall, call, &c->calls, on_conn)
                        if (call->stage == GRPC_STAGE_READING &&
                            (largest == NULL || call->request.body.n > largest->request.body.n))
                                largest = call;
        if (largest != NULL)
                refuse(largest, GRPC_RESOURCE_EXHAUSTED, "too many bytes in requests at once");
}

/* ---- the request */

GrpcCall *grpc_call_open(H2Conn *c, int32_t stream)
{
        GrpcServer *s = c->server;

        s->n.calls_total++;
        if ((size_t)s->n.streams >= s->caps.streams && !make_room_for_stream(c)) {
                s->n.calls_rejected++;
                if (nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, stream,
                                              NGHTTP2_REFUSED_STREAM) != 0)
                        c->is_broken = true;
                return NULL;
        }
        GrpcCall *call = mem_new(sizeof(*call));
        call->server = s;
        call->conn = c;
        call->stream = stream;
        call->arrival = call->began = call->moved = loop_now(s->loop);
        list_init(&call->messages);
        list_add(&c->calls, &call->on_conn);
        c->n_calls++;
        s->n.streams++;
        grpc_frame_init(&call->request, s->caps.message);
        buf_init(&call->text, (size_t)GRPC_TEXT_MAX * 3);
        timer_init(&call->timer, s->loop, call_timer);
        arm(call);
        return call;
}

bool grpc_call_count_header(GrpcCall *call, size_t n)
{
        enum {
                FIELD_OVERHEAD = 32 /* RFC 9113 6.5.2 */
        };
        call->n_headers++;
        call->header_bytes += n + FIELD_OVERHEAD;
        return call->n_headers <= GRPC_HEADERS_MAX && call->header_bytes <= GRPC_HEADER_BYTES_MAX;
}

static const GrpcMethod *find_method(const GrpcServer *s, Str path)
{
        for (size_t i = 0; i < s->n_methods; i++)
                if (str_eq(path, str_of(s->methods[i].path)))
                        return &s->methods[i];
        return NULL;
}

static void set_timeout(GrpcCall *call, Str value)
{
        Span t;

        call->is_bad_timeout = !grpc_frame_timeout(value, &t);
        if (!call->is_bad_timeout && t.ns <= SPAN_S(GRPC_DEADLINE_MAX_S).ns)
                call->deadline = mono_add(call->arrival, t);
}

void grpc_call_header(GrpcCall *call, Str name, Str value)
{
        if (str_eq(name, STR(":method")))
                call->is_post = str_eq(value, STR("POST"));
        else if (str_eq(name, STR(":path")))
                call->method = find_method(call->server, value);
        else if (str_eq(name, STR("content-type")))
                call->is_grpc = grpc_frame_is_content_type(value);
        else if (str_eq(name, STR("grpc-encoding")))
                call->is_encoded = !str_eq(value, STR("identity"));
        else if (str_eq(name, STR("grpc-timeout")))
                set_timeout(call, value);
}

void grpc_call_headers_end(GrpcCall *call)
{
        if (call->stage != GRPC_STAGE_READING)
                return;
        if (!call->is_post)
                call->plain = "405";
        else if (!call->is_grpc)
                call->plain = "415";
        else if (call->is_bad_timeout)
                refuse(call, GRPC_INTERNAL, "malformed grpc-timeout");
        else if (call->method == NULL)
                refuse(call, GRPC_UNIMPLEMENTED, "unknown method");
        else
                arm(call);
}

void grpc_call_data(GrpcCall *call, Str bytes)
{
        GrpcServer *s = call->server;

        if (call->stage != GRPC_STAGE_READING || call->plain != NULL)
                return;
        size_t before = call->request.body.n;
        GrpcFrameOutcome o = grpc_frame_feed(&call->request, bytes);
        s->n.bytes_buffered_in += (int64_t)(call->request.body.n - before);
        call->moved = now_of(call);
        if (o != GRPC_FRAME_MORE && o != GRPC_FRAME_DONE)
                refuse_message(call, o);
        else if (s->n.bytes_buffered_in > (int64_t)s->caps.buffered_in)
                make_room_for_bytes(s);
}

void grpc_call_request_end(GrpcCall *call)
{
        call->is_request_ended = true;
        if (call->stage != GRPC_STAGE_READING)
                return;
        if (call->plain != NULL) {
                refuse_plain(call);
                return;
        }
        GrpcFrameOutcome o = grpc_frame_end(&call->request);
        if (o != GRPC_FRAME_DONE) {
                refuse_message(call, o);
                return;
        }
        make_ready(call, GRPC_STAGE_QUEUED);
        arm(call);
}

static void expire(GrpcCall *call)
{
        call->server->n.calls_expired++;
        if (call->stage == GRPC_STAGE_HELD)
                make_ready(call, GRPC_STAGE_CANCELLED);
        finish(call, GRPC_DEADLINE_EXCEEDED, STR("deadline passed"));
}

static void call_timer(Timer *t)
{
        GrpcCall *call = CONTAINER_OF(t, GrpcCall, timer);
        Mono now = now_of(call), due = transfer_due(call);

        if (has_deadline(call) && !mono_before(now, call->deadline)) {
                expire(call);
        } else if (due.ns != 0 && !mono_before(now, due)) {
                /* The stream's end tells whoever holds it. */
                call->server->n.timeouts++;
                reset(call, NGHTTP2_CANCEL);
        } else {
                arm(call);
        }
}

/* ---- what handlers use */

Str grpc_call_message(const GrpcCall *call)
{
        return buf_str(&call->request.body);
}

void *grpc_call_ctx(const GrpcCall *call)
{
        return call->method->ctx;
}

Mono grpc_call_arrival(const GrpcCall *call)
{
        return call->arrival;
}

void grpc_call_set_user(GrpcCall *call, void *user)
{
        call->user = user;
}

void *grpc_call_user(const GrpcCall *call)
{
        return call->user;
}

void grpc_call_on_cancel(GrpcCall *call, GrpcCancelFn *fn)
{
        INSIST(fn != NULL);
        call->on_cancel = fn;
}

static bool is_held(const GrpcCall *call)
{
        INSIST(call->stage == GRPC_STAGE_HELD || call->stage == GRPC_STAGE_CANCELLED);
        return call->stage == GRPC_STAGE_HELD;
}

static bool fits(const GrpcCall *call, const Buf *b)
{
        const GrpcServer *s = call->server;

        return !b->failed && b->n <= UINT32_MAX && b->n <= s->caps.buffered_out &&
               (size_t)s->n.bytes_buffered_out <= s->caps.buffered_out - b->n;
}

void grpc_call_reply(GrpcCall *call, Buf *answer)
{
        if (!is_held(call)) {
                buf_done(answer);
                let_go(call);
                return;
        }
        if (!fits(call, answer)) {
                buf_done(answer);
                grpc_call_fail(call, GRPC_RESOURCE_EXHAUSTED, STR("answer too large"));
                return;
        }
        add_message(call, answer);
        call->server->n.calls_ok++;
        finish(call, GRPC_OK, (Str){0});
}

void grpc_call_fail(GrpcCall *call, GrpcStatus status, Str text)
{
        if (!is_held(call)) {
                let_go(call);
                return;
        }
        if (status == GRPC_OK)
                call->server->n.calls_ok++;
        else
                call->server->n.calls_failed++;
        finish(call, status, text);
}

bool grpc_call_send(GrpcCall *call, Buf *message)
{
        if (!is_held(call)) {
                buf_done(message);
                return true;
        }
        if (call->n_messages == GRPC_SEND_QUEUE_MAX || !fits(call, message))
                return false;
        add_message(call, message);
        respond(call);
        return true;
}
