/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* KubeKinds: each kind that is read from an API server: where it stands, what of it is kept, and
 * how it becomes a leaf. Pure. */

#include "model/manifest_kinds.h"
#include "model/observed.h"

/* Of one object: what a newer leaf has in common with the older one is that of the older. */
typedef void KubeShare(const void *newer, const void *older);

/* Of what the kind is for us. */
typedef enum KubeRole {
        KUBE_OURS,    /* of our group: decoded and observed */
        KUBE_FOREIGN, /* somebody else's: decoded, kept where it bears on us */
        KUBE_MADE,    /* made by us among those of users: observed, where it has our label */
        KUBE_MANAGED, /* made by us in our own namespace: observed */
        KUBE_NAMED,   /* decoded, read by name */
} KubeRole;

typedef struct KubeKind {
        const char *name, *plural;
        const char *labels; /* of metrics */
        const char *api;    /* "/apis/apps/v1" */
        KubeRole role;
        bool is_cluster_wide; /* it has no namespace */
        bool may_be_absent;   /* where the server does not have the kind, there are none */
        bool is_secret;       /* its bytes are wiped */
        bool of_services;     /* KUBE_FOREIGN: read only while somebody takes Services */
        ManifestKind manifest;
        ManifestReader *read; /* NULL: it is only observed */
        TableSame *same;
        KubeShare *share;      /* NULL: nothing is shared */
        ObservedKind observed; /* of KUBE_OURS, KUBE_MANAGED and KUBE_MADE */
        StrList keep;          /* members, beside metadata; none: all */
} KubeKind;

enum {
        KUBE_KIND_TAILNET,
        KUBE_KIND_GATEWAY,
        KUBE_KIND_ENDPOINTS,
        KUBE_KIND_BINDING,
        KUBE_KIND_EG_GATEWAY,
        KUBE_KIND_HTTP_ROUTE,
        KUBE_KIND_GRPC_ROUTE,
        KUBE_KIND_NAMESPACE,
        KUBE_KIND_BACKEND, /* Services of users */
        KUBE_KIND_GRANT,
        KUBE_KIND_MADE_HTTP_ROUTE,
        KUBE_KIND_MADE_GRPC_ROUTE,
        KUBE_KIND_CREDENTIALS, /* Secrets of TailscaleTailnets */
        KUBE_KIND_SECRET,      /* our own */
        KUBE_KIND_SERVICE,
        KUBE_KIND_DEPLOYMENT,
        KUBE_KIND_PDB,
        KUBE_KINDS,
};

extern const KubeKind kube_kinds[KUBE_KINDS];

/* The order of the leaves of a kind. */
TableOrder *kube_kinds_order(ManifestKind kind);

/* What an object was found to be. */
typedef struct KubeRead {
        const void *leaf;         /* one reference; NULL: it has faults, or none is made of it */
        const Observed *observed; /* one reference; NULL: it is not looked at */
        Str faults;               /* in the arena; empty: it has none */
        ObjectKey gateway; /* in the arena; of a TailscaleGateway with faults: its gatewayRef, where
                              that can be read */
        int64_t generation;
        bool deleting;
} KubeRead;

/* Reads an object of that kind; texts go into the arena. What is secret in it is wiped. */
void kube_kinds_read(const KubeKind *kind, const Tree *object, Arena *arena, KubeRead *ret);
