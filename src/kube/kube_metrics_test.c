/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of this floor are those of docs/metrics-kubernetes.md, in both directions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "io/file.h"
#include "kube/kube_events.h"
#include "kube/kube_lease.h"
#include "kube/kube_watch.h"
#include "kube/kube_write.h"

enum {
        PAGE_MAX = 64 << 10,
        ROW_MAX = 512,
};

typedef struct Documented {
        const MetricTable *table;
        const char *labels; /* of the objects, as the page has them */
} Documented;

static const Documented all[] = {
        {&kube_api_metrics, NULL},       {&kube_watch_metrics, "`kind`"},
        {&kube_write_metrics, "`verb`"}, {&kube_events_metrics, NULL},
        {&kube_lease_metrics, NULL},
};

static const char *const types[] = {
        [METRIC_COUNTER] = "counter",
        [METRIC_GAUGE] = "gauge",
        [METRIC_SECONDS] = "gauge",
        [METRIC_HISTOGRAM] = "histogram",
};

static void read_page(Buf *page)
{
        char path[1024];
        Err err = {0};

        IGNORE(snprintf(path, sizeof(path), "%.*s../../docs/metrics-kubernetes.md",
                        (int)(strrchr(__FILE__, '/') + 1 - __FILE__), __FILE__),
               "it fits");
        buf_init(page, PAGE_MAX);
        if (!file_read(path, page, &err))
                fail_msg("%s (run it in the build folder)", err.text);
}

/* "a="b",c="d"" -> "`a` `c`". */
static void put_label_names(Buf *out, Str labels)
{
        Str pair, name;

        while (labels.n > 0) {
                IGNORE(str_cut(&labels, ',', &pair), "the last");
                IGNORE(str_cut(&pair, '=', &name), "each has one");
                buf_printf(out, "%s`%.*s`", out->n > 0 ? " " : "", STR_FMT(name));
        }
}

static void every_metric_is_on_the_page(void **state)
{
        Buf page;
        size_t n = 0, rows = 0;

        (void)state;
        read_page(&page);
        /* What comes then is counted above this floor. */
        ptrdiff_t end = str_find_str(buf_str(&page), STR("\n## Certificates"));
        assert_true(end > 0);
        Str ours = str_sub(buf_str(&page), 0, (size_t)end);
        for (size_t i = 0; i < LENGTH_OF(all); i++) {
                const char *last = "";

                for (size_t k = 0; k < all[i].table->n; k++) {
                        const MetricDesc *d = &all[i].table->at[k];
                        char row[ROW_MAX];
                        Buf labels;

                        if (strcmp(d->name, last) == 0)
                                continue;
                        last = d->name;
                        buf_init(&labels, ROW_MAX);
                        if (all[i].labels != NULL)
                                buf_add_str(&labels, str_of(all[i].labels));
                        put_label_names(&labels, str_of(d->labels));
                        snprintf(row, sizeof(row), "\n| `%s` | %s | %.*s%s| %.*s |\n", d->name,
                                 types[d->kind], STR_FMT(buf_str(&labels)), labels.n > 0 ? " " : "",
                                 (int)strlen(d->help) - 1, d->help);
                        if (str_find_str(ours, str_of(row)) < 0)
                                fail_msg("not on the page:%s", row);
                        buf_done(&labels);
                        n++;
                }
        }
        /* Those of the table of alerts have no type. */
        for (Str rest = ours, line; str_cut(&rest, '\n', &line);)
                rows += str_find_str(line, STR("` | counter |")) > 0 ||
                        str_find_str(line, STR("` | gauge |")) > 0 ||
                        str_find_str(line, STR("` | histogram |")) > 0;
        assert_int_equal(rows, n);
        buf_done(&page);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_metric_is_on_the_page),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
