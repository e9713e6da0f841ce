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
 * JSON: {"url", "answers": bool, "verdict": "…", "steps": [{"what","ok","text"}]}. */
void explain_url(const Snapshot *s, const Report *r, const Facts *f, Str url, Buf *json);
