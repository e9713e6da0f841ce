/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list is parsed while it comes, so what is held is one device's text and the devices, not the
 * document. Only an answer of status 200 whose JSON is whole and has the list is a list.
 */
#include "tailnet/headscale.h"

#include <stdio.h>

#include "base/mem.h"
#include "net/http_client.h"
#include "proto/json_stream.h"
#include "tailnet/device_list.h"
#include "tailnet/tailnet_kind.h"

typedef struct Headscale {
        TailnetSource source;
        Secret *api_key; /* owned */
        char *url;       /* owned */
        HttpRequest *request;
        JsonStream *stream;
        DeviceList *list;
        Err parse; /* why on_body said no */
} Headscale;

static void forget_poll(Headscale *h)
{
        h->request = http_request_close(h->request);
        h->stream = json_stream_free(h->stream);
        h->list = device_list_free(h->list);
}

/* Runs inside libcurl: feeds the codec and nothing else. */
static bool on_body(HttpRequest *r, Str chunk)
{
        Headscale *h = http_request_owner(r);

        return json_stream_feed(h->stream, chunk, &h->parse);
}

typedef struct StatusMeaning {
        unsigned from, to;
        ErrKind kind;
        const char *reason;
        const char *hint;
} StatusMeaning;

static void explain_status(unsigned status, const char *url, Err *err)
{
        static const StatusMeaning meanings[] = {
                {401, 401, ERR_DENIED, "Unauthorized", "; the API key is not valid (any more)"},
                {403, 403, ERR_DENIED, "Forbidden", "; the API key may not list devices"},
                {404, 404, ERR_INVALID, "UnexpectedStatus",
                 "; is apiURL that of a Headscale with API v1?"},
                {408, 408, ERR_TRANSIENT, "ServerTimeout", ""},
                {429, 429, ERR_TRANSIENT, "TooManyRequests", ""},
                {503, 503, ERR_TRANSIENT, "ServiceUnavailable", ""},
                {500, 599, ERR_TRANSIENT, "ServerError", ""},
                {0, 999, ERR_INVALID, "UnexpectedStatus", ""},
        };

        for (size_t i = 0; i < LENGTH_OF(meanings); i++) {
                const StatusMeaning *m = &meanings[i];

                if (status < m->from || status > m->to)
                        continue;
                err_set(err, m->kind, m->reason, "%s answered with status %u%s", url, status,
                        m->hint);
                return;
        }
}

/* Status 200 and a whole body: is it a list? */
static void read_list(Headscale *h, TailnetAnswer *a)
{
        if (json_stream_finish(h->stream, &a->err))
                device_list_finish(h->list, a);
}

static void on_done(HttpRequest *r, const HttpResult *result)
{
        Headscale *h = http_request_owner(r);
        TailnetAnswer a = {.retry_after = result->retry_after,
                           .bytes = result->bytes,
                           .seconds = span_seconds(result->took)};

        if (h->parse.kind != ERR_NONE)
                a.err = h->parse;
        else if (result->err.kind != ERR_NONE)
                a.err = result->err;
        else if (result->status != 200)
                explain_status(result->status, h->url, &a.err);
        else
                read_list(h, &a);
        if (a.devices == NULL && result->status == 200)
                err_prefix(&a.err, "%s", h->url);
        forget_poll(h);
        tailnet_kind_deliver(&h->source, &a);
}

static void poll_headscale(TailnetSource *s)
{
        Headscale *h = CONTAINER_OF(s, Headscale, source);

        h->parse = (Err){0};
        h->list = device_list_new(DEVICE_SHAPE_HEADSCALE, s->in.spec->magic_dns_suffix,
                                  s->in.devices);
        h->stream = json_stream_new_parts(device_list_part(DEVICE_SHAPE_HEADSCALE), 1, h->list);
        h->request = http_request_open(s->in.http, &(HttpRequestInput){
                                                           .url = h->url,
                                                           .bearer = h->api_key,
                                                           .accept = "application/json",
                                                           .deadline = SPAN_S(TAILNET_POLL_SECONDS),
                                                           .max_bytes = TAILNET_ANSWER_BYTES_MAX,
                                                           .on_body = on_body,
                                                           .on_done = on_done,
                                                           .owner = h,
                                                   });
}

static void free_headscale(TailnetSource *s)
{
        Headscale *h = CONTAINER_OF(s, Headscale, source);

        forget_poll(h);
        secret_free(h->api_key);
        mem_free(h->url);
        tailnet_kind_done(s);
        mem_free(h);
}

/* apiURL may end in slashes. */
static char *node_url(Str api_url)
{
        static const char path[] = "/api/v1/node";
        char *url = mem_new(api_url.n + sizeof(path));

        while (api_url.n > 0 && api_url.p[api_url.n - 1] == '/')
                api_url.n--;
        snprintf(url, api_url.n + sizeof(path), "%.*s%s", STR_FMT(api_url), path);
        return url;
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
        h->url = node_url(in->spec->api_url);
        return &h->source;
}
