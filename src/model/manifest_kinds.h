/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The readers of one document of each kind, for manifest.c. Each returns a leaf with one reference,
 * or NULL where a fault was added. `root` is an object. */

#include "model/decode.h"
#include "model/manifest.h"
#include "model/object.h"

typedef struct ManifestDoc {
        const Tree *root;
        Str file;
        Faults *faults;
} ManifestDoc;

typedef void *ManifestReader(const ManifestDoc *doc);

/* metadata into `ret` (strings in the leaf of `d`); unknown members are faults. */
void manifest_read_meta(Decoder *d, const Tree *root, ObjectMeta *ret);

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
