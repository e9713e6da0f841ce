/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Proxies: what proxyAddresses stand for, names resolved, and whose they are. A proxy leads into
 * one tailnet: under two of them, calls for one would end in the other. Texts that differ are
 * compared when the manifests are read; here what they come to.
 */

#include "base/map.h"
#include "model/world.h"
#include "translate/pack.h"

typedef struct Proxies {
        const World *world; /* borrowed */
        Arena arena;
        Map users; /* address to ProxyUser */
} Proxies;

/* Every proxy of `world`, which must outlive it. */
void proxies_init(Proxies *p, const World *world);
void proxies_done(Proxies *p);
/* What `given` stands for, each once, in its order; at most PACK_PROXIES_MAX. Strings are the
 * World's. *ret_unresolved is the last that stands for nothing (yet); empty: none does. */
size_t proxies_find(const Proxies *p, StrList given, ProxyAddr ret[PACK_PROXIES_MAX],
                    Str *ret_unresolved);
/* Is the proxy used under another TailscaleTailnet than `tailnet`, too? */
bool proxies_is_shared(const Proxies *p, const ProxyAddr *proxy, ObjectKey tailnet,
                       ObjectKey *ret_other);
