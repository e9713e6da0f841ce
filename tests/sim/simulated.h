/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Simulated: the whole program but its sockets: hub, discovery, translate, control, and what it
 * writes, on a clock that is told to go on, with played tailnets and an Envoy Gateway that asks for
 * whatever the Bindings name. app/run.c has the same wiring with the real ends.
 */

#include "base/digest.h"
#include "execute/on_disk.h"
#include "io/testing.h"
#include "source/hub.h"
#include "translate/snapshot.h"

enum {
        SIMULATED_EPOCH_S = 1000, /* of the monotonic clock, when the wall clock says: */
};
#define SIMULATED_EPOCH_MS INT64_C(1795381081000) /* 2026-11-22T20:58:01Z */

typedef struct Simulated {
        TestClock time;
        Clock clock;
        Loop *loop;
        TestDir dir; /* resources/ and generated/ */
        char resources[TEST_PATH], generated[TEST_PATH], endpoints[TEST_PATH];
        Facts facts;
        OnDisk disk;
        Hub *hub; /* NULL: not running */
        Snapshot *snapshot;
        Report *report;
        Post plan_post;
        Timer plan_timer;
        Timer asked; /* Envoy Gateway calls a while after a Binding was written */
        unsigned writes;
        const char *violation; /* what must never be, or NULL */
        void (*on_world)(void *owner, const World *before, const World *now);
        void *owner;
        const World *world; /* the last that was told; one reference */
} Simulated;

/* `s` zeroed but for on_world and owner. Not running yet. */
void simulated_init(Simulated *s);
void simulated_done(Simulated *s);
/* Starts the program with what stands on the disk; `seed` of its jitter. */
void simulated_start(Simulated *s, uint64_t seed);
/* As kill -9: what is on the disk stays. */
void simulated_kill(Simulated *s);
/* Writes the manifests, as a user does. */
void simulated_write(Simulated *s, Str manifests);
/* So much time passes, in steps that are short beside every interval. */
void simulated_pass(Simulated *s, Span time);
/* The wall clock jumps. */
void simulated_jump(Simulated *s, Span by);
/* Would a plan of now write anything? */
bool simulated_is_settled(Simulated *s);
/* Of all generated files: names and bytes. */
Digest simulated_files(const Simulated *s);
