/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "translate/request_path.h"

/* Each was seen in the access log of an Envoy, by the route that it took. */
static void paths_are_made_normal(void **state)
{
        static const struct {
                const char *path, *normal;
        } cases[] = {
                {"/", "/"},
                {"/a/b", "/a/b"},
                {"/a/b/", "/a/b/"},
                {"//a", "/a"},
                {"/a//b///", "/a/b/"},
                {"/%61pi/", "/api/"},
                {"/%41/%7e%2D%5f%30", "/A/~-_0"},
                {"/a%2fb", "/a%2fb"},
                {"/a%20b", "/a%20b"},
                {"/a%", "/a%"},
                {"/a%6", "/a%6"},
                {"/a%zz", "/a%zz"},
                {"/a/./b", "/a/b"},
                {"/a/.", "/a/"},
                {"/a/../b", "/b"},
                {"/a/b/..", "/a/"},
                {"/a/%2e%2E/b", "/b"},
                {"/..", "/"},
                {"/../../a", "/a"},
                {"/a//../b", "/a/b"},
                {"/a/..b/...", "/a/..b/..."},
                {"/a\\..\\b", "/b"},
                {"a/../b", "a/../b"},
                {"", ""},
        };
        Arena a;
        (void)state;
        arena_init(&a, 0);
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                Str got = request_path_normal(&a, str_of(cases[i].path));
                if (!str_eq(got, str_of(cases[i].normal)))
                        fail_msg("%s: %.*s, expected %s", cases[i].path, STR_FMT(got),
                                 cases[i].normal);
        }
        arena_done(&a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(paths_are_made_normal),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
