/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * KubeObjects: the one writer of the shapes in Kubernetes: performs a Plan's objects at the API
 * server, one plan at a time. What was written is known from its answer, before the watch shows it,
 * so that nothing is written twice; a watch that still shows what stood there before is not
 * believed.
 */

#include "base/log.h"
#include "control/plan.h"
#include "execute/definitions.h"
#include "kube/kube_events.h"
#include "kube/kube_write.h"

enum {
        KUBE_OBJECTS_AT_ONCE = 4, /* requests under way: an API server answers in some 20 ms */
        /* After a failed write an object is left alone: at random below 1 s, 2 s, … this, and
         * longer where the server says so. */
        KUBE_OBJECTS_REST_S = 60,
        /* At least so long where the same can only fail again: it is refused as it is, or for who
         * we are. */
        KUBE_OBJECTS_REST_REFUSED_S = 15,
};

typedef struct KubeObjects KubeObjects;

typedef struct KubeObjectsInput {
        Loop *loop;
        Log *log;
        KubeApi *api;       /* borrowed */
        KubeEvents *events; /* borrowed; NULL: nothing is told */
        WriteFact *fact;    /* borrowed; written to */
        uint64_t seed;      /* of chance */
        /* How long from now on a write in that role may be under way; 0: it must not be sent (the
         * Lease is not ours, the process drains). Asked before each request leaves. */
        Span (*may_write)(void *owner, PlanRole role);
        /* A plan was performed or dropped, something came to stand there, or a pause after a
         * failure is over: plan again. From the loop. */
        void (*on_done)(void *owner);
        void *owner;
} KubeObjectsInput;

/* How many of each, for metrics. */
typedef struct KubeObjectsCounts {
        KubeWriteCounts verbs[3]; /* by PlanVerb */
        Definitions definitions;  /* that are too old for what was to be written */
} KubeObjectsCounts;

/* Never NULL; writes nothing by itself. */
KubeObjects *kube_objects_open(const KubeObjectsInput *in) MUST_USE;
/* What the watches show by now; taken by reference. Before each plan that is made of news of
 * theirs. */
void kube_objects_tell(KubeObjects *o, const Table *watched);
/* The same with our own writes in it: PlanInput.observed. Borrowed until the next call or delivery.
 * Never NULL. */
const Table *kube_objects_observed(KubeObjects *o);
/* The Bindings in it: PlanInput.outside; borrowed likewise. */
const Outside *kube_objects_outside(KubeObjects *o);
/* Performs the objects of the plan (copied) and tells its events. False where one is under way: it
 * ends with the requests that are in flight, and on_done follows. Nothing to do is done at once,
 * without on_done. */
bool kube_objects_run(KubeObjects *o, const Plan *plan);
/* Is something being written? Then on_done follows. */
bool kube_objects_is_writing(const KubeObjects *o);
const KubeObjectsCounts *kube_objects_counts(KubeObjects *o);
/* The resource of a kind that we write. */
const KubeResource *kube_objects_resource(ObservedKind kind);
/* What is in flight is given up, and may have been done. NULL is welcome. Returns NULL. */
KubeObjects *kube_objects_close(KubeObjects *o);
