/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/exposition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void expect(Buf *out, const char *text)
{
        assert_true(str_eq(buf_str(out), str_of(text)));
        buf_done(out);
}

static void test_labels_are_escaped(void **state)
{
        (void)state;
        Buf out;
        buf_init(&out, 4096);
        Label labels[] = {{"a", STR("x\"y\\z\nw")}, {"b", STR("")}};
        exposition_family(&out, "m_total", "counter", "Help.");
        exposition_u64(&out, "m_total", labels, 2, 18446744073709551615u);
        expect(&out, "# HELP m_total Help.\n# TYPE m_total counter\n"
                     "m_total{a=\"x\\\"y\\\\z\\nw\",b=\"\"} 18446744073709551615\n");
}

static void test_histogram_cumulates(void **state)
{
        (void)state;
        MetricHistogram h = {0};
        metric_observe(&h, 0.00005);
        metric_observe(&h, 0.00005);
        metric_observe(&h, 1000);
        Buf out;
        buf_init(&out, 8192);
        exposition_histogram(&out, "d_seconds", "Help.", &h);
        Str text = buf_str(&out);
        assert_true(str_find_str(text, STR("d_seconds_bucket{le=\"0.0001\"} 2\n")) > 0);
        assert_true(str_find_str(text, STR("d_seconds_bucket{le=\"10\"} 2\n")) > 0);
        assert_true(str_find_str(text, STR("d_seconds_bucket{le=\"+Inf\"} 3\n")) > 0);
        assert_true(str_ends(text, STR("d_seconds_sum 1000.0001\nd_seconds_count 3\n")));
        buf_done(&out);
}

typedef struct Object {
        uint64_t resets;
        int64_t open;
        double age;
} Object;

static const MetricDesc rows[] = {
        {"resets_total", "Resets.", METRIC_COUNTER, offsetof(Object, resets), NULL},
        {"open", "Open.", METRIC_GAUGE, offsetof(Object, open), NULL},
        {"age_seconds", "Age.", METRIC_SECONDS, offsetof(Object, age), NULL},
};

static void test_table_reads_at_offsets(void **state)
{
        (void)state;
        Object o = {7, -3, 1.5};
        MetricTable t = {rows, LENGTH_OF(rows)};
        Buf out;
        buf_init(&out, 4096);
        exposition_table(&out, &t, &(MetricObject){&o, "a=\"b\""}, 1);
        expect(&out,
               "# HELP resets_total Resets.\n# TYPE resets_total counter\nresets_total{a=\"b\"} 7\n"
               "# HELP open Open.\n# TYPE open gauge\nopen{a=\"b\"} -3\n"
               "# HELP age_seconds Age.\n# TYPE age_seconds gauge\nage_seconds{a=\"b\"} 1.5\n");
}

typedef struct Counts {
        uint64_t calls[2];
        MetricHistogram took;
} Counts;

static const MetricDesc counts_rows[] = {
        {"calls_total", "Calls.", METRIC_COUNTER, offsetof(Counts, calls[0]), "verb=\"get\""},
        {"calls_total", "Calls.", METRIC_COUNTER, offsetof(Counts, calls[1]), "verb=\"put\""},
        {"took_seconds", "Took.", METRIC_HISTOGRAM, offsetof(Counts, took), NULL},
};

static void test_one_family_of_several_rows_and_objects(void **state)
{
        (void)state;
        Counts one = {.calls = {1, 2}}, two = {.calls = {3, 4}, .took = {.sum = 0.5}};
        const MetricObject objects[] = {{&one, "kind=\"A\""}, {&two, "kind=\"B\""}};
        MetricTable t = {counts_rows, LENGTH_OF(counts_rows)};
        Buf out;
        Str text;
        buf_init(&out, 8192);
        exposition_table(&out, &t, objects, 2);
        text = buf_str(&out);
        assert_true(str_starts(text, STR("# HELP calls_total Calls.\n# TYPE calls_total counter\n"
                                         "calls_total{kind=\"A\",verb=\"get\"} 1\n"
                                         "calls_total{kind=\"A\",verb=\"put\"} 2\n"
                                         "calls_total{kind=\"B\",verb=\"get\"} 3\n"
                                         "calls_total{kind=\"B\",verb=\"put\"} 4\n"
                                         "# HELP took_seconds Took.\n"
                                         "# TYPE took_seconds histogram\n"
                                         "took_seconds_bucket{kind=\"A\",le=\"0.0001\"} 0\n")));
        assert_true(str_ends(text, STR("took_seconds_sum{kind=\"B\"} 0.5\n"
                                       "took_seconds_count{kind=\"B\"} 0\n")));
        buf_reset(&out);
        exposition_table(&out, &t, &(MetricObject){&one, ""}, 1);
        assert_true(str_find_str(buf_str(&out), STR("\ncalls_total{verb=\"put\"} 2\n")) > 0);
        buf_done(&out);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_labels_are_escaped),
                cmocka_unit_test(test_histogram_cumulates),
                cmocka_unit_test(test_table_reads_at_offsets),
                cmocka_unit_test(test_one_family_of_several_rows_and_objects),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
