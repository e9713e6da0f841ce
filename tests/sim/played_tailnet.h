/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * PlayedTailnet: a tailnet that is only played: what is true of it, what its control server and its
 * tailscaled say instead while a fault lasts, and whether who asks keeps to the manners. Answers of
 * the control server go through the reader of real ones as text.
 */

#include "source/pace.h"
#include "tailnet/tailnet_kind.h"

enum {
        PLAYED_DEVICES = 12,
        PLAYED_NAME = 32,
        PLAYED_PORT = 8080, /* of every device, told by its tag */
        /* A list that lies lacks so many of a hundred: always more than the guard lets pass. */
        PLAYED_SHORT_PERCENT = 80,
        PLAYED_CONFIRMATIONS = 3, /* that persuade the guard */
        PLAYED_SHORT_FROM = 9,    /* devices; below, a short list would be believed at once */
};

typedef enum PlayedFault {
        PLAYED_WELL,
        PLAYED_DENIED,  /* 401 */
        PLAYED_LIMITED, /* 429 with Retry-After */
        PLAYED_BROKEN,  /* 500 */
        PLAYED_HANGS,   /* until the deadline of a poll */
        PLAYED_HALF,    /* a list that is cut off anywhere */
        PLAYED_EMPTY,   /* a good answer without devices: a lie */
        PLAYED_SHORT,   /* a good answer that lacks most: a lie */
        PLAYED_FAULTS,
} PlayedFault;

typedef struct PlayedDevice {
        unsigned id;
        char name[PLAYED_NAME];
        bool is_there, is_expired, is_offline;
        bool is_hidden; /* from the tailscaled */
} PlayedDevice;

/* One that answers: the control server, or the tailscaled. */
typedef struct PlayedServer {
        PlayedFault fault;
        unsigned answers_left; /* until the fault is over */
        Mono not_before;       /* what it said with Retry-After */
        Mono hour;             /* start of the hour that is counted */
        unsigned calls;        /* in it */
        bool is_busy;
        struct PlayedSource *source; /* the one that is open; or NULL */
} PlayedServer;

typedef struct PlayedTailnet {
        const char *name; /* of the TailscaleTailnet */
        unsigned net;     /* third byte of its addresses */
        Span interval;
        PlayedDevice devices[PLAYED_DEVICES];
        unsigned next_id;
        PlayedServer api, local;
        Chance *chance;
        unsigned calls, failures; /* of all sources */
        unsigned lies;            /* of its control server, since it told the truth */
        bool lie_believed;        /* so many that the guard may have been persuaded */
        const char *violation;    /* the first breach of manners, or NULL */
} PlayedTailnet;

/* Two that are open at once; `open` and `open_local` of HubInput find theirs among them by name. */
typedef struct PlayedStage {
        PlayedTailnet *tailnets;
        size_t n;
} PlayedStage;
extern PlayedStage played_stage;
TailnetSource *played_open(const TailnetSourceInput *in, Err *err);
TailnetSource *played_open_local(const TailnetSourceInput *in, Err *err);

/* All there, well and visible. */
void played_tailnet_init(PlayedTailnet *t, const char *name, unsigned net, Chance *chance);
/* How many are there and usable. */
unsigned played_tailnet_good(const PlayedTailnet *t);
/* Begins a fault that lasts for so many answers. */
void played_server_fault(PlayedServer *s, PlayedFault fault, unsigned answers);
/* The tailscaled tells that something changed, where one is open. */
void played_tailnet_change(PlayedTailnet *t);
/* Uniform below n. */
unsigned played_dice(Chance *c, unsigned n);
