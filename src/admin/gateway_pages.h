/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* GatewayPages: TailscaleGateways on /state, with the conditions that their status has. */

#include "model/answered.h"
#include "proto/json_writer.h"

/* The array "tailscaleGateways". */
void gateway_pages_state(const Answered *a, JsonWriter *w);
