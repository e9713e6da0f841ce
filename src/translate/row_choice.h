/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * RowChoice: which row of the Report takes a request. Envoy first chooses a virtual host by the
 * request's host (exact before the longest wildcard before the catch-all), then within it the first
 * route that matches, and never falls back to another virtual host: so do we.
 */

#include "base/arena.h"
#include "model/facts.h"
#include "model/report.h"
#include "model/world.h"

/* The virtual host that a request's host leads to on one listener. */
typedef struct RowDomain {
        Str name;             /* in Envoy's notation; arena or World */
        bool is_ours;         /* one that we generate */
        const EgRoute *route; /* whose host it is; NULL: ours, or nobody's */
} RowDomain;

typedef struct RowChoice {
        const RouteReport *row; /* that takes it, else the one that was nearest to; NULL: none is */
        bool is_taken;
        RowDomain domain; /* on the listener of the row */
} RowChoice;

typedef struct RowRequest {
        const World *world;
        const Report *report;
        const Facts *facts; /* may be NULL: what an answer was without is not known then */
        Str scheme;         /* empty: either */
        Str host;           /* without port; empty: any */
        Str path;           /* as request_path_normal gives it */
        uint16_t port;      /* of scheme tcp or udp: the listener's; else not looked at */
} RowRequest;

/* Is it for a listener that has neither hosts nor paths: tcp://gateway:5432? */
bool row_choice_is_of_port(Str scheme);

/* The row that takes the request, as Envoy chooses, else the one that is nearest to it. */
RowChoice row_choose(const RowRequest *request);
/* Is the row a path whose pathHosts name that virtual host? */
bool row_choice_is_in(const RouteReport *row, const RowDomain *domain);
/* Is a gap in that virtual host, or in a narrower one that holds the host and that only the answer
 * knew of? */
bool row_choice_meets(const AnswerGap *gap, const RowDomain *domain, Str host);
/* Does the path lead to a prefix, which ends in '/'? It need not have that. */
bool row_choice_is_under(Str path, Str prefix);
/* The listener of a row; NULL where none was chosen, or it is gone. */
const EgListener *row_choice_listener(const World *w, const RouteReport *row);
