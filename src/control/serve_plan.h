/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * ServePlan: which ports of which tailscaleds are to lead where, and what is asked for and not to
 * be: of World and Report alone. What a tailscaled makes of it is for serve_config and execute.
 */

#include "control/serve_config.h"
#include "model/report.h"
#include "model/world.h"

enum {
        /* tailscaleds that are looked after: each is asked all the time. */
        SERVE_SOCKETS_MAX = 64,
};

/* A port that somebody asks for. All strings stand in the plan's arena or are literals. */
typedef struct ServeItem {
        ObjectKey gateway; /* the TailscaleGateway */
        Str tailnet;       /* tailnets[].name */
        Str socket;
        ServeForward forward; /* port 0, no target: the whole entry is refused */
        const char *reason;   /* why it is not to be set; NULL: it is */
        Str text;
} ServeItem;

typedef struct ServePlan {
        Arena arena;
        ServeItem *items; /* by gateway, tailnet, socket, port; each once */
        size_t n;
        StrList sockets; /* of those that are to be set; sorted, each once */
} ServePlan;

/* Of a Report that is complete. A port of a tailscaled that two ask for, for different targets, is
 * that of the older TailscaleGateway. */
void serve_plan_make(const World *world, const Report *report, ServePlan *ret);
void serve_plan_done(ServePlan *p);
/* What is to be set at one socket; array and strings in `arena`. */
ServeForwards serve_plan_forwards(const ServePlan *p, Arena *arena, Str socket);
