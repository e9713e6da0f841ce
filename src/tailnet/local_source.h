/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * LocalSource: a tailscaled of this machine, on its unix socket, with no credential. A poll reads
 * its state, then the Tailscale Services that this node may reach; its notifications say when a
 * poll is worth while, where the input has a `changed`.
 */

#include "tailnet/tailnet_source.h"

/* ERR_INVALID "NoLocalAPI" where the spec names no socket, "BadSocketPath" where no socket can
 * have such a path. */
TailnetSource *local_source_open(const TailnetSourceInput *in, Err *err) MUST_USE;
