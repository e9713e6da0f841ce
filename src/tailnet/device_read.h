/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* DeviceRead: one element of a control server's list as a Device, in each of the shapes that there
 * are; pure. What is unknown is ignored, and what is not there has a default. */

#include "model/device.h"
#include "proto/tree.h"

typedef enum DeviceShape {
        DEVICE_SHAPE_TAILSCALE, /* Tailscale API v2, and what speaks like it: {"devices": […]} */
        DEVICE_SHAPE_HEADSCALE, /* Headscale API v1: {"nodes": […]} */
        DEVICE_SHAPE_LOCAL,     /* a tailscaled's own state: {"Peer": {key: …}} */
} DeviceShape;

/* The members that are looked at, by shape. */
enum {
        DEVICE_READ_TAILSCALE = 16,
        DEVICE_READ_HEADSCALE = 8,
        DEVICE_READ_LOCAL = 14,
};
extern const Str device_read_tailscale[DEVICE_READ_TAILSCALE];
extern const Str device_read_headscale[DEVICE_READ_HEADSCALE];
extern const Str device_read_local[DEVICE_READ_LOCAL];
/* Is it no device of the tailnet at all? */
bool device_read_is_none(DeviceShape shape, const Tree *e);
/* Fills a zeroed *ret, with strings of `e` and `arena`, as far as it can; `suffix` makes a full
 * name of a short one. NULL: it is understood. Else what is wrong (in `arena`): no usable id, name
 * or address, or a member of another type than it has; such a device is not to be guessed at. */
const char *device_read(DeviceShape shape, Str suffix, const Tree *e, Arena *arena,
                        Device *ret) MUST_USE;
/* Does it say that it has no address? */
bool device_read_has_no_address(DeviceShape shape, const Tree *e);
/* A text of a device that may be shown and compared, or nothing. */
Str device_read_text(Str s);
