/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Faults: everything that is wrong with the manifests, all at once. Printed as
 * `file:line:column: field.path: what was found, what is expected`.
 */

#include "base/arena.h"
#include "base/buf.h"

enum {
        FAULTS_MAX = 256,
        FAULT_TEXT_MAX = 1024
};

typedef struct Fault {
        Str file;
        unsigned line, column; /* from 1; 0: not known */
        Str path;              /* "spec.tailnets[0].name", or empty */
        Str text;
} Fault;

typedef struct Faults {
        Arena arena;
        Fault *at;
        size_t n;       /* kept, at most FAULTS_MAX */
        size_t n_total; /* seen */
} Faults;

void faults_init(Faults *f);
void faults_done(Faults *f);
/* Adds one; strings are copied, the text is cut at FAULT_TEXT_MAX. */
void faults_add(Faults *f, Str file, unsigned line, unsigned column, Str path, const char *fmt, ...)
        PRINTF(6, 7);
/* Sorted by file, line, column, then one line each; a last line tells how many more there are. */
void faults_print(const Faults *f, Buf *out);
