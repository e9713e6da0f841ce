/* SPDX-License-Identifier: Apache-2.0 */
/*
 * World in, everything else out: hub tells of a new World; translate makes Snapshot and Report of
 * it; extension answers from the Snapshot; control plans from World, Report and Facts; generated,
 * or in Kubernetes cluster, writes. What happened goes into Facts, and Facts only ever lead to a
 * new plan, never to a new World.
 */
#include "app/shape.h"

#include "admin/admin.h"
#include "admin/change_log.h"
#include "app/cluster.h"
#include "base/mem.h"
#include "control/plan.h"
#include "control/serve_plan.h"
#include "execute/generated.h"
#include "execute/serve_writer.h"
#include "extension/extension.h"
#include "source/webhooks.h"
#include "translate/snapshot.h"

enum {
        WRITE_RETRY_MS = 1000, /* after a failed write */
        FACTS_PAUSE_MS = 100,  /* one plan for a run of hook calls */
        TRIM_AFTER_MS = 3000,  /* of what happens in a row one pays for the pages that come back */
};

struct Shape {
        ShapeInput in;
        const Config *config;
        Log *log;
        Loop *loop;
        HttpClient *http;
        Facts *facts;
        Generated *generated; /* without Kubernetes; else NULL */
        Cluster *cluster;     /* in Kubernetes; else NULL */
        const Policy *policy; /* in Kubernetes; else NULL */
        ServeWriter *serve;   /* NULL: this shape sets nothing */
        Hub *hub;
        Extension *extension; /* NULL: this shape answers no hooks */
        Admin *admin;
        Webhooks *webhooks; /* NULL: nobody is listened to */
        Snapshot *snapshot; /* newest; NULL before the first World */
        Report *report;
        Post plan_post;
        Timer plan_timer;  /* Plan.again, or a retry */
        bool is_settled;   /* the last whole plan found nothing to write */
        Timer facts_timer; /* set while facts are new */
        Timer trim_timer;  /* set from work until what it took is given back */
        uint64_t write_failures;
};

/* ---- the way of data ---- */

/* What is outside, and who we are there. */
static void look_outside(Shape *s, PlanInput *in)
{
        if (s->cluster == NULL) {
                in->outside = generated_outside(s->generated);
                return;
        }
        cluster_tell(s->cluster, kube_source_observed(hub_kube(s->hub)));
        cluster_plan_input(s->cluster, in);
        if (!hub_leads(s->hub))
                in->roles &= ~(unsigned)PLAN_OPERATOR;
        in->faults = kube_source_faults(hub_kube(s->hub));
}

static bool carry_out(Shape *s, const Plan *plan)
{
        return s->cluster != NULL ? cluster_run(s->cluster, plan)
                                  : generated_run(s->generated, plan);
}

static bool is_writing(const Shape *s)
{
        return s->cluster != NULL ? cluster_is_writing(s->cluster)
                                  : generated_is_writing(s->generated);
}

/* Who leads keeps the way in from the tailnets; one who does not any more leaves it as it is. */
static void plan_serves(Shape *s, const PlanInput *in)
{
        if (s->serve == NULL || !s->report->complete)
                return;
        if (s->cluster != NULL && (in->roles & PLAN_OPERATOR) == 0) {
                serve_writer_rest(s->serve);
                return;
        }
        ServePlan plan;
        serve_plan_make(in->world, in->report, &plan);
        serve_writer_wish(s->serve, &plan);
}

static void on_trim_timer(Timer *t)
{
        (void)t;
        mem_trim();
}

/* After a World, and also after what follows from it: answers to hooks, and what was written. */
static void trim_soon(Shape *s)
{
        if (!timer_is_set(&s->trim_timer))
                timer_set_in(&s->trim_timer, SPAN_MS(TRIM_AFTER_MS));
}

/* `only_facts`: nothing but Facts has changed since the last plan. */
static void plan_now(Shape *s, bool only_facts)
{
        if (s->report == NULL)
                return;
        Plan plan;
        PlanInput in = {
                .world = hub_world(s->hub),
                .report = s->report,
                .facts = s->facts,
                .now = loop_now(s->loop),
                .only_facts = only_facts && s->is_settled,
        };
        look_outside(s, &in);
        if (!only_facts)
                plan_serves(s, &in);
        plan_make(&in, &plan);
        /* One that is not taken is made anew when the one under way has ended, or after a pause. */
        bool taken = carry_out(s, &plan);
        if (!in.only_facts)
                s->is_settled = taken && !is_writing(s);
        if (!taken)
                timer_set_in(&s->plan_timer, SPAN_MS(WRITE_RETRY_MS));
        else if (plan.again.ns != 0)
                timer_set(&s->plan_timer, plan.again);
        plan_done(&plan);
}

static void on_plan_post(Post *p)
{
        plan_now(CONTAINER_OF(p, Shape, plan_post), false);
}

static void on_plan_timer(Timer *t)
{
        plan_now(CONTAINER_OF(t, Shape, plan_timer), false);
}

static void on_facts_timer(Timer *t)
{
        plan_now(CONTAINER_OF(t, Shape, facts_timer), true);
}

static void on_facts(void *owner)
{
        Shape *s = owner;
        if (!timer_is_set(&s->facts_timer))
                timer_set_in(&s->facts_timer, SPAN_MS(FACTS_PAUSE_MS));
        trim_soon(s);
}

static void tell_bindings(Shape *s)
{
        const Table *bindings = generated_bindings(s->generated);
        hub_tell_bindings(s->hub, bindings);
        table_unref(bindings);
}

/* A plan was performed: plan again at once, or after a pause where the disk refused. */
static void on_generated(void *owner)
{
        Shape *s = owner;
        bool failed = s->facts->generated.failures != s->write_failures;
        s->write_failures = s->facts->generated.failures;
        s->is_settled = false;
        tell_bindings(s);
        if (failed)
                timer_set_in(&s->plan_timer, SPAN_MS(WRITE_RETRY_MS));
        else
                post_send(&s->plan_post);
}

/* In Kubernetes, where failures have pauses of their own. */
static void on_written(void *owner)
{
        Shape *s = owner;
        s->is_settled = false;
        post_send(&s->plan_post);
        trim_soon(s);
}

static void on_lead(void *owner, bool leads)
{
        Shape *s = owner;
        hub_lead(s->hub, leads);
        on_written(s);
}

/* What stands at the API server, or what is wrong there, is another; the World need not be. */
static void on_observed(void *owner)
{
        on_written(owner);
}

static void on_world(void *owner, const World *world)
{
        Shape *s = owner;
        Report *report = NULL;
        Snapshot *fresh = s->extension != NULL ? snapshot_new(world, s->snapshot, &report)
                                               : snapshot_digests_new(world, s->snapshot, &report);
        change_log_world(s->log, s->snapshot != NULL ? snapshot_world(s->snapshot) : NULL, world,
                         &s->facts->departures, loop_wall(s->loop));
        change_log_report(s->log, s->report, report);
        leaf_unref(s->report);
        snapshot_unref(s->snapshot);
        s->report = report;
        s->snapshot = fresh;
        s->is_settled = false;
        if (s->extension != NULL)
                extension_publish(s->extension, fresh);
        post_send(&s->plan_post);
        trim_soon(s);
}

/* ---- the end ---- */

static void on_released(void *owner)
{
        const Shape *s = owner;
        s->in.on_drained(s->in.owner);
}

static void on_drained(void *owner)
{
        Shape *s = owner;
        if (s->cluster != NULL)
                cluster_release(s->cluster);
        else
                on_released(s);
}

/* ---- what others ask ---- */

/* What stands at the API server, and what became of the watches of it. */
static void view_source(const KubeSource *k, AdminView *v)
{
        v->observed = kube_source_observed(k);
        for (size_t i = 0; i < kube_source_n_counts(k); i++) {
                const char *labels;
                const KubeWatchCounts *counts = kube_source_counts(k, i, &labels);
                if (counts != NULL && v->n_metrics < ADMIN_METRICS_MAX)
                        v->metrics[v->n_metrics++] =
                                (AdminMetrics){&kube_watch_metrics, counts, labels};
        }
}

static void on_view(void *owner, AdminView *v)
{
        const Shape *s = owner;
        *v = (AdminView){
                .world = hub_world(s->hub),
                .report = s->report,
                .snapshot = s->snapshot,
                .facts = s->facts,
                .now = loop_wall(s->loop),
        };
        if (s->extension != NULL)
                v->metrics[v->n_metrics++] =
                        (AdminMetrics){&grpc_server_metrics, extension_counters(s->extension), ""};
        if (s->cluster != NULL) {
                cluster_view(s->cluster, v);
                view_source(hub_kube(s->hub), v);
        }
}

static bool on_approve(void *owner, EntryKey entry, Str digest, Err *err)
{
        Shape *s = owner;
        return hub_approve(s->hub, entry, digest, err);
}

/* ---- start and end ---- */

static bool open_generated(Shape *s, Err *err)
{
        s->generated = generated_open(
                &(GeneratedInput){
                        .loop = s->loop,
                        .log = s->log,
                        .dir = s->config->generated,
                        .fact = &s->facts->generated,
                        .on_done = on_generated,
                        .owner = s,
                },
                err);
        return s->generated != NULL || err_prefix(err, "--generated %s", s->config->generated);
}

static bool open_cluster(Shape *s, Err *err)
{
        const Config *c = s->config;
        PolicyInput policy = {
                .in_kubernetes = true,
                .allow_insecure_api = c->allow_insecure_api,
                .local_sources_dir =
                        str_of(c->local_sources_dir != NULL ? c->local_sources_dir : ""),
                .lists = {{c->allowed_cidrs.at, c->allowed_cidrs.n},
                          {c->allowed_proxies.at, c->allowed_proxies.n},
                          {c->allowed_images.at, c->allowed_images.n},
                          {c->watch_namespaces.at, c->watch_namespaces.n}},
        };
        s->policy = policy_new(&policy, err);
        if (s->policy == NULL)
                return false;
        s->cluster = cluster_open(
                &(ClusterInput){
                        .loop = s->loop,
                        .log = s->log,
                        .http = s->http,
                        .config = c,
                        .facts = s->facts,
                        .seed = s->in.seed,
                        .on_lead = on_lead,
                        .on_written = on_written,
                        .on_released = on_released,
                        .owner = s,
                },
                err);
        return s->cluster != NULL;
}

static void open_serve(Shape *s)
{
        const Config *c = s->config;
        if (c->shape == SHAPE_EXTENSION)
                return;
        s->serve = serve_writer_open(&(ServeWriterInput){
                .loop = s->loop,
                .log = s->log,
                .http = s->http,
                .facts = s->facts,
                .dir = s->cluster != NULL ? c->local_sources_dir : c->generated,
                .sockets_dir = s->cluster != NULL ? c->local_sources_dir : NULL,
                .on_facts = on_facts,
                .owner = s,
        });
}

static bool open_extension(Shape *s, Err *err)
{
        if (s->config->shape == SHAPE_OPERATOR)
                return true;
        const Config *c = s->config;
        const GrpcTls tls = {c->extension_cert, c->extension_key, c->extension_client_ca};
        s->extension = extension_open(
                &(ExtensionInput){
                        .loop = s->loop,
                        .log = s->log,
                        .clock = s->in.clock,
                        .addresses = c->extension,
                        .n_addresses = c->n_extension,
                        .tls = c->extension_cert != NULL ? &tls : NULL,
                        .facts = s->facts,
                        .on_facts = on_facts,
                        .on_drained = on_drained,
                        .owner = s,
                },
                err);
        return s->extension != NULL || err_prefix(err, "--extension-address");
}

static void open_hub(Shape *s)
{
        HubInput in = {
                .loop = s->loop,
                .log = s->log,
                .http = s->http,
                .facts = s->facts,
                .policy = s->policy,
                .seed = s->in.seed,
                .open = s->in.open,
                .open_local = s->in.open_local,
                .fn = on_world,
                .owner = s,
        };
        if (s->cluster != NULL) {
                in.kube = cluster_api(s->cluster);
                in.namespaces = s->policy->watch_namespaces;
                /* What is managed is the operator's to know; a replica's role does not give it. */
                if (s->config->shape != SHAPE_EXTENSION)
                        in.own_namespace = cluster_namespace(s->cluster);
                in.on_observed = on_observed;
        } else {
                in.resources = s->config->resources;
                in.gateway_resources = s->config->gateway_resources;
                in.cache = generated_endpoints_dir(s->generated);
        }
        s->hub = hub_open(&in);
        if (s->cluster != NULL)
                cluster_begin(s->cluster);
        else
                tell_bindings(s);
}

static bool open_admin(Shape *s, Err *err)
{
        s->admin = admin_open(
                &(AdminInput){
                        .loop = s->loop,
                        .log = s->log,
                        .admin = s->config->has_admin ? &s->config->admin : NULL,
                        .metrics = s->config->has_metrics ? &s->config->metrics : NULL,
                        .view = on_view,
                        .approve = on_approve,
                        .owner = s,
                },
                err);
        return s->admin != NULL;
}

static bool open_webhooks(Shape *s, Err *err)
{
        if (!s->config->has_webhook)
                return true;
        s->webhooks = webhooks_open(
                &(WebhooksInput){
                        .loop = s->loop,
                        .log = s->log,
                        .hub = s->hub,
                        .fact = &s->facts->webhooks,
                        .address = &s->config->webhook,
                        .certificate = s->config->webhook_cert,
                        .key = s->config->webhook_key,
                },
                err);
        return s->webhooks != NULL || err_prefix(err, "--webhook-address");
}

Shape *shape_open(const ShapeInput *in, Err *err)
{
        Shape *s = mem_new(sizeof *s);
        s->in = *in;
        s->config = in->config;
        s->log = in->log;
        s->loop = in->loop;
        s->http = in->http;
        s->facts = in->facts;
        post_init(&s->plan_post, s->loop, on_plan_post);
        timer_init(&s->plan_timer, s->loop, on_plan_timer);
        timer_init(&s->facts_timer, s->loop, on_facts_timer);
        timer_init(&s->trim_timer, s->loop, on_trim_timer);
        if (!(config_in_kubernetes(s->config) ? open_cluster(s, err) : open_generated(s, err)))
                return shape_close(s);
        open_serve(s);
        open_hub(s);
        if (!open_extension(s, err) || !open_admin(s, err) || !open_webhooks(s, err))
                return shape_close(s);
        return s;
}

void shape_reread(Shape *s)
{
        if (s->cluster != NULL)
                cluster_reread(s->cluster);
        if (s->serve != NULL)
                serve_writer_look(s->serve);
        hub_reread(s->hub);
}

const World *shape_world(const Shape *s)
{
        return hub_world(s->hub);
}

const Snapshot *shape_snapshot(const Shape *s)
{
        return s->snapshot;
}

void shape_drain(Shape *s, Span deadline)
{
        if (s->extension != NULL)
                extension_drain(s->extension, deadline);
        else
                on_drained(s);
}

Shape *shape_close(Shape *s)
{
        if (s == NULL)
                return NULL;
        s->webhooks = webhooks_close(s->webhooks);
        s->admin = admin_close(s->admin);
        s->extension = extension_close(s->extension);
        s->hub = hub_close(s->hub);
        s->serve = serve_writer_close(s->serve);
        s->generated = generated_close(s->generated);
        s->cluster = cluster_close(s->cluster);
        leaf_unref(s->policy);
        leaf_unref(s->report);
        snapshot_unref(s->snapshot);
        post_cancel(&s->plan_post);
        timer_clear(&s->plan_timer);
        timer_clear(&s->facts_timer);
        timer_clear(&s->trim_timer);
        return mem_free(s);
}
