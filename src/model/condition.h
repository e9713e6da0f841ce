/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Condition: one of a resource's status.conditions: on /state, in files and at the API server. */

#include "model/doc_writer.h"
#include "model/observed.h"

typedef struct Condition {
        const char *type, *status; /* "True", "False", "Unknown" */
        Str reason, message;
        int64_t generation; /* of the resource that it is about; 0: not told */
} Condition;

/* What stood there before. */
typedef struct ConditionPast {
        const Observed *seen; /* NULL: nothing */
        Wall now;
} ConditionPast;

/* One of the reasons that a condition may have; docs/conditions.md lists them all. */
typedef struct ConditionReason {
        const char *type, *reason;
} ConditionReason;
extern const ConditionReason condition_reasons[];
extern const size_t n_condition_reasons;

/* The array "conditions" of /state. */
void conditions_put(JsonWriter *w, const Condition *at, size_t n);
/* The list "conditions" of a status. With `past` it has generation, time and message: where status
 * is as it was, the time is, too. Without it (a file) it has none of them. */
void conditions_doc(DocWriter *d, const Condition *at, size_t n, const ConditionPast *past);
/* Its reason where it is in the list, else "Other": of the control server's own words, of a source,
 * not all are known. */
Str condition_reason(const Condition *c);
/* Does it say that something is not as it should be? */
bool condition_is_bad(const Condition *c);
