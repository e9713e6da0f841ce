/* SPDX-License-Identifier: Apache-2.0 */
#include "source/suffix_hold.h"

#include "base/mem.h"

static bool is_held(const Table *entries, ObjectKey tailnet)
{
        TABLE_FOREACH (EntryView, v, entries) {
                if (v->held.n > 0 && str_eq(v->source, tailnet.name) &&
                    str_eq(v->gateway.namespace, tailnet.namespace))
                        return true;
        }
        return false;
}

/* The suffix that is to stay, or empty. */
static Str old_suffix(const SuffixHoldInput *in, const TailnetState *s)
{
        const TailnetState *before = table_find(in->before, &s->key, tailnet_state_find);
        const TailnetSpec *spec = table_find(in->tailnets, &s->key, tailnet_spec_find);
        bool is_other =
                before != NULL && before->suffix.n > 0 && !str_eq(before->suffix, s->suffix);
        bool is_given = spec != NULL && spec->magic_dns_suffix.n > 0;
        if (!is_other || is_given || (in->entries != NULL && !is_held(in->entries, s->key)))
                return (Str){0};
        return before->suffix;
}

static const TailnetState *with_suffix(const TailnetState *of, Str suffix)
{
        const Str strings[] = {of->key.namespace, of->key.name, of->error_reason, of->error_text,
                               of->self_node,     of->scopes,   of->warning,      suffix};
        size_t room = 0;
        for (size_t i = 0; i < LENGTH_OF(strings); i++)
                room += leaf_room_str(strings[i]);
        TailnetState *s = leaf_new(sizeof *s, room, tailnet_state_drop);
        Leaf leaf = s->leaf;
        *s = *of;
        s->leaf = leaf;
        s->key.namespace = leaf_str(&s->leaf, of->key.namespace);
        s->key.name = leaf_str(&s->leaf, of->key.name);
        s->error_reason = leaf_str(&s->leaf, of->error_reason);
        s->error_text = leaf_str(&s->leaf, of->error_text);
        s->self_node = leaf_str(&s->leaf, of->self_node);
        s->scopes = leaf_str(&s->leaf, of->scopes);
        s->warning = leaf_str(&s->leaf, of->warning);
        s->suffix = leaf_str(&s->leaf, suffix);
        s->devices = table_ref(of->devices);
        s->services = table_ref(of->services);
        return s;
}

Table *suffix_hold(const SuffixHoldInput *in, size_t *ret_n)
{
        size_t n = table_n(in->now), held = 0;
        for (size_t i = 0; i < n; i++)
                held += old_suffix(in, table_at(in->now, i)).n > 0;
        *ret_n = held;
        if (held == 0)
                return table_ref(in->now);
        CLEANUP(mem_cleanup) const void **at = mem_new_array(n, sizeof *at);
        for (size_t i = 0; i < n; i++) {
                const TailnetState *s = table_at(in->now, i);
                Str suffix = old_suffix(in, s);
                at[i] = suffix.n > 0 ? with_suffix(s, suffix) : leaf_ref(s);
        }
        return table_new(at, n, tailnet_state_order);
}
