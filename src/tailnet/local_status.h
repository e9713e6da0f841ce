/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * LocalStatus: the state of a tailscaled (`GET /localapi/v0/status`) as it comes, into what a
 * source answers. Its peers are read one by one; of the rest only what is needed is held. Pure.
 */

#include "tailnet/tailnet_source.h"

enum {
        LOCAL_USERS_MAX = 200000, /* each device may have an owner of its own */
};

typedef struct LocalStatus LocalStatus;

/* `suffix` (copied) makes a full name of a short one where the state tells none; `before` may be
 * NULL, a reference is taken. */
LocalStatus *local_status_new(Str suffix, const Table *before) MUST_USE;
/* NULL is welcome. Returns NULL. */
LocalStatus *local_status_free(LocalStatus *s);
/* The next bytes, in pieces of any size. */
bool local_status_feed(LocalStatus *s, Str bytes, Err *err) MUST_USE;
/*
 * The end: devices, suffix, self_node, n_invalid and warning of *ret; or, without devices, its err:
 * what is wrong with the document, or why a daemon that is not running tells of no peers:
 * "NeedsLogin", "NeedsMachineAuth", "Stopped", "InUseOtherUser" (ERR_DENIED: a person must act),
 * "Starting", "NoNetmap" (ERR_TRANSIENT), "UnknownState" (ERR_INVALID).
 */
void local_status_finish(LocalStatus *s, TailnetAnswer *ret);
