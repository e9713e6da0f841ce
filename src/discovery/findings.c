/* SPDX-License-Identifier: Apache-2.0 */
#include "discovery/findings.h"

#include "base/mem.h"

enum {
        LEFT_WITH_REASON, /* selected, yet not made an endpoint: what a user looks for */
        LEFT_NOT_SELECTED,
};

static void leaf_list_add(LeafList *l, const void *leaf)
{
        if (l->n == l->room) {
                l->room = l->room > 0 ? l->room * 2 : 16;
                l->at = mem_resize(l->at, l->room * sizeof(*l->at));
        }
        l->at[l->n++] = leaf;
}

static void left_rows_add(LeftRows *l, LeftOutRow row)
{
        if (l->n == l->room) {
                l->room = l->room > 0 ? l->room * 2 : 16;
                l->at = mem_resize(l->at, l->room * sizeof(*l->at));
        }
        l->at[l->n++] = row;
}

static void left_rows_done(LeftRows *l)
{
        for (size_t i = 0; i < l->n; i++)
                left_out_row_drop(&l->at[i]);
        mem_free(l->at);
}

static void leaf_list_done(LeafList *l)
{
        for (size_t i = 0; i < l->n; i++)
                leaf_unref(l->at[i]);
        mem_free(l->at);
}

void findings_init(Findings *f)
{
        *f = (Findings){0};
}

void findings_done(Findings *f)
{
        leaf_list_done(&f->endpoints);
        for (size_t i = 0; i < FINDINGS_LEFT_CLASSES; i++)
                left_rows_done(&f->left[i]);
}

bool findings_take(Findings *f, const Endpoint *like, const Endpoint *leaf)
{
        if (f->endpoints.n == DISCOVER_ENDPOINTS_MAX)
                return false;
        leaf_list_add(&f->endpoints, leaf != NULL && endpoint_same(like, leaf)
                                             ? leaf_ref(leaf)
                                             : endpoint_new(like));
        return true;
}

bool findings_add(Findings *f, const Endpoint *like)
{
        return findings_take(f, like, table_find(f->in_force, like, endpoint_order));
}

void findings_keep(Findings *f, const Endpoint *e)
{
        leaf_list_add(&f->endpoints, leaf_ref(e));
}

void findings_leave_out(Findings *f, Str node_id, Str name, Refusal why)
{
        static const LeftOutRow nothing = {0};
        LeftRows *l = &f->left[str_eq(why.reason, STR("NotSelected")) ? LEFT_NOT_SELECTED
                                                                      : LEFT_WITH_REASON];
        const LeftOut like = {
                .node_id = node_id, .name = name, .reason = why.reason, .text = why.text};

        f->n_left++;
        if (l->n < LEFT_OUT_MAX)
                left_rows_add(l, left_out_row(&like, f->known, LENGTH_OF(f->known),
                                              l->n > 0 ? &l->at[l->n - 1] : &nothing));
}

/* Without endpoints. */
static EntryView *new_view(const EntryView *of, const HeldRemoval *held)
{
        EntryView *v =
                leaf_new(sizeof(*v),
                         leaf_room_str(of->gateway.namespace) + leaf_room_str(of->gateway.name) +
                                 leaf_room_str(of->tailnet) + leaf_room_str(of->source) +
                                 leaf_room_str(of->suffix) + leaf_room_str(held->digest) +
                                 leaf_room_str(held->reason),
                         entry_view_drop);

        v->gateway.namespace = leaf_str(&v->leaf, of->gateway.namespace);
        v->gateway.name = leaf_str(&v->leaf, of->gateway.name);
        v->tailnet = leaf_str(&v->leaf, of->tailnet);
        v->source = leaf_str(&v->leaf, of->source);
        v->suffix = leaf_str(&v->leaf, of->suffix);
        v->held = *held;
        v->held.digest = leaf_str(&v->leaf, held->digest);
        v->held.reason = leaf_str(&v->leaf, held->reason);
        return v;
}

/* A Table takes the references over. */
static Table *take_endpoints(Findings *f, const Table *before)
{
        Table *t = table_update(before, f->endpoints.at, f->endpoints.n, endpoint_order,
                                endpoint_same);

        f->endpoints.n = 0;
        return t;
}

EntryView *findings_view(Findings *f, const EntryView *of)
{
        EntryView *v = new_view(of, &f->held);

        v->endpoints = take_endpoints(f, NULL);
        return v;
}

/* Of those with a reason as many as there is room for, the rest of the room for the others. */
static const LeftOutList *take_left_out(Findings *f)
{
        LeftRows *all = &f->left[LEFT_WITH_REASON], *rest = &f->left[LEFT_NOT_SELECTED];
        size_t n;

        for (size_t i = 0; i < rest->n; i++) {
                if (all->n < LEFT_OUT_MAX)
                        left_rows_add(all, rest->at[i]);
                else
                        left_out_row_drop(&rest->at[i]);
        }
        rest->n = 0;
        n = all->n;
        all->n = 0;
        return n > 0 ? left_out_list_new(all->at, n, f->known, LENGTH_OF(f->known)) : NULL;
}

static bool held_same(const HeldRemoval *a, const HeldRemoval *b)
{
        return a->n == b->n && a->confirmations == b->confirmations &&
               str_eq(a->digest, b->digest) && str_eq(a->reason, b->reason);
}

/* What a view says, before it is known whether anybody said it already. */
static bool is_unchanged(const EntryView *before, const EntryView *now)
{
        return before != NULL && before->known == now->known &&
               before->from_cache == now->from_cache && before->endpoints == now->endpoints &&
               str_eq(before->suffix, now->suffix) && before->left_out == now->left_out &&
               before->n_left_out == now->n_left_out &&
               before->next_key_expiry.ms == now->next_key_expiry.ms &&
               held_same(&before->held, &now->held);
}

/* What was left out, and from where the list came, is nothing that is in force. */
static Wall last_change(const FindingsFrom *from, const EntryView *now)
{
        const EntryView *before = from->in->before;
        bool same = before != NULL && before->last_sync.ms != 0 &&
                    before->endpoints == now->endpoints && held_same(&before->held, &now->held);

        if (same)
                return before->last_sync;
        return from->has_list ? from->in->now : (Wall){0};
}

EntryView *findings_settle(Findings *f, const EntryView *before, const EntryView *say)
{
        EntryView now = *say;
        EntryView *v;

        now.endpoints = take_endpoints(f, before != NULL ? before->endpoints : NULL);
        now.left_out = take_left_out(f);
        now.n_left_out = f->n_left;
        if (is_unchanged(before, &now)) {
                table_unref(now.endpoints);
                leaf_unref(now.left_out);
                return leaf_ref(before);
        }
        v = new_view(&now, &now.held);
        v->known = now.known;
        v->from_cache = now.from_cache;
        v->poll = now.poll;
        v->last_sync = now.last_sync;
        v->endpoints = now.endpoints;
        v->left_out = now.left_out;
        v->n_left_out = now.n_left_out;
        v->next_key_expiry = now.next_key_expiry;
        return v;
}

/* What the list was found with; where none is told, that of before. */
static Str suffix_of(const DiscoverInput *in, const EntryView *old)
{
        return in->state != NULL && in->state->suffix.n > 0 ? in->state->suffix : old->suffix;
}

EntryView *findings_conclude(Findings *f, const FindingsFrom *from)
{
        static const EntryView nothing = {0};
        const DiscoverInput *in = from->in;
        const EntryView *old = in->before != NULL ? in->before : &nothing;
        EntryView *v = findings_settle(
                f, in->before,
                &(EntryView){
                        .gateway = in->gateway->meta.key,
                        .tailnet = in->entry->name,
                        .source = in->entry->tailnet_name,
                        .suffix = suffix_of(in, old),
                        .known = from->has_list || !in->entry->discovery.enabled || old->known,
                        .from_cache = !from->tells_absence && old->from_cache,
                        .poll = from->tells_absence ? in->state->poll : old->poll,
                        .next_key_expiry =
                                from->has_list ? f->next_key_expiry : old->next_key_expiry,
                        .held = f->held,
                });

        if (v != in->before)
                v->last_sync = last_change(from, v);
        return v;
}
