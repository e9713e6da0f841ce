/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* grpc.health.v1 (grpc/doc/health-checking.md): Check and Watch for "" and the extension's service
 * name. */

#include "base/list.h"
#include "net/grpc_server.h"

typedef struct Health {
        Link watchers;
        size_t n_watchers;
        bool serving;
} Health;

void health_init(Health *h);
/* Forgets the watchers; their calls are closed with the server. */
void health_done(Health *h);
/* Tells the watchers where it changed. */
void health_set(Health *h, bool serving);
/* Handlers; their ctx is the Health. */
void health_check(GrpcCall *call);
void health_watch(GrpcCall *call);
