/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The callbacks of nghttp2, which only note what came: each finds its connection (user_data) and
 * its call (the stream's user data, NULL where there is none) and hands over. No handler runs here,
 * no connection is closed here.
 *
 *   1. Every byte of DATA is given back to both windows at once, whoever has it: what may be
 *      buffered is bounded by GrpcCaps, not by the window.
 *   2. What costs work and brings nothing takes a token (idle_frames), as does every stream that we
 *      reset (resets); nghttp2 itself counts the resets that come in.
 */
#include "net/h2_session.h"

#include "net/grpc_call.h"
#include "net/h2_conn.h"

static GrpcCall *call_of(nghttp2_session *session, int32_t stream)
{
        return nghttp2_session_get_stream_user_data(session, stream);
}

/* ---- in */

static bool is_idle_frame(const nghttp2_frame_hd *hd)
{
        switch (hd->type) {
        case NGHTTP2_HEADERS:
        case NGHTTP2_RST_STREAM:
        case NGHTTP2_GOAWAY:
        case NGHTTP2_WINDOW_UPDATE:
        case NGHTTP2_CONTINUATION:
                return false;
        case NGHTTP2_DATA:
                return hd->length == 0;
        default:
                return true;
        }
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user)
{
        H2Conn *c = user;

        /* RFC 9113 6.3; nghttp2 drops PRIORITY unseen, as we asked for no priorities. */
        if (hd->type == NGHTTP2_PRIORITY && hd->stream_id == 0 &&
            nghttp2_session_terminate_session(session, NGHTTP2_PROTOCOL_ERROR) != 0)
                c->is_broken = true;
        if (is_idle_frame(hd) && !h2_bucket_take(&c->idle_frames, loop_now(c->server->loop),
                                                 GRPC_IDLE_FRAMES_BURST, GRPC_IDLE_FRAMES_RATE))
                h2_conn_calm(c);
        return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
        H2Conn *c = user;

        if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
                return 0;
        GrpcCall *call = grpc_call_open(c, frame->hd.stream_id);
        return nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, call);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t n_name, const uint8_t *value, size_t n_value, uint8_t flags, void *user)
{
        (void)flags;
        (void)user;
        GrpcCall *call = call_of(session, frame->hd.stream_id);

        if (call == NULL)
                return 0;
        /* Resets the stream; the rest of the block is decoded, and dropped, for HPACK's sake. */
        if (!grpc_call_count_header(call, n_name + n_value))
                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
                grpc_call_header(call, str_make(name, n_name), str_make(value, n_value));
        return 0;
}

static void on_settings(H2Conn *c, const nghttp2_frame *frame)
{
        if (c->phase != H2_HANDSHAKE || (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0)
                return;
        c->phase = H2_OPEN;
        c->since = loop_now(c->server->loop);
}

static void on_call_frame(GrpcCall *call, const nghttp2_frame *frame)
{
        if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
                grpc_call_headers_end(call);
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
                grpc_call_request_end(call);
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
        H2Conn *c = user;

        if (frame->hd.type == NGHTTP2_SETTINGS)
                on_settings(c, frame);
        if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0)
                h2_conn_go_on(c);
        if (frame->hd.type == NGHTTP2_RST_STREAM)
                c->server->n.resets_in++;
        if (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) {
                GrpcCall *call = call_of(session, frame->hd.stream_id);
                if (call != NULL)
                        on_call_frame(call, frame);
        }
        return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *p,
                   size_t n, void *user)
{
        (void)flags;
        (void)user;
        GrpcCall *call = call_of(session, stream);

        if (call != NULL)
                grpc_call_data(call, str_make(p, n));
        return nghttp2_session_consume(session, stream, n) == NGHTTP2_ERR_NOMEM
                       ? NGHTTP2_ERR_CALLBACK_FAILURE
                       : 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t code, void *user)
{
        (void)code;
        (void)user;
        GrpcCall *call = call_of(session, stream);

        if (call != NULL)
                grpc_call_lose_stream(call);
        return 0;
}

/* Frames of unknown types are ignored (RFC 9113 5.5). They are asked for so that they are counted.
 */
static int on_unknown_frame(nghttp2_session *session, void **payload, const nghttp2_frame_hd *hd,
                            void *user)
{
        (void)session;
        (void)payload;
        (void)hd;
        (void)user;
        return NGHTTP2_ERR_CANCEL;
}

/* ---- out */

static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                        size_t n, nghttp2_data_source *source, void *user)
{
        (void)session;
        (void)frame;
        enum {
                FRAME_HEAD_BYTES = 9
        };
        H2Conn *c = user;
        GrpcCall *call = source->ptr;

        h2_out_add(&c->out, head, FRAME_HEAD_BYTES);
        grpc_call_take(call, &c->out, n);
        return h2_out_has_room(&c->out) ? 0 : NGHTTP2_ERR_PAUSE;
}

static void on_reset_sent(H2Conn *c, uint32_t code)
{
        c->server->n.resets_out++;
        /* A stream that is refused because all are full is not the peer's fault. */
        if (code != NGHTTP2_REFUSED_STREAM && !h2_bucket_take(&c->resets, loop_now(c->server->loop),
                                                              GRPC_RESETS_BURST, GRPC_RESETS_RATE))
                h2_conn_calm(c);
}

static void on_goaway_sent(H2Conn *c, uint32_t code)
{
        /* Not before: nghttp2 sends a PING ahead of a GOAWAY that was submitted earlier. */
        if (c->phase == H2_GOING && nghttp2_submit_ping(c->session, NGHTTP2_FLAG_NONE, NULL) != 0)
                c->is_broken = true;
        /* nghttp2 says INTERNAL_ERROR where its own limits are passed (resets, continuations). */
        if (code == NGHTTP2_ENHANCE_YOUR_CALM || code == NGHTTP2_INTERNAL_ERROR)
                c->server->n.floods++;
        else if (code != NGHTTP2_NO_ERROR)
                c->server->n.protocol_errors++;
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
        H2Conn *c = user;

        if (frame->hd.type == NGHTTP2_RST_STREAM)
                on_reset_sent(c, frame->rst_stream.error_code);
        if (frame->hd.type == NGHTTP2_GOAWAY)
                on_goaway_sent(c, frame->goaway.error_code);
        if (frame->hd.type == NGHTTP2_HEADERS && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
                /* RFC 9113 8.1: answered before the request was whole; the rest is not wanted. */
                GrpcCall *call = call_of(session, frame->hd.stream_id);
                if (call != NULL && !call->is_request_ended)
                        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE,
                                                         frame->hd.stream_id, NGHTTP2_NO_ERROR);
        }
        return 0;
}

/* ---- */

nghttp2_session_callbacks *h2_session_callbacks(void)
{
        nghttp2_session_callbacks *cb;

        if (nghttp2_session_callbacks_new(&cb) != 0)
                return NULL;
        nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
        nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
        nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
        nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
        nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
        nghttp2_session_callbacks_set_unpack_extension_callback(cb, on_unknown_frame);
        nghttp2_session_callbacks_set_send_data_callback(cb, on_send_data);
        nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
        return cb;
}

nghttp2_option *h2_session_option(void)
{
        nghttp2_option *o;

        if (nghttp2_option_new(&o) != 0)
                return NULL;
        nghttp2_option_set_no_auto_window_update(o, 1);
        nghttp2_option_set_no_closed_streams(o, 1);
        nghttp2_option_set_stream_reset_rate_limit(o, GRPC_RESETS_BURST, GRPC_RESETS_RATE);
        nghttp2_option_set_max_continuations(o, GRPC_CONTINUATIONS_MAX);
        nghttp2_option_set_max_settings(o, GRPC_SETTINGS_ENTRIES_MAX);
        nghttp2_option_set_max_outbound_ack(o, GRPC_ACKS_MAX);
        for (unsigned type = NGHTTP2_CONTINUATION + 1; type <= UINT8_MAX; type++)
                nghttp2_option_set_user_recv_extension_type(o, (uint8_t)type);
        return o;
}
