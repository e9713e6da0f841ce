/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * ListenerPatch: what is done to one of Envoy's listeners, beyond the routes that its HTTP
 * connection managers ask for: part of a Contribution, and of its revision. listener_splice does
 * it. A listener may have several patches; filters that guard it stand in front of what others add.
 */

#include "base/digest.h"
#include "translate/pack.h"

typedef enum ListenerPatchKind {
        LISTENER_TO_CLUSTER, /* TCP, UDP: all goes to one cluster. One pack, whose bytes are fields
                                of a TcpProxy or UdpProxyConfig */
        LISTENER_BY_NAME,    /* TLS that is passed through: each pack is a filter chain for its name
                                (SNI), its bytes are fields of a TcpProxy */
        LISTENER_GUARDED,    /* filters in front of all others. packs[0]: its bytes are whole fields
                                of a Listener (listener_filters); packs[1]: of each FilterChain
                                (filters). Bytes may be empty */
} ListenerPatchKind;

typedef struct ListenerPatch {
        ListenerPatchKind kind;
        uint16_t port; /* of the Gateway's listener */
        bool udp;
        Str listener;       /* its name there */
        Str name_v1;        /* "<namespace>/<gateway>/<listener>": Envoy Gateway's first scheme */
        const Pack **packs; /* by name, but for LISTENER_GUARDED; each with one reference */
        size_t n;
} ListenerPatch;

/* What a TCP listener does with a connection, as fields of a TcpProxy; what a UDP listener does
 * with a datagram, as fields of a UdpProxyConfig. NULL: too large. As pack_host. */
Pack *listener_patch_pack_tcp(const PackService *s, const PackPlace *p, const Pack *before,
                              Buf *scratch) MUST_USE;
Pack *listener_patch_pack_udp(const PackService *s, const PackPlace *p, const Pack *before,
                              Buf *scratch) MUST_USE;
/* All of it that an answer depends on. */
void listener_patch_digest(Digester *d, const ListenerPatch *p);
/* Bytes of its packs. */
size_t listener_patch_bytes(const ListenerPatch *p);
/* The pack of that name of the patch among `at` that is of the same kind and listener; NULL: none.
 */
const Pack *listener_patch_find(const ListenerPatch *at, size_t n, const ListenerPatch *like,
                                Str name);
