/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Points in time and spans between them, as types that cannot be mixed: Mono never jumps and is
 * what timers use; Wall is what people and APIs write. Base never reads a clock; values are handed
 * in.
 */

#include "base/str.h"

typedef struct Mono {
        int64_t ns; /* since an arbitrary start; 0 is "never" */
} Mono;
typedef struct Wall {
        int64_t ms; /* since 1970-01-01T00:00:00Z; 0 is "not known" */
} Wall;
typedef struct Span {
        int64_t ns;
} Span;

#define SPAN_MS(x) ((Span){(int64_t)(x)*1000000})
#define SPAN_S(x)  ((Span){(int64_t)(x)*1000000000})

static inline Mono mono_add(Mono t, Span d)
{
        return (Mono){t.ns + d.ns};
}
static inline Span mono_since(Mono later, Mono earlier)
{
        return (Span){later.ns - earlier.ns};
}
static inline bool mono_before(Mono a, Mono b)
{
        return a.ns < b.ns;
}
static inline double span_seconds(Span d)
{
        return (double)d.ns / 1e9;
}

enum {
        WALL_TEXT = 32
};

/* RFC 3339 (years 0001 to 9999, any fraction, Z or offset). False if it is not one. Year 1 gives 0.
 */
bool wall_parse(Str s, Wall *ret);
/* "2026-11-22T20:58:01Z"; returns buf. */
const char *wall_format(Wall t, char buf[WALL_TEXT]);
/* "2026-11-22T20:58:01.250000Z", what Kubernetes calls a MicroTime and takes in no other form;
 * returns buf. */
const char *wall_format_micro(Wall t, char buf[WALL_TEXT]);
/* Go-style duration as Kubernetes writes it ("30s", "1m30s", "500ms", "1h"); no sign. False if not
 * one or above 365 days. */
bool span_parse(Str s, Span *ret);
/* Shortest Go form, e.g. "1m30s". */
const char *span_format(Span d, char buf[WALL_TEXT]);
