/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "translate/host_index.h"

enum {
        MANY = 1000
};

static void it_finds_each_and_no_other(void **state)
{
        (void)state;
        static Pack packs[MANY];
        static char names[MANY][16];
        const Pack *hosts[MANY];
        for (size_t i = 0; i < MANY; i++) {
                snprintf(names[i], sizeof names[i], "h%zu.local", i);
                packs[i].name = str_of(names[i]);
                hosts[i] = &packs[i];
        }
        for (size_t n = 0; n <= MANY; n = 3 * n + 1) {
                HostIndex x;
                host_index_make(&x, hosts, n);
                for (size_t i = 0; i < MANY; i++)
                        assert_int_equal(host_index_find(&x, hosts, str_of(names[i])),
                                         i < n ? i : SIZE_MAX);
                assert_int_equal(host_index_find(&x, hosts, STR("")), SIZE_MAX);
                host_index_done(&x);
        }
        HostIndex none = {0};
        assert_int_equal(host_index_find(&none, NULL, STR("x")), SIZE_MAX);
        host_index_done(&none);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(it_finds_each_and_no_other)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
