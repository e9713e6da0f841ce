/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing with linear probing, at most half full: most names that are asked for are Envoy
 * Gateway's own, and end at a free slot without a look at a Pack. */
#include "translate/host_index.h"

#include "base/mem.h"

enum {
        ROOM_MIN = 8
};

static size_t first_slot(const HostIndex *x, Str name)
{
        return (size_t)hash_str(&x->key, name) & (x->room - 1);
}

void host_index_make(HostIndex *x, const Pack *const *hosts, size_t n)
{
        *x = (HostIndex){0};
        if (n == 0)
                return;
        INSIST(n < UINT32_MAX / 2);
        x->room = ROOM_MIN;
        while (x->room < 2 * n)
                x->room *= 2;
        x->at = mem_new_array(x->room, sizeof(*x->at));
        x->key = hash_key_new();
        for (size_t i = 0; i < n; i++) {
                size_t slot = first_slot(x, hosts[i]->name);
                while (x->at[slot] != 0)
                        slot = (slot + 1) & (x->room - 1);
                x->at[slot] = (uint32_t)i + 1;
        }
}

void host_index_done(HostIndex *x)
{
        mem_free(x->at);
        *x = (HostIndex){0};
}

size_t host_index_find(const HostIndex *x, const Pack *const *hosts, Str name)
{
        if (x->room == 0)
                return SIZE_MAX;
        for (size_t slot = first_slot(x, name); x->at[slot] != 0;
             slot = (slot + 1) & (x->room - 1)) {
                if (str_eq(hosts[x->at[slot] - 1]->name, name))
                        return x->at[slot] - 1;
        }
        return SIZE_MAX;
}
