/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* LabelValue: names as values of labels, and the labels and annotations of what we write. */

#include "base/str.h"

enum {
        LABEL_VALUE_MAX = 63, /* of a label's value, and of the name of an annotation */
};

/* Labels of our TailscaleEndpoints. The whole name of the TailscaleGateway is that of their owner.
 */
#define MODEL_LABEL_GATEWAY    "gateway.tailscale.com/gateway"
#define MODEL_LABEL_TAILNET    "gateway.tailscale.com/tailnet"
#define MODEL_LABEL_MANAGED_BY "app.kubernetes.io/managed-by"
/* Its value on all that we write. */
#define MODEL_OURS "tailscale-gateway"

/* Is it empty, or at most 63 bytes of [-A-Za-z0-9_.] with a letter or digit at both ends? */
bool label_value_is_valid(Str s);
/* `name` itself where it is a valid value; else what of it can stand there, and a hash of all of
 * it. In `buf` or borrowed from `name`. */
Str label_value(Str name, char buf[LABEL_VALUE_MAX + 1]);
