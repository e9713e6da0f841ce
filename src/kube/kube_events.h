/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * KubeEvents: what happened to an object, told where `kubectl describe` shows it (Events of
 * events.k8s.io/v1). Telling only notes: it asks nothing, waits for nothing and cannot fail. What
 * is told again becomes one Event with a count. Where the API server does not take them as fast as
 * they come, or one object makes too much noise, they are counted and dropped.
 *
 * One call at a time is under way, so that Events never stand in the way of what matters.
 */

#include "base/metric.h"
#include "kube/kube_write.h"

enum {
        /* For one object: so many at once after a rest, then one in that time, as clients of others
         * do (their EventSourceObjectSpamFilter). A new count of an Event is one, too. */
        KUBE_EVENTS_BURST = 25,
        KUBE_EVENTS_APART_S = 300,
        /* The same again within that time after the last is one Event with a count. */
        KUBE_EVENTS_SERIES_S = 360,
        KUBE_EVENTS_SERIES_MAX = 1024,  /* remembered; the one told longest ago is forgotten */
        KUBE_EVENTS_OBJECTS_MAX = 1024, /* likewise, of their limits */
        KUBE_EVENTS_QUEUE_MAX = 256,    /* that wait to be sent, some 300 KiB */
        KUBE_EVENTS_TRIES = 3,
        /* What an API server takes. */
        KUBE_EVENTS_NOTE_MAX = 1024,
        KUBE_EVENTS_WORD_MAX = 128, /* reason, action, instance */
};

/* What it is about. */
typedef struct KubeRegarding {
        const KubeResource *resource;
        Str ns, name, uid; /* ns empty: of the cluster. uid may be empty */
} KubeRegarding;

typedef struct KubeNews {
        KubeRegarding regarding;
        bool is_warning;
        Str reason; /* CamelCase, "Conflicted" */
        Str action; /* what was tried, "Translate" */
        Str note;   /* for people; cut at KUBE_EVENTS_NOTE_MAX. It holds no secret */
} KubeNews;

typedef struct KubeEventsCounts {
        uint64_t told;
        uint64_t created, counted; /* Events that were written; new counts of them */
        uint64_t limited;          /* dropped: the object makes too much noise */
        uint64_t dropped;          /* because too many wait */
        uint64_t failed;           /* the API server did not take them */
        int64_t waiting;           /* to be sent */
} KubeEventsCounts;

extern const MetricTable kube_events_metrics; /* of KubeEventsCounts */

typedef struct KubeEvents KubeEvents;
/* One was not taken; it is not tried again. */
typedef void KubeEventsFn(KubeEvents *e, const Err *err);

typedef struct KubeEventsInput {
        KubeApi *api;           /* borrowed */
        const char *controller; /* "gateway.tailscale.com/operator": a qualified name; copied */
        Str instance;           /* who of them, a pod's name; copied; cut at KUBE_EVENTS_WORD_MAX */
        KubeEventsFn *failed;   /* NULL is welcome. May close */
        uint64_t seed;          /* of chance */
        void *owner;
} KubeEventsInput;

/* Never NULL. */
KubeEvents *kube_events_open(const KubeEventsInput *in) MUST_USE;
void *kube_events_owner(const KubeEvents *e);
/* Notes it; it leaves at the end of the turn or later. All is copied. */
void kube_events_tell(KubeEvents *e, const KubeNews *news);
const KubeEventsCounts *kube_events_counts(const KubeEvents *e);
/* What was not sent yet is dropped. NULL is welcome; returns NULL. */
KubeEvents *kube_events_close(KubeEvents *e);
