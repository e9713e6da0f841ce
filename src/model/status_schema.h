/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the status of each kind holds, as tables of names, types and prose. Nothing is decoded by
 * them: a status is written by this program (of a Binding by Envoy Gateway), and what is read back
 * of it is picked by hand. What is written and not in here, an API server drops. */

#include "model/schema.h"

enum {
        STATUS_CONDITIONS_MAX = 16,
        STATUS_CONFLICTS_MAX = 16,     /* the first ones; the rest is only counted */
        STATUS_SCOPES_MAX = 256,       /* what is told of a credential has 511 bytes at most */
        CONDITION_MESSAGE_MAX = 32768, /* metav1.Condition */
        ANCESTORS_MAX = 16,            /* Gateway API's PolicyStatus */
};

extern const Schema tailnet_status_schema, gateway_status_schema, endpoints_status_schema,
        binding_status_schema;
