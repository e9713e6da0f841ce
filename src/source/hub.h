/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Hub: where all that comes in becomes a World: two watched directories or an API server, the
 * tailnets on their clocks, the cache of the start. Changes are held off for a moment, so that a
 * burst makes one World, but never longer than HUB_HOLD_OFF_MAX_MS.
 *
 * A hub leads or follows. One that leads asks tailnets, probes, and finds out what is in force,
 * beginning with what stood there. One that follows asks nobody: what is in force is what the
 * leader has written at the API server. Without one there is nobody to follow, and it leads.
 */

#include "base/log.h"
#include "base/secret.h"
#include "io/loop.h"
#include "model/facts.h"
#include "model/world.h"
#include "source/kube_source.h"
#include "tailnet/tailnet_source.h"

enum {
        HUB_HOLD_OFF_MS = 20,
        HUB_HOLD_OFF_MAX_MS = 200,
        /* A tailnet that has neither answered nor a cache holds up the first answer this long from
         * when the directories are read, no longer. */
        HUB_FIRST_SYNC_S = 10,
};

typedef struct Hub Hub;
/* `world` is borrowed for the call. */
typedef void HubFn(void *owner, const World *world);
/* From the loop, also where no World follows. */
typedef void HubObservedFn(void *owner);

typedef struct HubInput {
        Loop *loop;
        Log *log;
        struct HttpClient *http;
        Facts *facts;
        const char *resources;         /* directories; paths are copied. NULL with `kube` */
        const char *gateway_resources; /* NULL: the same as resources */
        const char *cache;             /* of our own TailscaleEndpoints; NULL: none */
        KubeApi *kube;                 /* borrowed; NULL: directories. At first the hub follows */
        StrList namespaces;   /* that are read of it, at most KUBE_SOURCE_NAMESPACES_MAX; none: all.
                                 Copied, as is the next */
        Str own_namespace;    /* where what we manage stands; empty: nothing does */
        const Policy *policy; /* what may be asked and dialled; NULL: all. A reference is taken */
        uint64_t seed;        /* of all jitter */
        bool only_asks;       /* control servers: no endpoint is probed, no port looked for */
        TailnetOpenFn *open;  /* sources; NULL: those of tailnet_source.h */
        TailnetOpenFn *open_local;
        HubFn *fn;                  /* a new World, from the loop */
        HubObservedFn *on_observed; /* what hub_kube tells is another; NULL: not asked for */
        void *owner;
} HubInput;

/* Reads the directories and the cache; the first World is delivered in the next turn. */
Hub *hub_open(const HubInput *in) MUST_USE;
/* Follows from now on, or leads as soon as our objects have been listed again: whoever leads begins
 * with what stands at the API server, and a watch may be behind. The World that tells of it comes
 * from the loop. Only with `kube`. */
void hub_lead(Hub *h, bool lead);
/* By now? */
bool hub_leads(const Hub *h);
/* What stands at the API server: Observed and faults of its objects; NULL without. Borrowed. */
const KubeSource *hub_kube(const Hub *h);
/* The newest World; borrowed. */
const World *hub_world(const Hub *h);
/* Reads everything again and asks every tailnet (SIGHUP). */
void hub_reread(Hub *h);
/* Brings the next poll of one TailscaleTailnet forward; false where there is none of that key. */
bool hub_trigger(Hub *h, ObjectKey tailnet);
/* `webhook_secret` of its Secret, borrowed until the next turn; NULL where it, or the
 * TailscaleTailnet, is not there. */
const Secret *hub_webhook_secret(const Hub *h, ObjectKey tailnet);
/* The Bindings that are written: their keys are part of the World. Without `kube`, which tells of
 * them itself. */
void hub_tell_bindings(Hub *h, const Table *bindings);
/* Lets through the removal that is held for one entry, where its digest is still this one. False,
 * with the reason, where nothing like it is held. */
bool hub_approve(Hub *h, EntryKey entry, Str digest, Err *err) MUST_USE;
/* Allowed in the HubFn. NULL is welcome. Returns NULL. */
Hub *hub_close(Hub *h);
