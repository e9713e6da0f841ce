/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * PbReader: the fields of one message as spans of the bytes that are read; nothing is copied.
 * Unknown fields and groups come out like any other, so that they can be passed on as they are.
 */

#include "proto/pb_wire.h"

typedef struct PbReader {
        const char *p, *end; /* borrowed */
        bool bad;            /* the bytes are not a message; nothing more comes */
} PbReader;

typedef struct PbField {
        uint32_t number; /* 1 to PB_FIELD_MAX */
        PbWire wire;     /* never PB_GROUP_END */
        Str body;        /* of PB_LEN: the content; of PB_GROUP: between start and end */
        uint64_t value;  /* of PB_VARINT, PB_FIXED64, PB_FIXED32 */
        Str span;        /* the whole field with its tag */
} PbField;

static inline PbReader pb_reader(Str message)
{
        const char *p = message.p != NULL ? message.p : "";
        return (PbReader){p, p + message.n, false};
}
/* The next field. False at the end, and where the bytes are no message (`bad`): a varint of more
 * than ten bytes or 64 bits, field number 0 or above the limit, wire type 6 or 7, a length beyond
 * the end, a group that does not end or is nested above PB_DEPTH_MAX. */
bool pb_next(PbReader *r, PbField *ret);
/* The next field of that number and wire type PB_LEN; others are skipped. */
bool pb_next_len(PbReader *r, uint32_t number, Str *ret_body);
/* The last string, bytes or message field of that number, as protobuf's rule for a field that comes
 * twice says for strings; empty where there is none or the bytes are no message. */
Str pb_get(Str message, uint32_t number);
/* The same for a varint; 0 where there is none. */
uint64_t pb_get_varint(Str message, uint32_t number);
/* The value (field 2) of the last entry of a map<string, message> whose key (field 1) is `key`.
 * False where there is none. `ret` may be NULL. */
bool pb_map_get(Str message, uint32_t map, Str key, Str *ret);
