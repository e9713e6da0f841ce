/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * DeviceList: the elements of a control server's list, one by one, into a Table of Device. One that
 * cannot be understood (device_read.h) is counted, never guessed; where the list before had that
 * device, by its id or, where that is what is wrong, by its name, it stays as it was: garbage takes
 * nothing away. A list of which nothing can be understood is an error, never empty.
 */

#include "proto/json_stream.h"
#include "tailnet/device_read.h"
#include "tailnet/tailnet_source.h"

typedef struct DeviceList DeviceList;

/* The list in the document, for json_stream_new_parts with the DeviceList as `ctx`. */
const JsonStreamPart *device_list_part(DeviceShape shape);
/* `suffix` (copied) makes a full name of a short one; may be empty. Leaves of `before` (may be
 * NULL; a reference is taken) that are the same are used again, so that of a list that brings
 * little new little is made. */
DeviceList *device_list_new(DeviceShape shape, Str suffix, const Table *before) MUST_USE;
/* NULL is welcome. Returns NULL. */
DeviceList *device_list_free(DeviceList *l);
/* Takes one element, of which the members that device_list_part keeps are looked at; false only
 * above TAILNET_DEVICES_MAX. Has the form of JsonStreamElement. */
bool device_list_add(void *ctx, const Tree *element, Err *err) MUST_USE;
/* The login name of the user with that id (decimal); empty where it is not known. */
typedef Str DeviceListLogin(void *ctx, Str id);
/* DEVICE_SHAPE_LOCAL, once, before device_list_finish: what of a device stands elsewhere in the
 * document, perhaps behind it. Its user is the login name of its UserID; a device with a name that
 * is not below `suffix` (lower case; empty: not known) is external. */
void device_list_complete(DeviceList *l, Str suffix, DeviceListLogin *login, void *ctx);
/* Fills devices, n_invalid and err of *ret; where nothing changed, devices is `before` itself. Of
 * two devices with one id the first by a total order over all fields is taken. */
void device_list_finish(DeviceList *l, TailnetAnswer *ret);
