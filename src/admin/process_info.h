/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The process's own figures, under the names that every Prometheus client library uses. */

#include "base/buf.h"

/* Appends process_cpu_seconds_total, process_resident_memory_bytes, process_anonymous_memory_bytes,
 * process_open_fds and process_start_time_seconds; what /proc does not tell is left out. */
void process_info_page(Buf *out, double start_seconds);
