/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * PortScan: looks for open TCP ports of devices that no rule gives one, where a user asked for it
 * (`portProbing`): the few ports that he named, one connection after the other, each device once
 * an interval, the way that Envoy would go. To the owners of a network it looks like what it is, so
 * it is off by default.
 *
 * A port that was found stays until PORT_SCAN_MISSES looks in a row did not find it: a device that
 * restarts must not lose its host.
 */

#include "base/log.h"
#include "io/loop.h"
#include "model/open_ports.h"
#include "model/world.h"

struct HttpClient;

enum {
        PORT_SCAN_DEVICES_MAX = 1000, /* in order of their entries; what is beyond is not looked at,
                                         and the log says so */
        PORT_SCAN_IN_FLIGHT_MAX = 8,  /* connections at once, of different devices */
        PORT_SCAN_MISSES = 3,
};

typedef struct PortScan PortScan;
typedef void PortScanFn(void *owner);

typedef struct PortScanInput {
        Loop *loop;
        Log *log;
        struct HttpClient *http;
        uint64_t seed;
        PortScanFn *fn; /* the Table changed: from the loop */
        void *owner;
} PortScanInput;

/* Looks at nothing until the first World. Never NULL. */
PortScan *port_scan_open(const PortScanInput *in) MUST_USE;
/* Looks at the devices of this World that have no port, or one by looking, from now on; what is
 * known of those that stay is kept. */
void port_scan_update(PortScan *s, const World *world);
/* Of OpenPorts: a record of each device of which all ports were looked at; borrowed until the next
 * call or delivery. */
const Table *port_scan_table(const PortScan *s);
/* Aborts what is under way. NULL is welcome. Returns NULL. */
PortScan *port_scan_close(PortScan *s);
