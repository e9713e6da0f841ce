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

typedef enum SelectionOf {
        SELECTION_OF_DEVICE,
        /* Known from an endpoint only, so that its os and user are not known: rules over them are
         * taken as still met. */
        SELECTION_OF_REMEMBERED,
        /* A Tailscale Service in the form of a device: it has no os and no owner, so a rule over
         * them never takes it, and it is no node of ours. */
        SELECTION_OF_SERVICE,
} SelectionOf;

/* The first question that refuses tells why; where none does, what matched is told. */
Verdict selection_judge(const DiscoveryRules *rules, StrList own_nodes, const Device *d,
                        SelectionOf of, Arena *arena);
/* The first of groups[] that the device is in, or -1. */
ptrdiff_t selection_group(const DiscoveryRules *rules, const Device *d);
/* Does the glob match: the short name where there is no dot in the glob, else the full name? */
bool selection_name_matches(Str pattern, const Device *d);
