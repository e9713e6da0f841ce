/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pb_begin leaves one byte for the length; where the message became longer than 127 bytes, pb_end
 * moves it up by what the length needs. Our messages are a few hundred bytes, so that a move is
 * cheaper than a pass that only counts.
 */
#include "proto/pb_writer.h"

enum {
        ANY_TYPE_URL = 1, /* of google.protobuf.Any */
        ANY_VALUE = 2,
};

static size_t encode(uint64_t v, char ret[PB_VARINT_MAX])
{
        size_t n = 0;
        for (; v > 0x7f; v >>= 7)
                ret[n++] = (char)(uint8_t)(v | 0x80);
        ret[n++] = (char)(uint8_t)v;
        return n;
}

static size_t varint_size(uint64_t v)
{
        size_t n = 1;
        for (; v > 0x7f; v >>= 7)
                n++;
        return n;
}

static void put_varint(Buf *out, uint64_t v)
{
        char bytes[PB_VARINT_MAX];
        buf_add(out, bytes, encode(v, bytes));
}

static void put_tag(Buf *out, uint32_t field, PbWire wire)
{
        put_varint(out, (uint64_t)field << 3 | (uint64_t)wire);
}

void pb_put_len(Buf *out, uint32_t field, size_t n)
{
        char bytes[2 * PB_VARINT_MAX];
        size_t used = encode((uint64_t)field << 3 | PB_LEN, bytes);
        used += encode(n, bytes + used);
        buf_add(out, bytes, used);
}

size_t pb_len_size(uint32_t field, size_t n)
{
        return varint_size((uint64_t)field << 3) + varint_size(n);
}

void pb_writer_init(PbWriter *w, Buf *out)
{
        w->out = out;
        w->depth = 0;
}

void pb_writer_done(const PbWriter *w)
{
        INSIST(w->depth == 0);
}

static void put_bytes(PbWriter *w, uint32_t field, Str s)
{
        pb_put_len(w->out, field, s.n);
        buf_add(w->out, s.p, s.n);
}

void pb_str(PbWriter *w, PbStr t, Str s)
{
        put_bytes(w, t.field, s);
}

void pb_str_join(PbWriter *w, PbStr t, const Str *parts, size_t n)
{
        size_t bytes = 0;
        for (size_t i = 0; i < n; i++)
                bytes += parts[i].n;
        pb_put_len(w->out, t.field, bytes);
        for (size_t i = 0; i < n; i++)
                buf_add_str(w->out, parts[i]);
}

void pb_bytes(PbWriter *w, PbBytes t, Str s)
{
        put_bytes(w, t.field, s);
}

void pb_packed(PbWriter *w, PbMsg t, Str body)
{
        put_bytes(w, t.field, body);
}

void pb_varint(PbWriter *w, PbVarint t, uint64_t v)
{
        put_tag(w->out, t.field, PB_VARINT);
        put_varint(w->out, v);
}

void pb_bool(PbWriter *w, PbBool t, bool v)
{
        pb_varint(w, (PbVarint){t.field}, v ? 1 : 0);
}

void pb_enum(PbWriter *w, PbEnum t, uint32_t v)
{
        pb_varint(w, (PbVarint){t.field}, v);
}

void pb_double(PbWriter *w, PbDouble t, double v)
{
        uint64_t bits = 0;
        memcpy(&bits, &v, sizeof(bits));
        char bytes[sizeof(bits)];
        for (size_t i = 0; i < sizeof(bits); i++)
                bytes[i] = (char)(uint8_t)(bits >> (8 * i));
        put_tag(w->out, t.field, PB_FIXED64);
        buf_add(w->out, bytes, sizeof(bytes));
}

static void begin(PbWriter *w, uint32_t field)
{
        INSIST(w->depth < PB_DEPTH_MAX);
        put_tag(w->out, field, PB_LEN);
        buf_add_char(w->out, 0);
        w->open[w->depth++] = w->out->n;
}

void pb_begin(PbWriter *w, PbMsg t)
{
        begin(w, t.field);
}

void pb_end(PbWriter *w)
{
        INSIST(w->depth > 0);
        size_t from = w->open[--w->depth];
        Buf *b = w->out;
        if (b->failed)
                return;
        size_t n = b->n - from;
        char length[PB_VARINT_MAX];
        size_t more = encode(n, length) - 1;
        if (more > 0) {
                static const char room[PB_VARINT_MAX];
                buf_add(b, room, more);
                if (b->failed)
                        return;
                memmove(b->p + from + more, b->p + from, n);
        }
        memcpy(b->p + from - 1, length, more + 1);
}

void pb_any_begin(PbWriter *w, PbAny t, Str type_url)
{
        begin(w, t.field);
        put_bytes(w, ANY_TYPE_URL, type_url);
        begin(w, ANY_VALUE);
}

void pb_any_end(PbWriter *w)
{
        pb_end(w);
        pb_end(w);
}
