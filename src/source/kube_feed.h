/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * KubeFeed: one watch of one kind, and what it has told so far as leaves: of each object the newest
 * that was good, what is wrong with it now, what stands there of it.
 */

#include "base/log.h"
#include "kube/kube_watch.h"
#include "model/object_fault.h"
#include "source/kube_kinds.h"

/* An object as it is kept. All but `admitted` are the feed's to change. */
typedef struct KubeKept {
        Str key; /* "namespace/name"; behind it */
        uint64_t round;
        const void *leaf; /* good; NULL: none was, or it is being deleted. One reference each */
        const Observed *observed;
        const ObjectFault *fault;
        const void *admitted; /* the leaf that is shown, where the owner holds some back */
        char text[];          /* of key */
} KubeKept;

enum {
        KUBE_FEED_LEAVES = 1,
        KUBE_FEED_OBSERVED = 2,
        KUBE_FEED_FAULTS = 4,
        KUBE_FEED_STATE = 8, /* synced, or failing, or counts */
};

enum {
        /* A kind that must be there and is not is looked for so often: whoever installs its
         * definition last waits for us, and an API server answers that in a millisecond. */
        KUBE_FEED_MISSING_S = 5,
};

typedef struct KubeFeed KubeFeed;
/* From inside the watch: only notes what is to be done. */
typedef void KubeFeedFn(KubeFeed *f, unsigned changed);
/* Does a leaf bear on us? What does not is forgotten. */
typedef bool KubeFeedFilter(const KubeFeed *f, const void *leaf);

typedef struct KubeFeedInput {
        KubeApi *api; /* borrowed */
        Log *log;
        const KubeKind *kind;
        Str namespace;          /* empty: all, or the kind has none. Copied, as the next two */
        Str name;               /* the only object that is read; empty: all */
        Str label;              /* selector; empty: none */
        bool may_be_denied;     /* then we do without */
        KubeFeedFilter *filter; /* NULL: all is kept */
        KubeFeedFn *fn;
        uint64_t seed;
        void *owner;
} KubeFeedInput;

/* Begins to list; nothing is told before the return. Never NULL. */
KubeFeed *kube_feed_open(const KubeFeedInput *in) MUST_USE;
/* As its input had them. */
void *kube_feed_owner(const KubeFeed *f);
/* One of kube_kinds. */
const KubeKind *kube_feed_kind(const KubeFeed *f);
/* The namespace and the name that are read; either may be empty. */
ObjectKey kube_feed_key(const KubeFeed *f);
/* Lists everything again, because the filter lets more through. What is kept stays until the new
 * list is whole. Not from inside the fn. */
void kube_feed_again(KubeFeed *f);
/* Has it been listed since it was opened, or was to begin again? Also where we do without it. */
bool kube_feed_is_synced(const KubeFeed *f);
/* Drops what the filter no longer lets through. */
void kube_feed_sift(KubeFeed *f);
/* Why it fails now; kind ERR_NONE: it does not. */
const Err *kube_feed_err(const KubeFeed *f);
/* Is it failing, and can we do without it? */
bool kube_feed_is_missed(const KubeFeed *f);
KubeWatchCounts kube_feed_counts(const KubeFeed *f);
/* Of what is counted up; objects and synced are left alone. */
KubeWatchCounts kube_feed_sum(KubeWatchCounts a, KubeWatchCounts b);
size_t kube_feed_n(const KubeFeed *f);
/* In no order; what is made of it is to be sorted. `fn` may set `admitted`, nothing else. */
typedef void KubeFeedEach(void *ctx, KubeKept *kept);
void kube_feed_each(const KubeFeed *f, KubeFeedEach *fn, void *ctx);
/* Not from inside the fn. NULL is welcome. Returns NULL. */
KubeFeed *kube_feed_close(KubeFeed *f);
