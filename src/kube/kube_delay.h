/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* KubeDelay: when an API server may be asked again. Pure: chance is a number that is handed in, and
 * another one after. */

#include "base/instant.h"

enum {
        KUBE_BACKOFF_MAX_S = 30 /* as others do: a server that is back is busy enough */
};

/* Evenly in [0, most). */
Span kube_delay_jitter(uint64_t *chance, Span most);
/* After the n-th failure in a row (from 1): full jitter below 1 s, 2 s, 4 s … 30 s, but at least
 * 100 ms and `at_least`. */
Span kube_delay_backoff(uint64_t *chance, unsigned failures, Span at_least);
