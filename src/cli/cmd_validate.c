/* SPDX-License-Identifier: Apache-2.0 */
/* All that is named is one set: what a file refers to may stand in another. */
#include "cli/cmd_validate.h"

#include "base/buf.h"
#include "model/manifest.h"
#include "source/manifest_files.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
        OUTPUT_MAX = 1 << 20 /* FAULTS_MAX lines of at most 2 KiB */
};

typedef struct Validation {
        ManifestSet set;
        Faults faults;
        size_t n_files;
} Validation;

static void validation_done(Validation *v)
{
        manifest_set_done(&v->set);
        faults_done(&v->faults);
}

static void read_argument(Validation *v, const char *path)
{
        struct stat st;

        if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
                v->n_files += manifest_files_read_dir(path, &v->set, &v->faults);
        } else {
                manifest_files_read(path, &v->set, &v->faults);
                v->n_files++;
        }
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
