/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* GatewayStatus: what is said of a TailscaleGateway, on /state and in its status. */

#include "model/answered.h"
#include "model/condition.h"

enum {
        GATEWAY_CONDITIONS = 4,       /* Accepted, ResolvedRefs, Programmed, Conflicted */
        GATEWAY_CONDITIONS_MAX = 5,   /* and IngressServing, where a way in is asked for */
        GATEWAY_CONFLICTS_SHOWN = 16, /* in a status; the condition tells how many there are */
};

typedef struct GatewayStatus {
        const GatewaySpec *spec; /* borrowed, as the next one */
        const Answered *answered;
        Condition
                conditions[GATEWAY_CONDITIONS_MAX]; /* messages stand in `texts`, or are borrowed */
        size_t n_conditions;
        Buf texts[GATEWAY_CONDITIONS_MAX];
} GatewayStatus;

/* Borrows both until gateway_status_done. */
void gateway_status_init(GatewayStatus *s, const Answered *a, const GatewaySpec *g);
void gateway_status_done(GatewayStatus *s);
/* Says in Accepted what of extensionServer is not honoured: in Kubernetes only. Anything worse that
 * stands there stays. */
void gateway_status_extension(GatewayStatus *s, const ExtensionWish *wish, const Policy *policy);
/* Says in Accepted, ResolvedRefs and Programmed what Envoy Gateway has made of the routes of
 * ingress that stand there: of `observed`, for who watches them. Anything worse that stands there
 * stays. */
void gateway_status_routes(GatewayStatus *s, const Table *observed);
/* The status as it is applied: conditions, numbers of each entry, the first conflicts. */
void gateway_status_doc(DocWriter *d, const GatewayStatus *s, const ConditionPast *past);
