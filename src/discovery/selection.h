/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Selection: do a user's rules take this device, and which of them decided? Pure; no clock. */

#include "base/arena.h"
#include "model/device.h"
#include "model/gateway_spec.h"

enum {
        /* The rule stands in TailscaleEndpoints, where a string has STRING_MAX bytes. */
        SELECTION_RULE_MAX = 512,
};

typedef struct Verdict {
        bool taken;
        Str reason; /* where refused: "OwnNode", "Excluded", "NotSelected"; a literal */
        Str text;   /* taken: the rule ("pattern api-*", "tag tag:web", "no pattern"); refused: why,
                       in   words. In the arena, or a literal */
} Verdict;

/* `partial`: the device is known from an endpoint only, so that its os and user are not known;
 * rules over them are then taken as still met. */
Verdict selection_judge(const DiscoveryRules *rules, StrList own_nodes, const Device *d,
                        bool partial, Arena *arena);
/* Does the glob match as RESOURCES says: the short name without a dot in it, else the full name? */
bool selection_name_matches(Str pattern, const Device *d);
