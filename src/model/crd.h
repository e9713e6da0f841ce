/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* CustomResourceDefinitions of our kinds as YAML, made of the tables that the decoder reads. */

#include "base/buf.h"
#include "model/resource_kind.h"

/* Annotation and label by which one of ours is told from a foreign one of the same name. */
#define CRD_VERSION_ANNOTATION "gateway.tailscale.com/bundle-version"
#define CRD_PART_OF_LABEL      "app.kubernetes.io/part-of"
#define CRD_PART_OF            "tailscale-gateway"

enum {
        CRD_BYTES_MAX = 1 << 20 /* an API server takes 1.5 MiB */
};

/* One document, beginning with "---". The same bytes each time. */
void crd_render(const ResourceKind *kind, Buf *out);
