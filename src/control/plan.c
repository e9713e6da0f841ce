/* SPDX-License-Identifier: Apache-2.0 */
#include "control/plan.h"

#include "base/mem.h"
#include "control/managed_plan.h"

void plan_add(Plan *p, PlanDir dir, Str name, Str content, bool remove)
{
        if (p->n == p->room) {
                p->room = p->room != 0 ? 2 * p->room : 16;
                p->files = mem_resize(p->files, p->room * sizeof *p->files);
        }
        p->files[p->n++] =
                (PlanFile){dir, arena_str(&p->arena, name), arena_str(&p->arena, content), remove};
}

static ObjectKey keep_key(Plan *p, ObjectKey key)
{
        return (ObjectKey){arena_str(&p->arena, key.namespace), arena_str(&p->arena, key.name)};
}

size_t plan_add_object(Plan *p, const PlanObject *o)
{
        if (p->n_objects == p->room_objects) {
                p->room_objects = p->room_objects != 0 ? 2 * p->room_objects : 16;
                p->objects = mem_resize(p->objects, p->room_objects * sizeof *p->objects);
        }
        PlanObject *to = &p->objects[p->n_objects];
        *to = *o;
        to->key = keep_key(p, o->key);
        to->eg_gateway = keep_key(p, o->eg_gateway);
        to->manager = arena_str(&p->arena, o->manager);
        to->body = arena_str(&p->arena, o->body);
        to->uid = arena_str(&p->arena, o->uid);
        return p->n_objects++;
}

void plan_add_event(Plan *p, const PlanEvent *e)
{
        if (p->n_events == p->room_events) {
                p->room_events = p->room_events != 0 ? 2 * p->room_events : 16;
                p->events = mem_resize(p->events, p->room_events * sizeof *p->events);
        }
        PlanEvent *to = &p->events[p->n_events++];
        *to = *e;
        to->key = keep_key(p, e->key);
        to->uid = arena_str(&p->arena, e->uid);
        to->reason = arena_str(&p->arena, e->reason);
        to->action = arena_str(&p->arena, e->action);
        to->note = arena_str(&p->arena, e->note);
}

void plan_again(Plan *p, Mono at)
{
        if (p->again.ns == 0 || mono_before(at, p->again))
                p->again = at;
}

static void make_objects(const PlanInput *in, Plan *p)
{
        if ((in->roles & PLAN_OPERATOR) != 0 && in->only_facts)
                plan_endpoints_again(in, p);
        else if ((in->roles & PLAN_OPERATOR) != 0)
                plan_endpoints_objects(in, p);
        if ((in->roles & PLAN_OPERATOR) != 0 && !in->only_facts)
                plan_route_objects(in, p);
        plan_binding_objects(in, p);
        if ((in->roles & PLAN_OPERATOR) == 0)
                return;
        plan_tailnet_statuses(in, p);
        plan_gateway_statuses(in, p);
        plan_user_statuses(in, p);
}

void plan_make(const PlanInput *in, Plan *ret)
{
        *ret = (Plan){0};
        arena_init(&ret->arena, 0);
        /* There before anything is programmed, so that Envoy Gateway has somebody to call. */
        if (in->in_kubernetes && in->managed != NULL && !in->only_facts)
                plan_managed(in, in->managed, ret);
        if (!in->world->complete || !in->report->complete)
                return;
        if (in->in_kubernetes) {
                make_objects(in, ret);
                return;
        }
        if (!in->only_facts)
                plan_endpoints(in, ret);
        plan_bindings(in, ret);
}

void plan_done(Plan *p)
{
        mem_free(p->files);
        mem_free(p->objects);
        mem_free(p->events);
        arena_done(&p->arena);
        *p = (Plan){0};
}
