/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * DirSource: one watched directory of manifests (one level of .yaml, .yml and .json files, as Envoy
 * Gateway reads its own). A change takes effect whole or not at all: where anything in it is wrong,
 * what was good stays in force and the fault is told.
 */

#include "base/log.h"
#include "base/table.h"
#include "io/loop.h"
#include "model/facts.h"
#include "model/manifest.h"

typedef struct DirSource DirSource;
typedef void DirSourceFn(DirSource *d);

typedef struct DirSourceInput {
        Loop *loop;
        Log *log;
        const char *path;
        DirFact *fact;   /* borrowed; written to */
        DirSourceFn *fn; /* the content changed: from the loop, not for the first read */
        void *owner;
} DirSourceInput;

/* Reads the directory at once; one that cannot be read is told like a fault, and read when it is
 * there. */
DirSource *dir_source_open(const DirSourceInput *in) MUST_USE;
void *dir_source_owner(const DirSource *d);
/* Was it good once? */
bool dir_source_is_read(const DirSource *d);
/* What is in force, borrowed until the next change; never NULL, empty before the first good read.
 */
const Table *dir_source_table(const DirSource *d, ManifestKind kind);
/* Reads again now (SIGHUP); what is new is told later, from the loop. */
void dir_source_reread(DirSource *d);
/* Allowed in the DirSourceFn. NULL is welcome. Returns NULL. */
DirSource *dir_source_close(DirSource *d);
