/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Metric descriptors: an object counts in plain members of its own (`s->n.resets++`); a table of
 * its module says each one's name, help and offset; admin is given table, object and labels.
 * Several members may be one metric: their rows follow each other, with the same name and help, and
 * labels of their own.
 */

#include "base/str.h"

typedef enum MetricKind {
        METRIC_COUNTER,   /* uint64_t at offset */
        METRIC_GAUGE,     /* int64_t at offset */
        METRIC_SECONDS,   /* double at offset, a gauge */
        METRIC_HISTOGRAM, /* MetricHistogram at offset */
} MetricKind;

typedef struct MetricDesc {
        const char *name; /* Prometheus name, with unit and _total where it is one */
        const char *help;
        MetricKind kind;
        size_t offset;
        const char *labels; /* label text, `a="b"`; NULL: none but the object's */
} MetricDesc;

typedef struct MetricTable {
        const MetricDesc *at;
        size_t n;
} MetricTable;

enum {
        METRIC_BUCKETS = 12
};
/* Upper bounds in seconds of all histograms: 100 µs to 10 s. */
extern const double metric_bounds[METRIC_BUCKETS];

typedef struct MetricHistogram {
        uint64_t count[METRIC_BUCKETS + 1]; /* per bucket, not cumulated; the last is +Inf */
        double sum;
} MetricHistogram;

/* Counts one observation in its bucket. */
void metric_observe(MetricHistogram *h, double seconds);
