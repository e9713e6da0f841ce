/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/discover_page.h"

#include "discovery/candidate.h"
#include "discovery/rule_view.h"
#include "discovery/selection.h"
#include "proto/json_writer.h"

typedef struct Page {
        const DiscoverPage *in;
        JsonWriter w;
        Arena scratch;  /* of the entry at hand */
        size_t n_found; /* told of it */
} Page;

/* What is told of one device or Service. */
typedef struct Found {
        const char *kind; /* "Device", "Service" */
        Str node_id, name, ip4, ip6, os, owner;
        StrList tags;
} Found;

static Str sync_word(const TailnetState *s)
{
        if (s == NULL || s->sync == SYNC_NEVER)
                return STR("NeverSynced");
        return s->sync == SYNC_DONE ? STR("Synced") : STR("Stale");
}

static void put_tailnet(Page *p, const TailnetSpec *t)
{
        const TailnetState *s =
                table_find(p->in->world->tailnet_states, &t->meta.key, tailnet_state_find);

        json_object_begin(&p->w);
        json_key_str(&p->w, STR("namespace"), t->meta.key.namespace);
        json_key_str(&p->w, STR("name"), t->meta.key.name);
        json_key_str(&p->w, STR("sync"), sync_word(s));
        json_key_u64(&p->w, STR("devices"), s != NULL ? s->n_devices : 0);
        json_key_u64(&p->w, STR("services"), s != NULL ? table_n(s->services) : 0);
        json_key_str(&p->w, STR("error"), s != NULL ? s->error_text : STR("it has not answered"));
        json_key_str(&p->w, STR("warning"), s != NULL ? s->warning : (Str){0});
        json_object_end(&p->w);
}

/* Endpoints of this device: of a Service the node id of its hosts begins with its own. */
static bool is_of(const Endpoint *e, Str node_id)
{
        Str service, host;

        if (!candidate_service_id(e->node_id, &service, &host))
                return str_eq(e->node_id, node_id);
        return str_eq(service, node_id) || str_eq(e->node_id, node_id);
}

/* The first, or NULL: it is not taken. */
static const Endpoint *endpoint_of(const EntryView *v, Str node_id)
{
        TABLE_FOREACH (Endpoint, e, v->endpoints) {
                if (e->origin == ENDPOINT_DISCOVERED && is_of(e, node_id))
                        return e;
        }
        return NULL;
}

static void put_endpoints(Page *p, const EntryView *v, Str node_id)
{
        json_key_array_begin(&p->w, STR("endpoints"));
        TABLE_FOREACH (Endpoint, e, v->endpoints) {
                if (e->origin != ENDPOINT_DISCOVERED || !is_of(e, node_id))
                        continue;
                json_object_begin(&p->w);
                json_key_str(&p->w, STR("service"), e->service);
                json_key_str(&p->w, STR("address"), e->ip);
                json_key_u64(&p->w, STR("port"), e->port);
                json_key_str(&p->w, STR("protocol"), protocol_name(e->protocol));
                json_key_str(&p->w, STR("portSource"), e->port_source);
                json_object_end(&p->w);
        }
        json_array_end(&p->w);
}

/* The first of that device; empty where there is none. */
static LeftOut left_out_of(const EntryView *v, Str node_id)
{
        LEFT_OUT_FOREACH (l, v->left_out) {
                if (str_eq(l->node_id, node_id))
                        return *l;
        }
        return (LeftOut){0};
}

/* Of those that are taken, or of the others. */
static void put_found(Page *p, const EntryView *v, const Found *f, bool taken)
{
        const Endpoint *e = endpoint_of(v, f->node_id);
        LeftOut left;

        if ((e != NULL) != taken || p->n_found == DISCOVER_PAGE_FOUND_MAX)
                return;
        p->n_found++;
        left = left_out_of(v, f->node_id);
        json_object_begin(&p->w);
        json_key_str(&p->w, STR("name"), f->name);
        json_key_str(&p->w, STR("nodeID"), f->node_id);
        json_key_str(&p->w, STR("kind"), str_of(f->kind));
        json_key_str(&p->w, STR("address"), f->ip4.n > 0 ? f->ip4 : f->ip6);
        json_key_str(&p->w, STR("os"), f->os);
        json_key_str(&p->w, STR("owner"), f->owner);
        json_key(&p->w, STR("tags"));
        json_strlist(&p->w, f->tags);
        put_endpoints(p, v, f->node_id);
        json_key_bool(&p->w, STR("taken"), taken);
        json_key_str(&p->w, STR("rule"), e != NULL ? e->rule : (Str){0});
        json_key_str(&p->w, STR("health"), e != NULL ? e->health : (Str){0});
        json_key_str(&p->w, STR("healthText"), e != NULL ? e->health_text : (Str){0});
        json_key_str(&p->w, STR("reason"), left.reason);
        json_key_str(&p->w, STR("text"), left.text);
        json_object_end(&p->w);
}

static void put_those(Page *p, const EntryView *v, const TailnetState *s, bool taken)
{
        TABLE_FOREACH (Device, d, s->devices)
                put_found(p, v,
                          &(Found){"Device", d->node_id, d->name, d->ip4, d->ip6, d->os, d->user,
                                   d->tags},
                          taken);
        TABLE_FOREACH (TailnetService, x, s->services)
                put_found(p, v,
                          &(Found){.kind = "Service",
                                   .node_id = x->name,
                                   .name = x->name,
                                   .ip4 = x->ip4,
                                   .ip6 = x->ip6,
                                   .tags = x->tags},
                          taken);
}

static void put_all_found(Page *p, const EntryView *v, const TailnetState *s)
{
        p->n_found = 0;
        json_key_u64(&p->w, STR("foundTotal"), table_n(s->devices) + table_n(s->services));
        json_key_array_begin(&p->w, STR("found"));
        put_those(p, v, s, true);
        put_those(p, v, s, false);
        json_array_end(&p->w);
}

static void put_rules(Page *p, const TailnetEntry *e, const TailnetState *s)
{
        RuleView v = rule_view(&e->discovery, s->devices, s->services, s->suffix, &p->scratch);

        json_key_array_begin(&p->w, STR("rules"));
        for (size_t i = 0; i < v.n; i++) {
                json_object_begin(&p->w);
                json_key_str(&p->w, STR("field"), v.at[i].field);
                json_key_str(&p->w, STR("value"), v.at[i].value);
                json_key_u64(&p->w, STR("matches"), v.at[i].n);
                json_key(&p->w, STR("names"));
                json_strlist(&p->w, v.at[i].names);
                json_object_end(&p->w);
        }
        json_array_end(&p->w);
        arena_done(&p->scratch);
}

static void put_entry(Page *p, const GatewaySpec *g, const TailnetEntry *e)
{
        EntryKey key = {g->meta.key, e->name};
        ObjectKey tailnet = {g->meta.key.namespace, e->tailnet_name};
        const EntryView *v = table_find(p->in->world->entries, &key, entry_view_find);
        const TailnetState *s =
                table_find(p->in->world->tailnet_states, &tailnet, tailnet_state_find);

        if (p->in->tailnet.n > 0 && !str_eq(p->in->tailnet, e->name) &&
            !str_eq(p->in->tailnet, e->tailnet_name))
                return;
        json_object_begin(&p->w);
        json_key_str(&p->w, STR("namespace"), g->meta.key.namespace);
        json_key_str(&p->w, STR("gateway"), g->meta.key.name);
        json_key_str(&p->w, STR("tailnet"), e->name);
        json_key_u64(&p->w, STR("leftOutTotal"), v != NULL ? v->n_left_out : 0);
        if (v != NULL && s != NULL) {
                put_all_found(p, v, s);
                if (p->in->explain)
                        put_rules(p, e, s);
        }
        json_object_end(&p->w);
}

void discover_page(const DiscoverPage *in, Buf *out)
{
        Page p = {.in = in};

        json_writer_init(&p.w, out);
        arena_init(&p.scratch, 0);
        json_object_begin(&p.w);
        json_key_array_begin(&p.w, STR("tailnets"));
        TABLE_FOREACH (TailnetSpec, t, in->world->tailnets)
                put_tailnet(&p, t);
        json_array_end(&p.w);
        json_key_array_begin(&p.w, STR("entries"));
        TABLE_FOREACH (GatewaySpec, g, in->world->gateways) {
                for (size_t i = 0; i < g->n_tailnets; i++)
                        put_entry(&p, g, &g->tailnets[i]);
        }
        json_array_end(&p.w);
        json_object_end(&p.w);
        arena_done(&p.scratch);
}
