/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * KubeInterest: which objects of other people bear on us: the Gateways that TailscaleGateways refer
 * to, or that have a Binding of ours, what is attached to them, the Namespaces of
 * TailscaleGateways; and, where one of these takes Services of the cluster (ingress, failover), the
 * Services that are labelled for us, selected or named, and ReferenceGrants for those Namespaces.
 * Each has a number, that of the change that brought it: what was listed since then has it.
 */

#include "base/map.h"
#include "model/eg_spec.h"
#include "model/gateway_spec.h"
#include "model/reference_grant.h"
#include "model/service_spec.h"

typedef struct KubeInterest {
        Map wanted;   /* of Wanted, owned, by kind and name */
        uint64_t now; /* number of the newest that came; 0: none ever did */
} KubeInterest;

void kube_interest_init(KubeInterest *i);
void kube_interest_done(KubeInterest *i);
/* From begin to end all that is wanted is added; what is not is forgotten. End returns whether
 * anything was. */
void kube_interest_begin(KubeInterest *i);
void kube_interest_add(KubeInterest *i, const GatewaySpec *g);
void kube_interest_add_gateway(KubeInterest *i, ObjectKey gateway);
/* After all TailscaleGateways: what their selectors reach by it in its namespace. */
void kube_interest_add_grant(KubeInterest *i, const ReferenceGrant *g);
bool kube_interest_end(KubeInterest *i);
bool kube_interest_is_empty(const KubeInterest *i);
/* Does anybody take Services of the cluster? */
bool kube_interest_wants_services(const KubeInterest *i);

/* Is it, or its parent, wanted? */
bool kube_interest_has_gateway(const KubeInterest *i, const EgGateway *g);
bool kube_interest_has_route(const KubeInterest *i, const EgRoute *r);
bool kube_interest_has_namespace(const KubeInterest *i, const EgNamespace *n);
bool kube_interest_has_service(const KubeInterest *i, const ServiceSpec *s);
bool kube_interest_has_grant(const KubeInterest *i, const ReferenceGrant *g);
/* Was all that bears on `g` in a list that was begun with number `covered`? */
bool kube_interest_covers(const KubeInterest *i, const GatewaySpec *g, uint64_t covered);
