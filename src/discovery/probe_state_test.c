/* SPDX-License-Identifier: Apache-2.0 */
#include "discovery/probe_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Plays probes ("+" well, "-" failed) and tells the verdict after each as H, U or ?. */
static void expect(const ProbeRules *rules, const char *probes, const char *verdicts)
{
        static const char names[] = {'?', 'H', 'U'};
        ProbeFact f = {0};

        for (size_t i = 0; probes[i] != '\0'; i++) {
                ProbeVerdict before = f.verdict;
                Wall now = {(int64_t)i + 1};
                bool changed = probe_state_add(&f, rules, probes[i] == '+', now);

                assert_int_equal(names[f.verdict], verdicts[i]);
                assert_int_equal(changed, f.verdict != before);
                assert_int_equal(f.last.ms, now.ms);
                if (changed)
                        assert_int_equal(f.since.ms, now.ms);
        }
}

static void thresholds_are_those_in_a_row(void **state)
{
        const ProbeRules rules = {.failures = 3, .successes = 2};

        (void)state;
        expect(&rules, "+--+--+---", "HHHHHHHHHU");
        expect(&rules, "---+-++", "??UUUUH");
        expect(&rules, "--+", "??H");
}

static void one_is_enough_where_one_is_asked(void **state)
{
        const ProbeRules rules = {.failures = 1, .successes = 1};

        (void)state;
        expect(&rules, "-+-+", "UHUH");
}

static void all_are_counted(void **state)
{
        const ProbeRules rules = {.failures = 2, .successes = 1};
        ProbeFact f = {0};

        (void)state;
        for (int i = 0; i < 5; i++)
                probe_state_add(&f, &rules, i % 2 == 0, (Wall){i + 1});
        assert_int_equal(f.ok, 3);
        assert_int_equal(f.failed, 2);
        assert_int_equal(f.in_a_row, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(thresholds_are_those_in_a_row),
                cmocka_unit_test(one_is_enough_where_one_is_asked),
                cmocka_unit_test(all_are_counted),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
