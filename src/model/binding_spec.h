/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* TailscaleGatewayBinding: the thread to Envoy Gateway: which revision of our contribution a
 * Gateway is to have. */

#include "base/buf.h"
#include "model/object.h"

enum {
        REVISION_MAX = 32
};

typedef struct BindingSpec {
        Leaf leaf;
        ObjectMeta meta; /* same namespace and name as the Gateway */
        Str revision;
        uint64_t attempt;
} BindingSpec;

int binding_spec_order(const void *a, const void *b);
/* `key` is an ObjectKey *. */
int binding_spec_find(const void *key, const void *leaf);
bool binding_spec_same(const void *a, const void *b);

/* What spec may hold, and where it goes. */
extern const struct Schema binding_spec_schema;
