/* SPDX-License-Identifier: Apache-2.0 */
#include "io/fd_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/resource.h>

enum {
        SOFT = 100 /* more than a test has open */
};

static int setup(void **state)
{
        static struct rlimit first;
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &first), 0);
        assert_true(first.rlim_max > 2 * SOFT);
        struct rlimit low = {.rlim_cur = SOFT, .rlim_max = first.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
        *state = &first;
        return 0;
}

static int teardown(void **state)
{
        assert_int_equal(setrlimit(RLIMIT_NOFILE, *state), 0);
        return 0;
}

static uint64_t soft(void)
{
        struct rlimit l;
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &l), 0);
        return l.rlim_cur;
}

static void it_is_raised_as_far_as_wished(void **state)
{
        (void)state;
        FdLimit l = fd_limit_raise(SOFT + 1);
        assert_int_equal(l.before, SOFT);
        assert_int_equal(l.now, SOFT + 1);
        assert_int_equal(soft(), SOFT + 1);
}

static void one_that_is_enough_stays(void **state)
{
        (void)state;
        FdLimit l = fd_limit_raise(SOFT - 1);
        assert_int_equal(l.now, SOFT);
        assert_int_equal(soft(), SOFT);
}

static void the_hard_limit_is_the_end(void **state)
{
        const struct rlimit *first = *state;
        FdLimit l = fd_limit_raise(UINT64_MAX);
        assert_int_equal(l.most, first->rlim_max);
        assert_int_equal(l.now, first->rlim_max);
        assert_int_equal(soft(), first->rlim_max);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(it_is_raised_as_far_as_wished, setup, teardown),
                cmocka_unit_test_setup_teardown(one_that_is_enough_stays, setup, teardown),
                cmocka_unit_test_setup_teardown(the_hard_limit_is_the_end, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
