/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the removal guard decided, told in the log: one line where a removal is first held back or
 * confirmed once more, one where it takes effect, one where what was missed is back. */

#include "base/log.h"
#include "model/world.h"

/* Compares the entries of two Worlds that follow each other. */
void held_log(Log *log, const World *before, const World *now);
