/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Headscale: its API v1, `GET <apiURL>/api/v1/node` with an API key as bearer. */

#include "tailnet/tailnet_source.h"

/* ERR_MISSING "CredentialMissing" without an API key. */
TailnetSource *headscale_open(const TailnetSourceInput *in, Err *err) MUST_USE;
