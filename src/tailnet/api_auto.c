/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the answer of API v2 means while it is not known what the server speaks:
 *
 *   a list                      API v2
 *   404, no list, a redirect    API v1 is tried; its answer counts
 *   401, 403                    API v1 is tried; where it has a list it is API v1, else the answer
 *                               of API v2 is told
 *   5xx, 429, no connection     nothing: the server did not say
 *
 * A server that spoke before and now says 404 may be another one, or have a bad minute: that poll
 * fails, which takes nothing away, and the next one finds out.
 */
#include "tailnet/api_auto.h"

#include "base/mem.h"
#include "tailnet/api_v2.h"
#include "tailnet/headscale.h"
#include "tailnet/tailnet_kind.h"

typedef struct ApiAuto {
        TailnetSource source;
        TailnetSource *v2; /* owned, as v1; NULL without an API key */
        TailnetSource *v1;
        TailnetSource *known; /* which of them it is; NULL: not known */
        TailnetAnswer first;  /* of API v2, while API v1 is tried; holds nothing */
} ApiAuto;

static bool may_be_other(const TailnetAnswer *a)
{
        return a->err.kind == ERR_DENIED || a->err.kind == ERR_INVALID;
}

/* Both failed. What API v1 did not say is no reason against it, so that is told alone. */
static void tell_both(const ApiAuto *x, TailnetAnswer *a)
{
        if (x->first.err.kind == ERR_DENIED)
                *a = x->first;
        else if (a->err.kind != ERR_TRANSIENT)
                err_prefix(&a->err, "neither API v2 nor API v1: %.*s; then ",
                           (int)(sizeof(x->first.err.text) / 2), x->first.err.text);
}

static void on_answer(TailnetSource *part, TailnetAnswer *a)
{
        ApiAuto *x = tailnet_source_owner(part);
        bool is_second = part == x->v1 && x->known == NULL;

        if (x->known == NULL && part == x->v2 && x->v1 != NULL && a->devices == NULL &&
            may_be_other(a)) {
                x->first = *a;
                tailnet_kind_poll_part(x->v1, &x->source);
                return;
        }
        if (a->devices != NULL)
                x->known = part;
        else if (is_second)
                tell_both(x, a);
        else if (a->status == 404 && x->known != NULL) {
                x->known = NULL;
                err_prefix(&a->err, "what it speaks is found out again at the next poll");
        }
        tailnet_kind_deliver(&x->source, a);
}

static void poll_auto(TailnetSource *s)
{
        ApiAuto *x = CONTAINER_OF(s, ApiAuto, source);

        tailnet_kind_poll_part(x->known != NULL ? x->known : x->v2, s);
}

static void free_auto(TailnetSource *s)
{
        ApiAuto *x = CONTAINER_OF(s, ApiAuto, source);

        x->v2 = tailnet_source_close(x->v2);
        x->v1 = tailnet_source_close(x->v1);
        tailnet_kind_done(s);
        mem_free(x);
}

TailnetSource *api_auto_open(const TailnetSourceInput *in, Err *err)
{
        static const TailnetKind kind = {poll_auto, free_auto};
        TailnetSourceInput part = *in;
        ApiAuto *x = mem_new(sizeof(*x));

        part.fn = on_answer;
        part.changed = NULL;
        part.owner = x;
        x->v2 = api_v2_open(&part, "headscale-v2", err);
        if (x->v2 == NULL)
                return mem_free(x);
        if (in->credentials.api_key != NULL)
                x->v1 = headscale_open(&part, NULL);
        tailnet_kind_init(&x->source, &kind, in);
        return &x->source;
}
