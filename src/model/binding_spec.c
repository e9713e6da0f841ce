/* SPDX-License-Identifier: Apache-2.0 */
#include "model/binding_spec.h"

#include "model/schema.h"
#include "model/value_check.h"

enum {
        TARGETS_MAX = 16
};

static const Field target_fields[] = {
        {.name = "group", .about = "gateway.networking.k8s.io.", .type = FIELD_STR},
        {.name = "kind", .about = "Gateway.", .type = FIELD_STR},
        {.name = "name",
         .about = "Name of the Gateway, in the namespace of this object.",
         .type = FIELD_STR,
         .required = true,
         .check = check_name},
        {.name = "sectionName", .about = "A listener of it; not used.", .type = FIELD_STR},
};

static const Schema target = SCHEMA(target_fields, .size = 0);

static const Field binding_fields[] = {
        {.name = "targetRefs",
         .about = "The Gateway; Envoy Gateway attaches the Binding to it.",
         .type = FIELD_LIST,
         .required = true,
         .max_items = TARGETS_MAX,
         .schema = &target},
        {.name = "revision",
         .about = "A digest of what the extension server is to add to the Gateway. A new one makes "
                  "Envoy Gateway ask.",
         .type = FIELD_STR,
         .required = true,
         FIELD_TO(BindingSpec, revision),
         .check = check_revision},
        {.name = "attempt",
         .about = "Raised by a replica of the extension server where it was asked for the revision "
                  "before it had it, so that Envoy Gateway asks again.",
         .type = FIELD_INT,
         FIELD_TO(BindingSpec, attempt),
         .max = INT64_MAX},
};

const Schema binding_spec_schema = SCHEMA(binding_fields, .size = sizeof(BindingSpec));

int binding_spec_order(const void *a, const void *b)
{
        const BindingSpec *x = a, *y = b;

        return object_key_cmp(x->meta.key, y->meta.key);
}

int binding_spec_find(const void *key, const void *leaf)
{
        const BindingSpec *s = leaf;

        return object_key_cmp(*(const ObjectKey *)key, s->meta.key);
}

bool binding_spec_same(const void *a, const void *b)
{
        const BindingSpec *x = a, *y = b;

        return object_meta_same(&x->meta, &y->meta) && str_eq(x->revision, y->revision) &&
               x->attempt == y->attempt;
}
