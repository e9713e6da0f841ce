/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Claims: every host, path and listener port that the services of one Gateway ask for, and who gets
 * which. A claim that loses keeps its reason; never half a route.
 */

#include "translate/contribution.h"
#include "translate/entry_plan.h"

enum {
        CLAIMS_HOSTS_MAX = 20000, /* of one Gateway: Envoy needs seconds for so many clusters */
        CLAIMS_PATHS_MAX = 10000, /* the same, and each is repeated in every host that it goes to */
};

typedef struct Claim {
        EntryPlan *by;
        ServicePort *port;
        const EgListener *listener; /* NULL: the entry has none */
        Str name;                   /* host, or path; empty: nothing was asked for (NoHost) */
        Str domain;                 /* of a path: the hosts that it goes to, in Envoy's notation */
        Str path;    /* of a Service's route: its prefix, without '/' at the end but "/" itself */
        Wall oldest; /* age of the oldest of its namespace that asks for the same */
        bool is_path, catch_all;
        bool is_port;           /* all of a TCP or UDP listener; neither name nor domain */
        uint16_t listener_port; /* of it */
        bool won;
        const struct Claim *same_as; /* that won and is the same route, an object; NULL: none */
        const char *reason;          /* where it has not won */
        Str text;
        size_t bytes; /* set by assemble: of its host, path or listener */
} Claim;

typedef struct Claims {
        Claim *at; /* sorted: RouteConfiguration, hosts before paths, domain, kind, name, winner
                      first */
        size_t n;
} Claims;

/* Of all entries of one Gateway (`gateway` NULL: not found; nothing wins then). Counts hosts, paths
 * and conflicts in the plans. */
Claims claims_settle(Arena *a, const World *w, const EgGateway *gateway, EntryPlan *plans,
                     size_t n);
/* Where its entry counts what it has of its kind. */
uint64_t *claims_count_of(Claim *c);
/* Those that won, in the order in which what is scarce is given to them: the oldest namespace that
 * refers to the Gateway first, within it as hosts go. */
Claim **claims_by_standing(Arena *a, const Claims *all, size_t *ret_n);
/* It does not have what it won. */
void claims_take_back(Claim *c, const char *reason, Str text);
/* Likewise: one resource may not be as large. */
void claims_too_large(Claim *c);
/* The older first; those whose age is not known last, and alike. */
int claims_order_ages(Wall a, Wall b);
/* Are both listeners of one RouteConfiguration? */
bool claims_share_routes(const EgListener *a, const EgListener *b);
