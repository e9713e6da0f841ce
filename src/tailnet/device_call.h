/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * DeviceCall: one GET of a device list, parsed while it comes: what is held is one device's text
 * and the devices, never the document. Only an answer of status 200 whose JSON is whole and has the
 * list is a list.
 */

#include "net/http_client.h"
#include "tailnet/api_error.h"
#include "tailnet/device_list.h"

typedef struct DeviceCall DeviceCall;
/* `answer` has devices or err, and status, retry_after, bytes, seconds, n_invalid; its reference is
 * the receiver's. From the loop; the call may be closed inside. */
typedef void DeviceCallFn(DeviceCall *c, TailnetAnswer *answer);

typedef struct DeviceCallInput {
        HttpClient *http;
        ApiRequest what;
        const char *url;      /* borrowed until it is closed */
        const Secret *bearer; /* the same */
        DeviceShape shape;
        Str suffix;          /* as device_list_new has it */
        const Table *before; /* borrowed until it is closed; may be NULL */
        Span deadline;
        DeviceCallFn *fn;
        void *owner;
} DeviceCallInput;

/* Never NULL: what is wrong with the request is told by fn, too. */
DeviceCall *device_call_open(const DeviceCallInput *in) MUST_USE;
/* As it was given. */
void *device_call_owner(const DeviceCall *c);
/* Nothing is delivered after. NULL is welcome. Returns NULL. */
DeviceCall *device_call_close(DeviceCall *c);
