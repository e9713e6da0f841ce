/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * OnDisk: what stands in the directories of generated files, as far as we know: by reading them, by
 * what was written, and by looking again. Files are told apart by digest; the Bindings among them
 * are kept as objects.
 */

#include "base/map.h"
#include "control/plan.h"

#include <sys/stat.h>

enum {
        ON_DISK_FILES_MAX = 20000, /* of one directory: 5 million endpoints */
        ON_DISK_FILE_BYTES_MAX = 8 << 20
};

/* A Binding with the strings that BindingWritten borrows. */
typedef struct BindingKnown {
        const BindingSpec *spec;
        Mono at; /* when this process wrote it last; 0: it did not */
} BindingKnown;

typedef struct OnDisk {
        char *dirs[PLAN_DIRS]; /* owned */
        Map files[PLAN_DIRS];  /* name -> FileKnown */
        BindingKnown *bindings;
        size_t n_bindings;
        Outside outside;
        bool fresh; /* `outside` is of now */
        uint64_t looks;
} OnDisk;

/* Nothing is read yet. DIR/endpoints and DIR/envoy-gateway are the directories. */
void on_disk_init(OnDisk *d, const char *dir);
void on_disk_done(OnDisk *d);
/* Looks at both directories (made where they are not there) and reads what is another file than the
 * one that is known. What cannot be read is as if it were not there. False where a directory cannot
 * be listed; then what was known of it stays. */
bool on_disk_look(OnDisk *d, bool *ret_changed, Err *err) MUST_USE;
/* It was written; `st` is that of the written file, zeroed where it is not known. */
void on_disk_written(OnDisk *d, const PlanFile *file, const struct stat *st, Mono at);
void on_disk_removed(OnDisk *d, PlanDir dir, Str name);
/* Does the file stand there as it is planned? */
bool on_disk_is(const OnDisk *d, const PlanFile *file);
/* The Bindings as objects; one reference. */
const Table *on_disk_bindings(const OnDisk *d) MUST_USE;
/* Borrowed until the next change. */
const Outside *on_disk_outside(OnDisk *d);
