/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader is one function over a cursor. It trusts nothing: each length is compared with what is
 * left before it is used, and a varint is read byte by byte with its bound.
 */
#include "proto/pb_reader.h"

static bool bad(PbReader *r)
{
        r->bad = true;
        r->p = r->end;
        return false;
}

static bool read_long_varint(PbReader *r, uint64_t *ret)
{
        uint64_t v = 0;
        for (unsigned i = 0; i < PB_VARINT_MAX && r->p < r->end; i++) {
                uint8_t byte = (uint8_t)*r->p++;
                /* The tenth byte holds bit 63 alone. */
                if (i == PB_VARINT_MAX - 1 && byte > 1)
                        break;
                v |= (uint64_t)(byte & 0x7f) << (7 * i);
                if (byte < 0x80) {
                        *ret = v;
                        return true;
                }
        }
        return bad(r);
}

/* Most tags and lengths are of one byte. */
static inline bool read_varint(PbReader *r, uint64_t *ret)
{
        if (r->p < r->end && (uint8_t)*r->p < 0x80) {
                *ret = (uint8_t)*r->p++;
                return true;
        }
        return read_long_varint(r, ret);
}

static bool read_fixed(PbReader *r, size_t n, uint64_t *ret)
{
        if ((size_t)(r->end - r->p) < n)
                return bad(r);
        uint64_t v = 0;
        for (size_t i = 0; i < n; i++)
                v |= (uint64_t)(uint8_t)r->p[i] << (8 * i);
        r->p += n;
        *ret = v;
        return true;
}

static bool read_len(PbReader *r, Str *ret)
{
        uint64_t n = 0;
        if (!read_varint(r, &n))
                return false;
        if (n > (uint64_t)(r->end - r->p))
                return bad(r);
        *ret = str_make(r->p, (size_t)n);
        r->p += n;
        return true;
}

static bool read_tag(PbReader *r, PbField *ret)
{
        uint64_t tag = 0;
        if (!read_varint(r, &tag))
                return false;
        if (tag >> 3 == 0 || tag >> 3 > PB_FIELD_MAX || (tag & 7) > PB_FIXED32)
                return bad(r);
        ret->number = (uint32_t)(tag >> 3);
        ret->wire = (PbWire)(tag & 7);
        return true;
}

/* What follows a tag of any wire type but the two of groups. */
static bool read_value(PbReader *r, PbField *ret)
{
        switch (ret->wire) {
        case PB_VARINT:
                return read_varint(r, &ret->value);
        case PB_FIXED64:
                return read_fixed(r, 8, &ret->value);
        case PB_FIXED32:
                return read_fixed(r, 4, &ret->value);
        case PB_LEN:
                return read_len(r, &ret->body);
        case PB_GROUP:
        case PB_GROUP_END:
                break;
        }
        return bad(r);
}

/* Up to the end tag of the group that was opened; groups may hold groups. */
static bool read_group(PbReader *r, PbField *ret)
{
        uint32_t open[PB_DEPTH_MAX];
        unsigned depth = 1;
        open[0] = ret->number;
        const char *from = r->p, *to = r->p;
        while (depth > 0) {
                to = r->p;
                PbField f = {0};
                if (!read_tag(r, &f))
                        return false;
                if (f.wire == PB_GROUP) {
                        if (depth == PB_DEPTH_MAX)
                                return bad(r);
                        open[depth++] = f.number;
                } else if (f.wire == PB_GROUP_END) {
                        if (open[--depth] != f.number)
                                return bad(r);
                } else if (!read_value(r, &f)) {
                        return false;
                }
        }
        ret->body = str_make(from, (size_t)(to - from));
        return true;
}

bool pb_next(PbReader *r, PbField *ret)
{
        if (r->bad || r->p == r->end)
                return false;
        const char *from = r->p;
        PbField f = {0};
        if (!read_tag(r, &f))
                return false;
        if (f.wire == PB_GROUP ? !read_group(r, &f) : !read_value(r, &f))
                return false;
        f.span = str_make(from, (size_t)(r->p - from));
        *ret = f;
        return true;
}

bool pb_next_len(PbReader *r, uint32_t number, Str *ret_body)
{
        for (PbField f; pb_next(r, &f);) {
                if (f.number == number && f.wire == PB_LEN) {
                        *ret_body = f.body;
                        return true;
                }
        }
        return false;
}

Str pb_get(Str message, uint32_t number)
{
        Str found = {0};
        PbReader r = pb_reader(message);
        for (PbField f; pb_next(&r, &f);) {
                if (f.number == number && f.wire == PB_LEN)
                        found = f.body;
        }
        return r.bad ? (Str){0} : found;
}

uint64_t pb_get_varint(Str message, uint32_t number)
{
        uint64_t found = 0;
        PbReader r = pb_reader(message);
        for (PbField f; pb_next(&r, &f);) {
                if (f.number == number && f.wire == PB_VARINT)
                        found = f.value;
        }
        return r.bad ? 0 : found;
}

bool pb_map_get(Str message, uint32_t map, Str key, Str *ret)
{
        bool found = false;
        PbReader r = pb_reader(message);
        for (Str entry; pb_next_len(&r, map, &entry);) {
                if (!str_eq(pb_get(entry, 1), key))
                        continue;
                found = true;
                if (ret != NULL)
                        *ret = pb_get(entry, 2);
        }
        return found;
}
