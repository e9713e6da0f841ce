/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main of a fuzz target where there is no fuzzer: each file of the corpus folder that is its
 * argument is handed to the target once, in order of name. A folder without a file is a failure: a
 * target that nothing was ever fed to proves nothing.
 */

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
        PATH_BYTES = 4096,
        INPUT_MAX = 1 << 24 /* a corpus is of small files; this is a mistake in it */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int is_visible(const struct dirent *e)
{
        return e->d_name[0] != '.';
}

/* The input is in a block of exactly its size, so that a read behind its end is found. */
static int replay(const char *path)
{
        FILE *f = fopen(path, "rb");
        if (f == NULL) {
                perror(path);
                return -1;
        }
        uint8_t *all = malloc(INPUT_MAX);
        size_t n = all != NULL ? fread(all, 1, INPUT_MAX, f) : 0;
        uint8_t *exact = malloc(n != 0 ? n : 1);
        int failed = all == NULL || exact == NULL || n == INPUT_MAX || ferror(f) != 0;
        if (failed) {
                fprintf(stderr, "%s: cannot be read, or too large\n", path);
        } else {
                memcpy(exact, all, n);
                LLVMFuzzerTestOneInput(exact, n);
        }
        free(all);
        free(exact);
        fclose(f);
        return failed ? -1 : 0;
}

int main(int argc, char **argv)
{
        struct dirent **names = NULL;
        int n = argc == 2 ? scandir(argv[1], &names, is_visible, alphasort) : -1;
        int failed = n <= 0;
        for (int i = 0; i < n; i++) {
                char path[PATH_BYTES];
                int len = snprintf(path, sizeof(path), "%s/%s", argv[1], names[i]->d_name);
                if (len < 0 || (size_t)len >= sizeof(path) || replay(path) < 0)
                        failed = 1;
                free(names[i]);
        }
        free(names);
        printf("%d inputs\n", n);
        return failed;
}
