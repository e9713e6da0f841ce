/* SPDX-License-Identifier: Apache-2.0 */
/* The body of a refusal: whatever it holds, there is an error of one line for it. */

#include <stddef.h>
#include <stdint.h>

#include "kube/kube_status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        KubeStatus s;
        Arena arena;
        Err err = {0};
        bool ok;

        arena_init(&arena, 0);
        ok = kube_status_read(str_make(data, size), &arena, &s);
        if (ok) {
                INSIST(s.n_causes <= KUBE_CAUSES_MAX && s.code <= 999);
                INSIST(s.retry_after.ns >= 0 &&
                       s.retry_after.ns <= SPAN_S(KUBE_RETRY_AFTER_MAX_S).ns);
        }
        INSIST(!kube_status_err(ok ? &s : NULL, size > 0 ? data[0] * 4U : 0, "GET /x", &err));
        INSIST(err.kind != ERR_NONE && err.reason[0] != '\0' && strchr(err.text, '\n') == NULL);
        arena_done(&arena);
        return 0;
}
