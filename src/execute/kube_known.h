/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * KubeKnown: what stands at the API server as far as we know: what the watches show, and what our
 * own writes were answered with, whichever is newer. Beside it what is remembered of an object: how
 * a write came out, and until when it is left alone after a failure. Pure; `now` is an argument.
 */

#include "control/plan.h"

enum {
        /* A write that the watch has not shown by then is looked for no more: the object is as the
         * watch says. What is wished is then written again, which changes nothing where it stands
         * there. */
        KUBE_KNOWN_SHOWN_S = 30,
        /* Objects of which something is remembered; Bindings have places of their own. Of what is
         * beyond nothing is: a write may be repeated that was not needed, after this time. */
        KUBE_KNOWN_MAX = 8192,
        KUBE_KNOWN_BINDINGS_MAX = 1024,
        KUBE_KNOWN_CROWDED_S = 30,
        /* One object, but a Binding, which is kept apart as it is planned, is written so often in a
         * row, and from then on once in this time, as a Binding is: somebody else seems to put it
         * back. */
        KUBE_KNOWN_WRITES = 60,
        KUBE_KNOWN_WRITES_APART_S = 1,
};

typedef struct KubeKnown KubeKnown;

/* Nothing is known yet. Never NULL. */
KubeKnown *kube_known_new(void) MUST_USE;
/* NULL is welcome. Returns NULL. */
KubeKnown *kube_known_free(KubeKnown *k);

/* What the watches show; one reference is taken. */
void kube_known_tell(KubeKnown *k, const Table *watched, Mono now);
/* All of it, of Observed. Borrowed until the next change. */
const Table *kube_known_table(KubeKnown *k, Mono now);
/* Its Bindings, with the times of our own writes, and for a while those that are gone, of which
 * only `at` is set; likewise. */
const Outside *kube_known_outside(KubeKnown *k, Mono now);

/* `o` was written, and this is what came of it (of a delete: it waits for something); one reference
 * is taken over. True: it was written so often that it rests now, which is news. */
bool kube_known_wrote(KubeKnown *k, const PlanObject *o, const Observed *answer, Mono now);
/* It is not there any more. */
void kube_known_gone(KubeKnown *k, const PlanObject *o, Mono now);
/* What our last write showed is not so any more: the watch will tell. */
void kube_known_doubt(KubeKnown *k, const PlanObject *o);
/* Was the same written, and does the object stand as it came out of that? Then it is not as wished
 * for a reason that another write does not mend: what somebody else says in it, or the server. */
bool kube_known_is_tried(KubeKnown *k, const PlanObject *o, Mono now);

/* How often in a row it failed, this time included. It is left alone until then, and where there is
 * no place to remember that, KUBE_KNOWN_CROWDED_S. */
unsigned kube_known_failed(KubeKnown *k, const PlanObject *o);
void kube_known_rest(KubeKnown *k, const PlanObject *o, Mono until, Mono now);
bool kube_known_is_resting(const KubeKnown *k, const PlanObject *o, Mono now);
/* When something is over: a rest, or belief in what the watch does not show; 0: nothing is pending.
 */
Mono kube_known_next(const KubeKnown *k);
/* Forgets what is over at `now`; is anything another? */
bool kube_known_expire(KubeKnown *k, Mono now);
/* Bytes that it holds beside what the watches show, for accounting. */
size_t kube_known_bytes(const KubeKnown *k);
