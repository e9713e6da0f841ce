/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Explain: why does this URL answer, or not: the way of a request through tailnet, device, filter,
 * port, listener, conflict, route, revision, cluster, endpoint and proxy, one line each, the first
 * that stops it marked. For people; good enough to debug with.
 */

#include "base/buf.h"
#include "model/facts.h"
#include "translate/snapshot.h"

/* `url` is "http://host[:port]/path", "host/path", a bare host, or a path (in any host). Writes
 * JSON: {"url", "answers": bool, "verdict": "…", "route": "…", "steps": [{"what","ok","text"}]}.
 * `route` is the name of the route that Envoy takes, as its access log has it; null where it is
 * none of ours. */
void explain_url(const Snapshot *s, const Report *r, const Facts *f, Str url, Buf *json);
