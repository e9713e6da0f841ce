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
