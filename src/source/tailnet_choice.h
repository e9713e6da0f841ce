/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* TailnetChoice: which TailscaleTailnets are asked where there are more than can be. Pure. */

#include "base/table.h"
#include "model/tailnet_spec.h"

typedef bool TailnetChoiceFn(const void *owner, const TailnetSpec *t);

/* Of `specs` (by key; may be NULL) those that `may` be chosen (NULL: all), at most `max`: who is
 * `in` already stays, then the oldest come first, then the first by key. So nobody who comes later
 * pushes another one out. Their number; `ret` has room for all of them, and is by key. */
size_t tailnet_choice_make(const Table *specs, TailnetChoiceFn *may, TailnetChoiceFn *in,
                           const void *owner, size_t max, const TailnetSpec **ret);
