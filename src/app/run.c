/* SPDX-License-Identifier: Apache-2.0 */
/*
 * World in, everything else out: hub tells of a new World; translate makes Snapshot and Report of
 * it; extension answers from the Snapshot; control plans from World, Report and Facts; generated
 * writes. What happened goes into Facts, and Facts only ever lead to a new plan, never to a new
 * World.
 */
#include "app/run.h"

#include "admin/admin.h"
#include "admin/change_log.h"
#include "app/config.h"
#include "base/mem.h"
#include "control/plan.h"
#include "execute/generated.h"
#include "extension/extension.h"
#include "io/log_sink.h"
#include "io/tls.h"
#include "net/http_client.h"
#include "source/hub.h"
#include "source/webhooks.h"
#include "translate/snapshot.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

enum {
        DRAIN_S = 10, /* for open hook calls after SIGTERM; each is answered within 0.5 s */
        WRITE_RETRY_MS = 1000, /* after a failed write */
        FACTS_PAUSE_MS = 100,  /* one plan for a run of hook calls */
};

typedef struct Run {
        Config config;
        Log log;
        LogSink *sink;
        Loop *loop;
        HttpClient *http;
        Facts facts;
        Generated *generated;
        Hub *hub;
        Extension *extension;
        Admin *admin;
        Webhooks *webhooks; /* NULL: nobody is listened to */
        Snapshot *snapshot; /* newest; NULL before the first World */
        Report *report;
        Post plan_post;
        Timer plan_timer;  /* Plan.again, or a retry */
        bool is_settled;   /* the last whole plan found nothing to write */
        Timer facts_timer; /* set while facts are new */
        uint64_t write_failures;
        SignalSource term, interrupt, hang_up;
        bool stopping;
} Run;

/* ---- the way of data ---- */

/* `only_facts`: nothing but Facts has changed since the last plan. */
static void plan_now(Run *r, bool only_facts)
{
        if (r->report == NULL)
                return;
        Plan plan;
        PlanInput in = {
                .world = hub_world(r->hub),
                .report = r->report,
                .facts = &r->facts,
                .outside = generated_outside(r->generated),
                .now = loop_now(r->loop),
                .only_facts = only_facts && r->is_settled,
        };
        plan_make(&in, &plan);
        /* One that is not taken is made anew when the one under way has ended, or after a pause. */
        bool taken = generated_run(r->generated, &plan);
        if (!in.only_facts)
                r->is_settled = taken && !generated_is_writing(r->generated);
        if (!taken)
                timer_set_in(&r->plan_timer, SPAN_MS(WRITE_RETRY_MS));
        else if (plan.again.ns != 0)
                timer_set(&r->plan_timer, plan.again);
        plan_done(&plan);
}

static void on_plan_post(Post *p)
{
        plan_now(CONTAINER_OF(p, Run, plan_post), false);
}

static void on_plan_timer(Timer *t)
{
        plan_now(CONTAINER_OF(t, Run, plan_timer), false);
}

static void on_facts_timer(Timer *t)
{
        plan_now(CONTAINER_OF(t, Run, facts_timer), true);
}

static void on_facts(void *owner)
{
        Run *r = owner;
        if (!timer_is_set(&r->facts_timer))
                timer_set_in(&r->facts_timer, SPAN_MS(FACTS_PAUSE_MS));
}

static void tell_bindings(Run *r)
{
        const Table *bindings = generated_bindings(r->generated);
        hub_tell_bindings(r->hub, bindings);
        table_unref(bindings);
}

/* A plan was performed: plan again at once, or after a pause where the disk refused. */
static void on_generated(void *owner)
{
        Run *r = owner;
        bool failed = r->facts.generated.failures != r->write_failures;
        r->write_failures = r->facts.generated.failures;
        r->is_settled = false;
        tell_bindings(r);
        if (failed)
                timer_set_in(&r->plan_timer, SPAN_MS(WRITE_RETRY_MS));
        else
                post_send(&r->plan_post);
}

static void on_world(void *owner, const World *world)
{
        Run *r = owner;
        Report *report = NULL;
        Snapshot *fresh = snapshot_new(world, r->snapshot, &report);
        change_log_world(&r->log, r->snapshot != NULL ? snapshot_world(r->snapshot) : NULL, world,
                         &r->facts.departures, loop_wall(r->loop));
        change_log_report(&r->log, r->report, report);
        leaf_unref(r->report);
        snapshot_unref(r->snapshot);
        r->report = report;
        r->snapshot = fresh;
        r->is_settled = false;
        extension_publish(r->extension, fresh);
        post_send(&r->plan_post);
}

/* ---- what others ask ---- */

static void on_view(void *owner, AdminView *v)
{
        const Run *r = owner;
        *v = (AdminView){
                .world = hub_world(r->hub),
                .report = r->report,
                .snapshot = r->snapshot,
                .facts = &r->facts,
                .now = loop_wall(r->loop),
                .metrics = {{&grpc_server_metrics, extension_counters(r->extension), ""}},
                .n_metrics = 1,
        };
}

static bool on_approve(void *owner, EntryKey entry, Str digest, Err *err)
{
        Run *r = owner;
        return hub_approve(r->hub, entry, digest, err);
}

/* ---- signals ---- */

static void on_drained(void *owner)
{
        Run *r = owner;
        loop_stop(r->loop);
}

static void on_stop_signal(Run *r, int signo)
{
        log_info(&r->log, r->stopping ? "stopping at once" : "draining", LOG_INT("signal", signo));
        if (r->stopping) {
                loop_stop(r->loop);
                return;
        }
        r->stopping = true;
        extension_drain(r->extension, SPAN_S(DRAIN_S));
}

static void on_term(SignalSource *s, int signo)
{
        on_stop_signal(CONTAINER_OF(s, Run, term), signo);
}

static void on_interrupt(SignalSource *s, int signo)
{
        on_stop_signal(CONTAINER_OF(s, Run, interrupt), signo);
}

static void on_hang_up(SignalSource *s, int signo)
{
        Run *r = CONTAINER_OF(s, Run, hang_up);
        log_info(&r->log, "reading everything again", LOG_INT("signal", signo));
        hub_reread(r->hub);
}

static bool open_signals(Run *r, Err *err)
{
        struct sigaction ignore = {.sa_handler = SIG_IGN};
        /* A peer that hangs up, and a file at its size limit, are told by the call that meets them.
         */
        IGNORE(sigaction(SIGPIPE, &ignore, NULL), "cannot fail for a signal that exists");
        IGNORE(sigaction(SIGXFSZ, &ignore, NULL), "cannot fail for a signal that exists");
        return (signal_source_open(&r->term, r->loop, SIGTERM, on_term) &&
                signal_source_open(&r->interrupt, r->loop, SIGINT, on_interrupt) &&
                signal_source_open(&r->hang_up, r->loop, SIGHUP, on_hang_up)) ||
               err_set(err, ERR_TRANSIENT, "Signals", "cannot listen for signals");
}

static void close_signals(Run *r)
{
        signal_source_close(&r->term);
        signal_source_close(&r->interrupt);
        signal_source_close(&r->hang_up);
}

/* ---- start and end ---- */

static uint64_t new_seed(void)
{
        uint64_t seed = 0;
        IGNORE(getrandom(&seed, sizeof seed, GRND_NONBLOCK), "jitter needs no good randomness");
        return seed;
}

static bool open_generated(Run *r, Err *err)
{
        r->generated = generated_open(
                &(GeneratedInput){
                        .loop = r->loop,
                        .log = &r->log,
                        .dir = r->config.generated,
                        .fact = &r->facts.generated,
                        .on_done = on_generated,
                        .owner = r,
                },
                err);
        return r->generated != NULL || err_prefix(err, "--generated %s", r->config.generated);
}

static bool open_extension(Run *r, Err *err)
{
        r->extension = extension_open(
                &(ExtensionInput){
                        .loop = r->loop,
                        .log = &r->log,
                        .clock = &clock_system,
                        .addresses = r->config.extension,
                        .n_addresses = r->config.n_extension,
                        .facts = &r->facts,
                        .on_facts = on_facts,
                        .on_drained = on_drained,
                        .owner = r,
                },
                err);
        return r->extension != NULL || err_prefix(err, "--extension-address");
}

static void open_hub(Run *r)
{
        r->hub = hub_open(&(HubInput){
                .loop = r->loop,
                .log = &r->log,
                .http = r->http,
                .facts = &r->facts,
                .resources = r->config.resources,
                .gateway_resources = r->config.gateway_resources,
                .cache = generated_endpoints_dir(r->generated),
                .seed = new_seed(),
                .fn = on_world,
                .owner = r,
        });
}

static bool open_admin(Run *r, Err *err)
{
        r->admin = admin_open(
                &(AdminInput){
                        .loop = r->loop,
                        .log = &r->log,
                        .admin = r->config.has_admin ? &r->config.admin : NULL,
                        .metrics = r->config.has_metrics ? &r->config.metrics : NULL,
                        .view = on_view,
                        .approve = on_approve,
                        .owner = r,
                },
                err);
        return r->admin != NULL;
}

static bool open_webhooks(Run *r, Err *err)
{
        if (!r->config.has_webhook)
                return true;
        r->webhooks = webhooks_open(
                &(WebhooksInput){
                        .loop = r->loop,
                        .log = &r->log,
                        .hub = r->hub,
                        .fact = &r->facts.webhooks,
                        .address = &r->config.webhook,
                        .certificate = r->config.webhook_cert,
                        .key = r->config.webhook_key,
                },
                err);
        return r->webhooks != NULL || err_prefix(err, "--webhook-address");
}

/* The name that Go's and OpenSSL's programs know it by. */
static const char *trusted_file(void)
{
        const char *path = getenv("SSL_CERT_FILE");
        return path != NULL && path[0] != '\0' ? path : NULL;
}

static bool run_open(Run *r, Err *err)
{
        r->log.level = r->config.log_level;
        r->log.json = r->config.log_json;
        r->sink = log_sink_open(&r->log, STDERR_FILENO, NULL);
        r->loop = loop_new(NULL);
        log_sink_attach(r->sink, r->loop);
        facts_init(&r->facts);
        r->facts.started = loop_wall(r->loop);
        post_init(&r->plan_post, r->loop, on_plan_post);
        timer_init(&r->plan_timer, r->loop, on_plan_timer);
        timer_init(&r->facts_timer, r->loop, on_facts_timer);
        if (!open_signals(r, err))
                return false;
        r->http = http_client_new(r->loop, trusted_file());
        if (!open_generated(r, err))
                return false;
        open_hub(r);
        tell_bindings(r);
        return open_extension(r, err) && open_admin(r, err) && open_webhooks(r, err);
}

static void run_close(Run *r)
{
        r->webhooks = webhooks_close(r->webhooks);
        r->admin = admin_close(r->admin);
        r->extension = extension_close(r->extension);
        r->hub = hub_close(r->hub);
        r->generated = generated_close(r->generated);
        r->http = http_client_free(r->http);
        leaf_unref(r->report);
        snapshot_unref(r->snapshot);
        post_cancel(&r->plan_post);
        timer_clear(&r->plan_timer);
        timer_clear(&r->facts_timer);
        close_signals(r);
        facts_done(&r->facts);
        log_sink_attach(r->sink, NULL);
        r->loop = loop_free(r->loop);
        r->sink = log_sink_close(r->sink);
}

static void print_help(void)
{
        Buf out;
        buf_init(&out, 64 << 10);
        buf_add_str(&out,
                    STR("usage: tailscale-gateway run --resources DIR --generated DIR [options]\n\n"
                        "Finds the devices of tailnets and makes them hosts and paths of Envoy "
                        "Gateway, without Kubernetes.\n\n"));
        config_help(&out);
        IGNORE(fwrite(out.p, 1, out.n, stdout), "nobody to tell");
        buf_done(&out);
}

int cmd_run(int argc, char **argv)
{
        Run r = {0};
        Err err = {0};
        int code = 2;
        tls_wipe_freed();
        if (!config_read(&r.config, argc - 1, argv + 1, &err)) {
                fprintf(stderr, "tailscale-gateway run: %s\ntry: tailscale-gateway run --help\n",
                        err.text);
        } else if (r.config.help) {
                print_help();
                code = 0;
        } else if (!run_open(&r, &err)) {
                log_error(&r.log, "cannot start", LOG_CSTR("error", err.text));
                run_close(&r);
                code = 1;
        } else {
                log_info(&r.log, "started", LOG_CSTR("version", TSGW_VERSION),
                         LOG_CSTR("resources", r.config.resources));
                loop_run(r.loop);
                run_close(&r);
                code = 0;
        }
        config_done(&r.config);
        return code;
}
