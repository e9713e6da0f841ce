/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /state: everything that is known, as JSON. Commands read it; the order of arrays is that of the
 * Tables, so two pages of one state are the same but for times.
 */
#include "admin/admin.h"
#include "admin/tailnet_pages.h"
#include "base/mem.h"
#include "proto/json_writer.h"

enum {
        GAP_TEXT_MAX = 4096, /* a sentence with two names of hosts */
};

/* What the last answers were without, by row of the Report. */
typedef struct RowGaps {
        const Table *routes;  /* NULL: there is no Report */
        const AnswerGap **at; /* owned; of each row; NULL: it is in the answer */
        size_t next;          /* row at which the entry that is asked for next begins */
} RowGaps;

static RowGaps row_gaps_make(const AdminView *v)
{
        RowGaps g = {.routes = v->report != NULL ? v->report->routes : NULL};
        const HookFact *f = NULL;
        const ObjectKey *of = NULL;
        g.at = mem_new_array(table_n(g.routes) + 1, sizeof(*g.at));
        for (size_t i = 0; i < table_n(g.routes); i++) {
                const RouteReport *r = table_at(g.routes, i);
                if (of == NULL || !object_key_eq(*of, r->eg_gateway))
                        f = facts_find_hook(v->facts, r->eg_gateway);
                of = &r->eg_gateway;
                g.at[i] = f != NULL ? answer_gaps_find(f->gaps, r) : NULL;
        }
        return g;
}

static void row_gaps_done(RowGaps *g)
{
        mem_free(g->at);
}

static int entry_order_of(const RouteReport *r, const EntryView *e)
{
        int c = object_key_cmp(r->gateway, e->gateway);
        return c != 0 ? c : str_cmp(r->tailnet, e->tailnet);
}

/* How many rows of the entry are in no answer. Entries are asked for in their order, which is that
 * of the rows too. */
static uint64_t row_gaps_count(RowGaps *g, const EntryView *e)
{
        uint64_t n = 0;
        for (; g->next < table_n(g->routes); g->next++) {
                int c = entry_order_of(table_at(g->routes, g->next), e);
                if (c > 0)
                        break;
                n += c == 0 && g->at[g->next] != NULL && !g->at[g->next]->partly;
        }
        return n;
}

static void put_gap_text(JsonWriter *w, Str key, const AnswerGap *g)
{
        Buf text CLEANUP(buf_done);
        buf_init(&text, GAP_TEXT_MAX);
        gap_text(g, &text);
        json_key_str(w, key, buf_str(&text));
}

static void put_object_key(JsonWriter *w, ObjectKey key)
{
        json_key_str(w, STR("namespace"), key.namespace);
        json_key_str(w, STR("name"), key.name);
}

static void put_dir(JsonWriter *w, Str key, const DirFact *f)
{
        json_key_object_begin(w, key);
        json_key_bool(w, STR("readOnce"), f->read_once);
        json_key_wall(w, STR("lastRead"), f->last_read);
        json_key_u64(w, STR("generation"), f->generation);
        json_key_u64(w, STR("reads"), f->reads);
        json_key_u64(w, STR("failures"), f->failures);
        json_key_str(w, STR("error"), str_of(f->error));
        json_object_end(w);
}

/* What our own probes found, where the endpoint is probed. */
static void put_probe(JsonWriter *w, const ProbeFact *f)
{
        if (f == NULL)
                return;
        json_key_object_begin(w, STR("probe"));
        json_key_str(w, STR("verdict"), probe_verdict_name(f->verdict));
        json_key_wall(w, STR("since"), f->since);
        json_key_wall(w, STR("last"), f->last);
        json_key_u64(w, STR("ok"), f->ok);
        json_key_u64(w, STR("failed"), f->failed);
        json_key(w, STR("seconds"));
        json_double(w, f->seconds);
        json_key_str(w, STR("error"), str_of(f->error));
        json_object_end(w);
}

static void put_endpoint(JsonWriter *w, const Endpoint *e, const ProbeFact *probe)
{
        json_object_begin(w);
        json_key_str(w, STR("name"), e->service);
        json_key_str(w, STR("tailscaleIP"), e->ip);
        json_key_str(w, STR("tailscaleFQDN"), e->fqdn);
        json_key_str(w, STR("nodeID"), e->node_id);
        json_key_u64(w, STR("port"), e->port);
        json_key_str(w, STR("protocol"), protocol_name(e->protocol));
        json_key_str(w, STR("portSource"), e->port_source);
        json_key_str(w, STR("rule"), e->rule);
        json_key_str(w, STR("health"), e->health);
        json_key_str(w, STR("healthText"), e->health_text);
        json_key(w, STR("tags"));
        json_strlist(w, e->tags);
        json_key_bool(w, STR("static"), e->origin == ENDPOINT_STATIC);
        json_key_bool(w, STR("held"), e->held);
        put_probe(w, probe);
        json_object_end(w);
}

static void put_left_out(JsonWriter *w, const LeftOut *l)
{
        json_object_begin(w);
        json_key_str(w, STR("name"), l->name);
        json_key_str(w, STR("nodeID"), l->node_id);
        json_key_str(w, STR("reason"), l->reason);
        json_key_str(w, STR("text"), l->text);
        json_object_end(w);
}

static void put_held(JsonWriter *w, const HeldRemoval *h)
{
        json_key_object_begin(w, STR("held"));
        json_key_u64(w, STR("endpoints"), h->n);
        json_key_u64(w, STR("confirmations"), h->confirmations);
        json_key_str(w, STR("digest"), h->digest);
        json_key_str(w, STR("reason"), h->reason);
        json_object_end(w);
}

static const EntryReport *entry_report(const Report *r, const EntryView *v)
{
        TABLE_FOREACH (EntryReport, e, r != NULL ? r->entries : NULL) {
                if (object_key_eq(e->gateway, v->gateway) && str_eq(e->tailnet, v->tailnet))
                        return e;
        }
        return NULL;
}

/* `missing`: how many of its hosts and paths the last answer was without. */
static void put_entry_report(JsonWriter *w, const EntryReport *r, uint64_t missing)
{
        json_key_u64(w, STR("selected"), r->selected);
        json_key_u64(w, STR("excluded"), r->excluded);
        json_key_u64(w, STR("hosts"), r->hosts);
        json_key_u64(w, STR("paths"), r->paths);
        json_key_u64(w, STR("conflicts"), r->conflicts);
        json_key_u64(w, STR("leftOutOfAnswer"), missing);
        json_key_bool(w, STR("programmed"), r->programmed && r->hosts + r->paths > missing);
        json_key_str(w, STR("reason"), r->reason);
        json_key_str(w, STR("text"), r->text);
}

static void put_entry(JsonWriter *w, const AdminView *v, const EntryView *e, RowGaps *gaps)
{
        const EntryReport *r = entry_report(v->report, e);
        json_object_begin(w);
        json_key_str(w, STR("namespace"), e->gateway.namespace);
        json_key_str(w, STR("gateway"), e->gateway.name);
        json_key_str(w, STR("tailnet"), e->tailnet);
        json_key_bool(w, STR("known"), e->known);
        json_key_bool(w, STR("fromCache"), e->from_cache);
        if (r != NULL)
                put_entry_report(w, r, row_gaps_count(gaps, e));
        put_held(w, &e->held);
        json_key_array_begin(w, STR("endpoints"));
        TABLE_FOREACH (Endpoint, x, e->endpoints)
                put_endpoint(w, x, facts_find_probe(v->facts, e->gateway, e->tailnet, x));
        json_array_end(w);
        json_key_array_begin(w, STR("leftOut"));
        TABLE_FOREACH (LeftOut, l, e->left_out)
                put_left_out(w, l);
        json_array_end(w);
        json_key_u64(w, STR("leftOutTotal"), e->n_left_out);
        json_object_end(w);
}

static void put_route(JsonWriter *w, const RouteReport *r, const AnswerGap *gap)
{
        json_object_begin(w);
        json_key_str(w, STR("namespace"), r->gateway.namespace);
        json_key_str(w, STR("gateway"), r->gateway.name);
        json_key_str(w, STR("tailnet"), r->tailnet);
        json_key_str(w, STR("service"), r->service);
        json_key_str(w, STR("envoyGatewayNamespace"), r->eg_gateway.namespace);
        json_key_str(w, STR("envoyGateway"), r->eg_gateway.name);
        json_key_str(w, STR("listener"), r->listener);
        json_key_str(w, STR("host"), r->host);
        json_key_str(w, STR("path"), r->path);
        json_key_str(w, STR("cluster"), r->cluster);
        json_key_u64(w, STR("port"), r->port);
        json_key_str(w, STR("protocol"), protocol_name(r->protocol));
        json_key_bool(w, STR("programmed"), r->programmed && (gap == NULL || gap->partly));
        json_key_str(w, STR("reason"), gap != NULL ? gap_reason_name(gap->reason) : r->reason);
        if (gap != NULL)
                put_gap_text(w, STR("text"), gap);
        else
                json_key_str(w, STR("text"), r->text);
        json_object_end(w);
}

static void put_gap(JsonWriter *w, const AnswerGap *g)
{
        json_object_begin(w);
        json_key_str(w, STR("reason"), gap_reason_name(g->reason));
        json_key_str(w, STR("listener"), g->listener);
        json_key_str(w, STR("namespace"), g->namespace);
        json_key_str(w, STR("host"), g->host);
        json_key_bool(w, STR("paths"), g->paths);
        json_key_str(w, STR("path"), g->path);
        json_key_str(w, STR("where"), g->where);
        json_key_str(w, STR("cluster"), g->cluster);
        json_key_u64(w, STR("routes"), g->n);
        json_key_bool(w, STR("partly"), g->partly);
        put_gap_text(w, STR("text"), g);
        json_object_end(w);
}

static void put_gaps(JsonWriter *w, const AnswerGaps *gaps)
{
        json_key_u64(w, STR("leftOut"), answer_gaps_total(gaps));
        if (gaps != NULL && gaps->n > 0)
                put_gap_text(w, STR("leftOutText"), &gaps->at[0]);
        else
                json_key_str(w, STR("leftOutText"), (Str){0});
        json_key_array_begin(w, STR("leftOutRoutes"));
        for (size_t i = 0; gaps != NULL && i < gaps->n; i++)
                put_gap(w, &gaps->at[i]);
        json_array_end(w);
}

static void put_hook(JsonWriter *w, const HookFact *f)
{
        json_key_object_begin(w, STR("hook"));
        json_key_u64(w, STR("calls"), f->calls);
        json_key_u64(w, STR("failures"), f->failures);
        json_key_wall(w, STR("last"), f->last);
        json_key(w, STR("seconds"));
        json_double(w, f->last_seconds);
        json_key_str(w, STR("asked"), str_of(f->asked));
        json_key_str(w, STR("served"), str_of(f->served));
        json_key_u64(w, STR("attempt"), f->attempt);
        json_key_bool(w, STR("owesAttempt"), f->owes_attempt);
        json_key_u64(w, STR("requestBytes"), f->request_bytes);
        json_key_u64(w, STR("answerBytes"), f->answer_bytes);
        json_key_u64(w, STR("hosts"), f->hosts);
        json_key_u64(w, STR("paths"), f->paths);
        put_gaps(w, f->gaps);
        json_key_str(w, STR("error"), str_of(f->error));
        json_object_end(w);
}

static void put_gateway(JsonWriter *w, const AdminView *v, const GatewayReport *g)
{
        const HookFact *f = facts_find_hook(v->facts, g->eg_gateway);
        json_object_begin(w);
        put_object_key(w, g->eg_gateway);
        json_key_bool(w, STR("found"), g->found);
        json_key_str(w, STR("revisionWanted"), str_of(g->revision));
        json_key_str(w, STR("revisionServed"), str_of(f != NULL ? f->served : ""));
        json_key_bool(w, STR("programmed"),
                      f != NULL && str_eq(str_of(f->served), str_of(g->revision)));
        json_key_u64(w, STR("hosts"), g->hosts);
        json_key_u64(w, STR("paths"), g->paths);
        json_key_u64(w, STR("clusters"), g->clusters);
        json_key_u64(w, STR("bytes"), g->bytes);
        if (f != NULL)
                put_hook(w, f);
        json_object_end(w);
}

/* Gateways that call us and that nobody refers to: their input goes back as it came. */
static void put_other_gateways(JsonWriter *w, const AdminView *v)
{
        json_key_array_begin(w, STR("otherGateways"));
        for (size_t i = 0; i < v->facts->n_hooks; i++) {
                const HookFact *f = &v->facts->hooks[i];
                if (v->report != NULL &&
                    table_find(v->report->gateways, &f->eg_gateway, gateway_report_find) != NULL)
                        continue;
                json_object_begin(w);
                put_object_key(w, f->eg_gateway);
                put_hook(w, f);
                json_object_end(w);
        }
        json_array_end(w);
}

/* Endpoints that left, newest first. */
static void put_departures(JsonWriter *w, const Departures *gone)
{
        const Departure *d;
        json_key_array_begin(w, STR("departures"));
        for (size_t i = 0; (d = departures_newest(gone, i)) != NULL; i++) {
                json_object_begin(w);
                json_key_wall(w, STR("at"), d->at);
                json_key_str(w, STR("namespace"), d->gateway.namespace);
                json_key_str(w, STR("gateway"), d->gateway.name);
                json_key_str(w, STR("tailnet"), d->tailnet);
                json_key_str(w, STR("name"), d->service);
                json_key_str(w, STR("tailscaleIP"), d->address);
                json_key_u64(w, STR("port"), d->port);
                json_key_str(w, STR("reason"), d->reason);
                json_key_str(w, STR("text"), d->text);
                json_object_end(w);
        }
        json_array_end(w);
}

static void put_process(JsonWriter *w, const AdminView *v)
{
        json_key_str(w, STR("version"), STR(TSGW_VERSION));
        json_key_wall(w, STR("started"), v->facts->started);
        json_key_wall(w, STR("now"), v->now);
        json_key_u64(w, STR("generation"), v->world->generation);
        json_key_bool(w, STR("complete"), v->world->complete);
        put_dir(w, STR("resources"), &v->facts->resources);
        put_dir(w, STR("gatewayResources"), &v->facts->gateway_resources);
        json_key_object_begin(w, STR("generated"));
        json_key_u64(w, STR("writes"), v->facts->generated.writes);
        json_key_u64(w, STR("failures"), v->facts->generated.failures);
        json_key_str(w, STR("error"), str_of(v->facts->generated.error));
        json_object_end(w);
}

void state_page(const AdminView *v, Buf *out)
{
        RowGaps gaps CLEANUP(row_gaps_done) = row_gaps_make(v);
        JsonWriter w;
        json_writer_init(&w, out);
        json_object_begin(&w);
        put_process(&w, v);
        tailnet_pages_state(v, &w);
        json_key_array_begin(&w, STR("entries"));
        TABLE_FOREACH (EntryView, e, v->world->entries)
                put_entry(&w, v, e, &gaps);
        json_array_end(&w);
        json_key_array_begin(&w, STR("routes"));
        for (size_t i = 0; i < table_n(gaps.routes); i++)
                put_route(&w, table_at(gaps.routes, i), gaps.at[i]);
        json_array_end(&w);
        json_key_array_begin(&w, STR("gateways"));
        TABLE_FOREACH (GatewayReport, g, v->report != NULL ? v->report->gateways : NULL)
                put_gateway(&w, v, g);
        json_array_end(&w);
        put_other_gateways(&w, v);
        put_departures(&w, &v->facts->departures);
        json_object_end(&w);
        buf_add_char(out, '\n');
}
