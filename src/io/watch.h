/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * DirWatch: tells that something in a directory changed (inotify), 50 ms after the last event of a
 * burst and at most 300 ms after its first. It says that, never what: the receiver reads the
 * directory again. A directory that is not there yet, or is replaced, is picked up by a poll each
 * 500 ms, which also covers file systems without inotify.
 */

#include "io/loop.h"

typedef struct DirWatch DirWatch;
typedef void DirWatchFn(DirWatch *w);

/* `path` is copied. Does not fire for the state at opening. */
DirWatch *dir_watch_open(Loop *l, const char *path, DirWatchFn *fn, void *owner) MUST_USE;
void *dir_watch_owner(const DirWatch *w);
/* NULL is welcome. Returns NULL. */
DirWatch *dir_watch_close(DirWatch *w);
