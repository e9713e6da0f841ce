/* SPDX-License-Identifier: Apache-2.0 */
/* A file of devices, in any of its forms, and what discovery makes of it: first of the list alone,
 * then after a restart from what was found, which must not lose or change an endpoint. */

#include <stddef.h>
#include <stdint.h>

#include "discovery/discover.h"
#include "tailnet/device_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_endpoint(const Endpoint *e)
{
        INSIST(e->service.n > 0 && e->service.n <= 63 && e->port > 0 && e->ip.n > 0);
        for (size_t i = 0; i < e->service.n; i++) {
                char c = e->service.p[i];

                INSIST((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-');
        }
        INSIST(e->origin == ENDPOINT_DISCOVERED && !e->held);
}

static void discover(const Table *devices)
{
        static const GatewaySpec gateway = {.meta.key = {STR_INIT("a"), STR_INIT("b")}};
        static const TailnetEntry entry = {.name = STR_INIT("corp"),
                                           .discovery = {.enabled = true,
                                                         .default_port = 80,
                                                         .default_protocol = PROTOCOL_HTTP}};
        const TailnetState state = {.sync = SYNC_DONE, .poll = 1, .devices = devices};
        DiscoverInput in = {.gateway = &gateway, .entry = &entry, .state = &state, .now = {1}};
        EntryView *first = discover_entry(&in), *cached, *again;
        EndpointsSpec shard = {.endpoints = (const Endpoint *const *)first->endpoints->at,
                               .n = first->endpoints->n};

        TABLE_FOREACH (Endpoint, e, first->endpoints)
                check_endpoint(e);
        cached = discover_from_cache(gateway.meta.key, entry.name,
                                     (const EndpointsSpec *const[]){&shard}, 1);
        in.before = cached;
        again = discover_entry(&in);
        INSIST(again->endpoints->n == first->endpoints->n && again->held.n == 0);
        for (size_t i = 0; i < first->endpoints->n; i++)
                INSIST(endpoint_same(first->endpoints->at[i], again->endpoints->at[i]));
        leaf_unref(first);
        leaf_unref(cached);
        leaf_unref(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        TailnetAnswer a = {0};

        device_file_parse(str_make(data, size), (Str){0}, NULL, &a);
        INSIST((a.devices != NULL) == (a.err.kind == ERR_NONE));
        if (a.devices != NULL)
                discover(a.devices);
        table_unref(a.devices);
        return 0;
}
