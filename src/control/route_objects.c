/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes of the Gateway API for the Services that tailnets see: one for each host and path that the
 * Report programs, in the namespace of its TailscaleGateway, which owns it. Envoy Gateway resolves
 * them like any other, and goes on with them while we are away.
 *
 * Defaults of the schema are written out, so that what stands there is what was applied. New ones
 * come before old ones go. A TailscaleGateway that is not valid, of which nothing is in force,
 * keeps what it has.
 */
#include "base/mem.h"
#include "control/object_body.h"
#include "model/label_value.h"
#include "model/made_route.h"
#include "model/render.h"

#include <stdlib.h>

#define GATEWAY_GROUP "gateway.networking.k8s.io"

typedef struct Wanted {
        ObservedKey key;
        const RouteReport *row;
        const Observed *owner;
} Wanted;

/* ---- an object ---- */

static void put_meta(DocWriter *d, const Wanted *w)
{
        const RouteReport *r = w->row;
        char value[LABEL_VALUE_MAX + 1], service[OBJECT_KEY_TEXT];
        doc_str(d, STR("apiVersion"), STR(GATEWAY_GROUP "/v1"));
        doc_str(d, STR("kind"), r->backend->kind);
        doc_object(d, STR("metadata"));
        doc_str(d, STR("name"), w->key.key.name);
        doc_str(d, STR("namespace"), w->key.key.namespace);
        doc_object(d, STR("labels"));
        doc_str(d, STR(MODEL_LABEL_MANAGED_BY), STR(MODEL_OURS));
        doc_str(d, STR(MODEL_LABEL_GATEWAY), label_value(r->gateway.name, value));
        doc_object_end(d);
        doc_object(d, STR("annotations"));
        doc_str(d, STR(MODEL_SERVICE), object_key_text(r->backend->service, service));
        doc_object_end(d);
        render_gateway_owner(d, r->gateway.name, w->owner->uid);
        doc_object_end(d);
}

static void put_parent(DocWriter *d, const RouteReport *r)
{
        doc_list(d, STR("parentRefs"), 1);
        doc_item(d);
        doc_str(d, STR("group"), STR(GATEWAY_GROUP));
        doc_str(d, STR("kind"), STR("Gateway"));
        doc_str(d, STR("name"), r->eg_gateway.name);
        doc_str(d, STR("namespace"), r->eg_gateway.namespace);
        doc_str(d, STR("sectionName"), r->listener);
        doc_item_end(d);
        doc_list_end(d);
}

static void put_match(DocWriter *d, const RouteReport *r)
{
        doc_list(d, STR("matches"), 1);
        doc_item(d);
        doc_object(d, STR("path"));
        doc_str(d, STR("type"), STR("PathPrefix"));
        doc_str(d, STR("value"), r->backend->path);
        doc_object_end(d);
        doc_item_end(d);
        doc_list_end(d);
}

static void put_backend(DocWriter *d, const RouteReport *r)
{
        doc_list(d, STR("backendRefs"), 1);
        doc_item(d);
        doc_str(d, STR("group"), STR(""));
        doc_str(d, STR("kind"), STR("Service"));
        doc_str(d, STR("name"), r->backend->service.name);
        if (!str_eq(r->backend->service.namespace, r->gateway.namespace))
                doc_str(d, STR("namespace"), r->backend->service.namespace);
        doc_u64(d, STR("port"), r->port);
        doc_u64(d, STR("weight"), 1);
        doc_item_end(d);
        doc_list_end(d);
}

static void put_route(const Wanted *w, Buf *out)
{
        const RouteReport *r = w->row;
        DocWriter d;
        doc_json_init(&d, out);
        doc_begin(&d);
        put_meta(&d, w);
        doc_object(&d, STR("spec"));
        put_parent(&d, r);
        if (r->host.n > 0) {
                doc_list(&d, STR("hostnames"), 1);
                doc_item_str(&d, r->host);
                doc_list_end(&d);
        }
        doc_list(&d, STR("rules"), 1);
        doc_item(&d);
        if (w->key.kind == OBSERVED_HTTP_ROUTE)
                put_match(&d, r);
        put_backend(&d, r);
        doc_item_end(&d);
        doc_list_end(&d);
        doc_object_end(&d);
        doc_end(&d);
}

/* ---- the plan ---- */

static int key_cmp(const ObservedKey *a, const ObservedKey *b)
{
        return a->kind != b->kind ? (a->kind < b->kind ? -1 : 1) : object_key_cmp(a->key, b->key);
}

static int on_order(const void *a, const void *b)
{
        return key_cmp(&((const Wanted *)a)->key, &((const Wanted *)b)->key);
}

/* Sorted, each once: entries of one TailscaleGateway may ask for the same route. */
static Wanted *find_wanted(const PlanInput *in, Plan *p, size_t *ret_n)
{
        size_t n = 0, kept = 0;
        Wanted *at = mem_new_array(table_n(in->report->routes) + 1, sizeof *at);
        TABLE_FOREACH (RouteReport, r, in->report->routes) {
                if (r->backend == NULL || !r->programmed)
                        continue;
                char name[MADE_ROUTE_NAME_MAX + 1];
                Str copy = arena_str(&p->arena, made_route_name(r, name));
                const Observed *owner = observed_at(in->observed, OBSERVED_GATEWAY, r->gateway);
                ObservedKind kind = made_route_kind(r->backend->kind);
                if (kind != OBSERVED_KINDS && owner != NULL && !owner->deleting)
                        at[n++] = (Wanted){{kind, {r->gateway.namespace, copy}}, r, owner};
        }
        qsort(at, n, sizeof *at, on_order);
        for (size_t i = 0; i < n; i++) {
                if (kept == 0 || on_order(&at[kept - 1], &at[i]) != 0)
                        at[kept++] = at[i];
        }
        *ret_n = kept;
        return at;
}

static void plan_route(const PlanInput *in, Plan *p, const Wanted *w)
{
        const Observed *seen = observed_at(in->observed, w->key.kind, w->key.key);
        CLEANUP(buf_done) Buf body;
        if (seen != NULL && seen->deleting)
                return;
        buf_init(&body, OBJECT_BODY_MAX);
        put_route(w, &body);
        Digest expected = object_body_digest(buf_str(&body), false);
        if (seen != NULL && digest_eq(&seen->own, &expected))
                return;
        IGNORE(plan_add_object(p,
                               &(PlanObject){
                                       .verb = PLAN_APPLY,
                                       .role = PLAN_OPERATOR,
                                       .kind = w->key.kind,
                                       .key = w->key.key,
                                       .manager = STR(OBSERVED_MANAGER),
                                       .body = buf_str(&body),
                                       .expected = expected,
                               }),
               "no event follows it");
}

static int on_find(const void *key, const void *wanted)
{
        return key_cmp(key, &((const Wanted *)wanted)->key);
}

static void remove_stale(const PlanInput *in, Plan *p, const Wanted *wanted, size_t n)
{
        TABLE_FOREACH (Observed, o, in->observed) {
                ObservedKey key = {o->kind, o->key};
                if (!made_route_is_one(o->kind) || !o->ours || o->deleting || o->owner.n == 0 ||
                    !made_route_name_is_ours(o->key.name) ||
                    object_is_gateway_unknown(in, (ObjectKey){o->key.namespace, o->owner}) ||
                    bsearch(&key, wanted, n, sizeof *wanted, on_find) != NULL)
                        continue;
                IGNORE(plan_add_object(p,
                                       &(PlanObject){
                                               .verb = PLAN_DELETE,
                                               .role = PLAN_OPERATOR,
                                               .kind = o->kind,
                                               .key = o->key,
                                               .uid = o->uid,
                                       }),
                       "no event follows it");
        }
}

void plan_route_objects(const PlanInput *in, Plan *p)
{
        size_t n;
        CLEANUP(mem_cleanup) Wanted *wanted = find_wanted(in, p, &n);
        for (size_t i = 0; i < n; i++)
                plan_route(in, p, &wanted[i]);
        remove_stale(in, p, wanted, n);
}
