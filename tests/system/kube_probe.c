/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What talks with an API server, by itself, for tests on a real one:
 *
 *   kube_probe KUBECONFIG watch PATH             all objects of a kind, told as they come
 *   kube_probe KUBECONFIG lead NAMESPACE NAME ID leads by a Lease, and while it does writes ID into
 * the ConfigMap of that name, ten times a second
 *
 * Prints one line for each thing that happens. SIGTERM ends it; the Lease is given back. Exit code
 * 0 where it ended so.
 */

#include "kube/kube_lease.h"
#include "kube/kube_watch.h"
#include "kube/kube_write.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
        WRITE_MS = 100,
        BODY_MAX = 1024
};

typedef struct Probe {
        Loop *loop;
        KubeApi *api;
        KubeWatch *watch;
        KubeLease *lease;
        KubeWrite *write;
        Timer timer;
        SignalSource term;
        const char *ns, *name, *identity;
        unsigned n_writes;
        bool is_ending;
} Probe;

static void on_failed_text(const Err *err)
{
        printf("failed %s %s\n", err->reason, err->text);
}

/* Watching */

static void on_put(KubeWatch *w, Str key, const Tree *object)
{
        KubeObjectId id;
        Err err;

        (void)w;
        INSIST(kube_object_id(object, &id, &err));
        printf("put %.*s %.*s\n", STR_FMT(key), STR_FMT(id.version));
}

static void on_gone(KubeWatch *w, Str key)
{
        (void)w;
        printf("gone %.*s\n", STR_FMT(key));
}

static void on_synced(KubeWatch *w)
{
        printf("synced %zu\n", kube_watch_objects(w));
}

static void on_watch_failed(KubeWatch *w, const Err *err)
{
        (void)w;
        on_failed_text(err);
}

/* Leading */

static Span may_send(const KubeWrite *w)
{
        const Probe *p = kube_write_owner(w);

        return kube_lease_left(p->lease);
}

static void on_lease_done(KubeLease *l)
{
        Probe *p = kube_lease_owner(l);

        printf("released\n");
        loop_stop(p->loop);
}

static void on_written(KubeWrite *w, const KubeWriteResult *result)
{
        Probe *p = kube_write_owner(w);

        if (result->err.kind != ERR_NONE)
                on_failed_text(&result->err);
        p->write = kube_write_close(w);
        if (p->is_ending)
                kube_lease_release(p->lease);
        else
                timer_set_in(&p->timer, SPAN_MS(WRITE_MS));
}

static void on_timer(Timer *t)
{
        static const KubeResource config_maps = {"api/v1", "configmaps", "ConfigMap"};
        Probe *p = CONTAINER_OF(t, Probe, timer);
        char body[BODY_MAX];
        int n = snprintf(
                body, sizeof(body),
                "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"%s\"},"
                "\"data\":{\"holder\":\"%s\",\"n\":\"%u\"}}",
                p->name, p->identity, p->n_writes++);

        INSIST(n > 0 && (size_t)n < sizeof(body));
        p->write = kube_write_open(&(KubeWriteInput){.api = p->api,
                                                     .verb = KUBE_VERB_APPLY,
                                                     .resource = &config_maps,
                                                     .ns = str_of(p->ns),
                                                     .name = str_of(p->name),
                                                     .field_manager = "kube-probe",
                                                     .body = {body, (size_t)n},
                                                     .may_send = may_send,
                                                     .on_done = on_written,
                                                     .owner = p});
}

static void on_lead(KubeLease *l)
{
        Probe *p = kube_lease_owner(l);

        printf("lead\n");
        if (p->write == NULL)
                timer_set_in(&p->timer, SPAN_MS(1));
}

static void on_lost(KubeLease *l)
{
        Probe *p = kube_lease_owner(l);

        printf("lost\n");
        timer_clear(&p->timer);
}

static void on_holder(KubeLease *l)
{
        printf("holder %s\n", kube_lease_holder(l));
}

static void on_lease_failed(KubeLease *l, const Err *err)
{
        (void)l;
        on_failed_text(err);
}

static void on_term(SignalSource *s, int signo)
{
        Probe *p = CONTAINER_OF(s, Probe, term);

        (void)signo;
        p->is_ending = true;
        timer_clear(&p->timer);
        if (p->lease == NULL)
                loop_stop(p->loop);
        else if (p->write == NULL)
                kube_lease_release(p->lease);
}

static bool begin(Probe *p, int argc, char **argv)
{
        if (argc == 4 && strcmp(argv[2], "watch") == 0) {
                p->watch = kube_watch_open(&(KubeWatchInput){.api = p->api,
                                                             .path = argv[3],
                                                             .events = {.put = on_put,
                                                                        .gone = on_gone,
                                                                        .synced = on_synced,
                                                                        .failed = on_watch_failed},
                                                             .seed = (uint64_t)getpid(),
                                                             .owner = p});
                return true;
        }
        if (argc == 6 && strcmp(argv[2], "lead") == 0) {
                p->ns = argv[3];
                p->name = argv[4];
                p->identity = argv[5];
                p->lease = kube_lease_open(&(KubeLeaseInput){
                        .api = p->api,
                        .ns = p->ns,
                        .name = p->name,
                        .identity = p->identity,
                        .events = {on_lead, on_lost, on_holder, on_lease_failed, on_lease_done},
                        .seed = (uint64_t)getpid(),
                        .owner = p});
                return true;
        }
        return false;
}

static void print_counts(const Probe *p)
{
        if (p->watch == NULL)
                return;
        KubeWatchCounts c = kube_watch_counts(p->watch);
        printf("counts lists=%" PRIu64 " watches=%" PRIu64 " events=%" PRIu64 " bookmarks=%" PRIu64
               " expired=%" PRIu64 " silences=%" PRIu64 " failures=%" PRIu64 "\n",
               c.lists, c.watches, c.events, c.bookmarks, c.expired, c.silences, c.failures);
}

int main(int argc, char **argv)
{
        Err err;
        KubeConfig *config =
                argc > 2 ? kube_config_load(&(KubeConfigInput){.path = argv[1]}, &err) : NULL;

        if (config == NULL) {
                fprintf(stderr, "%s\n",
                        argc > 2 ? err.text : "usage: kube_probe KUBECONFIG watch|lead …");
                return 2;
        }
        setvbuf(stdout, NULL, _IOLBF, 0);
        Probe p = {.loop = loop_new(NULL)};
        HttpClient *http = http_client_new(p.loop, NULL);
        p.api = kube_api_open(&(KubeApiInput){.loop = p.loop, .http = http, .config = config});
        timer_init(&p.timer, p.loop, on_timer);
        INSIST(signal_source_open(&p.term, p.loop, SIGTERM, on_term));
        bool ok = begin(&p, argc, argv);
        if (ok)
                loop_run(p.loop);
        print_counts(&p);
        timer_clear(&p.timer);
        p.write = kube_write_close(p.write);
        p.lease = kube_lease_close(p.lease);
        p.watch = kube_watch_close(p.watch);
        signal_source_close(&p.term);
        p.api = kube_api_close(p.api);
        http_client_free(http);
        loop_free(p.loop);
        return ok ? EXIT_SUCCESS : 2;
}
