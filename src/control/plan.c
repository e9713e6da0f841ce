/* SPDX-License-Identifier: Apache-2.0 */
#include "control/plan.h"

#include "base/mem.h"

void plan_add(Plan *p, PlanDir dir, Str name, Str content, bool remove)
{
        if (p->n == p->room) {
                p->room = p->room != 0 ? 2 * p->room : 16;
                p->files = mem_resize(p->files, p->room * sizeof *p->files);
        }
        p->files[p->n++] =
                (PlanFile){dir, arena_str(&p->arena, name), arena_str(&p->arena, content), remove};
}

void plan_make(const PlanInput *in, Plan *ret)
{
        *ret = (Plan){0};
        arena_init(&ret->arena, 0);
        if (!in->world->complete || !in->report->complete)
                return;
        if (!in->only_facts)
                plan_endpoints(in, ret);
        plan_bindings(in, ret);
}

void plan_done(Plan *p)
{
        mem_free(p->files);
        arena_done(&p->arena);
        *p = (Plan){0};
}
