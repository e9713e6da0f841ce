/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A poll goes: (token) ──> devices ──(401: one new token, devices again)──> Services ──> delivery.
 *
 * Invariants:
 * 1. One of token, call and services is at work; what the devices brought waits in `answer`.
 * 2. A token is renewed for a 401 once a poll at most.
 * 3. Nothing behind good devices makes them an error.
 */
#include "tailnet/api_v2.h"

#include <stdio.h>

#include "base/mem.h"
#include "tailnet/api_url.h"
#include "tailnet/device_call.h"
#include "tailnet/service_ask.h"
#include "tailnet/tailnet_kind.h"
#include "tailnet/token.h"

typedef struct ApiV2 {
        TailnetSource source;
        const char *via;
        char *url; /* owned, as the next four; of the device list */
        Token *token;
        DeviceCall *call; /* or NULL */
        ServiceAsk *services;
        const Secret
                *bearer; /* of this poll, the token's: one that is due for renewal is good still */
        bool is_renewed; /* this poll has had its new token */
        TailnetAnswer answer; /* of this poll; holds a reference of devices until it is delivered */
} ApiV2;

static void deliver(ApiV2 *v)
{
        TailnetAnswer a = v->answer;

        v->answer = (TailnetAnswer){0};
        a.via = v->via;
        IGNORE(snprintf(a.scopes, sizeof(a.scopes), "%.*s", STR_FMT(token_scopes(v->token))),
               "of the same size");
        tailnet_kind_deliver(&v->source, &a);
}

static void on_services(ServiceAsk *s);

static void ask_services(ApiV2 *v)
{
        const ServiceAskCredential with = {v->bearer, token_generation(v->token),
                                           token_scopes(v->token)};

        if (!service_ask_begin(v->services, &with, tailnet_kind_left(&v->source)))
                on_services(v->services);
}

static void on_services(ServiceAsk *s)
{
        ApiV2 *v = service_ask_owner(s);

        v->answer.services = table_ref(service_ask_services(s));
        IGNORE(snprintf(v->answer.warning, sizeof(v->answer.warning), "%s", service_ask_warning(s)),
               "of the same size");
        deliver(v);
}

static void ask_devices(ApiV2 *v);

static void on_devices(DeviceCall *c, TailnetAnswer *answer)
{
        ApiV2 *v = device_call_owner(c);

        v->call = device_call_close(c);
        v->answer = *answer;
        if (answer->status == 401 && !v->is_renewed && token_drop(v->token)) {
                v->is_renewed = true;
                ask_devices(v);
        } else if (answer->devices != NULL) {
                ask_services(v);
        } else {
                deliver(v);
        }
}

static void on_token(Token *t, const TokenResult *result)
{
        ApiV2 *v = token_owner(t);

        if (result->err.kind == ERR_NONE) {
                ask_devices(v);
                return;
        }
        v->answer = (TailnetAnswer){
                .err = result->err, .status = result->status, .retry_after = result->retry_after};
        deliver(v);
}

static void ask_devices(ApiV2 *v)
{
        TailnetSource *s = &v->source;

        v->bearer = token_bearer(v->token);
        if (v->bearer == NULL) {
                token_ask(v->token, tailnet_kind_left(s));
                return;
        }
        v->call = device_call_open(&(DeviceCallInput){
                .http = s->in.http,
                .what = API_V2_DEVICES,
                .url = v->url,
                .bearer = v->bearer,
                .shape = DEVICE_SHAPE_TAILSCALE,
                .suffix = s->in.spec->magic_dns_suffix,
                .before = s->in.devices,
                .deadline = tailnet_kind_left(s),
                .fn = on_devices,
                .owner = v,
        });
}

static void poll_api_v2(TailnetSource *s)
{
        ApiV2 *v = CONTAINER_OF(s, ApiV2, source);

        v->is_renewed = false;
        ask_devices(v);
}

static void free_api_v2(TailnetSource *s)
{
        ApiV2 *v = CONTAINER_OF(s, ApiV2, source);

        v->call = device_call_close(v->call);
        v->services = service_ask_free(v->services);
        v->token = token_close(v->token);
        table_unref(v->answer.devices);
        mem_free(v->url);
        tailnet_kind_done(s);
        mem_free(v);
}

TailnetSource *api_v2_open(const TailnetSourceInput *in, const char *via, Err *err)
{
        static const TailnetKind kind = {poll_api_v2, free_api_v2};
        const TailnetSpec *spec = in->spec;
        CLEANUP(mem_cleanup) char *tailnet = NULL;
        ApiV2 *v = mem_new(sizeof(*v));

        v->token = token_open(&(TokenInput){.loop = in->loop,
                                            .http = in->http,
                                            .api_url = spec->api_url,
                                            .credentials = in->credentials,
                                            .fn = on_token,
                                            .owner = v},
                              err);
        if (v->token == NULL)
                return mem_free(v);
        tailnet_kind_init(&v->source, &kind, in);
        v->via = via;
        tailnet = api_url_new(spec->api_url, STR("/api/v2/tailnet/"),
                              spec->tailnet.n > 0 ? spec->tailnet : STR("-"), (Str){0});
        v->url = api_url_new(str_of(tailnet), STR("/devices?fields=all"), (Str){0}, (Str){0});
        v->services = service_ask_new(&(ServiceAskInput){.loop = in->loop,
                                                         .http = in->http,
                                                         .tailnet_url = str_of(tailnet),
                                                         .interval = spec->poll_interval,
                                                         .before = in->services,
                                                         .fn = on_services,
                                                         .owner = v});
        return &v->source;
}
