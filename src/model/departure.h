/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Departures: the endpoints that left last, with when and why. The World forgets what is not there
 * any more; whoever asks after a host that answered yesterday wants to know.
 */

#include "base/instant.h"
#include "base/leaf.h"
#include "model/object.h"

enum {
        DEPARTURES_MAX = 64 /* some 300 bytes each; of more that leave at once the last ones stay */
};

typedef struct Departure {
        Leaf leaf;
        Wall at;
        ObjectKey gateway; /* the TailscaleGateway */
        Str tailnet;       /* tailnets[].name */
        Str service, address;
        uint16_t port;
        Str reason; /* "Missing", or why the device is left out now */
        Str text;
} Departure;

/* A ring; zeroed is empty. */
typedef struct Departures {
        const Departure *at[DEPARTURES_MAX]; /* one reference each */
        size_t n;                            /* of all that ever left */
} Departures;

void departures_done(Departures *d);
/* Remembers a copy of `like`, in place of the oldest where it is full. */
void departures_add(Departures *d, const Departure *like);
/* The i-th, newest first, or NULL. */
const Departure *departures_newest(const Departures *d, size_t i);
