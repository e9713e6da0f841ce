/* SPDX-License-Identifier: Apache-2.0 */
#include "translate/verdicts.h"

#include "base/mem.h"
#include "translate/ingress_plan.h"

static void add(VerdictList *l, const void *leaf)
{
        if (l->n == l->room) {
                l->room = l->room > 0 ? l->room * 2 : 64;
                l->at = mem_resize(l->at, l->room * sizeof(void *));
        }
        l->at[l->n++] = leaf;
}

static ObjectKey keep_key(Leaf *leaf, ObjectKey key)
{
        return (ObjectKey){leaf_str(leaf, key.namespace), leaf_str(leaf, key.name)};
}

void verdicts_add_gateway(Verdicts *v, const Contribution *c, bool found, bool refused)
{
        GatewayReport *r = leaf_new(
                sizeof(*r), leaf_room_str(c->gateway.namespace) + leaf_room_str(c->gateway.name),
                NULL);
        r->eg_gateway = keep_key(&r->leaf, c->gateway);
        r->found = found;
        r->refused = refused;
        memcpy(r->revision, c->revision, sizeof(r->revision));
        r->hosts = c->n_hosts;
        r->paths = c->n_paths;
        r->ports = c->n_ports;
        r->clusters = c->n_clusters;
        r->bytes = c->bytes;
        add(&v->gateways, r);
}

/* What is to be said of one direction; false where that is nothing. */
static bool say(EntryReport *r, const EntryPlan *p)
{
        const char *reason = p->reason != NULL ? p->reason : p->gap_reason;
        if (reason == NULL)
                return false;
        r->reason = leaf_str(&r->leaf, str_of(reason));
        r->text = leaf_str(&r->leaf, p->reason != NULL ? p->text : p->gap);
        return true;
}

void verdicts_add_entry(Verdicts *v, const EntryPlan *p)
{
        const EntryPlan *in = p->ingress;
        EntryReport *r = leaf_new(sizeof(*r), p->text.n + p->gap.n + 256, NULL);
        r->gateway = keep_key(&r->leaf, p->spec->meta.key);
        r->tailnet = leaf_str(&r->leaf, p->entry->name);
        r->selected = p->view != NULL ? table_n(p->view->endpoints) : 0;
        r->excluded = p->view != NULL ? p->view->n_left_out : 0;
        r->hosts = p->hosts;
        r->paths = p->paths;
        r->ports = p->ports;
        r->conflicts = p->conflicts;
        if (in != NULL) {
                r->selected += in->n_services;
                r->hosts += in->hosts;
                r->conflicts += in->conflicts;
        }
        r->programmed = r->hosts + r->paths + r->ports > 0;
        if (in == NULL || !p->entry->egress.enabled || !say(r, p))
                IGNORE(say(r, in != NULL ? in : p), "nothing may be to be said");
        add(&v->entries, r);
}

/* The whole host needs no path. */
static Str path_shown(Leaf *leaf, const Claim *c)
{
        return c->path.n > 1 ? leaf_str(leaf, c->path) : (Str){0};
}

static const RouteBackend *keep_backend(Leaf *leaf, const Claim *c)
{
        const struct IngressBackend *from = c->port->backend;
        RouteBackend *b = leaf_alloc(leaf, sizeof(*b));
        b->service = keep_key(leaf, from->service->meta.key);
        b->kind = leaf_str(leaf, from->kind);
        b->path = leaf_str(leaf, c->path);
        return b;
}

void verdicts_add_claim(Verdicts *v, const Claim *c, ObjectKey eg_gateway)
{
        const PackService *s = &c->port->pack;
        const ObjectKey *key = &c->by->spec->meta.key;
        Str listener = c->listener != NULL ? c->listener->name : (Str){0};
        Str reason = c->won ? (Str){0} : str_of(c->reason);
        Str text = c->won ? (Str){0} : c->text;
        const Str all[] = {key->namespace,  key->name,  eg_gateway.namespace,
                           eg_gateway.name, s->tailnet, s->service,
                           listener,        c->name,    c->domain,
                           s->cluster,      reason,     text};
        size_t room = 0;
        for (size_t i = 0; i < LENGTH_OF(all); i++)
                room += leaf_room_str(all[i]);
        RouteReport *r = leaf_new(sizeof(*r), room, NULL);
        r->gateway = keep_key(&r->leaf, *key);
        r->eg_gateway = keep_key(&r->leaf, eg_gateway);
        r->tailnet = leaf_str(&r->leaf, s->tailnet);
        r->service = leaf_str(&r->leaf, s->service);
        r->listener = leaf_str(&r->leaf, listener);
        r->host = leaf_str(&r->leaf, c->is_path ? c->domain : c->name);
        r->path = c->is_path ? leaf_str(&r->leaf, c->name) : path_shown(&r->leaf, c);
        r->cluster = leaf_str(&r->leaf, s->cluster);
        r->port = s->port;
        r->protocol = s->protocol;
        r->listener_port = c->listener_port;
        r->catch_all = c->catch_all;
        r->programmed = c->won;
        r->reason = leaf_str(&r->leaf, reason);
        r->text = leaf_str(&r->leaf, text);
        if (c->port->backend != NULL)
                r->backend = keep_backend(&r->leaf, c);
        add(&v->routes, r);
}

void verdicts_add_way(Verdicts *v, const IngressWayPlan *way, ObjectKey eg_gateway)
{
        const ObjectKey *key = &way->by->spec->meta.key;
        Str listener = way->listener != NULL ? way->listener->name : (Str){0};
        Str reason = str_of(way->reason), tailnet = way->by->entry->name;
        const Str all[] = {key->namespace,  key->name, eg_gateway.namespace,
                           eg_gateway.name, tailnet,   listener,
                           reason,          way->text};
        size_t room = 0;
        for (size_t i = 0; i < LENGTH_OF(all); i++)
                room += leaf_room_str(all[i]);
        WayReport *r = leaf_new(sizeof(*r), room, NULL);
        r->gateway = keep_key(&r->leaf, *key);
        r->tailnet = leaf_str(&r->leaf, tailnet);
        r->eg_gateway = keep_key(&r->leaf, eg_gateway);
        r->listener = leaf_str(&r->leaf, listener);
        r->port = way->listener != NULL ? way->listener->port : 0;
        r->reason = leaf_str(&r->leaf, reason);
        r->text = leaf_str(&r->leaf, way->text);
        add(&v->ways, r);
}

static Table *take_table(VerdictList *l, TableOrder *order)
{
        Table *t = table_new(l->at, l->n, order);
        mem_free(l->at);
        *l = (VerdictList){0};
        return t;
}

Report *verdicts_report(Verdicts *v, const World *w)
{
        Report *r = leaf_new(sizeof(*r), 0, report_drop);
        r->generation = w->generation;
        r->complete = w->complete;
        r->routes = take_table(&v->routes, route_report_order);
        r->entries = take_table(&v->entries, entry_report_order);
        r->gateways = take_table(&v->gateways, gateway_report_order);
        r->ways = take_table(&v->ways, way_report_order);
        return r;
}
