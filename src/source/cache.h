/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Cache: our own TailscaleEndpoints as they were written, read back once at start: they serve
 * before any control server answers, and carry what the removal guard was holding.
 */

#include "base/log.h"
#include "base/table.h"

/* A Table of EntryView, from_cache; empty where `dir` is not there. A file that cannot be read is
 * left out with a warning: the tailnet tells it anew. */
Table *cache_read(const char *dir, Log *log) MUST_USE;
