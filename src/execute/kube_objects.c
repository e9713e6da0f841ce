/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plan becomes a Batch: items in the plan's order, each WAITING, SENT, DONE or FAILED. An item is
 * sent once all that it stands after is settled: an earlier one of the same object, and, of a
 * Binding, all TailscaleEndpoints before it.
 *
 * Invariants:
 * 1. A Binding that names a new revision is sent only when each TailscaleEndpoints of its Gateway
 *    in the plan was written: where one failed, the Binding fails with it.
 * 2. One item of an object is SENT at a time.
 * 3. Nothing is repeated here: what failed rests, and then the owner plans again.
 */
#include "execute/kube_objects.h"

#include "base/mem.h"
#include "execute/kube_known.h"
#include "kube/kube_delay.h"

#include <stdio.h>

typedef enum ItemState {
        ITEM_WAITING,
        ITEM_SENT, /* `write` is open */
        ITEM_DONE,
        ITEM_FAILED,
} ItemState;

typedef struct Batch Batch;

typedef struct Item {
        Batch *batch;
        PlanObject object; /* strings stand in the batch's arena */
        ItemState state;
        KubeWrite *write; /* owned */
} Item;

struct Batch {
        KubeObjects *owner;
        Arena arena;
        Item *items;
        size_t n, n_sent, n_done, n_failed;
        size_t first; /* all before it are settled */
        PlanEvent *events;
        size_t n_events;
        bool dropped; /* nothing more is sent */
};

struct KubeObjects {
        KubeObjectsInput in;
        KubeKnown *known;
        Batch *batch; /* NULL: nothing is under way */
        Timer timer;  /* of what is over some time */
        KubeObjectsCounts counts;
        uint64_t chance;
};

#define GATEWAY_API "apis/gateway.networking.k8s.io/v1"

static const KubeResource resources[OBSERVED_KINDS] = {
        [OBSERVED_TAILNET] = {"apis/gateway.tailscale.com/v1alpha1", "tailscaletailnets",
                              "TailscaleTailnet"},
        [OBSERVED_GATEWAY] = {"apis/gateway.tailscale.com/v1alpha1", "tailscalegateways",
                              "TailscaleGateway"},
        [OBSERVED_ENDPOINTS] = {"apis/gateway.tailscale.com/v1alpha1", "tailscaleendpoints",
                                "TailscaleEndpoints"},
        [OBSERVED_BINDING] = {"apis/gateway.tailscale.com/v1alpha1", "tailscalegatewaybindings",
                              "TailscaleGatewayBinding"},
        [OBSERVED_SECRET] = {"api/v1", "secrets", "Secret"},
        [OBSERVED_SERVICE] = {"api/v1", "services", "Service"},
        [OBSERVED_DEPLOYMENT] = {"apis/apps/v1", "deployments", "Deployment"},
        [OBSERVED_PDB] = {"apis/policy/v1", "poddisruptionbudgets", "PodDisruptionBudget"},
        [OBSERVED_HTTP_ROUTE] = {GATEWAY_API, "httproutes", "HTTPRoute"},
        [OBSERVED_GRPC_ROUTE] = {GATEWAY_API, "grpcroutes", "GRPCRoute"},
};

const KubeResource *kube_objects_resource(ObservedKind kind)
{
        return &resources[kind];
}

/* ---- what is told ---- */

static void tell_events(KubeObjects *o, const Batch *b, size_t after)
{
        for (size_t i = 0; o->in.events != NULL && i < b->n_events; i++) {
                const PlanEvent *e = &b->events[i];
                if (e->after != after)
                        continue;
                kube_events_tell(o->in.events,
                                 &(KubeNews){
                                         .regarding = {.resource = &resources[e->kind],
                                                       .ns = e->key.namespace,
                                                       .name = e->key.name,
                                                       .uid = e->uid},
                                         .is_warning = e->is_warning,
                                         .reason = e->reason,
                                         .action = e->action,
                                         .note = e->note,
                                 });
        }
}

/* A fault that lasts is told once; it stands in Facts. */
static void tell_failure(KubeObjects *o, const PlanObject *object, const Err *err)
{
        WriteFact *f = o->in.fact;
        char text[ERR_TEXT_MAX + OBJECT_KEY_TEXT + 64], name[OBJECT_KEY_TEXT];
        Str key = object_key_text(object->key, name);
        IGNORE(snprintf(text, sizeof text, "%s %.*s: %s", resources[object->kind].kind,
                        STR_FMT(key), err->text),
               "room for all of it");
        bool is_news = strncmp(f->error, text, sizeof f->error - 1) != 0;
        f->failures++;
        IGNORE(snprintf(f->error, sizeof f->error, "%.*s", ERR_TEXT_MAX - 1, text),
               "cut at its size");
        if (is_news)
                log_warn(o->in.log, "cannot write to the API server",
                         LOG_CSTR("kind", resources[object->kind].kind), LOG_STR("object", key),
                         LOG_CSTR("reason", err->reason), LOG_CSTR("error", err->text));
}

static void tell_contended(KubeObjects *o, const PlanObject *object)
{
        char name[OBJECT_KEY_TEXT];
        log_warn(o->in.log, "written again and again, somebody else may be putting it back",
                 LOG_CSTR("kind", resources[object->kind].kind),
                 LOG_STR("object", object_key_text(object->key, name)),
                 LOG_INT("seconds-apart", KUBE_KNOWN_WRITES_APART_S));
}

/* Of all objects the same, and told once: of a kind whose definition is another's, each may fail.
 */
static void tell_misfit(KubeObjects *o, ObservedKind kind, Str misfit)
{
        WriteFact *f = o->in.fact;
        Err why = {0};
        definitions_explain(&resources[kind], misfit, &why);
        f->failures++;
        IGNORE(snprintf(f->error, sizeof f->error, "%s", why.text), "cut at its size");
        if (definitions_refused(&o->counts.definitions, kind, loop_now(o->in.loop)))
                log_error(o->in.log, "cannot write to the API server",
                          LOG_CSTR("kind", resources[kind].kind), LOG_CSTR("reason", why.reason),
                          LOG_CSTR("error", why.text));
}

/* ---- time ---- */

static void arm(KubeObjects *o)
{
        timer_set(&o->timer, kube_known_next(o->known));
}

static void on_timer(Timer *t)
{
        KubeObjects *o = CONTAINER_OF(t, KubeObjects, timer);
        bool is_news = kube_known_expire(o->known, loop_now(o->in.loop));
        arm(o);
        /* Of what is under way the end is told. */
        if (is_news && o->batch == NULL)
                o->in.on_done(o->in.owner);
}

/* What stands there is not what we thought: it is gone, or another one of that name. (Of a uid that
 * is not its own an API server says that it is immutable.) */
static bool is_other(const KubeWriteResult *r)
{
        for (size_t i = 0; r->refusal != NULL && i < r->refusal->n_causes; i++) {
                if (str_eq(r->refusal->causes[i].field, STR("metadata.uid")))
                        return true;
        }
        return r->err.kind == ERR_CONFLICT || r->err.kind == ERR_MISSING;
}

static void rest(KubeObjects *o, const PlanObject *object, const KubeWriteResult *r)
{
        unsigned failures = kube_known_failed(o->known, object);
        bool is_refused =
                r->err.kind == ERR_INVALID || r->err.kind == ERR_DENIED || r->err.kind == ERR_LIMIT;
        is_refused = is_refused && !is_other(r);
        Span least = is_refused ? SPAN_S(KUBE_OBJECTS_REST_REFUSED_S) : (Span){0};
        if (r->retry_after.ns > least.ns)
                least = r->retry_after;
        Span span = kube_delay_backoff(&o->chance, failures, least);
        if (is_refused)
                span.ns += kube_delay_jitter(&o->chance, SPAN_S(KUBE_OBJECTS_REST_REFUSED_S)).ns;
        if (span.ns > SPAN_S(KUBE_OBJECTS_REST_S).ns && r->retry_after.ns <= span.ns)
                span = SPAN_S(KUBE_OBJECTS_REST_S);
        Mono now = loop_now(o->in.loop);
        kube_known_rest(o->known, object, mono_add(now, span), now);
}

/* ---- a batch ---- */

static Batch *batch_free(Batch *b)
{
        for (size_t i = 0; i < b->n; i++)
                kube_write_close(b->items[i].write);
        arena_done(&b->arena);
        return mem_free(b);
}

static void settle(Item *item, ItemState state)
{
        item->state = state;
        item->batch->n_done += state == ITEM_DONE;
        item->batch->n_failed += state == ITEM_FAILED;
}

static bool is_same_object(const PlanObject *a, const PlanObject *b)
{
        return a->kind == b->kind && object_key_eq(a->key, b->key);
}

/* Does `item` stand after that one, and fall with it? */
static bool depends(const PlanObject *item, const PlanObject *on)
{
        if (is_same_object(item, on))
                return on->verb == PLAN_APPLY;
        return item->moves_revision && on->kind == OBSERVED_ENDPOINTS && on->verb == PLAN_APPLY &&
               object_key_eq(item->eg_gateway, on->eg_gateway);
}

static bool is_after(const PlanObject *item, const PlanObject *other)
{
        bool is_stale = other->kind == OBSERVED_ENDPOINTS && other->verb == PLAN_DELETE;
        return is_same_object(item, other) || depends(item, other) ||
               (item->moves_revision && is_stale);
}

/* May it be sent now? It is FAILED where what it depends on has failed. */
static bool is_ready(const Batch *b, size_t i)
{
        Item *item = &b->items[i];
        bool ready = true;
        for (size_t j = 0; j < i; j++) {
                const Item *other = &b->items[j];
                if (other->state == ITEM_DONE || !is_after(&item->object, &other->object))
                        continue;
                if (other->state != ITEM_FAILED) {
                        ready = false;
                } else if (depends(&item->object, &other->object)) {
                        settle(item, ITEM_FAILED);
                        return false;
                }
        }
        return ready;
}

static Span on_may_send(const KubeWrite *w)
{
        const Item *item = kube_write_owner(w);
        const KubeObjects *o = item->batch->owner;
        return o->in.may_write(o->in.owner, item->object.role);
}

static void on_written(KubeWrite *w, const KubeWriteResult *r);

static void send_item(Item *item)
{
        static const KubeVerb verbs[] = {
                [PLAN_APPLY] = KUBE_VERB_APPLY,
                [PLAN_APPLY_STATUS] = KUBE_VERB_APPLY,
                [PLAN_DELETE] = KUBE_VERB_DELETE,
        };
        KubeObjects *o = item->batch->owner;
        const PlanObject *p = &item->object;
        item->state = ITEM_SENT;
        item->batch->n_sent++;
        item->write = kube_write_open(&(KubeWriteInput){
                .api = o->in.api,
                .verb = verbs[p->verb],
                .resource = &resources[p->kind],
                .ns = p->key.namespace,
                .name = p->key.name,
                .sub = p->verb == PLAN_APPLY_STATUS ? "status" : NULL,
                .field_manager = p->verb != PLAN_DELETE ? p->manager.p : NULL,
                .body = p->body,
                .uid = p->uid,
                .tries = 1,
                .may_send = on_may_send,
                .counts = &o->counts.verbs[p->verb],
                .seed = o->chance++,
                .on_done = on_written,
                .owner = item,
        });
}

/* Kinds of which something was written, and nothing is owed. */
static void note_taken(KubeObjects *o, const Batch *b)
{
        bool done[OBSERVED_KINDS] = {false}, failed[OBSERVED_KINDS] = {false};
        for (size_t i = 0; i < b->n; i++) {
                ObservedKind kind = b->items[i].object.kind;
                done[kind] |= b->items[i].state == ITEM_DONE;
                failed[kind] |= b->items[i].state != ITEM_DONE;
        }
        for (ObservedKind kind = 0; kind < OBSERVED_KINDS; kind++) {
                if (done[kind] && !failed[kind])
                        definitions_taken(&o->counts.definitions, kind);
        }
}

static void finish(KubeObjects *o)
{
        Batch *b = o->batch;
        o->batch = NULL;
        note_taken(o, b);
        if (b->n_failed == 0 && !b->dropped)
                o->in.fact->error[0] = '\0';
        if (b->n_done > 0)
                log_info(o->in.log, "written to the API server", LOG_INT("objects", b->n_done),
                         LOG_INT("failed", b->n_failed));
        batch_free(b);
        arm(o);
        o->in.on_done(o->in.owner);
}

/* Sends what may be sent; ends the batch where nothing is left. */
static void pump(KubeObjects *o)
{
        Batch *b = o->batch;
        while (b->first < b->n && b->items[b->first].state >= ITEM_DONE)
                b->first++;
        for (size_t i = b->first; i < b->n && !b->dropped && b->n_sent < KUBE_OBJECTS_AT_ONCE;
             i++) {
                if (b->items[i].state == ITEM_WAITING && is_ready(b, i))
                        send_item(&b->items[i]);
        }
        if (b->n_sent == 0)
                finish(o);
}

/* ---- answers ---- */

static void keep_answer(KubeObjects *o, const PlanObject *object, const KubeWriteResult *r)
{
        Mono now = loop_now(o->in.loop);
        const Observed *answer = r->object != NULL ? observed_new(object->kind, r->object) : NULL;
        if (answer != NULL && kube_known_wrote(o->known, object, answer, now))
                tell_contended(o, object);
        if (answer == NULL && object->verb == PLAN_DELETE)
                kube_known_gone(o->known, object, now);
}

static bool is_done(const PlanObject *object, const KubeWriteResult *r)
{
        if (object->verb == PLAN_DELETE && r->err.kind == ERR_MISSING)
                return true;
        return r->err.kind == ERR_NONE;
}

/* Has this batch written the object itself? Then its answer is newer than what the plan was made
 * of, which may be about one that is gone: the watch had not shown that yet. */
static bool is_written_here(const Batch *b, const Item *item)
{
        for (size_t i = 0; i < b->n; i++) {
                const Item *other = &b->items[i];
                if (other->state == ITEM_DONE && other->object.verb == PLAN_APPLY &&
                    is_same_object(&other->object, &item->object))
                        return true;
        }
        return false;
}

static void on_written(KubeWrite *w, const KubeWriteResult *r)
{
        Item *item = kube_write_owner(w);
        Batch *b = item->batch;
        KubeObjects *o = b->owner;
        b->n_sent--;
        if (is_done(&item->object, r)) {
                o->in.fact->writes++;
                keep_answer(o, &item->object, r);
                settle(item, ITEM_DONE);
                tell_events(o, b, (size_t)(item - b->items));
        } else if (strcmp(r->err.reason, "NotLeading") == 0) {
                b->dropped = true;
                settle(item, ITEM_FAILED);
        } else {
                if (is_other(r) && !is_written_here(b, item))
                        kube_known_doubt(o->known, &item->object);
                rest(o, &item->object, r);
                if (definitions_is_misfit(&resources[item->object.kind], r->refusal))
                        tell_misfit(o, item->object.kind, r->refusal->misfit);
                else
                        tell_failure(o, &item->object, &r->err);
                settle(item, ITEM_FAILED);
        }
        item->write = kube_write_close(item->write);
        pump(o);
}

/* ---- plans ---- */

static ObjectKey keep_key(Arena *a, ObjectKey key)
{
        return (ObjectKey){arena_str(a, key.namespace), arena_str(a, key.name)};
}

static void keep_object(Batch *b, const PlanObject *from)
{
        Item *item = &b->items[b->n++];
        item->batch = b;
        item->object = *from;
        item->object.key = keep_key(&b->arena, from->key);
        item->object.eg_gateway = keep_key(&b->arena, from->eg_gateway);
        item->object.manager = arena_str(&b->arena, from->manager);
        item->object.body = arena_str(&b->arena, from->body);
        item->object.uid = arena_str(&b->arena, from->uid);
}

static void keep_event(Batch *b, const PlanEvent *from, size_t after)
{
        PlanEvent *e = &b->events[b->n_events++];
        *e = *from;
        e->after = after;
        e->key = keep_key(&b->arena, from->key);
        e->uid = arena_str(&b->arena, from->uid);
        e->reason = arena_str(&b->arena, from->reason);
        e->action = arena_str(&b->arena, from->action);
        e->note = arena_str(&b->arena, from->note);
}

static Batch *batch_new(KubeObjects *o, const Plan *plan)
{
        Batch *b = mem_new(sizeof *b);
        Mono now = loop_now(o->in.loop);
        b->owner = o;
        arena_init(&b->arena, 0);
        b->items = arena_new_array(&b->arena, plan->n_objects + 1, sizeof *b->items);
        b->events = arena_new_array(&b->arena, plan->n_events + 1, sizeof *b->events);
        for (size_t i = 0; i < plan->n_objects; i++) {
                const PlanObject *p = &plan->objects[i];
                if (o->in.may_write(o->in.owner, p->role).ns <= 0 ||
                    kube_known_is_tried(o->known, p, now))
                        continue;
                keep_object(b, p);
                for (size_t j = 0; j < plan->n_events; j++) {
                        if (plan->events[j].after == i)
                                keep_event(b, &plan->events[j], b->n - 1);
                }
                if (kube_known_is_resting(o->known, p, now))
                        settle(&b->items[b->n - 1], ITEM_FAILED);
        }
        return b;
}

bool kube_objects_run(KubeObjects *o, const Plan *plan)
{
        if (o->batch != NULL) {
                o->batch->dropped = true;
                return false;
        }
        Batch *b = batch_new(o, plan);
        if (b->n == 0)
                o->in.fact->error[0] = '\0';
        if (b->n == b->n_failed) {
                batch_free(b);
                arm(o);
                return true;
        }
        o->batch = b;
        for (size_t i = 0; i < b->n && b->n_sent < KUBE_OBJECTS_AT_ONCE; i++) {
                if (b->items[i].state == ITEM_WAITING && is_ready(b, i))
                        send_item(&b->items[i]);
        }
        if (b->n_sent > 0)
                return true;
        o->batch = NULL;
        batch_free(b);
        arm(o);
        return true;
}

bool kube_objects_is_writing(const KubeObjects *o)
{
        return o->batch != NULL;
}

/* ---- the rest ---- */

KubeObjects *kube_objects_open(const KubeObjectsInput *in)
{
        KubeObjects *o = mem_new(sizeof *o);
        o->in = *in;
        o->chance = in->seed;
        o->known = kube_known_new();
        timer_init(&o->timer, in->loop, on_timer);
        return o;
}

void kube_objects_tell(KubeObjects *o, const Table *watched)
{
        kube_known_tell(o->known, watched, loop_now(o->in.loop));
        arm(o);
}

const Table *kube_objects_observed(KubeObjects *o)
{
        return kube_known_table(o->known, loop_now(o->in.loop));
}

const Outside *kube_objects_outside(KubeObjects *o)
{
        return kube_known_outside(o->known, loop_now(o->in.loop));
}

const KubeObjectsCounts *kube_objects_counts(KubeObjects *o)
{
        definitions_look(&o->counts.definitions, loop_now(o->in.loop));
        return &o->counts;
}

KubeObjects *kube_objects_close(KubeObjects *o)
{
        if (o == NULL)
                return NULL;
        if (o->batch != NULL)
                o->batch = batch_free(o->batch);
        timer_clear(&o->timer);
        o->known = kube_known_free(o->known);
        return mem_free(o);
}
