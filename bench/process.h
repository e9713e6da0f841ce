/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Process: what a benchmark measures of itself, and how it sums that up. */

#include <stddef.h>
#include <stdint.h>

/* Monotonic time, in milliseconds. */
double process_wall_ms(void);
/* CPU time of this thread, user and system, in milliseconds: what others do on the machine is not
 * in it. */
double process_cpu_ms(void);
/* A line of /proc/self/status that counts in kB, by its name with the colon: "RssAnon:". 0 where
 * there is none. */
uint64_t process_status_kib(const char *name);
/* From now on process_peak_kib counts anew. */
void process_reset_peak(void);
/* The most anonymous memory that was resident at once: VmHWM without the pages of files. */
uint64_t process_peak_kib(void);
/* Bytes that malloc has handed out. */
uint64_t process_heap_kib(void);
/* What stands at `part` (0.5: the median) of the values, which are sorted. */
double process_quantile(double *values, size_t n, double part);
