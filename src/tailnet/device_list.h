/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * DeviceList: the elements of a control server's list, one by one, into a Table of Device. Every
 * field is optional to the parser and what is unknown is ignored; a device of which no id, name or
 * address can be understood is counted, never guessed. A list of which nothing can be understood
 * is an error, never empty.
 */

#include "proto/tree.h"
#include "tailnet/tailnet_source.h"

typedef enum DeviceShape {
        DEVICE_SHAPE_TAILSCALE, /* Tailscale API v2, and what speaks like it: {"devices": […]} */
        DEVICE_SHAPE_HEADSCALE, /* Headscale API v1: {"nodes": […]} */
} DeviceShape;

typedef struct DeviceList DeviceList;

/* The name of the list in the document. */
Str device_list_member(DeviceShape shape);
/* `suffix` (copied) makes a full name of a short one; may be empty. */
DeviceList *device_list_new(DeviceShape shape, Str suffix) MUST_USE;
/* NULL is welcome. Returns NULL. */
DeviceList *device_list_free(DeviceList *l);
/* Takes one element; false only above TAILNET_DEVICES_MAX. Has the form of JsonStreamElement, with
 * the DeviceList as `ctx`. */
bool device_list_add(void *ctx, const Tree *element, Err *err) MUST_USE;
/* Fills devices, n_invalid and err of *ret; leaves of `before` (may be NULL) that are the same are
 * used again. Of two devices with one id the first by a total order over all fields is taken. */
void device_list_finish(DeviceList *l, const Table *before, TailnetAnswer *ret);
