/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* CheckState: is a running gateway as it should be? Judges its /state. Pure. */

#include "cli/check_rows.h"
#include "proto/tree.h"

/* `state` is the root of /state. */
void check_state(CheckRows *rows, const Tree *state);
