/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Err: why something was not done, for a person and for the retry policy. Filled by the floor that
 * knows; kind chooses what happens next, reason goes verbatim into a condition or event, text into
 * one line of a log. No allocation; nobody matches on the text.
 *
 * A function that can fail returns `bool` (false: failed) or a pointer (NULL: failed) and takes
 * `Err *err` as its last parameter, which may be NULL.
 */

#include "base/str.h"

typedef enum ErrKind {
        ERR_NONE,
        ERR_INVALID,   /* the input is wrong: stuck until it changes */
        ERR_MISSING,   /* what is referred to is not there: stuck until it is */
        ERR_DENIED,    /* credentials or permission: a person must act, retried slowly */
        ERR_CONFLICT,  /* somebody else has it */
        ERR_TRANSIENT, /* may go away: retried with backoff */
        ERR_LIMIT,     /* a named cap was passed */
} ErrKind;

enum {
        ERR_REASON_MAX = 48,
        ERR_TEXT_MAX = 400
};

typedef struct Err {
        ErrKind kind;
        char reason[ERR_REASON_MAX]; /* CamelCase, e.g. "Unauthorized" */
        char text[ERR_TEXT_MAX];     /* one line, control characters replaced */
} Err;

/* Fills `err` (may be NULL); text is cut at its size. Always returns false, for `return
 * err_set(…)`. */
bool err_set(Err *err, ErrKind kind, const char *reason, const char *fmt, ...) PRINTF(4, 5);
/* Puts "context: " before the text. Always returns false. */
bool err_prefix(Err *err, const char *fmt, ...) PRINTF(2, 3);
/* From an errno value: kind by what it means, text "what: strerror". Always returns false. */
bool err_errno(Err *err, int errnum, const char *fmt, ...) PRINTF(3, 4);
const char *err_kind_name(ErrKind kind);
