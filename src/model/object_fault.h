/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* ObjectFault: an object of ours at the API server that is not valid; what was good of it before
 * stays in force. */

#include "model/observed.h"

typedef struct ObjectFault {
        Leaf leaf;
        ObservedKind kind;
        ObjectKey key;
        int64_t generation;
        ObjectKey gateway; /* of a TailscaleGateway: its gatewayRef; empty: not known */
        Str text;          /* "spec.tailnets[0].name: …"; all faults, one a line, cut at 4 KiB */
} ObjectFault;

/* By kind, then key. */
int object_fault_order(const void *a, const void *b);
/* `key` is an ObservedKey *. */
int object_fault_find(const void *key, const void *leaf);
bool object_fault_same(const void *a, const void *b);
