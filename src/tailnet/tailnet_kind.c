/* SPDX-License-Identifier: Apache-2.0 */
#include "tailnet/tailnet_kind.h"

void tailnet_kind_init(TailnetSource *s, const TailnetKind *kind, const TailnetSourceInput *in)
{
        s->kind = kind;
        s->in = *in;
        s->in.credentials = (TailnetCredentials){0};
        s->in.spec = leaf_ref(in->spec);
        s->in.devices = table_ref(in->devices);
        s->in.services = table_ref(in->services);
}

void tailnet_kind_done(TailnetSource *s)
{
        s->in.spec = leaf_unref(s->in.spec);
        s->in.devices = table_unref(s->in.devices);
        s->in.services = table_unref(s->in.services);
}

void tailnet_kind_poll(TailnetSource *s, Mono until)
{
        s->is_polling = true;
        s->until = until;
        s->kind->poll(s);
}

static void lend(const Table **to, const Table *from)
{
        const Table *old = *to;

        *to = table_ref(from);
        table_unref(old);
}

void tailnet_kind_poll_part(TailnetSource *part, const TailnetSource *whole)
{
        lend(&part->in.devices, whole->in.devices);
        lend(&part->in.services, whole->in.services);
        tailnet_kind_poll(part, whole->until);
}

Span tailnet_kind_left(const TailnetSource *s)
{
        Span left = mono_since(s->until, loop_now(s->in.loop));

        return left.ns > 0 ? left : (Span){1};
}

void tailnet_kind_deliver(TailnetSource *s, TailnetAnswer *answer)
{
        s->is_polling = false;
        if (answer->devices != NULL) {
                table_unref(s->in.devices);
                s->in.devices = table_ref(answer->devices);
        }
        if (answer->services != NULL) {
                table_unref(s->in.services);
                s->in.services = table_ref(answer->services);
        }
        s->in.fn(s, answer);
}
