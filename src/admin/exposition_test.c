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
        {"resets_total", "Resets.", METRIC_COUNTER, offsetof(Object, resets)},
        {"open", "Open.", METRIC_GAUGE, offsetof(Object, open)},
        {"age_seconds", "Age.", METRIC_SECONDS, offsetof(Object, age)},
};

static void test_table_reads_at_offsets(void **state)
{
        (void)state;
        Object o = {7, -3, 1.5};
        MetricTable t = {rows, LENGTH_OF(rows)};
        Buf out;
        buf_init(&out, 4096);
        exposition_table(&out, &t, &o, "a=\"b\"");
        expect(&out,
               "# HELP resets_total Resets.\n# TYPE resets_total counter\nresets_total{a=\"b\"} 7\n"
               "# HELP open Open.\n# TYPE open gauge\nopen{a=\"b\"} -3\n"
               "# HELP age_seconds Age.\n# TYPE age_seconds gauge\nage_seconds{a=\"b\"} 1.5\n");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_labels_are_escaped),
                cmocka_unit_test(test_histogram_cumulates),
                cmocka_unit_test(test_table_reads_at_offsets),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
