/* SPDX-License-Identifier: Apache-2.0 */
#include "tailnet/tailnet_source.h"

#include "tailnet/device_file.h"
#include "tailnet/headscale.h"
#include "tailnet/tailnet_kind.h"

/* The host of an URL, without port. */
static Str host_of(Str url)
{
        ptrdiff_t from = str_find_str(url, STR("://"));
        size_t n = 0;

        if (from < 0)
                return (Str){0};
        url = str_sub(url, (size_t)from + 3, SIZE_MAX);
        while (n < url.n && url.p[n] != '/' && url.p[n] != ':')
                n++;
        return str_sub(url, 0, n);
}

static bool is_tailscale(const TailnetSpec *spec)
{
        if (spec->type != TAILNET_AUTO)
                return spec->type == TAILNET_TAILSCALE;
        return str_eq_fold(host_of(spec->api_url), STR("api.tailscale.com"));
}

TailnetSource *tailnet_source_open(const TailnetSourceInput *in, Err *err)
{
        if (in->spec->file_path.n > 0)
                return device_file_open(in);
        if (is_tailscale(in->spec)) {
                err_set(err, ERR_INVALID, "NotSupportedYet",
                        "this version does not speak Tailscale's API (%.*s); Headscale and file do",
                        STR_FMT(in->spec->api_url));
                return NULL;
        }
        return headscale_open(in, err);
}

TailnetSource *tailnet_source_open_local(const TailnetSourceInput *in, Err *err)
{
        err_set(err, ERR_INVALID, "NoLocalAPI", "localAPI.socket is not given for %.*s",
                STR_FMT(in->spec->meta.key.name));
        return NULL;
}

void tailnet_source_poll(TailnetSource *s)
{
        if (s->is_polling)
                return;
        s->is_polling = true;
        s->kind->poll(s);
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
