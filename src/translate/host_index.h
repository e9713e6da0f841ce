/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * HostIndex: where a host stands in an array of Packs, by its name: four bytes a slot, for each
 * Gateway's last revisions keep one each.
 */

#include "base/hash.h"
#include "translate/pack.h"

typedef struct HostIndex {
        uint32_t *at; /* owned; 1 + place, 0: free */
        size_t room;  /* a power of two, at least twice as many as there are hosts; 0: none */
        HashKey key;
} HostIndex;

/* `hosts` have each name once; the index is of these and in this order. Zeroed it is one of none.
 */
void host_index_make(HostIndex *x, const Pack *const *hosts, size_t n);
void host_index_done(HostIndex *x);
/* The place of that name; SIZE_MAX: none. `hosts` are those that it was made of. */
size_t host_index_find(const HostIndex *x, const Pack *const *hosts, Str name);
