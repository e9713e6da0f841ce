/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the reader and the writer of protobuf's wire format share
 * (https://protobuf.dev/programming-guides/encoding/), and the token types of pb_tokens.h: one C
 * type per kind of field, so that a value of the wrong kind does not compile.
 */

#include "base/str.h"

enum {
        PB_FIELD_MAX = (1 << 29) - 1, /* highest field number */
        PB_VARINT_MAX = 10,           /* bytes of a varint */
        PB_DEPTH_MAX = 32,            /* messages open in the writer; groups open in the reader */
};

typedef enum PbWire {
        PB_VARINT = 0,
        PB_FIXED64 = 1,
        PB_LEN = 2,
        PB_GROUP = 3,
        PB_GROUP_END = 4,
        PB_FIXED32 = 5,
} PbWire;

typedef struct PbStr {
        uint32_t field;
} PbStr;
typedef struct PbBytes {
        uint32_t field;
} PbBytes;
typedef struct PbBool {
        uint32_t field;
} PbBool;
typedef struct PbVarint {
        uint32_t field;
} PbVarint;
typedef struct PbEnum {
        uint32_t field;
} PbEnum;
typedef struct PbDouble {
        uint32_t field;
} PbDouble;
typedef struct PbMsg {
        uint32_t field;
} PbMsg;
typedef struct PbAny {
        uint32_t field;
} PbAny;
