/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * KubeWrite: one write to one object, of any kind, and its answer: server-side apply, merge patch,
 * create, update, delete; and the get before an update. It ends with exactly one on_done, from the
 * loop, never from the call that began it; after its close with none. What may go away is tried
 * again a few times; all else is the owner's, who knows what stands there.
 *
 * What was asked may have been done although no answer came: then a second try of a create is
 * ERR_CONFLICT "AlreadyExists", of a delete ERR_MISSING, of an update ERR_CONFLICT.
 */

#include "base/metric.h"
#include "kube/kube_api.h"
#include "kube/kube_event.h"

enum {
        KUBE_WRITE_TRIES = 5, /* with backoff, below 15 s in all */
        /* What is told to come back later than that is the owner's to ask again. */
        KUBE_WRITE_PATIENCE_S = 60,
        KUBE_WRITE_DEADLINE_S = 30, /* of one try; an API server gives up after 60 s */
};

/* A kind of objects; all borrowed, as a rule constants. */
typedef struct KubeResource {
        const char *api;    /* "api/v1", "apis/apps/v1" */
        const char *plural; /* "deployments" */
        const char *kind;   /* "Deployment" */
} KubeResource;

/* As it stands in `apiVersion`: "v1", "apps/v1". Borrowed from `r`. */
const char *kube_resource_version(const KubeResource *r);

typedef enum KubeVerb {
        /* Server-side apply with force: what the field manager names is its own afterwards, what it
         * named before and no longer does is gone; creates. A metadata.resourceVersion in the body
         * is a condition on what stands there (ERR_CONFLICT), and none where nothing does. With a
         * metadata.uid nothing is created (ERR_CONFLICT), and another object is ERR_INVALID. With a
         * field that the kind does not have it is ERR_INVALID "NotOfSchema". */
        KUBE_VERB_APPLY,
        KUBE_VERB_MERGE,  /* JSON merge patch (RFC 7386); ERR_MISSING where there is none */
        KUBE_VERB_CREATE, /* ERR_CONFLICT "AlreadyExists" */
        KUBE_VERB_UPDATE, /* all of it; the body has the resourceVersion: else ERR_CONFLICT */
        KUBE_VERB_DELETE, /* ERR_MISSING where there is none */
        KUBE_VERB_GET,
        KUBE_VERBS,
} KubeVerb;

/* "apply", …: for a label. */
const char *kube_verb_name(KubeVerb verb);

/* Of all writes that count together: by verb, kind, or whatever their owner likes. */
typedef struct KubeWriteCounts {
        uint64_t done;        /* answered with 2xx */
        uint64_t conflicts;   /* ERR_CONFLICT */
        uint64_t refused;     /* held back by may_send */
        uint64_t failed;      /* all else that ended, ERR_MISSING too */
        uint64_t retries;     /* tries after the first */
        MetricHistogram took; /* from the open to the end */
} KubeWriteCounts;

extern const MetricTable kube_write_metrics; /* of KubeWriteCounts */

typedef struct KubeWrite KubeWrite;

/* Valid within on_done only. */
typedef struct KubeWriteResult {
        /* ERR_NONE: an answer of 2xx came whole. Else as of KubeResult; ERR_DENIED "NotLeading"
         * (may_send said no); ERR_INVALID "BadName" (it cannot stand in a path), "BadAnswer"
         * (`status` is 2xx: it was done, and what came is no object). */
        Err err;
        unsigned status;           /* of the last answer; 0: none came. 201: it was created */
        const KubeStatus *refusal; /* as of KubeResult */
        Span retry_after;          /* where it was not waited for; 0: not said */
        const Tree *object;        /* of the answer. NULL: an error, or it was deleted at once */
        KubeObjectId id;           /* of `object` */
        unsigned tries;
} KubeWriteResult;

typedef void KubeWriteFn(KubeWrite *w, const KubeWriteResult *result);
/* Asked at the moment when a request would leave, also after it waited for its turn: how long from
 * now on it may be under way. 0 or less: it must not be sent, and the write is over. It only says.
 */
typedef Span KubeMayWriteFn(const KubeWrite *w);

/* All but `resource`, `api`, `counts` is copied. */
typedef struct KubeWriteInput {
        KubeApi *api; /* borrowed */
        KubeVerb verb;
        const KubeResource *resource;
        Str ns;                    /* empty: of the cluster */
        Str name;                  /* not looked at by KUBE_VERB_CREATE, whose body has it */
        const char *sub;           /* "status", "scale"; NULL: the object itself */
        const char *field_manager; /* of all that change and do not delete; then not NULL */
        Str body;                  /* JSON. Of a delete none */
        const Secret *secret;      /* the body instead: of a Secret always. The answer then has the
                                      metadata alone, so that nothing of it comes back */
        bool brief;                /* so too: the answer is small */
        bool strict; /* an unknown or repeated field is ERR_INVALID, and not left out in silence */
        bool urgent; /* as KubeCallInput */
        Str uid, version;         /* of a delete: conditions, ERR_CONFLICT. Empty: none */
        const char *propagation;  /* of a delete: "Foreground", "Background", "Orphan"; NULL: the
                                     kind's own way */
        unsigned tries;           /* 0: KUBE_WRITE_TRIES */
        Span deadline;            /* of each try; 0: KUBE_WRITE_DEADLINE_S */
        KubeMayWriteFn *may_send; /* NULL: always */
        KubeWriteCounts *counts;  /* borrowed; NULL: not counted */
        uint64_t seed;            /* of chance */
        KubeWriteFn *on_done;
        void *owner;
} KubeWriteInput;

/* Never NULL; it is the caller's until it closes it, also after on_done. */
KubeWrite *kube_write_open(const KubeWriteInput *in) MUST_USE;
void *kube_write_owner(const KubeWrite *w);
/* What is under way is aborted, and may have been done. Allowed in on_done, not in may_send. NULL
 * is welcome; returns NULL. */
KubeWrite *kube_write_close(KubeWrite *w);
