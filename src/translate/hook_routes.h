/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * HookRoutes: which RouteConfiguration of a request each Target goes to, by the names that Envoy
 * Gateway gives in either scheme; where it names one by a listener of another Gateway (merged
 * Gateways), by the port.
 */

#include "translate/hook_gateways.h"
#include "translate/joined.h"

typedef struct HookBucket HookBucket;

typedef struct HookRoutes {
        const HookCall *call;
        Arena *arena;
        const HookResult *gateways;
        const Contribution *const *contributions; /* of each; may be NULL */
        Map by_name;                              /* of RouteConfigurations, to HookBucket */
        HookBucket **bucket_of; /* of each Target, by Gateway; NULL: it has none */
        struct HookPort {
                uint64_t port;
                Str routes;
        } * ports; /* that plain HTTP is bound to, once they were needed */
        size_t n_ports;
        bool knows_ports;
} HookRoutes;

/* All borrowed until hook_routes_done. Tallies of the parts are those of `gateways`. */
void hook_routes_init(HookRoutes *r, Arena *arena, const HookCall *call, const HookResult *gateways,
                      const Contribution *const *contributions);
void hook_routes_done(HookRoutes *r);
/* What goes to the RouteConfiguration of that name, in order of Gateways. */
const JoinPart *hook_routes_parts(const HookRoutes *r, Str name, size_t *ret_n);
/* Notes, of each Gateway, the Targets whose RouteConfiguration did not come. */
void hook_routes_note_missing(HookRoutes *r);
