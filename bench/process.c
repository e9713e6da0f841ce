/* SPDX-License-Identifier: Apache-2.0 */
#include "process.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/macros.h"
#include "base/str.h"
#include "io/file.h"

enum {
        STATUS_MAX = 64 << 10
};

static double clock_ms(clockid_t id)
{
        struct timespec t;
        INSIST(clock_gettime(id, &t) == 0);
        return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

double process_wall_ms(void)
{
        return clock_ms(CLOCK_MONOTONIC);
}

double process_cpu_ms(void)
{
        return clock_ms(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t process_status_kib(const char *name)
{
        Buf b;
        buf_init(&b, STATUS_MAX);
        uint64_t kib = 0;
        Err err = {0};
        INSIST(file_read("/proc/self/status", &b, &err));
        Str rest = buf_str(&b), line, number;
        while (rest.n > 0) {
                str_cut(&rest, '\n', &line);
                if (!str_starts(line, str_of(name)))
                        continue;
                Str value = str_trim(str_sub(line, str_of(name).n, line.n));
                str_cut(&value, ' ', &number);
                INSIST(str_to_u64(number, UINT64_MAX, &kib));
                break;
        }
        buf_done(&b);
        return kib;
}

void process_reset_peak(void)
{
        /* proc(5): 5 resets the peak resident set size. */
        FILE *f = fopen("/proc/self/clear_refs", "w");
        INSIST(f != NULL && fputs("5", f) >= 0);
        INSIST(fclose(f) == 0);
}

uint64_t process_peak_kib(void)
{
        return process_status_kib("VmHWM:") - process_status_kib("RssFile:") -
               process_status_kib("RssShmem:");
}

uint64_t process_heap_kib(void)
{
        struct mallinfo2 m = mallinfo2();
        return (m.uordblks + m.hblkhd) >> 10;
}

static int by_value(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;
        return (x > y) - (x < y);
}

double process_quantile(double *values, size_t n, double part)
{
        INSIST(n > 0);
        qsort(values, n, sizeof *values, by_value);
        return values[(size_t)((double)(n - 1) * part)];
}
