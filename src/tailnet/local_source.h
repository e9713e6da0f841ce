/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * LocalSource: a tailscaled of this machine, on its unix socket, with no credential. A poll reads
 * its state, then the Tailscale Services that this node may reach; its notifications say when a
 * poll is worth while, where the input has a `changed`.
 */

#include "tailnet/tailnet_source.h"

enum {
        /* After a poll that took s seconds `changed` waits 4 s, so that at most a fifth of the time
         * goes into reading: the state of 10,000 peers is 15 MB, and a busy tailnet changes all the
         * time. But not longer than this. */
        LOCAL_REST_TIMES = 4,
        LOCAL_REST_MAX_S = 10,
};

/* ERR_INVALID "NoLocalAPI" where the spec names no socket, "BadSocketPath" where no socket can
 * have such a path. */
TailnetSource *local_source_open(const TailnetSourceInput *in, Err *err) MUST_USE;
