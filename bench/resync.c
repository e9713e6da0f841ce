/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the answer of a control server with very many devices costs: the first one, one that brings
 * nothing new, one in which a device of a hundred has another address. Each is read in pieces from
 * a file, as it comes from a socket, and goes all the way to a Snapshot.
 *
 *   resync DEVICES TAILNETS ROUNDS FOLDER    prints one JSON object
 *
 * DEVICES are shared out among TAILNETS, whose answers come one after the other, each with a World
 * and a Snapshot of its own. CPU time is that of the program's own work: making the answer and
 * reading the file are not in it. FOLDER/answer.json is the last answer.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <yajl/yajl_parse.h>

#include "base/map.h"
#include "base/mem.h"
#include "bench_world.h"
#include "device_text.h"
#include "process.h"
#include "proto/json_stream.h"
#include "tailnet/device_list.h"
#include "translate/contribution.h"

enum {
        DEVICES_MAX = 200000,
        LISTS_MAX = 10,
        ROUNDS_MAX = 10,
        PIECE = 16 << 10, /* what libcurl hands over at once */
        MANIFEST_MAX = 64 << 10,
        NAME_MAX_BYTES = 32,
        PATH_MAX_BYTES = 4096,
};

typedef struct Bench {
        BenchWorld b;
        size_t n, tailnets; /* devices of each */
        char path[PATH_MAX_BYTES];
        unsigned answers;
} Bench;

/* CPU time in milliseconds, and what was made. */
typedef struct Cost {
        double parse, table, world, snapshot;
        size_t devices, endpoints, packs; /* leaves made anew that stayed */
        uint64_t bytes, peak_kib;
} Cost;

/* --- what is new --- */

/* Leaves of `now` that are not in `before`, both sorted. */
static size_t count_new(const Table *now, const Table *before, TableOrder *order)
{
        size_t n = 0, j = 0;
        for (size_t i = 0; i < table_n(now); i++) {
                while (j < table_n(before) && order(before->at[j], now->at[i]) < 0)
                        j++;
                n += j == table_n(before) || before->at[j] != now->at[i];
        }
        return n;
}

static void note_pack(Map *seen, const Pack *const *p, size_t *n)
{
        if (map_put(seen, str_make(p, sizeof(*p)), seen) == NULL)
                (*n)++;
}

/* Packs of the newest contribution that `seen` has not yet. */
static size_t note_packs(Map *seen, const Snapshot *s)
{
        size_t n = 0;
        for (size_t i = 0; s != NULL && i < snapshot_n_gateways(s); i++) {
                const Contribution *c = snapshot_gateway_at(s, i);
                for (size_t j = 0; j < c->n_clusters; j++)
                        note_pack(seen, &c->clusters[j], &n);
                for (size_t t = 0; t < c->n_targets; t++)
                        for (size_t j = 0; j < c->targets[t].n_hosts; j++)
                                note_pack(seen, &c->targets[t].hosts[j], &n);
        }
        return n;
}

static void count_made(Cost *c, const World *before, const Snapshot *old, const BenchWorld *b)
{
        Map seen;
        TABLE_FOREACH (EntryView, v, b->world->entries) {
                EntryKey key = {v->gateway, v->tailnet};
                const EntryView *was = table_find(before->entries, &key, entry_view_find);
                c->endpoints += count_new(v->endpoints, was != NULL ? was->endpoints : NULL,
                                          endpoint_order);
        }
        map_init(&seen);
        note_packs(&seen, old);
        c->packs += note_packs(&seen, b->snapshot);
        map_done(&seen);
}

/* --- one answer --- */

static double lap(double *at)
{
        double was = *at;
        *at = process_cpu_ms();
        return *at - was;
}

static void write_answer(Bench *x, size_t tailnet, unsigned moved)
{
        FILE *f = fopen(x->path, "w");
        INSIST(f != NULL);
        INSIST(device_text_write(f, &(DeviceAnswer){tailnet * x->n, x->n, x->answers, moved}));
        INSIST(fclose(f) == 0);
}

static Table *read_answer(Bench *x, const Table *before, Cost *c)
{
        static char piece[PIECE];
        double start = process_cpu_ms();
        DeviceList *list = device_list_new(DEVICE_SHAPE_TAILSCALE, STR(""), before);
        JsonStream *stream =
                json_stream_new_parts(device_list_part(DEVICE_SHAPE_TAILSCALE), 1, list);
        c->table += lap(&start);
        int fd = open(x->path, O_RDONLY | O_CLOEXEC);
        INSIST(fd >= 0);
        TailnetAnswer answer = {0};
        for (ssize_t n; (n = read(fd, piece, sizeof piece)) > 0;) {
                double at = process_cpu_ms();
                bool good = json_stream_feed(stream, str_make(piece, (size_t)n), &answer.err);
                c->parse += lap(&at);
                c->bytes += (uint64_t)n;
                INSIST(good);
        }
        close(fd);
        double at = process_cpu_ms();
        bool good = json_stream_finish(stream, &answer.err);
        INSIST(good);
        device_list_finish(list, &answer);
        INSIST(answer.devices != NULL && answer.devices->n == x->n && answer.n_invalid == 0);
        json_stream_free(stream);
        device_list_free(list);
        c->table += lap(&at);
        return answer.devices;
}

static void one_answer(Bench *x, size_t tailnet, Cost *c)
{
        char name[NAME_MAX_BYTES];
        snprintf(name, sizeof name, "tailnet-%zu", tailnet);
        Table *before = table_ref(bench_world_devices(&x->b, name));
        const World *world = leaf_ref(x->b.world);
        Snapshot *snapshot = x->b.snapshot != NULL ? snapshot_ref(x->b.snapshot) : NULL;
        Table *devices = read_answer(x, before, c);
        c->devices += count_new(devices, before, device_order);
        double at = process_cpu_ms();
        bench_world_answer(&x->b, name, devices);
        bench_world_discover(&x->b);
        c->world += lap(&at);
        /* As the program does. */
        if (x->b.world != world)
                bench_world_translate(&x->b);
        c->snapshot += lap(&at);
        count_made(c, world, snapshot, &x->b);
        at = process_cpu_ms();
        table_unref(before);
        leaf_unref(world);
        snapshot_unref(snapshot);
        c->table += lap(&at);
}

/* An answer of each tailnet. */
static Cost all_answers(Bench *x, unsigned moved)
{
        Cost c = {0};
        for (size_t i = 0; i < x->tailnets; i++) {
                write_answer(x, i, moved);
                process_reset_peak();
                one_answer(x, i, &c);
                uint64_t peak = process_peak_kib();
                if (c.peak_kib < peak)
                        c.peak_kib = peak;
        }
        x->answers++;
        return c;
}

/* --- the parser alone --- */

static int on_scalar(void *ctx)
{
        (void)ctx;
        return 1;
}

static int on_boolean(void *ctx, int v)
{
        (void)v;
        return on_scalar(ctx);
}

static int on_number(void *ctx, const char *p, size_t n)
{
        (void)p, (void)n;
        return on_scalar(ctx);
}

static int on_text(void *ctx, const unsigned char *p, size_t n)
{
        (void)p, (void)n;
        return on_scalar(ctx);
}

/* CPU time that yajl takes for the last answer, with callbacks that do nothing. */
static double bare_parse(const Bench *x)
{
        static char piece[PIECE];
        static const yajl_callbacks callbacks = {
                .yajl_null = on_scalar,
                .yajl_boolean = on_boolean,
                .yajl_number = on_number,
                .yajl_string = on_text,
                .yajl_start_map = on_scalar,
                .yajl_map_key = on_text,
                .yajl_end_map = on_scalar,
                .yajl_start_array = on_scalar,
                .yajl_end_array = on_scalar,
        };
        yajl_handle yajl = yajl_alloc(&callbacks, NULL, NULL);
        int fd = open(x->path, O_RDONLY | O_CLOEXEC);
        INSIST(yajl != NULL && fd >= 0);
        double took = 0;
        for (ssize_t n; (n = read(fd, piece, sizeof piece)) > 0;) {
                double at = process_cpu_ms();
                INSIST(yajl_parse(yajl, (const unsigned char *)piece, (size_t)n) == yajl_status_ok);
                took += lap(&at);
        }
        close(fd);
        yajl_free(yajl);
        return took;
}

/* --- the whole --- */

static void open_world(Bench *x)
{
        Buf text;
        buf_init(&text, MANIFEST_MAX);
        buf_add_str(&text,
                    STR("apiVersion: gateway.networking.k8s.io/v1\n"
                        "kind: Gateway\n"
                        "metadata: {name: gw, namespace: demo}\n"
                        "spec: {gatewayClassName: eg, listeners: [{name: http, protocol: HTTP, "
                        "port: 10080}]}\n"));
        for (size_t i = 0; i < x->tailnets; i++)
                buf_printf(&text,
                           "---\n"
                           "apiVersion: gateway.tailscale.com/v1alpha1\n"
                           "kind: TailscaleTailnet\n"
                           "metadata: {name: tailnet-%zu, namespace: demo}\n"
                           "spec: {file: {path: devices.json}, proxyAddresses: "
                           "[\"127.0.0.1:%zu\"]}\n",
                           i, 3128 + i);
        buf_add_str(&text, STR("---\n"
                               "apiVersion: gateway.tailscale.com/v1alpha1\n"
                               "kind: TailscaleGateway\n"
                               "metadata: {name: corp-gateway, namespace: demo}\n"
                               "spec:\n"
                               "  gatewayRef: {name: gw}\n"
                               "  tailnets:\n"));
        for (size_t i = 0; i < x->tailnets; i++)
                buf_printf(&text,
                           "  - name: net-%zu\n"
                           "    tailscaleTailnetRef: {name: tailnet-%zu}\n"
                           "    serviceDiscovery: {patterns: [\"api-*\"], defaultPort: {port: 80, "
                           "protocol: HTTP}}\n"
                           "    routeGeneration: {egress: {hostPattern: "
                           "\"{service}.net-%zu.local\", pathPrefix: /}}\n",
                           i, i, i);
        CLEANUP(mem_cleanup) char *manifests = buf_take(&text, NULL);
        INSIST(manifests != NULL);
        bench_world_open(&x->b, manifests);
        buf_done(&text);
}

static double total(const Cost *c)
{
        return c->parse + c->table + c->world + c->snapshot;
}

static void print_cost(const char *name, const Cost *c)
{
        printf(", \"%s\": {\"cpu\": %.1f, \"parse\": %.1f, \"table\": %.1f, \"world\": %.1f, "
               "\"snapshot\": %.1f, \"devices\": %zu, \"endpoints\": %zu, \"packs\": %zu, "
               "\"bytes\": %llu, \"peak_kib\": %llu}",
               name, total(c), c->parse, c->table, c->world, c->snapshot, c->devices, c->endpoints,
               c->packs, (unsigned long long)c->bytes, (unsigned long long)c->peak_kib);
}

/* Of several: the one of middle cost, with the largest peak. */
static Cost middle(Cost *costs, size_t n)
{
        uint64_t peak = 0;
        for (size_t i = 0; i < n; i++) {
                if (peak < costs[i].peak_kib)
                        peak = costs[i].peak_kib;
                for (size_t j = i; j > 0 && total(&costs[j]) < total(&costs[j - 1]); j--) {
                        Cost swap = costs[j];
                        costs[j] = costs[j - 1];
                        costs[j - 1] = swap;
                }
        }
        costs[n / 2].peak_kib = peak;
        return costs[n / 2];
}

static void run(Bench *x, size_t rounds)
{
        Cost costs[ROUNDS_MAX], first, same, changed;
        open_world(x);
        uint64_t before = process_status_kib("RssAnon:");
        first = all_answers(x, 0);
        uint64_t kept = process_status_kib("RssAnon:"), heap = process_heap_kib();
        for (size_t i = 0; i < rounds; i++)
                costs[i] = all_answers(x, 0);
        same = middle(costs, rounds);
        for (size_t i = 0; i < rounds; i++)
                costs[i] = all_answers(x, (unsigned)i + 1);
        changed = middle(costs, rounds);
        size_t n = x->n * x->tailnets;
        DeviceCounts counts = device_text_count(0, n);
        printf("{\"devices\": %zu, \"tailnets\": %zu, \"selected\": %zu, \"moved\": %zu, "
               "\"both\": %zu, \"hosts\": %llu, \"empty_kib\": %llu, \"kept_kib\": %llu, "
               "\"heap_kib\": %llu, \"last_kib\": %llu, \"bare_ms\": %.1f",
               n, x->tailnets, counts.selected, counts.moved, counts.both,
               (unsigned long long)snapshot_gateway_at(x->b.snapshot, 0)->n_hosts,
               (unsigned long long)before, (unsigned long long)kept, (unsigned long long)heap,
               (unsigned long long)process_status_kib("RssAnon:"),
               bare_parse(x) * (double)x->tailnets);
        print_cost("first", &first);
        print_cost("same", &same);
        print_cost("changed", &changed);
        printf("}\n");
        bench_world_done(&x->b);
}

int main(int argc, char **argv)
{
        uint64_t n = 0, tailnets = 0, rounds = 0;
        if (argc != 5 || !str_to_u64(str_of(argv[1]), DEVICES_MAX, &n) ||
            !str_to_u64(str_of(argv[2]), LISTS_MAX, &tailnets) ||
            !str_to_u64(str_of(argv[3]), ROUNDS_MAX, &rounds) || tailnets == 0 || rounds == 0 ||
            n < tailnets) {
                fprintf(stderr, "usage: resync DEVICES TAILNETS ROUNDS FOLDER\n");
                return 2;
        }
        Bench x = {.n = n / tailnets, .tailnets = tailnets};
        snprintf(x.path, sizeof x.path, "%s/answer.json", argv[4]);
        run(&x, rounds);
        return 0;
}
