/* SPDX-License-Identifier: Apache-2.0 */
#include "tailnet/device_call.h"

#include "base/mem.h"
#include "proto/json_stream.h"

struct DeviceCall {
        DeviceCallInput in;
        HttpRequest *request; /* owned, as the next two */
        JsonStream *stream;
        DeviceList *list;
        Err parse; /* why on_body said no */
};

/* Runs inside libcurl: feeds the codec and nothing else. */
static bool on_body(HttpRequest *r, Str chunk)
{
        DeviceCall *c = http_request_owner(r);

        return json_stream_feed(c->stream, chunk, &c->parse);
}

/* Status 200 and a whole body: is it a list? */
static void read_list(DeviceCall *c, TailnetAnswer *a)
{
        if (json_stream_finish(c->stream, &a->err))
                device_list_finish(c->list, a);
        if (a->devices == NULL)
                err_prefix(&a->err, "%s", c->in.url);
}

static void on_done(HttpRequest *r, const HttpResult *result)
{
        DeviceCall *c = http_request_owner(r);
        ApiAsked asked = {c->in.what, c->in.url, {c->in.bearer}};
        TailnetAnswer a = {.retry_after = result->retry_after,
                           .date = result->date,
                           .bytes = result->bytes,
                           .seconds = span_seconds(result->took),
                           .status = result->status};

        if (c->parse.kind != ERR_NONE) {
                a.err = c->parse;
                err_prefix(&a.err, "%s", c->in.url);
        } else if (api_error_check(&asked, result, &a.err)) {
                read_list(c, &a);
        }
        api_error_hide(&asked, &a.err);
        c->in.fn(c, &a);
}

DeviceCall *device_call_open(const DeviceCallInput *in)
{
        DeviceCall *c = mem_new(sizeof(*c));

        c->in = *in;
        c->list = device_list_new(in->shape, in->suffix, in->before);
        c->stream = json_stream_new_parts(device_list_part(in->shape), 1, c->list);
        c->request = http_request_open(in->http, &(HttpRequestInput){
                                                         .url = in->url,
                                                         .bearer = in->bearer,
                                                         .accept = "application/json",
                                                         .deadline = in->deadline,
                                                         .max_bytes = TAILNET_ANSWER_BYTES_MAX,
                                                         .on_body = on_body,
                                                         .on_done = on_done,
                                                         .owner = c,
                                                 });
        return c;
}

void *device_call_owner(const DeviceCall *c)
{
        return c->in.owner;
}

DeviceCall *device_call_close(DeviceCall *c)
{
        if (c == NULL)
                return NULL;
        c->request = http_request_close(c->request);
        c->stream = json_stream_free(c->stream);
        c->list = device_list_free(c->list);
        return mem_free(c);
}
