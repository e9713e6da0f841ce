/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The readers of one document of each kind, for manifest.c. Each returns a leaf with one reference,
 * or NULL where a fault was added. `root` is an object. */

#include "model/decode.h"
#include "model/manifest.h"
#include "model/object.h"

typedef struct ManifestDoc {
        const Tree *root;
        Str file; /* of an object of an API server: what it is, "TailscaleGateway team/gw" */
        Faults *faults;
        /* It comes from an API server, which has judged its metadata and has given it a namespace;
         * members of metadata that are not known here are newer than this program. */
        bool from_api;
        Str kind; /* where `root` has none, as items of a list may; else not looked at */
} ManifestDoc;

typedef void *ManifestReader(const ManifestDoc *doc);

/* metadata into `ret` (strings in the leaf of `d`); unknown members of a manifest are faults. */
void manifest_read_meta(Decoder *d, const ManifestDoc *doc, ObjectMeta *ret);
/* What an API server writes there, and no manifest is asked for: uid, times. */
void manifest_read_origin(const ManifestDoc *doc, Leaf *leaf, ObjectMeta *ret);
/* The same of an object of somebody else: its own API judges it. False where it has no name. */
bool manifest_read_loose_meta(const ManifestDoc *doc, Leaf *leaf, ObjectMeta *ret) MUST_USE;
/* Bytes for the leaf of an object: for the `room` of leaf_new. */
size_t manifest_room(const ManifestDoc *doc);

/* Ours: members that are not known are faults. */
void *manifest_read_tailnet(const ManifestDoc *doc);
void *manifest_read_gateway(const ManifestDoc *doc);
void *manifest_read_endpoints(const ManifestDoc *doc);
void *manifest_read_binding(const ManifestDoc *doc);
/* Kubernetes' own Secret; no fault repeats a value. */
void *manifest_read_secret(const ManifestDoc *doc);
/* Envoy Gateway's: read as far as we need; its own validation is not repeated. */
void *manifest_read_eg_gateway(const ManifestDoc *doc);
void *manifest_read_eg_route(const ManifestDoc *doc);
/* Kubernetes' own Namespace: its labels, which listeners select by. */
void *manifest_read_namespace(const ManifestDoc *doc);
/* Kubernetes' own Service, and the Gateway API's ReferenceGrant, of which Services are kept. */
void *manifest_read_service(const ManifestDoc *doc);
void *manifest_read_reference_grant(const ManifestDoc *doc);
