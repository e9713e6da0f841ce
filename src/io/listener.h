/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Listener: accepts connections on one address and hands out non-blocking, close-on-exec
 * descriptors. A unix socket is made mode 0600; a stale socket file (nobody accepts) is replaced, a
 * live one is refused, and it is unlinked on close.
 */

#include "io/address.h"
#include "io/loop.h"

typedef struct Listener Listener;
/* Takes over `fd`. */
typedef void ListenerFn(Listener *l, int fd);
struct Listener {
        Loop *loop;
        ListenerFn *fn;
        Address address; /* with the real port where 0 was asked for */
        FdSource source;
        int fd;       /* -1: closed */
        Timer pause;  /* after EMFILE: accepts again 100 ms later */
        ino_t inode;  /* of the socket file, so that only our own is unlinked */
        bool *closed; /* on the stack of a delivery, which closing tells; else NULL */
};

/* Where it fails, `l` is closed. */
bool listener_open(Listener *l, Loop *loop, const Address *a, ListenerFn *fn, Err *err) MUST_USE;
/* Idempotent, also on a zeroed one; connections that were not yet accepted are refused. */
void listener_close(Listener *l);
