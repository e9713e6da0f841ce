/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* WorldBuild: tables in, the next World out. Pure; hub decides when. */

#include "model/world.h"

typedef struct WorldInput {
        const World *before; /* never NULL */
        const Table *cache;  /* of EntryView, read back at start */
        const Table *tailnets, *gateways, *eg_gateways, *eg_routes;
        const Table *endpoints;  /* of EndpointsSpec: the user's */
        const Table *found;      /* the same, as they stand at an API server: ours; NULL: none */
        const Table *namespaces; /* of EgNamespace, where Envoy Gateway reads */
        const Table *services;   /* of ServiceSpec, likewise */
        const Table *grants;     /* of ReferenceGrant, likewise */
        const Table *our_namespaces; /* where our manifests stand; the others win */
        const Table *tailnet_states;
        const Table *bindings; /* of BindingSpec; NULL: not known */
        const Table *proxy_names;
        const Table *secrets;    /* of SecretSpec, where our manifests stand; NULL: none */
        bool proxies_resolved;   /* each name was, at least once */
        const Policy *policy;    /* NULL: all is permitted */
        const Table *open_ports; /* of OpenPorts, found by looking; NULL: none */
        const Table *approved;   /* of EntryView that replace the one before, or NULL */
        bool follows;            /* another process discovers: entries are those of `found` */
        bool eg_knows_labels;    /* as World has it */
        bool resources_read;
        bool waited; /* HUB_FIRST_SYNC_S have passed */
        Wall now;
        Mono mono; /* the same instant */
} WorldInput;

/* The next World with one reference; `before` itself, with one more, where nothing changed. */
const World *world_build(const WorldInput *in) MUST_USE;
