/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * DeviceText: the answer of a control server as Tailscale's API v2 writes it with fields=all, some
 * 1,000 bytes a device, made from numbers: the same numbers give the same bytes.
 *
 * Ids look random, as Tailscale's do, so the order of the list is not that of the ids. With each
 * answer what the program does not use (latencies) differs for every device, as it does in truth.
 * One device of fifty has a name that begins with "api-": those the benchmark selects.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct DeviceAnswer {
        size_t first, n; /* devices by number */
        unsigned answer; /* how many answers came before this one */
        unsigned moved;  /* one device of a hundred has another address for each of these */
} DeviceAnswer;

/* Writes the whole answer; false where the file cannot be written. */
bool device_text_write(FILE *f, const DeviceAnswer *a);
/* How many devices of [first, first + n) have a name that begins with "api-", and how many have
 * another address where `moved` differs by one; of those that are both. */
typedef struct DeviceCounts {
        size_t selected, moved, both;
} DeviceCounts;
DeviceCounts device_text_count(size_t first, size_t n);
