/* SPDX-License-Identifier: Apache-2.0 */
/* What stands at an API server, whatever that is, as each kind that we write, and what is planned
 * because of it: it is read the same twice, and what we would write is JSON that would then be as
 * wished. */
#include "control/object_body.h"
#include "control/test_cluster.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
        if (!holds)
                abort();
}

static const Observed *read_one(ObservedKind kind, Str json)
{
        Arena arena;
        arena_init(&arena, 1 << 22);
        const Tree *t = json_read(&arena, json, NULL, NULL);
        const Observed *o = t != NULL ? observed_new(kind, t) : NULL;
        arena_done(&arena);
        return o;
}

static void check_plan(const TestCluster *c)
{
        for (size_t i = 0; i < c->plan.n_objects; i++) {
                const PlanObject *o = &c->plan.objects[i];
                require(o->key.name.n > 0);
                if (o->verb == PLAN_DELETE)
                        continue;
                Digest digest = object_body_digest(o->body, o->verb == PLAN_APPLY_STATUS);
                require(o->verb != PLAN_APPLY_STATUS || digest_eq(&digest, &o->expected));
        }
        for (size_t i = 0; i < c->plan.n_events; i++)
                require(c->plan.events[i].after < c->plan.n_objects &&
                        c->plan.events[i].reason.n > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        TestCluster c;
        Str json = str_make(data, size);
        cluster_init(&c);
        EntryView *v = cluster_entry(cluster_gateway, "corp", 2);
        cluster_replace(&c.world->entries, cluster_one(v, entry_view_order));
        cluster_wish(&c, "r1");
        c.in.roles = PLAN_OPERATOR | PLAN_REPLICA;
        cluster_stands_gateway(&c);
        cluster_stands_tailnet(&c);
        for (ObservedKind kind = OBSERVED_TAILNET; kind < OBSERVED_KINDS; kind++) {
                const Observed *a = read_one(kind, json), *b = read_one(kind, json);
                require((a != NULL) == (b != NULL));
                if (a != NULL) {
                        require(digest_eq(&a->own, &b->own) && digest_eq(&a->status, &b->status));
                        require(a->n_conditions <= OBSERVED_CONDITIONS_MAX);
                        require(a->n_served <= OBSERVED_SERVED_MAX);
                        require(a->revision.n <= REVISION_MAX);
                        c.observed[c.n_observed++] = leaf_ref(a);
                }
                leaf_unref(a);
                leaf_unref(b);
        }
        c.written.eg_gateway = cluster_eg;
        cluster_plan(&c);
        check_plan(&c);
        cluster_done(&c);
        return 0;
}
