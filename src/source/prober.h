/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Prober: looks at the endpoints of those tailnets[] entries that ask for it (`probes`), the way
 * that Envoy goes: through the entry's CONNECT proxies in turn, or directly. What it finds is a
 * Fact for people; nothing is routed by it.
 *
 * Each endpoint is probed every interval, ±10 %, the first time anywhere within one, so that a
 * thousand of them are spread; at most PROBER_IN_FLIGHT_MAX at once, what is beyond waits its turn.
 */

#include "base/log.h"
#include "io/loop.h"
#include "model/facts.h"
#include "model/world.h"

struct HttpClient;

enum {
        PROBER_ENDPOINTS_MAX = 5000, /* in order of their entries; what is beyond is not probed, and
                                        the log says so */
        PROBER_IN_FLIGHT_MAX = 32,   /* each holds a connection of the proxy */
};

typedef struct Prober Prober;

typedef struct ProberInput {
        Loop *loop;
        Log *log;
        struct HttpClient *http;
        Facts *facts; /* of it `probes` and `n_unprobed` are the prober's to set */
        uint64_t seed;
} ProberInput;

/* Probes nothing until the first World. Never NULL. */
Prober *prober_open(const ProberInput *in) MUST_USE;
/* Probes the endpoints of this World from now on; what is known of those that stay is kept. */
void prober_update(Prober *p, const World *world);
/* Aborts what is under way. NULL is welcome. Returns NULL. */
Prober *prober_close(Prober *p);
