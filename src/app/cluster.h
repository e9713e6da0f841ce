/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Cluster: the side of a shape that faces the API server: who we are there, whether we may write,
 * and what is written. What is read there is the Hub's.
 */

#include "app/config.h"
#include "control/plan.h"
#include "io/loop.h"
#include "kube/kube_api.h"
#include "net/http_client.h"

struct AdminView;

#define CLUSTER_LEASE "tailscale-gateway"

typedef struct ClusterInput {
        Loop *loop; /* borrowed, as is all that follows */
        Log *log;
        HttpClient *http;
        const Config *config;
        Facts *facts;
        uint64_t seed;
        /* The Lease has become ours, or is no more: PLAN_OPERATOR comes or goes. */
        void (*on_lead)(void *owner, bool leads);
        void (*on_written)(void *owner);  /* plan again */
        void (*on_released)(void *owner); /* after cluster_release, once */
        void *owner;
} ClusterInput;

typedef struct Cluster Cluster;

/* Asks nothing yet. NULL where nobody says where the API server is, or not in a way that we can
 * follow. */
Cluster *cluster_open(const ClusterInput *in, Err *err) MUST_USE;
/* Competes for the Lease from now on, in a shape that writes. */
void cluster_begin(Cluster *c);
/* Reads anew where the API server is, and who we are there. */
void cluster_reread(Cluster *c);
KubeApi *cluster_api(const Cluster *c);
/* Our own namespace. */
Str cluster_namespace(const Cluster *c);
/* Now; it may change without a word, when the Lease's time is up. */
bool cluster_leads(const Cluster *c);

/* What the watches show by now, a Table of Observed; before a plan. */
void cluster_tell(Cluster *c, const Table *observed);
/* The members of PlanInput that are of Kubernetes, but for the faults. Borrowed until the next call
 * or delivery. */
void cluster_plan_input(Cluster *c, PlanInput *in);
/* As kube_objects_run. */
bool cluster_run(Cluster *c, const Plan *plan);
bool cluster_is_writing(const Cluster *c);

/* Writes no more, and gives the Lease back, so that another has it at once. */
void cluster_release(Cluster *c);
/* Adds the numbers of its parts. */
void cluster_view(const Cluster *c, struct AdminView *v);
/* NULL is welcome. Returns NULL. */
Cluster *cluster_close(Cluster *c);
