/* SPDX-License-Identifier: Apache-2.0 */
/* All that is named is one set: what a file refers to may stand in another. */
#include "cli/cmd_validate.h"

#include "base/buf.h"
#include "base/err.h"
#include "io/file.h"
#include "model/manifest.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
        FILES_MAX = 10000, /* of one directory: as many as a running gateway reads */
        PATH_BYTES_MAX = 4096,
        OUTPUT_MAX = 1 << 20, /* FAULTS_MAX lines of at most 2 KiB */
};

typedef struct Validation {
        ManifestSet set;
        Faults faults;
        const char *dir;
        size_t n_files;
} Validation;

static void validation_done(Validation *v)
{
        manifest_set_done(&v->set);
        faults_done(&v->faults);
}

/* Manifests may hold Secrets: the bytes are wiped. */
static void wiped_buf_done(Buf *b)
{
        if (b->p != NULL)
                explicit_bzero(b->p, b->room);
        buf_done(b);
}

/* What cannot be read: the text says where, and so does the fault. */
static void add_unreadable(Validation *v, const char *path, const Err *err)
{
        Str text = str_of(err->text), file = str_of(path);

        if (str_starts(text, file) && str_starts(str_sub(text, file.n, text.n), STR(": ")))
                text = str_sub(text, file.n + 2, text.n);
        faults_add(&v->faults, file, 0, 0, STR(""), "%.*s", STR_FMT(text));
}

static void read_file(Validation *v, const char *path)
{
        CLEANUP(wiped_buf_done) Buf bytes;
        Err err = {0};

        buf_init(&bytes, MANIFEST_BYTES_MAX);
        v->n_files++;
        if (!file_read(path, &bytes, &err))
                add_unreadable(v, path, &err);
        else
                IGNORE(manifest_read(&v->set, str_of(path), buf_str(&bytes), &v->faults),
                       "faults are counted");
}

static bool on_name(void *ctx, Str name, Err *err)
{
        Validation *v = ctx;
        char path[PATH_BYTES_MAX];
        int n;

        (void)err;
        if (!str_ends(name, STR(".yaml")) && !str_ends(name, STR(".yml")) &&
            !str_ends(name, STR(".json")))
                return true;
        n = snprintf(path, sizeof(path), "%s/%.*s", v->dir, STR_FMT(name));
        if (n < 0 || (size_t)n >= sizeof(path))
                faults_add(&v->faults, name, 0, 0, STR(""), "path too long, expected at most %d",
                           PATH_BYTES_MAX);
        else
                read_file(v, path);
        return true;
}

static void read_dir(Validation *v, const char *path)
{
        char trimmed[PATH_BYTES_MAX];
        Err err = {0};
        size_t n = strlen(path);

        while (n > 1 && path[n - 1] == '/')
                n--;
        IGNORE(snprintf(trimmed, sizeof(trimmed), "%.*s", (int)n, path), "opening it fails then");
        v->dir = trimmed;
        if (!file_list_dir(trimmed, FILES_MAX, on_name, v, &err))
                add_unreadable(v, path, &err);
        v->dir = NULL;
}

static void read_argument(Validation *v, const char *path)
{
        struct stat st;

        if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
                read_dir(v, path);
        else
                read_file(v, path);
}

static void put_count(Buf *out, size_t n, const char *what)
{
        buf_printf(out, "%zu %s%s", n, what, n == 1 ? "" : "s");
}

static void put_summary(const Validation *v, Buf *out)
{
        size_t n_objects = 0;

        for (size_t k = 0; k < MANIFEST_KINDS; k++)
                n_objects += v->set.kinds[k].n;
        put_count(out, v->n_files, "file");
        buf_add_str(out, STR(", "));
        put_count(out, n_objects, "object");
        if (v->set.n_skipped > 0)
                buf_printf(out, ", %zu of other kinds", v->set.n_skipped);
        buf_add_str(out, STR(", "));
        if (v->faults.n_total == 0)
                buf_add_str(out, STR("no fault"));
        else
                put_count(out, v->faults.n_total, "fault");
        buf_add_char(out, '\n');
}

static void help(FILE *to)
{
        fputs("usage: tailscale-gateway validate FILE|DIRECTORY…\n\n"
              "Reads manifests as a running gateway does and prints every fault as\n"
              "file:line:column: field.path: what was found, what is expected\n\n"
              "Of a directory, its .yaml, .yml and .json files are read. All that is named is "
              "taken\n"
              "together; a reference to a kind that is not among it is not followed.\n\n"
              "exit code: 0 no fault, 1 faults, 2 usage\n",
              to);
}

static int validate(int n, char **paths)
{
        CLEANUP(validation_done) Validation v = {0};
        CLEANUP(buf_done) Buf out;

        manifest_set_init(&v.set);
        faults_init(&v.faults);
        buf_init(&out, OUTPUT_MAX);
        for (int i = 0; i < n; i++)
                read_argument(&v, paths[i]);
        IGNORE(manifest_check(&v.set, &v.faults), "faults are counted");
        IGNORE(manifest_check_references(&v.set, &v.faults), "faults are counted");
        faults_print(&v.faults, &out);
        put_summary(&v, &out);
        IGNORE(fwrite(out.p, 1, out.n, stdout), "nobody to tell");
        return v.faults.n_total == 0 ? 0 : 1;
}

int cmd_validate(int argc, char **argv)
{
        int first = 1;

        for (; first < argc && argv[first][0] == '-' && argv[first][1] != '\0'; first++) {
                if (strcmp(argv[first], "--help") == 0 || strcmp(argv[first], "-h") == 0) {
                        help(stdout);
                        return 0;
                }
                if (strcmp(argv[first], "--") == 0) {
                        first++;
                        break;
                }
                fprintf(stderr, "tailscale-gateway validate: unknown option %s\n", argv[first]);
                return 2;
        }
        if (first >= argc) {
                help(stderr);
                return 2;
        }
        return validate(argc - first, argv + first);
}
