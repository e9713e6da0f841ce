/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Condition: one of a resource's status.conditions, as /state shows it. */

#include "proto/json_writer.h"

typedef struct Condition {
        const char *type, *status; /* "True", "False", "Unknown" */
        Str reason, message;
} Condition;

/* The array "conditions". */
static inline void conditions_put(JsonWriter *w, const Condition *at, size_t n)
{
        json_key_array_begin(w, STR("conditions"));
        for (size_t i = 0; i < n; i++) {
                json_object_begin(w);
                json_key_str(w, STR("type"), str_of(at[i].type));
                json_key_str(w, STR("status"), str_of(at[i].status));
                json_key_str(w, STR("reason"), at[i].reason);
                json_key_str(w, STR("message"), at[i].message);
                json_object_end(w);
        }
        json_array_end(w);
}
