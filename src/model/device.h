/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Device: a machine of a tailnet as a control server tells of it, in one form for all of them. */

#include "base/instant.h"
#include "base/table.h"

typedef enum DeviceOnline {
        DEVICE_ONLINE_UNKNOWN,
        DEVICE_ONLINE,
        DEVICE_OFFLINE
} DeviceOnline;

/* What a tailscaled of ours sees of it: the control server tells of every device, a netmap only of
 * those that the policy lets this node reach. */
typedef enum DeviceSight {
        DEVICE_SIGHT_UNKNOWN, /* no tailscaled was asked, or it has not answered yet */
        DEVICE_VISIBLE,
        DEVICE_HIDDEN, /* the control server has it, the netmap has not: not reachable by policy */
} DeviceSight;

typedef struct Device {
        Leaf leaf;
        Str node_id; /* stable key within the tailnet; never empty */
        Str name;    /* as the API's name: full MagicDNS name without trailing dot where known, else
                        short; lower case */
        Str short_name; /* first label of name (Headscale: givenName) */
        Str ip4, ip6;   /* canonical text, or empty */
        Str os, user;   /* may be empty */
        StrList tags;   /* "tag:x", sorted */
        DeviceOnline online;
        Wall last_seen, expires;   /* 0: not known, never */
        bool still_valid;          /* who tells of it says itself that its key has not expired */
        bool authorized;           /* approved; true where the API does not say */
        bool external;             /* shared in from another tailnet */
        bool blocks_incoming;      /* shields up */
        bool multiple_connections; /* two machines with one node key */
        Str lock_error;            /* tailnet lock: not signed, or empty */
        DeviceSight sight;
} Device;

/* A leaf with copies of all strings of `from`, whose own leaf is not looked at. */
Device *device_new(const Device *from) MUST_USE;
/* By node id. */
int device_order(const void *a, const void *b);
/* `key` is a Str *: the node id. */
int device_find(const void *key, const void *leaf);
/* Does everything that we use agree? (last_seen and online included.) */
bool device_same(const void *a, const void *b);
