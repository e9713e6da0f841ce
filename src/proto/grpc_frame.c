/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/grpc_frame.h"

enum {
        TIMEOUT_DIGITS_MAX = 8,
};

void grpc_frame_init(GrpcFrameReader *r, size_t max)
{
        *r = (GrpcFrameReader){0};
        buf_init(&r->body, max);
}

void grpc_frame_done(GrpcFrameReader *r)
{
        buf_done(&r->body);
        r->n_prefix = 0;
        r->announced = 0;
}

static GrpcFrameOutcome check_prefix(GrpcFrameReader *r)
{
        const uint8_t *p = r->prefix;

        if (p[0] == 1)
                return GRPC_FRAME_COMPRESSED;
        if (p[0] != 0)
                return GRPC_FRAME_BAD_FLAG;
        r->announced =
                (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | (uint32_t)p[4];
        return r->announced > r->body.max ? GRPC_FRAME_TOO_LARGE : GRPC_FRAME_MORE;
}

GrpcFrameOutcome grpc_frame_feed(GrpcFrameReader *r, Str bytes)
{
        if (r->n_prefix < GRPC_PREFIX_BYTES) {
                size_t want = GRPC_PREFIX_BYTES - r->n_prefix;
                Str head = str_sub(bytes, 0, want);
                if (head.n > 0)
                        memcpy(r->prefix + r->n_prefix, head.p, head.n);
                r->n_prefix += (unsigned)head.n;
                if (head.n < want)
                        return GRPC_FRAME_MORE;
                bytes = str_sub(bytes, head.n, bytes.n);
                GrpcFrameOutcome o = check_prefix(r);
                if (o != GRPC_FRAME_MORE)
                        return o;
        }
        if (bytes.n > r->announced - r->body.n)
                return GRPC_FRAME_EXTRA;
        buf_add_str(&r->body, bytes);
        if (r->body.failed)
                return GRPC_FRAME_NO_MEMORY;
        return r->body.n == r->announced ? GRPC_FRAME_DONE : GRPC_FRAME_MORE;
}

GrpcFrameOutcome grpc_frame_end(const GrpcFrameReader *r)
{
        if (r->n_prefix == 0)
                return GRPC_FRAME_NONE;
        if (r->n_prefix < GRPC_PREFIX_BYTES || r->body.n < r->announced)
                return GRPC_FRAME_TRUNCATED;
        return GRPC_FRAME_DONE;
}

void grpc_frame_prefix(uint8_t ret[GRPC_PREFIX_BYTES], uint32_t n)
{
        ret[0] = 0;
        ret[1] = (uint8_t)(n >> 24);
        ret[2] = (uint8_t)(n >> 16);
        ret[3] = (uint8_t)(n >> 8);
        ret[4] = (uint8_t)n;
}

bool grpc_frame_timeout(Str s, Span *ret)
{
        static const struct {
                char unit;
                int64_t ns;
        } units[] = {
                {'H', 3600LL * 1000000000},
                {'M', 60LL * 1000000000},
                {'S', 1000000000},
                {'m', 1000000},
                {'u', 1000},
                {'n', 1},
        };
        const int64_t year = 365LL * 24 * 3600 * 1000000000;
        uint64_t count;

        if (s.n < 2 || !str_to_u64(str_sub(s, 0, s.n - 1), UINT32_MAX, &count) ||
            s.n - 1 > TIMEOUT_DIGITS_MAX)
                return false;
        for (size_t i = 0; i < LENGTH_OF(units); i++) {
                if (units[i].unit != s.p[s.n - 1])
                        continue;
                bool is_long = (int64_t)count > year / units[i].ns;
                *ret = (Span){is_long ? year : (int64_t)count * units[i].ns};
                return true;
        }
        return false;
}

void grpc_frame_percent(Buf *b, Str text)
{
        static const char hex[] = "0123456789ABCDEF";

        for (size_t i = 0; i < text.n; i++) {
                unsigned char c = (unsigned char)text.p[i];
                if (c >= 0x20 && c <= 0x7e && c != '%') {
                        buf_add_char(b, (char)c);
                        continue;
                }
                const char code[3] = {'%', hex[c >> 4], hex[c & 15]};
                buf_add(b, code, sizeof(code));
        }
}

bool grpc_frame_is_content_type(Str s)
{
        Str want = STR("application/grpc");

        /* Media types do not distinguish case (RFC 9110 8.3.1). */
        if (!str_eq_fold(str_sub(s, 0, want.n), want))
                return false;
        return s.n == want.n || s.p[want.n] == '+' || s.p[want.n] == ';';
}
