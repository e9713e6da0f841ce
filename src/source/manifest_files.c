/* SPDX-License-Identifier: Apache-2.0 */
#include "source/manifest_files.h"

#include "io/file.h"

#include <stdio.h>

enum {
        PATH_BYTES_MAX = 4096
};

typedef struct Reading {
        const char *dir;
        ManifestSet *set;
        Faults *faults;
        size_t n_files;
} Reading;

/* The text of a file's error begins with its path, and so does what is printed of a fault. */
static void add_unreadable(Faults *faults, const char *path, const Err *err)
{
        Str text = str_of(err->text), file = str_of(path);
        if (str_starts(text, file) && str_starts(str_sub(text, file.n, text.n), STR(": ")))
                text = str_sub(text, file.n + 2, text.n);
        faults_add(faults, file, 0, 0, (Str){0}, "%.*s", STR_FMT(text));
}

void manifest_files_read(const char *path, ManifestSet *set, Faults *faults)
{
        Buf bytes;
        Err err = {0};
        buf_init(&bytes, MANIFEST_BYTES_MAX);
        if (!file_read(path, &bytes, &err))
                add_unreadable(faults, path, &err);
        else
                IGNORE(manifest_read(set, str_of(path), buf_str(&bytes), faults),
                       "the faults are counted");
        if (bytes.p != NULL)
                explicit_bzero(bytes.p, bytes.room);
        buf_done(&bytes);
}

static bool is_manifest(Str name)
{
        return str_ends(name, STR(".yaml")) || str_ends(name, STR(".yml")) ||
               str_ends(name, STR(".json"));
}

static bool on_name(void *ctx, Str name, Err *err)
{
        (void)err;
        Reading *r = ctx;
        if (!is_manifest(name))
                return true;
        char path[PATH_BYTES_MAX];
        int n = snprintf(path, sizeof path, "%s/%.*s", r->dir, STR_FMT(name));
        r->n_files++;
        if (n < 0 || (size_t)n >= sizeof path)
                faults_add(r->faults, name, 0, 0, (Str){0}, "the path is longer than %d bytes",
                           PATH_BYTES_MAX);
        else
                manifest_files_read(path, r->set, r->faults);
        return true;
}

size_t manifest_files_read_dir(const char *path, ManifestSet *set, Faults *faults)
{
        char trimmed[PATH_BYTES_MAX];
        size_t n = strlen(path);
        while (n > 1 && path[n - 1] == '/')
                n--;
        IGNORE(snprintf(trimmed, sizeof trimmed, "%.*s", (int)n, path), "opening it fails then");
        Reading r = {trimmed, set, faults, 0};
        Err err = {0};
        if (!file_list_dir(trimmed, MANIFEST_FILES_MAX, on_name, &r, &err))
                add_unreadable(faults, trimmed, &err);
        return r.n_files;
}
