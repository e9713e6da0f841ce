/* SPDX-License-Identifier: Apache-2.0 */
#include "tailnet/headscale.h"

#include "base/mem.h"
#include "tailnet/api_url.h"
#include "tailnet/device_call.h"
#include "tailnet/tailnet_kind.h"

typedef struct Headscale {
        TailnetSource source;
        Secret *api_key; /* owned */
        char *url;       /* owned */
        DeviceCall *call;
} Headscale;

static void on_devices(DeviceCall *c, TailnetAnswer *answer)
{
        Headscale *h = device_call_owner(c);

        answer->via = "headscale-v1";
        h->call = device_call_close(c);
        tailnet_kind_deliver(&h->source, answer);
}

static void poll_headscale(TailnetSource *s)
{
        Headscale *h = CONTAINER_OF(s, Headscale, source);

        h->call = device_call_open(&(DeviceCallInput){
                .http = s->in.http,
                .what = API_V1_NODES,
                .url = h->url,
                .bearer = h->api_key,
                .shape = DEVICE_SHAPE_HEADSCALE,
                .suffix = s->in.spec->magic_dns_suffix,
                .before = s->in.devices,
                .deadline = tailnet_kind_left(s),
                .fn = on_devices,
                .owner = h,
        });
}

static void free_headscale(TailnetSource *s)
{
        Headscale *h = CONTAINER_OF(s, Headscale, source);

        h->call = device_call_close(h->call);
        secret_free(h->api_key);
        mem_free(h->url);
        tailnet_kind_done(s);
        mem_free(h);
}

TailnetSource *headscale_open(const TailnetSourceInput *in, Err *err)
{
        static const TailnetKind kind = {poll_headscale, free_headscale};
        Headscale *h;

        if (in->credentials.api_key == NULL) {
                err_set(err, ERR_MISSING, "CredentialMissing",
                        "no api_key: name a Secret in credentials.secretRef, or a variable in "
                        "credentials.env");
                return NULL;
        }
        h = mem_new(sizeof(*h));
        tailnet_kind_init(&h->source, &kind, in);
        h->api_key = secret_dup(in->credentials.api_key);
        h->url = api_url_new(in->spec->api_url, STR("/api/v1/node"), (Str){0}, (Str){0});
        return &h->source;
}
