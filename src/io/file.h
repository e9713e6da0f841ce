/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Whole files: read under a cap, written under a dotted name, synced and renamed, so that a reader
 * sees the old or the new. */

#include "base/buf.h"
#include "base/err.h"

/* Reads at most b->max bytes of a regular file (follows links). ERR_LIMIT above, ERR_MISSING where
 * it is not there. */
bool file_read(const char *path, Buf *b, Err *err) MUST_USE;
/* Writes DIR/.NAME.tmp, fsyncs where `sync`, renames to DIR/NAME with `mode`. The old file stays
 * where it fails. */
bool file_write_atomic(const char *dir, const char *name, Str content, unsigned mode, bool sync,
                       Err *err) MUST_USE;
bool file_remove(const char *dir, const char *name, Err *err) MUST_USE;
/* mkdir -p with `mode`. */
bool file_make_dir(const char *path, unsigned mode, Err *err) MUST_USE;
/* Names of the entries of `dir` that do not begin with a dot, sorted, at most `max` (ERR_LIMIT
 * above); each is passed to `fn`. Not recursive. */
typedef bool FileNameFn(void *ctx, Str name, Err *err);
bool file_list_dir(const char *dir, size_t max, FileNameFn *fn, void *ctx, Err *err) MUST_USE;
