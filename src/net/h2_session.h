/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What nghttp2 is told, and what it tells us. Private to the server. */

#include "net/grpc_state.h"

/* The callbacks of every session; NULL without memory. */
nghttp2_session_callbacks *h2_session_callbacks(void) MUST_USE;
/* Its limits; NULL without memory. */
nghttp2_option *h2_session_option(void) MUST_USE;
