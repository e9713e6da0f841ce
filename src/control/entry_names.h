/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* EntryNames: what the TailscaleEndpoints of one tailnets[] entry are called:
 * `<gateway>-<tailnet>-<hash of both>-<n>`. */

#include "base/arena.h"
#include "model/world.h"

/* Without the number: a DNS subdomain that leaves room for it, and for a file's name. */
Str entry_name(Arena *a, const EntryView *v);
/* Is it a name that we give, with its number? What else stands there is somebody's own. */
bool entry_name_is_ours(Str name);
