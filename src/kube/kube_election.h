/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * KubeElection: the rules of kube_lease.h without calls and timers: what to ask of the Lease when,
 * and what an answer means. Pure: times and chance are handed in, so that a test can play thousands
 * of candidates with clocks of their own.
 */

#include "base/buf.h"
#include "base/digest.h"
#include "base/instant.h"
#include "base/metric.h"
#include "kube/kube_status.h"

enum {
        /* As client-go's defaults. */
        KUBE_LEASE_DURATION_S = 15, /* until others may take it */
        KUBE_LEASE_RENEW_S = 10,    /* until we hold it no more */
        KUBE_LEASE_RETRY_S = 2,     /* between two renewals, and two tries to take it */
        KUBE_LEASE_CALL_S = 5,      /* of one call, so that a second fits before the deadline */
        KUBE_LEASE_RELEASE_S = 3,   /* for giving it back */
        KUBE_LEASE_BYTES_MAX = 64 << 10, /* of the object; ours has some hundred */
        KUBE_LEASE_NAME_MAX = 253,       /* of its name, its namespace and an identity */
};

typedef struct KubeLeaseCounts {
        int64_t leader;       /* 1: held. As of the last thing that happened */
        uint64_t transitions; /* times that another identity than before was seen to hold it */
        uint64_t renewals;    /* that were answered well, taking it included */
        uint64_t failures;    /* calls that failed, or were refused */
} KubeLeaseCounts;

/* What is to be asked of the Lease. */
typedef enum KubeElectionVerb {
        KUBE_ELECTION_WAIT, /* nothing before `next`, or before the answer that is awaited */
        KUBE_ELECTION_READ,
        KUBE_ELECTION_CREATE,
        KUBE_ELECTION_UPDATE, /* with resourceVersion, so that 409 answers who was late */
        KUBE_ELECTION_OVER,   /* nothing any more: it was released */
} KubeElectionVerb;

typedef struct KubeElectionInput {
        const char *ns, *name, *identity; /* borrowed */
        uint64_t seed;
} KubeElectionInput;

typedef struct KubeElection {
        KubeElectionInput in;
        uint64_t chance;
        Arena arena;
        const Tree *object; /* the Lease as it stands there, as far as is known; in the arena.
                               NULL: read it */
        KubeElectionVerb plan, doing;
        Mono next; /* when `plan` is due */
        Mono tick; /* when this try began */
        Mono sent; /* what is under way */
        Mono until;
        bool begins;    /* the next thing that is asked begins a try */
        bool reread;    /* this one has met a conflict */
        bool claimed;   /* our identity was sent */
        bool sure;      /* … and not by a CREATE whose answer is not known */
        bool releasing; /* … and never will be again */
        /* What was seen of the record: by whom, and since when it is as it is. */
        bool seen;
        Digest record;
        Mono changed;
        Mono absent, looked; /* no Lease since then; last seen then that there is none */
        Span lasts;
        char holder[KUBE_LEASE_NAME_MAX + 1];
        Wall written; /* the last renewTime */
        KubeLeaseCounts counts;
} KubeElection;

void kube_election_init(KubeElection *e, const KubeElectionInput *in);
void kube_election_done(KubeElection *e);
/* What to ask at `now`; then that is under way until kube_election_answer. The body, where there is
 * one, is added to `body`. */
KubeElectionVerb kube_election_next(KubeElection *e, Mono now, Wall wall, Buf *body);

typedef struct KubeElectionAnswer {
        unsigned status; /* 0: none came */
        Str body;        /* of 2xx */
        Span retry_after;
        Err err; /* where it is not 2xx */
} KubeElectionAnswer;

/* Of what was under way. `now`: not before it came. False: it failed, and why. */
bool kube_election_answer(KubeElection *e, Mono now, const KubeElectionAnswer *a, Err *err);
/* What is under way is given up: it may have been done. */
void kube_election_forget(KubeElection *e);
/* It is asked for elsewhere: nothing is known of the Lease there. */
void kube_election_move(KubeElection *e, Mono now);
/* From now on it is given back and no more asked for, until KUBE_ELECTION_OVER. */
void kube_election_release(KubeElection *e, Mono now);
static inline bool kube_election_is_held(const KubeElection *e, Mono now)
{
        return e->until.ns != 0 && mono_before(now, e->until);
}
/* It is ours no more, whatever is said: who is told is told that it was held elsewhere. */
void kube_election_drop(KubeElection *e);
