/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* AdminGet: how a command asks a running gateway: one request on its admin address. */

#include "base/buf.h"
#include "base/err.h"
#include "proto/tree.h"

/* Where a gateway listens unless it is told otherwise; the same as run's default. */
#define ADMIN_GET_DEFAULT "tcp://127.0.0.1:19005"
/* What a command says behind an ERR_TRANSIENT. */
#define ADMIN_GET_HINT "; is it running, with this --admin-address?"

enum {
        ADMIN_GET_BYTES_MAX = 256 << 20,
        /* Of an answer. 20,000 endpoints with a host and a path each, which is the cap of a
         * Gateway, are a million values, and some 150 MiB here. */
        ADMIN_GET_NODES_MAX = 2 << 20,
        ADMIN_GET_MEMORY_MAX = 512 << 20, /* of the arena for it */
        ADMIN_GET_SECONDS = 10
};

/* Appends the body of a 200 answer to `out`. `path` begins with "/". ERR_TRANSIENT where nobody
 * answers there. */
bool admin_get(Str address, Str path, Buf *out, Err *err) MUST_USE;
/* The same as a POST without body: asks for a change. */
bool admin_post(Str address, Str path, Buf *out, Err *err) MUST_USE;
/* What our own program wrote, as a Tree in `arena`, with room for the largest World. */
const Tree *admin_get_read(Arena *arena, Str json, Err *err) MUST_USE;
/* Percent-encodes for a query value. */
void admin_get_encode(Buf *out, Str value);
