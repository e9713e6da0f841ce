/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* ResourceKind: one of our four kinds as others must know it: names, columns, tables of spec and
 * status. The CustomResourceDefinitions and the reference are made of it. */

#include "model/schema.h"

/* A column of `kubectl get`. */
typedef struct PrintColumn {
        const char *name, *type, *path;
        const char *about;
        bool is_wide; /* with -o wide only */
} PrintColumn;

typedef struct ResourceKind {
        const char *kind, *singular, *plural, *short_name;
        const char *about, *about_spec, *about_status;
        const Schema *spec, *status;
        const PrintColumn *columns;
        size_t n_columns;
} ResourceKind;

enum {
        RESOURCE_KINDS = 4
};

/* In the order of their names. */
extern const ResourceKind resource_kinds[RESOURCE_KINDS];
