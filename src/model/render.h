/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Our own objects, the same bytes for the same content: as YAML files, which manifest reads back,
 * and as what is applied at an API server, of the same functions. */

#include "model/binding_spec.h"
#include "model/condition.h"
#include "model/endpoint.h"
#include "model/world.h"

/* A TailscaleGatewayBinding for Envoy Gateway's file provider. `attempt` 0 is left out. */
void render_binding(ObjectKey eg_gateway, Str revision, uint64_t attempt, Buf *out);
/* One object of a TailscaleEndpoints: `n` of the view's endpoints, and the status of the whole
 * view. `name` is the object's. */
void render_endpoints(const EntryView *view, Str name, const Endpoint *const *endpoints, size_t n,
                      Buf *out);

/* ---- what is applied, as JSON ---- */

/* What an operator says of a Binding; with an `attempt`, what then stands there of all. */
void render_binding_apply(ObjectKey eg_gateway, Str revision, uint64_t attempt, Buf *out);
/* What all replicas say: of this object alone. */
void render_binding_attempt(ObjectKey eg_gateway, Str uid, uint64_t attempt, Buf *out);
/* What one replica says: what it served; nothing where `revision` is empty. */
void render_binding_served(ObjectKey eg_gateway, Str uid, Str replica, Str revision, Buf *out);

/* One of `n_shards` objects of an entry, owned by its TailscaleGateway, which is the one of that
 * uid. Defaults of the schema are written out, so that what stands there is what was applied. */
typedef struct RenderShard {
        const EntryView *view;
        Str name;
        const Endpoint *const *endpoints;
        size_t n, n_shards;
        Str owner_uid;
} RenderShard;
void render_endpoints_apply(const RenderShard *shard, Buf *out);
/* Its status; of the shard view, name and `n` are looked at. `last_sync` 0: none; `generation`
 * that its conditions are of, 0: not told. */
void render_endpoints_status(const RenderShard *shard, Wall last_sync, const ConditionPast *past,
                             int64_t generation, Buf *out);
/* The conditions of the entry, which each of its objects has. */
enum {
        RENDER_ENTRY_CONDITIONS = 2
};
void render_entry_conditions(const EntryView *view, Condition ret[RENDER_ENTRY_CONDITIONS]);

/* Begins what is applied of an object of ours: apiVersion, kind, and metadata with name, namespace
 * and, where it is not empty, uid. */
void render_apply_head(DocWriter *d, const char *kind, ObjectKey key, Str uid);
/* ownerReferences, of metadata: the TailscaleGateway of that name and uid. */
void render_gateway_owner(DocWriter *d, Str name, Str uid);
