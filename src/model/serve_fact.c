/* SPDX-License-Identifier: Apache-2.0 */
#include "model/serve_fact.h"

int serve_fact_cmp(const ServeFact *a, const ServeFact *b)
{
        int c = object_key_cmp(a->gateway, b->gateway);

        if (c == 0)
                c = str_cmp(a->tailnet, b->tailnet);
        if (c == 0)
                c = str_cmp(a->socket, b->socket);
        return c != 0 ? c : a->port < b->port ? -1 : a->port > b->port;
}
