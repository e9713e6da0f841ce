/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What every object of the API has: a key, and where it was read. */

#include "base/instant.h"
#include "base/leaf.h"

enum {
        OBJECT_KEY_TEXT = 512, /* two names of at most 253 bytes, what stands between, NUL */
};

typedef struct ObjectKey {
        Str namespace, name;
} ObjectKey;

typedef struct ObjectMeta {
        ObjectKey key;
        int64_t generation;
        Str uid;             /* of an API server; else empty */
        Wall created;        /* creationTimestamp; 0: not known, as in a directory */
        bool deleting;       /* it has a deletionTimestamp */
        Str approve_removal; /* annotation gateway.tailscale.com/approve-removal, or empty */
        Str file;            /* where it stands, or empty */
        unsigned line;
} ObjectMeta;

/* By namespace, then name. */
int object_key_cmp(ObjectKey a, ObjectKey b);
bool object_key_eq(ObjectKey a, ObjectKey b);
/* "namespace/name", NUL-terminated in `buf`, whose size is OBJECT_KEY_TEXT; cut at that. */
Str object_key_text(ObjectKey key, char buf[OBJECT_KEY_TEXT]);
/* Does all agree but the place where it was read? What moves with every write of anybody
 * (resourceVersion, managedFields) is not in it. */
bool object_meta_same(const ObjectMeta *a, const ObjectMeta *b);

/* group/version of our kinds. */
#define MODEL_GROUP "gateway.tailscale.com"
/* Annotation of our TailscaleEndpoints: the TailscaleTailnet that they were found in. */
#define MODEL_SOURCE "gateway.tailscale.com/tailscale-tailnet"
/* … the MagicDNS suffix there: names of services that several devices share are made of it; absent
 * where none is known. */
#define MODEL_SUFFIX "gateway.tailscale.com/magic-dns-suffix"
/* … in how many objects the entry stands, in decimal: who reads takes none of them before all are
 * there. Absent: not told. */
#define MODEL_SHARDS      "gateway.tailscale.com/shards"
#define MODEL_API_VERSION "gateway.tailscale.com/v1alpha1"
/* Where a manifest without Kubernetes names no namespace; as Envoy Gateway's file provider does. */
#define MODEL_DEFAULT_NAMESPACE "envoy-gateway-system"
