/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* tailnets[].connectivity of a TailscaleGateway: how Envoy reaches the tailnet, and the tailnet the
 * Gateway. */

#include "model/schema.h"

/* What it may hold; it goes to a Connectivity. */
extern const Schema connectivity_schema;
