/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* MadeRoute: the object of the Gateway API that stands for one row of ingress in the Report: what
 * it is called, and what is said of it. */

#include "model/observed.h"
#include "model/report.h"

/* Annotation: the Service that it leads to, "namespace/name". */
#define MODEL_SERVICE MODEL_GROUP "/service"

enum {
        MADE_ROUTE_NAME_MAX = 150, /* two names that are cut, a hash, what joins them */
};

/* OBSERVED_KINDS where that is none of them. */
ObservedKind made_route_kind(Str kind);
bool made_route_is_one(ObservedKind kind);
/* "HTTPRoute", …; NULL where it is none. */
const char *made_route_kind_name(ObservedKind kind);
/* `<gateway>-<service>-<hash>` of a row that has a backend: the same for the same TailscaleGateway,
 * listener, Service, host and path, whatever tailnet of that asks for it. NUL-terminated. */
Str made_route_name(const RouteReport *r, char buf[MADE_ROUTE_NAME_MAX + 1]);
/* Is it a name that we give? What else stands there is somebody's own. */
bool made_route_name_is_ours(Str name);
