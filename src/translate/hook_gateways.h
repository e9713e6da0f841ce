/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * HookGateways: which Gateways a call of PostTranslateModify is about, and what each of them gets.
 * It is one, or with merged Gateways all those of their class, ours and others.
 */

#include "translate/contribution.h"
#include "translate/hook.h"

typedef struct HookCall {
        const Snapshot *snapshot; /* NULL: an incomplete World */
        Str request;
        StrList routes; /* names of the RouteConfigurations that came */
        bool may_wait;
} HookCall;

/* Lists the Gateways in order of their keys, at least one (with an empty key: nothing tells it).
 * With HOOK_ANSWERED ret_contributions has of each what goes to it, NULL for nothing; borrowed from
 * the Snapshot, in an array of the arena. `ret` is to be ended by hook_result_done in any case. */
HookVerdict hook_gateways_choose(const HookCall *call, Arena *arena, HookResult *ret,
                                 const Contribution ***ret_contributions);
