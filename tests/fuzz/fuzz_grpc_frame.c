/* SPDX-License-Identifier: Apache-2.0 */
/* First byte: how long the pieces are; the rest: a request's body, and what may stand in headers.
 * A message that is taken is the bytes behind the prefix, however they were cut. */

#include <stddef.h>
#include <stdint.h>

#include "proto/grpc_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
        MESSAGE_MAX = 4096
};

static GrpcFrameOutcome feed_in_pieces(GrpcFrameReader *r, Str body, size_t piece)
{
        GrpcFrameOutcome o = GRPC_FRAME_MORE;

        for (size_t i = 0; i < body.n && (o == GRPC_FRAME_MORE || o == GRPC_FRAME_DONE); i += piece)
                o = grpc_frame_feed(r, str_sub(body, i, piece));
        return o;
}

static void check_message(Str body, size_t piece)
{
        GrpcFrameReader cut, whole;

        grpc_frame_init(&cut, MESSAGE_MAX);
        grpc_frame_init(&whole, MESSAGE_MAX);
        GrpcFrameOutcome a = feed_in_pieces(&cut, body, piece);
        GrpcFrameOutcome b = grpc_frame_feed(&whole, body);
        INSIST(a == b);
        INSIST(cut.body.n <= body.n && cut.body.room <= MESSAGE_MAX);
        if (a == GRPC_FRAME_DONE) {
                INSIST(grpc_frame_end(&cut) == GRPC_FRAME_DONE);
                INSIST(str_eq(buf_str(&cut.body), str_sub(body, GRPC_PREFIX_BYTES, body.n)));
        }
        grpc_frame_done(&cut);
        grpc_frame_done(&whole);
}

static void check_headers(Str s)
{
        Span t = {-1};
        Buf b;

        INSIST(!grpc_frame_timeout(s, &t) || t.ns >= 0);
        IGNORE(grpc_frame_is_content_type(s), "it must not read behind its end");
        buf_init(&b, s.n * 3);
        grpc_frame_percent(&b, s);
        INSIST(!b.failed && b.n >= s.n);
        for (size_t i = 0; i < b.n; i++)
                INSIST(b.p[i] >= 0x20 && b.p[i] <= 0x7e);
        buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0)
                return 0;
        Str rest = str_make(data + 1, size - 1);
        check_message(rest, (size_t)data[0] + 1);
        check_headers(rest);
        return 0;
}
