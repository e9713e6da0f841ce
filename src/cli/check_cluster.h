/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* CheckCluster: is what an API server holds as it should be for us? Each judges one thing that was
 * asked for. Pure. */

#include "base/err.h"
#include "cli/check_gateway.h"
#include "cli/check_rows.h"
#include "proto/tree.h"

/* What was asked for. */
typedef struct CheckFound {
        const Tree *object; /* NULL: why not is in err */
        Err err;
} CheckFound;

/* Names that the chart gives, unless it is told others. */
#define CHECK_NAME "tailscale-gateway"

/* A CustomResourceDefinition of ours: "tailscalegateways". One that is newer than this program is
 * as it should be; one that lacks what this program knows is not. */
void check_cluster_crd(CheckRows *rows, const char *plural, const CheckFound *crd, Arena *arena);
/* The Deployments of one component (a list): "operator", "extension". Of the first, *ret_account is
 * whom its pods run as; empty where there is none. */
void check_cluster_deployment(CheckRows *rows, const char *component, const CheckFound *list,
                              Str *ret_account);
/* Who leads. */
void check_cluster_lease(CheckRows *rows, const CheckFound *lease);
/* The ConfigMap of Envoy Gateway; false where nothing says that it calls us. Texts of *ret are in
 * `arena`. */
bool check_cluster_gateway_config(CheckRows *rows, const CheckFound *config_map, Arena *arena,
                                  CheckService *ret);
/* The Deployment of Envoy Gateway (one object). *ret_account is whom its pods run as: what its
 * chart says where none is there. */
void check_cluster_gateway(CheckRows *rows, const CheckFound *deployment, Str *ret_account);
/* What is there by the name that Envoy Gateway's configuration has: "Service", "Secret". */
void check_cluster_there(CheckRows *rows, const char *kind, Str ns, Str name,
                         const CheckFound *object);

/* Where a right is needed. */
typedef enum CheckPlace {
        CHECK_IN_WATCHED,  /* in every namespace, or in those that are watched */
        CHECK_IN_CLUSTER,  /* in the cluster, unless single namespaces are watched */
        CHECK_IN_OWN,      /* where the operator is */
        CHECK_IN_GATEWAYS, /* where Envoy Gateway is */
        CHECK_PLACES,
} CheckPlace;

/* One thing that somebody must be allowed. */
typedef struct CheckRight {
        CheckPlace place;
        const char *verb, *group, *resource; /* with its subresource: "a/status" */
        const char *name;                    /* NULL: whatever its name */
} CheckRight;

enum {
        CHECK_RIGHTS_OF_GATEWAY,   /* Envoy Gateway */
        CHECK_RIGHTS_OF_OPERATOR,  /* but for the Secrets that TailscaleTailnets name: their status
                                      says which may not be read */
        CHECK_RIGHTS_OF_EXTENSION, /* the extension server */
        CHECK_RIGHTS_SETS,

        CHECK_RIGHTS_MAX = 96, /* of a set */
};

/* What that set is: how many, in the order in which they are to be asked. `is_wide`: all namespaces
 * are watched. */
size_t check_cluster_rights(unsigned set, bool is_wide, CheckRight ret[CHECK_RIGHTS_MAX]);
/* The answers of SubjectAccessReviews for `n` rights of a set, in their order. */
void check_cluster_allowed(CheckRows *rows, unsigned set, Str who, const CheckRight *rights,
                           size_t n, const CheckFound *reviews);

/* Do hooks arrive, and do replicas agree? Of all Bindings (a list). */
void check_cluster_bindings(CheckRows *rows, const CheckFound *list);
/* Conditions of TailscaleTailnets and TailscaleGateways (a list each). */
void check_cluster_conditions(CheckRows *rows, const char *kind, const CheckFound *list);
