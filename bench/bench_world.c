/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_world.h"

#include <stdio.h>

#include "base/mem.h"
#include "model/manifest.h"

enum {
        DEVICE_TEXT_MAX = 64
};

static const char all_taken[] =
        "apiVersion: gateway.tailscale.com/v1alpha1\n"
        "kind: TailscaleTailnet\n"
        "metadata: {name: corp-tailnet, namespace: demo}\n"
        "spec: {file: {path: devices.json}, proxyAddresses: [\"127.0.0.1:3128\"]}\n"
        "---\n"
        "apiVersion: gateway.tailscale.com/v1alpha1\n"
        "kind: TailscaleGateway\n"
        "metadata: {name: corp-gateway, namespace: demo}\n"
        "spec:\n"
        "  gatewayRef: {name: gw}\n"
        "  tailnets:\n"
        "  - name: corp\n"
        "    tailscaleTailnetRef: {name: corp-tailnet}\n"
        "    serviceDiscovery: {defaultPort: {port: 80, protocol: HTTP}}\n"
        "    routeGeneration: {egress: {hostPattern: \"{service}.tailscale.local\", pathPrefix: "
        "/}}\n"
        "---\n"
        "apiVersion: gateway.networking.k8s.io/v1\n"
        "kind: Gateway\n"
        "metadata: {name: gw, namespace: demo}\n"
        "spec: {gatewayClassName: eg, listeners: [{name: http, protocol: HTTP, port: 10080}]}\n";

static void read_manifests(BenchWorld *b, const char *manifests)
{
        Faults faults;
        ManifestSet set;
        faults_init(&faults);
        manifest_set_init(&set);
        bool good = manifest_read(&set, STR("bench.yaml"), str_of(manifests), &faults);
        INSIST(good);
        b->in.tailnets = manifest_table(&set, MANIFEST_TAILNET, NULL);
        b->in.gateways = manifest_table(&set, MANIFEST_GATEWAY, NULL);
        b->in.endpoints = manifest_table(&set, MANIFEST_ENDPOINTS, NULL);
        b->in.eg_gateways = manifest_table(&set, MANIFEST_EG_GATEWAY, NULL);
        b->in.eg_routes = manifest_table(&set, MANIFEST_EG_ROUTE, NULL);
        manifest_set_done(&set);
        faults_done(&faults);
}

static Device *device(size_t i, uint32_t address)
{
        char id[DEVICE_TEXT_MAX], name[DEVICE_TEXT_MAX], short_name[DEVICE_TEXT_MAX],
                ip[DEVICE_TEXT_MAX];
        snprintf(id, sizeof id, "n%06zu", i);
        snprintf(short_name, sizeof short_name, "api-%06zu", i);
        snprintf(name, sizeof name, "api-%06zu.corp.ts.net", i);
        /* 100.64.0.0/10 */
        snprintf(ip, sizeof ip, "100.%u.%u.%u", 64 + (address >> 16 & 63), address >> 8 & 255,
                 address & 255);
        return device_new(&(Device){
                .node_id = str_of(id),
                .name = str_of(name),
                .short_name = str_of(short_name),
                .ip4 = str_of(ip),
                .os = STR("linux"),
                .user = STR("alice@example.com"),
                .online = DEVICE_ONLINE,
                .authorized = true,
        });
}

void bench_world_open(BenchWorld *b, const char *manifests)
{
        *b = (BenchWorld){.world = world_new_empty()};
        read_manifests(b, manifests);
        b->in.resources_read = true;
        b->in.proxies_resolved = true;
        b->in.now = (Wall){1800000000000};
}

void bench_world_init(BenchWorld *b, size_t n, size_t room)
{
        bench_world_open(b, all_taken);
        b->room = room;
        b->devices = mem_new_array(room + 1, sizeof *b->devices);
        while (b->n < n)
                bench_world_add(b);
        bench_world_poll(b);
        bench_world_translate(b);
}

void bench_world_done(BenchWorld *b)
{
        for (size_t i = 0; i < b->n; i++)
                leaf_unref(b->devices[i]);
        mem_free(b->devices);
        table_unref(b->in.tailnets);
        table_unref(b->in.gateways);
        table_unref(b->in.endpoints);
        table_unref(b->in.eg_gateways);
        table_unref(b->in.eg_routes);
        table_unref(b->in.tailnet_states);
        snapshot_unref(b->snapshot);
        leaf_unref(b->report);
        leaf_unref(b->world);
}

void bench_world_move(BenchWorld *b, size_t i, uint32_t address)
{
        INSIST(i < b->n);
        leaf_unref(b->devices[i]);
        b->devices[i] = device(i, address);
}

void bench_world_add(BenchWorld *b)
{
        INSIST(b->n < b->room);
        b->devices[b->n] = device(b->n, (uint32_t)b->n + 1);
        b->n++;
}

void bench_world_remove(BenchWorld *b)
{
        INSIST(b->n > 0);
        b->n--;
        leaf_unref(b->devices[b->n]);
}

static ObjectKey tailnet_key(const char *name)
{
        return (ObjectKey){STR("demo"), str_of(name)};
}

static const TailnetState *state_of(const BenchWorld *b, const char *name)
{
        ObjectKey key = tailnet_key(name);
        return table_find(b->in.tailnet_states, &key, tailnet_state_find);
}

const Table *bench_world_devices(const BenchWorld *b, const char *name)
{
        const TailnetState *state = state_of(b, name);
        return state != NULL ? state->devices : NULL;
}

void bench_world_answer(BenchWorld *b, const char *name, Table *devices)
{
        const TailnetState *before = state_of(b, name);
        ObjectKey key = tailnet_key(name);
        TailnetState *state =
                leaf_new(sizeof *state, leaf_room_str(key.namespace) + leaf_room_str(key.name),
                         tailnet_state_drop);
        state->key = (ObjectKey){leaf_str(&state->leaf, key.namespace),
                                 leaf_str(&state->leaf, key.name)};
        state->sync = SYNC_DONE;
        state->last_sync = b->in.now;
        state->n_devices = devices->n;
        state->poll = before != NULL ? before->poll + 1 : 1;
        state->devices = devices;
        /* The first of one key stays, so the new one stands before the old. */
        size_t n = 0;
        CLEANUP(mem_cleanup)
        const void **leaves = mem_new_array(table_n(b->in.tailnet_states) + 1, sizeof *leaves);
        leaves[n++] = state;
        TABLE_FOREACH (TailnetState, s, b->in.tailnet_states)
                leaves[n++] = leaf_ref(s);
        Table *states = table_new(leaves, n, tailnet_state_order);
        table_unref(b->in.tailnet_states);
        b->in.tailnet_states = states;
}

void bench_world_discover(BenchWorld *b)
{
        b->in.now.ms += 1000;
        b->in.before = b->world;
        const World *next = world_build(&b->in);
        leaf_unref(b->world);
        b->world = next;
}

/* As a source does: a list in which everything is new, merged with the one before. */
void bench_world_poll(BenchWorld *b)
{
        static const char name[] = "corp-tailnet";
        CLEANUP(mem_cleanup) const void **leaves = mem_new_array(b->n + 1, sizeof *leaves);
        for (size_t i = 0; i < b->n; i++)
                leaves[i] = device_new(b->devices[i]);
        bench_world_answer(b, name,
                           table_update(bench_world_devices(b, name), leaves, b->n, device_order,
                                        device_same));
        bench_world_discover(b);
}

void bench_world_translate(BenchWorld *b)
{
        Report *report = NULL;
        Snapshot *next = snapshot_new(b->world, b->snapshot, &report);
        snapshot_unref(b->snapshot);
        leaf_unref(b->report);
        b->snapshot = next;
        b->report = report;
}
