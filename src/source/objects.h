/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Objects: the resources that are read, from directories or from an API server: who makes Worlds of
 * them need not know which.
 */

#include "model/secret_spec.h"
#include "model/tailnet_spec.h"
#include "source/kube_source.h"

typedef struct Objects Objects;
typedef void ObjectsFn(Objects *o);

typedef struct ObjectsInput {
        Loop *loop;
        Log *log;
        Facts *facts;
        const char *resources;         /* directories; paths are copied. Not looked at where there
                                          is an API */
        const char *gateway_resources; /* NULL: the same as resources */
        KubeApi *api;                  /* borrowed; NULL: directories */
        StrList namespaces;            /* as KubeSourceInput has it, and the next */
        Str own_namespace;
        uint64_t seed;
        ObjectsFn *fn; /* something is another: from the loop */
        void *owner;
} ObjectsInput;

/* Directories are read at once; of an API server nothing is known yet. Never NULL. */
Objects *objects_open(const ObjectsInput *in) MUST_USE;
/* As its input had it. */
void *objects_owner(const Objects *o);
/* Was all of it read once? */
bool objects_are_read(const Objects *o);
/* Of where our manifests stand; borrowed until the next fn, never NULL. */
const Table *objects_ours(const Objects *o, ManifestKind kind);
/* Of where Envoy Gateway reads; likewise. */
const Table *objects_theirs(const Objects *o, ManifestKind kind);
/* The TailscaleEndpoints that users wrote, and those that we did; likewise. A Table stays the same
 * where only the other changes. */
const Table *objects_static_endpoints(const Objects *o);
const Table *objects_found_endpoints(const Objects *o);
/* The Secret that a TailscaleTailnet names, or NULL: it names none, or it is not there. False where
 * that is not known yet: nothing is to be done because of it. */
bool objects_secret(const Objects *o, const TailnetSpec *t, const SecretSpec **ret);
/* Whether Secrets are needed. Directories have them anyway. */
void objects_want_secrets(Objects *o, bool want);
/* As kube_source_read_again and kube_source_is_current; of directories always. */
void objects_read_again(Objects *o);
bool objects_are_current(const Objects *o);
/* Reads directories again now (SIGHUP); an API server tells of changes by itself. */
void objects_reread(Objects *o);
/* NULL: they come from directories. Borrowed. */
const KubeSource *objects_kube(const Objects *o);
/* Allowed in the ObjectsFn. NULL is welcome. Returns NULL. */
Objects *objects_close(Objects *o);
