/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members in a fixed order, lists in the order of their Table: the same content gives the same
 * bytes. In a file there are no times of conditions.
 */
#include "model/render.h"

#include "model/label_value.h"
#include "model/observed.h"

#include <stdio.h>

static void render_head(DocWriter *d, const char *kind, ObjectKey key)
{
        doc_str(d, STR("apiVersion"), STR(MODEL_API_VERSION));
        doc_str(d, STR("kind"), str_of(kind));
        doc_object(d, STR("metadata"));
        doc_str(d, STR("name"), key.name);
        doc_str(d, STR("namespace"), key.namespace);
}

void render_apply_head(DocWriter *d, const char *kind, ObjectKey key, Str uid)
{
        doc_begin(d);
        render_head(d, kind, key);
        doc_optional_str(d, STR("uid"), uid);
}

/* ---- Bindings ---- */

static void render_binding_spec(DocWriter *d, ObjectKey eg_gateway, Str revision, uint64_t attempt)
{
        doc_object(d, STR("spec"));
        doc_list(d, STR("targetRefs"), 1);
        doc_item(d);
        doc_str(d, STR("group"), STR("gateway.networking.k8s.io"));
        doc_str(d, STR("kind"), STR("Gateway"));
        doc_str(d, STR("name"), eg_gateway.name);
        doc_item_end(d);
        doc_list_end(d);
        /* Always quoted: one digest in 10^8 is all digits, or reads as 1e99. */
        doc_quoted(d, STR("revision"), revision);
        if (attempt > 0)
                doc_u64(d, STR("attempt"), attempt);
        doc_object_end(d);
}

void render_binding(ObjectKey eg_gateway, Str revision, uint64_t attempt, Buf *out)
{
        DocWriter d;
        doc_yaml_init(&d, out);
        doc_begin(&d);
        render_head(&d, "TailscaleGatewayBinding", eg_gateway);
        doc_object_end(&d);
        render_binding_spec(&d, eg_gateway, revision, attempt);
        doc_end(&d);
}

void render_binding_apply(ObjectKey eg_gateway, Str revision, uint64_t attempt, Buf *out)
{
        DocWriter d;
        doc_json_init(&d, out);
        render_apply_head(&d, "TailscaleGatewayBinding", eg_gateway, (Str){0});
        doc_object(&d, STR("labels"));
        doc_str(&d, STR(MODEL_LABEL_MANAGED_BY), STR(MODEL_OURS));
        doc_object_end(&d);
        doc_object_end(&d);
        render_binding_spec(&d, eg_gateway, revision, attempt);
        doc_end(&d);
}

void render_binding_attempt(ObjectKey eg_gateway, Str uid, uint64_t attempt, Buf *out)
{
        DocWriter d;
        doc_json_init(&d, out);
        render_apply_head(&d, "TailscaleGatewayBinding", eg_gateway, uid);
        doc_object_end(&d);
        doc_object(&d, STR("spec"));
        doc_u64(&d, STR("attempt"), attempt);
        doc_object_end(&d);
        doc_end(&d);
}

void render_binding_served(ObjectKey eg_gateway, Str uid, Str replica, Str revision, Buf *out)
{
        char value[LABEL_VALUE_MAX + 1], key[sizeof(OBSERVED_SERVED) + LABEL_VALUE_MAX];
        Str name = label_value(replica, value);
        DocWriter d;
        doc_json_init(&d, out);
        render_apply_head(&d, "TailscaleGatewayBinding", eg_gateway, uid);
        if (revision.n > 0) {
                memcpy(key, OBSERVED_SERVED, strlen(OBSERVED_SERVED));
                memcpy(key + strlen(OBSERVED_SERVED), name.p, name.n);
                doc_object(&d, STR("annotations"));
                doc_str(&d, str_make(key, strlen(OBSERVED_SERVED) + name.n), revision);
                doc_object_end(&d);
        }
        doc_object_end(&d);
        doc_end(&d);
}

/* ---- TailscaleEndpoints ---- */

static void render_endpoint(DocWriter *d, const Endpoint *e)
{
        doc_item(d);
        doc_str(d, STR("name"), e->service);
        doc_str(d, STR("tailscaleIP"), e->ip);
        doc_optional_str(d, STR("tailscaleFQDN"), e->fqdn);
        doc_u64(d, STR("port"), e->port);
        doc_str(d, STR("protocol"), protocol_name(e->protocol));
        if (e->tags.n > 0) {
                doc_list(d, STR("tags"), e->tags.n);
                for (size_t i = 0; i < e->tags.n; i++)
                        doc_item_str(d, e->tags.at[i]);
                doc_list_end(d);
        }
        doc_optional_str(d, STR("nodeID"), e->node_id);
        if (!str_eq(e->short_name, e->service))
                doc_optional_str(d, STR("shortName"), e->short_name);
        doc_optional_str(d, STR("portSource"), e->port_source);
        doc_optional_str(d, STR("rule"), e->rule);
        doc_optional_str(d, STR("health"), e->health);
        doc_optional_str(d, STR("healthText"), e->health_text);
        doc_u64(d, STR("weight"), e->weight);
        doc_item_end(d);
}

static void render_annotations(DocWriter *d, const EntryView *view)
{
        doc_optional_str(d, STR(MODEL_SOURCE), view->source);
        doc_optional_str(d, STR(MODEL_SUFFIX), view->suffix);
}

static void render_endpoints_spec(DocWriter *d, Str tailnet, const Endpoint *const *endpoints,
                                  size_t n)
{
        doc_object(d, STR("spec"));
        doc_str(d, STR("tailnet"), tailnet);
        if (!d->yaml)
                doc_str(d, STR("direction"), STR("Egress"));
        doc_list(d, STR("endpoints"), n);
        for (size_t i = 0; i < n; i++)
                render_endpoint(d, endpoints[i]);
        doc_list_end(d);
        doc_object_end(d);
}

void render_entry_conditions(const EntryView *view, Condition ret[RENDER_ENTRY_CONDITIONS])
{
        bool held = view->held.n > 0;
        ret[0] = (Condition){.type = "Synced",
                             .status = view->known ? "True" : "False",
                             .reason =
                                     view->known ? STR("DiscoverySuccessful") : STR("NeverSynced")};
        ret[1] = (Condition){.type = "RemovalHeld",
                             .status = held ? "True" : "False",
                             .reason = held ? view->held.reason : STR("NothingHeld")};
}

static void render_status(DocWriter *d, const EntryView *view, size_t n, Wall last_sync,
                          const ConditionPast *past, int64_t generation)
{
        Condition conditions[RENDER_ENTRY_CONDITIONS];
        render_entry_conditions(view, conditions);
        for (size_t i = 0; i < LENGTH_OF(conditions); i++)
                conditions[i].generation = generation;
        doc_object(d, STR("status"));
        doc_u64(d, STR("discoveredEndpoints"), n);
        doc_wall(d, STR("lastSync"), last_sync);
        doc_wall(d, STR("nextKeyExpiry"), view->next_key_expiry);
        if (view->held.n > 0) {
                doc_object(d, STR("held"));
                doc_u64(d, STR("count"), view->held.n);
                doc_u64(d, STR("confirmations"), view->held.confirmations);
                doc_str(d, STR("digest"), view->held.digest);
                doc_str(d, STR("reason"), view->held.reason);
                doc_object_end(d);
        }
        conditions_doc(d, conditions, LENGTH_OF(conditions), past);
        doc_object_end(d);
}

void render_endpoints(const EntryView *view, Str name, const Endpoint *const *endpoints, size_t n,
                      Buf *out)
{
        DocWriter d;
        doc_yaml_init(&d, out);
        doc_begin(&d);
        render_head(&d, "TailscaleEndpoints", (ObjectKey){view->gateway.namespace, name});
        doc_object(&d, STR("labels"));
        doc_str(&d, STR(MODEL_LABEL_GATEWAY), view->gateway.name);
        doc_str(&d, STR(MODEL_LABEL_TAILNET), view->tailnet);
        doc_object_end(&d);
        if (view->source.n > 0 || view->suffix.n > 0) {
                doc_object(&d, STR("annotations"));
                render_annotations(&d, view);
                doc_object_end(&d);
        }
        doc_object_end(&d);
        render_endpoints_spec(&d, view->tailnet, endpoints, n);
        render_status(&d, view, n, view->last_sync, NULL, 0);
        doc_end(&d);
}

void render_gateway_owner(DocWriter *d, Str name, Str uid)
{
        doc_list(d, STR("ownerReferences"), 1);
        doc_item(d);
        doc_str(d, STR("apiVersion"), STR(MODEL_API_VERSION));
        doc_str(d, STR("kind"), STR("TailscaleGateway"));
        doc_str(d, STR("name"), name);
        doc_str(d, STR("uid"), uid);
        doc_bool(d, STR("controller"), true);
        doc_item_end(d);
        doc_list_end(d);
}

void render_endpoints_apply(const RenderShard *shard, Buf *out)
{
        const EntryView *view = shard->view;
        char value[LABEL_VALUE_MAX + 1], shards[24];
        DocWriter d;
        doc_json_init(&d, out);
        render_apply_head(&d, "TailscaleEndpoints",
                          (ObjectKey){view->gateway.namespace, shard->name}, (Str){0});
        doc_object(&d, STR("labels"));
        doc_str(&d, STR(MODEL_LABEL_MANAGED_BY), STR(MODEL_OURS));
        doc_str(&d, STR(MODEL_LABEL_GATEWAY), label_value(view->gateway.name, value));
        doc_str(&d, STR(MODEL_LABEL_TAILNET), label_value(view->tailnet, value));
        doc_object_end(&d);
        doc_object(&d, STR("annotations"));
        render_annotations(&d, view);
        IGNORE(snprintf(shards, sizeof shards, "%zu", shard->n_shards), "a number fits");
        doc_str(&d, STR(MODEL_SHARDS), str_of(shards));
        doc_object_end(&d);
        render_gateway_owner(&d, view->gateway.name, shard->owner_uid);
        doc_object_end(&d);
        render_endpoints_spec(&d, view->tailnet, shard->endpoints, shard->n);
        doc_end(&d);
}

void render_endpoints_status(const RenderShard *shard, Wall last_sync, const ConditionPast *past,
                             int64_t generation, Buf *out)
{
        ObjectKey key = {shard->view->gateway.namespace, shard->name};
        DocWriter d;
        doc_json_init(&d, out);
        render_apply_head(&d, "TailscaleEndpoints", key,
                          past->seen != NULL ? past->seen->uid : (Str){0});
        doc_object_end(&d);
        render_status(&d, shard->view, shard->n, last_sync, past, generation);
        doc_end(&d);
}
