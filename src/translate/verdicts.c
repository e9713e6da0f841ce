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

/* With all that it says in it. */
static RouteReport *keep_route(const RouteReport *like)
{
        const RouteBackend *backend = like->backend;
        const Str all[] = {like->gateway.namespace, like->gateway.name, like->eg_gateway.namespace,
                           like->eg_gateway.name,   like->tailnet,      like->service,
                           like->listener,          like->host,         like->path,
                           like->cluster,           like->reason,       like->text};
        size_t room = 0;
        for (size_t i = 0; i < LENGTH_OF(all); i++)
                room += leaf_room_str(all[i]);
        RouteReport *r = leaf_new(sizeof(*r), room, NULL);
        Leaf leaf = r->leaf;
        *r = *like;
        r->leaf = leaf;
        r->gateway = keep_key(&r->leaf, like->gateway);
        r->eg_gateway = keep_key(&r->leaf, like->eg_gateway);
        r->tailnet = leaf_str(&r->leaf, like->tailnet);
        r->service = leaf_str(&r->leaf, like->service);
        r->listener = leaf_str(&r->leaf, like->listener);
        r->host = leaf_str(&r->leaf, like->host);
        r->path = leaf_str(&r->leaf, like->path);
        r->cluster = leaf_str(&r->leaf, like->cluster);
        r->reason = leaf_str(&r->leaf, like->reason);
        r->text = leaf_str(&r->leaf, like->text);
        if (backend != NULL) {
                RouteBackend *b = leaf_alloc(&r->leaf, sizeof(*b));
                b->service = keep_key(&r->leaf, backend->service);
                b->kind = leaf_str(&r->leaf, backend->kind);
                b->path = leaf_str(&r->leaf, backend->path);
                r->backend = b;
        }
        return r;
}

/* Claims come by host, as rows stand by service, so most are behind the one before. */
static const RouteReport *find_before(Verdicts *v, const RouteReport *like)
{
        ptrdiff_t at = (ptrdiff_t)v->next;
        bool is_next =
                v->next < table_n(v->before) && route_report_order(like, v->before->at[at]) == 0;
        if (!is_next)
                at = table_index(v->before, like, route_report_order);
        if (at < 0)
                return NULL;
        v->next = (size_t)at + 1;
        return v->before->at[at];
}

void verdicts_add_claim(Verdicts *v, const Claim *c, ObjectKey eg_gateway)
{
        const PackService *s = &c->port->pack;
        const struct IngressBackend *from = c->port->backend;
        RouteBackend backend = {0};
        if (from != NULL)
                backend = (RouteBackend){from->service->meta.key, from->kind, c->path};
        /* The whole host needs no path. */
        Str path = c->is_path ? c->name : c->path.n > 1 ? c->path : (Str){0};
        const RouteReport like = {
                .gateway = c->by->spec->meta.key,
                .eg_gateway = eg_gateway,
                .tailnet = s->tailnet,
                .service = s->service,
                .listener = c->listener != NULL ? c->listener->name : (Str){0},
                .host = c->is_path ? c->domain : c->name,
                .path = path,
                .cluster = s->cluster,
                .port = s->port,
                .protocol = s->protocol,
                .listener_port = c->listener_port,
                .catch_all = c->catch_all,
                .programmed = c->won,
                .reason = c->won ? (Str){0} : str_of(c->reason),
                .text = c->won ? (Str){0} : c->text,
                .backend = from != NULL ? &backend : NULL,
        };
        const RouteReport *before = find_before(v, &like);
        bool is_same = before != NULL && route_report_same(before, &like);
        add(&v->routes, is_same ? leaf_ref(before) : keep_route(&like));
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
