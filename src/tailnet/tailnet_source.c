/* SPDX-License-Identifier: Apache-2.0 */
#include "tailnet/tailnet_source.h"

#include "model/value_check.h"
#include "tailnet/api_auto.h"
#include "tailnet/api_v2.h"
#include "tailnet/device_file.h"
#include "tailnet/local_source.h"
#include "tailnet/tailnet_kind.h"

static bool is_tailscale(const TailnetSpec *spec)
{
        if (spec->type != TAILNET_AUTO)
                return spec->type == TAILNET_TAILSCALE;
        return str_eq_fold(value_url_host(spec->api_url), STR("api.tailscale.com"));
}

TailnetSource *tailnet_source_open(const TailnetSourceInput *in, Err *err)
{
        if (in->spec->file_path.n > 0)
                return device_file_open(in);
        if (tailnet_spec_is_local(in->spec))
                return tailnet_source_open_local(in, err);
        if (is_tailscale(in->spec))
                return api_v2_open(in, "tailscale-v2", err);
        return api_auto_open(in, err);
}

TailnetSource *tailnet_source_open_local(const TailnetSourceInput *in, Err *err)
{
        return local_source_open(in, err);
}

void tailnet_source_poll(TailnetSource *s)
{
        if (!s->is_polling)
                tailnet_kind_poll(s, mono_add(loop_now(s->in.loop), SPAN_S(TAILNET_POLL_SECONDS)));
}

bool tailnet_source_is_polling(const TailnetSource *s)
{
        return s->is_polling;
}

void *tailnet_source_owner(const TailnetSource *s)
{
        return s->in.owner;
}

TailnetSource *tailnet_source_close(TailnetSource *s)
{
        if (s != NULL)
                s->kind->free(s);
        return NULL;
}
