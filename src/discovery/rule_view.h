/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * RuleView: what each rule of one tailnets[] entry matches, taken by itself, for people who write
 * rules: which pattern takes nothing, which takes too much. Pure.
 */

#include "base/arena.h"
#include "model/device.h"
#include "model/gateway_spec.h"
#include "model/tailnet_service.h"

enum {
        RULE_VIEW_NAMES_MAX = 100, /* names told of one rule; all are counted */
};

typedef struct RuleMatch {
        Str field;     /* "patterns[0]", "excludeTags[1]", "ports[2]", "port tags", "defaultPort" */
        Str value;     /* "api-*", "tag:web", "tag:database 5432" */
        size_t n;      /* devices and Services that it matches, whatever the other rules say */
        StrList names; /* the first of them, in order of node id, Services last */
} RuleMatch;

typedef struct RuleView {
        RuleMatch *at; /* in the order in which the rules are asked */
        size_t n;
} RuleView;

/* `devices` and `services` may be NULL; `suffix` (may be empty) makes full names of Services. All
 * that is told is in `arena`, or borrowed from what was given. */
RuleView rule_view(const DiscoveryRules *rules, const Table *devices, const Table *services,
                   Str suffix, Arena *arena);
