/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/exposition.h"

#include <inttypes.h>

void exposition_family(Buf *out, const char *name, const char *type, const char *help)
{
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* What is no UTF-8 would make a reader refuse the whole page. */
static void put_value(Buf *out, Str value)
{
        while (value.n > 0) {
                size_t n = str_utf8(value);
                char c = value.p[0];
                if (c == '\\' || c == '"')
                        buf_add_char(out, '\\');
                if (n == 0)
                        buf_add_str(out, STR("\xef\xbf\xbd"));
                else if (c == '\n')
                        buf_add_str(out, STR("\\n"));
                else
                        buf_add(out, value.p, n);
                value = str_sub(value, n > 0 ? n : 1, value.n);
        }
}

static void put_name(Buf *out, const char *name, const Label *labels, size_t n)
{
        buf_add_str(out, str_of(name));
        for (size_t i = 0; i < n; i++) {
                buf_printf(out, "%s%s=\"", i == 0 ? "{" : ",", labels[i].name);
                put_value(out, labels[i].value);
                buf_add_char(out, '"');
        }
        if (n > 0)
                buf_add_char(out, '}');
        buf_add_char(out, ' ');
}

void exposition_u64(Buf *out, const char *name, const Label *labels, size_t n, uint64_t value)
{
        put_name(out, name, labels, n);
        buf_printf(out, "%" PRIu64 "\n", value);
}

void exposition_double(Buf *out, const char *name, const Label *labels, size_t n, double value)
{
        put_name(out, name, labels, n);
        buf_printf(out, "%.15g\n", value);
}

void exposition_histogram(Buf *out, const char *name, const char *help, const MetricHistogram *h)
{
        exposition_family(out, name, "histogram", help);
        uint64_t sum = 0;
        for (size_t i = 0; i < METRIC_BUCKETS; i++) {
                sum += h->count[i];
                buf_printf(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, metric_bounds[i], sum);
        }
        sum += h->count[METRIC_BUCKETS];
        buf_printf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, sum);
        buf_printf(out, "%s_sum %.9g\n%s_count %" PRIu64 "\n", name, h->sum, name, sum);
}

static void put_row(Buf *out, const MetricDesc *d, const char *at, const char *labels)
{
        const char *open = labels[0] != '\0' ? "{" : "", *close = labels[0] != '\0' ? "}" : "";
        if (d->kind == METRIC_HISTOGRAM) {
                exposition_histogram(out, d->name, d->help,
                                     (const MetricHistogram *)(const void *)at);
                return;
        }
        exposition_family(out, d->name, d->kind == METRIC_COUNTER ? "counter" : "gauge", d->help);
        buf_printf(out, "%s%s%s%s ", d->name, open, labels, close);
        if (d->kind == METRIC_COUNTER)
                buf_printf(out, "%" PRIu64 "\n", *(const uint64_t *)(const void *)at);
        else if (d->kind == METRIC_GAUGE)
                buf_printf(out, "%" PRId64 "\n", *(const int64_t *)(const void *)at);
        else
                buf_printf(out, "%.9g\n", *(const double *)(const void *)at);
}

void exposition_table(Buf *out, const MetricTable *t, const void *object, const char *labels)
{
        for (size_t i = 0; i < t->n; i++)
                put_row(out, &t->at[i], (const char *)object + t->at[i].offset, labels);
}
