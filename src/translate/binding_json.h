/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The TailscaleGatewayBindings that Envoy Gateway hands to a hook: the one dependable way to know
 * which Gateway a call is about, and which revision it is to have. */

#include "base/str.h"

#include "model/object.h"

enum {
        BINDING_JSON_MAX = 256 << 10,    /* one object with its status; ours are below 2 KiB */
        BINDING_JSON_OBJECTS_MAX = 1024, /* looked at in one call, those of other kinds too */
};

typedef struct BindingJson {
        ObjectKey gateway; /* of the target; all strings borrowed from the request */
        Str revision;
        uint64_t attempt;
} BindingJson;

/* From a PostTranslateExtensionContext, the first `max` targets of Bindings in order. What is no
 * Binding, or none that can be read, is passed over. Returns how many there are. */
size_t binding_json_read(Str context, BindingJson *ret, size_t max);
