/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Hosts and paths from their patterns, and which host covers which. Everything that comes out is a
 * lower-case DNS name or a plain path, whatever the outside called its services. */

#include "base/arena.h"

enum {
        HOSTNAME_LABEL_MAX = 63,
        HOSTNAME_MAX = 253,
        HOSTNAME_PATH_MAX = 1024,
};

/* Values of the placeholders {service}, {tailnet}, {namespace}, {gateway}, {port}. */
typedef struct HostVars {
        Str service, tailnet, namespace, gateway;
        uint16_t port;
} HostVars;

/* `s` as one DNS label: lower case, anything else than letters and digits becomes '-', none at
 * either end, at most 63 bytes. Empty where nothing is left. */
Str hostname_label(Arena *a, Str s);
/* The pattern with each placeholder replaced by its value as a label; labels are cut at 63 bytes.
 * Empty where the result is no DNS name of at most 253 bytes. */
Str hostname_expand(Arena *a, Str pattern, const HostVars *v);
/* The same for a path: begins and ends with '/'. Empty where it is longer than HOSTNAME_PATH_MAX or
 * holds what a path may not hold unescaped ("?", "#", "%", blanks, "//", dot segments). */
Str hostname_expand_path(Arena *a, Str pattern, const HostVars *v);
/* Letters, digits, '-', '_' and '.' in labels of 1 to 63 bytes, at most 253 in all. */
bool hostname_is_valid(Str host);
/* Is `host` one that a listener with this hostname serves? ("": all; "*.x": all below x.) */
bool hostname_within(Str listener, Str host);
/* Does a domain in Envoy's notation (exact, "*.x" or "*") belong to what `pattern` names: exactly
 * that domain, or for "*.x" all below x, itself included? Case does not count. */
bool hostname_names(Str pattern, Str domain);
