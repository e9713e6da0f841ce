/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Printable: text from outside as a terminal may be given it. */

#include "base/buf.h"

/* Appends `s` with each control character (C0, DEL, C1) and each byte that is no UTF-8 as "?", so
 * that no name can move the cursor or write a line of its own. */
void printable_add(Buf *out, Str s);
