/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For unit tests only: a loop on a test clock, and an API server on it that answers with given
 * bytes, by path. Header only, because test code is in no library.
 */

#include "io/testing.h"
#include "kube/kube_api.h"
#include "net/script_server.h"
#include "net/test_closer.h"

enum {
        KUBE_TURNS_MAX = 4000
};

typedef struct KubeWorld {
        TestClock time;
        Clock clock;
        Loop *loop;
        HttpClient *http;
        ScriptServer server;
        KubeApi *api;
} KubeWorld;

#define KUBE_OK(body)           "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" body
#define KUBE_SAYS(status, body) "HTTP/1.1 " status "\r\nConnection: close\r\n\r\n" body

/* `user`: what is below "user:" in the kubeconfig, in flow style. */
static inline KubeConfig *kube_world_config(uint16_t port, const char *user)
{
        char text[1024];
        KubeConfigFile file = {"/etc/kube/config", {0}};
        KubeConfig *config;

        snprintf(text, sizeof(text),
                 "current-context: c\ncontexts: [{name: c, context: {cluster: a, user: u}}]\n"
                 "clusters: [{name: a, cluster: {server: 'http://127.0.0.1:%u'}}]\n"
                 "users: [{name: u, user: %s}]\n",
                 port, user);
        file.bytes = str_of(text);
        config = kube_config_read(&file, 1, NULL, true, NULL);
        INSIST(config != NULL);
        return config;
}

static inline void kube_world_init(KubeWorld *w, const char *user, unsigned qps, unsigned burst)
{

        *w = (KubeWorld){.time = {{SPAN_S(1000).ns}, {INT64_C(1795381081000)}, 0}};
        w->clock = test_clock(&w->time);
        w->loop = loop_new(&w->clock);
        w->http = http_client_new(w->loop, NULL);
        script_server_open(&w->server, w->loop);
        w->api = kube_api_open(&(KubeApiInput){
                .loop = w->loop,
                .http = w->http,
                .config = kube_world_config(w->server.port, user),
                .qps = qps,
                .burst = burst,
        });
}

static inline void kube_world_done(KubeWorld *w)
{
        kube_api_close(w->api);
        http_client_free(w->http);
        script_server_close(&w->server);
        loop_turn(w->loop, SPAN_MS(0));
        loop_free(w->loop);
}

static inline void kube_turns(KubeWorld *w, unsigned n)
{
        while (n-- > 0)
                loop_turn(w->loop, SPAN_MS(2));
}

/* Until *n is at least `to`. */
static inline void kube_turn_until(KubeWorld *w, const size_t *n, size_t to)
{
        for (int i = 0; i < KUBE_TURNS_MAX && *n < to; i++)
                loop_turn(w->loop, SPAN_MS(5));
        INSIST(*n >= to);
}
