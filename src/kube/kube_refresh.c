/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_refresh.h"

#include <stdio.h>

#include "base/mem.h"

struct KubeRefresh {
        KubeRefreshInput in;
        KubeConfigInput config; /* of texts in the arena */
        Arena arena;
        Timer timer;
        char told[ERR_TEXT_MAX]; /* of the last failure; empty: none since it went well */
};

static void fail(KubeRefresh *r, const Err *err)
{
        if (strcmp(r->told, err->text) == 0)
                return;
        snprintf(r->told, sizeof(r->told), "%s", err->text);
        /* It may be closed after. */
        if (r->in.on_failed != NULL)
                r->in.on_failed(r, err);
}

static void on_timer(Timer *t)
{
        KubeRefresh *r = CONTAINER_OF(t, KubeRefresh, timer);
        CLEANUP(kube_config_cleanup) KubeConfig *config = NULL;
        Err err = {0};

        timer_set_in(t, SPAN_S(KUBE_REFRESH_S));
        config = kube_config_load(&r->config, &err);
        if (config == NULL) {
                fail(r, &err);
                return;
        }
        r->told[0] = '\0';
        if (kube_config_eq(config, kube_api_config(r->in.api)))
                return;
        kube_api_update(r->in.api, TAKE(config));
        if (r->in.on_updated != NULL)
                r->in.on_updated(r);
}

static const char *copy(KubeRefresh *r, const char *text)
{
        return text != NULL ? arena_str(&r->arena, str_of(text)).p : NULL;
}

KubeRefresh *kube_refresh_open(const KubeRefreshInput *in)
{
        KubeRefresh *r = mem_new(sizeof(*r));
        const KubeConfigInput *c = in->config;

        r->in = *in;
        r->in.config = NULL;
        arena_init(&r->arena, 0);
        r->config = (KubeConfigInput){
                .path = copy(r, c->path),
                .paths = copy(r, c->paths),
                .host = copy(r, c->host),
                .port = copy(r, c->port),
                .cluster_dir = copy(r, c->cluster_dir),
                .home = copy(r, c->home),
                .context = copy(r, c->context),
                .allow_exec = c->allow_exec,
        };
        timer_init(&r->timer, kube_api_loop(in->api), on_timer);
        timer_set_in(&r->timer, SPAN_S(KUBE_REFRESH_S));
        return r;
}

void *kube_refresh_owner(const KubeRefresh *r)
{
        return r->in.owner;
}

void kube_refresh_now(KubeRefresh *r)
{
        timer_set_in(&r->timer, SPAN_MS(0));
}

KubeRefresh *kube_refresh_close(KubeRefresh *r)
{
        if (r == NULL)
                return NULL;
        timer_clear(&r->timer);
        arena_done(&r->arena);
        return mem_free(r);
}
