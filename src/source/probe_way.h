/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* ProbeWay: how a probe of ours gets to the endpoints of one tailnets[] entry: as Envoy does,
 * through the entry's CONNECT proxies in turn, or directly. */

#include "model/gateway_spec.h"
#include "model/proxies.h"
#include "model/tailnet_spec.h"

enum {
        PROBE_TUNNEL_MAX = 64, /* "[IPv6]:port" */
        PROBE_URL_MAX = 96,
};

typedef struct ProbeWay {
        char tunnels[PROXIES_MAX][PROBE_TUNNEL_MAX];
        size_t n;    /* 0: direct */
        size_t next; /* they are taken in turn */
} ProbeWay;

/* Finds it anew, keeps whose turn it is. Returns NULL, or why there is none; a literal. `tailnet`
 * (may be NULL) has the proxies of an entry without its own. */
const char *probe_way_find(ProbeWay *w, const TailnetEntry *entry, const TailnetSpec *tailnet,
                           const Proxies *proxies);
/* For HttpRequestInput.tunnel; NULL: direct. */
const char *probe_way_next(ProbeWay *w);
/* "https://[ip]:port/"; returns buf. */
const char *probe_way_url(bool tls, Str ip, uint16_t port, char buf[PROBE_URL_MAX]);
