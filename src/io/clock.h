/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where the time comes from: the system, or a test. Nothing above io reads another clock. */

#include "base/instant.h"

typedef struct Clock {
        Mono (*mono)(void *ctx);
        Wall (*wall)(void *ctx);
        void *ctx;
} Clock;

/* CLOCK_MONOTONIC and CLOCK_REALTIME. */
extern const Clock clock_system;
