/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * World: all that is wished and found, at one instant, immutable. Readers keep the one they began
 * with; a new one replaces the pointer. It holds no counts, no served revisions, no hook results:
 * those are Facts: answering a hook changes no World.
 */

#include "base/table.h"
#include "model/binding_spec.h"
#include "model/device.h"
#include "model/eg_spec.h"
#include "model/endpoint.h"
#include "model/endpoints_spec.h"
#include "model/gateway_spec.h"
#include "model/left_out.h"
#include "model/policy.h"
#include "model/reference_grant.h"
#include "model/secret_spec.h"
#include "model/service_spec.h"
#include "model/tailnet_service.h"
#include "model/tailnet_spec.h"
#include "model/trust_bundle.h"

/* Never-synced is not empty: nothing is removed or counted as none because of it. */
typedef enum SyncState {
        SYNC_NEVER,
        SYNC_DONE,
        SYNC_STALE
} SyncState;

/* What is known of one TailscaleTailnet's control server. */
typedef struct TailnetState {
        Leaf leaf;
        ObjectKey key;
        SyncState sync;   /* SYNC_STALE: the last poll failed (marked Stale in status after 24 h) */
        Wall last_sync;   /* of a good answer; 0: never */
        Str error_reason; /* of the last poll; empty where it was good */
        Str error_text;
        Wall clock;    /* what time it was by its own clock, as far as it tells, … */
        Mono clock_at; /* … then; 0: it has not answered. Moves with every answer */
        uint64_t n_devices;
        uint64_t poll; /* what the removal guard counts: good answers so far in this process of the
                          source that presence comes from, at most one a pollInterval */
        bool partial;  /* that source fails, or has not answered yet: what `devices` lacks may be
                          there all the same */
        Str suffix;    /* MagicDNS suffix: given, or found; may be empty */
        const Table *devices;  /* of Device, merged from all sources; NULL: never synced. One
                                  reference */
        const Table *services; /* of TailnetService; NULL: not known. One reference */
        bool services_partial; /* they are those that a tailscaled beside that source can reach, for
                                  want of an answer: what they lack may be there all the same */
        Str self_node; /* node id of the tailscaled that is asked: a proxy of ours; or empty */
        Str scopes;    /* that the credential has, where it says so; or empty */
        Str warning;   /* what is not found for want of a scope, …; or empty */
} TailnetState;

/* A removal that the guard holds back. */
typedef struct HeldRemoval {
        unsigned n;             /* endpoints held; 0: nothing is */
        unsigned confirmations; /* polls in a row that said so */
        Str digest;             /* what approve-removal names */
        Str reason;             /* "EmptyAnswer", "TooManyRemoved" */
} HeldRemoval;

/* What discovery made for one tailnets[] entry of one TailscaleGateway. */
typedef struct EntryView {
        Leaf leaf;
        ObjectKey gateway; /* the TailscaleGateway */
        Str tailnet;       /* tailnets[].name */
        Str source;        /* the TailscaleTailnet that they were found in; empty: not told */
        Str suffix;        /* the MagicDNS suffix there, of which names are made; may be empty */
        bool known; /* false: neither list nor cache yet; nothing may be removed because of it */
        bool from_cache;             /* endpoints are those read back at start; no answer yet */
        uint64_t poll;               /* the poll that was last taken into account */
        Wall last_sync;              /* the sync that changed what is in force last; 0: not known */
        const Table *endpoints;      /* of Endpoint; never NULL where known. One reference */
        const LeftOutList *left_out; /* at most LEFT_OUT_MAX. One reference; may be NULL */
        uint64_t n_left_out;         /* all of them */
        Wall next_key_expiry;        /* the earliest of the devices taken; 0: none, or not known */
        HeldRemoval held;
} EntryView;

/* What a proxy that is given by name stands for. Names that were never resolved have none. */
typedef struct ProxyName {
        Leaf leaf;
        Str name;          /* "host:port" as in proxyAddresses */
        StrList addresses; /* "IP:port", "[IP]:port"; sorted, not empty */
} ProxyName;

typedef struct World {
        Leaf leaf;
        uint64_t generation; /* counts up within the process; for people only */
        bool resources_read; /* manifests were read once: who refers to which Gateway is known */
        /* Does Envoy Gateway know the labels of Namespaces? Its file provider drops them and has no
         * kubernetes.io/metadata.name either (EG 1.9, internal/gatewayapi/resource/load.go); with
         * Kubernetes it reads what the API server has. */
        bool eg_knows_labels;
        bool complete; /* resources read once, and every tailnet synced, read back, or 10 s old */
        const Table *tailnets;       /* of TailnetSpec; each Table with one reference, never NULL */
        const Table *gateways;       /* of GatewaySpec */
        const Table *eg_gateways;    /* of EgGateway */
        const Table *eg_routes;      /* of EgRoute */
        const Table *namespaces;     /* of EgNamespace; NULL: none was read */
        const Table *services;       /* of ServiceSpec: those that may be exposed, or stand in for
                                        a tailnet; NULL: none was read */
        const Table *grants;         /* of ReferenceGrant; NULL: likewise */
        const Table *statics;        /* of EndpointsSpec: those that users wrote, of which those
                                        of Ingress are looked at; NULL: likewise */
        const Table *tailnet_states; /* of TailnetState */
        const Table *entries;        /* of EntryView */
        const Table *bindings;       /* of BindingSpec: those that are written; NULL: not known */
        const Table *proxy_names;    /* of ProxyName */
        const Table *trust;          /* of TrustBundle: each Secret that is named; NULL: none is */
        const Policy *policy;        /* what the administrator permits; NULL: all. One reference */
} World;

int tailnet_state_order(const void *a, const void *b);
/* Does all agree but what moves with every good poll: its number and its time? */
bool tailnet_state_same(const void *a, const void *b);
/* `key` is an ObjectKey *. */
int tailnet_state_find(const void *key, const void *leaf);
int entry_view_order(const void *a, const void *b);

typedef struct EntryKey {
        ObjectKey gateway;
        Str tailnet;
} EntryKey;
/* `key` is an EntryKey *. */
int entry_view_find(const void *key, const void *leaf);

int proxy_name_order(const void *a, const void *b);
/* `key` is a Str *. */
int proxy_name_find(const void *key, const void *leaf);
bool proxy_name_same(const void *a, const void *b);

/* For the `drop` of leaf_new of the three types above. */
void tailnet_state_drop(Leaf *leaf);
void entry_view_drop(Leaf *leaf);
void world_drop(Leaf *leaf);
/* An empty incomplete World. */
World *world_new_empty(void) MUST_USE;
