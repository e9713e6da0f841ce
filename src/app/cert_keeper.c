/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever happens (a Secret is another, a plan was performed or refused, the Lease is ours, time
 * has come) leads to the same: one look, some time later, at all that stands there.
 */
#include "app/cert_keeper.h"

#include "admin/admin.h"
#include "base/mem.h"
#include "execute/cert_writer.h"
#include "source/cert_source.h"

enum {
        /* What was written is seen before it is looked at again; and several news are one. */
        LOOK_APART_S = 1,
        REST_FIRST_S = 5, /* after a failure; then twice as long each time */
        REST_MAX_S = 300,
        /* At least so often, also where clocks jump. */
        LOOK_S = 3600,
        NAMES = 4,
};

typedef struct CertKeeperNumbers {
        int64_t ca_ends, server_ends, client_ends; /* Unix time in seconds; 0: there is none */
        int64_t is_rotating;                       /* two CAs are trusted */
} CertKeeperNumbers;

struct CertKeeper {
        CertKeeperInput in;
        Arena arena;
        Str names[NAMES];
        CertSource *source;
        CertWriter *writer;
        Timer timer;
        unsigned rest_s; /* 0: the last plan was performed */
        CertificatesStage stage;
        Err fault; /* as told last */
        CertKeeperNumbers n;
};

static void look_in(CertKeeper *k, int64_t seconds)
{
        Mono at = mono_add(loop_now(k->in.loop), SPAN_S(seconds));

        if (!timer_is_set(&k->timer) || mono_before(at, k->timer.at))
                timer_set(&k->timer, at);
}

static void tell(CertKeeper *k, const CertificatesPlan *p)
{
        if (p->fault.kind != ERR_NONE && strcmp(p->fault.text, k->fault.text) != 0)
                log_error(k->in.log, "certificates cannot be kept",
                          LOG_CSTR("error", p->fault.text));
        k->fault = p->fault;
        if (p->stage != k->stage)
                log_info(k->in.log, "certificate authority",
                         LOG_CSTR("stage", certificates_stage_name(p->stage)));
        k->stage = p->stage;
        k->n = (CertKeeperNumbers){p->ca_ends.ms / 1000, p->server_ends.ms / 1000,
                                   p->client_ends.ms / 1000, p->stage != CERTIFICATES_STEADY};
}

static void look(CertKeeper *k)
{
        CertificatesInput in = {
                .now = loop_wall(k->in.loop),
                .server_names = {k->names, LENGTH_OF(k->names)},
        };
        CertificatesPlan p;
        int64_t next_s = LOOK_S;

        for (CertSecretRole role = 0; role < CERT_SECRETS; role++)
                in.seen[role] = cert_source_at(k->source, role);
        certificates_plan(&in, &p);
        tell(k, &p);
        if (p.again.ms != 0 && (p.again.ms - in.now.ms) / 1000 < next_s)
                next_s = (p.again.ms - in.now.ms) / 1000 + 1;
        look_in(k, next_s);
        if (p.n > 0 && k->in.may_write(k->in.owner).ns > 0)
                cert_writer_run(k->writer, &in, &p);
        certificates_plan_done(&p);
}

static void on_timer(Timer *t)
{
        CertKeeper *k = CONTAINER_OF(t, CertKeeper, timer);

        if (cert_source_is_read(k->source) && !cert_writer_is_writing(k->writer))
                look(k);
}

static void on_news(CertSource *s)
{
        cert_keeper_look(cert_source_owner(s));
}

static Span may_write(void *owner)
{
        const CertKeeper *k = owner;

        return k->in.may_write(k->in.owner);
}

static void on_done(void *owner, bool ok)
{
        CertKeeper *k = owner;

        k->rest_s = ok ? 0 : k->rest_s == 0 ? REST_FIRST_S : 2 * k->rest_s;
        if (k->rest_s > REST_MAX_S)
                k->rest_s = REST_MAX_S;
        look_in(k, ok ? LOOK_APART_S : k->rest_s);
}

/* What the Service may be called from within the cluster. */
static void make_names(CertKeeper *k)
{
        Str service = k->in.service, ns = k->in.own_namespace;

        k->names[0] = arena_str(&k->arena, service);
        k->names[1] = arena_printf(&k->arena, "%.*s.%.*s", STR_FMT(service), STR_FMT(ns));
        k->names[2] = arena_printf(&k->arena, "%s.svc", k->names[1].p);
        k->names[3] = arena_printf(&k->arena, "%s.cluster.local", k->names[2].p);
}

CertKeeper *cert_keeper_open(const CertKeeperInput *in)
{
        CertKeeper *k = mem_new(sizeof(*k));

        k->in = *in;
        arena_init(&k->arena, 0);
        make_names(k);
        timer_init(&k->timer, in->loop, on_timer);
        k->source = cert_source_open(&(CertSourceInput){
                .log = in->log,
                .api = in->api,
                .own_namespace = in->own_namespace,
                .eg_namespace = in->eg_namespace,
                .seed = in->seed,
                .fn = on_news,
                .owner = k,
        });
        k->writer = cert_writer_open(&(CertWriterInput){
                .log = in->log,
                .api = in->api,
                .own_namespace = in->own_namespace,
                .eg_namespace = in->eg_namespace,
                .server_names = {k->names, LENGTH_OF(k->names)},
                .seed = in->seed + CERT_SECRETS,
                .may_write = may_write,
                .on_done = on_done,
                .owner = k,
        });
        return k;
}

void cert_keeper_look(CertKeeper *k)
{
        look_in(k, LOOK_APART_S);
}

#define GAUGE(name, field, help, labels)                                                           \
        {                                                                                          \
                "tailscale_gateway_" name, help, METRIC_GAUGE, offsetof(CertKeeperNumbers, field), \
                        labels                                                                     \
        }
#define EXPIRY(field, labels)                                                               \
        GAUGE("certificate_expiry_timestamp_seconds", field,                                \
              "Time at which a certificate that the operator keeps ends; 0: there is none", \
              labels)

static const MetricDesc metrics[] = {
        EXPIRY(ca_ends, "certificate=\"ca\""),
        EXPIRY(server_ends, "certificate=\"server\""),
        EXPIRY(client_ends, "certificate=\"client\""),
        GAUGE("certificates_rotating", is_rotating, "Is one CA being replaced by another?", NULL),
};

static const MetricTable table = {metrics, LENGTH_OF(metrics)};

static void add(AdminView *v, const MetricTable *t, const void *object)
{
        if (v->n_metrics < ADMIN_METRICS_MAX)
                v->metrics[v->n_metrics++] = (AdminMetrics){t, object, ""};
}

void cert_keeper_view(const CertKeeper *k, AdminView *v)
{
        add(v, &table, &k->n);
        add(v, &cert_writer_metrics, cert_writer_counts(k->writer));
}

CertKeeper *cert_keeper_close(CertKeeper *k)
{
        if (k == NULL)
                return NULL;
        timer_clear(&k->timer);
        k->writer = cert_writer_close(k->writer);
        k->source = cert_source_close(k->source);
        arena_done(&k->arena);
        return mem_free(k);
}
