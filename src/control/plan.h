/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Plan: what is to be written outside, as data; execute performs it. Made anew from the whole state
 * each time: no step depends on an event that could be lost. Outside are directories (PlanFile), or
 * an API server (PlanObject).
 */

#include "base/arena.h"
#include "base/instant.h"
#include "model/facts.h"
#include "model/object_fault.h"
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

typedef enum PlanVerb {
        PLAN_APPLY,        /* server-side apply, with force */
        PLAN_APPLY_STATUS, /* the same of the status alone */
        PLAN_DELETE,
} PlanVerb;

/* What may be done by whom. In Kubernetes a process has any of them, or none for now. */
typedef enum PlanRole {
        PLAN_OPERATOR = 1, /* all but what a replica writes; only while the Lease is held */
        PLAN_REPLICA = 2,  /* a Binding's attempt, and one annotation of its own */
} PlanRole;

/* One write to an object of the API server. All strings stand in the plan's arena, or are literals.
 */
typedef struct PlanObject {
        PlanVerb verb;
        PlanRole role; /* in which it is done */
        ObservedKind kind;
        ObjectKey key;
        Str manager; /* field manager; not of a delete */
        Str body;    /* JSON: the whole of what the field manager has to say; not of a delete */
        /* What of Observed is as wished once it stands there: `own` after an apply, `status` after
         * one of the status. Of an apply that says but a part of it: the digest of the body. */
        Digest expected;
        Str uid; /* of a delete: only of this one; empty: of any */
        /* Of a TailscaleEndpoints: the Gateway whose Binding digests it, and waits for it. Of a
         * Binding: itself. Else empty. */
        ObjectKey eg_gateway;
        /* Of a Binding: written now, it keeps the next such change a second apart. */
        bool moves_revision, raises_attempt;
} PlanObject;

/* What is told of an object once `after` was written. */
typedef struct PlanEvent {
        size_t after; /* index in `objects` */
        ObservedKind kind;
        ObjectKey key;
        Str uid;
        bool is_warning;
        Str reason; /* "Programmed", "Conflicted", … */
        Str action; /* what was looked at: the condition's type */
        Str note;
} PlanEvent;

/* A Binding as it stands outside. */
typedef struct BindingWritten {
        ObjectKey eg_gateway;
        Str revision;
        uint64_t attempt;
        Mono at; /* when this process wrote it last; 0: it did not */
        /* In Kubernetes, where `at` is about the revision alone: */
        Mono attempt_at; /* when this process raised the attempt last; 0: it did not */
        Mono since;      /* since when the revision is known to stand there */
} BindingWritten;

/* A status that this process wrote. */
typedef struct StatusWritten {
        ObjectKey key;
        Mono at; /* last */
} StatusWritten;

/* What execute knows to be outside. */
typedef struct Outside {
        const BindingWritten *bindings; /* sorted by eg_gateway */
        size_t n_bindings;
        const Str *endpoints_files; /* names in PLAN_ENDPOINTS, sorted */
        size_t n_endpoints_files;
        const StatusWritten *statuses; /* of TailscaleGateways, sorted */
        size_t n_statuses;
        Mono since;             /* before that this process wrote nothing */
        struct EntryMemo *memo; /* of the plans before; NULL: all is worked out anew */
} Outside;

typedef struct Plan {
        Arena arena;
        PlanFile *files; /* in the order in which they are to be performed; those of an endpoint
                            before any Binding */
        size_t n, room;
        PlanObject *objects; /* likewise; a status after the apply of its object */
        size_t n_objects, room_objects;
        PlanEvent *events;
        size_t n_events, room_events;
        Mono again; /* when there will be more to do although nothing has changed; 0: never */
} Plan;

enum {
        /* The least time between two changes of one Binding, after the first. */
        PLAN_BINDING_APART_MS = 1000,
        /* A call that asks for what stood there before is taken for a sign that the change was not
         * seen only after this time: reading all its files takes Envoy Gateway up to two seconds.
         */
        PLAN_BINDING_MISSED_MS = 3000,
        /* So many attempts are made for a Gateway that no call has told of while others called:
         * Envoy Gateway may not take it at all, and each write makes it read its files. */
        PLAN_BINDING_UNHEARD_MAX = 3,
        /* A file's name, so that it fits a directory (255 bytes) under a temporary name, too. */
        PLAN_FILE_NAME_MAX = 250,
        /* Between two writes of a status in which only lastSync is another, or how many devices an
         * entry of a TailscaleGateway excludes. */
        PLAN_HEARTBEAT_S = 600,
        /* In Kubernetes, of a Binding that is to go: for so long it waits until somebody has
         * served the empty contribution. Envoy Gateway may be gone for good. */
        PLAN_BINDING_UNANSWERED_S = 600,
        /* In Kubernetes, of a Binding whose revision nobody said to have served: a replica raises
         * the attempt after this, up to as long again. */
        PLAN_BINDING_FORGOTTEN_MS = 20000,
        /* What a replica said that it served is taken away when another one has served what is
         * wanted and this is so old: it is gone, or Envoy Gateway asks it no more. */
        PLAN_SERVED_KEPT_S = 600,
        /* More than so many of one revision are thinned out, those of an hour ago and before. */
        PLAN_SERVED_MAX = 16,
        PLAN_SERVED_OLD_S = 3600,
        /* A new revision is served within some 100 ms: for so long nobody is told that what he
         * wished yesterday is not programmed. */
        PLAN_PENDING_S = 5,
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
         * new: they bear on Bindings and statuses alone. */
        bool only_facts;

        bool in_kubernetes;    /* else all that follows is nothing, and files are planned */
        unsigned roles;        /* of PlanRole, or'ed; 0: nothing is planned */
        const Table *observed; /* of Observed: what stands there, the own writes in it */
        const Table *faults;   /* of ObjectFault */
        /* Of the extension server that is kept; NULL: none is. */
        const struct ManagedSettings *managed;
        Wall wall;   /* `now` on the wall */
        Str replica; /* who we are among the replicas: the pod's name */
} PlanInput;

/* While the World is not complete nothing is planned but the extension server that is kept. */
void plan_make(const PlanInput *in, Plan *ret);
void plan_done(Plan *p);

/* "<namespace>.<name>.yaml", the name of a Binding's file; of a longer name what fits, and a hash
 * of the key. */
Str plan_binding_file(ObjectKey eg_gateway, char ret[PLAN_FILE_NAME_MAX + 1]);

/* Parts of plan_make, one file per kind. */
void plan_endpoints(const PlanInput *in, Plan *p);
void plan_bindings(const PlanInput *in, Plan *p);
/* The same in Kubernetes. */
void plan_endpoints_objects(const PlanInput *in, Plan *p);
/* When these are to be looked at again, where nothing of them is planned now. */
void plan_endpoints_again(const PlanInput *in, Plan *p);
void plan_binding_objects(const PlanInput *in, Plan *p);
void plan_route_objects(const PlanInput *in, Plan *p);
void plan_tailnet_statuses(const PlanInput *in, Plan *p);
void plan_gateway_statuses(const PlanInput *in, Plan *p);
/* Of what users write beside these: TailscaleEndpoints that are not valid. */
void plan_user_statuses(const PlanInput *in, Plan *p);

/* Appends; name and content are copied into the plan's arena. */
void plan_add(Plan *p, PlanDir dir, Str name, Str content, bool remove);
/* Appends; key, manager, body, uid are copied into the plan's arena. Returns its index. */
size_t plan_add_object(Plan *p, const PlanObject *o);
/* Appends; all strings are copied. */
void plan_add_event(Plan *p, const PlanEvent *e);
/* There will be more to do at `at`, if not before. */
void plan_again(Plan *p, Mono at);
