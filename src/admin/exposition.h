/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Exposition: the Prometheus text format (version 0.0.4): families with one HELP and one TYPE,
 * samples under them.
 */

#include "base/buf.h"
#include "base/metric.h"

typedef struct Label {
        const char *name;
        Str value;
} Label;

/* Begins a family; `type` is "counter", "gauge" or "histogram". */
void exposition_family(Buf *out, const char *name, const char *type, const char *help);
/* One sample of a family. Values of labels are escaped. */
void exposition_u64(Buf *out, const char *name, const Label *labels, size_t n, uint64_t value);
void exposition_double(Buf *out, const char *name, const Label *labels, size_t n, double value);
/* A whole histogram family without labels. */
void exposition_histogram(Buf *out, const char *name, const char *help, const MetricHistogram *h);

/* What a table is read of; `labels` is label text ("" or `a="b"`). */
typedef struct MetricObject {
        const void *object;
        const char *labels;
} MetricObject;

/* A whole table: a family for each name, with the samples of all objects. */
void exposition_table(Buf *out, const MetricTable *t, const MetricObject *objects, size_t n);
