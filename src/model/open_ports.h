/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* OpenPorts: which ports of a device without any port rule were found open by looking. */

#include "base/table.h"
#include "model/object.h"

enum {
        OPEN_PORTS_MAX = 16, /* ports that are looked at; so many of a device become endpoints */
};

typedef struct OpenPorts {
        Leaf leaf;
        ObjectKey gateway; /* the TailscaleGateway */
        Str tailnet;       /* tailnets[].name */
        Str node_id;
        uint16_t ports[OPEN_PORTS_MAX]; /* in the order in which they are looked at */
        size_t n;                       /* 0: none is open */
} OpenPorts;

/* What is looked up. */
typedef struct OpenPortsKey {
        ObjectKey gateway;
        Str tailnet, node_id;
} OpenPortsKey;

/* A leaf with copies of all strings of `from`, whose own leaf is not looked at. */
OpenPorts *open_ports_new(const OpenPorts *from) MUST_USE;
/* By gateway, tailnet and node id. */
int open_ports_order(const void *a, const void *b);
/* `key` is an OpenPortsKey *. */
int open_ports_find(const void *key, const void *leaf);
bool open_ports_same(const void *a, const void *b);
