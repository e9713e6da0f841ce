/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * ApiAuto: a control server of which nobody said what it speaks: API v2 is tried first, and API v1
 * of Headscale where the answer says that this is not it. What worked is remembered for the life of
 * the source; a 404 makes it find out again at the next poll.
 *
 * API v1 takes an API key alone, so without one only API v2 is spoken.
 */

#include "tailnet/tailnet_source.h"

/* ERR_MISSING "CredentialMissing" without a credential. */
TailnetSource *api_auto_open(const TailnetSourceInput *in, Err *err) MUST_USE;
