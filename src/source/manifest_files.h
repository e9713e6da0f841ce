/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * ManifestFiles: manifests from disk: one file, or the .yaml, .yml and .json files of one directory
 * (one level, in the order of their names). The same for a running gateway, its cache and
 * `validate`. What was read is wiped: a Secret may be among it.
 */

#include "model/manifest.h"

enum {
        MANIFEST_FILES_MAX = 10000 /* of one directory */
};

/* Reads one file into `set`; one that cannot be read is a fault of its own. */
void manifest_files_read(const char *path, ManifestSet *set, Faults *faults);
/* Reads a directory; returns the number of files that were looked at. */
size_t manifest_files_read_dir(const char *path, ManifestSet *set, Faults *faults);
