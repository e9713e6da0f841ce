/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * HookListeners: which Listener of a request each ListenerPatch is about. Envoy has one listener on
 * a port, however many of Gateways there are and whatever Envoy Gateway names it: the port tells
 * it.
 */

#include "translate/hook_gateways.h"
#include "translate/listener_splice.h"

typedef struct HookListener {
        Str body; /* of the request */
        Str name;
        uint64_t port;
        bool udp;
        ListenerPart *parts;
        size_t n, room;
} HookListener;

typedef struct HookListeners {
        Arena *arena;
        const HookResult *gateways;
        const Contribution *const *contributions; /* of each; may be NULL */
        HookListener *at;                         /* as they came; none where nothing is patched */
        size_t n;
        size_t next; /* of those that are written in turn */
} HookListeners;

/* All borrowed. Tallies of the parts are those of `gateways`. */
void hook_listeners_init(HookListeners *l, Arena *arena, const HookCall *call,
                         const HookResult *gateways, const Contribution *const *contributions);
/* Appends the next Listener of the request, whose body this is, to the answer. */
SpliceVerdict hook_listeners_write(HookListeners *l, Str body, StrList taken, Buf *answer);
