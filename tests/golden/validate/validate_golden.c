/* SPDX-License-Identifier: Apache-2.0 */
/*
 * validate-golden [--update] CASE…: for each folder, what reading its in.yaml (or in.json) says is
 * what its out.txt says. --update writes out.txt instead; the difference is for a reviewer.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "model/manifest.h"

enum {
        PATH_ROOM = 4096,
        OUTPUT_MAX = 1 << 20
};

static bool read_all(const char *path, Buf *ret)
{
        FILE *f = fopen(path, "rb");
        char part[1 << 16];

        if (f == NULL)
                return false;
        for (size_t n; (n = fread(part, 1, sizeof(part), f)) > 0;)
                buf_add(ret, part, n);
        fclose(f);
        return !ret->failed;
}

/* The file's own name is printed, not where the tree stands. */
static bool describe(const char *folder, Buf *out)
{
        static const char *const names[] = {"in.yaml", "in.json"};
        static const char *const kinds[] = {"TailscaleTailnet",
                                            "TailscaleGateway",
                                            "TailscaleEndpoints",
                                            "Secret",
                                            "Gateway",
                                            "route",
                                            "TailscaleGatewayBinding",
                                            "Namespace",
                                            "Service",
                                            "ReferenceGrant"};
        CLEANUP(manifest_set_done) ManifestSet set;
        CLEANUP(faults_done) Faults faults;
        bool found = false;

        _Static_assert(LENGTH_OF(kinds) == MANIFEST_KINDS, "a name for each kind");
        manifest_set_init(&set);
        faults_init(&faults);
        for (size_t i = 0; i < LENGTH_OF(names); i++) {
                CLEANUP(buf_done) Buf in;
                char path[PATH_ROOM];

                buf_init(&in, MANIFEST_BYTES_MAX);
                snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
                if (!read_all(path, &in))
                        continue;
                found = true;
                IGNORE(manifest_read(&set, str_of(names[i]), buf_str(&in), &faults), "printed");
        }
        IGNORE(manifest_check(&set, &faults), "printed");
        IGNORE(manifest_check_references(&set, &faults), "printed");
        faults_print(&faults, out);
        for (size_t k = 0; k < MANIFEST_KINDS; k++)
                if (set.kinds[k].n > 0)
                        buf_printf(out, "%zu %s\n", set.kinds[k].n, kinds[k]);
        if (set.n_skipped > 0)
                buf_printf(out, "%zu skipped, last %.*s\n", set.n_skipped,
                           STR_FMT(set.last_skipped));
        return found;
}

static bool run_case(const char *folder, bool update)
{
        CLEANUP(buf_done) Buf got;
        CLEANUP(buf_done) Buf want;
        char path[PATH_ROOM];
        FILE *f;

        buf_init(&got, OUTPUT_MAX);
        buf_init(&want, OUTPUT_MAX);
        snprintf(path, sizeof(path), "%s/out.txt", folder);
        if (!describe(folder, &got)) {
                printf("not ok %s: no input\n", folder);
                return false;
        }
        if (update) {
                f = fopen(path, "wb");
                if (f == NULL)
                        return false;
                fwrite(got.p, 1, got.n, f);
                return fclose(f) == 0;
        }
        if (read_all(path, &want) && str_eq(buf_str(&got), buf_str(&want))) {
                printf("ok %s\n", folder);
                return true;
        }
        printf("not ok %s: it says\n%.*s", folder, (int)got.n, got.p != NULL ? got.p : "");
        return false;
}

int main(int argc, char **argv)
{
        bool update = argc > 1 && strcmp(argv[1], "--update") == 0;
        bool good = argc > 1;

        for (int i = update ? 2 : 1; i < argc; i++)
                good = run_case(argv[i], update) && good;
        return good ? 0 : 1;
}
