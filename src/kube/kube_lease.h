/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * KubeLease: leader election by a Lease (coordination.k8s.io/v1), by the rules that other
 * controllers keep to: whoever holds it renews it; another takes it once it has seen no renewal for
 * as long as the Lease says. Nobody compares the times that stand in it: each counts by its own
 * monotonic clock, from when it saw the record change.
 *
 * A holder believes in itself for less long than the others do: for the renew deadline, from when
 * it *sent* the last renewal that was answered well. So two never hold it at once, also where an
 * answer is lost, the API server is away, or the process was stopped. That holds while the Lease is
 * not deleted before the eyes of one that has just begun, and no two processes have one identity.
 */

#include "kube/kube_api.h"
#include "kube/kube_election.h"

typedef struct KubeLease KubeLease;

/* Each is told from the loop and may close the lease. NULL is welcome for all but the first two. */
typedef struct KubeLeaseEvents {
        /* From now on kube_lease_is_held may be true. */
        void (*on_lead)(KubeLease *l);
        /* It is held no more, and was until now or some time ago. Not told after a release. */
        void (*on_lost)(KubeLease *l);
        /* Another has it now, or nobody: kube_lease_holder is another one. */
        void (*on_holder)(KubeLease *l);
        /* A try to take, renew or release it failed; it is tried again by itself. */
        void (*on_failed)(KubeLease *l, const Err *err);
        /* After kube_lease_release, once, within KUBE_LEASE_RELEASE_S. */
        void (*on_released)(KubeLease *l);
} KubeLeaseEvents;

/* All is copied. */
typedef struct KubeLeaseInput {
        KubeApi *api;          /* borrowed */
        const char *ns, *name; /* as they may be in Kubernetes: who calls has looked */
        const char *identity;  /* no other process has it, also not the one before us: with chance
                                  in it. What is held under it when we begin, another holds */
        KubeLeaseEvents events;
        uint64_t seed; /* of chance */
        void *owner;
} KubeLeaseInput;

extern const MetricTable kube_lease_metrics; /* of KubeLeaseCounts */

/* Begins to compete at once. Never NULL; nothing is told before the return. */
KubeLease *kube_lease_open(const KubeLeaseInput *in) MUST_USE;
void *kube_lease_owner(const KubeLease *l);

/* Is it ours at `now`? What guards a write. It says so from on_lead on, and stops by itself:
 * `now` decides, not an event. */
bool kube_lease_is_held(const KubeLease *l, Mono now);
/* How long a write that is sent right now may be under way; 0: it must not be sent. Reads the clock
 * itself, which may be later than the turn's (loop_now): for KubeMayWriteFn. */
Span kube_lease_left(const KubeLease *l);
/* Until when it is held; 0: it is not. It moves with each renewal. */
Mono kube_lease_until(const KubeLease *l);
/* Whose it was when it was last seen, for people; "" where it is nobody's or was never seen.
 * Valid until the next event. */
const char *kube_lease_holder(const KubeLease *l);
const KubeLeaseCounts *kube_lease_counts(const KubeLease *l);

/* Competes no more; kube_lease_is_held is false from now on. What is ours is given back, so that
 * another has it at once; on_released tells when that was tried. All writes that it guards must
 * have ended before. Once. */
void kube_lease_release(KubeLease *l);
/* Gives nothing back: others have it when its time is up. Allowed inside its events; nothing is
 * told after. NULL is welcome; returns NULL. */
KubeLease *kube_lease_close(KubeLease *l);
