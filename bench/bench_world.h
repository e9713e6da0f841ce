/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * BenchWorld: the way of an answer through the program without its sockets: a Table of devices in,
 * discovery, World, Snapshot.
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
} BenchWorld;

/* Nothing but these resources; nothing was polled yet. Aborts where they do not load. */
void bench_world_open(BenchWorld *b, const char *manifests);
/* The control server of the TailscaleTailnet demo/`name` answered with `devices` (one reference,
 * taken over). */
void bench_world_answer(BenchWorld *b, const char *name, Table *devices);
/* The devices of the last such answer, borrowed; NULL before the first. */
const Table *bench_world_devices(const BenchWorld *b, const char *name);
/* The next World, one second later. */
void bench_world_discover(BenchWorld *b);
/* The next Snapshot, of the World as it is now. */
void bench_world_translate(BenchWorld *b);
void bench_world_done(BenchWorld *b);

/*
 * Ready-made: a tailnet of `n` devices (at most `room` later) that are all taken, on one Gateway
 * demo/gw with one HTTP listener, polled and translated once.
 */
void bench_world_init(BenchWorld *b, size_t n, size_t room);
/* Device `i` has the address number `address` from now on. */
void bench_world_move(BenchWorld *b, size_t i, uint32_t address);
/* One more device, or the last one goes. */
void bench_world_add(BenchWorld *b);
void bench_world_remove(BenchWorld *b);
/* A poll that found the devices as they are now: the next World. */
void bench_world_poll(BenchWorld *b);
