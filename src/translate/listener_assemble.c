/* SPDX-License-Identifier: Apache-2.0 */
#include "translate/listener_assemble.h"

bool listener_assemble_is_of(const Claim *c)
{
        return c->listener != NULL && c->listener->protocol != PROTOCOL_HTTP &&
               c->listener->protocol != PROTOCOL_HTTPS;
}

static bool is_ours(const Claim *c)
{
        return c->won && c->port->backend == NULL && listener_assemble_is_of(c);
}

static ListenerPatch start(Arena *a, Contribution *c, const EgGateway *gateway, const Claim *first)
{
        const EgListener *l = first->listener;
        const ObjectKey *key = &gateway->meta.key;
        Str v1 = arena_printf(a, "%.*s/%.*s/%.*s", STR_FMT(key->namespace), STR_FMT(key->name),
                              STR_FMT(l->name));
        return (ListenerPatch){.kind = first->is_port ? LISTENER_TO_CLUSTER : LISTENER_BY_NAME,
                               .port = l->port,
                               .udp = l->protocol == PROTOCOL_UDP,
                               .listener = leaf_str(&c->leaf, l->name),
                               .name_v1 = leaf_str(&c->leaf, v1)};
}

static const Pack *pack(const ListenerAssembleInput *in, Claim *c, const ListenerPatch *patch,
                        Buf *scratch)
{
        PackPlace place = {.name = c->name, .listener = c->listener->name};
        const Pack *before = in->before != NULL
                                     ? listener_patch_find(in->before->patches,
                                                           in->before->n_patches, patch, c->name)
                                     : NULL;
        const ServicePort *s = c->port;
        if (s->cluster == NULL)
                return NULL;
        if (s->same && before != NULL && pack_is_at(before, s->pack.cluster, &place))
                return leaf_ref(before);
        return patch->udp ? listener_patch_pack_udp(&s->pack, &place, before, scratch)
                          : listener_patch_pack_tcp(&s->pack, &place, before, scratch);
}

static bool same_patch(const Claim *a, const Claim *b)
{
        return a->listener == b->listener && a->is_port == b->is_port;
}

void listener_assemble(Arena *a, Contribution *c, const ListenerAssembleInput *in, Buf *scratch)
{
        size_t n = 0;
        const Claim *last = NULL;
        for (size_t i = 0; i < in->claims->n; i++) {
                const Claim *at = &in->claims->at[i];
                if (!is_ours(at))
                        continue;
                n += last == NULL || !same_patch(last, at);
                last = at;
        }
        c->patches = leaf_alloc(&c->leaf, n * sizeof(*c->patches));
        ListenerPatch *patch = NULL;
        last = NULL;
        for (size_t i = 0; i < in->claims->n; i++) {
                Claim *at = &in->claims->at[i];
                if (!is_ours(at))
                        continue;
                if (last == NULL || !same_patch(last, at)) {
                        size_t room = 0;
                        for (size_t j = i; j < in->claims->n; j++)
                                room += is_ours(&in->claims->at[j]) &&
                                        same_patch(at, &in->claims->at[j]);
                        patch = &c->patches[c->n_patches++];
                        *patch = start(a, c, in->gateway, at);
                        patch->packs = leaf_alloc(&c->leaf, room * sizeof(const Pack *));
                }
                last = at;
                const Pack *p = pack(in, at, patch, scratch);
                if (p == NULL) {
                        claims_too_large(at);
                        continue;
                }
                at->bytes = p->n;
                patch->packs[patch->n++] = p;
        }
}
