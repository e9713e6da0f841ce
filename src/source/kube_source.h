/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * KubeSource: what DirSource is for a directory, of an API server: the objects that we read as
 * Tables per ManifestKind, kept up to date by watches. An object that is not valid is told with the
 * path of the field; what was good of it stays in force, others are not affected.
 */

#include "base/log.h"
#include "base/table.h"
#include "kube/kube_api.h"
#include "model/facts.h"
#include "model/manifest.h"
#include "model/observed.h"

enum {
        KUBE_SOURCE_NAMESPACES_MAX = 64, /* of --watch-namespaces: each has watches of its own */
};

/* An object of ours that is not valid. */
typedef struct ObjectFault {
        Leaf leaf;
        ObservedKind kind;
        ObjectKey key;
        int64_t generation;
        Str text; /* "spec.tailnets[0].name: …"; all faults, one a line, cut at 4 KiB */
} ObjectFault;

typedef struct KubeSource KubeSource;
typedef void KubeSourceFn(KubeSource *k);

typedef struct KubeSourceInput {
        Loop *loop;
        Log *log;
        KubeApi *api;       /* borrowed */
        StrList namespaces; /* that our kinds are read in; none: all. Borrowed until the close */
        Str own_namespace;  /* where managed objects are; empty: none are looked at */
        KubeFact *fact;     /* borrowed; written to */
        uint64_t seed;      /* of chance */
        KubeSourceFn *fn; /* something is another: from the loop, once for what came in one turn */
        void *owner;
} KubeSourceInput;

KubeSource *kube_source_open(const KubeSourceInput *in) MUST_USE;
void *kube_source_owner(const KubeSource *k);
/* Has every kind been listed once? It stays so. */
bool kube_source_is_read(const KubeSource *k);
/* Borrowed until the next fn; never NULL. */
const Table *kube_source_table(const KubeSource *k, ManifestKind kind);
/* Of Observed, by kind and key; likewise. */
const Table *kube_source_observed(const KubeSource *k);
/* Of ObjectFault, by kind and key; likewise. */
const Table *kube_source_faults(const KubeSource *k);
/* Allowed in the KubeSourceFn. NULL is welcome. Returns NULL. */
KubeSource *kube_source_close(KubeSource *k);
