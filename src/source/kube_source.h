/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * KubeSource: what DirSource is for a directory, of an API server: the objects that we read as
 * Tables per ManifestKind, kept up to date by watches. An object that is not valid is told with the
 * path of the field; what was good of it stays in force, others are not affected.
 *
 * Of other people's kinds only what bears on us is kept: Gateways that a TailscaleGateway refers
 * to, routes that are attached to those, the Namespaces of TailscaleGateways. A TailscaleGateway
 * that is new, or refers to another Gateway, takes effect when these have been read for it: what
 * a user's HTTPRoute has must not be ours for a moment.
 *
 * An object of ours that is being deleted is gone: what it owns must not be made again.
 */

#include "base/log.h"
#include "base/table.h"
#include "kube/kube_watch.h"
#include "model/facts.h"
#include "model/manifest.h"
#include "model/object_fault.h"

enum {
        KUBE_SOURCE_NAMESPACES_MAX = 64, /* of --watch-namespaces: each has watches of its own */
        /* With credentials, and as many with certificates. Each has a watch of its own; there is
         * one for a TailscaleTailnet at most. */
        KUBE_SOURCE_SECRETS_MAX = FACTS_TAILNETS_MAX,
        /* Routes are listed again where a TailscaleGateway refers to another Gateway; so often at
         * most. */
        KUBE_SOURCE_AGAIN_MS = 1000,
        /* When all is read that bears on what was there at the start, what was asked for since then
         * holds it up for so long: somebody may ask without end. */
        KUBE_SOURCE_FIRST_S = 10,
};

typedef struct KubeSource KubeSource;
typedef void KubeSourceFn(KubeSource *k);

typedef struct KubeSourceInput {
        Loop *loop;
        Log *log;
        KubeApi *api;       /* borrowed */
        StrList namespaces; /* that namespaced kinds are read in; what is beyond
                               KUBE_SOURCE_NAMESPACES_MAX is not; none: all. Copied */
        Str own_namespace;  /* where managed objects are; empty: neither these nor the routes that
                               were made are looked at. Copied */
        KubeFact *fact;     /* borrowed; written to */
        uint64_t seed;      /* of chance */
        KubeSourceFn *fn; /* something is another: from the loop, once for what came in one turn */
        void *owner;
} KubeSourceInput;

/* Begins to list; nothing is told before the return. Never NULL. */
KubeSource *kube_source_open(const KubeSourceInput *in) MUST_USE;
/* As its input had it. */
void *kube_source_owner(const KubeSource *k);
/* Has every kind been listed once? It stays so. */
bool kube_source_is_read(const KubeSource *k);
/* Borrowed until the next fn; never NULL. Of MANIFEST_SECRET those that kube_source_want_secrets
 * asks for. */
const Table *kube_source_table(const KubeSource *k, ManifestKind kind);
/* Of Observed, by kind and key; likewise. */
const Table *kube_source_observed(const KubeSource *k);
/* Of ObjectFault, by kind and key; likewise. */
const Table *kube_source_faults(const KubeSource *k);

/* Whether the Secrets that TailscaleTailnets name are read, each by its name, from their own
 * namespaces; at first they are not. What is no longer wanted is forgotten at once. */
void kube_source_want_secrets(KubeSource *k, bool want);
/* Is it known whether there is a Secret of that key? Not before its watch has answered. Where the
 * answer is a refusal, the Table has one that says so (`denied`). */
bool kube_source_knows_secret(const KubeSource *k, ObjectKey key);

/* What became of the watches, one for each kind below kube_source_n_counts: for kube_watch_metrics,
 * with these labels (a literal). NULL: none of that kind is open. Valid until the close; anew where
 * it is asked again. */
size_t kube_source_n_counts(const KubeSource *k);
const KubeWatchCounts *kube_source_counts(const KubeSource *k, size_t i, const char **ret_labels);

/* Lists the objects of our kinds again: a watch may be silent because nothing comes through, and
 * who begins to write is to begin with what stands there. What is known stays in force meanwhile.
 * Not from inside the fn. */
void kube_source_read_again(KubeSource *k);
/* Have they been listed since then, or since the open? The fn tells. */
bool kube_source_is_current(const KubeSource *k);

/* Allowed in the KubeSourceFn. NULL is welcome. Returns NULL. */
KubeSource *kube_source_close(KubeSource *k);
