/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/exposition.h"

#include <inttypes.h>
#include <stdio.h>

enum {
        LABELS_MAX = 1024 /* of one object and one row: kinds, names of ours */
};

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

/* "_bucket{", or with the labels before what follows. */
static void put_histogram(Buf *out, const char *name, const char *labels, const MetricHistogram *h)
{
        const char *comma = labels[0] != '\0' ? "," : "";
        const char *open = labels[0] != '\0' ? "{" : "", *close = labels[0] != '\0' ? "}" : "";
        uint64_t sum = 0;

        for (size_t i = 0; i < METRIC_BUCKETS; i++) {
                sum += h->count[i];
                buf_printf(out, "%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", name, labels, comma,
                           metric_bounds[i], sum);
        }
        sum += h->count[METRIC_BUCKETS];
        buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name, labels, comma, sum);
        buf_printf(out, "%s_sum%s%s%s %.9g\n", name, open, labels, close, h->sum);
        buf_printf(out, "%s_count%s%s%s %" PRIu64 "\n", name, open, labels, close, sum);
}

void exposition_histogram(Buf *out, const char *name, const char *help, const MetricHistogram *h)
{
        exposition_family(out, name, "histogram", help);
        put_histogram(out, name, "", h);
}

static const char *const types[] = {
        [METRIC_COUNTER] = "counter",
        [METRIC_GAUGE] = "gauge",
        [METRIC_SECONDS] = "gauge",
        [METRIC_HISTOGRAM] = "histogram",
};

static void put_sample(Buf *out, const MetricDesc *d, const MetricObject *o)
{
        const void *at = (const char *)o->object + d->offset;
        const char *more = d->labels != NULL ? d->labels : "";
        const char *comma = o->labels[0] != '\0' && more[0] != '\0' ? "," : "";
        char labels[LABELS_MAX];

        snprintf(labels, sizeof(labels), "%s%s%s", o->labels, comma, more);
        if (d->kind == METRIC_HISTOGRAM) {
                put_histogram(out, d->name, labels, at);
                return;
        }
        if (labels[0] != '\0')
                buf_printf(out, "%s{%s} ", d->name, labels);
        else
                buf_printf(out, "%s ", d->name);
        if (d->kind == METRIC_COUNTER)
                buf_printf(out, "%" PRIu64 "\n", *(const uint64_t *)at);
        else if (d->kind == METRIC_GAUGE)
                buf_printf(out, "%" PRId64 "\n", *(const int64_t *)at);
        else
                buf_printf(out, "%.9g\n", *(const double *)at);
}

/* How many rows from `i` on have the name of that. */
static size_t rows_of_family(const MetricTable *t, size_t i)
{
        size_t n = 1;

        while (i + n < t->n && strcmp(t->at[i].name, t->at[i + n].name) == 0)
                n++;
        return n;
}

void exposition_table(Buf *out, const MetricTable *t, const MetricObject *objects, size_t n)
{
        for (size_t i = 0, rows; i < t->n; i += rows) {
                const MetricDesc *d = &t->at[i];

                rows = rows_of_family(t, i);
                exposition_family(out, d->name, types[d->kind], d->help);
                for (size_t k = 0; k < n; k++)
                        for (size_t r = 0; r < rows; r++)
                                put_sample(out, &d[r], &objects[k]);
        }
}
