/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* TailnetPages: what is shown of tailnets and of their sources, on /state and on /metrics. */

#include "admin/admin.h"
#include "proto/json_writer.h"

/* The array "tailnets" of /state. */
void tailnet_pages_state(const AdminView *v, JsonWriter *w);
void tailnet_pages_metrics(const AdminView *v, Buf *out);
