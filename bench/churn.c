/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is memory flat while endpoints change, come and go? Each change goes all the way: a new list,
 * discovery, World, Snapshot, the hook's answer.
 *
 *   churn N CHANGES REQUEST    prints one JSON object; twelve samples of RssAnon and of what is
 *                              allocated, in KiB; they compare where CHANGES is a multiple of
 *                              12,000
 *
 * REQUEST is a PostTranslateModify request for the Gateway demo/gw.
 */
#include <stdio.h>

#include "base/macros.h"
#include "bench_world.h"
#include "io/file.h"
#include "process.h"
#include "translate/hook.h"

enum {
        DEVICES_MAX = 20000,
        CHANGES_MAX = 10000000,
        SAMPLES = 12,
        PERIOD = 1000, /* changes after which there are as many devices as before */
        ROOM = PERIOD, /* devices that come and go beside the N, at most */
};

/* Three of four move a device's address; in runs, devices come, then go. */
static void change(BenchWorld *b, size_t i, size_t n)
{
        bool growing = i / (PERIOD / 2) % 2 == 0;
        switch (i % 4) {
        case 0:
                if (growing)
                        bench_world_add(b);
                else
                        bench_world_remove(b);
                break;
        default:
                bench_world_move(b, i * 7919 % n, (uint32_t)(n + i % (1 << 20)));
                break;
        }
}

static bool answer(const BenchWorld *b, Str request, Buf *out)
{
        HookResult result;
        buf_reset(out);
        HookVerdict v = hook_answer(b->snapshot, HOOK_TRANSLATE, request, false, out, &result);
        hook_result_done(&result);
        return v == HOOK_ANSWERED;
}

typedef struct Samples {
        uint64_t rss[SAMPLES], heap[SAMPLES];
        size_t n;
} Samples;

static void take_sample(Samples *s)
{
        s->rss[s->n] = process_status_kib("RssAnon:");
        s->heap[s->n++] = process_heap_kib();
}

static void print_samples(const char *name, const uint64_t *kib, size_t n)
{
        printf(", \"%s\": [", name);
        for (size_t i = 0; i < n; i++)
                printf("%s%llu", i > 0 ? ", " : "", (unsigned long long)kib[i]);
        printf("]");
}

static int run(size_t n, size_t changes, Str request)
{
        BenchWorld b;
        Buf out;
        Samples samples = {0};
        uint64_t before = process_status_kib("RssAnon:");
        buf_init(&out, HOOK_ANSWER_MAX);
        bench_world_init(&b, n, n + ROOM);
        bool good = answer(&b, request, &out);
        uint64_t first = process_status_kib("RssAnon:");
        for (size_t i = 0; good && i < changes; i++) {
                change(&b, i, n);
                bench_world_poll(&b);
                bench_world_translate(&b);
                good = answer(&b, request, &out);
                if ((i + 1) % (changes / SAMPLES) == 0 && samples.n < SAMPLES)
                        take_sample(&samples);
        }
        printf("{\"endpoints\": %zu, \"changes\": %zu, \"answered\": %s, \"empty_kib\": %llu, "
               "\"first_kib\": %llu",
               n, changes, good ? "true" : "false", (unsigned long long)before,
               (unsigned long long)first);
        print_samples("kib", samples.rss, samples.n);
        print_samples("heap_kib", samples.heap, samples.n);
        printf("}\n");
        bench_world_done(&b);
        buf_done(&out);
        return good ? 0 : 1;
}

int main(int argc, char **argv)
{
        uint64_t n = 0, changes = 0;
        if (argc != 4 || !str_to_u64(str_of(argv[1]), DEVICES_MAX, &n) ||
            !str_to_u64(str_of(argv[2]), CHANGES_MAX, &changes) || n == 0 || changes < SAMPLES) {
                fprintf(stderr, "usage: churn DEVICES CHANGES REQUEST\n");
                return 2;
        }
        Buf request;
        Err err = {0};
        buf_init(&request, HOOK_ANSWER_MAX);
        if (!file_read(argv[3], &request, &err)) {
                fprintf(stderr, "%s: %s\n", argv[3], err.text);
                return 2;
        }
        int code = run(n, changes, buf_str(&request));
        buf_done(&request);
        return code;
}
