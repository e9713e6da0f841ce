/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Proxies: what proxyAddresses stand for, names resolved, and whose they are. A proxy leads into
 * one tailnet: under two of them, calls for one would end in the other. Texts that differ are
 * compared when the manifests are read; here what they come to.
 */

#include "base/map.h"
#include "model/world.h"

enum {
        PROXIES_MAX = 16, /* CONNECT proxies of one tailnet */
};

/* Where a CONNECT proxy listens. */
typedef struct ProxyAddr {
        Str ip; /* literal; empty: a unix socket */
        uint16_t port;
        Str path;
} ProxyAddr;

/* "IP:port", "[IPv6]:port" or the path of a unix socket (also "unix:/path"). False for anything
 * else, a name among them: who makes the World resolves names. Borrows from `s`. */
bool proxy_parse(Str s, ProxyAddr *ret);

typedef struct Proxies {
        const World *world; /* borrowed */
        Arena arena;
        Map users; /* address to ProxyUser */
} Proxies;

/* Every proxy of `world`, which must outlive it. */
void proxies_init(Proxies *p, const World *world);
void proxies_done(Proxies *p);
/* Why proxies that are given are not used. */
typedef struct ProxyGaps {
        Str unresolved; /* the last that stands for nothing (yet); empty: none does */
        Str refused;    /* the last that the World's Policy refuses, or that stands for such an
                           address among others; empty: none does */
        Err err;        /* why it does */
} ProxyGaps;

/* What `given` stands for and the World's Policy admits, each once, in its order; at most
 * PROXIES_MAX. Strings are the World's. */
size_t proxies_find(const Proxies *p, StrList given, ProxyAddr ret[PROXIES_MAX],
                    ProxyGaps *ret_gaps);
/* Is the proxy used under another TailscaleTailnet than `tailnet`, too? */
bool proxies_is_shared(const Proxies *p, const ProxyAddr *proxy, ObjectKey tailnet,
                       ObjectKey *ret_other);
