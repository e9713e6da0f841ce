/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Whole files: read under a cap, written under a dotted name, synced and renamed, so that a reader
 * sees the old or the new. */

#include "base/buf.h"
#include "base/err.h"

/* Adds a regular file (follows links) to `b`, as long as it fits under its max. ERR_LIMIT above,
 * ERR_MISSING where it is not there; then `b` holds what it held. */
bool file_read(const char *path, Buf *b, Err *err) MUST_USE;
/* Is `path`, all links and `..` followed, below the directory `dir`, itself followed? ERR_DENIED
 * "PathRefused" where it leads elsewhere, ERR_MISSING and so on where it leads nowhere. It holds
 * for now: whoever may write in `dir` may change it before it is opened. */
bool file_is_below(const char *dir, const char *path, Err *err) MUST_USE;
/* Writes DIR/.NAME.tmp, fsyncs where `sync`, renames to DIR/NAME with exactly `mode`, fsyncs the
 * directory where `sync`. Where it fails the old file stays; but where only that last step fails,
 * the new one is there, and the text says so: what was asked for, that it survives a crash, is not
 * had. Writing the same again is right after any failure. A name with a slash is ERR_INVALID. One
 * writer to a name at a time. */
bool file_write_atomic(const char *dir, const char *name, Str content, unsigned mode, bool sync,
                       Err *err) MUST_USE;
/* ERR_MISSING where it is not there. */
bool file_remove(const char *dir, const char *name, Err *err) MUST_USE;
/* mkdir -p with `mode` (less the umask). */
bool file_make_dir(const char *path, unsigned mode, Err *err) MUST_USE;
/* Names of the entries of `dir` that do not begin with a dot, sorted, at most `max` (ERR_LIMIT
 * above); each is passed to `fn`, until one returns false, which is the result. Not recursive. */
typedef bool FileNameFn(void *ctx, Str name, Err *err);
bool file_list_dir(const char *dir, size_t max, FileNameFn *fn, void *ctx, Err *err) MUST_USE;
