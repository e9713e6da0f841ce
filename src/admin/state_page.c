/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /state: everything that is known, as JSON. Commands read it; the order of arrays is that of the
 * Tables, so two pages of one state are the same but for times.
 */
#include "admin/admin.h"
#include "admin/gateway_pages.h"
#include "admin/tailnet_pages.h"
#include "admin/way_page.h"
#include "proto/json_writer.h"

enum {
        GAP_TEXT_MAX = 4096, /* a sentence with two names of hosts */
};

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

static void put_kube(JsonWriter *w, const KubeFact *f)
{
        json_key_object_begin(w, STR("kubernetes"));
        json_key_bool(w, STR("readOnce"), f->read_once);
        json_key_array_begin(w, STR("kinds"));
        for (size_t i = 0; i < f->n_kinds; i++) {
                const KubeKindFact *k = &f->kinds[i];
                json_object_begin(w);
                json_key_str(w, STR("kind"), str_of(k->kind));
                json_key_bool(w, STR("synced"), k->synced);
                json_key_bool(w, STR("doneWithout"), k->optional);
                json_key_u64(w, STR("objects"), k->objects);
                json_key_u64(w, STR("invalid"), k->invalid);
                json_key_u64(w, STR("failures"), k->failures);
                json_key_str(w, STR("reason"), str_of(k->reason));
                json_key_str(w, STR("error"), str_of(k->error));
                json_object_end(w);
        }
        json_array_end(w);
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

static void put_entry_report(JsonWriter *w, const AnsweredEntry *e)
{
        const EntryReport *r = e->report;
        json_key_u64(w, STR("selected"), r->selected);
        json_key_u64(w, STR("excluded"), r->excluded);
        json_key_u64(w, STR("hosts"), r->hosts);
        json_key_u64(w, STR("paths"), r->paths);
        json_key_u64(w, STR("ports"), r->ports);
        json_key_u64(w, STR("conflicts"), r->conflicts);
        json_key_u64(w, STR("leftOutOfAnswer"), e->missing);
        json_key_bool(w, STR("programmed"), e->programmed);
        json_key_str(w, STR("reason"), e->reason);
        json_key_str(w, STR("text"), answered_text(e));
}

static void put_entry(JsonWriter *w, const Answered *a, const EntryView *e)
{
        AnsweredEntry answered;
        answered_entry(a, (EntryKey){e->gateway, e->tailnet}, &answered);
        json_object_begin(w);
        json_key_str(w, STR("namespace"), e->gateway.namespace);
        json_key_str(w, STR("gateway"), e->gateway.name);
        json_key_str(w, STR("tailnet"), e->tailnet);
        json_key_bool(w, STR("known"), e->known);
        json_key_bool(w, STR("fromCache"), e->from_cache);
        if (answered.report != NULL)
                put_entry_report(w, &answered);
        put_held(w, &e->held);
        json_key_array_begin(w, STR("endpoints"));
        TABLE_FOREACH (Endpoint, x, e->endpoints)
                put_endpoint(w, x, facts_find_probe(a->in.facts, e->gateway, e->tailnet, x));
        json_array_end(w);
        json_key_array_begin(w, STR("leftOut"));
        LEFT_OUT_FOREACH (l, e->left_out)
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
        json_key_u64(w, STR("listenerPort"), r->listener_port);
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
        json_key_str(w, STR("winner"), g->winner);
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
        AnsweredInput input = admin_answered(v);
        json_object_begin(w);
        put_object_key(w, g->eg_gateway);
        json_key_bool(w, STR("found"), g->found);
        json_key_str(w, STR("revisionWanted"), str_of(g->revision));
        json_key_str(w, STR("revisionServed"), str_of(f != NULL ? f->served : ""));
        json_key_bool(w, STR("programmed"), answered_is_served(&input, g));
        json_key_u64(w, STR("hosts"), g->hosts);
        json_key_u64(w, STR("paths"), g->paths);
        json_key_u64(w, STR("ports"), g->ports);
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
        json_key_u64(w, STR("endpointsNotProbed"), v->facts->n_unprobed);
        put_dir(w, STR("resources"), &v->facts->resources);
        put_dir(w, STR("gatewayResources"), &v->facts->gateway_resources);
        if (v->facts->kube.used)
                put_kube(w, &v->facts->kube);
        json_key_object_begin(w, STR("generated"));
        json_key_u64(w, STR("writes"), v->facts->generated.writes);
        json_key_u64(w, STR("failures"), v->facts->generated.failures);
        json_key_str(w, STR("error"), str_of(v->facts->generated.error));
        json_object_end(w);
}

void state_page(const AdminView *v, Buf *out)
{
        AnsweredInput input = admin_answered(v);
        Answered answered CLEANUP(answered_done) = answered_make(&input);
        JsonWriter w;
        json_writer_init(&w, out);
        json_object_begin(&w);
        put_process(&w, v);
        tailnet_pages_state(v, &w);
        gateway_pages_state(&answered, &w);
        way_page_state(v, &w);
        json_key_array_begin(&w, STR("entries"));
        TABLE_FOREACH (EntryView, e, v->world->entries)
                put_entry(&w, &answered, e);
        json_array_end(&w);
        json_key_array_begin(&w, STR("routes"));
        for (size_t i = 0; i < table_n(answered.routes); i++)
                put_route(&w, table_at(answered.routes, i), answered.gaps[i]);
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
