/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * KubeWatch: all objects of one kind, kept up to date: listed, then watched, and again from where
 * it was when the watch ends. Listed is by a watch that begins with all that is there, where the
 * server offers that, else in pages. Its owner is told of each object that came, changed or
 * went, from the loop, and keeps what it needs; the watch itself keeps uid and resourceVersion of
 * each key, so that a new list tells nothing twice and forgets nothing.
 *
 * Until the first list is whole it is not synced, which is not empty. From then on it is, and what
 * was told stays true as far as anybody knows, however long the server is away (kube_watch_seen).
 */

#include "kube/kube_api.h"
#include "kube/kube_event.h"

enum {
        KUBE_PAGE = 500,           /* objects of a page */
        KUBE_OBJECTS_MAX = 100000, /* of one watch: an order of magnitude above any real kind */
        KUBE_LIST_BYTES_MAX = 256 << 20, /* of one page; of an element see json_stream.h */
        KUBE_LIST_DEADLINE_S = 60,       /* of one page; of silence in a streamed list */
        KUBE_CONTINUE_MAX = 2048,        /* of the server's token for the next page */
        /* Between two turns of the loop libcurl hands over less than 2 MiB of one request. */
        KUBE_WATCH_BYTES_MAX = 8 << 20,
        /* A server tells by a bookmark once a minute where it is. After three of them in silence
         * the connection is given up. */
        KUBE_SILENCE_S = 180,
        KUBE_WATCH_SECONDS = 300,   /* what a watch is asked to last, up to twice as long */
        KUBE_WATCH_SHORT_S = 5,     /* one that ended earlier, without a word, has failed */
        KUBE_RELIST_JITTER_S = 5,   /* many watchers learn at once that they must list again */
        KUBE_WATCH_TRIES = 3,       /* failures in a row after which the list is asked instead, and
                                       instead of a streamed one pages */
        KUBE_WATCH_ROOM = 64 << 10, /* of memory that was used for reading and is kept */
        KUBE_KEEP_MAX = 8,
};

typedef struct KubeWatch KubeWatch;

/* Any may close the watch. */
typedef struct KubeWatchEvents {
        /* It came or changed. `object` is valid until the return; of a page it has the members of
         * `keep` alone, of an event all. */
        void (*put)(KubeWatch *w, Str key, const Tree *object);
        void (*gone)(KubeWatch *w, Str key);
        /* A list is whole, and all that is not in it was told to be gone. After each list. */
        void (*synced)(KubeWatch *w);
        /* It did not go well, and is tried again. NULL is welcome. */
        void (*failed)(KubeWatch *w, const Err *err);
        /* It came or changed, and is larger than can be read: `object` has of its metadata what
         * kube_event_core names, and nothing else. NULL: such an object is an error, and keeps all
         * others from being read. */
        void (*large)(KubeWatch *w, Str key, const Tree *object);
} KubeWatchEvents;

typedef struct KubeWatchInput {
        KubeApi *api;     /* borrowed */
        const char *path; /* "/apis/GROUP/VERSION/[namespaces/NS/]KINDS", selectors in its query
                             (kube_query_add); copied */
        StrList keep; /* members of each object that are built from a page, at most KUBE_KEEP_MAX,
                         beside metadata; none: all. Borrowed until the close */
        KubeWatchEvents events;
        unsigned missing_s; /* where the server has no such kind (404) it is asked again within so
                               many seconds; 0: as after any failure */
        bool is_secret; /* what came is wiped when it was read; the Tree is the owner's to wipe */
        uint64_t seed;  /* of chance */
        void *owner;
} KubeWatchInput;

/* What happened so far. */
typedef struct KubeWatchCounts {
        uint64_t lists, streamed; /* those that came whole; of them not in pages */
        uint64_t watches, events, bookmarks, expired, silences, failures;
        int64_t objects, synced; /* synced: 0 or 1 */
} KubeWatchCounts;

extern const MetricTable kube_watch_metrics; /* of KubeWatchCounts */

/* Never NULL; nothing is told before the return. */
KubeWatch *kube_watch_open(const KubeWatchInput *in) MUST_USE;
/* Allowed inside its events; nothing is told after. NULL is welcome; returns NULL. */
KubeWatch *kube_watch_close(KubeWatch *w);
void *kube_watch_owner(const KubeWatch *w);
/* Only inside `put` and `large`: the object is nothing to its owner, and the watch need not keep
 * its key either. It is told again when it changes, and with a list; that it went is not told. */
void kube_watch_forget(KubeWatch *w);
bool kube_watch_is_synced(const KubeWatch *w);
/* When the server last said something that was understood; 0: never. */
Mono kube_watch_seen(const KubeWatch *w);
size_t kube_watch_objects(const KubeWatch *w);
KubeWatchCounts kube_watch_counts(const KubeWatch *w);
