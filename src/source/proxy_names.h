/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * ProxyNames: proxies that are given by name, resolved by us: Envoy takes literal addresses only,
 * and a name that moves must not be held for ever. Each is looked up anew every
 * PROXY_NAMES_SECONDS; a look-up that fails keeps what was known.
 */

#include "base/log.h"
#include "base/table.h"
#include "io/loop.h"

enum {
        PROXY_NAMES_SECONDS = 30,
        PROXY_NAMES_MAX = 256,
        PROXY_NAME_ADDRESSES_MAX = 16
};

typedef struct ProxyNames ProxyNames;
typedef void ProxyNamesFn(void *owner);

/* `fn` tells that the Table changed, from the loop. */
ProxyNames *proxy_names_open(Loop *loop, Log *log, ProxyNamesFn *fn, void *owner) MUST_USE;
/* The names that are wanted now: those of `tailnets` (TailnetSpec) and `gateways` (GatewaySpec)
 * that are no literals. New ones are looked up at once; those that nobody wants any more are
 * forgotten. */
void proxy_names_want(ProxyNames *p, const Table *tailnets, const Table *gateways);
/* Of ProxyName; borrowed until the next call or delivery. */
const Table *proxy_names_table(const ProxyNames *p);
/* Has every wanted name been resolved, now or before? */
bool proxy_names_all_resolved(const ProxyNames *p);
/* Waits for the one name that is being looked up. Allowed in the ProxyNamesFn. NULL is welcome.
 * Returns NULL. */
ProxyNames *proxy_names_close(ProxyNames *p);
