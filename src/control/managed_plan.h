/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * ManagedPlan: the extension server that the operator keeps in its own namespace: Service,
 * PodDisruptionBudget and Deployment. One serves the whole cluster; it is there before the first
 * TailscaleGateway, and is never removed by us: Envoy Gateway may call it.
 */

#include "control/plan.h"
#include "model/extension_ask.h"

/* Of all three objects; the host that Envoy Gateway calls is "<it>.<namespace>.svc". */
#define MANAGED_NAME "tailscale-gateway-extension"

enum {
        MANAGED_PORT = 5005, /* of the hooks */
        MANAGED_METRICS_PORT = 19006,
        MANAGED_REPLICAS = 2,
        MANAGED_USER = 65532, /* "nonroot" of the usual base images */
        /* A replica that is told to end lets calls finish for 10 s; the rest is for a slow node. */
        MANAGED_GRACE_S = 30,
};

/* What the operator is set to; all borrowed. */
typedef struct ManagedSettings {
        Str namespace;        /* our own */
        Str image;            /* empty: none is managed, nothing is planned */
        Str service_account;  /* of the replicas; the chart makes it */
        ExtensionCaps caps;   /* of what may be asked of it */
        bool listens_on_ipv6; /* "[::]" in place of "0.0.0.0": the cluster's first family is IPv6 */
        /* Flags of the replicas beside those that follow from this: what is permitted, which
         * namespaces are read, how is logged. */
        StrList args;
} ManagedSettings;

/* What of the wishes of all TailscaleGateways counts. */
ExtensionWish managed_wish(const ManagedSettings *s, const World *world);
/* In the role of operator, and only once the TailscaleGateways were read: replicas are none too
 * few because of one that is not known yet. Appends what is not as wished. */
void plan_managed(const PlanInput *in, const ManagedSettings *s, Plan *p);
