/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* GoldenWorld: a complete World from manifests alone: what stands in TailscaleEndpoints is what was
 * found. For tests and tools. */

#include "model/manifest.h"
#include "model/world.h"

/* Reads every manifest of the files and directories (one level, by name). Prints faults to stderr;
 * NULL where there are any. One reference. */
World *golden_world_read(const char *const *paths, size_t n);
