/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * API v2: Tailscale's, and what speaks like it (Headscale from 0.30 on): devices by
 * `GET <apiURL>/api/v2/tailnet/<tailnet>/devices?fields=all`, behind them Tailscale Services and
 * their hosts (service_ask.h), with a token for whatever credential there is (token.h).
 */

#include "tailnet/tailnet_source.h"

/* `via`: what is said to be spoken; a literal. ERR_MISSING "CredentialMissing" without a
 * credential. */
TailnetSource *api_v2_open(const TailnetSourceInput *in, const char *via, Err *err) MUST_USE;
