/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bindings in the context tell it: Envoy Gateway hands over those of all Gateways that it
 * translates in one go (EG 1.9 internal/gatewayapi/extensionserverpolicy.go). A Gateway of ours
 * without one is looked for in metadata and names, which cost a look at every virtual host: only
 * where it is known that one has none.
 *
 * 1. Each Gateway stands once, and of several Bindings of one the first counts.
 * 2. Each has its own revision: that some is not held makes the whole call wait.
 */
#include "translate/hook_gateways.h"

#include "base/mem.h"
#include "proto/pb_reader.h"
#include "translate/binding_json.h"
#include "translate/xds_view.h"

#include <stdlib.h>

#include "pb_tokens.h"

/* A Gateway that the call is about. */
typedef struct Known {
        BindingJson binding; /* its Gateway alone where it is not bound */
        bool bound;          /* a Binding tells it */
        size_t order;        /* in the context */
} Known;

typedef struct Find {
        const HookCall *call;
        Known *at;
        size_t n, n_bound;
        bool *seen;      /* of each Gateway of the Snapshot: metadata or names tell it */
        size_t n_seen;   /* Gateways of the Snapshot */
        bool found;      /* anything was told */
        ObjectKey first; /* that was */
} Find;

static const Contribution *newest_of(const HookCall *c, ObjectKey gateway)
{
        return c->snapshot != NULL ? snapshot_contribution(c->snapshot, gateway, (Str){0}) : NULL;
}

/* -- By Bindings ----------------------------------------------------------------------------- */

static int on_known_order(const void *a, const void *b)
{
        const Known *x = a, *y = b;
        int c = object_key_cmp(x->binding.gateway, y->binding.gateway);
        return c != 0 ? c : x->order < y->order ? -1 : x->order > y->order;
}

static void sort_known(Find *f)
{
        size_t kept = 0;
        if (f->n > 1)
                qsort(f->at, f->n, sizeof(*f->at), on_known_order);
        for (size_t i = 0; i < f->n; i++) {
                if (kept == 0 ||
                    !object_key_eq(f->at[kept - 1].binding.gateway, f->at[i].binding.gateway))
                        f->at[kept++] = f->at[i];
        }
        f->n = kept;
}

static void find_bindings(Find *f, Arena *arena, size_t room)
{
        BindingJson *at = arena_new_array(arena, HOOK_GATEWAYS_MAX, sizeof(*at));
        size_t n = 0;
        PbReader r = pb_reader(f->call->request);
        /* A context that comes twice is one whose lists are joined. */
        for (Str context;
             pb_next_len(&r, PBN_PostTranslateModifyRequest_post_translate_context, &context);)
                n += binding_json_read(context, at + n, HOOK_GATEWAYS_MAX - n);
        f->at = arena_new_array(arena, n + room, sizeof(*f->at));
        for (size_t i = 0; i < n; i++)
                f->at[f->n++] = (Known){.binding = at[i], .bound = true, .order = i};
        sort_known(f);
        f->n_bound = f->n;
}

/* -- By what the request tells of itself ----------------------------------------------------- */

/* Its place in the Snapshot; beyond the last: nobody refers to it. */
static size_t place_of(const Find *f, ObjectKey gateway)
{
        size_t low = 0, high = f->n_seen;
        while (low < high) {
                size_t mid = low + (high - low) / 2;
                int c = object_key_cmp(snapshot_gateway_at(f->call->snapshot, mid)->gateway,
                                       gateway);
                if (c == 0)
                        return mid;
                if (c < 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        return f->n_seen;
}

static void meet(Find *f, Str namespace, Str name)
{
        ObjectKey key = {namespace, name};
        if (!f->found)
                f->first = key;
        f->found = true;
        size_t i = place_of(f, key);
        if (i < f->n_seen)
                f->seen[i] = true;
}

static void meet_name(Find *f, Str name)
{
        ObjectKey key;
        if (xds_view_split_name(name, &key.namespace, &key.name))
                meet(f, key.namespace, key.name);
}

/* Who a RouteConfiguration tells of: by what its virtual hosts say of themselves, and by its name.
 */
static void meet_routes(Find *f, Str routes)
{
        PbReader r = pb_reader(routes);
        EgResource made_by, last = {0};
        for (Str vhost; pb_next_len(&r, PBN_RouteConfiguration_virtual_hosts, &vhost);) {
                if (!xds_view_resource(vhost, PBN_VirtualHost_metadata, &made_by) ||
                    (str_eq(made_by.name, last.name) && str_eq(made_by.namespace, last.namespace)))
                        continue;
                meet(f, made_by.namespace, made_by.name);
                last = made_by;
        }
        meet_name(f, pb_get(routes, PBN_RouteConfiguration_name));
}

/* `all`: not only the first. */
static void meet_all(Find *f, bool all)
{
        PbReader r = pb_reader(f->call->request);
        for (PbField field; (all || !f->found) && pb_next(&r, &field);) {
                if (field.number == PBN_PostTranslateModifyRequest_routes)
                        meet_routes(f, field.body);
                if (field.number == PBN_PostTranslateModifyRequest_listeners)
                        meet_name(f, pb_get(field.body, PBN_Listener_name));
        }
}

static bool is_bound(const Find *f, ObjectKey gateway)
{
        size_t low = 0, high = f->n_bound;
        while (low < high) {
                size_t mid = low + (high - low) / 2;
                int c = object_key_cmp(f->at[mid].binding.gateway, gateway);
                if (c == 0)
                        return true;
                if (c < 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        return false;
}

/* Could the call be about a Gateway of ours that has no Binding? One that we have nothing for needs
 * none. */
static bool lacks_any(const Find *f)
{
        const Table *bindings = snapshot_world(f->call->snapshot)->bindings;
        for (size_t i = 0; bindings != NULL && i < f->n_seen; i++) {
                const Contribution *c = snapshot_gateway_at(f->call->snapshot, i);
                if (c->n_targets + c->n_patches > 0 && !is_bound(f, c->gateway) &&
                    table_find(bindings, &c->gateway, binding_spec_find) == NULL)
                        return true;
        }
        return false;
}

static void find_unbound(Find *f, Arena *arena)
{
        if (f->n_bound > 0 && (f->n_seen == 0 || !lacks_any(f)))
                return;
        f->seen = arena_new_array(arena, f->n_seen, sizeof(bool));
        meet_all(f, f->n_seen > 0);
        for (size_t i = 0; i < f->n_seen; i++) {
                ObjectKey key = snapshot_gateway_at(f->call->snapshot, i)->gateway;
                if (f->seen[i] && !is_bound(f, key))
                        f->at[f->n++] = (Known){.binding = {.gateway = key}};
        }
        if (f->n == 0 && f->found)
                f->at[f->n++] = (Known){.binding = {.gateway = f->first}};
        sort_known(f);
}

/* -- Nothing tells it ------------------------------------------------------------------------ */

/* Could the call be about this one? */
static bool could_be(const HookCall *call, const Contribution *c)
{
        for (size_t i = 0; i < c->n_targets; i++) {
                if (strlist_has(call->routes, c->targets[i].name_v2))
                        return true;
        }
        return false;
}

/* Is a Gateway that could be meant without its Binding? */
static bool lacks_binding(const HookCall *call)
{
        const Table *bindings = snapshot_world(call->snapshot)->bindings;
        for (size_t i = 0; bindings != NULL && i < snapshot_n_gateways(call->snapshot); i++) {
                const Contribution *c = snapshot_gateway_at(call->snapshot, i);
                if (table_find(bindings, &c->gateway, binding_spec_find) == NULL &&
                    could_be(call, c))
                        return true;
        }
        return false;
}

/* -- Which revision -------------------------------------------------------------------------- */

/* Nothing of ours goes to any of them. Once the manifests are read this is known, whatever else is
 * still to come. */
static bool are_nobodys(const Find *f)
{
        if (f->n == 0 || f->call->snapshot == NULL ||
            !snapshot_world(f->call->snapshot)->resources_read)
                return false;
        for (size_t i = 0; i < f->n; i++) {
                if (newest_of(f->call, f->at[i].binding.gateway) != NULL)
                        return false;
        }
        return true;
}

/* The contribution of the revision that the Binding names, or why there is none yet. */
static HookVerdict choose_one(const Find *f, size_t i, HookGateway *told, const Contribution **ret)
{
        const Known *k = &f->at[i];
        const Contribution *newest = newest_of(f->call, k->binding.gateway);
        *ret = newest;
        if (newest == NULL) {
                /* Nobody refers to the Gateway any more: nothing is what was asked for. */
                told->served = str_of(k->bound ? snapshot_empty_revision(f->call->snapshot) : "");
                return HOOK_ANSWERED;
        }
        if (k->bound) {
                const Contribution *asked = snapshot_contribution(
                        f->call->snapshot, k->binding.gateway, k->binding.revision);
                if (asked == NULL && f->call->may_wait)
                        return HOOK_WAIT;
                *ret = asked != NULL ? asked : newest;
        }
        told->served = str_of((*ret)->revision);
        return HOOK_ANSWERED;
}

static HookVerdict choose_all(const Find *f, HookGateway *told, const Contribution **ret)
{
        HookVerdict v = HOOK_ANSWERED;
        for (size_t i = 0; v == HOOK_ANSWERED && i < f->n; i++)
                v = choose_one(f, i, &told[i], &ret[i]);
        return v;
}

HookVerdict hook_gateways_choose(const HookCall *call, Arena *arena, HookResult *ret,
                                 const Contribution ***ret_contributions)
{
        Find f = {.call = call};
        f.n_seen = call->snapshot != NULL ? snapshot_n_gateways(call->snapshot) : 0;
        find_bindings(&f, arena, f.n_seen + 1);
        find_unbound(&f, arena);
        ret->n = f.n > 0 ? f.n : 1;
        ret->gateways = mem_new_array(ret->n, sizeof(*ret->gateways));
        for (size_t i = 0; i < f.n; i++) {
                const BindingJson *b = &f.at[i].binding;
                ret->gateways[i].eg_gateway = b->gateway;
                ret->gateways[i].asked = b->revision;
                ret->gateways[i].attempt = b->attempt;
        }
        *ret_contributions = arena_new_array(arena, ret->n, sizeof(const Contribution *));
        if (are_nobodys(&f))
                return choose_all(&f, ret->gateways, *ret_contributions);
        if (call->snapshot == NULL || !snapshot_world(call->snapshot)->complete)
                return call->may_wait ? HOOK_WAIT : HOOK_UNAVAILABLE;
        if (f.n > 0)
                return choose_all(&f, ret->gateways, *ret_contributions);
        return lacks_binding(call) ? HOOK_UNAVAILABLE : HOOK_ANSWERED;
}
