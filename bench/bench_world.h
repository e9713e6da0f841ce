/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * BenchWorld: a tailnet of N devices that are all taken, on one Gateway demo/gw with one HTTP
 * listener, made the way the program makes it: lists of devices in, discovery, World, Snapshot.
 * What is left out is the reading of the control server's JSON.
 */

#include "source/world_build.h"
#include "translate/snapshot.h"

typedef struct BenchWorld {
        WorldInput in; /* owns its tables */
        const World *world;
        Snapshot *snapshot;
        Report *report;
        const void **devices; /* owned, one reference each, by number */
        size_t n, room;
        uint64_t poll;
} BenchWorld;

/* `n` devices, at most `room` later. Aborts where the embedded manifests do not load. */
void bench_world_init(BenchWorld *b, size_t n, size_t room);
void bench_world_done(BenchWorld *b);
/* Device `i` has the address number `address` from now on. */
void bench_world_move(BenchWorld *b, size_t i, uint32_t address);
/* One more device, or the last one goes. */
void bench_world_add(BenchWorld *b);
void bench_world_remove(BenchWorld *b);
/* A poll that found the devices as they are now: the next World. */
void bench_world_poll(BenchWorld *b);
/* The next Snapshot, of the World as it is now. */
void bench_world_translate(BenchWorld *b);
