/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a new Snapshot takes where one of N endpoints changed, and what of it is discovery.
 *
 *   snapshot_bench N ROUNDS    prints one JSON object; times in milliseconds
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "bench_world.h"
#include "io/clock.h"

enum {
        DEVICES_MAX = 20000,
        ROUNDS_MAX = 100000
};

static double now_ms(void)
{
        return (double)clock_system.mono(clock_system.ctx).ns / 1e6;
}

static int by_value(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;
        return (x > y) - (x < y);
}

static void print_times(const char *what, double *took, size_t n, const char *end)
{
        qsort(took, n, sizeof *took, by_value);
        printf("\"%s\": {\"p50\": %.4f, \"p99\": %.4f, \"max\": %.4f}%s", what, took[n / 2],
               took[(n - 1) * 99 / 100], took[n - 1], end);
}

int main(int argc, char **argv)
{
        uint64_t n = 0, rounds = 0;
        if (argc != 3 || !str_to_u64(str_of(argv[1]), DEVICES_MAX, &n) ||
            !str_to_u64(str_of(argv[2]), ROUNDS_MAX, &rounds) || n == 0 || rounds == 0) {
                fprintf(stderr, "usage: snapshot_bench DEVICES ROUNDS\n");
                return 2;
        }
        CLEANUP(mem_cleanup) double *discovery = mem_new_array(rounds, sizeof *discovery);
        CLEANUP(mem_cleanup) double *snapshot = mem_new_array(rounds, sizeof *snapshot);
        BenchWorld b;
        double start = now_ms();
        bench_world_init(&b, n, n);
        double first = now_ms() - start;
        clock_t used = 0;
        for (size_t i = 0; i < rounds; i++) {
                bench_world_move(&b, i * 7919 % n, (uint32_t)(n + i + 1));
                start = now_ms();
                bench_world_poll(&b);
                double between = now_ms();
                clock_t at = clock();
                bench_world_translate(&b);
                used += clock() - at;
                snapshot[i] = now_ms() - between;
                discovery[i] = between - start;
        }
        const GatewayReport *g = b.report->gateways->at[0];
        printf("{\"endpoints\": %zu, \"hosts\": %llu, \"bytes\": %llu, \"rounds\": %zu, "
               "\"first_ms\": %.3f, "
               "\"snapshot_cpu_mean\": %.4f, ",
               (size_t)n, (unsigned long long)g->hosts, (unsigned long long)g->bytes,
               (size_t)rounds, first, 1000.0 * (double)used / CLOCKS_PER_SEC / (double)rounds);
        print_times("discovery", discovery, rounds, ", ");
        print_times("snapshot", snapshot, rounds, "}\n");
        bench_world_done(&b);
        return 0;
}
