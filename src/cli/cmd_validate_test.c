/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "cli/cmd_validate.h"

#define GOOD                                                                             \
        "apiVersion: gateway.tailscale.com/v1alpha1\nkind: TailscaleTailnet\nmetadata: " \
        "{name: t}\nspec: {credentials: {env: KEY}}\n"

typedef struct Place {
        char dir[64];
        char out[4096]; /* of the last run, without the folder's name */
} Place;

static void path_of(const Place *p, const char *name, char path[128])
{
        snprintf(path, 128, "%s/%s", p->dir, name);
}

static void put(const Place *p, const char *name, const char *text)
{
        char path[128];
        FILE *f;

        path_of(p, name, path);
        f = fopen(path, "wb");
        assert_non_null(f);
        fputs(text, f);
        assert_int_equal(fclose(f), 0);
}

/* Runs it with what it prints in a file. */
static int run(Place *p, int argc, const char *const *args)
{
        char path[128], words[8][160], *argv[9] = {NULL};
        int saved, code;
        size_t n;
        FILE *f;

        for (int i = 0; i < argc; i++) {
                bool relative = i > 0 && args[i][0] != '-';

                snprintf(words[i], sizeof(words[i]), "%s%s%s", relative ? p->dir : "",
                         relative ? "/" : "", args[i]);
                argv[i] = words[i];
        }
        path_of(p, ".printed", path);
        fflush(stdout);
        saved = dup(STDOUT_FILENO);
        assert_non_null(freopen(path, "wb", stdout));
        code = cmd_validate(argc, argv);
        fflush(stdout);
        assert_true(dup2(saved, STDOUT_FILENO) >= 0);
        close(saved);
        f = fopen(path, "rb");
        assert_non_null(f);
        n = fread(p->out, 1, sizeof(p->out) - 1, f);
        p->out[n] = '\0';
        fclose(f);
        unlink(path);
        return code;
}

static int set_up(void **state)
{
        Place *p = calloc(1, sizeof(*p));

        snprintf(p->dir, sizeof(p->dir), "/tmp/validate-test-XXXXXX");
        assert_non_null(mkdtemp(p->dir));
        *state = p;
        return 0;
}

static int tear_down(void **state)
{
        static const char *const names[] = {"a.yaml", "b.yml", "c.json", "d.txt"};
        Place *p = *state;
        char path[128];

        for (size_t i = 0; i < LENGTH_OF(names); i++) {
                path_of(p, names[i], path);
                unlink(path);
        }
        rmdir(p->dir);
        free(p);
        return 0;
}

static void test_good_files(void **state)
{
        static const char *const one[] = {"validate", "a.yaml"};
        static const char *const folder[] = {"validate", "--", "."};
        Place *p = *state;

        put(p, "a.yaml", GOOD);
        put(p, "b.yml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n");
        put(p, "c.json", "{\"devices\": []}");
        put(p, "d.txt", "not read");
        assert_int_equal(run(p, 2, one), 0);
        assert_string_equal(p->out, "1 file, 1 object, no fault\n");
        assert_int_equal(run(p, 3, folder), 0);
        assert_string_equal(p->out, "3 files, 1 object, 2 of other kinds, no fault\n");
}

static void test_faults(void **state)
{
        static const char *const both[] = {"validate", "a.yaml", "b.yml"};
        static const char *const missing[] = {"validate", "none.yaml"};
        Place *p = *state;
        char want[512];

        put(p, "a.yaml", GOOD);
        put(p, "b.yml", GOOD "---\nkind: TailscaleTailnet\n");
        assert_int_equal(run(p, 3, both), 1);
        snprintf(want, sizeof(want),
                 "%s/b.yml:3:18: metadata.name: TailscaleTailnet envoy-gateway-system/t a second "
                 "time, expected it once: it is in %s/a.yaml:1 too\n"
                 "%s/b.yml:6:1: apiVersion: missing, expected "
                 "gateway.tailscale.com/v1alpha1\n2 files, 2 objects, 2 faults\n",
                 p->dir, p->dir, p->dir);
        assert_string_equal(p->out, want);
        assert_int_equal(run(p, 2, missing), 1);
        assert_non_null(strstr(p->out, "/none.yaml: "));
        assert_non_null(strstr(p->out, "1 file, 0 objects, 1 fault\n"));
}

static void test_usage(void **state)
{
        static const char *const help[] = {"validate", "--help"};
        static const char *const unknown[] = {"validate", "--nope"};
        static const char *const none[] = {"validate"};
        Place *p = *state;

        assert_int_equal(run(p, 2, help), 0);
        assert_non_null(strstr(p->out, "usage: tailscale-gateway validate"));
        assert_int_equal(run(p, 2, unknown), 2);
        assert_string_equal(p->out, "");
        assert_int_equal(run(p, 1, none), 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_good_files, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_faults, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_usage, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
