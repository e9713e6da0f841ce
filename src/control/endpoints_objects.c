/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TailscaleEndpoints at an API server: the shards of each entry, and the status of the entry in
 * each. An entry that is not known yet keeps the objects it has, and so does one whose
 * TailscaleGateway is deleted or not valid.
 */
#include "base/mem.h"
#include "control/entry_memo.h"
#include "control/entry_names.h"
#include "control/object_body.h"
#include "control/shards.h"
#include "model/render.h"

#include <stdlib.h>

enum {
        OVERDUE_S = 60
};

#define NOTHING SIZE_MAX /* no number of an object */

/* One entry while it is planned. */
typedef struct Entry {
        const EntryView *view;
        const Observed *owner;
        ObjectKey eg_gateway;
        Wall fresh; /* the last good answer of its tailnet */
        Str base;
        Shards shards;   /* once they are asked for */
        EntryShard *own; /* of each of them */
        size_t n_shards;
} Entry;

static Wall later(Wall a, Wall b)
{
        return a.ms > b.ms ? a : b;
}

static Wall fresh_of(const PlanInput *in, const EntryView *v)
{
        ObjectKey tailnet = {v->gateway.namespace, v->source};
        const TailnetFact *f = facts_find_tailnet(in->facts, tailnet);
        return f != NULL ? later(v->last_sync, tailnet_fact_presence(f)->last_sync) : v->last_sync;
}

static const Shards *shards_in(Plan *p, Entry *e)
{
        if (e->shards.at == NULL)
                e->shards = shards_of(&p->arena, e->view->endpoints);
        return &e->shards;
}

/* What is applied of the i-th shard. */
static void put_shard(Plan *p, Entry *e, size_t i, Str name, Buf *body)
{
        const Shards *shards = shards_in(p, e);
        size_t from = shards->from[i], to = shards->from[i + 1];
        RenderShard shard = {
                .view = e->view,
                .name = name,
                .endpoints = shards->at + from,
                .n = to - from,
                .n_shards = shards->n,
                .owner_uid = e->owner->uid,
        };
        buf_reset(body);
        render_endpoints_apply(&shard, body);
}

static Str shard_name(Plan *p, const Entry *e, size_t i)
{
        return arena_printf(&p->arena, "%.*s-%zu", STR_FMT(e->base), i);
}

/* From the plan before, or by putting all of it into words. */
static void find_digests(const PlanInput *in, Plan *p, Entry *e)
{
        struct EntryMemo *memo = in->outside->memo;
        const EntryDigests *known =
                memo != NULL ? entry_memo_get(memo, e->view, e->owner->uid) : NULL;
        e->n_shards = known != NULL ? known->n : shards_in(p, e)->n;
        e->own = arena_new_array(&p->arena, e->n_shards + 1, sizeof *e->own);
        if (known != NULL) {
                memcpy(e->own, known->at, known->n * sizeof *known->at);
                return;
        }
        CLEANUP(buf_done) Buf body;
        buf_init(&body, OBJECT_BODY_MAX);
        for (size_t i = 0; i < e->n_shards; i++) {
                put_shard(p, e, i, shard_name(p, e, i), &body);
                e->own[i].own = object_body_digest(body.failed ? STR("{}") : buf_str(&body), false);
                e->own[i].n = e->shards.from[i + 1] - e->shards.from[i];
        }
        if (memo != NULL)
                entry_memo_put(memo, e->view, e->owner->uid, e->own, e->n_shards);
}

static bool plan_spec(Plan *p, Entry *e, size_t i, Str name, const Observed *seen)
{
        if (seen != NULL && digest_eq(&seen->own, &e->own[i].own))
                return false;
        CLEANUP(buf_done) Buf body;
        buf_init(&body, OBJECT_BODY_MAX);
        put_shard(p, e, i, name, &body);
        if (body.failed)
                return false;
        IGNORE(plan_add_object(p,
                               &(PlanObject){
                                       .verb = PLAN_APPLY,
                                       .role = PLAN_OPERATOR,
                                       .kind = OBSERVED_ENDPOINTS,
                                       .key = {e->view->gateway.namespace, name},
                                       .manager = STR(OBSERVED_MANAGER),
                                       .body = buf_str(&body),
                                       .expected = e->own[i].own,
                                       .eg_gateway = e->eg_gateway,
                               }),
               "no event follows it");
        return true;
}

/* Told of the TailscaleGateway, once for all shards. */
static void plan_events(Plan *p, const Entry *e, size_t after, const Observed *seen)
{
        Condition conditions[RENDER_ENTRY_CONDITIONS];
        render_entry_conditions(e->view, conditions);
        for (size_t i = 0; i < LENGTH_OF(conditions); i++) {
                if (strcmp(conditions[i].type, "RemovalHeld") != 0)
                        continue;
                conditions[i].message = arena_printf(
                        &p->arena,
                        "tailnet %.*s: %u endpoints that the last answer lacks are "
                        "kept; approve-removal %.*s lets them go",
                        STR_FMT(e->view->tailnet), e->view->held.n, STR_FMT(e->view->held.digest));
                if (e->view->held.n == 0)
                        conditions[i].message =
                                arena_printf(&p->arena, "tailnet %.*s", STR_FMT(e->view->tailnet));
                object_condition_events(p, after, e->owner, &conditions[i], 1, seen);
        }
}

/* What metadata.generation is once the spec is as wished. Where only labels change it is not that:
 * then the status is written once more. */
static int64_t generation_after(const Observed *seen, bool is_changed)
{
        if (seen == NULL)
                return 1;
        return seen->generation > 0 ? seen->generation + is_changed : 0;
}

/* Of the i-th shard; returns the number of what was planned, or none. That a list was read and
 * nothing came of it is told in the first shard alone: a user looks at one, and each is a write. */
static size_t plan_status(const PlanInput *in, Plan *p, const Entry *e, size_t i,
                          const Observed *seen, bool is_changed)
{
        CLEANUP(buf_done) Buf body;
        ConditionPast past = {seen, in->wall};
        RenderShard shard = {.view = e->view, .name = shard_name(p, e, i), .n = e->own[i].n};
        int64_t generation = generation_after(seen, is_changed);
        Wall last = seen != NULL && seen->last_sync.ms != 0 ? seen->last_sync : e->fresh;
        buf_init(&body, OBJECT_BODY_MAX);
        render_endpoints_status(&shard, last, &past, generation, &body);
        Digest expected = object_body_digest(buf_str(&body), true);
        is_changed |= seen == NULL || !digest_eq(&seen->status, &expected);
        if (!is_changed && (i > 0 || !object_sync_is_due(in, p, e->fresh, last)))
                return NOTHING;
        buf_reset(&body);
        render_endpoints_status(&shard, later(last, e->fresh), &past, generation, &body);
        expected = object_body_digest(buf_str(&body), true);
        if (seen != NULL && digest_eq(&seen->status, &expected))
                return NOTHING;
        return plan_add_object(p, &(PlanObject){
                                          .verb = PLAN_APPLY_STATUS,
                                          .role = PLAN_OPERATOR,
                                          .kind = OBSERVED_ENDPOINTS,
                                          .key = {e->view->gateway.namespace, shard.name},
                                          .manager = STR(OBSERVED_MANAGER),
                                          .body = buf_str(&body),
                                          .expected = expected,
                                  });
}

static int str_order(const void *a, const void *b)
{
        return str_cmp(*(const Str *)a, *(const Str *)b);
}

/* "<namespace>/<name>" of all that is wanted, and what those begin with that are not known. */
typedef struct Names {
        Str *at;
        size_t n, room;
} Names;

static void names_add(Names *names, Str name)
{
        if (names->n == names->room) {
                names->room = names->room != 0 ? 2 * names->room : 64;
                names->at = mem_resize(names->at, names->room * sizeof *names->at);
        }
        names->at[names->n++] = name;
}

static void plan_entry(const PlanInput *in, Plan *p, Entry *e, Names *wanted)
{
        find_digests(in, p, e);
        for (size_t i = 0; i < e->n_shards; i++) {
                ObjectKey key = {e->view->gateway.namespace, shard_name(p, e, i)};
                const Observed *seen = observed_at(in->observed, OBSERVED_ENDPOINTS, key);
                names_add(wanted, arena_printf(&p->arena, "%.*s/%.*s", STR_FMT(key.namespace),
                                               STR_FMT(key.name)));
                if (seen != NULL && seen->deleting)
                        continue;
                bool is_changed = plan_spec(p, e, i, key.name, seen);
                size_t status = plan_status(in, p, e, i, seen, is_changed);
                if (i == 0 && status != NOTHING)
                        plan_events(p, e, status, seen);
        }
}

static bool is_kept(const PlanInput *in, const Observed *o, const Names *wanted,
                    const Names *unknown)
{
        char buf[OBJECT_KEY_TEXT];
        Str name = object_key_text(o->key, buf);
        for (size_t i = 0; i < unknown->n; i++) {
                if (str_starts(name, unknown->at[i]))
                        return true;
        }
        bool is_wanted = wanted->n > 0 && bsearch(&name, wanted->at, wanted->n, sizeof *wanted->at,
                                                  str_order) != NULL;
        return is_wanted || object_is_gateway_unknown(in, (ObjectKey){o->key.namespace, o->owner});
}

static void remove_stale(const PlanInput *in, Plan *p, Names *wanted, const Names *unknown)
{
        if (wanted->n > 0)
                qsort(wanted->at, wanted->n, sizeof *wanted->at, str_order);
        TABLE_FOREACH (Observed, o, in->observed) {
                if (o->kind != OBSERVED_ENDPOINTS || !o->ours || o->deleting ||
                    !entry_name_is_ours(o->key.name) || is_kept(in, o, wanted, unknown))
                        continue;
                IGNORE(plan_add_object(p,
                                       &(PlanObject){
                                               .verb = PLAN_DELETE,
                                               .role = PLAN_OPERATOR,
                                               .kind = OBSERVED_ENDPOINTS,
                                               .key = o->key,
                                               .uid = o->uid,
                                       }),
                       "no event follows it");
        }
}

void plan_endpoints_objects(const PlanInput *in, Plan *p)
{
        Names wanted = {0}, unknown = {0};
        if (in->outside->memo != NULL)
                entry_memo_begin(in->outside->memo);
        TABLE_FOREACH (EntryView, v, in->world->entries) {
                const GatewaySpec *g =
                        table_find(in->world->gateways, &v->gateway, gateway_spec_find);
                Entry e = {
                        .view = v,
                        .owner = observed_at(in->observed, OBSERVED_GATEWAY, v->gateway),
                        .fresh = fresh_of(in, v),
                        .base = entry_name(&p->arena, v),
                };
                if (g != NULL)
                        e.eg_gateway = g->gateway;
                if (v->known && e.owner != NULL && !e.owner->deleting)
                        plan_entry(in, p, &e, &wanted);
                else
                        names_add(&unknown,
                                  arena_printf(&p->arena, "%.*s/%.*s-",
                                               STR_FMT(v->gateway.namespace), STR_FMT(e.base)));
        }
        if (in->outside->memo != NULL)
                entry_memo_end(in->outside->memo);
        remove_stale(in, p, &wanted, &unknown);
        mem_free(wanted.at);
        mem_free(unknown.at);
}

/* Facts move lastSync: a plan of these alone must not put off the heartbeat of what it leaves out.
 */
void plan_endpoints_again(const PlanInput *in, Plan *p)
{
        TABLE_FOREACH (Observed, o, in->observed) {
                if (o->kind != OBSERVED_ENDPOINTS || !o->ours || o->last_sync.ms == 0 ||
                    !str_ends(o->key.name, STR("-0")))
                        continue;
                int64_t left = o->last_sync.ms + PLAN_HEARTBEAT_S * INT64_C(1000) - in->wall.ms;
                /* It may be overdue because its source fails. */
                Span in_ms = left > 0 ? SPAN_MS(left) : SPAN_S(OVERDUE_S);
                plan_again(p, mono_add(in->now, in_ms));
        }
}
