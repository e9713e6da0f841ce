/* SPDX-License-Identifier: Apache-2.0 */
#include "translate/listener_patch.h"

#include "proto/pb_writer.h"

#include "pb_tokens.h"

static Pack *keep(const PackService *s, const PackPlace *p, const Pack *before, const Buf *bytes)
{
        Pack like = {.name = p->name,
                     .cluster = s->cluster,
                     .namespace = s->gateway_namespace,
                     .listener = p->listener,
                     .rank = p->rank,
                     .named = p->named,
                     .override = p->override,
                     .standing = p->standing,
                     .only_digest = s->only_digest};
        return pack_keep(&like, before, bytes);
}

Pack *listener_patch_pack_tcp(const PackService *s, const PackPlace *p, const Pack *before,
                              Buf *scratch)
{
        buf_reset(scratch);
        PbWriter w;
        pb_writer_init(&w, scratch);
        pb_str(&w, PB_TcpProxy_stat_prefix, s->cluster);
        pb_str(&w, PB_TcpProxy_cluster, s->cluster);
        pb_writer_done(&w);
        return keep(s, p, before, scratch);
}

Pack *listener_patch_pack_udp(const PackService *s, const PackPlace *p, const Pack *before,
                              Buf *scratch)
{
        buf_reset(scratch);
        PbWriter w;
        pb_writer_init(&w, scratch);
        pb_str(&w, PB_UdpProxyConfig_stat_prefix, s->cluster);
        pb_begin(&w, PB_UdpProxyConfig_matcher);
        pb_begin(&w, PB_Matcher_on_no_match);
        pb_begin(&w, PB_Matcher_OnMatch_action);
        pb_str(&w, PB_TypedExtensionConfig_name, STR("route"));
        pb_any_begin(&w, PB_TypedExtensionConfig_typed_config, PB_TYPE_udp_proxy_Route);
        pb_str(&w, PB_udp_proxy_Route_cluster, s->cluster);
        pb_any_end(&w);
        pb_end(&w);
        pb_end(&w);
        pb_end(&w);
        pb_writer_done(&w);
        return keep(s, p, before, scratch);
}

void listener_patch_digest(Digester *d, const ListenerPatch *p)
{
        digester_add_u64(d, (uint64_t)p->kind << 32 | (uint64_t)p->port << 1 | (uint64_t)p->udp);
        digester_add(d, p->listener);
        digester_add(d, p->name_v1);
        digester_add_u64(d, p->n);
        for (size_t i = 0; i < p->n; i++)
                digester_add(d, str_make(p->packs[i]->digest.b, DIGEST_BYTES));
}

size_t listener_patch_bytes(const ListenerPatch *p)
{
        size_t bytes = 0;
        for (size_t i = 0; i < p->n; i++)
                bytes += p->packs[i]->n;
        return bytes;
}

const Pack *listener_patch_find(const ListenerPatch *at, size_t n, const ListenerPatch *like,
                                Str name)
{
        for (size_t i = 0; i < n; i++) {
                const ListenerPatch *p = &at[i];
                if (p->kind != like->kind || p->port != like->port || p->udp != like->udp ||
                    !str_eq(p->listener, like->listener))
                        continue;
                for (size_t low = 0, high = p->n; low < high;) {
                        size_t mid = low + (high - low) / 2;
                        int c = str_cmp(p->packs[mid]->name, name);
                        if (c == 0)
                                return p->packs[mid];
                        if (c < 0)
                                low = mid + 1;
                        else
                                high = mid;
                }
        }
        return NULL;
}
