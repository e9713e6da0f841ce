/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For unit tests only: a small cluster to plan for. TailscaleGateway demo/gw takes endpoints of
 * TailscaleTailnet demo/corp to Gateway infra/eg. Header only, because test code is in no library.
 */

#include "base/mem.h"
#include "control/entry_memo.h"
#include "control/plan.h"
#include "proto/json.h"

#include <stdio.h>

enum {
        CLUSTER_OBSERVED_MAX = 64
};

static const ObjectKey cluster_gateway = {STR_INIT("demo"), STR_INIT("gw")},
                       cluster_tailnet = {STR_INIT("demo"), STR_INIT("corp")},
                       cluster_eg = {STR_INIT("infra"), STR_INIT("eg")};

typedef struct TestCluster {
        World *world;
        Report *report;
        Facts facts;
        const Observed *observed[CLUSTER_OBSERVED_MAX]; /* each with one reference */
        size_t n_observed;
        const void *faults[8];
        size_t n_faults;
        BindingWritten written; /* what execute knows of the Binding */
        StatusWritten status;   /* and of the TailscaleGateway's status */
        Mono since;             /* when it began */
        PlanInput in;           /* roles, replica, now, wall */
        const Table *table, *fault_table;
        EntryMemo *memo;
        Outside outside;
        Plan plan;
} TestCluster;

static inline Table *cluster_one(const void *leaf, TableOrder *order)
{
        const void *leaves[] = {leaf};
        return table_new(leaves, leaf != NULL ? 1 : 0, order);
}

static inline void cluster_replace(const Table **slot, const Table *t)
{
        table_unref(*slot);
        *slot = t;
}

/* An endpoint of each name, "s000" and up. */
static inline EntryView *cluster_entry(ObjectKey gateway, const char *tailnet, unsigned n)
{
        EntryView *v = leaf_new(sizeof *v, 0, entry_view_drop);
        const void **leaves = mem_new_array(n + 1, sizeof *leaves);
        v->gateway = gateway;
        v->tailnet = v->source = str_of(tailnet);
        v->known = true;
        for (unsigned i = 0; i < n; i++) {
                char name[16], ip[24];
                snprintf(name, sizeof name, "s%03u", i);
                snprintf(ip, sizeof ip, "100.64.%u.%u", i / 250, i % 250);
                leaves[i] = endpoint_new(&(Endpoint){.service = str_of(name),
                                                     .ip = str_of(ip),
                                                     .node_id = str_of(name),
                                                     .port = 80,
                                                     .protocol = PROTOCOL_HTTP,
                                                     .weight = 1});
        }
        v->endpoints = table_new(leaves, n, endpoint_order);
        mem_free(leaves);
        return v;
}

static inline GatewaySpec *cluster_gateway_spec(void)
{
        static const TailnetEntry entries[] = {
                {.name = STR_INIT("corp"), .tailnet_name = STR_INIT("corp")}};
        GatewaySpec *g = leaf_new(sizeof *g, 0, NULL);
        g->meta.key = cluster_gateway;
        g->meta.generation = 3;
        g->gateway = cluster_eg;
        g->tailnets = entries;
        g->n_tailnets = 1;
        return g;
}

/* What is wished of infra/eg; NULL: nothing. */
static inline void cluster_wish(TestCluster *c, const char *revision)
{
        GatewayReport *g = NULL;
        if (revision != NULL) {
                g = leaf_new(sizeof *g, 0, NULL);
                g->eg_gateway = cluster_eg;
                g->found = true;
                snprintf(g->revision, sizeof g->revision, "%s", revision);
        }
        cluster_replace(&c->report->gateways, cluster_one(g, gateway_report_order));
}

static inline void cluster_init(TestCluster *c)
{
        TailnetSpec *t = leaf_new(sizeof *t, 0, NULL);
        EgGateway *eg = leaf_new(sizeof *eg, 0, NULL);
        *c = (TestCluster){.memo = entry_memo_new(),
                           .world = world_new_empty(),
                           .report = leaf_new(sizeof *c->report, 0, report_drop)};
        facts_init(&c->facts);
        t->meta.key = cluster_tailnet;
        t->meta.generation = 2;
        eg->meta.key = cluster_eg;
        c->world->complete = c->report->complete = true;
        cluster_replace(&c->world->tailnets, cluster_one(t, tailnet_spec_order));
        cluster_replace(&c->world->eg_gateways, cluster_one(eg, eg_gateway_order));
        cluster_replace(&c->world->gateways,
                        cluster_one(cluster_gateway_spec(), gateway_spec_order));
        c->report->routes = table_new(NULL, 0, route_report_order);
        c->report->entries = table_new(NULL, 0, entry_report_order);
        cluster_wish(c, NULL);
        c->in = (PlanInput){.in_kubernetes = true,
                            .roles = PLAN_OPERATOR,
                            .now = {SPAN_S(1000).ns},
                            .wall = {INT64_C(1800000000000)},
                            .replica = STR("pod-a")};
}

/* It stands there; `json` as the API server would tell it. Returns it, borrowed. */
static inline const Observed *cluster_stands(TestCluster *c, ObservedKind kind, const char *json)
{
        Arena arena;
        arena_init(&arena, 0);
        const Tree *t = json_read(&arena, str_of(json), NULL, NULL);
        INSIST(t != NULL && c->n_observed < CLUSTER_OBSERVED_MAX);
        const Observed *o = observed_new(kind, t);
        arena_done(&arena);
        c->observed[c->n_observed++] = o;
        return o;
}

static inline void cluster_stands_gateway(TestCluster *c)
{
        IGNORE(cluster_stands(c, OBSERVED_GATEWAY,
                              "{\"metadata\":{\"namespace\":\"demo\",\"name\":\"gw\","
                              "\"uid\":\"uid-gw\",\"resourceVersion\":\"1\"}}"),
               "not looked at");
}

static inline void cluster_stands_tailnet(TestCluster *c)
{
        IGNORE(cluster_stands(c, OBSERVED_TAILNET,
                              "{\"metadata\":{\"namespace\":\"demo\",\"name\":\"corp\","
                              "\"uid\":\"uid-corp\",\"resourceVersion\":\"2\"}}"),
               "not looked at");
}

/* It is not valid, for `text`, and refers to `gateway`, or it cannot be read to which. */
static inline void cluster_fault_of(TestCluster *c, ObservedKind kind, ObjectKey key,
                                    const char *text, ObjectKey gateway)
{
        ObjectFault *f = leaf_new(sizeof *f, 0, NULL);
        f->kind = kind;
        f->key = key;
        f->generation = 9;
        f->text = str_of(text);
        f->gateway = gateway;
        c->faults[c->n_faults++] = f;
}

static inline void cluster_fault(TestCluster *c, ObservedKind kind, ObjectKey key, const char *text)
{
        cluster_fault_of(c, kind, key, text, (ObjectKey){0});
}

/* Plans once more; the plan before is gone. */
static inline void cluster_plan(TestCluster *c)
{
        const void *leaves[CLUSTER_OBSERVED_MAX], *faults[8];
        plan_done(&c->plan);
        table_unref(c->table);
        table_unref(c->fault_table);
        for (size_t i = 0; i < c->n_observed; i++)
                leaves[i] = leaf_ref(c->observed[i]);
        for (size_t i = 0; i < c->n_faults; i++)
                faults[i] = leaf_ref(c->faults[i]);
        c->table = table_new(leaves, c->n_observed, observed_order);
        c->fault_table = table_new(faults, c->n_faults, object_fault_order);
        c->outside = (Outside){.bindings = &c->written,
                               .n_bindings = c->written.eg_gateway.name.n > 0 ? 1 : 0,
                               .statuses = &c->status,
                               .n_statuses = c->status.at.ns != 0 ? 1 : 0,
                               .since = c->since,
                               .memo = c->memo};
        PlanInput in = c->in;
        in.world = c->world;
        in.report = c->report;
        in.facts = &c->facts;
        in.outside = &c->outside;
        in.observed = c->table;
        in.faults = c->fault_table;
        plan_make(&in, &c->plan);
}

/* The i-th of what is planned for objects of that kind with that verb, or NULL. */
static inline const PlanObject *cluster_planned(const TestCluster *c, ObservedKind kind,
                                                PlanVerb verb, size_t i)
{
        for (size_t j = 0; j < c->plan.n_objects; j++) {
                const PlanObject *o = &c->plan.objects[j];
                if (o->kind == kind && o->verb == verb && i-- == 0)
                        return o;
        }
        return NULL;
}

static inline size_t cluster_count(const TestCluster *c, ObservedKind kind, PlanVerb verb)
{
        size_t n = 0;
        while (cluster_planned(c, kind, verb, n) != NULL)
                n++;
        return n;
}

static inline bool cluster_says(const PlanObject *o, const char *what)
{
        return o != NULL && str_find_str(o->body, str_of(what)) >= 0;
}

/* What is planned stands there from now on: bodies as they are, with a uid and a version. */
static inline void cluster_perform(TestCluster *c)
{
        for (size_t i = 0; i < c->plan.n_objects; i++) {
                const PlanObject *o = &c->plan.objects[i];
                size_t at = 0;
                while (at < c->n_observed && (c->observed[at]->kind != o->kind ||
                                              !object_key_eq(c->observed[at]->key, o->key)))
                        at++;
                if (o->verb == PLAN_DELETE) {
                        leaf_unref(c->observed[at]);
                        c->observed[at] = c->observed[--c->n_observed];
                        continue;
                }
                char *text = mem_new(o->body.n + 1);
                memcpy(text, o->body.p, o->body.n);
                Observed *fresh = (Observed *)(uintptr_t)cluster_stands(c, o->kind, text);
                const Observed *before = at + 1 < c->n_observed ? c->observed[at] : NULL;
                mem_free(text);
                fresh->generation = 1;
                if (before == NULL)
                        continue;
                fresh->generation = before->generation + (o->verb == PLAN_APPLY);
                /* Of the object the one, of the status the other is as it was. */
                if (o->verb == PLAN_APPLY) {
                        fresh->status = before->status;
                        fresh->last_sync = before->last_sync;
                } else {
                        fresh->own = before->own;
                        fresh->ours = before->ours;
                        if (fresh->uid.n == 0)
                                fresh->uid = leaf_str(&fresh->leaf, before->uid);
                }
                leaf_unref(before);
                c->observed[at] = c->observed[--c->n_observed];
        }
}

static inline void cluster_done(TestCluster *c)
{
        entry_memo_free(c->memo);
        plan_done(&c->plan);
        table_unref(c->table);
        table_unref(c->fault_table);
        for (size_t i = 0; i < c->n_observed; i++)
                leaf_unref(c->observed[i]);
        for (size_t i = 0; i < c->n_faults; i++)
                leaf_unref(c->faults[i]);
        leaf_unref(c->report);
        leaf_unref(c->world);
        facts_done(&c->facts);
}

/* For cmocka: a TestCluster as state. */
static inline int cluster_setup(void **state)
{
        TestCluster *c = mem_new(sizeof *c);
        cluster_init(c);
        *state = c;
        return 0;
}

static inline int cluster_teardown(void **state)
{
        cluster_done(*state);
        mem_free(*state);
        return 0;
}
