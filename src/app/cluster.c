/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operator writes goes while the Lease is ours, and each request only as long as it is sure
 * to be; what a replica writes needs no Lease: an attempt, and an annotation of its own.
 */
#include "app/cluster.h"

#include "admin/admin.h"
#include "app/cert_keeper.h"
#include "base/mem.h"
#include "control/managed_plan.h"
#include "execute/kube_objects.h"
#include "kube/kube_lease.h"
#include "kube/kube_refresh.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
        MANAGED_ARGS_MAX = 4 * CONFIG_LIST_MAX,
        IDENTITY_MAX = 253,
        CHANCE_HEX = 8,
};

/* What field managers and Events are told apart by. */
#define CONTROLLER "gateway.tailscale.com/tailscale-gateway"

struct Cluster {
        ClusterInput in;
        KubeApi *api;
        KubeRefresh *refresh;
        KubeEvents *events;
        KubeObjects *objects; /* NULL: no more */
        KubeLease *lease;     /* NULL: this shape does not compete, or not yet */
        CertKeeper *certs;    /* NULL: no extension server is kept, or no more */
        const char *ns;
        ManagedSettings managed;
        Arena arena; /* of its texts */
        char replica[IDENTITY_MAX + 1];
        char identity[IDENTITY_MAX + CHANCE_HEX + 2]; /* of this process, with chance in it */
        bool leads;                                   /* as told last */
};

/* ---- the Lease ---- */

static void tell_lead(Cluster *c, bool leads)
{
        if (c->leads == leads)
                return;
        c->leads = leads;
        log_info(c->in.log, leads ? "leading" : "not leading", LOG_CSTR("identity", c->identity));
        if (leads && c->certs != NULL)
                cert_keeper_look(c->certs);
        c->in.on_lead(c->in.owner, leads);
}

static void on_lead(KubeLease *l)
{
        tell_lead(kube_lease_owner(l), true);
}

static void on_lost(KubeLease *l)
{
        tell_lead(kube_lease_owner(l), false);
}

static void on_holder(KubeLease *l)
{
        const Cluster *c = kube_lease_owner(l);
        log_info(c->in.log, "who leads", LOG_CSTR("holder", kube_lease_holder(l)));
}

static void on_lease_failed(KubeLease *l, const Err *err)
{
        const Cluster *c = kube_lease_owner(l);
        log_warn(c->in.log, "lease: a call failed", LOG_CSTR("error", err->text));
}

static void on_lease_released(KubeLease *l)
{
        const Cluster *c = kube_lease_owner(l);
        c->in.on_released(c->in.owner);
}

bool cluster_leads(const Cluster *c)
{
        return c->lease != NULL && c->leads && kube_lease_is_held(c->lease, loop_now(c->in.loop));
}

static Span may_write(void *owner, PlanRole role)
{
        const Cluster *c = owner;
        if (role == PLAN_REPLICA)
                return SPAN_S(KUBE_WRITE_DEADLINE_S);
        return cluster_leads(c) ? kube_lease_left(c->lease) : (Span){0};
}

static Span may_write_certs(void *owner)
{
        return may_write(owner, PLAN_OPERATOR);
}

/* ---- who we are ---- */

static bool take_identity(Cluster *c, Err *err)
{
        const char *given = c->in.config->identity;
        if (given == NULL && gethostname(c->replica, sizeof c->replica) != 0)
                return err_set(err, ERR_INVALID, "NoIdentity",
                               "the host has no name that fits; --identity: expected a name");
        if (given != NULL && strlen(given) > IDENTITY_MAX)
                return err_set(err, ERR_INVALID, "NoIdentity",
                               "--identity: expected at most %d bytes", IDENTITY_MAX);
        if (given != NULL)
                IGNORE(snprintf(c->replica, sizeof c->replica, "%s", given), "it fits");
        c->replica[sizeof c->replica - 1] = '\0';
        IGNORE(snprintf(c->identity, sizeof c->identity, "%s_%08x", c->replica,
                        (unsigned)(c->in.seed >> 32)),
               "it fits");
        return true;
}

/* Strings are borrowed from configuration and environment. */
static KubeConfigInput whereabouts(const Config *config)
{
        return (KubeConfigInput){
                .path = config->kubeconfig,
                .paths = getenv("KUBECONFIG"),
                .host = getenv("KUBERNETES_SERVICE_HOST"),
                .port = getenv("KUBERNETES_SERVICE_PORT"),
                .home = getenv("HOME"),
        };
}

static void tell_server(const Cluster *c, const KubeConfig *config)
{
        log_info(c->in.log, "API server", LOG_CSTR("server", config->server),
                 LOG_CSTR("origin", config->origin), LOG_CSTR("namespace", config->ns));
}

static void on_refreshed(KubeRefresh *r)
{
        const Cluster *c = kube_refresh_owner(r);
        tell_server(c, kube_api_config(c->api));
}

static void on_refresh_failed(KubeRefresh *r, const Err *err)
{
        const Cluster *c = kube_refresh_owner(r);
        log_warn(c->in.log, "what says where the API server is cannot be read, it stays as it was",
                 LOG_CSTR("error", err->text));
}

/* ---- the extension server that is kept ---- */

static void add_flag(Cluster *c, Str *args, const char *name, Str value)
{
        args[c->managed.args.n++] = arena_printf(&c->arena, "--%s=%.*s", name, STR_FMT(value));
}

static void add_flags(Cluster *c, Str *args, const char *name, const ConfigList *values)
{
        for (size_t i = 0; i < values->n; i++)
                add_flag(c, args, name, values->at[i]);
}

/* A pod is told the API server's address in the family that its cluster has first. */
static bool is_cluster_of_ipv6(void)
{
        const char *host = getenv("KUBERNETES_SERVICE_HOST");
        return host != NULL && strchr(host, ':') != NULL;
}

/* Its replicas must be permitted what we are: they judge by it, and are to answer as we would. */
static void take_settings(Cluster *c)
{
        const Config *config = c->in.config;
        Str *args = arena_new_array(&c->arena, MANAGED_ARGS_MAX, sizeof *args);
        const char *image = config->extension_image;
        const char *account = config->extension_service_account;
        c->managed = (ManagedSettings){
                .namespace = str_of(c->ns),
                .image = str_of(image != NULL ? image : ""),
                .service_account = str_of(account != NULL ? account : ""),
                .caps = {.replicas = config->max_extension_replicas,
                         .amounts = {[AMOUNT_CPU] = config->max_extension_cpu,
                                     [AMOUNT_MEMORY] = config->max_extension_memory,
                                     [AMOUNT_STORAGE] = config->max_extension_storage}},
                .listens_on_ipv6 = is_cluster_of_ipv6(),
        };
        add_flags(c, args, "watch-namespaces", &config->watch_namespaces);
        add_flags(c, args, "allowed-cidrs", &config->allowed_cidrs);
        add_flags(c, args, "allowed-proxies", &config->allowed_proxies);
        add_flag(c, args, "log-level", log_level_name(config->log_level));
        add_flag(c, args, "log-format", config->log_json ? STR("json") : STR("text"));
        c->managed.args.at = args;
}

/* ---- start and end ---- */

static void on_written(void *owner)
{
        const Cluster *c = owner;
        c->in.on_written(c->in.owner);
}

static void on_event_failed(KubeEvents *e, const Err *err)
{
        const Cluster *c = kube_events_owner(e);
        log_debug(c->in.log, "an Event was not taken", LOG_CSTR("error", err->text));
}

static void open_writers(Cluster *c)
{
        c->events = kube_events_open(&(KubeEventsInput){
                .api = c->api,
                .controller = CONTROLLER,
                .instance = str_of(c->replica),
                .failed = on_event_failed,
                .seed = c->in.seed + 1,
                .owner = c,
        });
        c->objects = kube_objects_open(&(KubeObjectsInput){
                .loop = c->in.loop,
                .log = c->in.log,
                .api = c->api,
                .events = c->events,
                .fact = &c->in.facts->generated,
                .seed = c->in.seed + 2,
                .may_write = may_write,
                .on_done = on_written,
                .owner = c,
        });
}

Cluster *cluster_open(const ClusterInput *in, Err *err)
{
        KubeConfigInput where = whereabouts(in->config);
        KubeConfig *config = kube_config_load(&where, err);
        if (config == NULL) {
                err_prefix(err, "%s",
                           in->config->shape == SHAPE_RUN
                                   ? "without --resources all is read from Kubernetes"
                                   : "where is the API server?");
                return NULL;
        }
        Cluster *c = mem_new(sizeof *c);
        c->in = *in;
        arena_init(&c->arena, 0);
        if (!take_identity(c, err)) {
                kube_config_free(config);
                arena_done(&c->arena);
                return mem_free(c);
        }
        tell_server(c, config);
        c->api = kube_api_open(&(KubeApiInput){
                .loop = in->loop,
                .http = in->http,
                .config = config,
        });
        c->refresh = kube_refresh_open(&(KubeRefreshInput){
                .api = c->api,
                .config = &where,
                .on_updated = on_refreshed,
                .on_failed = on_refresh_failed,
                .owner = c,
        });
        const char *ns = in->config->namespace;
        c->ns = arena_str(&c->arena, str_of(ns != NULL ? ns : kube_api_config(c->api)->ns)).p;
        take_settings(c);
        open_writers(c);
        return c;
}

void cluster_begin(Cluster *c)
{
        if (c->in.config->shape == SHAPE_EXTENSION)
                return;
        c->lease = kube_lease_open(&(KubeLeaseInput){
                .api = c->api,
                .ns = c->ns,
                .name = CLUSTER_LEASE,
                .identity = c->identity,
                .events = {on_lead, on_lost, on_holder, on_lease_failed, on_lease_released},
                .seed = c->in.seed + 3,
                .owner = c,
        });
        if (c->managed.image.n == 0)
                return;
        c->certs = cert_keeper_open(&(CertKeeperInput){
                .loop = c->in.loop,
                .log = c->in.log,
                .api = c->api,
                .own_namespace = str_of(c->ns),
                .eg_namespace = str_of(c->in.config->gateway_namespace),
                .service = STR(MANAGED_NAME),
                .seed = c->in.seed + 4,
                .may_write = may_write_certs,
                .owner = c,
        });
}

void cluster_reread(Cluster *c)
{
        kube_refresh_now(c->refresh);
}

KubeApi *cluster_api(const Cluster *c)
{
        return c->api;
}

Str cluster_namespace(const Cluster *c)
{
        return str_of(c->ns);
}

/* ---- plans ---- */

void cluster_tell(Cluster *c, const Table *observed)
{
        if (c->objects != NULL)
                kube_objects_tell(c->objects, observed);
}

void cluster_plan_input(Cluster *c, PlanInput *in)
{
        in->in_kubernetes = true;
        if (c->objects == NULL)
                return;
        in->roles = (c->in.config->shape != SHAPE_OPERATOR ? PLAN_REPLICA : 0U) |
                    (cluster_leads(c) ? PLAN_OPERATOR : 0U);
        in->observed = kube_objects_observed(c->objects);
        in->outside = kube_objects_outside(c->objects);
        in->managed = c->managed.image.n > 0 ? &c->managed : NULL;
        in->wall = loop_wall(c->in.loop);
        in->replica = str_of(c->replica);
}

bool cluster_run(Cluster *c, const Plan *plan)
{
        return c->objects == NULL || kube_objects_run(c->objects, plan);
}

bool cluster_is_writing(const Cluster *c)
{
        return c->objects != NULL && kube_objects_is_writing(c->objects);
}

void cluster_release(Cluster *c)
{
        c->certs = cert_keeper_close(c->certs);
        c->objects = kube_objects_close(c->objects);
        if (c->lease != NULL)
                kube_lease_release(c->lease);
        else
                c->in.on_released(c->in.owner);
}

static void add(AdminView *v, const MetricTable *table, const void *object, const char *labels)
{
        if (object != NULL && v->n_metrics < ADMIN_METRICS_MAX)
                v->metrics[v->n_metrics++] = (AdminMetrics){table, object, labels};
}

void cluster_view(const Cluster *c, AdminView *v)
{
        static const char *const verbs[] = {"verb=\"apply\"", "verb=\"apply_status\"",
                                            "verb=\"delete\""};
        if (c->lease != NULL)
                add(v, &kube_lease_metrics, kube_lease_counts(c->lease), "");
        if (c->certs != NULL)
                cert_keeper_view(c->certs, v);
        add(v, &kube_api_metrics, kube_api_counts(c->api), "");
        add(v, &kube_events_metrics, kube_events_counts(c->events), "");
        if (c->objects == NULL)
                return;
        const KubeObjectsCounts *counts = kube_objects_counts(c->objects);
        add(v, &definitions_metrics, &counts->definitions, "");
        for (size_t i = 0; i < LENGTH_OF(verbs); i++)
                add(v, &kube_write_metrics, &counts->verbs[i], verbs[i]);
}

Cluster *cluster_close(Cluster *c)
{
        if (c == NULL)
                return NULL;
        c->certs = cert_keeper_close(c->certs);
        c->objects = kube_objects_close(c->objects);
        c->events = kube_events_close(c->events);
        c->lease = kube_lease_close(c->lease);
        c->refresh = kube_refresh_close(c->refresh);
        c->api = kube_api_close(c->api);
        arena_done(&c->arena);
        return mem_free(c);
}
