/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a new Snapshot takes where one of N endpoints changed, and how long the next World
 * before it.
 *
 *   snapshot_bench N ROUNDS    prints one JSON object; times in milliseconds
 *
 * Of each the time that passed and the CPU time of this thread: where they differ the machine did
 * something else. Of the round that took longest, how often the thread lost its CPU and how many
 * pages it touched first, are told too. Between the rounds it sleeps, because who has real-time
 * priority and takes all of a CPU is stopped for 50 ms of each second (sched(7)).
 */
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include "base/mem.h"
#include "bench_world.h"
#include "process.h"

enum {
        DEVICES_MAX = 20000,
        ROUNDS_MAX = 100000,
        SLEEP_OF = 4, /* a quarter of what the round took */
};

typedef struct Moment {
        double wall, cpu;
        struct rusage used;
} Moment;

typedef struct Series {
        double *wall, *cpu; /* owned */
        size_t n;
        Moment worst; /* differences, of the round of the longest wall time */
} Series;

static void series_init(Series *s, size_t rounds)
{
        *s = (Series){.wall = mem_new_array(rounds, sizeof(double)),
                      .cpu = mem_new_array(rounds, sizeof(double))};
}

static void series_done(Series *s)
{
        mem_free(s->wall);
        mem_free(s->cpu);
}

static Moment look(void)
{
        Moment m = {0};
        INSIST(getrusage(RUSAGE_THREAD, &m.used) == 0);
        m.cpu = process_cpu_ms();
        m.wall = process_wall_ms();
        return m;
}

static void rest(const Moment *from, const Moment *to)
{
        double ms = (to->wall - from->wall) / SLEEP_OF;
        struct timespec t = {(time_t)(ms / 1e3), (long)(ms * 1e6) % 1000000000};
        IGNORE(nanosleep(&t, NULL), "shorter is good enough");
}

static void note(Series *s, const Moment *from, const Moment *to)
{
        double wall = to->wall - from->wall;
        s->wall[s->n] = wall;
        s->cpu[s->n++] = to->cpu - from->cpu;
        if (wall < s->worst.wall)
                return;
        s->worst.wall = wall;
        s->worst.cpu = to->cpu - from->cpu;
        s->worst.used.ru_nivcsw = to->used.ru_nivcsw - from->used.ru_nivcsw;
        s->worst.used.ru_minflt = to->used.ru_minflt - from->used.ru_minflt;
}

static void print_times(const char *what, double *took, size_t n)
{
        printf("\"%s\": {\"p50\": %.4f, \"p99\": %.4f, \"max\": %.4f}", what,
               process_quantile(took, n, 0.5), process_quantile(took, n, 0.99),
               process_quantile(took, n, 1));
}

static void print_series(const char *what, const Series *s)
{
        printf(", \"%s\": {", what);
        print_times("wall", s->wall, s->n);
        printf(", ");
        print_times("cpu", s->cpu, s->n);
        printf(", \"worst\": {\"wall\": %.4f, \"cpu\": %.4f, \"preempted\": %ld, \"faults\": "
               "%ld}}",
               s->worst.wall, s->worst.cpu, s->worst.used.ru_nivcsw, s->worst.used.ru_minflt);
}

int main(int argc, char **argv)
{
        uint64_t n = 0, rounds = 0;
        if (argc != 3 || !str_to_u64(str_of(argv[1]), DEVICES_MAX, &n) ||
            !str_to_u64(str_of(argv[2]), ROUNDS_MAX, &rounds) || n == 0 || rounds == 0) {
                fprintf(stderr, "usage: snapshot_bench DEVICES ROUNDS\n");
                return 2;
        }
        Series discovery, snapshot;
        series_init(&discovery, rounds);
        series_init(&snapshot, rounds);
        BenchWorld b;
        double start = process_wall_ms();
        bench_world_init(&b, n, n);
        double first = process_wall_ms() - start;
        for (size_t i = 0; i < rounds; i++) {
                bench_world_move(&b, i * 7919 % n, (uint32_t)(n + i + 1));
                Moment before = look();
                bench_world_poll(&b);
                Moment between = look();
                bench_world_translate(&b);
                Moment after = look();
                note(&discovery, &before, &between);
                note(&snapshot, &between, &after);
                rest(&before, &after);
        }
        const GatewayReport *g = b.report->gateways->at[0];
        printf("{\"endpoints\": %zu, \"hosts\": %llu, \"bytes\": %llu, \"rounds\": %zu, "
               "\"first_ms\": %.3f",
               (size_t)n, (unsigned long long)g->hosts, (unsigned long long)g->bytes,
               (size_t)rounds, first);
        print_series("discovery", &discovery);
        print_series("snapshot", &snapshot);
        printf("}\n");
        bench_world_done(&b);
        series_done(&discovery);
        series_done(&snapshot);
        return 0;
}
