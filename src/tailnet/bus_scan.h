/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * BusScan: tailscaled's notifications as they come, `{"State":6,…}\n{"PeersChanged":[…]}\n…`, for
 * one question: does one say that peers, this node or the state changed? It looks at names of
 * members and holds nothing else, so a notification may be as long as a netmap is, or endless.
 */

#include "base/err.h"

enum {
        BUS_NAME_MAX = 32,    /* longer names are none of those that we know */
        BUS_DEPTH_MAX = 1000, /* no notification is nested so deep */
};

/* All in it is private. */
typedef struct BusScan {
        unsigned depth;
        bool is_object[4]; /* of depth 1 to 3 */
        bool in_string, escaped, in_name;
        bool wants_name;  /* the next string at this depth is a name */
        bool wants_value; /* the next byte that is no space begins the value of `name` */
        bool in_patch;    /* inside PeerChangedPatch */
        char name[BUS_NAME_MAX];
        size_t name_n; /* above BUS_NAME_MAX: not one that we know */
} BusScan;

void bus_scan_init(BusScan *s);
/* The next bytes, in pieces of any size. *ret is set to true where they say so, else left alone; as
 * soon as they do, not only when the notification ends. False with ERR_INVALID "NoNotifications"
 * where it is no stream of JSON objects. */
bool bus_scan_feed(BusScan *s, Str bytes, bool *ret, Err *err) MUST_USE;
