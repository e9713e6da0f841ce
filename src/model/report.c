/* SPDX-License-Identifier: Apache-2.0 */
#include "model/report.h"

static int number_order(unsigned a, unsigned b)
{
        return a < b ? -1 : a > b;
}

int route_report_order(const void *a, const void *b)
{
        const RouteReport *x = a, *y = b;
        int c = object_key_cmp(x->gateway, y->gateway);

        if (c == 0)
                c = str_cmp(x->tailnet, y->tailnet);
        if (c == 0)
                c = str_cmp(x->service, y->service);
        if (c == 0)
                c = str_cmp(x->path, y->path);
        if (c == 0)
                c = str_cmp(x->host, y->host);
        if (c == 0)
                c = number_order(x->port, y->port);
        if (c == 0)
                c = number_order(x->protocol, y->protocol);
        if (c == 0)
                c = number_order(x->listener_port, y->listener_port);
        if (c == 0)
                c = str_cmp(x->listener, y->listener);
        /* The hostname of a listener is its catch-all host, and may be named among pathHosts, too.
         */
        if (c == 0)
                c = (int)x->catch_all - (int)y->catch_all;
        return c != 0 ? c : (x->backend != NULL) - (y->backend != NULL);
}

static bool backend_same(const RouteBackend *a, const RouteBackend *b)
{
        if (a == NULL || b == NULL)
                return a == b;
        return object_key_eq(a->service, b->service) && str_eq(a->kind, b->kind) &&
               str_eq(a->path, b->path);
}

bool route_report_same(const void *a, const void *b)
{
        const RouteReport *x = a, *y = b;

        return route_report_order(x, y) == 0 && object_key_eq(x->eg_gateway, y->eg_gateway) &&
               str_eq(x->cluster, y->cluster) && x->listener_port == y->listener_port &&
               x->catch_all == y->catch_all && x->programmed == y->programmed &&
               str_eq(x->reason, y->reason) && str_eq(x->text, y->text) &&
               backend_same(x->backend, y->backend);
}

int entry_report_order(const void *a, const void *b)
{
        const EntryReport *x = a, *y = b;
        int c = object_key_cmp(x->gateway, y->gateway);

        return c != 0 ? c : str_cmp(x->tailnet, y->tailnet);
}

int gateway_report_order(const void *a, const void *b)
{
        const GatewayReport *x = a, *y = b;

        return object_key_cmp(x->eg_gateway, y->eg_gateway);
}

int way_report_order(const void *a, const void *b)
{
        const WayReport *x = a, *y = b;
        int c = object_key_cmp(x->gateway, y->gateway);

        return c != 0 ? c : str_cmp(x->tailnet, y->tailnet);
}

int gateway_report_find(const void *key, const void *leaf)
{
        const GatewayReport *r = leaf;

        return object_key_cmp(*(const ObjectKey *)key, r->eg_gateway);
}

void report_drop(Leaf *leaf)
{
        const Report *r = (const Report *)leaf;

        table_unref(r->routes);
        table_unref(r->entries);
        table_unref(r->gateways);
        table_unref(r->ways);
}
