/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* ReferenceGrants of the Gateway API: whom a namespace lets refer to what is in it. Of `to` only
 * Services are kept. */

#include "base/table.h"
#include "model/object.h"

enum {
        GRANT_LIST_MAX = 16, /* of `from` and of `to`: the Gateway API's own limit */
};

typedef struct GrantFrom {
        Str group, kind, namespace;
} GrantFrom;

typedef struct ReferenceGrant {
        Leaf leaf;
        ObjectMeta meta; /* its namespace is that of the Services */
        const GrantFrom *from;
        size_t n_from;
        StrList services; /* by name; empty name: all */
} ReferenceGrant;

int reference_grant_order(const void *a, const void *b);
bool reference_grant_same(const void *a, const void *b);

/* Does any of `grants` (of ReferenceGrant; NULL: none) let objects of that kind in that namespace
 * refer to the Service? Those of its own namespace need none. */
bool reference_grants_permit(const Table *grants, const GrantFrom *from, ObjectKey service);
/* Is there one that lets that kind and namespace refer to any Service in it? */
bool reference_grant_is_from(const ReferenceGrant *g, const GrantFrom *from);
