/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* WayPage: the ways in from the tailnets, on /state. */

#include "admin/admin.h"
#include "proto/json_writer.h"

/* The array "ingress": a row for each port of a tailnet that is to lead to Envoy, or for an entry
 * that has none. */
void way_page_state(const AdminView *v, JsonWriter *w);
