/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Plan: what is to be written outside, as data; execute performs it. Made anew from the whole state
 * each time: no step depends on an event that could be lost.
 */

#include "base/arena.h"
#include "base/instant.h"
#include "model/facts.h"
#include "model/report.h"
#include "model/world.h"

typedef enum PlanDir {
        PLAN_ENDPOINTS, /* TailscaleEndpoints */
        PLAN_BINDINGS,  /* TailscaleGatewayBindings, read by Envoy Gateway */
        PLAN_DIRS,
} PlanDir;

/* One file that is to be there with this content, or (`remove`) not to be there. */
typedef struct PlanFile {
        PlanDir dir;
        Str name;
        Str content;
        bool remove;
} PlanFile;

/* A Binding as it stands outside. */
typedef struct BindingWritten {
        ObjectKey eg_gateway;
        Str revision;
        uint64_t attempt;
        Mono at; /* when this process wrote it last; 0: it did not */
} BindingWritten;

/* What execute knows to be outside. */
typedef struct Outside {
        const BindingWritten *bindings; /* sorted by eg_gateway */
        size_t n_bindings;
        const Str *endpoints_files; /* names in PLAN_ENDPOINTS, sorted */
        size_t n_endpoints_files;
} Outside;

typedef struct Plan {
        Arena arena;
        PlanFile *files; /* in the order in which they are to be performed; those of an endpoint
                            before any Binding */
        size_t n, room;
        Mono again; /* when there will be more to do although nothing has changed; 0: never */
} Plan;

/* The least time between two changes of one Binding, after the first. */
enum {
        PLAN_BINDING_APART_MS = 1000,
        /* A call that asks for what stood there before is taken for a sign that the change was not
         * seen only after this time: reading all its files takes Envoy Gateway up to two seconds.
         */
        PLAN_BINDING_MISSED_MS = 3000,
        /* A file's name, so that it fits a directory (255 bytes) under a temporary name, too. */
        PLAN_FILE_NAME_MAX = 250,
};

/* What a Binding names before it is removed: the contribution of nobody. */
#define PLAN_REVISION_EMPTY "empty"

typedef struct PlanInput {
        const World *world;
        const Report *report;
        const Facts *facts;
        const Outside *outside;
        Mono now;
        /* World and what is outside are as when a plan found nothing to write, and only Facts are
         * new: they bear on Bindings alone. */
        bool only_facts;
} PlanInput;

/* Nothing is planned while the World is not complete. */
void plan_make(const PlanInput *in, Plan *ret);
void plan_done(Plan *p);

/* "<namespace>.<name>.yaml", the name of a Binding's file; of a longer name what fits, and a hash
 * of the key. */
Str plan_binding_file(ObjectKey eg_gateway, char ret[PLAN_FILE_NAME_MAX + 1]);

/* Parts of plan_make, one file per kind. */
void plan_endpoints(const PlanInput *in, Plan *p);
void plan_bindings(const PlanInput *in, Plan *p);
/* Appends; name and content are copied into the plan's arena. */
void plan_add(Plan *p, PlanDir dir, Str name, Str content, bool remove);
