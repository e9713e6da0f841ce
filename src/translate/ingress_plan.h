/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * IngressPlan: what one tailnets[] entry offers of the cluster to its tailnet: Services that are
 * labelled or selected (docs/ingress.md). In Kubernetes each becomes a route of the Gateway API,
 * which the operator writes and Envoy Gateway resolves; without, static TailscaleEndpoints of
 * direction Ingress are injected as egress hosts are.
 */

#include "translate/entry_plan.h"

enum {
        /* Services of other namespaces that are labelled for an entry and that it may not refer
         * to: so many are told of. */
        INGRESS_REFUSED_MAX = 16,
};

/* The Service behind a ServicePort that becomes an object. Arena. */
struct IngressBackend {
        const ServiceSpec *service; /* borrowed from the World */
        Str kind;                   /* "HTTPRoute", … */
        Str host;                   /* pattern: the annotation's, else the entry's */
        Str path;                   /* likewise */
        bool is_foreign;            /* of another namespace than the TailscaleGateway */
        const char *reason;         /* why there is none, or NULL */
        Str text;
};

/* Of entry `index` of `spec`; ingress is enabled there. */
EntryPlan ingress_plan_make(Arena *a, const World *w, const GatewaySpec *spec, size_t index,
                            const EgGateway *gateway);
