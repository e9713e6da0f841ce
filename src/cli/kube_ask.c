/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/kube_ask.h"

#include "base/mem.h"
#include "kube/kube_api.h"
#include "kube/kube_exec.h"
#include "proto/json.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

struct KubeAsk {
        Loop *loop;
        HttpClient *http;
        KubeApi *api;
        Arena *arena; /* of the question that is under way */
        CheckFound *found;
        KubeCall *call;
        bool again; /* it said: later */
        Timer pause;
};

enum {
        TRIES = 5,
        PAUSE_MS = 500, /* a server that has just started says 429 for a moment */
};

static void on_done(KubeCall *c, const KubeResult *result)
{
        static const JsonLimits limits = {KUBE_ASK_BYTES_MAX, KUBE_ASK_NODES_MAX};
        KubeAsk *a = kube_call_owner(c);
        CheckFound *f = a->found;

        *f = (CheckFound){.err = result->err};
        if (result->err.kind == ERR_NONE)
                f->object = json_read_within(a->arena, result->body, &limits, NULL, &f->err);
        a->again = result->status == 429;
        loop_stop(a->loop);
}

static void on_pause(Timer *t)
{
        loop_stop(CONTAINER_OF(t, KubeAsk, pause)->loop);
}

static void ask_once(KubeAsk *a, const char *path, Str body, const char *accept)
{
        a->call = kube_call_open(a->api,
                                 &(KubeCallInput){
                                         .method = body.n > 0 ? "POST" : NULL,
                                         .path = path,
                                         .content_type = body.n > 0 ? "application/json" : NULL,
                                         .body = body,
                                         .deadline = SPAN_S(KUBE_ASK_SECONDS),
                                         .max_bytes = KUBE_ASK_BYTES_MAX,
                                         .accept = accept,
                                         .on_done = on_done,
                                         .owner = a,
                                 });
        loop_run(a->loop);
        a->call = kube_call_close(a->call);
}

static void ask(KubeAsk *a, Str path, Str body, const char *accept, Arena *arena, CheckFound *ret)
{
        Str kept = arena_str(arena, path);

        a->arena = arena;
        a->found = ret;
        ask_once(a, kept.p, body, accept);
        for (unsigned i = 1; i < TRIES && a->again; i++) {
                timer_set_in(&a->pause, SPAN_MS(PAUSE_MS));
                loop_run(a->loop);
                ask_once(a, kept.p, body, accept);
        }
}

void kube_ask(KubeAsk *a, Str path, Str body, Arena *arena, CheckFound *ret)
{
        ask(a, path, body, NULL, arena, ret);
}

void kube_ask_meta(KubeAsk *a, Str path, Arena *arena, CheckFound *ret)
{
        ask(a, path, (Str){0}, "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
            arena, ret);
}

/* A command is started by a person, and so may start what their kubeconfig names. */
static bool ask_plugin(KubeConfig *config, Err *err)
{
        const KubeExecInput in = {.env = (const char *const *)environ,
                                  .has_terminal = isatty(STDIN_FILENO) == 1};

        return config->plugin == NULL || kube_exec_run(config, &in, err);
}

KubeAsk *kube_ask_open(const char *kubeconfig, const char *context, Err *err)
{
        const KubeConfigInput in = {
                .path = kubeconfig,
                .paths = getenv("KUBECONFIG"),
                .host = getenv("KUBERNETES_SERVICE_HOST"),
                .port = getenv("KUBERNETES_SERVICE_PORT"),
                .home = getenv("HOME"),
                .context = context,
                .allow_exec = true,
        };
        CLEANUP(kube_config_cleanup) KubeConfig *config = kube_config_load(&in, err);
        KubeAsk *a;

        if (config == NULL || !ask_plugin(config, err))
                return NULL;
        IGNORE(signal(SIGPIPE, SIG_IGN), "cannot fail for a signal that exists");
        a = mem_new(sizeof(*a));
        a->loop = loop_new(NULL);
        timer_init(&a->pause, a->loop, on_pause);
        a->http = http_client_new(a->loop, NULL);
        a->api = kube_api_open(
                &(KubeApiInput){.loop = a->loop, .http = a->http, .config = TAKE(config)});
        return a;
}

const KubeConfig *kube_ask_config(const KubeAsk *a)
{
        return kube_api_config(a->api);
}

KubeAsk *kube_ask_close(KubeAsk *a)
{
        if (a == NULL)
                return NULL;
        kube_api_close(a->api);
        http_client_free(a->http);
        loop_free(a->loop);
        return mem_free(a);
}
