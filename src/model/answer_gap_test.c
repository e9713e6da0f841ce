/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/answer_gap.h"

static const RouteReport host_row = {.gateway = {STR_INIT("demo"), STR_INIT("ours")},
                                     .listener = STR_INIT("http"),
                                     .host = STR_INIT("api.ts.local"),
                                     .cluster = STR_INIT("c"),
                                     .programmed = true};
static const RouteReport path_row = {.gateway = {STR_INIT("demo"), STR_INIT("ours")},
                                     .listener = STR_INIT("http"),
                                     .host = STR_INIT("*.b"),
                                     .path = STR_INIT("/t/api/"),
                                     .cluster = STR_INIT("c"),
                                     .programmed = true};

static void which_rows_a_gap_covers(void **state)
{
        static const struct {
                AnswerGap gap;
                bool host, path;
        } cases[] = {
                {{.host = STR_INIT("api.ts.local")}, true, false},
                {{.host = STR_INIT("api.ts.local"), .paths = true}, false, false},
                {{.host = STR_INIT("api.ts.local"), .cluster = STR_INIT("d")}, false, false},
                {{.host = STR_INIT("api.ts.local"), .listener = STR_INIT("https")}, false, false},
                {{.listener = STR_INIT("http")}, true, true},
                {{.cluster = STR_INIT("c")}, true, true},
                {{.host = STR_INIT("*.b"), .paths = true}, false, true},
                {{.host = STR_INIT("*.b"), .paths = true, .catch_all = true}, false, false},
                {{.host = STR_INIT("*.b"), .paths = true, .namespace = STR_INIT("demo")},
                 false,
                 true},
                {{.host = STR_INIT("*.b"), .paths = true, .namespace = STR_INIT("x")},
                 false,
                 false},
                {{.path = STR_INIT("/t/api/"), .cluster = STR_INIT("c"), .paths = true},
                 false,
                 true},
                {{.path = STR_INIT("/t/web/"), .paths = true}, false, false},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                assert_int_equal(gap_covers(&cases[i].gap, &host_row), cases[i].host);
                assert_int_equal(gap_covers(&cases[i].gap, &path_row), cases[i].path);
        }
}

/* One that is nowhere goes before one that is somewhere; a row that lost already has its reason. */
static void what_a_row_is_told(void **state)
{
        RouteReport lost = path_row;
        GapNotes notes = {0};
        const AnswerGaps *gaps;

        (void)state;
        gap_notes_add(&notes, &(AnswerGap){.host = STR("*.b"), .paths = true, .partly = true});
        gap_notes_add(&notes,
                      &(AnswerGap){.reason = GAP_CLUSTER_TAKEN, .cluster = STR("c"), .n = 2});
        gaps = answer_gaps_update(NULL, &notes);
        assert_int_equal(answer_gaps_find(gaps, &path_row)->reason, GAP_CLUSTER_TAKEN);
        lost.programmed = false;
        assert_null(answer_gaps_find(gaps, &lost));
        assert_null(answer_gaps_find(NULL, &path_row));
        leaf_unref(gaps);
}

/* Nothing is allocated for an answer that is without the same as the last one. */
static void the_same_is_kept(void **state)
{
        char name[] = "api.ts.local";
        GapNotes notes = {0};
        const AnswerGaps *first, *again;

        (void)state;
        assert_null(answer_gaps_update(NULL, &notes));
        gap_notes_add(&notes, &(AnswerGap){.host = str_of(name), .n = 1});
        first = answer_gaps_update(NULL, &notes);
        assert_int_equal(answer_gaps_total(first), 1);
        again = answer_gaps_update(first, &notes);
        assert_ptr_equal(first, again);
        /* The request is gone; what was kept is not. */
        name[0] = 'b';
        assert_true(str_eq(first->at[0].host, STR("api.ts.local")));
        again = answer_gaps_update(leaf_ref(first), &notes);
        assert_ptr_not_equal(first, again);
        leaf_unref(first);
        notes = (GapNotes){0};
        assert_null(answer_gaps_update(again, &notes));
        assert_int_equal(answer_gaps_total(NULL), 0);
}

static void beyond_the_cap_only_counts(void **state)
{
        GapNotes notes = {0};
        const AnswerGaps *gaps;

        (void)state;
        for (size_t i = 0; i < ANSWER_GAPS_MAX + 5; i++)
                gap_notes_add(&notes, &(AnswerGap){.reason = GAP_AUTH, .host = STR("h"), .n = 3});
        gaps = answer_gaps_update(NULL, &notes);
        assert_int_equal(gaps->n, ANSWER_GAPS_MAX);
        assert_int_equal(gaps->total, 3 * (ANSWER_GAPS_MAX + 5));
        assert_int_equal(gaps->by_reason[GAP_AUTH], gaps->total);
        leaf_unref(gaps);
}

static void every_reason_has_a_name_and_a_text(void **state)
{
        (void)state;
        for (GapReason r = 0; r < GAP_REASONS; r++) {
                CLEANUP(buf_done) Buf text;

                buf_init(&text, 1024);
                gap_text(&(AnswerGap){.reason = r, .paths = true, .where = STR("w.x")}, &text);
                assert_true(gap_reason_name(r).n > 0);
                assert_true(text.n > 20);
                for (GapReason q = 0; q < r; q++)
                        assert_false(str_eq(gap_reason_name(r), gap_reason_name(q)));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(which_rows_a_gap_covers),
                cmocka_unit_test(what_a_row_is_told),
                cmocka_unit_test(the_same_is_kept),
                cmocka_unit_test(beyond_the_cap_only_counts),
                cmocka_unit_test(every_reason_has_a_name_and_a_text),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
