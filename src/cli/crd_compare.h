/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a CustomResourceDefinition that is installed lacks of ours: fields that an API server would
 * refuse from us, values that it would not take. What it has beyond is welcome. Pure. */

#include "base/buf.h"
#include "model/resource_kind.h"
#include "proto/tree.h"

enum {
        CRD_COMPARE_NAMED = 5, /* then how many more there are */
};

/* NULL: none of ours has that plural. */
const ResourceKind *crd_compare_kind(const char *plural);
/* Appends "spec.a[].b, status.c: no value d, and 3 more" to `out`; nothing where all is there.
 * `installed`: the whole definition. Returns how many there are. */
size_t crd_compare_lacks(const ResourceKind *kind, const Tree *installed, Arena *arena, Buf *out);
/* Versions as "1.2.3": below 0 where a is older than b, 0 where they are one, or either is none. */
int crd_compare_versions(Str a, Str b);
