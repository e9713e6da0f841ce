/* SPDX-License-Identifier: Apache-2.0 */
/* A file of devices, in any of its forms, with Tailscale Services beside them, and what discovery
 * makes of both: first of the lists alone, then after a restart from what is written of it, with
 * nobody who answers, with one who tells of devices only, and with the same answer: no endpoint is
 * lost or changed. */

#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "discovery/discover.h"
#include "model/manifest.h"
#include "model/render.h"
#include "tailnet/device_file.h"
#include "tailnet/service_list.h"

enum {
        HOSTS_MAX = 3
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const GroupRule groups[] = {
        {.name = STR_INIT("web"), .pattern = STR_INIT("w*")},
        {.name = STR_INIT("db"), .tag = STR_INIT("tag:database")},
};
static const PortRule ports[] = {
        {.pattern = STR_INIT("*-p"), .ports = {{{8000, 8003}, {9, 9}}, 2, true}},
        {.tag = STR_INIT("tag:database"), .ports = {{{5432, 5432}}, 1, false}},
};
static const GatewaySpec gateway = {.meta.key = {STR_INIT("a"), STR_INIT("b")}};
static const TailnetEntry entry = {.name = STR_INIT("corp"),
                                   .discovery = {.enabled = true,
                                                 .groups = groups,
                                                 .n_groups = LENGTH_OF(groups),
                                                 .ports = ports,
                                                 .n_ports = LENGTH_OF(ports),
                                                 .default_port = 80,
                                                 .default_protocol = PROTOCOL_HTTP}};

static void check_endpoint(const Endpoint *e)
{
        INSIST(e->service.n > 0 && e->service.n <= 63 && e->port > 0 && e->ip.n > 0);
        for (size_t i = 0; i < e->service.n; i++) {
                char c = e->service.p[i];

                INSIST((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-');
        }
        INSIST(e->origin == ENDPOINT_DISCOVERED && !e->held);
}

/* What a start reads of what was written of `v`. */
static EntryView *through_cache(const EntryView *v)
{
        CLEANUP(manifest_set_done) ManifestSet set;
        CLEANUP(faults_done) Faults faults;
        CLEANUP(buf_done) Buf text;
        const Endpoint *const *at = (const Endpoint *const *)v->endpoints->at;

        manifest_set_init(&set);
        faults_init(&faults);
        buf_init(&text, MANIFEST_BYTES_MAX);
        for (size_t i = 0; i == 0 || i < v->endpoints->n; i += ENDPOINTS_MAX) {
                size_t n = v->endpoints->n - i;

                buf_reset(&text);
                render_endpoints(v, STR("x"), at + i, n < ENDPOINTS_MAX ? n : ENDPOINTS_MAX, &text);
                INSIST(manifest_read(&set, STR("x.yaml"), buf_str(&text), &faults));
        }
        return discover_from_cache(
                gateway.meta.key, entry.name,
                (const EndpointsSpec *const *)(const void *)set.kinds[MANIFEST_ENDPOINTS].at,
                set.kinds[MANIFEST_ENDPOINTS].n);
}

static EntryView *evaluate(const TailnetState *state, const EntryView *before)
{
        return discover_entry(&(DiscoverInput){.gateway = &gateway,
                                               .entry = &entry,
                                               .state = state,
                                               .before = before,
                                               .now = {1795381081000}});
}

static EntryView *check_step(const TailnetState *state, EntryView *before, const EntryView *first)
{
        EntryView *v = evaluate(state, before);

        INSIST(v->endpoints->n == first->endpoints->n && v->held.n == 0);
        for (size_t i = 0; i < first->endpoints->n; i++)
                INSIST(endpoint_same(first->endpoints->at[i], v->endpoints->at[i]));
        leaf_unref(before);
        return v;
}

static void discover(const Table *devices, const Table *services)
{
        TailnetState state = {
                .sync = SYNC_DONE, .poll = 1, .devices = devices, .services = services};
        EntryView *first = evaluate(&state, NULL), *v;

        TABLE_FOREACH (Endpoint, e, first->endpoints)
                check_endpoint(e);
        v = check_step(NULL, through_cache(first), first);
        state.services = NULL;
        v = check_step(&state, v, first);
        state.services = services;
        state.poll++;
        v = check_step(&state, v, first);
        leaf_unref(v);
        leaf_unref(first);
}

/* Every second one has hosts: the first devices. */
static const void *with_hosts(const TailnetService *s, const Table *devices, bool known)
{
        TailnetService like = *s;
        Str ids[HOSTS_MAX];

        for (size_t i = 0; i < HOSTS_MAX && i < table_n(devices); i++)
                ids[like.hosts.n++] = ((const Device *)devices->at[i])->node_id;
        like.hosts.at = ids;
        like.hosts_known = known;
        like.hosts.n = known ? like.hosts.n : 0;
        like.n_hosts = like.hosts.n;
        return tailnet_service_new(&like);
}

static Table *services_in(Str bytes, const Table *devices)
{
        ServiceList *l = service_list_new();
        Table *t = NULL;

        if (service_list_feed(l, bytes, NULL) && service_list_finish(l, NULL)) {
                size_t n;
                const void **leaves = service_list_take(l, &n);

                for (size_t i = 0; i < n; i++) {
                        const TailnetService *plain = leaves[i];

                        leaves[i] = with_hosts(plain, devices, i % 2 == 0);
                        leaf_unref(plain);
                }
                t = table_new(leaves, n, tailnet_service_order);
                mem_free(leaves);
        }
        service_list_free(l);
        return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        TailnetAnswer a = {0};

        device_file_parse(str_make(data, size), (Str){0}, NULL, &a);
        INSIST((a.devices != NULL) == (a.err.kind == ERR_NONE));
        if (a.devices != NULL) {
                Table *services = services_in(str_make(data, size), a.devices);

                discover(a.devices, services);
                table_unref(services);
        }
        table_unref(a.devices);
        return 0;
}
