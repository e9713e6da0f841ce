/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Admin: what the outside sees of us. The metrics address answers /metrics, /healthz and /readyz
 * and nothing else; the admin address (loopback or a unix socket only) answers these and /state,
 * /explain and POST /approve-removal.
 */

#include "base/log.h"
#include "base/metric.h"
#include "io/address.h"
#include "io/loop.h"
#include "model/answered.h"
#include "translate/snapshot.h"

enum {
        ADMIN_METRICS_MAX = 64 /* a dozen watched kinds, as many written ones, what is there once */
};

/* One object with counters; `labels` is Prometheus label text ("" or `a="b"`). Those of one table
 * stand side by side, and then differ in their labels. */
typedef struct AdminMetrics {
        const MetricTable *table;
        const void *object;
        const char *labels;
} AdminMetrics;

/* What is shown; all borrowed for one answer. */
typedef struct AdminView {
        const World *world;
        const Report *report;     /* NULL before the first */
        const Snapshot *snapshot; /* NULL before the first */
        const Facts *facts;
        const Table *observed; /* of Observed; NULL: without Kubernetes */
        Wall now;
        AdminMetrics metrics[ADMIN_METRICS_MAX];
        size_t n_metrics;
} AdminView;

typedef struct AdminInput {
        Loop *loop;
        Log *log;
        const Address *admin;   /* NULL: none */
        const Address *metrics; /* NULL: none */
        void (*view)(void *owner, AdminView *ret);
        /* Lets a held removal through; false with the reason. */
        bool (*approve)(void *owner, EntryKey entry, Str digest, Err *err);
        void *owner;
} AdminInput;

typedef struct Admin Admin;

/* ERR_INVALID where the admin address is not local. */
Admin *admin_open(const AdminInput *in, Err *err) MUST_USE;
/* NULL is welcome. Returns NULL. */
Admin *admin_close(Admin *a);

static inline AnsweredInput admin_answered(const AdminView *v)
{
        return (AnsweredInput){v->world, v->report, v->facts, v->observed};
}

/* The pages, each into `out`. */
void metrics_page(const AdminView *v, Buf *out);
void state_page(const AdminView *v, Buf *out);
