/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Our own objects as YAML, the same bytes for the same content: what execute writes and what
 * manifest reads back. */

#include "model/binding_spec.h"
#include "model/endpoint.h"
#include "model/world.h"

/* A TailscaleGatewayBinding for Envoy Gateway's file provider. `attempt` 0 is left out. */
void render_binding(ObjectKey eg_gateway, Str revision, uint64_t attempt, Buf *out);
/* One object of a TailscaleEndpoints: `n` of the view's endpoints, and the status of the whole
 * view. `name` is the object's. */
void render_endpoints(const EntryView *view, Str name, const Endpoint *const *endpoints, size_t n,
                      Buf *out);
/* A YAML scalar: plain where that is safe, else double-quoted. */
void render_scalar(Buf *out, Str s);
