/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Base64 with padding (RFC 4648, section 4), as the data of a Secret is written. */

#include "base/buf.h"

/* Appends, in one line. */
void base64_encode(Str bytes, Buf *to);
/* Appends; line ends are skipped, all else that does not belong is refused: false, and `to` holds
 * what it held. False too where `to` has no room (then it has failed). */
bool base64_decode(Str text, Buf *to) MUST_USE;
