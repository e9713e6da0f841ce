/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariants:
 *  1. There is a Hook for a tailnet only after a message to it was taken, and for at most
 * HOOKS_MAX: whoever has no secret makes nothing grow.
 *  2. A refusal says no more than its status and one word; it is logged at most once a minute.
 */
#include "source/webhooks.h"

#include "base/list.h"
#include "base/mem.h"
#include "net/http_server.h"
#include "tailnet/webhook.h"

#include <stdio.h>

enum {
        HOOKS_MAX = FACTS_TAILNETS_MAX,
        KEY_MAX = 63 + 1 + 253, /* namespace/name */
        WARN_APART_S = 60,
};

/* What is remembered of one tailnet. */
typedef struct Hook {
        Link link; /* who was taken from last is last */
        char key[KEY_MAX + 1];
        WebhookMemory memory;
} Hook;

struct Webhooks {
        WebhooksInput in;
        TlsServer *tls;
        HttpServer *server;
        Link hooks;
        size_t n_hooks;
        Mono warned;     /* 0: never */
        uint64_t unsaid; /* refusals since */
};

static const struct {
        unsigned status;
        const char *text;
} answers[WEBHOOK_RESULTS] = {
        [WEBHOOK_TAKEN] = {200, "thanks"},      [WEBHOOK_UNSIGNED] = {401, "unsigned"},
        [WEBHOOK_FORGED] = {401, "forged"},     [WEBHOOK_UNTIMELY] = {401, "untimely"},
        [WEBHOOK_REPLAYED] = {401, "replayed"}, [WEBHOOK_CROWDED] = {503, "crowded"},
        [WEBHOOK_UNKNOWN] = {404, "unknown"},
};

/* ---- hooks ---- */

static void hook_free(Webhooks *w, Hook *h)
{
        link_remove(&h->link);
        webhook_memory_done(&h->memory);
        mem_free(h);
        w->n_hooks--;
}

static Hook *find_hook(Webhooks *w, Str key)
{
        LIST_FOREACH (Hook, h, &w->hooks, link)
                if (str_eq(str_of(h->key), key))
                        return h;
        return NULL;
}

/* With what it has now; the one that was taken from longest ago makes room. */
static void keep(Webhooks *w, Str key, const WebhookMemory *memory)
{
        Hook *h = mem_new(sizeof(*h));

        if (w->n_hooks == HOOKS_MAX)
                hook_free(w, CONTAINER_OF(w->hooks.next, Hook, link));
        memcpy(h->key, key.p, key.n);
        h->memory = *memory;
        list_add(&w->hooks, &h->link);
        w->n_hooks++;
}

static WebhookResult check(Webhooks *w, Str key, const Secret *secret, const HttpExchange *x)
{
        WebhookMemory fresh = {0};
        Hook *h = find_hook(w, key);
        Str signature = {0};

        IGNORE(http_field_get(x->fields, STR("Tailscale-Webhook-Signature"), &signature),
               "then it is unsigned");
        WebhookResult result = webhook_check(secret, signature, x->body, loop_wall(w->in.loop),
                                             h != NULL ? &h->memory : &fresh);
        if (result != WEBHOOK_TAKEN)
                return result;
        if (h == NULL) {
                keep(w, key, &fresh);
        } else {
                link_remove(&h->link);
                list_add(&w->hooks, &h->link);
        }
        return result;
}

/* ---- requests ---- */

/* /webhook/NAMESPACE/NAME */
static bool read_path(Str path, Str *ret_text, ObjectKey *ret)
{
        static const Str root = STR_INIT("/webhook/");

        if (!str_starts(path, root))
                return false;
        *ret_text = ret->name = str_sub(path, root.n, SIZE_MAX);
        return str_cut(&ret->name, '/', &ret->namespace) && ret->namespace.n > 0 &&
               ret->name.n > 0 && str_find(ret->name, '/') < 0 && ret_text->n <= KEY_MAX;
}

static void tell_refusal(Webhooks *w, Str key, WebhookResult result)
{
        Mono now = loop_now(w->in.loop);

        if (w->warned.ns != 0 && mono_before(now, mono_add(w->warned, SPAN_S(WARN_APART_S)))) {
                w->unsaid++;
                return;
        }
        log_warn(w->in.log, "webhook refused", LOG_CSTR("why", answers[result].text),
                 LOG_STR("tailnet", key), LOG_INT("others", w->unsaid));
        w->warned = now;
        w->unsaid = 0;
}

static void take(Webhooks *w, Str key, ObjectKey tailnet, Str body)
{
        WebhookEvents events;

        webhook_events_read(body, &events);
        w->in.fact->events += events.n;
        log_info(w->in.log, "webhook, asking the tailnet", LOG_STR("tailnet", key),
                 LOG_INT("events", events.n), LOG_CSTR("types", events.types));
        /* A tailnet of this turn is not polled yet; its first poll is coming anyway. */
        IGNORE(hub_trigger(w->in.hub, tailnet), "then there is nothing to bring forward");
}

static void on_request(void *ctx, HttpExchange *x)
{
        Webhooks *w = ctx;
        ObjectKey tailnet;
        Str key = {0};
        const Secret *secret =
                read_path(x->path, &key, &tailnet) ? hub_webhook_secret(w->in.hub, tailnet) : NULL;
        WebhookResult result = WEBHOOK_UNKNOWN;

        if (secret != NULL && x->verb != HTTP_POST) {
                x->status = 405;
                x->allow = "POST";
                return;
        }
        if (secret != NULL)
                result = check(w, key, secret, x);
        w->in.fact->received[result]++;
        if (result == WEBHOOK_TAKEN)
                take(w, key, tailnet, x->body);
        else
                tell_refusal(w, key, result);
        x->status = answers[result].status;
        buf_printf(&x->out, "%s\n", answers[result].text);
}

/* ---- start and end ---- */

static bool open_server(Webhooks *w, Err *err)
{
        static const char *const alpn[] = {"http/1.1", NULL};
        const WebhooksInput *in = &w->in;

        if (in->certificate != NULL) {
                w->tls = tls_server_open(
                        &(TlsServerInput){
                                .loop = in->loop,
                                .log = in->log,
                                .certificate = in->certificate,
                                .key = in->key,
                                .alpn = alpn,
                        },
                        err);
                if (w->tls == NULL)
                        return false;
        }
        w->server = http_server_open(
                &(HttpServerInput){
                        .loop = in->loop,
                        .log = in->log,
                        .address = in->address,
                        .tls = w->tls,
                        .any_host = true,
                        .fn = on_request,
                        .ctx = w,
                },
                err);
        return w->server != NULL;
}

Webhooks *webhooks_open(const WebhooksInput *in, Err *err)
{
        Webhooks *w = mem_new(sizeof(*w));

        INSIST((in->certificate == NULL) == (in->key == NULL));
        INSIST(in->certificate != NULL || address_is_local(in->address));
        w->in = *in;
        list_init(&w->hooks);
        if (!open_server(w, err))
                return webhooks_close(w);
        log_info(in->log, "webhooks are heard", LOG_CSTR("address", webhooks_address(w)->text),
                 LOG_CSTR("tls", w->tls != NULL ? "yes" : "no"));
        return w;
}

const Address *webhooks_address(const Webhooks *w)
{
        return http_server_address(w->server);
}

Webhooks *webhooks_close(Webhooks *w)
{
        if (w == NULL)
                return NULL;
        w->server = http_server_close(w->server);
        w->tls = tls_server_close(w->tls);
        LIST_FOREACH (Hook, h, &w->hooks, link)
                hook_free(w, h);
        return mem_free(w);
}
