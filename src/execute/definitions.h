/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Definitions: which CustomResourceDefinitions at the API server do not have what this program
 * writes, as its refusals tell: they are older than it is. Pure.
 */

#include "base/err.h"
#include "base/instant.h"
#include "base/metric.h"
#include "kube/kube_write.h"
#include "model/observed.h"

enum {
        /* After the last refusal; above the rest of an object that is refused, so that one which
         * is still as it was does not seem to be mended meanwhile. */
        DEFINITIONS_KEPT_S = 120,
};

typedef struct Definitions {
        Mono until[OBSERVED_KINDS]; /* refused so lately; 0: not */
        int64_t n;                  /* as of definitions_look */
} Definitions;

extern const MetricTable definitions_metrics; /* of Definitions */

/* Is the answer to a write of that resource about its definition, and that one ours? */
bool definitions_is_misfit(const KubeResource *r, const KubeStatus *refusal);
/* What a person is to know of `misfit` (KubeStatus). Kind, reason are those of such an error. */
void definitions_explain(const KubeResource *r, Str misfit, Err *ret);
/* Is that news? */
bool definitions_refused(Definitions *d, ObservedKind kind, Mono now);
/* All that was to be written of that kind was taken. */
void definitions_taken(Definitions *d, ObservedKind kind);
/* How many there are by now. */
void definitions_look(Definitions *d, Mono now);
