/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Contribution: all that we add to one of Envoy Gateway's Gateways, of one revision: clusters, and
 * for each RouteConfiguration hosts and paths. Immutable; made of Packs that generations share, so
 * that eight revisions cost little more than one.
 */

#include "model/binding_spec.h"
#include "model/eg_spec.h"
#include "translate/host_index.h"
#include "translate/listener_patch.h"

/* Paths that go to the same hosts of one listener, by one namespace's wish. */
typedef struct PathGroup {
        Str listener;   /* chosen listener's name */
        Str domain;     /* which hosts, in Envoy's notation; of the catch-all itself its domain */
        Str namespace;  /* of the TailscaleGateways */
        bool catch_all; /* the listener's catch-all host, added where absent */
        bool named;     /* the user named the listener */
        const Pack **paths; /* longest first; each with one reference */
        size_t n;
} PathGroup;

/* One RouteConfiguration: of an HTTPS listener, or of all HTTP listeners of a port. */
typedef struct Target {
        uint16_t port;
        bool tls;
        Str name_v1, name_v2; /* of the RouteConfiguration in Envoy Gateway's two naming schemes */
        StrList listeners;    /* the listeners that share it */
        const Pack **hosts;   /* by name; each with one reference */
        size_t n_hosts;
        HostIndex by_domain; /* of `hosts` */
        PathGroup *groups;
        size_t n_groups;
} Target;

typedef struct Contribution Contribution;
struct Contribution {
        Leaf leaf;
        ObjectKey gateway;
        char revision[REVISION_MAX + 1];
        const Pack **clusters; /* by name; each with one reference */
        size_t n_clusters;
        Target *targets; /* by tls, port, name */
        size_t n_targets;
        ListenerPatch *patches; /* by kind, listener's name; strings in the leaf */
        size_t n_patches;
        size_t bytes; /* of all packs */
        uint64_t n_hosts, n_paths, n_ports;
};

/* Sets revision and sums; to be called once all is filled in. */
void contribution_seal(Contribution *c);
/* For the `drop` of leaf_new. */
void contribution_drop(Leaf *leaf);
/* The pack of that name among those of `c` (NULL: none), to be used again. */
const Pack *contribution_find_cluster(const Contribution *c, Str name);
/* The target that is the same RouteConfiguration, or NULL. */
const Target *contribution_find_target(const Contribution *c, const Target *like);
const Pack *contribution_find_host(const Target *t, Str name);
const Pack *contribution_find_path(const Target *t, const PathGroup *like, Str name);
/* Same listener, domain, namespace and naming. */
bool contribution_same_group(const PathGroup *a, const PathGroup *b);
