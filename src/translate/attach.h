/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Attach: which listener of a Gateway a TailscaleGateway's routes go to, by the rules of a Route:
 * the listener that is named, else the one of the direction's protocol that admits our namespace.
 * Several that fit are refused, not guessed: the wrong one of two may be that
 * of the internet, which would then reach the tailnet.
 */

#include "base/arena.h"
#include "model/eg_spec.h"
#include "model/gateway_spec.h"

typedef struct Attached {
        const EgListener *listener; /* NULL: none, and why: */
        const char *reason;
        Str text;   /* arena */
        bool named; /* by sectionName: the user chose it */
} Attached;

/* `gateway` NULL: it is not among what was read. */
Attached attach_choose(Arena *a, const GatewaySpec *spec, const RouteRules *rules,
                       const EgGateway *gateway);
