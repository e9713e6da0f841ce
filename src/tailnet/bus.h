/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Bus: tailscaled's stream of notifications (`GET /localapi/v0/watch-ipn-bus`) as a trigger: it
 * tells that something changed, never what. It is connected for as long as it is open: a stream
 * that ends is asked for again after 1 s, doubling to 30 s where it does not last.
 */

#include "base/log.h"
#include "net/http_client.h"

enum {
        BUS_WAIT_MIN_S = 1,
        BUS_WAIT_MAX_S =
                30, /* also how long a stream lasts that begins with the least wait again */
};

typedef struct Bus Bus;
/* At most once a turn, from the loop; the bus may be closed inside. A stream that begins and one
 * that is lost tell too: something may have changed in between. */
typedef void BusFn(Bus *b);

typedef struct BusInput {
        Loop *loop; /* this and the next two are borrowed until it is closed */
        Log *log;
        HttpClient *http;
        const char *socket; /* path; copied */
        BusFn *fn;
        void *owner;
} BusInput;

/* Asks for the stream at once. Never NULL: what is wrong is tried again, and logged once. */
Bus *bus_open(const BusInput *in) MUST_USE;
/* The daemon answers just now, as the caller knows: a stream that could not be had is asked for at
 * once. */
void bus_daemon_is_there(Bus *b);
/* Has the stream brought anything since it was asked for last? */
bool bus_is_live(const Bus *b);
void *bus_owner(const Bus *b);
/* Nothing is told after. NULL is welcome. Returns NULL. */
Bus *bus_close(Bus *b);
