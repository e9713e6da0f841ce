/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What several of our resources are written of. */

#include "proto/pb_writer.h"
#include "translate/pack.h"

/* A Duration, a UInt32Value, in that field. */
void xds_write_seconds(PbWriter *w, PbMsg field, uint64_t seconds);
void xds_write_u32(PbWriter *w, PbMsg field, uint32_t v);
/* filter_metadata[PACK_METADATA] in that field, a Metadata: who made this, and of what (`s` NULL:
 * of several). */
void xds_write_mark(PbWriter *w, PbMsg metadata, Str kind, const PackService *s);
