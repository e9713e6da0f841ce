/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/process_info.h"

#include "admin/exposition.h"
#include "io/file.h"

#include <stdio.h>
#include <sys/resource.h>

enum {
        STATUS_BYTES_MAX = 64 << 10,
        FDS_MAX = 100000
};

/* The "Key:   123 kB" line of /proc/self/status, in bytes. */
static bool status_bytes(Str status, Str key, uint64_t *ret)
{
        Str line;
        while (status.n > 0) {
                IGNORE(str_cut(&status, '\n', &line), "the last line ends the loop");
                if (!str_starts(line, key))
                        continue;
                Str value = str_trim(str_sub(line, key.n, line.n)), number;
                IGNORE(str_cut(&value, ' ', &number), "the unit is kB");
                if (!str_to_u64(number, UINT64_MAX / 1024, ret))
                        return false;
                *ret *= 1024;
                return true;
        }
        return false;
}

static void put_memory(Buf *out)
{
        static const struct {
                const char *name, *help;
                Str key;
        } rows[] = {
                {"process_resident_memory_bytes", "Resident memory size.", STR_INIT("VmRSS:")},
                {"process_anonymous_memory_bytes", "Resident memory that is not backed by a file.",
                 STR_INIT("RssAnon:")},
        };
        Buf status;
        buf_init(&status, STATUS_BYTES_MAX);
        if (file_read("/proc/self/status", &status, NULL)) {
                for (size_t i = 0; i < LENGTH_OF(rows); i++) {
                        uint64_t bytes;
                        if (!status_bytes(buf_str(&status), rows[i].key, &bytes))
                                continue;
                        exposition_family(out, rows[i].name, "gauge", rows[i].help);
                        exposition_u64(out, rows[i].name, NULL, 0, bytes);
                }
        }
        buf_done(&status);
}

static bool count_one(void *ctx, Str name, Err *err)
{
        (void)name;
        (void)err;
        ++*(uint64_t *)ctx;
        return true;
}

void process_info_page(Buf *out, double start_seconds)
{
        struct rusage u;
        if (getrusage(RUSAGE_SELF, &u) == 0) {
                double cpu = (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
                             ((double)u.ru_utime.tv_usec + (double)u.ru_stime.tv_usec) / 1e6;
                exposition_family(out, "process_cpu_seconds_total", "counter",
                                  "User and system CPU time.");
                exposition_double(out, "process_cpu_seconds_total", NULL, 0, cpu);
        }
        put_memory(out);
        uint64_t fds = 0;
        if (file_list_dir("/proc/self/fd", FDS_MAX, count_one, &fds, NULL)) {
                exposition_family(out, "process_open_fds", "gauge", "Open file descriptors.");
                exposition_u64(out, "process_open_fds", NULL, 0, fds);
        }
        exposition_family(out, "process_start_time_seconds", "gauge",
                          "Start time since the epoch.");
        exposition_double(out, "process_start_time_seconds", NULL, 0, start_seconds);
}
