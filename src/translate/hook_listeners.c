/* SPDX-License-Identifier: Apache-2.0 */
#include "translate/hook_listeners.h"

#include "proto/pb_reader.h"
#include "proto/pb_writer.h"
#include "translate/xds_view.h"

#include "pb_tokens.h"

static void learn(HookListeners *h, const HookCall *call)
{
        PbReader count = pb_reader(call->request), r = count;
        size_t n = 0;
        for (Str l; pb_next_len(&count, PBN_PostTranslateModifyRequest_listeners, &l);)
                n++;
        h->at = arena_new_array(h->arena, n, sizeof(*h->at));
        for (Str l; pb_next_len(&r, PBN_PostTranslateModifyRequest_listeners, &l);)
                h->at[h->n++] = (HookListener){.body = l,
                                               .name = pb_get(l, PBN_Listener_name),
                                               .port = xds_view_listener_port(l),
                                               .udp = xds_view_listener_is_udp(l)};
}

/* How well a listener fits; 0: not at all. Its name first: a port below 1024 is bound as such, or
 * 10,000 higher, where another may be, too. */
static int fitness(const HookListener *l, const ListenerPatch *p)
{
        if (l->udp != p->udp)
                return 0;
        bool is_port = l->port == p->port;
        if (!is_port && !xds_view_is_shifted(p->port, l->port))
                return 0;
        return str_eq(l->name, p->name_v1) ? 3 : is_port ? 2 : 1;
}

static HookListener *find(const HookListeners *h, const ListenerPatch *p)
{
        HookListener *found = NULL;
        int best = 0;
        for (size_t i = 0; i < h->n; i++) {
                int fits = fitness(&h->at[i], p);
                if (fits > best) {
                        best = fits;
                        found = &h->at[i];
                }
        }
        return found;
}

static void miss(const ListenerPatch *p, JoinTally *tally)
{
        AnswerGap gap = {.reason = GAP_NO_LISTENER, .listener = p->listener, .n = p->n};
        if (p->kind != LISTENER_GUARDED && p->n > 0)
                gap_notes_add(&tally->gaps, &gap);
}

/* Counts where `room` is not known yet. */
static void put(HookListeners *h, size_t gateway, bool is_counting)
{
        const Contribution *c = h->contributions[gateway];
        JoinTally *tally = &h->gateways->gateways[gateway].tally;
        for (size_t i = 0; c != NULL && i < c->n_patches; i++) {
                const ListenerPatch *p = &c->patches[i];
                HookListener *l = find(h, p);
                if (l == NULL && is_counting)
                        miss(p, tally);
                if (l == NULL)
                        continue;
                if (is_counting) {
                        l->room++;
                        continue;
                }
                if (l->parts == NULL)
                        l->parts = arena_new_array(h->arena, l->room, sizeof(*l->parts));
                l->parts[l->n++] = (ListenerPart){p, tally};
        }
}

void hook_listeners_init(HookListeners *h, Arena *arena, const HookCall *call,
                         const HookResult *gateways, const Contribution *const *contributions)
{
        *h = (HookListeners){.arena = arena, .gateways = gateways, .contributions = contributions};
        size_t patches = 0;
        for (size_t i = 0; i < gateways->n; i++)
                patches += contributions[i] != NULL ? contributions[i]->n_patches : 0;
        if (patches == 0)
                return;
        learn(h, call);
        for (int counting = 1; counting >= 0; counting--) {
                for (size_t i = 0; i < gateways->n; i++)
                        put(h, i, counting == 1);
        }
}

SpliceVerdict hook_listeners_write(HookListeners *h, Str body, StrList taken, Buf *answer)
{
        const HookListener *l = h->next < h->n ? &h->at[h->next++] : NULL;
        if (l == NULL || l->n == 0) {
                pb_put_len(answer, PBN_PostTranslateModifyResponse_listeners, body.n);
                buf_add_str(answer, body);
                return answer->failed ? SPLICE_TOO_LARGE : SPLICE_DONE;
        }
        ListenerJob job = {.arena = h->arena,
                           .parts = l->parts,
                           .n_parts = l->n,
                           .taken = taken,
                           .field = PBN_PostTranslateModifyResponse_listeners,
                           .answer = answer};
        return listener_splice(&job, body);
}
