/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Manifests: YAML (several documents a file) or JSON into leaves of our kinds. All faults are found
 * at once. Kinds that are not ours are counted and skipped; of Envoy Gateway's kinds, Gateway,
 * HTTPRoute, GRPCRoute, Namespace, Service and ReferenceGrant are read as far as eg_spec.h,
 * service_spec.h and reference_grant.h go. A list of devices (what
 * file.path of a TailscaleTailnet names) is skipped as well, so that it may stand beside the
 * manifests.
 */

#include "base/table.h"
#include "model/fault.h"
#include "model/manifest_place.h"

typedef enum ManifestKind {
        MANIFEST_TAILNET,    /* TailnetSpec */
        MANIFEST_GATEWAY,    /* GatewaySpec */
        MANIFEST_ENDPOINTS,  /* EndpointsSpec */
        MANIFEST_SECRET,     /* SecretSpec */
        MANIFEST_EG_GATEWAY, /* EgGateway */
        MANIFEST_EG_ROUTE,   /* EgRoute */
        MANIFEST_BINDING,    /* BindingSpec */
        MANIFEST_NAMESPACE,  /* EgNamespace */
        MANIFEST_SERVICE,    /* ServiceSpec */
        MANIFEST_GRANT,      /* ReferenceGrant */
        MANIFEST_KINDS,
} ManifestKind;

enum {
        MANIFEST_BYTES_MAX = 16 << 20, /* one file */
        MANIFEST_OBJECTS_MAX = 20000,  /* one set */
        MANIFEST_SECRETS_MAX = 1024,   /* one set; each value has pages of its own */
};

/* Collects what several files hold. */
typedef struct ManifestSet {
        struct ManifestLeaves {
                const void **at; /* owned, each with one reference, in the order read */
                size_t n, room;
        } kinds[MANIFEST_KINDS];
        ManifestPlaces places; /* of TailscaleTailnets and TailscaleGateways */
        size_t n_skipped;      /* documents of other kinds */
        Str last_skipped;      /* "v1 Service": the last of them; until the set is done */
        char *skipped_text;    /* owned: the bytes of last_skipped */
} ManifestSet;

void manifest_set_init(ManifestSet *s);
void manifest_set_done(ManifestSet *s);
/* Reads one file's bytes. `file` is the path to print and against whose directory relative paths
 * are meant. Adds to `faults` all that is wrong; returns whether nothing was. */
bool manifest_read(ManifestSet *s, Str file, Str bytes, Faults *faults) MUST_USE;
/* Rules between objects of the set: same kind and name twice, a proxy under two TailscaleTailnets
 * (ProxyShared). Adds faults; returns whether there was none. */
bool manifest_check(const ManifestSet *s, Faults *faults) MUST_USE;
/* References of our kinds that do not resolve within the set (tailscaleTailnetRef, secretRef,
 * gatewayRef), of kinds that the set holds at all: others are taken to stand elsewhere. A running
 * gateway goes on with what does resolve, so this is asked by `validate` only. */
bool manifest_check_references(const ManifestSet *s, Faults *faults) MUST_USE;
/* The leaves of one kind as a Table in the kind's order; leaves of `old` that mean the same are
 * kept. */
Table *manifest_table(const ManifestSet *s, ManifestKind kind, const Table *old) MUST_USE;
