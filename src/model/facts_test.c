/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "model/facts.h"

static ObjectKey key(const char *namespace, const char *name)
{
        return (ObjectKey){str_of(namespace), str_of(name)};
}

static void test_records(void **state)
{
        CLEANUP(facts_done) Facts f;
        char name[8] = "b";

        (void)state;
        facts_init(&f);
        assert_null(facts_find_hook(&f, key("n", "b")));
        facts_hook(&f, key("n", name))->calls = 2;
        name[0] = 'x'; /* the key was copied */
        facts_hook(&f, key("n", "a"))->calls = 1;
        facts_hook(&f, key("", ""))->calls = 0; /* a Gateway that is not known */
        facts_hook(&f, key("m", "z"))->calls = 9;
        assert_int_equal(f.n_hooks, 4);
        assert_int_equal(facts_hook(&f, key("n", "b"))->calls, 2);
        assert_int_equal(facts_find_hook(&f, key("n", "a"))->calls, 1);
        assert_int_equal(f.n_hooks, 4);
        for (size_t i = 1; i < f.n_hooks; i++)
                assert_true(object_key_cmp(f.hooks[i - 1].eg_gateway, f.hooks[i].eg_gateway) < 0);
        facts_forget_hook(&f, key("n", "a"));
        facts_forget_hook(&f, key("n", "a"));
        assert_int_equal(f.n_hooks, 3);
        assert_null(facts_find_hook(&f, key("n", "a")));
        assert_int_equal(facts_find_hook(&f, key("n", "b"))->calls, 2);
}

static void test_caps(void **state)
{
        CLEANUP(facts_done) Facts f;
        char name[32];

        (void)state;
        facts_init(&f);
        for (int i = 0; i < FACTS_TAILNETS_MAX + 5; i++) {
                snprintf(name, sizeof(name), "t%d", i);
                assert_int_equal(facts_tailnet(&f, key("n", name)) != NULL, i < FACTS_TAILNETS_MAX);
        }
        assert_int_equal(f.n_tailnets, FACTS_TAILNETS_MAX);
        for (int i = 0; i < FACTS_TAILNETS_MAX; i++) {
                snprintf(name, sizeof(name), "t%d", i);
                assert_non_null(facts_find_tailnet(&f, key("n", name)));
                facts_forget_tailnet(&f, key("n", name));
        }
        assert_int_equal(f.n_tailnets, 0);
        assert_non_null(facts_tailnet(&f, key("n", "again")));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_records),
                cmocka_unit_test(test_caps),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
