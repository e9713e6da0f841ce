/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * KubeStatus: what an API server says where it does not do what it was asked: a `Status` object, as
 * body of a refusal or inside a watch. Pure.
 */

#include "base/instant.h"
#include "proto/tree.h"

enum {
        KUBE_STATUS_BYTES_MAX = 64 << 10, /* of a refusal; a CRD's schema may name many causes */
        KUBE_CAUSES_MAX = 8,              /* of what is wrong with one object, told at once */
        KUBE_RETRY_AFTER_MAX_S = 3600,
};

/* Borrows from the document; texts may be empty. */
typedef struct KubeCause {
        Str reason, field, message;
} KubeCause;

typedef struct KubeStatus {
        unsigned code; /* 0: not said */
        Str reason;    /* "Conflict", "Expired", … */
        Str message;
        /* Of a server-side apply that is not of the kind's schema, the first thing that is not: a
         * path and what is wrong with it, ".spec.x: field not declared in schema". Else empty. */
        Str misfit;
        Span retry_after; /* 0: not said */
        KubeCause causes[KUBE_CAUSES_MAX];
        size_t n_causes;
} KubeStatus;

/* False where `doc` is no Status. */
bool kube_status_of(const Tree *doc, KubeStatus *ret);
/* Of the body of an answer; the texts stand in `arena`. False where it holds none. */
bool kube_status_read(Str body, Arena *arena, KubeStatus *ret);
/* Has it a cause of that reason? */
bool kube_status_has(const KubeStatus *s, Str reason);
/* What it means that `what` ("GET /api/v1/nodes") was answered so. `code`: the HTTP status; `s` may
 * be NULL. Kinds: 401, 403 ERR_DENIED; 404 ERR_MISSING; 409 ERR_CONFLICT; 413 ERR_LIMIT; 408, 410,
 * 429 and 5xx ERR_TRANSIENT, but for a misfit, which is answered with 500 (Kubernetes 1.36) and is
 * ERR_INVALID "NotOfSchema"; all else ERR_INVALID. The reason is the server's own where it is one
 * word. Always returns false. */
bool kube_status_err(const KubeStatus *s, unsigned code, const char *what, Err *err);
