/* SPDX-License-Identifier: Apache-2.0 */
#include "app/run.h"

#include "app/config.h"
#include "app/shape.h"
#include "cli/cli_options.h"
#include "io/fd_limit.h"
#include "io/log_sink.h"
#include "io/tls.h"
#include "net/grpc_caps.h"
#include "net/http_server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

enum {
        DRAIN_S = 10, /* for open hook calls after SIGTERM; each is answered within 0.5 s */
        /* What may be open at once beside connections: listeners, directories that are watched,
         * files that are read, the loop's own, a name that is looked up. */
        DESCRIPTORS_BESIDE = 128,
        /* All connections that our own caps let there be: Envoy Gateway's, our calls, and of the
         * admin, metrics and webhook addresses each. */
        DESCRIPTORS = GRPC_CONNECTIONS_MAX + HTTP_CLIENT_CONNECTIONS_MAX +
                      3 * HTTP_SERVER_CONNECTIONS_MAX + DESCRIPTORS_BESIDE,
};

typedef struct Run {
        Config config;
        Log log;
        LogSink *sink;
        Loop *loop;
        HttpClient *http;
        Facts facts;
        Shape *shape;
        SignalSource term, interrupt, hang_up;
        bool stopping;
} Run;

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
        shape_drain(r->shape, SPAN_S(DRAIN_S));
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
        shape_reread(r->shape);
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

/* A limit that is too low is met by those who connect, long after the start. */
static void raise_descriptors(Run *r)
{
        FdLimit l = fd_limit_raise(DESCRIPTORS);
        log_debug(&r->log, "descriptors", LOG_INT("wanted", DESCRIPTORS),
                  LOG_INT("before", l.before), LOG_INT("now", l.now), LOG_INT("most", l.most));
}

static bool run_open(Run *r, Err *err)
{
        r->log.level = r->config.log_level;
        r->log.json = r->config.log_json;
        r->sink = log_sink_open(&r->log, STDERR_FILENO, NULL);
        r->loop = loop_new(NULL);
        log_sink_attach(r->sink, r->loop);
        raise_descriptors(r);
        facts_init(&r->facts);
        r->facts.started = loop_wall(r->loop);
        if (!open_signals(r, err))
                return false;
        r->http = http_client_new(r->loop, cli_trusted_file());
        r->shape = shape_open(
                &(ShapeInput){
                        .loop = r->loop,
                        .clock = &clock_system,
                        .log = &r->log,
                        .http = r->http,
                        .config = &r->config,
                        .facts = &r->facts,
                        .seed = new_seed(),
                        .on_drained = on_drained,
                        .owner = r,
                },
                err);
        return r->shape != NULL;
}

static void run_close(Run *r)
{
        r->shape = shape_close(r->shape);
        r->http = http_client_free(r->http);
        close_signals(r);
        facts_done(&r->facts);
        log_sink_attach(r->sink, NULL);
        r->loop = loop_free(r->loop);
        r->sink = log_sink_close(r->sink);
}

static const struct ShapeText {
        const char *name, *usage, *about;
} shapes[] = {
        [SHAPE_RUN] = {"run", "run [--resources DIR --generated DIR] [options]",
                       "Finds the devices of tailnets and makes them hosts and paths of Envoy "
                       "Gateway: in Kubernetes, or without it from directories."},
        [SHAPE_OPERATOR] = {"operator", "operator [options]",
                            "In Kubernetes: finds the devices of tailnets, and writes what Envoy "
                            "Gateway and the extension server go by. Of several one leads."},
        [SHAPE_EXTENSION] = {"extension", "extension [options]",
                             "In Kubernetes: answers the hooks of Envoy Gateway by what the "
                             "operator wrote. Of several each answers."},
};

static void print_help(ConfigShape shape)
{
        Buf out;
        buf_init(&out, 64 << 10);
        buf_printf(&out, "usage: tailscale-gateway %s\n\n%s\n\n", shapes[shape].usage,
                   shapes[shape].about);
        config_help(shape, &out);
        IGNORE(fwrite(out.p, 1, out.n, stdout), "nobody to tell");
        buf_done(&out);
}

static int run_shape(ConfigShape shape, int argc, char **argv)
{
        Run r = {0};
        Err err = {0};
        int code = 2;
        const char *name = shapes[shape].name;
        tls_wipe_freed();
        if (!config_read(&r.config, shape, argc - 1, argv + 1, &err)) {
                fprintf(stderr, "tailscale-gateway %s: %s\ntry: tailscale-gateway %s --help\n",
                        name, err.text, name);
        } else if (r.config.help) {
                print_help(shape);
                code = 0;
        } else if (!run_open(&r, &err)) {
                log_error(&r.log, "cannot start", LOG_CSTR("error", err.text));
                run_close(&r);
                code = 1;
        } else {
                log_info(&r.log, "started", LOG_CSTR("version", TSGW_VERSION),
                         LOG_CSTR("shape", name));
                loop_run(r.loop);
                run_close(&r);
                code = 0;
        }
        config_done(&r.config);
        return code;
}

int cmd_run(int argc, char **argv)
{
        return run_shape(SHAPE_RUN, argc, argv);
}

int cmd_operator(int argc, char **argv)
{
        return run_shape(SHAPE_OPERATOR, argc, argv);
}

int cmd_extension(int argc, char **argv)
{
        return run_shape(SHAPE_EXTENSION, argc, argv);
}
